"""Truth tables of the statistics: false alarms, coverage, width, power, under known and real distributions; and speed.

    python suites/bench_statistics.py --out reports/statistics                    # about 6 minutes, one process
    python suites/bench_statistics.py --out tables --short --only level,spread    # seconds; the form the tests run

Writes ``README.md`` (the tables) and ``tables.json`` (the same numbers, unrounded). Seeded: a table has its own
generator, so that one table alone gives the same numbers. Real seed distributions are read from ``seed_runs`` below
$STABBENCH_TEST_DATA or ``../shared/data``; without them those tables are left out, and the page says so.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from truth_tables import failures, level, real, sources, spread, texts
from truth_tables.measured import Table

from stabbench.statistics.bootstrap import DRAWS, multi_bootstrap
from stabbench.statistics.crossed import crossed_difference
from stabbench.statistics.paired import paired_t, sign_flip

SEED = 20_260_101
INTRODUCTION = """\
# Truth tables of the statistics

Made by `{command}` in {seconds:.0f} s ({machine}, numpy {numpy}); the same numbers, unrounded, stand in `tables.json`.
Figures are shares between 0 and 1 unless a heading says otherwise; "–" means that the figure does not exist there.
A simulated share near .95 has a standard error of √(.95·.05/simulations): .003 at 4,000, .013 at 300.

**Widths.** Two oracles, both impossible in practice. *Told the shape*: the interval of the same form whose multiplier
was chosen with the truth at hand so that exactly 95 % cover. *Told all*: the estimate ± the 95 % quantile of its true
errors; for normal data that is the interval of known variance. A method that must learn the variance from n values
cannot come near the second at small n: Student's interval, the shortest unbiased one, is 1.95 times as wide at n = 3,
1.33 at n = 5, 1.12 at n = 10, 1.05 at n = 25. So a line *meets* the figures (coverage ≥ .93, width ≤ 1.3) against the
oracle told the shape, and the other ratio stands beside it.
"""


def speed(rng: np.random.Generator, claims: int) -> Table:
    """Seconds for claims of 25 seeds × 1,000 texts: paired t, sign flip, two-way t and multi-bootstrap each."""
    arms = [(rng.random((25, 1000)) < 0.8, rng.random((25, 1000)) < 0.82) for _ in range(claims)]
    methods: dict[str, Callable[[Any, Any], object]] = {
        "paired t": lambda a, b: paired_t((b.mean(axis=1) - a.mean(axis=1)).tolist()),
        "sign flip, 20,000 draws": lambda a, b: sign_flip((b.mean(axis=1) - a.mean(axis=1)).tolist()),
        "two-way t": crossed_difference,
        f"multi-bootstrap, {DRAWS:,} draws": multi_bootstrap,
    }
    table = Table("speed", f"Speed: {claims} claims of 25 seeds × 1,000 texts", "Seconds, in one process.")
    for name, method in methods.items():
        started = time.perf_counter()
        for first, second in arms:
            method(first, second)
        table.rows.append({"method": name, "claims": claims, "seconds": round(time.perf_counter() - started, 2)})
    total = sum(row["seconds"] for row in table.rows)
    table.rows.append({"method": "together", "claims": claims, "seconds": round(total, 2)})
    return table


MAKERS: dict[str, tuple[Callable[[np.random.Generator, int], Table], int, int]] = {
    "published": (lambda rng, n: real.recomputed(), 0, 0),
    "same": (real.same_against_same, real.COMPARISONS, 50),
    "power": (level.power_at_six, 1000, 60),
    "level": (level.level, 4000, 60),
    "mixture": (level.mixture, 4000, 60),
    "real": (real.resampled, 200, 4),
    "spread": (spread.spread, 2000, 12),
    "excess": (spread.excess, 1000, 30),
    "failures": (lambda rng, n: failures.tests(), 0, 0),
    "rate": (lambda rng, n: failures.one_rate(), 0, 0),
    "rates": (lambda rng, n: failures.two_rates(), 0, 0),
    "texts": (texts.differences, 1500, 10),
    "hierarchical": (texts.rates, 1500, 10),
    "pairs": (texts.pairs, 2000, 20),
    "components": (sources.components, 1000, 6),
    "maximum": (sources.best_of, 4000, 50),
    "speed": (speed, 100, 1),
}
"""Name → how it is made, and simulations (claims, comparisons) of the full and of the short form."""
OF_REAL_RUNS = ("published", "same", "real")


def tables(names: Sequence[str], *, short: bool) -> Iterator[Table]:
    """Yield the named tables; those of real runs only where the data is there."""
    for name in names:
        make, full, small = MAKERS[name]
        if name not in OF_REAL_RUNS or real.RUNS.exists():
            simulations = small if short else full
            table = make(np.random.default_rng([SEED, *name.encode()]), simulations)
            table.simulations = simulations if name not in ("same", "speed") else 0
            yield table


def markdown(table: Table) -> str:
    """Return one section."""
    columns = list(table.rows[0])
    simulated = f" {table.simulations:,} simulations a line." if table.simulations else ""
    lines = [f"## {table.title}", "", table.note + simulated, ""]
    lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_text(row[column]) for column in columns) + " |" for row in table.rows]
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page and the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--short", action="store_true", help="few simulations")
    parser.add_argument("--only", default=",".join(MAKERS), help=f"names with commas, of: {', '.join(MAKERS)}")
    chosen = parser.parse_args(arguments)
    names = chosen.only.split(",")
    if unknown := [name for name in names if name not in MAKERS]:
        parser.error(f"--only: no table {', '.join(unknown)}; there are {', '.join(MAKERS)}")
    started = time.perf_counter()
    made = []
    for table in tables(names, short=chosen.short):
        made.append(table)
        print(f"{time.perf_counter() - started:6.1f} s  {table.title}", flush=True)
    command = "python suites/bench_statistics.py --out reports/statistics" + (" --short" if chosen.short else "")
    command += f" --only {chosen.only}" if names != list(MAKERS) else ""
    page = INTRODUCTION.format(
        command=command,
        seconds=time.perf_counter() - started,
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        numpy=np.__version__,
    )
    if not real.RUNS.exists():
        page += "\nThe tables of real seed distributions are left out: `seed_runs` was not there.\n"
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "README.md").write_text("\n".join([page, *map(markdown, made)]), encoding="utf-8")
    content = {
        "command": command,
        "seed": SEED,
        "tables": {
            t.name: {"title": t.title, "simulations": t.simulations, "rows": [_plain(row) for row in t.rows]}
            for t in made
        },
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (chosen.out / "tables.json").write_text(text + "\n", encoding="utf-8")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in row.items()}


if __name__ == "__main__":
    main()
