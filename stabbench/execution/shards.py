"""The parts of a sharded run: read, found in their stores, checked to be of one suite and made under one setting."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stabbench.errors import ConfigurationError, NotComparableError, StoreError
from stabbench.planning.keys import cell_key
from stabbench.records import Cell, canonical
from stabbench.store.cells import Store, StoredCell
from stabbench.store.run_folder import RunFolder

FINISHED = ("cached", "done")
# What two shards may differ in: none of it decides a result.
FREE = ("description", "budget", "keep_weights", "data.root")
# What every cell of a run shares, and what those that have it share: a run made in one place has one value of each.
SHARED = ("engine", "data", "model", "task", "device", "libraries", "instruction_set")
# Those of them that no option lets pass: the numbers would be about different things.
NEVER = ("engine", "data", "model", "task")


@dataclass(frozen=True)
class Found:
    """A finished cell of a shard: which run planned it, its entry in that run's plan, and where it is stored."""

    run: str
    entry: Mapping[str, Any]
    stored: StoredCell


def check_same_suite(runs: Sequence[RunFolder]) -> None:
    """Refuse runs that are not parts of one.

    Raises:
        ConfigurationError: one is a smoke run, or one is given twice.
        NotComparableError: their suites differ; the message names the fields.
    """
    paths = [run.path.resolve() for run in runs]
    problems = [f"run {path} is given twice" for path in dict.fromkeys(paths) if paths.count(path) > 1]
    problems += [f"{run.path} is a smoke run, which is never a verdict" for run in runs if run.environment.get("smoke")]
    if problems:
        raise ConfigurationError(problems, note="Nothing was merged.")
    first = runs[0]
    fields = [text for other in runs[1:] for text in _differences(first, other)]
    if fields:
        listed = "\n".join(f"  {text}" for text in dict.fromkeys(fields))
        raise NotComparableError(f"these runs are not parts of one suite; they differ in\n{listed}")


def find_cells(planned: Iterable[Cell], runs: Sequence[RunFolder], stores: Sequence[Store]) -> dict[str, list[Found]]:
    """Return id → the finished cells of that id, one for each shard that has it.

    Raises:
        ConfigurationError: a run says that a cell is finished, and no store here holds it.
    """
    entries = [(run, {entry["id"]: entry for entry in run.plan["cells"]}) for run in runs]
    found: dict[str, list[Found]] = {}
    lost: dict[str, int] = {}
    for cell in planned:
        for run, known in entries:
            entry = known.get(cell.id)
            if entry is None or entry["state"] not in FINISHED:
                continue
            looked = (store.get(entry["key"]) for store in _stores_of(run, stores))
            stored = next((made for made in looked if made is not None), None)
            if stored is None:
                lost[str(run.path)] = lost.get(str(run.path), 0) + 1
            else:
                found.setdefault(cell.id, []).append(Found(run.path.name, entry, stored))
    if lost:
        problems = [
            f"{count} finished cells of run {run} are in no store here; give its store's folder with --from DIR"
            for run, count in lost.items()
        ]
        raise ConfigurationError(problems, note="Nothing was merged.")
    return found


def unite(
    planned: Sequence[Cell], found: Mapping[str, Sequence[Found]], target: Store, *, allow_drift: bool
) -> tuple[dict[str, Found], list[str]]:
    """Return (id → the one finished cell that is taken, what the shards' settings differ in), after every check.

    Args:
        planned: all cells of the suite.
        found: what the shards have.
        target: where the cells will be copied to.
        allow_drift: let other libraries, precision, device or instruction set pass, to be told instead.

    Raises:
        NotComparableError: two shards made one cell differently, or under different settings; the fields are named.
        StoreError: a cell's content does not have the hash it is stored under.
    """
    chosen = {cell.id: found[cell.id][0] for cell in planned if cell.id in found}
    conflicts = [text for cell in planned for text in _conflicts(cell.id, found.get(cell.id, ()), target)]
    settings = dict(_settings(chosen))
    refused = [text for name, text in settings.items() if name in NEVER or not allow_drift]
    if conflicts or refused:
        listed = "\n".join(f"  {text}" for text in (*conflicts, *refused))
        hint = (
            "" if conflicts or set(settings) & set(NEVER) else "\n--allow-drift merges them all the same, and says so"
        )
        raise NotComparableError(f"these runs were not made alike; they differ in\n{listed}{hint}")
    damaged = [text for cell in cells_as_made(planned, chosen) for text in _damage(cell, chosen)]
    if damaged:
        listed = "\n".join(f"  {text}" for text in damaged)
        raise StoreError(f"cells that are damaged, and must be made again (remove their folders):\n{listed}")
    return chosen, list(settings.values())


