"""``--select``, ``--max-time`` and ``--smoke``: less than the whole suite."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from stabbench import registry
from stabbench.errors import ConfigurationError, unknown_name
from stabbench.records import Cell
from stabbench.suite.load import LoadedSuite
from stabbench.suite.schema import Data, Model

FIELDS = ("kind", "variant", "seed", "probe", "compression")
SMOKE_EXAMPLES = 16
SMOKE_SEEDS = 2


def selected(cells: Iterable[Cell], expression: str | None) -> tuple[Cell, ...]:
    """Return the cells that a comma list of ``field=glob`` names, and the trainings they need.

    Several globs of one field are alternatives; different fields must all match.

    Raises:
        ConfigurationError: the expression cannot be read, or matches nothing.
    """
    everything = tuple(cells)
    if not expression:
        return everything
    wanted = _read(expression)
    chosen = [
        cell
        for cell in everything
        if all(any(fnmatchcase(getattr(cell, name), glob) for glob in globs) for name, globs in wanted.items())
    ]
    if not chosen:
        raise ConfigurationError([f"--select '{expression}' matches none of the {len(everything)} cells"])
    needed = {cell.id for cell in chosen} | {parent for cell in chosen for parent in cell.parents}
    return tuple(cell for cell in everything if cell.id in needed)


def _read(expression: str) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for part in expression.split(","):
        name, equals, glob = part.strip().partition("=")
        if not equals or name not in FIELDS:
            raise ConfigurationError(
                [f"--select: {unknown_name('field', name, FIELDS)} Write field=glob, as in probe=noise."]
            )
        wanted.setdefault(name, []).append(glob)
    return wanted


def seconds_of(text: str) -> float:
    """Read a duration: ``90s``, ``45m``, ``2h`` or a bare number of minutes.

    Raises:
        ConfigurationError: the text is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if match is None:
        raise ConfigurationError([f"--max-time '{text}': expected a duration such as 90s, 45m or 2h"])
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "": 60}[match[2]]


def smoke(loaded: LoadedSuite) -> LoadedSuite:
    """Return the suite made tiny: the built-in tiny model and data, 2 seeds, 16 examples; never a verdict.

    Raises:
        ConfigurationError: the suite is of finished checkpoints, which no tiny model can stand for.
    """
    suite = loaded.suite
    if suite.of_checkpoints:
        raise ConfigurationError(["--smoke tries a training, and this suite has none: its variants are checkpoints"])
    probes = {name: {**options, **_small(name)} for name, options in suite.probes.items()}
    smaller = suite.model_copy(
        update={
            "model": Model(name="builtin:tiny"),
            "data": _small_data(suite.data),
            "seeds": SMOKE_SEEDS,
            "probes": probes,
        }
    )
    return replace(loaded, suite=smaller)


def _small_data(data: Data) -> Data:
    """Return tiny data with the splits that the suite has."""
    validation = None if data.validation is None else SMOKE_EXAMPLES
    return Data(
        source="builtin:tiny",
        train=SMOKE_EXAMPLES,
        validation=validation,
        test=SMOKE_EXAMPLES,
        measure_on=data.measure_on,
    )


def _small(probe: str) -> dict[str, int]:
    """Options that make a probe small, where it has them."""
    given = {"examples": 4, "processes": 2, "rounds": 3}
    return {name: value for name, value in given.items() if name in registry.card("probes", probe).schema["properties"]}
