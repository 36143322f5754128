"""The mean difference over seeds: paired t, sign flip, equivalence; and the verdicts that claims give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stabbench.claims.build import build_claims
from stabbench.claims.claim import Claim
from stabbench.records import Measurement, Row
from stabbench.statistics.paired import paired_t, sign_flip
from stabbench.statistics.result import Estimate
from stabbench.suite.schema import Suite
from truth_tables.measured import Table, coverage, stands
from truth_tables.scenarios import DISTRIBUTIONS, DROP, FAILING, SEEDS, SOUND, Array, Distribution

SLOW_FLIPS = 400
"""Simulations of the drawn sign flip, which takes milliseconds each."""


def level(rng: np.random.Generator, simulations: int) -> Table:
    """Every distribution at every n, both arms alike."""
    table = Table(
        "level",
        "Level: the mean difference of seed pairs",
        "Arms drawn independently from one distribution; differences candidate − reference. False alarms: share with "
        "p < .05 when nothing differs. Power: the candidate is shifted by 1 or 2 standard deviations of a run's value. "
        "False equivalence: share called equivalent at ±1 SD when the true difference is 1 SD. The percentile "
        "bootstrap over seeds stands beside it to show why it decides nothing.",
    )
    for name, distribution in DISTRIBUTIONS.items():
        for n in SEEDS:
            table.rows.append({"scenario": name, "n": n, **_line(rng, simulations, n, distribution)})
    return table


def _line(rng: np.random.Generator, simulations: int, n: int, distribution: Distribution) -> dict[str, object]:
    differences = distribution.draw(rng, (simulations, n)) - distribution.draw(rng, (simulations, n))
    found = [paired_t(d.tolist()) for d in differences]
    line = coverage(found, 0.0)
    flips = differences[: simulations if n <= 10 else SLOW_FLIPS]
    shifted = {k: found_with(found, k * distribution.sd) for k in (1, 2)}
    narrow = [paired_t(d.tolist(), 0.90) for d in differences]
    # Shifted by the margin δ = 1 SD, the 90 % interval lies in ±δ where unshifted it lies in [−2δ, 0].
    equal = [e.low is not None and e.high is not None and -2 * distribution.sd <= e.low and e.high <= 0 for e in narrow]
    return {
        "false alarms": np.mean([e.p is not None and e.p < 0.05 for e in found]),
        "sign-flip alarms": _flips(flips) if n >= 6 else None,
        **line,
        "bootstrap coverage": _percentile(rng, differences, 0.0),
        "power at 1 SD": np.mean(shifted[1]),
        "power at 2 SD": np.mean(shifted[2]),
        "false equivalence": np.mean(equal),
        "meets": stands(line),
    }


def found_with(found: Sequence[Estimate], shift: float) -> list[bool]:
    """Say for each interval whether it excludes 0 once every difference is shifted."""
    return [e.low is not None and e.high is not None and (e.low + shift > 0 or e.high + shift < 0) for e in found]


def mixture(rng: np.random.Generator, simulations: int) -> Table:
    """One arm with failed runs against one without, by whether the sample shows a failed run."""
    table = Table(
        "mixture",
        "Level where one arm has failed runs",
        "The reference fails in 20 % of runs and ends 18 points lower (SD 2), the candidate never; coverage of the "
        "true difference of means, 3.6 points, by the paired t. Where a run failed it covers, and the claim says what "
        "the mean is over. Where none did, nothing in the sample shows the failures to come, and no method can cover: "
        "there the claim about failed runs says what is open (0 of 5 failed: Clopper-Pearson up to 52 %).",
    )
    for n in SEEDS:
        reference, candidate = FAILING.draw(rng, (simulations, n)), SOUND.draw(rng, (simulations, n))
        found = [paired_t(d.tolist()) for d in candidate - reference]
        covered = np.array(
            [e.low is not None and e.high is not None and e.low <= -FAILING.mean <= e.high for e in found]
        )
        seen = (reference < -DROP / 2).any(axis=1)
        table.rows.append(
            {
                "n": n,
                "samples with a failed run": seen.mean(),
                "coverage there": covered[seen].mean(),
                "coverage where none is seen": covered[~seen].mean() if (~seen).any() else None,
                "coverage": covered.mean(),
            }
        )
    return table


def _flips(differences: Array) -> float:
    p = [sign_flip(d.tolist()).p for d in differences]
    return float(np.mean([q is not None and q < 0.05 for q in p]))


def _percentile(rng: np.random.Generator, differences: Array, truth: float, draws: int = 1000) -> float:
    """Return the coverage of the percentile bootstrap over seeds."""
    n = differences.shape[1]
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws) / n
    covered = []
    for block in np.array_split(differences, max(1, len(differences) // 500)):
        low, high = np.quantile(weights @ block.T, [0.025, 0.975], axis=0)
        covered.append((low <= truth) & (truth <= high))
    return float(np.mean(np.concatenate(covered)))


def judged(reference: Sequence[float], candidate: Sequence[float], *, margin: float = 0.01) -> Claim:
    """Return the primary claim about accuracy that `claims.build` makes of two arms: the path of a real run."""
    suite = Suite.model_validate(
        {
            "schema": 1,
            "name": "truth",
            "data": {"source": "builtin:rotten-tomatoes", "train": 10, "test": 20},
            "model": "builtin:tiny",
            "seeds": len(reference),
            "variants": {"baseline": {}, "stabilized": {}},
            "compare": {"primary": ["accuracy"], "margins": {"accuracy": margin}},
        }
    )
    rows = [
        Row(variant, str(seed), "dense", "accuracy", Measurement("accuracy", float(value), "share", "higher"))
        for variant, values in (("baseline", reference), ("stabilized", candidate))
        for seed, value in enumerate(values)
    ]
    return next(claim for claim in build_claims(rows, suite) if claim.primary)


def power_at_six(rng: np.random.Generator, simulations: int) -> Table:
    """One primary claim at six seeds and a true difference of 2 seed SDs, decided by `claims.build`."""
    table = Table(
        "power",
        "Power of one primary claim at n = 6",
        "Normal data, true difference 2 standard deviations of a run's value, decided by `claims.build` with a margin "
        "of 1 SD. Paired arms share a part of each seed's value (correlation .6).",
    )
    for name, shared in (("independent arms", 0.0), ("paired arms, correlation .6", 0.6)):
        common = np.sqrt(shared) * rng.normal(size=(simulations, 6))
        arms = [common + np.sqrt(1 - shared) * rng.normal(size=(simulations, 6)) for _ in range(2)]
        # Seed SD of 2 points of accuracy.
        verdicts = [judged(0.7 + 0.02 * a, 0.74 + 0.02 * b, margin=0.02).verdict for a, b in zip(*arms, strict=True)]
        table.rows.append(
            {"arms": name, "simulations": simulations, "improved": np.mean([v == "improved" for v in verdicts])}
        )
    return table
