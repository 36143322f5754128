"""Finished checkpoints of a suite looked for before anything runs."""

from __future__ import annotations

import json
import os

from stabbench.errors import ConfigurationError
from stabbench.planning.fingerprints import model_folder
from stabbench.suite.checkpoints import CALLABLE, SERVERS
from stabbench.suite.load import LoadedSuite
from stabbench.suite.schema import Model


def check_checkpoints(loaded: LoadedSuite) -> None:
    """Find finished checkpoints that are not there, or were functions of a process that has ended.

    Raises:
        ConfigurationError: all of them are named.
    """
    problems = []
    served = json.loads(os.environ.get(SERVERS, "{}"))
    for name, variant in loaded.suite.variants.items():
        given = variant.checkpoint or ""
        if given.startswith(CALLABLE) and given not in served:
            problems.append(f"variants.{name}: '{given}' was a Python function; give it to stabbench.audit again")
        folder = model_folder(Model(name=given), loaded.path.parent)
        if folder is None and given.startswith((".", "/", "~")):
            problems.append(f"variants.{name}.checkpoint: there is no folder '{given}'")
    if problems:
        raise ConfigurationError(problems)
