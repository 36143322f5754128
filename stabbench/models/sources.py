"""Where a pretrained model or an asset is: built-in, folder, or hub id."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from stabbench.assets.fetch import fetch
from stabbench.planning.fingerprints import model_folder
from stabbench.suite.schema import Model

TINY = "builtin:tiny"


def model_source(model: Model, suite_folder: Path) -> tuple[str | Path, str | None]:
    """Return what to load the model from, a folder or a hub id, and the revision of a hub id."""
    if model.name == TINY:
        return _tiny_folder(), None
    if model.name.startswith("builtin:"):
        return asset_folder(model.name), None
    folder = model_folder(model, suite_folder)
    return (folder, None) if folder is not None else (model.name, model.revision)


def asset_folder(name: str) -> Path:
    """Return where a fetched asset is; it must have been fetched before.

    Raises:
        AssetError: it was not.
    """
    return fetch(name, offline=True)


@cache
def _tiny_folder() -> Path:
    from stabbench.models.tiny import write_tiny_model

    folder = Path(tempfile.mkdtemp(prefix="stabbench-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_tiny_model(folder)
    return folder
