"""What a model is, as a hash: of pinned bytes, of a folder's files, or of a hub commit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from stabbench.registry import PACKAGE
from stabbench.suite.checkpoints import CALLABLE
from stabbench.suite.schema import Model

WEIGHT_FILES = ("*.safetensors", "*.bin")
TEXT_FILES = ("*.json", "*.txt", "*.model")


def model_fingerprint(model: Model, suite_folder: Path) -> str:
    """Return what identifies the pretrained model in a key.

    ``builtin:NAME``: the pinned hash of its files; a folder: SHA-256 over names and bytes of its weight, configuration
    and tokenizer files; a hub id: the id and the revision.
    """
    if model.name.startswith("builtin:"):
        pins = json.loads((PACKAGE / "assets" / "pins.json").read_text(encoding="utf-8"))
        pinned = pins.get(model.name, {}).get("files", {})
        return f"{model.name}:{hashlib.sha256(json.dumps(pinned, sort_keys=True).encode()).hexdigest()[:16]}"
    if model.name.startswith(CALLABLE):
        return model.name
    folder = model_folder(model, suite_folder)
    if folder is None:
        return f"hub:{model.name}@{model.revision or 'main'}"
    digest = hashlib.sha256()
    for file in sorted({path for pattern in (*WEIGHT_FILES, *TEXT_FILES) for path in folder.glob(pattern)}):
        with file.open("rb") as stream:
            digest.update(f"{file.name}:{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return f"folder:{digest.hexdigest()[:32]}"


def model_folder(model: Model, suite_folder: Path) -> Path | None:
    """Return the local folder that `model` names, relative to here or to the suite file, or None for a hub id."""
    candidates = (Path(model.name).expanduser(), suite_folder / model.name)
    return next((path for path in candidates if path.is_dir()), None)
