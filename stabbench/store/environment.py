"""What the machine is, without importing torch: processor, memory, instruction set, versions, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Literal

PACKAGES = (
    "torch", "transformers", "accelerate", "tokenizers", "textattack", "onnx", "onnxruntime", "numpy", "scipy",
    "pandas", "matplotlib", "pytest-benchmark", "scikit-learn",
)  # fmt: skip
# What decides the results of int8 kernels and the choice of bf16.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


@cache
def processor_flags() -> frozenset[str]:
    """Return the processor's feature flags as Linux names them; empty elsewhere."""
    return frozenset(_cpuinfo("flags").split() or _cpuinfo("Features").split())


@cache
def instruction_set() -> tuple[str, ...]:
    """Return the vector instructions that decide int8 and bf16 results, plus the architecture."""
    return (platform.machine(), *(name for name in INSTRUCTIONS if name in processor_flags()))


@cache
def processor() -> str:
    """Return the processor's model name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def hardware_class() -> str:
    """Return what latency may be compared within: processor model, architecture and number of cores."""
    return f"{processor()} {'+'.join(instruction_set())} x{os.cpu_count()}"


@cache
def version(package: str) -> str | None:
    """Return an installed package's version without importing it, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def device_kind() -> Literal["cpu", "cuda", "mps"]:
    """Return the kind of device that training will use, judged without importing torch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if Path("/dev/nvidiactl").exists() and not hidden and not (version("torch") or "").endswith("+cpu"):
        return "cuda"
    return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"


def best_precision() -> Literal["bf16", "fp32"]:
    """Return what ``precision: auto`` means here: bf16 where the processor computes in it, else fp32."""
    fast = bool({"avx512_bf16", "amx_bf16"} & processor_flags()) or device_kind() == "cuda"
    return "bf16" if fast else "fp32"


def memory_bytes() -> int | None:
    """Return the machine's memory, or None where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


@cache
def commit(folder: Path) -> dict[str, Any] | None:
    """Return the git commit of `folder` and whether it has uncommitted changes; None outside a checkout."""
    try:
        run = [
            subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
            )
            for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": run[0].stdout.strip(), "dirty": bool(run[1].stdout.strip())}


def describe() -> dict[str, Any]:
    """Return the description that is stored with a run."""
    return {
        "stabbench": version("stabbench"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_bytes": memory_bytes(),
        "instruction_set": list(instruction_set()),
        "device": device_kind(),
        "packages": {name: version(name) for name in PACKAGES},
        "git": commit(Path(__file__).parent),
    }


def _cpuinfo(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")
