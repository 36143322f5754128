"""Adaptive seeds, checked before anything runs: one primary claim must be able to say when there are enough."""

from __future__ import annotations

from collections.abc import Iterator

from stabbench import registry
from stabbench.errors import Problem, unknown_name
from stabbench.suite.claims import primary_entries
from stabbench.suite.metrics import probe_of
from stabbench.suite.schema import AdaptiveSeeds, PrimaryClaim, Suite
from stabbench.suite.yaml_file import Document

FEWEST_MORE = 2


def adaptive_problems(suite: Suite, seeds: AdaptiveSeeds, document: Document) -> Iterator[Problem]:
    """Yield what is wrong with ``seeds: {min, max, until}``."""
    if seeds.max < seeds.min + FEWEST_MORE:
        message = f"must be at least `min` + {FEWEST_MORE} = {seeds.min + FEWEST_MORE}; found {seeds.max}"
        yield document.problem(("seeds", "max"), message)
    entries = primary_entries(suite)
    named = [entry for entry in entries if entry.metric == seeds.until]
    where = ("seeds", "until")
    if not named:
        metrics = [entry.metric for entry in entries]
        yield document.problem(where, unknown_name("claim of compare.primary", seeds.until, metrics))
    elif len(named) > 1:
        message = (
            f"compare.primary has {len(named)} claims on {seeds.until}; leave one, so that it is clear which decides"
        )
        yield document.problem(where, message)
    elif not _paired_by_seed(seeds.until):
        message = f"{seeds.until} is not compared by the paired t test over seeds; name a claim such as accuracy"
        yield document.problem(where, message)
    else:
        yield from _candidate_problems(suite, named[0], document)


def _candidate_problems(suite: Suite, entry: PrimaryClaim, document: Document) -> Iterator[Problem]:
    candidates = [name for name in suite.variants if name != suite.compare.reference]
    if entry.candidate is not None or len(candidates) == 1:
        return
    if candidates:
        example = f"{{metric: {entry.metric}, candidate: {candidates[0]}}}"
        message = (
            f"the claim on {entry.metric} has {len(candidates)} candidates ({', '.join(candidates)}); name one in "
            f"compare.primary: {example}"
        )
    else:
        message = "there is no candidate to decide about; add a variant, or give a number of seeds"
    yield document.problem(("seeds", "until"), message)


def _paired_by_seed(metric: str) -> bool:
    """Return whether a metric has one value per seed that a paired t test can compare."""
    if metric == "train.failed" or metric.startswith("seeds."):
        return False
    probe = probe_of(metric)
    return not (probe in registry.names("probes") and registry.card("probes", probe).traits["panel"])
