"""Keys of cells: a hash of everything that decides the result, resolved once the parents' weights are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from stabbench.records import Cell
from stabbench.store.cells import Store, StoredCell, key_of

Weights: TypeAlias = Mapping[str, str | None]
"""Id of a train cell → hash of its weights, or None where it has not been trained."""


def cell_key(cell: Cell, weights: Weights) -> str | None:
    """Return the key, or None while a parent has not been trained. Variant names are not part of it."""
    parents = [weights.get(parent) for parent in cell.parents]
    return None if None in parents else key_of({**cell.static, "parents": parents})


def resolve(cells: Iterable[Cell], store: Store) -> dict[str, str | None]:
    """Return every cell's key as far as the store's finished trials allow; `cells` has parents before children."""
    weights: dict[str, str | None] = {}
    keys: dict[str, str | None] = {}
    for cell in cells:
        keys[cell.id] = key = cell_key(cell, weights)
        if cell.kind == "train":
            stored = store.get(key) if key else None
            weights[cell.id] = stored.weights if stored else None
    return keys


def finished(cells: Iterable[Cell], store: Store) -> dict[str, StoredCell]:
    """Return the stored cells by logical id."""
    keys = resolve(list(cells), store)
    return {cell_id: cell for cell_id, key in keys.items() if key and (cell := store.get(key)) is not None}
