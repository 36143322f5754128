"""The published recipes on four tasks of GLUE, from local files: one table over the suites `sst2 rte mrpc cola`.

    python suites/bench_presets.py --data DIR --out reports/presets

DIR holds ``sst2/ rte/ mrpc/ cola/`` as the suites name them. Every task is an ordinary run that can be repeated alone
(the commands stand above the table) and resumes from the store. The test split is the official development split, which
no recipe has seen; nothing was tuned on it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

TASKS = ("sst2", "rte", "mrpc", "cola")
DENSE = "dense"


def command(task: str, data: str, given: argparse.Namespace) -> list[str]:
    """Return the command line of one task's run."""
    values = [f"data.root={data}", f"data.train.limit={given.examples}", *given.set]
    return ["run", task, *(word for value in values for word in ("--set", value)), "--seeds", str(given.seeds)]


def rows(task: str, run: Path) -> list[dict[str, Any]]:
    """Return one row per variant: scores, failed runs, and the claim against the baseline."""
    verdict = json.loads((run / "verdict.json").read_text("utf-8"))
    found = pd.read_parquet(run / "measurements.parquet")
    found = found[found["compression"] == DENSE]
    claims = {(c["candidate"][0], c["metric"]): c for c in verdict["claims"] if c["candidate"][1] == DENSE}
    metric = next(c["metric"] for c in verdict["claims"] if c["primary"] and c["metric"] != "train.failed")
    made = []
    for variant, (failed, runs) in verdict["failed_runs"].items():
        mine = found[found["variant"] == variant]
        scores = mine.loc[(mine["metric"] == metric) & mine["seed"].notna(), "value"]
        seconds = mine.loc[mine["metric"] == "train.seconds", "value"].median()
        made.append(
            {"task": task, "metric": metric, "variant": variant, "mean": scores.mean(), "sd": scores.std(ddof=1),
             "low": scores.min(), "high": scores.max(), "failed": f"{failed} of {runs}", "seconds": seconds,
             "claim": claims.get((variant, metric)), "failures": claims.get((variant, "train.failed"))}
        )  # fmt: skip
    return made


def told(claim: dict[str, Any] | None) -> str:
    """Return a claim in a table's cell: effect, interval, p and verdict."""
    if claim is None:
        return "reference"
    if claim["effect"] is None:
        return f"{claim['verdict']}: {claim['reason']}"
    low, high = claim["interval"] or (None, None)
    interval = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    p = "" if claim["p"] is None else f", p = {claim['p']:.3g}"
    return f"{claim['effect']:+.3f}{interval}{p}: {claim['verdict']}"


def table(found: list[dict[str, Any]], commands: list[str], call: str) -> str:
    """Return the Markdown page."""
    lines = [
        "# Presets on four tasks", "", f"`{call}`", "", "which runs, one after the other:", "", "```",
        *commands, "```", "",
        "Scores are on the official development split: mean, standard deviation and range over seeds; claims against",
        "`baseline` (preset `devlin`), paired by seed. Seconds are those of one training, two side by side.", "",
        "| task | variant | score | SD | range | failed | score: claim | failed runs: claim | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in found:
        lines.append(
            f"| {row['task']} ({row['metric']}) | {row['variant']} | {row['mean']:.3f} | {row['sd']:.3f} | "
            f"{row['low']:.3f} to {row['high']:.3f} | {row['failed']} | {told(row['claim'])} | "
            f"{told(row['failures'])} | {row['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the tasks and write ``presets.md`` and ``presets.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", required=True, help="folder with sst2/ rte/ mrpc/ cola/")
    parser.add_argument("--out", type=Path, default=Path("reports/presets"))
    parser.add_argument("--runs", type=Path, default=Path("runs/presets"), help="folder of the four runs")
    parser.add_argument("--store", type=Path, default=Path(".stabbench/store"))
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--examples", type=int, default=200, help="training examples; a tenth is for validation")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="passed on to every run")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    given = parser.parse_args()
    found, commands = [], []
    for task in given.tasks:
        commands.append("stabbench " + " ".join(command(task, "DIR", given)))
        places = ["--jobs", str(given.jobs), "--store", str(given.store), "--out", str(given.runs / task)]
        line = [sys.executable, "-m", "stabbench", *command(task, given.data, given), *places]
        done = subprocess.run(line, check=False)
        if done.returncode not in (0, 5):
            sys.exit(f"{task} ended with {done.returncode}; what is finished is kept, and the same command goes on")
        found += rows(task, given.runs / task)
    given.out.mkdir(parents=True, exist_ok=True)
    more = "".join(f" --set {value}" for value in given.set)
    call = f"python suites/bench_presets.py --data DIR --seeds {given.seeds} --examples {given.examples}{more}"
    (given.out / "README.md").write_text(table(found, commands, call), encoding="utf-8")
    plain = [{key: value for key, value in row.items() if key not in ("claim", "failures")} for row in found]
    (given.out / "presets.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
