"""How fast is our training? Steps per second against `transformers.Trainer`, and trials per minute side by side.

    python suites/bench_training.py --out reports/training      # about 25 minutes on 2 cores, alone

Every measurement is a whole process timed from outside: start, imports, data, training, evaluation. Steps per second is
the slope between 2 and 6 epochs, (t₆ − t₂) seconds for 4 epochs of steps, so that what a process does once does not
count. The two sides of a ratio alternate, and the median of the paired ratios is reported with all of them. Both train
`builtin:minilm-l6` on the same 512 sentences of `builtin:rotten-tomatoes`, batch 16, learning rate 5e-5, at most 64
tokens, with the same number of threads. Trainer runs with its defaults (fp32, padding to the longest text of a batch),
or with ``bf16=True``. No process is told how its threads wait: each side has what it comes with. Final accuracies on
the same 500 test sentences stand beside the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

EPOCHS = (2, 6)
SENTENCES, TEST, BATCH = 512, 500, 16
STEPS = (EPOCHS[1] - EPOCHS[0]) * SENTENCES // BATCH
SUITE = """\
schema: 1
name: bench
data: {{source: builtin:rotten-tomatoes, train: {train}, test: {test}}}
model: builtin:minilm-l6
seeds: {seeds}
train: {{epochs: {epochs}, batch_size: {batch}, learning_rate: 5e-5, max_length: 64,
  precision: {precision}, threads: {threads}}}
variants: {{baseline: {{}}}}
probes: {{accuracy: {{}}}}
"""
Timed = tuple[float, float]
"""Seconds, and final accuracy (mean over seeds)."""


def ours(folder: Path, epochs: int, precision: str, threads: int, seeds: int = 1, jobs: int = 1) -> Timed:
    """Train through the command line, as a user does, into a fresh store; return seconds and accuracy."""
    suite = SUITE.format(
        train=SENTENCES, test=TEST, seeds=seeds, epochs=epochs, batch=BATCH, precision=precision, threads=threads
    )
    (folder / "bench.yaml").write_text(suite)
    command = [sys.executable, "-m", "stabbench", "run", "bench.yaml", "--fresh", "--jobs", str(jobs)]
    seconds = timed([*command, "--select", "kind=train", "--out", "out"], folder)
    import pandas as pd

    rows = pd.read_parquet(folder / "out" / "measurements.parquet")
    mean = {name: rows.loc[rows["metric"] == name, "value"].mean() for name in ("train.accuracy_train", "train.gap")}
    # Test accuracy of the finished model: that on the training sample less the gap.
    return seconds, float(mean["train.accuracy_train"] - mean["train.gap"])


def trainer(folder: Path, epochs: int, precision: str, threads: int) -> Timed:
    """Train with `transformers.Trainer` in a process of its own; return seconds and accuracy."""
    result = folder / "trainer.json"
    command = [sys.executable, __file__, "--child", str(epochs), precision, str(threads), str(result)]
    seconds = timed(command, folder)
    return seconds, float(json.loads(result.read_text())["accuracy"])


def timed(command: Sequence[str], folder: Path) -> float:
    """Run a command to its end and return its wall time in seconds."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds


