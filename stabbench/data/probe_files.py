"""The forms of files that probes read, and reading all of a suite's before anything is trained. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stabbench import registry
from stabbench.data.behavior_cases import read_cases
from stabbench.data.replay_pairs import read_pairs
from stabbench.data.swap_templates import read_templates
from stabbench.errors import ConfigurationError, Problem
from stabbench.suite.option_files import option_file


def _behavior(paths: list[Path], options: Mapping[str, Any]) -> object:
    return read_cases(*paths)


def _replay(paths: list[Path], options: Mapping[str, Any]) -> object:
    return [read_pairs(path, options["text"], options["original"], options["label"]) for path in paths]


def _swaps(paths: list[Path], options: Mapping[str, Any]) -> object:
    return read_templates(*paths)


FORMS: Mapping[str, Callable[[list[Path], Mapping[str, Any]], object]] = {
    "behavior": _behavior,
    "replay": _replay,
    "swaps": _swaps,
}
"""Form (see `probes.base.Probe.reads`) → reads the files of an option; a third party's form is read by its probe."""


def check_probe_files(probes: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Read every file that the probes' options name.

    Args:
        probes: name → options as the suite gives them.
        folder: the suite file's folder.

    Raises:
        ConfigurationError: files are missing or hold bad rows; all are named.
    """
    problems: list[Problem] = []
    for name, given in probes.items():
        card = registry.card("probes", name)
        options = {**card.defaults(), **given}
        for option, form in card.traits.get("reads", {}).items():
            try:
                if form in FORMS:
                    FORMS[form]([option_file(form, file, folder) for file in options[option]], options)
            except ConfigurationError as error:
                problems += error.problems
    if problems:
        raise ConfigurationError(problems, note="No row is dropped silently: mend or remove these. Nothing was run.")
