"""What do our compressions buy, and what do they cost? Speed over eager float32, flips and loyalty, in one run.

    python suites/bench_compression.py --out reports/compression       # alone on the machine
    python suites/bench_compression.py --also "distill(keep=0.34)+ov-int8" --also torchao-int8

`builtin:minilm-l6` is fine-tuned briefly on `builtin:rotten-tomatoes` (bf16 where the processor has it, one thread,
seed 0). Every route makes its artifact from that one model. The dense model, its A/A replicate and all routes are then
timed by the project's own latency panel: fresh processes, one thread, in each everybody in balanced turns, batch 1 and
32 at length 32. A speed is exp(mean over processes of ln(dense / route)) with its paired 95 % t interval. Flips are
test sentences whose answer differs from the dense model's at the same batch size, with their 95 % score interval; texts
are cut as in training. Last, logits of covered test sentences after `vocab-trim` are compared bit by bit.

Extras are measured where they are installed: ``pip install openvino nncf`` for `ov-int8`, ``pip install torchao`` for
`torchao-int8`, which compiles anew in every process (half a minute each) and is therefore measured only when asked for.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CORE = ("bf16", "onnx", "int8-dynamic", "ort-int8", "ort-int8-static")
EXTRA = ("ov-int8",)
CHAINS = (
    "prune-structured(recover_epochs=3)+ort-int8",
    "vocab-trim+distill+ort-int8",
    "distill(keep=0.34)+ort-int8",
)
EXTRA_CHAINS = ("distill+ov-int8",)
TRIM = "vocab-trim"
SHAPES = ((1, 32), (32, 32))
GOALS = {"core": ((1, 32), 4.2, 0.03), "extra": ((32, 32), 6.0, 0.015), "chain": (None, 8.0, None)}
"""Kind → shape (None: the better one), least speed, largest share of flips (None: stated only)."""


def train(folder: Path, count: int, epochs: int, test: int) -> tuple[Any, Any, float]:
    """Fine-tune; return the dense subject, the data set, and its test accuracy."""
    from stabbench.data.dataset import load_dataset
    from stabbench.models.loading import load_subject
    from stabbench.models.sources import asset_folder
    from stabbench.seeding import TrialSeeds
    from stabbench.store.environment import best_precision
    from stabbench.suite.schema import Data, Task, TrainOptions
    from stabbench.training.fine_tune import fine_tune
    from stabbench.training.request import TrainRequest

    source = Data(source="builtin:rotten-tomatoes", train=count, test=test)
    data = load_dataset(source, Task(), Path.cwd(), asset_folder)
    options = TrainOptions(epochs=epochs, learning_rate=9e-5, max_length=64, precision=best_precision())
    folder.mkdir()
    fine_tune(TrainRequest(asset_folder("builtin:minilm-l6"), data, options, TrialSeeds(0, 0), folder))
    dense = load_subject(folder / "model")
    right = dense.predict(data.test).argmax(axis=1) == [example.label for example in data.test]
    return dense, data, float(right.mean())


def compressed(routes: Sequence[str], dense: Any, data: Any, folder: Path) -> dict[str, Path]:
    """Make every route's artifact; return route → its folder."""
    from stabbench.compression.base import compress, material_for

    found = {}
    for index, route in enumerate(routes):
        start = time.perf_counter()
        found[route] = folder / f"artifact-{index}"
        found[route].mkdir()
        compress(route, dense, material_for(route, data, "0"), found[route])
        said(f"{route}: made in {time.perf_counter() - start:.1f} s")
    return found


