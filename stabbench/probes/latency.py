"""Latency and throughput of all subjects together: interleaved, in fresh processes, with an A/A replicate."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from stabbench.compression.base import DIVERGED
from stabbench.probes._latency.processes import run_processes
from stabbench.probes._latency.protocol import ENVIRONMENT, Protocol, Timed
from stabbench.probes._latency.results import CONTAMINATED, as_document, collect, rows, untimed
from stabbench.probes.base import Context, Member, PanelProbe
from stabbench.records import Row
from stabbench.seeding import derive

Positive = Annotated[int, Field(ge=1)]
_TEXTS = 256


@dataclass(frozen=True)
class Latency(PanelProbe):
    """Seconds per forward pass and texts per second, of every subject in every process.

    The first member is the reference; its dense model is loaded a second time as the A/A replicate. The single-stream
    scenario is batch 1, the offline one a larger batch. Metrics, all at {batch, length}:

    - ``latency.p50`` seconds, median over processes of process medians; ``latency.process_p50`` each of these, at
      {process} too; ``latency.p90`` and ``latency.p99`` over all rounds, only from 64 and 662 rounds on;
    - ``latency.ratio`` to the reference's dense model, the geometric mean of the processes' ratios;
      ``latency.aa_ratio`` the replicate's to the reference's median, at {process}: how far from 1 equal models come;
    - ``latency.contaminated`` share of rounds that waited for a processor for more than 5 % of their time; None where
      the system does not tell (only Linux does);
    - ``throughput.texts`` and ``throughput.tokens`` (real tokens, padding not counted) per second, at batches above 1;
    - ``latency.tokenization`` seconds to tokenise one batch; the other numbers leave tokenization out.

    Stores ``rounds-K.json``, pytest-benchmark's document of process K, and ``latency.json``: {"processes": [{"process",
    "order", "subjects": [{"variant", "seed", "compression", "replicate", "batch", "length", "median", "quantiles":
    [p50, p90, max], "rounds", "contaminated", "samples"}]}], "protocol"}. A compressed subject of a diverged model is
    not timed: its ``latency.p50`` is None with status ``failed-run``.
    """

    version: ClassVar[int] = 1
    worker: ClassVar[Literal["torch", "attack", "exclusive"]] = "exclusive"
    paper: ClassVar[str] = """
        Reddi et al. 2020, MLPerf Inference, arXiv:1911.02549 (scenarios, sample counts); Williams 1949 (balanced order)
    """
    equation: ClassVar[str] = """
        ratio = exp((1/P) Σ_k ln(m_k / r_k)) over processes k with medians m_k of the subject and r_k of the reference.
    """
    changes: ClassVar[str] = "Nothing: it reads models and texts."
    cost: ClassVar[str] = """
        Per process the start of a Python with torch, then for every subject warmup + rounds_batched passes at each
        large batch and warmup + 1.5 rounds_single at batch 1. Nothing else of a run may run meanwhile.
    """
    departures: ClassVar[str] = """
        Fixed shapes: texts are real, cut and padded to `length`. pytest-benchmark times and stores, it never judges.
        Memory is not measured: all subjects share a process.
    """
    pitfalls: ClassVar[str] = """
        Milliseconds belong to the machine and its neighbours; ratios within a process are what compares. Read
        aa_ratio first: a difference smaller than its spread is not a difference. One thread, eager torch: not what a
        tuned server reaches.
    """

    batch: Annotated[tuple[Positive, ...], Field(min_length=1, description="texts per forward pass")] = (1, 32)
    length: Annotated[
        tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1, description="tokens per text, padding included")
    ] = (32,)
    processes: Annotated[int, Field(ge=1, description="fresh processes: the unit of replication")] = 6
    rounds_single: Annotated[int, Field(ge=1, description="timed rounds per subject and process at batch 1")] = 20
    rounds_batched: Annotated[int, Field(ge=1, description="timed rounds per subject and process above batch 1")] = 3
    warmup: Annotated[int, Field(ge=1, description="untimed rounds per subject and shape when a process starts")] = 1

    def measure_panel(self, members: Sequence[Member], context: Context) -> list[Row]:
        """Run the processes one after another and return the rows.

        Raises:
            StabbenchError: a process failed; the message carries the end of what it printed.
        """
        diverged = [m for m in members if m.artifact is not None and (m.artifact / DIVERGED).is_file()]
        protocol = self._protocol([member for member in members if member not in diverged], context)
        documents = run_processes(protocol, context.folder)
        samples = collect(documents)
        content = {"processes": as_document(samples, protocol, documents), "protocol": self._description()}
        (context.folder / "latency.json").write_text(json.dumps(content), encoding="utf-8")
        return [
            *rows(samples, protocol, documents),
            *(untimed(_timed(member), batch, length) for member in diverged for batch, length in protocol.shapes),
        ]

    def _protocol(self, members: Sequence[Member], context: Context) -> Protocol:
        reference = members[0]
        assert reference.artifact is None, "the first member of a latency panel must be the reference's dense model"
        timed = [_timed(member) for member in members]
        chosen = sorted(context.dataset.test, key=lambda example: derive("latency", example.id))[:_TEXTS]
        return Protocol(
            subjects=(*timed, dataclasses.replace(timed[0], replicate=1)),
            batch=tuple(self.batch),
            length=tuple(self.length),
            processes=self.processes,
            rounds_single=self.rounds_single,
            rounds_batched=self.rounds_batched,
            warmup=self.warmup,
            texts=tuple(example.content for example in chosen),
        )

    def _description(self) -> dict[str, Any]:
        """What was done, and what this system could not do."""
        degraded = [] if sys.platform == "linux" else ["no run-queue wait: contaminated rounds cannot be told"]
        return {
            **self.options(),
            "dtype": "float32 for dense",
            "threads": 1,
            "environment": ENVIRONMENT,
            "garbage_collection": "off",
            "order": "Williams design over blocks and processes; load order reversed in every second process",
            "contaminated_above": CONTAMINATED,
            "degraded": degraded,
        }


def _timed(member: Member) -> Timed:
    artifact = None if member.artifact is None else str(member.artifact.resolve())
    return Timed(member.variant, member.seed, member.compression, str(member.folder.resolve()), artifact)
