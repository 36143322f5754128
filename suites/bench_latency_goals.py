"""Do the latency claims and `stabbench bench --against` decide rightly? Counted on real timings, on this machine.

    python suites/bench_latency_goals.py claims --runs 30 --out reports/latency            # alone on the machine
    python suites/bench_latency_goals.py claims --runs 10 --neighbour --out reports/latency-busy
    stabbench run quick --smoke --select kind=train --set "compressions=[]" --out runs/goals
    python suites/bench_latency_goals.py bench runs/goals --runs 10 --out reports/bench

`claims` measures one panel per run: a model, the same model again (`same`), and the same model with 15 % more to do
in each pass (`slow`). Right is: `same` is never improved or regressed, `slow` is regressed; refused is no mistake under
`--neighbour`, which keeps another process busy. `bench` measures one baseline, then RUN unchanged and RUN with the last
dense variant sleeping `--slower` of each pass, in turns; right is exit code 0 and 1.

What is tried is how panels and benches decide, so the panel is short (batch 1, length 32, `--rounds` passes a process)
and the model is `builtin:tiny` unless `--model builtin:minilm-l6` is given; the twelve fresh processes are those of a
real panel. Starting them is nearly all of the time. ``outcomes.json`` has all outcomes and is written after every run.
The delay enters through a ``sitecustomize.py`` on the timing processes' path, so the code that is tested has no hook.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SLOWED_FOLDER, SLOWED_BY, SLOWED_HOW = "STABBENCH_GOALS_FOLDER", "STABBENCH_GOALS_SHARE", "STABBENCH_GOALS_HOW"
PATCH = f'''
import os, time
folder, share = os.environ.get("{SLOWED_FOLDER}"), float(os.environ.get("{SLOWED_BY}", "0"))
if folder and share:
    import stabbench.models.loading as loading
    whole = loading.load_subject
    def load_subject(given, *more, **named):
        subject = whole(given, *more, **named)
        if os.path.realpath(given) == folder:
            score = subject.logits
            def slowed(batch):
                start = time.perf_counter()
                found = score(batch)
                passed = time.perf_counter() - start
                if os.environ["{SLOWED_HOW}"] == "sleep":
                    time.sleep(share * passed)
                while time.perf_counter() < start + (1 + share) * passed:
                    pass
                return found
            subject.logits = slowed
        return subject
    loading.load_subject = load_subject
'''


@contextmanager
def slowed(folder: Path, share: float, how: str) -> Iterator[None]:
    """Slow the subject of a folder by a share of each pass, in every timing process started meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        Path(name, "sitecustomize.py").write_text(PATCH)
        before = dict(os.environ)
        os.environ["PYTHONPATH"] = os.pathsep.join([name, *filter(None, [before.get("PYTHONPATH")])])
        os.environ.update({SLOWED_FOLDER: os.path.realpath(folder), SLOWED_BY: str(share), SLOWED_HOW: how})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def neighbour(wanted: bool) -> Iterator[None]:
    """Keep one more process per processor busy, where that is wanted."""
    loop = [sys.executable, "-c", "while True: pass"]
    started = [subprocess.Popen(loop) for _ in range(os.cpu_count() or 1)] if wanted else []
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def claims(arguments: argparse.Namespace, scratch: Path) -> Iterator[dict[str, Any]]:
    """Yield the verdicts of `same` and `slow` of every panel."""
    from stabbench.assets.fetch import fetch
    from stabbench.claims.build import build_claims
    from stabbench.data.example import Dataset, Example
    from stabbench.models.loading import load_pretrained, save_subject
    from stabbench.models.tiny import write_tiny_model
    from stabbench.probes.base import Context, Member
    from stabbench.probes.latency import Latency
    from stabbench.seeding import TrialSeeds
    from stabbench.suite.schema import Suite

    tiny = arguments.model == "builtin:tiny"
    source = write_tiny_model(scratch / "tiny") if tiny else fetch(arguments.model)
    model, tokenizer = load_pretrained(source, ("no", "yes"), TrialSeeds(0, 0))
    members = []
    for variant in ("baseline", "same", "slow"):
        save_subject(model, tokenizer, scratch / variant, ("no", "yes"), 64)
        members.append(Member(variant, "0", "dense", scratch / variant))
    texts = tuple(Example(f"t:{i}", "a film as quiet as it is good " * (1 + i % 4), i % 2) for i in range(64))
    dataset = Dataset((), (), texts, ("no", "yes"), "")
    suite = Suite.model_validate(
        {
            "schema": 1, "name": "goals", "data": {"source": "builtin:tiny", "train": 8, "test": 8},
            "model": "builtin:tiny", "seeds": 1,
            "variants": {"baseline": {}, "same": {}, "slow": {}}, "probes": {"latency": {}},
            "compare": {"primary": ["accuracy"]},
        }
    )  # fmt: skip
    probe = Latency(batch=(1,), length=(32,), processes=arguments.processes, rounds_single=arguments.rounds)
    for run in range(arguments.runs):
        folder = scratch / f"panel-{run}"
        folder.mkdir()
        with slowed(scratch / "slow", arguments.slower, "work"), neighbour(arguments.neighbour):
            rows = probe.measure_panel(members, Context(dataset, folder))
        made = {c.candidate[0]: c for c in build_claims(rows, suite) if c.metric == "latency.ratio"}
        yield {name: told(made[name]) for name in ("same", "slow")}


