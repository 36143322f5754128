"""From the timing processes' documents to samples, and from samples to rows. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stabbench.probes._latency.protocol import Protocol, Timed
from stabbench.records import Coordinate, Direction, Measurement, Row

CONTAMINATED = 0.05
"""A round is contaminated if its thread waited for a processor for more than this share of the round's time."""

# Fewest rounds for which the percentile, one slower round allowed, holds at 99 % confidence (MLPerf loadgen's rule).
PERCENTILES: Mapping[int, int] = {90: 64, 99: 662}


@dataclass
class Samples:
    """The rounds of one subject and shape in one process, in order.

    Attributes:
        seconds: wall time of each round.
        waits: seconds of each round spent waiting for a processor; None where the system does not say.
        tokens: real (unpadded) tokens of each round.
    """

    seconds: list[float] = field(default_factory=list)
    waits: list[float | None] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median seconds of a round."""
        return float(np.median(self.seconds))

    @property
    def contaminated(self) -> float | None:
        """Share of contaminated rounds, or None where waits are unknown."""
        pairs = [(w, s) for w, s in zip(self.waits, self.seconds, strict=True) if w is not None]
        return float(np.mean([w > CONTAMINATED * s for w, s in pairs])) if pairs else None


Key = tuple[int, int, int, int]
"""(process, subject, batch, length)."""


def collect(documents: Sequence[Mapping[str, Any]]) -> dict[Key, Samples]:
    """Return the samples of every process, subject and shape from pytest-benchmark's documents, one per process."""
    found: dict[Key, Samples] = {}
    for process, document in enumerate(documents):
        for benchmark in document["benchmarks"]:
            info = benchmark["extra_info"]
            if info["kind"] == "turn":
                samples = found.setdefault((process, info["subject"], info["batch"], info["length"]), Samples())
                samples.seconds += benchmark["stats"]["data"]
                samples.waits += info["waits"]
                samples.tokens += info["tokens"]
    return found


def as_document(found: Mapping[Key, Samples], protocol: Protocol, documents: Sequence[Mapping[str, Any]]) -> Any:
    """Return ``processes`` of ``latency.json``: per process the order of its first turns, and every sample."""
    return [
        {
            "process": process,
            "order": _order(document),
            "subjects": [
                _subject(protocol.subjects[subject], batch, length, samples)
                for (number, subject, batch, length), samples in sorted(found.items())
                if number == process
            ],
        }
        for process, document in enumerate(documents)
    ]