def child(epochs: int, precision: str, threads: int, result: Path) -> None:
    """Train with Trainer as its documentation shows: a tokenised data set, its defaults, one process."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, set_seed

    from stabbench.data.dataset import load_dataset
    from stabbench.models.sources import asset_folder
    from stabbench.suite.schema import Data, Task

    torch.set_num_threads(threads)
    set_seed(0)
    source = Data(source="builtin:rotten-tomatoes", train=SENTENCES, test=TEST)
    data = load_dataset(source, Task(), Path.cwd(), asset_folder)
    folder = asset_folder("builtin:minilm-l6")
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def tokenised(examples: Sequence[Any]) -> list[dict[str, Any]]:
        found = tokenizer([example.text for example in examples], truncation=True, max_length=64)
        ids = zip(found["input_ids"], found["attention_mask"], examples, strict=True)
        return [{"input_ids": i, "attention_mask": m, "labels": example.label} for i, m, example in ids]

    arguments = TrainingArguments(
        output_dir=str(result.parent / "trainer"), num_train_epochs=epochs, per_device_train_batch_size=BATCH,
        learning_rate=5e-5, bf16=precision == "bf16", report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    peer = Trainer(model, arguments, train_dataset=tokenised(data.train), processing_class=tokenizer)
    peer.train()
    found = peer.predict(tokenised(data.test))
    right = found.predictions.argmax(axis=1) == found.label_ids
    result.write_text(json.dumps({"accuracy": float(right.mean())}))


def slope(run: Callable[[Path, int], Timed]) -> tuple[float, float]:
    """Return (seconds per step as the slope between 2 and 6 epochs, accuracy after 6)."""
    found = []
    for epochs in EPOCHS:
        with tempfile.TemporaryDirectory() as name:
            found.append(run(Path(name), epochs))
    return (found[1][0] - found[0][0]) / STEPS, found[1][1]


def compare(name: str, a: Callable[[Path, int], Timed], b: Callable[[Path, int], Timed], pairs: int) -> dict[str, Any]:
    """Time `pairs` pairs in alternating order; the ratio is how many steps `a` does while `b` does one."""
    ratios, sides = [], []
    for pair in range(pairs):
        order = (a, b) if pair % 2 == 0 else (b, a)
        found = dict(zip(order, (slope(run) for run in order), strict=True))
        ratios.append(found[b][0] / found[a][0])
        sides.append((found[a], found[b]))
        print(f"{name}: pair {pair + 1} of {pairs}: {ratios[-1]:.2f}x", file=sys.stderr, flush=True)
    return {
        "comparison": name,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "ms_per_step": [statistics.median(1000 * side[i][0] for side in sides) for i in (0, 1)],
        "accuracy": [statistics.mean(side[i][1] for side in sides) for i in (0, 1)],
    }


def side_by_side(pairs: int) -> dict[str, Any]:
    """Compare trials per minute, four trials a run: ``--jobs 2`` with one thread each to ``--jobs 1`` with two."""
    ratios, accuracies = [], []
    for pair in range(pairs):
        settings = [(1, 2), (2, 1)] if pair % 2 == 0 else [(2, 1), (1, 2)]
        seconds = {}
        for threads, jobs in settings:
            with tempfile.TemporaryDirectory() as name:
                seconds[jobs], accuracy = ours(Path(name), 3, "auto", threads, seeds=4, jobs=jobs)
                accuracies.append(accuracy)
        ratios.append(seconds[1] / seconds[2])
        print(f"jobs 2: pair {pair + 1} of {pairs}: {ratios[-1]:.2f}x", file=sys.stderr, flush=True)
    return {
        "comparison": "--jobs 2, one thread each / --jobs 1, two threads",
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "accuracy": accuracies[:2],
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = [
        "| comparison | ratio | all pairs | ms a step, ours / peer | accuracy, ours / peer |",
        "|---|---|---|---|---|",
    ]
    for r in results:
        steps = " / ".join(f"{value:.0f}" for value in r["ms_per_step"]) if "ms_per_step" in r else "–"
        pairs = ", ".join(f"{value:.2f}" for value in r["ratios"])
        accuracy = " / ".join(f"{value:.3f}" for value in r["accuracy"])
        lines.append(f"| {r['comparison']} | {r['ratio']:.2f}x | {pairs} | {steps} | {accuracy} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything and write ``training.json`` and ``training.md``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("reports/training"))
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="part of a comparison's name")
    parser.add_argument("--child", nargs=4, metavar=("EPOCHS", "PRECISION", "THREADS", "RESULT"))
    given = parser.parse_args()
    if given.child:
        epochs, precision, threads, result = given.child
        child(int(epochs), precision, int(threads), Path(result))
        return
    n = given.threads
    comparisons: list[tuple[str, str, str]] = [
        ("ours as it comes / Trainer as it comes (fp32)", "auto", "fp32"),
        ("ours as it comes / Trainer with bf16", "auto", "bf16"),
        ("ours in fp32 / Trainer in fp32", "fp32", "fp32"),
    ]
    results = [
        compare(
            name,
            lambda folder, epochs, p=mine: ours(folder, epochs, p, n),  # type: ignore[misc]
            lambda folder, epochs, p=theirs: trainer(folder, epochs, p, n),  # type: ignore[misc]
            given.pairs,
        )
        for name, mine, theirs in comparisons
        if given.only in name
    ]
    if given.only in "--jobs 2":
        results.append(side_by_side(given.pairs))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "training.json").write_text(json.dumps({"threads": n, "results": results}, indent=1) + "\n")
    command = f"`python suites/bench_training.py --out {given.out} --pairs {given.pairs} --threads {n}`"
    text = f"# Training speed\n{command}, {n} threads; a ratio above 1 means that ours does more.\n\n{table(results)}"
    (given.out / "training.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
