"""``stabbench doctor``: what this machine can do, and what is missing. Imports no torch."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from stabbench.assets.fetch import cache_folder, path_if_cached
from stabbench.store.environment import best_precision, describe

ASSETS = ("builtin:minilm-l6", "builtin:rotten-tomatoes")
NEEDED = ("torch", "transformers", "accelerate", "textattack", "onnxruntime", "pytest-benchmark")


def examine() -> dict[str, Any]:
    """Return what was found; ``ready`` is False where a run of the default suite could not start."""
    machine = describe()
    missing = [name for name in NEEDED if machine["packages"].get(name) is None]
    writable = {str(path): _writable(path) for path in (Path.cwd(), cache_folder())}
    return {
        "schema": 1,
        "ready": not missing and all(writable.values()),
        "machine": machine,
        "precision": best_precision(),
        "missing_packages": missing,
        "writable": writable,
        "free_bytes": shutil.disk_usage(Path.cwd()).free,
        "assets": {name: _text(path_if_cached(name)) for name in ASSETS},
        "offline": os.environ.get("HF_HUB_OFFLINE") == "1",
        "busy": _busy(),
    }


def findings_text(found: dict[str, Any]) -> str:
    """Return the findings for the terminal: one line each, with what to do about what is missing."""
    machine = found["machine"]
    vectors = " ".join(machine["instruction_set"])
    lines = [
        ("python", machine["python"]),
        ("processor", f"{machine['processor']} × {machine['cores']}, {vectors}"),
        (
            "memory",
            f"{(machine['memory_bytes'] or 0) / 2**30:.0f} GiB; free disk {found['free_bytes'] / 2**30:.0f} GiB",
        ),
        ("device", f"{machine['device']}; precision auto = {found['precision']}"),
        *((name, machine["packages"][name] or "MISSING: install stabbench again") for name in NEEDED),
        *((name, path or "not fetched: stabbench fetch quick") for name, path in found["assets"].items()),
        *((f"folder {path}", "writable" if fine else "NOT WRITABLE") for path, fine in found["writable"].items()),
        ("other load", found["busy"]),
    ]
    width = max(len(name) for name, _ in lines)
    body = "\n".join(f"{name:<{width}}  {text}" for name, text in lines)
    return f"{body}\n{'ready' if found['ready'] else 'not ready: see the lines in capitals'}"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _writable(folder: Path) -> bool:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return True
    except OSError:
        return False


def _busy() -> str:
    """Say how loaded the machine is: latency measured beside other work is refused a verdict."""
    load = os.getloadavg()[0]
    return f"load average {load:.1f}" + ("; latency claims will be refused while it lasts" if load > 1.0 else "")