def rows(found: Mapping[Key, Samples], protocol: Protocol, documents: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return every row of the panel; what each metric means is in the probe's docstring."""
    result: list[Row] = []
    for batch, length in protocol.shapes:
        shape = _Shape(found, protocol, batch, length)
        for index, timed in enumerate(protocol.subjects):
            if not timed.replicate:
                result += [_row(timed, measurement) for measurement in shape.measurements(index)]
        reference = protocol.subjects[0]
        result += [_row(reference, measurement) for measurement in shape.replicate_ratios()]
        result.append(_row(reference, _tokenization(documents, batch, length)))
    return result


def untimed(timed: Timed, batch: int, length: int) -> Row:
    """Return the row of a subject that was not timed because its model diverged."""
    at: dict[str, Coordinate] = {"batch": batch, "length": length}
    return _row(timed, Measurement("latency.p50", None, "seconds", "lower", at, 0, 0, "failed-run"))


@dataclass(frozen=True)
class _Shape:
    """All samples of one batch size and length."""

    found: Mapping[Key, Samples]
    protocol: Protocol
    batch: int
    length: int

    @property
    def at(self) -> dict[str, Coordinate]:
        return {"batch": self.batch, "length": self.length}

    def samples(self, subject: int) -> list[Samples]:
        return [self.found[p, subject, self.batch, self.length] for p in range(self.protocol.processes)]

    def medians(self, subject: int) -> np.ndarray:
        """(P,) process medians in seconds."""
        return np.array([samples.median for samples in self.samples(subject)])

    def measurements(self, subject: int) -> Iterator[Measurement]:
        medians = self.medians(subject)
        seconds = np.concatenate([samples.seconds for samples in self.samples(subject)])
        n = len(seconds)
        yield self._measurement("latency.p50", float(np.median(medians)), "seconds", "lower", n)
        for process, samples in enumerate(self.samples(subject)):
            at = {**self.at, "process": process}
            rounds = len(samples.seconds)
            yield Measurement("latency.process_p50", samples.median, "seconds", "lower", at, rounds, rounds)
        for percentile, needed in PERCENTILES.items():
            if n >= needed:
                # The next slower round that was seen: no interpolation towards faster ones.
                value = float(np.quantile(seconds, percentile / 100, method="higher"))
                yield self._measurement(f"latency.p{percentile}", value, "seconds", "lower", n)
        # The unit is the process: one log ratio each.
        ratio = float(np.exp(np.mean(np.log(medians / self.medians(0)))))
        yield self._measurement("latency.ratio", ratio, "ratio", "lower", len(medians))
        yield self._contaminated(subject)
        if self.batch > 1:
            yield from self._throughput(subject)

    def replicate_ratios(self) -> Iterator[Measurement]:
        replicate = next(i for i, timed in enumerate(self.protocol.subjects) if timed.replicate)
        for process, ratio in enumerate(self.medians(replicate) / self.medians(0)):
            at = {**self.at, "process": process}
            rounds = len(self.samples(replicate)[process].seconds)
            yield Measurement("latency.aa_ratio", float(ratio), "ratio", "neither", at, rounds, rounds)

    def _contaminated(self, subject: int) -> Measurement:
        shares = [(samples.contaminated, len(samples.seconds)) for samples in self.samples(subject)]
        known = [(share, n) for share, n in shares if share is not None]
        used, planned = sum(n for _, n in known), sum(n for _, n in shares)
        value = sum(share * n for share, n in known) / used if used else None
        return Measurement("latency.contaminated", value, "share", "lower", self.at, used, planned)

    def _throughput(self, subject: int) -> Iterator[Measurement]:
        samples = self.samples(subject)
        texts = np.median([np.median(self.batch / np.array(s.seconds)) for s in samples])
        tokens = np.median([np.median(np.array(s.tokens) / np.array(s.seconds)) for s in samples])
        n = sum(len(s.seconds) for s in samples)
        yield self._measurement("throughput.texts", float(texts), "texts/s", "higher", n)
        yield self._measurement("throughput.tokens", float(tokens), "tokens/s", "higher", n)

    def _measurement(self, metric: str, value: float, unit: str, better: Direction, n: int) -> Measurement:
        return Measurement(metric, value, unit, better, self.at, n, n)


def _tokenization(documents: Sequence[Mapping[str, Any]], batch: int, length: int) -> Measurement:
    rounds = [
        benchmark["stats"]["data"]
        for document in documents
        for benchmark in document["benchmarks"]
        if benchmark["extra_info"] == {"kind": "tokenization", "batch": batch, "length": length}
    ]
    value = float(np.median([np.median(data) for data in rounds]))
    n = sum(len(data) for data in rounds)
    return Measurement("latency.tokenization", value, "seconds", "lower", {"batch": batch, "length": length}, n, n)


def _row(timed: Timed, measurement: Measurement) -> Row:
    return Row(timed.variant, timed.seed, timed.compression, "latency", measurement)


def _order(document: Mapping[str, Any]) -> list[int]:
    turns = (item["extra_info"] for item in document["benchmarks"] if item["extra_info"]["kind"] == "turn")
    return list(dict.fromkeys(turn["subject"] for turn in turns))


def _subject(timed: Timed, batch: int, length: int, samples: Samples) -> dict[str, Any]:
    seconds = np.array(samples.seconds)
    return {
        "variant": timed.variant,
        "seed": timed.seed,
        "compression": timed.compression,
        "replicate": timed.replicate,
        "batch": batch,
        "length": length,
        "median": samples.median,
        "quantiles": [samples.median, float(np.quantile(seconds, 0.9, method="higher")), float(seconds.max())],
        "rounds": len(samples.seconds),
        "contaminated": samples.contaminated,
        "samples": samples.seconds,
    }
