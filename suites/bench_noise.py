"""How fast is our noise on text, and what does the noise probe cost beyond the passes of its model?

    python suites/bench_noise.py --out reports/noise          # alone on the machine; not timed yet
    pip install --no-deps --target FOLDER nlpaug==1.1.11      # the peer, outside our environment: pinned old, and
    PYTHONPATH=FOLDER python suites/bench_noise.py            # its requirements are ours already

Three questions, each a median of paired runs in one process, in alternating order:

- Sentences per second of a kind against the same kind of nlpaug 1.1.11 with its defaults, at the severity that edits
  about as many letters; both get the same sentences of `builtin:rotten-tomatoes`. Ours seeds every sentence by its id.
- The share of the noise probe's seconds (`noise` at its defaults, on the victim of bench_robustness.py) that goes into
  making the noise.
- The probe's seconds over those of the bare forward passes of its batches: sorted by length, padded, ready as tensors.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PEER, VERSION = "nlpaug", "1.1.11"
MISSING = f"needs `pip install --no-deps --target FOLDER {PEER}=={VERSION}` and FOLDER in PYTHONPATH"
SEED = 0
KINDS: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "keyboard": (5, "char", "KeyboardAug", {}),
    "char_swap": (5, "char", "RandomCharAug", {"action": "swap"}),
    "ocr": (4, "char", "OcrAug", {}),
    "word_drop": (5, "word", "RandomWordAug", {"action": "delete"}),
}
"""Our kind → the severity nearest to the peer's defaults; module, class and options of the peer's."""
GOALS = {"nlpaug": "at least 3x", "share": "at most 5 %", "passes": "at most 1.3x"}


def peer(kind: str) -> Callable[[list[str]], list[str]] | None:
    """Return the peer's noise of a kind, or None where the peer is not installed."""
    try:
        found = importlib.metadata.version(PEER)
    except importlib.metadata.PackageNotFoundError:
        return None
    if found != VERSION:
        raise SystemExit(f"{PEER} {found} is installed; the comparison is with {VERSION}: {MISSING}")
    _, module, name, options = KINDS[kind]
    made = getattr(importlib.import_module(f"{PEER}.augmenter.{module}"), name)(**options)
    return lambda sentences: list(made.augment(sentences))


