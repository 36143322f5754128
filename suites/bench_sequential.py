"""Adaptive seeds, simulated: error, power and trials saved of the group-sequential designs.

``python suites/bench_sequential.py`` writes ``reports/statistics/sequential.md``: seeded, so that the same code gives
the same bytes; about half a minute on one core. `tables` and the functions below it give the parts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from stabbench.statistics.sequential import Design, looks_between, outcomes

OUTPUT = Path(__file__).parent.parent / "reports" / "statistics" / "sequential.md"
DRAWS = 100_000
SEED = 20_261
EFFECTS = (0.0, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5, 2.0)
RANGES = ((3, 10), (3, 25), (6, 12), (6, 20), (6, 25), (6, 50), (10, 25), (12, 25))
LARGE = 1.2
"""Effect in SDs of the paired difference at which the savings are stated."""
FIGURES = {"error": 0.05, "loss": 0.05, "trials": 0.60}
NEVER = 0.0
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Difference of a lognormal arm (σ = 0.5) and a nearly constant one: the whole skew is in the difference."""
    mean, sd = np.exp(0.125), np.sqrt((np.exp(0.25) - 1) * np.exp(0.25))
    return (rng.lognormal(0.0, 0.5, shape) - mean) / sd


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """t with 3 degrees of freedom, SD 1."""
    return rng.standard_t(3, shape) / np.sqrt(3.0)


