"""Evidence about failed runs: Boschloo's test and Newcombe's interval, which must agree."""

from __future__ import annotations

from stabbench.claims.evidence import Contrast, Evidence, no_interval
from stabbench.claims.table import Table
from stabbench.statistics.failures import boschloo, mcnemar, newcombe
from stabbench.statistics.proportions import clopper_pearson


def evidence(contrast: Contrast, table: Table) -> Evidence:
    """Return the evidence of the seeds whose training finished in both arms; the effect is the rate difference."""
    metric, at = contrast.metric.name, contrast.at
    reference = table.values(metric, at, contrast.reference)
    candidate = table.values(metric, at, contrast.candidate)
    pairs = [seed for seed in table.seeds if seed in reference and seed in candidate]
    n, planned = len(pairs), len(table.seeds)
    failed = [(reference[seed] != 0, candidate[seed] != 0) for seed in pairs]
    first, second = (sum(r for r, _ in failed), n), (sum(c for _, c in failed), n)
    test = boschloo(first, second)
    undecidable = ""
    if table.crossed:
        undecidable = (
            "crossed seeds share their draws, so their runs are not independent; give `seeds: N` for a verdict"
        )
    elif n == 1:
        undecidable = "one seed: one run per arm says nothing about how often runs fail"
    return Evidence(
        reference_value=_rate(reference),
        candidate_value=_rate(candidate),
        effect=newcombe(first, second).value,
        p=None if table.crossed else test.p,
        interval=no_interval if table.crossed else lambda level: newcombe(first, second, level).interval,
        test="Boschloo",
        n_used=n,
        n_planned=planned,
        notes=_notes(failed, first, second) if n else (),
        blocked=("incomplete", f"{planned - n} of {planned} seed pairs were not trained") if n < planned else None,
        undecidable=undecidable,
    )


def _rate(values: dict[str, float]) -> float | None:
    return sum(value != 0 for value in values.values()) / len(values) if values else None


def _notes(failed: list[tuple[bool, bool]], first: tuple[int, int], second: tuple[int, int]) -> tuple[str, ...]:
    paired = mcnemar(sum(r and not c for r, c in failed), sum(c and not r for r, c in failed))
    arms = []
    for name, (k, n) in (("reference", first), ("candidate", second)):
        exact = clopper_pearson(k, n)
        arms.append(f"{name} {k}/{n} (Clopper-Pearson 95 % {exact.low:.2f} … {exact.high:.2f})")
    return f"{paired.method} p = {paired.p:.3g} over {paired.n} discordant pairs", *arms