def behaviour(artifacts: Mapping[str, Path], dense: Any, data: Any) -> dict[str, dict[str, Any]]:
    """Return route → what its answers are beside the dense model's, at batch 1 and at batch 32."""
    import numpy as np

    from stabbench.compression.base import load_compressed
    from stabbench.probes.compression import probability_loyalty
    from stabbench.statistics.proportions import wilson

    texts = [example.content for example in data.test]
    labels = np.array([example.label for example in data.test])
    batches = sorted({batch for batch, _ in SHAPES})
    before = {batch: dense.probabilities(texts, batch_size=batch) for batch in batches}
    found: dict[str, dict[str, Any]] = {}
    for route, folder in artifacts.items():
        subject = load_compressed(route, folder, dense)
        mine: dict[str, Any] = {"bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())}
        for batch in batches:
            after = subject.probabilities(texts, batch_size=batch)
            flipped = int(np.sum(after.argmax(axis=1) != before[batch].argmax(axis=1)))
            interval = wilson(flipped, len(texts))
            mine[str(batch)] = {
                "flips": flipped,
                "flip_rate": flipped / len(texts),
                "interval": [interval.low, interval.high],
                "probability_loyalty": probability_loyalty(before[batch], after),
                "accuracy": float(np.mean(after.argmax(axis=1) == labels)),
            }
        found[route] = mine
        said(f"{route}: {[(batch, mine[str(batch)]['flips']) for batch in batches]} flips of {len(texts)}")
    return found


def speeds(artifacts: Mapping[str, Path], dense: Any, data: Any, folder: Path, processes: int) -> dict[str, Any]:
    """Return route → shape → its speed over the dense model; under ``A/A`` the replicate's; and contamination."""
    from stabbench.probes.base import Context, Member
    from stabbench.probes.latency import Latency

    members = [Member("model", "0", "dense", dense.folder)]
    members += [Member("model", "0", route, dense.folder, artifact) for route, artifact in artifacts.items()]
    probe = Latency(batch=tuple(b for b, _ in SHAPES), length=(SHAPES[0][1],), processes=processes)
    folder.mkdir()
    rows = probe.measure_panel(members, Context(data, folder))

    def values(metric: str, route: str, batch: int) -> list[float]:
        """Values over processes, in the order of the processes."""
        mine = [
            row.measurement
            for row in rows
            if (row.measurement.metric, row.compression) == (metric, route) and row.measurement.at.get("batch") == batch
        ]
        return [m.value for m in sorted(mine, key=lambda m: m.at.get("process", 0)) if m.value is not None]

    found: dict[str, Any] = {}
    for batch, length in SHAPES:
        shape, reference = f"{batch}x{length}", values("latency.process_p50", "dense", batch)
        for route in ("dense", *artifacts):
            seconds = values("latency.process_p50", route, batch)
            found.setdefault(route, {})[shape] = {
                **ratio(reference, seconds),
                "milliseconds": 1000 * values("latency.p50", route, batch)[0],
                "contaminated": next(iter(values("latency.contaminated", route, batch)), None),
            }
        replicate = values("latency.aa_ratio", "dense", batch)
        found.setdefault("A/A", {})[shape] = ratio([1.0] * len(replicate), replicate)
    return found


def ratio(reference: Sequence[float], seconds: Sequence[float]) -> dict[str, Any]:
    """Return how many times faster than the reference, with a paired interval over processes and each process's own."""
    from math import exp

    from stabbench.statistics.paired import paired_log_ratio

    estimate = paired_log_ratio(reference, seconds)
    assert estimate.value is not None
    interval = None if estimate.interval is None else [exp(end) for end in estimate.interval]
    each = [r / s for r, s in zip(reference, seconds, strict=True)]
    return {"speed": exp(estimate.value), "interval": interval, "processes": each}


def differing_logits(dense: Any, data: Any, artifact: Path) -> dict[str, int]:
    """Return how many logits of covered test sentences change a bit when the vocabulary is trimmed."""
    from stabbench.compression.base import load_compressed
    from stabbench.compression.vocab_trim import covered

    subject = load_compressed(TRIM, artifact, dense)
    texts = [example.content for example in (*data.train, *data.test)]
    same = covered(dense.tokenizer, subject.tokenizer, texts, dense.max_length)
    kept = [text for text, fine in zip(texts, same, strict=True) if fine]
    differing = logits = 0
    for start in range(0, len(kept), 16):
        part = kept[start : start + 16]
        before, after = (one.logits(one.encode(part)) for one in (dense, subject))
        differing += int((before != after).sum())
        logits += before.numel()
    pieces = json.loads((artifact / "vocabulary.json").read_text(encoding="utf-8"))
    return {"differing": differing, "logits": logits, "texts": len(kept), "uncovered": len(texts) - len(kept), **pieces}


def judged(kinds: Mapping[str, str], timed: Mapping[str, Any], kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each goal the fastest route that keeps to its flips, and whether it is fast enough."""
    found = []
    for kind, (shape, least, most) in GOALS.items():
        shapes = SHAPES if shape is None else (shape,)
        every = [
            (timed[route][f"{batch}x{length}"]["speed"], route, f"{batch}x{length}", kept[route][str(batch)])
            for route, its in kinds.items()
            for batch, length in shapes
            if its == kind and (most is None or kept[route][str(batch)]["flip_rate"] <= most)
        ]
        asked = {"kind": kind, "least": least, "most_flips": most}
        if not every:
            found.append({**asked, "route": None, "reached": None if kind not in kinds.values() else False})
            continue
        speed, route, where, answers = max(every, key=lambda item: item[0])
        found.append({**asked, "route": route, "shape": where, "speed": speed, **answers, "reached": speed >= least})
    return found


def as_markdown(content: Mapping[str, Any]) -> str:
    """Return the results as Markdown."""
    heads = " | ".join(f"speed {b}x{n} [95 %] | flips at batch {b} | p. loyalty" for b, n in SHAPES)
    lines = [f"| route | MB | {heads} | accuracy |", "|---|---|" + "---|" * (3 * len(SHAPES) + 1)]
    for route, kept in content["behaviour"].items():
        cells = []
        for batch, length in SHAPES:
            speed, answers = content["speeds"][route][f"{batch}x{length}"], kept[str(batch)]
            span = "–" if speed["interval"] is None else ", ".join(f"{end:.2f}" for end in speed["interval"])
            cells.append(f"{speed['speed']:.2f}x [{span}] ({speed['milliseconds']:.2f} ms)")
            cells += [f"{answers['flip_rate']:.1%}", f"{answers['probability_loyalty']:.3f}"]
        accuracy = kept[str(SHAPES[0][0])]["accuracy"]
        lines.append(f"| {route} | {kept['bytes'] / 1e6:.1f} | {' | '.join(cells)} | {accuracy:.3f} |")
    lines += ["", "| goal | route | speed | flips | probability loyalty | reached |", "|---|---|---|---|---|---|"]
    for goal in content["goals"]:
        bound = f", flips <= {goal['most_flips']:.1%}" if goal["most_flips"] else ""
        asked = f"{goal['kind']} >= {goal['least']}x{bound}"
        if goal["route"] is None:
            lines.append(f"| {asked} | – | – | – | – | {'not measured' if goal['reached'] is None else 'no'} |")
            continue
        low, high = (f"{end:.1%}" for end in goal["interval"])
        lines.append(
            f"| {asked} | {goal['route']} at {goal['shape']} | {goal['speed']:.2f}x | {goal['flip_rate']:.1%} "
            f"[{low}, {high}] | {goal['probability_loyalty']:.3f} | {'yes' if goal['reached'] else 'no'} |"
        )
    return "\n".join(lines) + "\n"


def said(text: str) -> None:
    """Tell progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure everything and write ``compression.json`` and ``compression.md``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("reports/compression"))
    parser.add_argument("--train", type=int, default=1000, help="training sentences")
    parser.add_argument("--test", type=int, default=1000, help="test sentences")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--processes", type=int, default=12)
    parser.add_argument("--only", action="append", default=[], help="a route in place of the defaults; may be repeated")
    parser.add_argument("--also", action="append", default=[], help="a route more; may be repeated")
    given = parser.parse_args()
    import torch

    from stabbench.compression.base import missing_packages, stage_of
    from stabbench.suite.compressions import stages

    torch.set_num_threads(1)
    asked = [*(given.only or (*CORE, *EXTRA, *CHAINS, *EXTRA_CHAINS)), *given.also]
    kinds, lacking = {}, {}
    for route in dict.fromkeys(asked):
        chain = stages(route)
        packages = [p for text in chain for p in type(stage_of(text)).packages]
        if missing := [p for text in chain for p in missing_packages(stage_of(text).plugin_name())]:
            lacking[route] = f"pip install {' '.join(packages)}"
            said(f"{route}: left out, {' and '.join(missing)} not installed; {lacking[route]}")
            continue
        kinds[route] = "chain" if len(chain) > 1 else "extra" if packages else "core"
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="stabbench-bench-") as name:
        scratch = Path(name)
        dense, data, accuracy = train(scratch / "trial", given.train, given.epochs, given.test)
        said(f"dense: accuracy {accuracy:.3f} after {time.perf_counter() - start:.0f} s")
        artifacts = compressed([*kinds, TRIM], dense, data, scratch)
        trimmed = differing_logits(dense, data, artifacts.pop(TRIM))
        kept = behaviour(artifacts, dense, data)
        said(f"timing {len(kinds)} routes after {time.perf_counter() - start:.0f} s")
        timed = speeds(artifacts, dense, data, scratch / "panel", given.processes)
    content = {
        "dense_accuracy": accuracy, "train": given.train, "test": given.test, "processes": given.processes,
        "goals": judged(kinds, timed, kept), "vocab-trim": trimmed, "speeds": timed, "behaviour": kept,
        "left_out": lacking, "seconds": time.perf_counter() - start,
    }  # fmt: skip
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "compression.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    busy = max(s["contaminated"] or 0 for shapes in timed.values() for s in shapes.values() if "contaminated" in s)
    replicate = ", ".join(f"{one['speed']:.3f}x at {shape}" for shape, one in timed["A/A"].items())
    text = (
        f"# Compression: speed over eager float32, and what is kept\n`{shlex.join(['python', *sys.argv])}`\n\n"
        f"MiniLM-L6, {given.train} training sentences, dense accuracy {accuracy:.3f} on {given.test} test sentences; "
        f"{given.processes} fresh processes, one thread. A/A replicate: {replicate}; rounds that waited for a "
        f"processor: at most {busy:.0%} of a route's.\n\n{as_markdown(content)}\n"
        f"vocab-trim: {trimmed['differing']} of {trimmed['logits']} logits differ on {trimmed['texts']} covered texts "
        f"({trimmed['uncovered']} not covered; {trimmed['pieces']} of {trimmed['pieces_before']} pieces kept).\n"
        + "".join(f"\nLeft out: {route} ({how}).\n" for route, how in lacking.items())
    )
    (given.out / "compression.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