def told(claim: Any) -> dict[str, Any]:
    return {"verdict": claim.verdict, "effect": claim.effect, "interval": claim.interval, "reason": claim.reason}


def bench(arguments: argparse.Namespace, scratch: Path) -> Iterator[dict[str, Any]]:
    """Yield the exit codes of benches unchanged and slowed."""
    from stabbench.execution.bench import BenchOptions
    from stabbench.execution.bench import bench as measure
    from stabbench.execution.bench_decide import exit_code, judge
    from stabbench.execution.bench_subjects import prepare
    from stabbench.store.run_folder import RunFolder

    run = RunFolder.find(arguments.run)
    options = BenchOptions(processes=arguments.processes, rounds=arguments.rounds)
    dense = [subject for subject in prepare(run, scratch / "artifacts") if subject.compression == "dense"]
    _, baseline = measure(run, options)
    for _ in range(arguments.runs):
        outcomes = {}
        for name, share in (("unchanged", 0.0), ("slowed", arguments.slower)):
            with slowed(Path(dense[-1].folder), share, "sleep"), neighbour(arguments.neighbour):
                _, now = measure(run, options)
            judged = judge(baseline, now)
            outcomes[name] = {"exit": exit_code(judged), "benchmarks": [item.as_dict() for item in judged]}
        yield outcomes


def written(outcomes: Iterable[dict[str, Any]], arguments: argparse.Namespace) -> dict[str, dict[str, int]]:
    """Write ``outcomes.json`` after every run, so that one that is broken off loses nothing; return the counts."""
    key = "verdict" if arguments.what == "claims" else "exit"
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    counts: dict[str, dict[str, int]] = {}
    start = time.monotonic()
    for outcome in outcomes:
        found.append(outcome)
        counts = {name: dict(Counter(str(item[name][key]) for item in found)) for name in outcome}
        content = {
            "arguments": {**vars(arguments), "out": str(arguments.out)},
            "seconds": time.monotonic() - start,
            "counts": counts,
            "runs": found,
        }
        (arguments.out / "outcomes.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(
            f"run {len(found)} of {arguments.runs}, {content['seconds']:.0f} s: {counts}", file=sys.stderr, flush=True
        )
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("claims", "bench"))
    parser.add_argument("run", nargs="?", help="for bench: a run's folder or name")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--processes", type=int, default=12)
    parser.add_argument("--slower", type=float, default=0.15)
    parser.add_argument("--rounds", type=int, default=10, help="timed passes of each subject in a process")
    parser.add_argument("--model", default="builtin:tiny", help="for claims: builtin:tiny or builtin:minilm-l6")
    parser.add_argument("--neighbour", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.what == "bench" and arguments.run is None:
        parser.error("bench needs RUN")
    scratch = Path(tempfile.mkdtemp(prefix="stabbench-goals-"))
    try:
        made = claims(arguments, scratch) if arguments.what == "claims" else bench(arguments, scratch)
        print(json.dumps(written(made, arguments)))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
