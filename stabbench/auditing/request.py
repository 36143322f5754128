"""What an audit is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Predictor = Callable[[list[Any]], Any]
"""Texts (pairs: tuples of two) → (n, C) probabilities, rows summing to 1."""
DEFAULT_STORE = Path(".stabbench/store")


@dataclass(frozen=True)
class AuditRequest:
    """One audit.

    Attributes:
        model: a folder or hub id of a fine-tuned classifier, or a callable.
        data: a csv, tsv, jsonl or parquet file of labelled texts.
        text, text_pair, label: its columns; None: told by their names.
        vs: a second checkpoint that the first is compared with, or None.
        classes: label of each output of the model, in their order; None: told by its config.
        vs_classes: the same of the second.
        negative, positive: labels that mean so, for tests of sentiment; empty: told by the names of the outputs.
        probes: names; None: the default ones.
        behavior, replay: files of behavioural tests and of adversarial texts; empty: the sets that are shipped.
        jobs: processes side by side; None: two.
        max_seconds: no cell is started after so long.
        offline: refuse every non-local connection.
        store: folder of finished cells.
        out: run folder; None: ``runs/<UTC>-audit``.
    """

    model: str | Predictor
    data: Path
    text: str | None = None
    text_pair: str | None = None
    label: str | None = None
    vs: str | Predictor | None = None
    classes: Sequence[str] | None = None
    vs_classes: Sequence[str] | None = None
    negative: Sequence[str] = ()
    positive: Sequence[str] = ()
    probes: Sequence[str] | None = None
    behavior: Sequence[Path] = ()
    replay: Sequence[Path] = ()
    jobs: int | None = None
    max_seconds: float | None = None
    offline: bool = False
    store: Path = DEFAULT_STORE
    out: Path | None = None

    @property
    def checkpoints(self) -> dict[str, tuple[str | Predictor, Sequence[str] | None]]:
        """Variant → (what it is, label of each of its outputs): ``model``, and ``other`` where there is a second."""
        found = {"model": (self.model, self.classes)}
        return found if self.vs is None else {**found, "other": (self.vs, self.vs_classes)}
