"""What the report reads of a run: rows looked up by metric, traces, predictions, attack rows. No model, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from stabbench.records import DENSE, Row
from stabbench.store.run_folder import RunFolder


class Source:
    """A finished run, with the look-ups that the sections need."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.suite: Mapping[str, Any] = run.suite
        self.rows = run.rows

    @cached_property
    def variants(self) -> list[str]:
        """Variants, the reference first."""
        reference = self.suite["compare"]["reference"]
        return sorted(self.suite["variants"], key=lambda name: name != reference)

    @cached_property
    def of_checkpoints(self) -> bool:
        """Whether nothing was trained: every variant is a finished checkpoint."""
        return all("checkpoint" in variant for variant in self.suite["variants"].values())

    def name_of(self, variant: str) -> str:
        """Return a variant's name in a table; of an audit with the word that its numbers must be read with."""
        marked = any(row.measurement.status == "failed-run" for row in self.rows if row.variant == variant)
        return f"{variant} (collapsed)" if self.of_checkpoints and marked else variant

    @cached_property
    def seeds(self) -> list[str]:
        """Seed labels of this run, in planned order."""
        return list(dict.fromkeys(cell["seed"] for cell in self.run.plan["cells"] if cell["kind"] == "train"))

    @cached_property
    def compressions(self) -> list[str]:
        """Compression labels, ``dense`` first."""
        found = dict.fromkeys(row.compression for row in self.rows)
        return [DENSE, *(name for name in found if name != DENSE)]

    @cached_property
    def _index(self) -> dict[tuple[str, str, str], list[Row]]:
        index: dict[tuple[str, str, str], list[Row]] = {}
        for row in self.rows:
            index.setdefault((row.measurement.metric, row.variant, row.compression), []).append(row)
        return index

    def find(
        self, metric: str, variant: str, compression: str = DENSE, at: Mapping[str, Any] | None = None
    ) -> list[Row]:
        """Return the rows of a metric; with `at` those whose coordinates are exactly these."""
        rows = self._index.get((metric, variant, compression), [])
        return rows if at is None else [row for row in rows if dict(row.measurement.at) == dict(at)]

    def by_seed(
        self, metric: str, variant: str, compression: str = DENSE, at: Mapping[str, Any] | None = None
    ) -> dict[str, float]:
        """Return seed → value, unknown values left out."""
        rows = self.find(metric, variant, compression, at or {})
        return {r.seed: r.measurement.value for r in rows if r.seed is not None and r.measurement.value is not None}

    def one(
        self, metric: str, variant: str, compression: str = DENSE, at: Mapping[str, Any] | None = None
    ) -> float | None:
        """Return the value of a group's only row, or None."""
        rows = self.find(metric, variant, compression, at or {})
        return rows[0].measurement.value if rows else None

    def failed(self, variant: str) -> list[str]:
        """Return the seeds of a variant's failed runs."""
        return [seed for seed, value in self.by_seed("train.failed", variant).items() if value]

    def metrics(self) -> set[str]:
        """Return the metrics that this run has."""
        return {row.measurement.metric for row in self.rows}

    def traces(self, variant: str) -> Iterator[tuple[str, Mapping[str, np.ndarray]]]:
        """Yield (seed, arrays of ``trace.npz``) of every finished training of a variant."""
        for seed in self.seeds:
            stored = self.run.cell(f"train/{variant}/{seed}")
            if stored is not None and (stored.folder / "trace.npz").exists():
                with np.load(stored.folder / "trace.npz") as arrays:
                    yield seed, dict(arrays)

    def majority(self) -> float | None:
        """Return the share of the commonest label of the test split, or None."""
        for variant in self.variants:
            for seed in self.seeds:
                stored = self.run.cell(f"accuracy/{variant}/{seed}/dense")
                if stored is not None:
                    with np.load(stored.folder / "predictions.npz") as arrays:
                        return float(np.bincount(arrays["label"]).max() / len(arrays["label"]))
        return None

    def classes(self) -> list[str]:
        """Return the class names, by index."""
        for cell in self.run.plan["cells"]:
            if cell["kind"] == "train" and (stored := self.run.cell(cell["id"])) is not None:
                return [str(name) for name in stored.details["classes"]]
        return []

    def attacks(self, variant: str, seed: str) -> list[dict[str, Any]]:
        """Return the attack rows of one trial."""
        return self.lines("attack", variant, seed)

    def lines(self, probe: str, variant: str, seed: str) -> list[dict[str, Any]]:
        """Return the rows that a probe stored of one trial in ``PROBE.jsonl``; none where there is no such file."""
        stored = self.run.cell(f"{probe}/{variant}/{seed}/dense")
        if stored is None or not (stored.folder / f"{probe}.jsonl").exists():
            return []
        lines = (stored.folder / f"{probe}.jsonl").read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines if line]

    def recipes(self, variant: str, seed: str) -> dict[str, dict[str, Any]]:
        """Return recipe → what the attack probe told of it (``recipes.json``) for one trial; empty where it did not."""
        stored = self.run.cell(f"attack/{variant}/{seed}/dense")
        if stored is None or not (stored.folder / "recipes.json").exists():
            return {}
        found: dict[str, dict[str, Any]] = json.loads((stored.folder / "recipes.json").read_text(encoding="utf-8"))
        return found
