"""Adaptive seeds while they run: the cells of one look after the other, until the claim that decides has decided.

A fixed number of seeds is the same thing with one look. What is needed is found from the store each time, so running
the same command again takes the same looks, finds them done, and ends where the first run ended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from stabbench.claims.looks import Look, at_look, ending, look_of
from stabbench.errors import ConfigurationError
from stabbench.execution.collect import claims_of, collect_rows, predictions
from stabbench.execution.matching import mismatches
from stabbench.planning.keys import finished
from stabbench.planning.plan import Plan, formula
from stabbench.planning.selection import selected
from stabbench.planning.trials import arms, labels
from stabbench.records import Cell
from stabbench.store.cells import Store
from stabbench.suite.schema import AdaptiveSeeds


class Looks:
    """Walks through the looks of a plan.

    Attributes:
        plan: what is needed as far as is known: the cells of the seeds up to the present look, and the panels.
        ended: whether no look follows: the seeds are enough, or the present ones cannot be judged.
        judged: the last look that was judged, as JSON: which, and how it ended; None before the first.
    """

    def __init__(self, whole: Plan, store: Store, select: str | None = None, *, fresh: bool = False) -> None:
        """Stand at the first look at which something is to be done.

        Args:
            whole: the plan of all seeds that there may be.
            store: what has been done.
            select: see `planning.selection.selected`.
            fresh: do not count what is in the store as done.

        Raises:
            ConfigurationError: the selection matches nothing, or nothing of the first look.
        """
        self._whole, self._store = whole, store
        self._chosen = {cell.id for cell in selected(whole.cells, select)}
        seeds = whole.loaded.suite.seeds
        self.ended = not isinstance(seeds, AdaptiveSeeds)
        self.judged: dict[str, Any] | None = None
        self.plan = self._part(seeds.min) if isinstance(seeds, AdaptiveSeeds) else self.most
        if not self.plan.cells:
            needed = f"seeds 0 … {len(labels(self.plan.loaded.suite)) - 1}"
            message = f"--select '{select}' leaves nothing of the first look ({needed}); more seeds are run only when "
            raise ConfigurationError([f"{message}the claim that decides asks for them"])
        while not fresh and not self.ended and not self.todo():
            self.advance({})

    @property
    def most(self) -> Plan:
        """The selected part of the plan of all seeds that there may be."""
        return self._selected(self._whole)

    @property
    def look(self) -> Look | None:
        """The present look; None where the number of seeds is fixed."""
        return look_of(self.plan.loaded.suite)

    def done(self) -> set[str]:
        """Return the ids of the plan's cells that are in the store now."""
        return set(finished(self.plan.cells, self._store))

    def todo(self, broken: Collection[str] = ()) -> list[Cell]:
        """Return the cells to do next; panels wait until no look follows, and what broke in this run is left alone."""
        done = self.done()
        left = [cell for cell in self.plan.cells if cell.id not in done and cell.id not in broken]
        return [cell for cell in left if self.ended or cell.kind != "panel"]

    def advance(self, errors: Mapping[str, Any]) -> bool:
        """Judge the present look and go on; return whether there is more to do: another look, or the panels."""
        if self.ended:
            return False
        look = self.look
        assert look is not None
        suite, cells = self.plan.loaded.suite, self.plan.cells
        stored = finished(cells, self._store)
        unmatched = mismatches(arms(suite), labels(suite), stored)
        rows = collect_rows(cells, stored, [cell_id for cell_id in errors if cell_id not in stored])
        _, claims = claims_of(rows, suite, predictions(cells, stored), unmatched)
        how, text = ending(look, claims)
        self.judged = self._as_json(look, how, text)
        if how == "open":
            self.plan = self._part(look.seeds + 1)
        else:
            self.ended = True
        return True

    def summary(self) -> dict[str, Any] | None:
        """Return what a run's plan and events say of the looks; None where the number of seeds is fixed."""
        look = self.look
        if look is None:
            return None
        if self.ended and self.judged is not None:
            return self.judged
        return self._as_json(look, "open", f"{look.place}, {look.seeds} of at most {look.most} seeds: not finished")

    def _as_json(self, look: Look, how: str, text: str) -> dict[str, Any]:
        return {
            "until": look.until,
            "counts": list(look.design.looks),
            "look": look.index + 1,
            "seeds": look.seeds,
            "most": look.most,
            "ending": how,
            "text": text,
        }

    def _part(self, count: int) -> Plan:
        """Return what the seeds up to the first look with `count` of them need; the panels too, any run makes them."""
        whole = self._whole
        suite = at_look(whole.loaded.suite, count)
        needed = set(labels(suite))
        cells = tuple(cell for cell in whole.cells if cell.kind == "panel" or cell.seed in needed)
        loaded = replace(whole.loaded, suite=suite)
        keys = {cell.id: whole.keys[cell.id] for cell in cells}
        return self._selected(Plan(loaded, cells, keys, whole.cached & keys.keys(), formula(loaded, cells)))

    def _selected(self, plan: Plan) -> Plan:
        cells = tuple(cell for cell in plan.cells if cell.id in self._chosen)
        return replace(plan, cells=cells, cached=plan.cached & self._chosen)