def cells_as_made(planned: Iterable[Cell], chosen: Mapping[str, Found]) -> tuple[Cell, ...]:
    """Return the planned cells, those that are finished with what decided their result where they were made.

    One that no shard has gets a key that no store has: a cell that happens to be in the target store was made by
    another run, and perhaps under other settings.
    """
    return tuple(
        replace(cell, static=found.stored.record["static"], options=found.entry["options"])
        if (found := chosen.get(cell.id)) is not None
        else replace(cell, static={**cell.static, "merged": "no shard has this cell"})
        for cell in planned
    )


def _stores_of(run: RunFolder, more: Sequence[Store]) -> list[Store]:
    """The store that the run names; where the run came from another machine, the one that lay beside it there."""
    beside = run.path.resolve().parent.parent / ".stabbench" / "store"
    return [run.store, Store(beside), *more]


def _differences(first: RunFolder, other: RunFolder) -> Iterator[str]:
    then, now = dict(_leaves(first.suite)), dict(_leaves(other.suite))
    for name in sorted({*then, *now}):
        free = any(name == field or name.startswith(f"{field}.") for field in FREE)
        if not free and then.get(name) != now.get(name):
            yield f"{name}: {_shown(then, name)} in {first.path.name}, {_shown(now, name)} in {other.path.name}"


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _shown(leaves: Mapping[str, Any], name: str) -> str:
    text = canonical(leaves[name]) if name in leaves else "nothing"
    return text if len(text) <= 80 else f"{text[:79]}…"


def _conflicts(cell_id: str, found: Sequence[Found], target: Store) -> Iterator[str]:
    """Say where one cell was made twice and came out differently."""
    if not found:
        return
    first = found[0]
    for other in found[1:]:
        if other.stored.key != first.stored.key:
            fields = sorted(_unequal(first.stored.record["static"], other.stored.record["static"]))
            what = ", ".join(fields) or "the weights that it was measured on"
            yield f"{cell_id}: {what}, between {first.run} and {other.run}"
        elif other.stored.weights != first.stored.weights:
            yield f"{cell_id}: the trained weights, between {first.run} and {other.run}"
    here = target.get(first.stored.key)
    if here is not None and here.weights != first.stored.weights:
        yield f"{cell_id}: the trained weights, between {first.run} and the store {target.root}; name another --store"


def _settings(chosen: Mapping[str, Found]) -> Iterator[tuple[str, str]]:
    """Say which settings are not one and the same for all cells, as they are for a run made in one place."""
    seen: dict[str, dict[str, str]] = {}
    for found in chosen.values():
        for name, value in _shared(found):
            seen.setdefault(name, {}).setdefault(canonical(value), found.run)
    for name, values in seen.items():
        if len(values) > 1:
            yield name, f"{name}: {', '.join(f'{value} in {run}' for value, run in values.items())}"


def _shared(found: Found) -> Iterator[tuple[str, Any]]:
    static = found.stored.record["static"]
    for name in SHARED:
        if name == "libraries":
            yield from ((f"libraries.{library}", version) for library, version in static[name].items())
        elif name in static:
            yield name, static[name]
    if found.entry["kind"] == "train" and "train" in static:  # a finished checkpoint has no precision of training
        yield f"precision of {found.entry['variant']}", static["train"]["precision"]


def _unequal(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return [name for name in {*first, *second} if canonical(first.get(name)) != canonical(second.get(name))]


def _damage(cell: Cell, chosen: Mapping[str, Found]) -> Iterator[str]:
    """Say what of a finished cell is not what its hashes say."""
    if cell.id not in chosen:
        return
    stored = chosen[cell.id].stored
    weights = {parent: chosen[parent].stored.weights for parent in cell.parents if parent in chosen}
    key = cell_key(cell, weights)
    if key is None:
        yield f"{cell.id} ({stored.folder}): the training that it was measured on is not among the runs"
    elif key != stored.key or stored.record["key"] != stored.key:
        yield f"{cell.id} ({stored.folder}): its record gives the key {key}"
    yield from (f"{cell.id} ({stored.folder}): {name} is damaged" for name in _broken_files(stored))


def _broken_files(stored: StoredCell) -> Iterator[str]:
    """Arrays carry checksums of their own; trained weights have theirs in the record."""
    for path in sorted(stored.folder.rglob("*.npz")):
        try:
            with zipfile.ZipFile(path) as archive:
                whole = archive.testzip() is None
        except (OSError, zipfile.BadZipFile):
            whole = False
        if not whole:
            yield path.name
    model = stored.folder / "model" / "model.safetensors"
    if stored.weights is not None and model.exists():
        with model.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != stored.weights:
                yield model.name
