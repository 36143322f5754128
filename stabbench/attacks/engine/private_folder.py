"""A folder that NLTK trusts: it refuses data that another account, or a group, could have written.

A checkout under umask 0002, in a container, or on a shared disk is such data, whatever the account that runs it.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def private_folder(prefix: str) -> Path:
    """Return a new folder that only this account can read, and that is removed when the process ends.

    Where the process is a worker, which ends without its exit handlers, its driver removes it.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def close_to_others(folder: Path) -> Path:
    """Take the right to write from group and others, in all of a folder; return it."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o022)
    return folder


def private_copy(folder: Path, prefix: str) -> Path:
    """Return a copy of a folder for the time of this process, with its contents at the top."""
    copy = private_folder(prefix)
    shutil.copytree(folder, copy, copy_function=shutil.copyfile, dirs_exist_ok=True)
    return close_to_others(copy)
