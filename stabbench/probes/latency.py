"""Latency and throughput of all subjects together: interleaved, in fresh processes, with an A/A replicate."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from stabbench.compression.base import DIVERGED, runtime_of
from stabbench.probes._latency.contamination import CONTAMINATED, STOLEN, degraded
from stabbench.probes._latency.own_processes import run_cold, run_server
from stabbench.probes._latency.own_rows import COLD, SERVER, cold_rows, fact_rows, server_rows
from stabbench.probes._latency.processes import cores, run_processes, side_by_side
from stabbench.probes._latency.protocol import ENVIRONMENT, Protocol, ServerPlan, Timed
from stabbench.probes._latency.results import as_document, collect, place_of, rows, untimed, who
from stabbench.probes.base import Context, Member, PanelProbe
from stabbench.records import DENSE, Coordinate, Row, finite
from stabbench.seeding import derive
from stabbench.store.environment import instruction_set

Positive = Annotated[int, Field(ge=1)]
Scenario = Literal["single", "offline", "mixed", "cold", "server"]
_TEXTS = 256


@dataclass(frozen=True)
class Latency(PanelProbe):
    """Seconds per forward pass and texts per second, of every subject in every process.

    The first member is the reference; its dense model is loaded a second time as the A/A replicate. Scenarios:
    ``single`` (batch 1) and ``offline`` (larger batches) at {batch, length}; ``mixed``, batch 1 at the texts' own
    lengths, the same texts for everyone, at {scenario}; ``cold``, a fresh process up to its first answer, at
    {scenario}; ``server``, requests in an open loop against a process with a bounded queue, at {scenario, load}.

    - ``latency.p50`` seconds, median over processes of process medians; ``latency.process_p50`` each of these, at
      {process} too; ``latency.p90`` and ``latency.p99`` over all rounds, only from 64 and 662 rounds on;
    - ``latency.ratio`` to the reference's dense model, the geometric mean of the processes' ratios;
      ``latency.aa_ratio`` the replicate's to the reference's median, at {process}: how far from 1 equal models come;
    - ``latency.contaminated`` share of rounds that waited for a processor for more than 5 % of their time; None where
      the system does not tell (only Linux does); ``latency.clean_p50`` the median without them;
    - ``throughput.texts`` and ``throughput.tokens`` (real tokens, padding not counted) per second, at batches above 1
      and mixed; ``latency.tokenization`` seconds to tokenise one batch, ``latency.with_tokenization`` median from text
      to answer; every other number of these scenarios leaves tokenization out;
    - ``cost.cpu_seconds`` and ``cost.macs`` per 1,000 texts; ``size.part`` bytes at {part};
    - cold: ``latency.cold_part`` at {part} (import, load, first answer), ``latency.calls_until_steady``,
      ``memory.peak`` of the fresh process, ``memory.imports`` after imports, ``memory.serving`` peak once loaded; only
      what serving the subject needs is imported: no torch where ONNX Runtime or OpenVINO runs it;
    - server: latencies count from when a request was due, tokenization included; ``latency.refused`` share turned away
      by the full queue (in p90 and p99 they are infinite); ``throughput.at_bound`` highest rate tried at which 90 % of
      requests stay within `server_bound`; ``throughput.closed_loop``.

    Stores ``rounds-K.json``, pytest-benchmark's document of process K, and ``latency.json``: {"processes": [{"process",
    "order", "machine", "subjects": [{"variant", "seed", "compression", "replicate", "batch", "length", "median",
    "quantiles": [p50, p90, max], "rounds", "contaminated", "samples", "waits"}]}], "protocol", "facts", "cold",
    "server"}. A compressed subject of a diverged model is not timed: its ``latency.p50`` is None with status
    ``failed-run``.
    """

    version: ClassVar[int] = 4
    worker: ClassVar[Literal["torch", "attack", "exclusive"]] = "exclusive"
    paper: ClassVar[str] = """
        Reddi et al. 2020, MLPerf Inference, arXiv:1911.02549 (scenarios, sample counts); Williams 1949 (balanced order)
    """
    equation: ClassVar[str] = """
        ratio = exp((1/P) Σ_k ln(m_k / r_k)) over processes k with medians m_k of the subject and r_k of the reference.
        server: latency_i = answered_i − due_i, gaps of due exponential with mean 1/(load × the reference's rate).
    """
    changes: ClassVar[str] = "Nothing: it reads models and texts."
    cost: ClassVar[str] = """
        Per process the start of a Python with torch (two start together, none runs beside a timed one), then for every
        subject warmup + rounds_batched passes at each large batch and warmup + 1.5 rounds_single at batch 1 and mixed.
        cold: a start of Python for every subject and process. server: one more, and about eight loads of
        server_requests texts. Nothing else of a run may run.
    """
    departures: ClassVar[str] = """
        At {batch, length} texts are real, cut and padded to `length`. pytest-benchmark times and stores, it never
        judges. The server takes its requests over a pipe, not a network.
    """
    pitfalls: ClassVar[str] = """
        Milliseconds belong to the machine and its neighbours; ratios within a process are what compares. Read
        aa_ratio first: a difference smaller than its spread is not a difference. One thread, eager torch: not what a
        tuned server reaches. Cold starts find their files in the page cache. A cold start imports what serving the
        subject needs: torch and transformers, or for a graph its runtime and tokenizers alone; Python and a few files
        of ours are in it too. A server process has torch loaded whatever it serves; its latencies do not count that.
    """

    batch: Annotated[tuple[Positive, ...], Field(min_length=1, description="texts per forward pass")] = (1, 32)
    length: Annotated[
        tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1, description="tokens per text, padding included")
    ] = (32,)
    processes: Annotated[int, Field(ge=1, description="fresh processes: the unit of replication")] = 6
    rounds_single: Annotated[int, Field(ge=1, description="timed rounds per subject and process at batch 1")] = 20
    rounds_batched: Annotated[int, Field(ge=1, description="timed rounds per subject and process above batch 1")] = 3
    warmup: Annotated[int, Field(ge=1, description="untimed rounds per subject and shape when a process starts")] = 1
    scenarios: Annotated[tuple[Scenario, ...], Field(min_length=1, description="what is measured")] = (
        "single",
        "offline",
    )
    server_loads: Annotated[
        tuple[Annotated[float, Field(gt=0, le=2)], ...],
        Field(min_length=1, description="request rates, as shares of the reference's closed-loop rate"),
    ] = (0.5, 0.8)
    server_requests: Annotated[int, Field(ge=64, description="requests per load and process")] = 100
    server_bound: Annotated[float, Field(gt=0, description="seconds that 90 % of requests must stay within")] = 0.1
    server_queue: Annotated[int, Field(ge=1, description="requests that may wait before others are refused")] = 64
    server_batch: Annotated[int, Field(ge=1, description="waiting texts scored at once, at most")] = 1

    def measure_panel(self, members: Sequence[Member], context: Context) -> list[Row]:
        """Run the processes one after another and return the rows.

        Raises:
            StabbenchError: a process failed; the message carries the end of what it printed.
        """
        diverged = [m for m in members if m.artifact is not None and (m.artifact / DIVERGED).is_file()]
        protocol = self._protocol([member for member in members if member not in diverged], context)
        found: list[Row] = []
        content: dict[str, Any] = {}
        signals: Mapping[str, float | None] = {}
        waits: list[float | None] = []
        if protocol.shapes:
            documents, facts = run_processes(protocol, context.folder)
            samples = collect(documents)
            found += [*rows(samples, protocol, documents), *fact_rows(facts, protocol)]
            content["processes"] = as_document(samples, protocol, documents)
            content["facts"] = [{**who(s), **f} for s, f in zip(protocol.subjects, facts, strict=True)]
            signals = documents[0]["stabbench"]
            waits = [wait for those in samples.values() for wait in those.waits]
        if "cold" in self.scenarios:
            content["cold"] = cold = run_cold(protocol)
            found += cold_rows(cold, protocol)
        if "server" in self.scenarios:
            content["server"] = server = run_server(protocol)
            found += server_rows(server, protocol)
        content["protocol"] = self._description(degraded(signals, waits))
        (context.folder / "latency.json").write_text(json.dumps(finite(content)), encoding="utf-8")
        return [*found, *(untimed(_timed(member), at) for member in diverged for at in self._places(protocol))]

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
            scenarios=tuple(self.scenarios),
            server=ServerPlan(
                tuple(self.server_loads), self.server_requests, self.server_bound, self.server_queue, self.server_batch
            ),
        )

    def _places(self, protocol: Protocol) -> list[Mapping[str, Coordinate]]:
        found: list[Mapping[str, Coordinate]] = [place_of(*shape) for shape in protocol.shapes]
        found += [COLD] if "cold" in self.scenarios else []
        return found + [{**SERVER, "load": load} for load in self.server_loads if "server" in self.scenarios]

    def _description(self, lacking: list[str]) -> dict[str, Any]:
        """What was done, and what this system could not do."""
        if "server" in self.scenarios and cores() < 2:
            lacking = [*lacking, "one processor: the server scenario's client and server take turns on it"]
        return {
            **self.options(),
            "dtype": "float32 for dense; see facts for the number types of each subject's weights",
            "threads": 1,
            "instruction_set": list(instruction_set()),
            "environment": ENVIRONMENT,
            "garbage_collection": "off",
            "started": f"{side_by_side()} together, up to a gate behind which one at a time loads and is timed",
            "order": "Williams design over blocks and processes; load order reversed in every second process",
            "contaminated_above": CONTAMINATED,
            "stolen_above": STOLEN,
            "degraded": lacking,
        }


def _timed(member: Member) -> Timed:
    artifact = None if member.artifact is None else str(member.artifact.resolve())
    runtime = "torch" if member.compression == DENSE else runtime_of(member.compression)
    folder = str(member.folder.resolve())
    return Timed(member.variant, member.seed, member.compression, folder, artifact, runtime=runtime)
