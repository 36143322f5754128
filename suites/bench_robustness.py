"""How fast are our attacks? The same recipe on the same sentences, against textattack's own model wrapper.

    python suites/bench_robustness.py --sentences 50 --pairs 3 --out reports/robustness      # alone on the machine

The victim is `builtin:minilm-l6` with a linear classifier on its frozen, pooled output (fitted on 400 sentences of
`builtin:rotten-tomatoes`), the sentences are test sentences it classifies rightly. Both sides search with the same
recipe, query budget, seed per example and number of threads, in one process and in alternating order; the peer is
textattack's `HuggingFaceModelWrapper` as it comes, which pads every text to the model's full length. The median of the
paired ratios is reported with all of them, and beside them how many of the results are equal (text and queries).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RECIPES = ("deepwordbug", "pwws")
BUDGET, SEED, FITTED, MAX_LENGTH = 300, 0, 400, 512
Found = list[tuple[Any, int]]
"""Per sentence, the text found and the queries asked."""


def victim(sentences: int) -> tuple[Any, list[Any]]:
    """Return the subject, and the first `sentences` test sentences that it classifies rightly."""
    import numpy as np
    import torch
    from sklearn.linear_model import LogisticRegression

    from stabbench.data.dataset import load_dataset
    from stabbench.models.loading import load_pretrained
    from stabbench.models.sources import asset_folder
    from stabbench.models.subject import Subject, torch_logits
    from stabbench.seeding import TrialSeeds
    from stabbench.suite.schema import Data, Task

    data = load_dataset(
        Data(source="builtin:rotten-tomatoes", train=FITTED, test=4 * sentences), Task(), Path.cwd(), asset_folder
    )
    model, tokenizer = load_pretrained(asset_folder("builtin:minilm-l6"), data.classes, TrialSeeds(0, 0))
    model.eval()
    subject = Subject(tokenizer, torch_logits(model), data.classes, MAX_LENGTH, model)
    with torch.inference_mode():
        pooled = [
            model.base_model(**subject.encode([example.text]).inputs()).pooler_output[0].numpy()
            for example in data.train
        ]
    labels = [example.label for example in data.train]
    fitted = LogisticRegression(max_iter=1000).fit(np.stack(pooled), labels)
    weight, bias = torch.tensor(fitted.coef_[0]).float(), float(fitted.intercept_[0])
    with torch.no_grad():
        model.classifier.weight.copy_(torch.stack([-weight, weight]) / 2)
        model.classifier.bias.copy_(torch.tensor([-bias, bias]) / 2)
    answers = subject.predict(data.test).argmax(axis=1)
    right = [example for example, answer in zip(data.test, answers, strict=True) if example.label == answer]
    return subject, right[:sentences]


def ours(recipe: Any, subject: Any, examples: Sequence[Any]) -> Found:
    """Attack as the probe does."""
    from stabbench.attacks.engine.run import attack_examples

    rows = attack_examples(recipe, subject, examples, query_budget=BUDGET, seed=SEED)
    return [(row.adversarial_text, row.queries) for row in rows]


def theirs(recipe: Any, subject: Any, examples: Sequence[Any]) -> Found:
    """Attack with textattack alone: its wrapper, its goal function, one example after the other."""
    import numpy as np
    import torch
    from textattack.models.wrappers import HuggingFaceModelWrapper

    from stabbench.seeding import derive

    search = recipe.build(HuggingFaceModelWrapper(subject.model, subject.tokenizer))
    search.goal_function.query_budget = BUDGET
    found = []
    for example in examples:
        seed = derive("attack", recipe.name, example.id, SEED)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        result = search.attack(example.text, example.label)
        found.append((result.perturbed_result.attacked_text.text, int(result.num_queries)))
    return found


def compare(name: str, subject: Any, examples: Sequence[Any], pairs: int) -> dict[str, Any]:
    """Time `pairs` pairs in alternating order; the ratio is the peer's seconds over ours."""
    from stabbench import registry

    recipe = registry.load("attacks", name)()
    if reason := recipe.missing():
        return {"recipe": name, "missing": reason}
    sides: dict[str, Callable[[Any, Any, Sequence[Any]], Found]] = {"ours": ours, "textattack": theirs}
    # What is loaded once (WordNet) is not part of a search.
    for search in sides.values():
        search(recipe, subject, examples[:1])
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    found: dict[str, Found] = {}
    for pair in range(pairs):
        for side in list(sides)[:: 1 if pair % 2 == 0 else -1]:
            start = time.perf_counter()
            found[side] = sides[side](recipe, subject, examples)
            seconds[side].append(time.perf_counter() - start)
        print(f"{name}: pair {pair + 1} of {pairs}: {seconds}", file=sys.stderr, flush=True)
    ratios = [b / a for a, b in zip(seconds["ours"], seconds["textattack"], strict=True)]
    equal = sum(a == b for a, b in zip(found["ours"], found["textattack"], strict=True))
    return {
        "recipe": name,
        "sentences": len(examples),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "seconds": {side: statistics.median(times) for side, times in seconds.items()},
        "equal": equal,
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = ["| recipe | ratio | all pairs | seconds, ours / textattack | equal results |", "|---|---|---|---|---|"]
    for r in results:
        if "missing" in r:
            lines.append(f"| {r['recipe']} | – | {r['missing']} | – | – |")
            continue
        pairs = ", ".join(f"{value:.2f}" for value in r["ratios"])
        times = " / ".join(f"{value:.2f}" for value in r["seconds"].values())
        equal = f"{r['equal']} of {r['sentences']}"
        lines.append(f"| {r['recipe']} | {r['ratio']:.2f}x | {pairs} | {times} | {equal} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every recipe; print the table, and write it and the numbers to ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--sentences", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    from stabbench.attacks.engine.environment import prepare

    prepare()
    import torch

    torch.set_num_threads(given.threads)
    subject, examples = victim(given.sentences)
    results = [compare(name, subject, examples, given.pairs) for name in given.recipes]
    print(table(results), end="")
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "robustness.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (given.out / "robustness.md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()