def collapsing(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Difference of two arms in each of which 20 % of the runs collapse by 18 SDs."""
    arms = [rng.standard_normal(shape) - 18.0 * (rng.random(shape) < 0.2) for _ in range(2)]
    return (arms[1] - arms[0]) / np.sqrt(2 * (1 + 18.0**2 * 0.16))


def test_set_noise(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Two models of one accuracy that differ on 600 test examples by chance only, with many ties."""
    only_one = rng.binomial(60, 0.5, shape)
    return (2 * only_one - 60) / np.sqrt(60.0)


SHAPES: dict[str, Draw] = {
    "normal": normal,
    "skewed": skewed,
    "heavy-tailed (t₃)": heavy,
    "20 % of runs collapse in both arms": collapsing,
    "test-set noise only": test_set_noise,
}


def draws(shape: Draw, last: int, count: int = DRAWS, seed: int = SEED) -> np.ndarray:
    """Return (count, last) differences of mean 0 and SD 1, the same for every design."""
    return shape(np.random.default_rng(seed), (count, last))


def error_rate(design: Design, differences: np.ndarray, alpha: float = 0.05) -> float:
    """Return the share of experiments without an effect that end in a difference, futility ignored: the worst case."""
    never = Design(design.looks, design.spending, NEVER)
    return float(outcomes(never, differences, alpha).different.mean())


def operating(design: Design, differences: np.ndarray, effect: float) -> dict[str, float]:
    """Return power, power of the fixed test, what is lost, mean share of the trials, at an effect in SDs."""
    found = outcomes(design, differences + effect)
    power, fixed = float(found.different.mean()), float(found.fixed.mean())
    return {
        "power": power,
        "fixed": fixed,
        "loss": fixed - power,
        "trials": float(found.seeds.mean()) / design.looks[-1],
    }


def designs() -> Iterator[Design]:
    """Yield the designs that the default was chosen from."""
    for spending in ("obrien-fleming", "pocock"):
        for futility in (NEVER, 0.03, 0.06, 0.10, 0.15):
            yield Design(looks_between(6, 25), spending, futility)  # type: ignore[arg-type]


def choice_table(count: int = DRAWS) -> str:
    """Return the table of all designs: error, the most power lost at any effect, trials at none and at a large one."""
    x = draws(normal, 25, count)
    rows = []
    for design in designs():
        at = {effect: operating(design, x, effect) for effect in EFFECTS}
        worst = max(EFFECTS, key=lambda effect: at[effect]["loss"])
        error, loss, trials = error_rate(design, x), at[worst]["loss"], at[LARGE]["trials"]
        fits = loss <= FIGURES["loss"] and trials <= FIGURES["trials"]
        rows.append(
            [
                design.spending,
                f"{design.futility:.0%}" if design.futility else "never",
                f"{error:.2%}",
                f"{100 * loss:.1f} (at {worst:g} SD)",
                f"{at[0.0]['trials']:.0%}",
                f"{trials:.0%}",
                ("yes, the default" if design == Design(design.looks) else "yes") if fits else "no",
            ]
        )
    head = ["spending", "futile below", "error", "points of power lost, at most", "trials, no effect"]
    return markdown([*head, f"trials, {LARGE} SD", "meets the figures"], rows)


def effects_table(design: Design, count: int = DRAWS) -> str:
    """Return power and savings of one design by effect."""
    x = draws(normal, design.looks[-1], count)
    rows = []
    for effect in EFFECTS:
        found = operating(design, x, effect)
        seeds = outcomes(design, x + effect).seeds
        stops = [f"{float(np.mean(seeds == n)):.0%}" for n in design.looks]
        numbers = [f"{found[name]:.1%}" for name in ("power", "fixed")]
        rows.append([f"{effect:g}", *numbers, f"{100 * found['loss']:.1f}", f"{found['trials']:.0%}", *stops])
    head = ["effect (SD)", "power", f"power with {design.looks[-1]} seeds", "points lost", "mean trials"]
    return markdown([*head, *(f"stops at {n}" for n in design.looks)], rows)


def shapes_table(design: Design, count: int = DRAWS) -> str:
    """Return the error of a design and of the fixed test under data that are not normal."""
    rows = []
    for name, shape in SHAPES.items():
        x = draws(shape, design.looks[-1], count)
        never = outcomes(Design(design.looks, design.spending, NEVER), x)
        as_run = outcomes(design, x)
        rates = (never.different, as_run.different, never.fixed)
        rows.append([name, *(f"{float(rate.mean()):.2%}" for rate in rates)])
    return markdown(["differences", "error, never futile", "error as run", "error of the fixed test"], rows)


def ranges_table(count: int = DRAWS) -> str:
    """Return error, power lost and trials for other numbers of seeds, and for the shares that Holm gives."""
    rows = []
    for first, last in RANGES:
        design = Design(looks_between(first, last))
        x = draws(normal, last, count)
        loss = max(operating(design, x, effect)["loss"] for effect in EFFECTS)
        errors = [f"{error_rate(design, x, share):.2%}" for share in (0.05, 0.05 / 2, 0.05 / 3)]
        trials = operating(design, x, LARGE)["trials"]
        looks = ", ".join(map(str, design.looks))
        rows.append([f"{first} to {last}", looks, *errors, f"{100 * loss:.1f}", f"{trials:.0%}"])
    head = ["seeds", "looks", "error of 5 %", "of 2.5 %", "of 1.67 %", "points lost, at most", f"trials, {LARGE} SD"]
    return markdown(head, rows)


def equivalence_table(design: Design, count: int = DRAWS) -> str:
    """Return what happens where a margin can be met: a true difference of none, of the margin, and beyond."""
    rows = []
    for margin in (0.6, 1.0, 2.0):
        for share in (0.0, 1.0):
            x = draws(normal, design.looks[-1], count) + share * margin
            found = outcomes(design, x, margin=margin)
            kinds = (found.equivalent, found.different & ~found.equivalent)
            numbers = [f"{float(kind.mean()):.1%}" for kind in kinds]
            trials = f"{float(found.seeds.mean()) / design.looks[-1]:.0%}"
            rows.append([f"{margin:g}", "none" if not share else "the margin", *numbers, trials])
    return markdown(["margin (SD)", "true difference", "equivalent", "different", "mean trials"], rows)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tables(count: int = DRAWS) -> str:
    """Return the whole report."""
    design = Design(looks_between(6, 25))
    looks = ", ".join(map(str, design.looks))
    levels = ", ".join(f"{design.level(k):.2g}" for k in range(len(design.looks)))
    error = 100 * np.sqrt(0.05 * 0.95 / count)
    parts = [
        "# Adaptive seeds: what looking early costs and saves",
        f"Made by `python suites/bench_sequential.py`: {count:,} experiments per row, generator seed {SEED}. The "
        f"standard error of an error rate of 5 % is {error:.2f} points. Effects are in SDs of the paired difference. "
        "Error: share of experiments without an effect that end in a difference; where nothing else is said, with "
        "futility ignored, which is the most it can be.",
        f"Figures to reach: error at most {FIGURES['error']:.0%}, at most {100 * FIGURES['loss']:.0f} points of power "
        f"lost against the fixed test with 25 seeds at any effect, mean trials at most {FIGURES['trials']:.0%} of 25 "
        f"at {LARGE} SD.",
        "## Which design",
        choice_table(count),
        "Pocock-like spending saves more at a large effect but loses more than 5 points of power at a middling one. "
        "O'Brien-Fleming-like spending meets the figures; futility below a chance of 6 % saves a quarter of the trials "
        "where there is no effect and keeps the loss below 5 points for other numbers of seeds too (see there).",
        f"## The default: looks at {looks} seeds, levels {levels}",
        effects_table(design, count),
        "## Differences that are not normal",
        shapes_table(design, count),
        "On skewed differences the t test is liberal, and more so where it looks early, since then it rests on fewer "
        "seeds. Paired differences of two arms of one shape are symmetric; skew needs arms of different shapes.",
        "## Other numbers of seeds, and the shares of Holm's procedure",
        ranges_table(count),
        "## Equivalence",
        "Margins in SDs. Equivalent: the interval at the look's level of 10 % lies inside the margin. At the margin "
        "itself at most 5 % may be called equivalent.",
        equivalence_table(design, count),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(tables(), encoding="utf-8")
    print(OUTPUT, file=sys.stderr)