def seconds_of(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def alternating(first: Callable[[], float], second: Callable[[], float], pairs: int) -> list[tuple[float, float]]:
    """Return what the two measured, pair by pair; the one that goes first changes."""
    found = []
    for pair in range(pairs):
        if pair % 2 == 0:
            a = first()
            found.append((a, second()))
        else:
            b = second()
            found.append((first(), b))
    return found


def changed_letters(before: Sequence[str], after: Sequence[str]) -> float:
    """Return the edit distance over the letters, of all sentences together."""
    import Levenshtein

    distance = sum(Levenshtein.distance(a, b) for a, b in zip(before, after, strict=True))
    return distance / sum(map(len, before))


def against_peer(kind: str, sentences: list[str], pairs: int) -> dict[str, Any]:
    """Time a kind of noise against the peer's."""
    from stabbench import registry

    perturbation = registry.load("perturbations", kind)()
    theirs = peer(kind)
    severity = KINDS[kind][0]
    name = f"{kind} at severity {severity} / {PEER} {VERSION} {KINDS[kind][2]}"
    if theirs is None:
        return {"comparison": name, "missing": MISSING}

    def ours() -> list[str]:
        return [perturbation.perturb(text, severity, str(i), SEED) for i, text in enumerate(sentences)]

    made = ours(), theirs(sentences)
    found = alternating(lambda: seconds_of(ours), lambda: seconds_of(lambda: theirs(sentences)), pairs)
    per_second = [len(sentences) / statistics.median(side) for side in zip(*found, strict=True)]
    shares = [changed_letters(sentences, side) for side in made]
    return {
        "comparison": name,
        "ratios": [b / a for a, b in found],
        "goal": GOALS["nlpaug"],
        "told": f"{per_second[0]:,.0f} / {per_second[1]:,.0f} sentences/s; letters edited {shares[0]:.1%} / "
        f"{shares[1]:.1%}",
    }


def probe_costs(examples: int, pairs: int) -> list[dict[str, Any]]:
    """Time the noise probe, the making of its noise within it, and the bare passes of its batches."""
    from bench_robustness import victim

    from stabbench.data.example import Dataset
    from stabbench.models.batch import Batch
    from stabbench.perturbations.base import Perturbation
    from stabbench.probes.base import Context
    from stabbench.probes.noise import Noise

    subject, test = victim(examples)
    dataset, probe = Dataset((), (), tuple(test), subject.classes, ""), Noise(examples=examples)
    score, perturb = subject.logits, Perturbation.perturb
    batches: list[Batch] = []
    subject.logits = lambda batch: (batches.append(batch), score(batch))[1]
    _measure(probe, subject, Context, dataset)
    subject.logits = score

    making = 0.0

    def timed(self: Perturbation, text: str, severity: int, example: str, seed: int) -> str:
        nonlocal making
        start = time.perf_counter()
        made = perturb(self, text, severity, example, seed)
        making += time.perf_counter() - start
        return made

    def share() -> float:
        nonlocal making
        making = 0.0
        Perturbation.perturb = timed  # type: ignore[method-assign]
        try:
            whole = seconds_of(lambda: _measure(probe, subject, Context, dataset))
        finally:
            Perturbation.perturb = perturb  # type: ignore[method-assign]
        return making / whole

    found = alternating(
        lambda: seconds_of(lambda: _measure(probe, subject, Context, dataset)),
        lambda: seconds_of(lambda: [score(batch) for batch in batches]),
        pairs,
    )
    whole, passes = (statistics.median(side) for side in zip(*found, strict=True))
    texts = sum(len(batch.input_ids) for batch in batches)
    return [
        {
            "comparison": "making the noise / the whole noise probe",
            "ratios": [share() for _ in range(pairs)],
            "goal": GOALS["share"],
            "told": f"{len(test)} sentences, {len(probe.kinds)} kinds, {len(probe.severities)} severities",
        },
        {
            "comparison": "the whole noise probe / bare passes of its batches",
            "ratios": [a / b for a, b in found],
            "goal": GOALS["passes"],
            "told": f"{whole:.2f} / {passes:.2f} s; {texts} texts in {len(batches)} batches",
        },
    ]


def _measure(probe: Any, subject: Any, context: Any, dataset: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        probe.measure(subject, context(dataset, Path(folder)))


def sentences_of(n: int) -> list[str]:
    """Return `n` test sentences of `builtin:rotten-tomatoes`."""
    from stabbench.data.dataset import load_dataset
    from stabbench.models.sources import asset_folder
    from stabbench.suite.schema import Data, Task

    data = load_dataset(Data(source="builtin:rotten-tomatoes", train=16, test=n), Task(), Path.cwd(), asset_folder)
    return [example.text for example in data.test]


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = ["| ours / other | median | goal | all pairs | |", "|---|---|---|---|---|"]
    for r in results:
        if "missing" in r:
            lines.append(f"| {r['comparison']} | – | {GOALS['nlpaug']} | – | {r['missing']} |")
            continue
        pairs = ", ".join(f"{value:.3g}" for value in r["ratios"])
        lines.append(
            f"| {r['comparison']} | {statistics.median(r['ratios']):.3g} | {r['goal']} | {pairs} | {r['told']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every comparison; print the table, and write it and the numbers to ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("nlpaug", "probe"), help="one part alone; default: both")
    parser.add_argument("--sentences", type=int, default=2000, help="for the kinds of noise")
    parser.add_argument("--examples", type=int, default=150, help="sentences of the noise probe")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    results: list[dict[str, Any]] = []
    if given.only != "probe":
        sentences = sentences_of(given.sentences)
        for kind in KINDS:
            results.append(against_peer(kind, sentences, given.pairs))
            print(f"{kind}: {results[-1].get('ratios', MISSING)}", file=sys.stderr, flush=True)
    if given.only != "nlpaug":
        results += probe_costs(given.examples, given.pairs)
    print(table(results), end="")
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"threads": given.threads, "results": results}, indent=1)
        (given.out / "noise.json").write_text(content + "\n", encoding="utf-8")
        only = f" --only {given.only}" if given.only else ""
        command = (
            f"`python suites/bench_noise.py --out {given.out}{only} --sentences {given.sentences} "
            f"--examples {given.examples} --pairs {given.pairs} --threads {given.threads}`"
        )
        text = f"# Noise speed\n{command}, {given.threads} thread(s).\n\n{table(results)}"
        (given.out / "noise.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
