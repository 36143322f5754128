"""All attacks taken together, and texts that mislead one subject put to the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stabbench import registry
from stabbench.report.data import Cell, Table
from stabbench.report.numbers import UNKNOWN, fixed
from stabbench.report.sections import group_cell
from stabbench.report.source import Source


def survivors(source: Source, seeds: Mapping[str, Sequence[str]]) -> Table | None:
    """Return accuracy under the worst of all attacks for each variant; None where one attack alone was run.

    `seeds` are those of a variant's runs that did not fail.
    """
    clean: dict[str, dict[str, float]] = {}
    held: dict[str, dict[str, float]] = {}
    attacks: dict[str, None] = {}
    for variant, fine in seeds.items():
        for seed in fine:
            rows = source.attacks(variant, seed)
            attacks.update((_name(row), None) for row in rows if changes(row))
            if (found := worst_of(rows)) is not None:
                clean.setdefault(variant, {})[seed], held.setdefault(variant, {})[seed] = found
    if len(attacks) < 2 or not held:
        return None
    body = [
        [Cell(variant, None, False), group_cell(clean.get(variant, {})), group_cell(held.get(variant, {}))]
        for variant in seeds
    ]
    note = (
        f"Attacks: {', '.join(attacks)}. An example survives if its clean answer is right and no attack changed it; "
        "one on which an attack raised is left out. Each attack alone overstates what a model withstands."
    )
    return Table("Right under all attacks", ["variant", "clean accuracy", "survivors"], body, note)


def worst_of(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """Return (clean accuracy, accuracy under the worst of all attacks) from stored rows; None without any.

    With N examples that have words and on which no attack raised: |{i: clean answer right}|/N, and of these only those
    that every attack failed on.
    """
    examples: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if changes(row) and row["words"]:
            examples.setdefault(row["example"], []).append(row)
    whole = [found for found in examples.values() if all(row["outcome"] != "error" for row in found)]
    if not whole:
        return None
    right = [all(row["clean_prediction"] == row["label"] for row in found) for found in whole]
    kept = [all(row["outcome"] == "failed" for row in found) for found in whole]
    return sum(right) / len(whole), sum(kept) / len(whole)


def changes(row: Mapping[str, Any]) -> bool:
    """Return whether a row is of an attack that tries to change the answer."""
    name = str(row["recipe"])
    return name not in registry.names("attacks") or registry.card("attacks", name).traits["goal"] == "change"


def transfers(source: Source) -> list[Table]:
    """Return one table per recipe of the panel `transfer`: rows mislead, columns are put the same texts."""
    rows = [row for row in source.rows if row.measurement.metric == "transfer.success_rate"]
    panel = next((cell for cell in source.run.plan["cells"] if cell["probe"] == "transfer"), None)
    if not rows or panel is None:
        return []
    names = list(dict.fromkeys(_subject(row.variant, row.compression) for row in rows))
    tables = []
    for recipe in dict.fromkeys(str(row.measurement.at["recipe"]) for row in rows):
        body = []
        for number, name in enumerate(names):
            found = [r for r in rows if r.measurement.at == {"recipe": recipe, "source": number}]
            by_target = {_subject(r.variant, r.compression): r.measurement for r in found}
            cells = [_share(by_target.get(target)) for target in names]
            body.append([Cell(name, None, False), *cells])
        note = (
            f"One seed ({rows[0].seed}). Of the texts that mislead the subject of the row, and whose clean form the "
            "subject of the column answers rightly, the share that mislead it too, with the number of such texts."
        )
        tables.append(Table(f"Transfer: {recipe}", ["misled", *names], body, note))
    return tables


def _share(m: Any) -> Cell:
    if m is None or m.value is None:
        return Cell(UNKNOWN)
    return Cell(f"{fixed(m.value, 2)} of {m.n_used}", m.value)


def _subject(variant: str, compression: str) -> str:
    return variant if compression == "dense" else f"{variant}, {compression}"


def _name(row: Mapping[str, Any]) -> str:
    constraints = row.get("constraints", "recipe")
    return str(row["recipe"]) if constraints == "recipe" else f"{row['recipe']} ({constraints})"
