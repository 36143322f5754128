"""From the timing processes' documents to samples, and from samples to rows. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stabbench.probes._latency.protocol import MIXED, Protocol, Timed
from stabbench.probes._latency.samples import Place, Samples
from stabbench.records import Coordinate, Measurement, Row

Key = tuple[int, int, int, int]
"""(process, subject, batch, length)."""


def collect(documents: Sequence[Mapping[str, Any]]) -> dict[Key, Samples]:
    """Return the samples of every process, subject and shape from pytest-benchmark's documents, one per process."""
    found: dict[Key, Samples] = {}
    for process, document in enumerate(documents):
        steal = document.get("stabbench", {}).get("steal")
        for benchmark in document["benchmarks"]:
            info = benchmark["extra_info"]
            if info["kind"] == "turn":
                key = (process, info["subject"], info["batch"], info["length"])
                samples = found.setdefault(key, Samples(steal=steal))
                samples.seconds += benchmark["stats"]["data"]
                for name in ("waits", "tokens", "cpu", "tokenization"):
                    getattr(samples, name).extend(info[name])
    return found


def place_of(batch: int, length: int) -> dict[str, Coordinate]:
    """Return the coordinates of a shape."""
    return {"scenario": "mixed"} if length == MIXED else {"batch": batch, "length": length}


def as_document(found: Mapping[Key, Samples], protocol: Protocol, documents: Sequence[Mapping[str, Any]]) -> Any:
    """Return ``processes`` of ``latency.json``: per process the order of its first turns, signals, and every sample."""
    return [
        {
            "process": process,
            "order": _order(document),
            "machine": document.get("stabbench", {}),
            "subjects": [
                {**who(protocol.subjects[subject]), "batch": batch, "length": length, **_sampled(samples)}
                for (number, subject, batch, length), samples in sorted(found.items())
                if number == process
            ],
        }
        for process, document in enumerate(documents)
    ]


def rows(found: Mapping[Key, Samples], protocol: Protocol, documents: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return every row of the interleaved rounds; what each metric means is in the probe's docstring."""
    result: list[Row] = []
    for batch, length in protocol.shapes:
        mine = {(p, s): samples for (p, s, b, n), samples in found.items() if (b, n) == (batch, length)}
        place = Place(place_of(batch, length), protocol.subjects, mine)
        result += place.rows()
        for index, timed in enumerate(protocol.subjects):
            if not timed.replicate:
                more = [*_per_thousand(place, index, batch), *_with_tokenization(place, index)]
                more += _throughput(place, index, batch) if batch > 1 or length == MIXED else []
                result += [row(timed, measurement) for measurement in more]
        result.append(row(protocol.subjects[0], _tokenization(documents, batch, length)))
    return result


def untimed(timed: Timed, at: Mapping[str, Coordinate]) -> Row:
    """Return the row of a subject that was not timed because its model diverged."""
    return row(timed, Measurement("latency.p50", None, "seconds", "lower", at, 0, 0, "failed-run"))


def row(timed: Timed, measurement: Measurement) -> Row:
    """Return a measurement with the subject it belongs to."""
    return Row(timed.variant, timed.seed, timed.compression, "latency", measurement)


def who(timed: Timed) -> dict[str, Any]:
    """Return the names of a subject, for the stored documents."""
    return {
        "variant": timed.variant,
        "seed": timed.seed,
        "compression": timed.compression,
        "replicate": timed.replicate,
    }


def _per_thousand(place: Place, subject: int, batch: int) -> Iterator[Measurement]:
    """Processor seconds of 1,000 texts: what they cost, whoever else had the machine meanwhile."""
    samples = place.samples(subject)
    if all(s.cpu for s in samples):
        value = float(np.median([np.median(s.cpu) for s in samples])) * 1000 / batch
        n = sum(len(s.cpu) for s in samples)
        yield Measurement("cost.cpu_seconds", value, "seconds per 1000 texts", "lower", place.at, n, n)


def _with_tokenization(place: Place, subject: int) -> Iterator[Measurement]:
    """Seconds from text to answer: each round with its own tokenization."""
    samples = place.samples(subject)
    if all(s.tokenization for s in samples):
        whole = [np.median(np.array(s.seconds) + np.array(s.tokenization)) for s in samples]
        n = sum(len(s.seconds) for s in samples)
        yield Measurement("latency.with_tokenization", float(np.median(whole)), "seconds", "lower", place.at, n, n)


def _throughput(place: Place, subject: int, batch: int) -> Iterator[Measurement]:
    samples = place.samples(subject)
    texts = np.median([np.median(batch / np.array(s.seconds)) for s in samples])
    tokens = np.median([np.median(np.array(s.tokens) / np.array(s.seconds)) for s in samples])
    n = sum(len(s.seconds) for s in samples)
    yield Measurement("throughput.texts", float(texts), "texts/s", "higher", place.at, n, n)
    yield Measurement("throughput.tokens", float(tokens), "tokens/s", "higher", place.at, n, n)


def _tokenization(documents: Sequence[Mapping[str, Any]], batch: int, length: int) -> Measurement:
    rounds = [
        benchmark["stats"]["data"]
        for document in documents
        for benchmark in document["benchmarks"]
        if benchmark["extra_info"] == {"kind": "tokenization", "batch": batch, "length": length}
    ]
    value = float(np.median([np.median(data) for data in rounds]))
    n = sum(len(data) for data in rounds)
    return Measurement("latency.tokenization", value, "seconds", "lower", place_of(batch, length), n, n)


def _order(document: Mapping[str, Any]) -> list[int]:
    turns = (item["extra_info"] for item in document["benchmarks"] if item["extra_info"]["kind"] == "turn")
    return list(dict.fromkeys(turn["subject"] for turn in turns))


def _sampled(samples: Samples) -> dict[str, Any]:
    seconds = np.array(samples.seconds)
    return {
        "median": samples.median,
        "quantiles": [samples.median, float(np.quantile(seconds, 0.9, method="higher")), float(seconds.max())],
        "rounds": len(samples.seconds),
        "contaminated": samples.contaminated,
        "samples": samples.seconds,
        "waits": samples.waits,
    }
