"""pytest-benchmark's documents of a bench: what our hooks add to one process's, and many processes' made one. No torch.

A merged document holds each benchmark once, with the rounds of all processes as its data, so that ``pytest-benchmark
compare`` reads it. What we decide by is ``extra_info["stabbench"]["processes"]``: one entry per fresh process.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stabbench.probes._latency.contamination import share_contaminated
from stabbench.probes._latency.protocol import ENVIRONMENT
from stabbench.probes._latency.samples import PERCENTILES
from stabbench.store.environment import hardware_class, instruction_set, processor, version

KEY = "stabbench"
PACKAGES = ("torch", "transformers", "onnxruntime", "tokenizers", "pytest-benchmark", "stabbench")


def machine_facts() -> dict[str, Any]:
    """Return what a latency depends on, for ``machine_info``."""
    return {
        "hardware_class": hardware_class(),
        "processor": processor(),
        "instruction_set": list(instruction_set()),
        "system": platform.system(),
        "environment": {name: os.environ.get(name) for name in ENVIRONMENT},
        "packages": {name: version(name) for name in PACKAGES},
    }


def describe_rounds(seconds: Sequence[float], info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is added to one benchmark of one process.

    ``median``, ``interval`` (95 % of the median, by order statistics; None below 6 rounds), ``p90`` and ``p99`` (None
    below 64 and 662 rounds), ``ratio`` (median of each round's ratio to its anchor), ``contaminated`` (share of rounds
    that waited for a processor; None where the system does not say), ``n``.
    """
    ordered = sorted(seconds)
    n = len(ordered)
    anchors = info["anchors"]
    ratio = float(np.median(np.array(seconds) / np.array(anchors))) if len(anchors) == n and n else None
    percentiles = {
        f"p{percent}": float(np.quantile(ordered, percent / 100, method="higher")) if n >= needed else None
        for percent, needed in PERCENTILES.items()
    }
    ranks = median_ranks(n)
    return {
        "median": float(np.median(ordered)) if n else None,
        "interval": None if ranks is None else [ordered[ranks[0] - 1], ordered[ranks[1] - 1]],
        **percentiles,
        "ratio": ratio,
        "contaminated": share_contaminated(seconds, info["waits"]) if len(info["waits"]) == n else None,
        "n": n,
    }


def median_ranks(n: int, level: float = 0.95) -> tuple[int, int] | None:
    """Return the ranks (from 1) of the order statistics that hold the median with at least `level`; None if none do.

    The largest r with P(B < r) ≤ (1 − level)/2 for B binomial(n, ½), and its mirror image n + 1 − r; free of any
    assumption on the distribution. n = 6 is the smallest for 95 %. Source: David & Nagaraja (2003), Order Statistics,
    §7.1.
    """
    tail, rank = 0.0, 0
    for successes in range(n):
        tail += math.comb(n, successes) / 2**n
        if tail > (1 - level) / 2:
            break
        rank = successes + 1
    return (rank, n + 1 - rank) if rank else None


def merge(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one document of all processes' documents, benchmarks in the first's order, each under its plain name."""
    names = list(dict.fromkeys(item["name"] for document in documents for item in document["benchmarks"]))
    merged = []
    for name in names:
        mine = [item for document in documents for item in document["benchmarks"] if item["name"] == name]
        first = mine[0]
        data = [value for item in mine for value in item["stats"]["data"]]
        told = [item["extra_info"][KEY]["process"] for item in mine]
        info = {"batch": first["extra_info"][KEY]["batch"], "length": first["extra_info"][KEY]["length"]}
        everything = {key: [x for item in mine for x in item["extra_info"][KEY][key]] for key in ("anchors", "waits")}
        extra = {**info, "all": describe_rounds(data, everything), "processes": told}
        merged.append({**first, "fullname": name, "extra_info": {KEY: extra}, "stats": {**_stats(data), "data": data}})
    return {**documents[0], "benchmarks": merged}


def _stats(data: Sequence[float]) -> dict[str, Any]:
    """Recompute pytest-benchmark's statistics over all rounds, by its own code, so that names and rules are its own."""
    from pytest_benchmark.stats import Stats

    stats = Stats()
    for value in data:
        stats.update(value)
    return {**stats.as_dict(), "iterations": 1}
