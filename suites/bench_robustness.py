"""How fast are our attacks? The same recipe on the same sentences, against textattack's own model wrapper.

    python suites/bench_robustness.py --out reports/robustness          # alone on the machine; not timed yet
    python suites/bench_robustness.py --sentences 50 --only deepwordbug # the sample of issue 5; textattack is slow

The victim is `builtin:minilm-l6` with a linear classifier on its frozen, pooled output (fitted on 400 sentences of
`builtin:rotten-tomatoes`), the sentences are test sentences it classifies rightly. Both sides search with the same
recipe, query budget, seed per example and number of threads, in one process and in alternating order; the peer is
textattack's `HuggingFaceModelWrapper` as it comes, which pads every text to the model's full length, and, where a
sentence encoder is part of the recipe, the same weights in float32, every text anew, in the way of textattack's SBERT.
The median of the paired ratios is reported with all of them, and beside them how many of the results are equal (text
and queries); of one that is not, how close the closest choice was that the search had to make. Last comes the same
search with many examples in lock-step against one by one, ours on both sides.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

SENTENCES: dict[str, int] = {"deepwordbug": 24, "pwws": 8, "textfooler-offline": 12}
"""Recipe → sentences at defaults: fewer where a recipe asks more."""
LOCK_STEP, TOGETHER = "lock-step", 16
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


def ours(recipe: Any, subject: Any, examples: Sequence[Any], together: int | None = None) -> Found:
    """Attack as the probe does."""
    from stabbench.attacks.engine.run import attack_examples

    rows = attack_examples(recipe, subject, examples, query_budget=BUDGET, seed=SEED, together=together)
    return [(row.adversarial_text, row.queries) for row in rows]


def theirs(recipe: Any, subject: Any, examples: Sequence[Any], closest: list[float] | None = None) -> Found:
    """Attack with textattack alone: its wrapper, its goal function, one example after the other.

    Where `closest` is given, it gets per sentence the least distance of the two best scores, not equal, of any list.
    """
    import numpy as np
    import torch
    from textattack.constraints.semantics.sentence_encoders import SentenceEncoder
    from textattack.models.wrappers import HuggingFaceModelWrapper

    from stabbench.attacks.engine.similarity import LocalEncoder
    from stabbench.seeding import derive

    search = recipe.build(HuggingFaceModelWrapper(subject.model, subject.tokenizer))
    for constraint in search.constraints:
        if isinstance(constraint, LocalEncoder):
            constraint.encode = partial(encoded_anew, constraint.encoder)
            constraint._score_list = partial(SentenceEncoder._score_list, constraint)
    search.goal_function.query_budget = BUDGET
    if closest is not None:
        _watch_choices(search, closest)
    found = []
    for example in examples:
        seed = derive("attack", recipe.name, example.id, SEED)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        if closest is not None:
            closest.append(1.0)
        result = search.attack(example.text, example.label)
        found.append((result.perturbed_result.attacked_text.text, int(result.num_queries)))
    return found


def encoded_anew(encoder: Any, texts: Sequence[str]) -> Any:
    """Return (N, H) float32 vectors in the way of the library that SBERT of textattack calls: the longest first, by 32.

    The library itself is no dependency of ours. Texts are cut where ours are, so that the vectors are the same.
    """
    import torch

    from stabbench.attacks.engine.similarity import MAX_LENGTH

    vectors: list[Any] = [None] * len(texts)
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
    for start in range(0, len(order), 32):
        part = order[start : start + 32]
        cut = {"padding": True, "truncation": True, "max_length": MAX_LENGTH}
        coded = encoder.tokenizer([texts[index] for index in part], **cut, return_tensors="pt")
        with torch.no_grad():
            states = encoder.model(**coded).last_hidden_state
        mask = coded["attention_mask"].unsqueeze(-1)
        for index, vector in zip(part, (states * mask).sum(1) / mask.sum(1), strict=True):
            vectors[index] = vector
    return torch.stack(vectors)


def _watch_choices(search: Any, closest: list[float]) -> None:
    ask = search.goal_function.get_results

    def watched(texts: list[Any], check_skip: bool = False) -> Any:
        results, over = ask(texts, check_skip=check_skip)
        best = sorted({float(result.score) for result in results})[-2:]
        if len(best) == 2:
            closest[-1] = min(closest[-1], best[1] - best[0])
        return results, over

    search.goal_function.get_results = search.search_method.get_goal_results = watched


def compare(name: str, subject: Any, examples: Sequence[Any], pairs: int) -> dict[str, Any]:
    """Time `pairs` pairs in alternating order; the ratio is the peer's seconds over ours."""
    from stabbench import registry

    recipe = registry.load("attacks", name)()
    if reason := recipe.missing():
        return {"comparison": name, "missing": reason}
    sides = {"ours": partial(ours, recipe, subject), "peer": partial(theirs, recipe, subject)}
    seconds, found = timed(name, sides, examples, pairs)
    differing = [i for i, (a, b) in enumerate(zip(found["ours"], found["peer"], strict=True)) if a != b]
    closest: list[float] = []
    if differing:
        theirs(recipe, subject, [examples[i] for i in differing], closest)
    return result(f"{name} / textattack", len(examples), seconds, len(differing), closest)


def lock_step(subject: Any, examples: Sequence[Any], pairs: int) -> dict[str, Any]:
    """Time DeepWordBug with many examples side by side against one after the other."""
    from stabbench import registry

    recipe = registry.load("attacks", "deepwordbug")()
    sides = {
        "ours": partial(ours, recipe, subject, together=TOGETHER),
        "peer": partial(ours, recipe, subject, together=1),
    }
    seconds, found = timed(LOCK_STEP, sides, examples, pairs)
    differing = sum(a != b for a, b in zip(found["ours"], found["peer"], strict=True))
    return result(f"deepwordbug, {TOGETHER} in {LOCK_STEP} / one by one", len(examples), seconds, differing, [])


def timed(
    name: str, sides: Mapping[str, Callable[[Sequence[Any]], Found]], examples: Sequence[Any], pairs: int
) -> tuple[dict[str, list[float]], dict[str, Found]]:
    """Return side → seconds of every pair, and side → what it found."""
    # What is loaded once (WordNet, vectors) is not part of a search.
    for search in sides.values():
        search(examples[:1])
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    found: dict[str, Found] = {}
    for pair in range(pairs):
        for side in list(sides)[:: 1 if pair % 2 == 0 else -1]:
            start = time.perf_counter()
            found[side] = sides[side](examples)
            seconds[side].append(time.perf_counter() - start)
        print(f"{name}: pair {pair + 1} of {pairs}: {seconds}", file=sys.stderr, flush=True)
    return seconds, found


def result(
    name: str, sentences: int, seconds: dict[str, list[float]], differing: int, closest: Sequence[float]
) -> dict[str, Any]:
    """Return one comparison as plain numbers."""
    ratios = [b / a for a, b in zip(seconds["ours"], seconds["peer"], strict=True)]
    return {
        "comparison": name,
        "sentences": sentences,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "seconds": {side: statistics.median(times) for side, times in seconds.items()},
        "equal": sentences - differing,
        "closest_choice_of_each_that_differs": list(closest),
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = ["| ours / peer | ratio | all pairs | seconds, ours / peer | equal results |", "|---|---|---|---|---|"]
    for r in results:
        if "missing" in r:
            lines.append(f"| {r['comparison']} | – | {r['missing']} | – | – |")
            continue
        pairs = ", ".join(f"{value:.2f}" for value in r["ratios"])
        times = " / ".join(f"{value:.2f}" for value in r["seconds"].values())
        ties = ", ".join(f"{value:.0e}" for value in r["closest_choice_of_each_that_differs"])
        equal = f"{r['equal']} of {r['sentences']}" + (f"; closest choice of the others {ties}" if ties else "")
        lines.append(f"| {r['comparison']} | {r['ratio']:.2f}x | {pairs} | {times} | {equal} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every comparison; print the table, and write it and the numbers to ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"part of a recipe's name, or {LOCK_STEP}")
    parser.add_argument("--sentences", type=int, help="for every recipe; default: as many as end in time")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    from stabbench.attacks.engine.environment import prepare

    prepare()
    import torch

    torch.set_num_threads(given.threads)
    asked = {name: given.sentences or count for name, count in SENTENCES.items() if given.only in name}
    in_lock_step = given.only in LOCK_STEP
    most = max([*asked.values(), (given.sentences or SENTENCES["deepwordbug"]) if in_lock_step else 1])
    subject, examples = victim(most)
    results = [compare(name, subject, examples[:count], given.pairs) for name, count in asked.items()]
    if in_lock_step:
        results.append(lock_step(subject, examples, max(given.pairs, 3)))
    print(table(results), end="")
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        content = {"threads": given.threads, "results": results}
        (given.out / "robustness.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        chosen = [("--only", given.only or None), ("--sentences", given.sentences), ("--pairs", given.pairs)]
        options = " ".join(f"{name} {value}" for name, value in chosen if value is not None)
        command = f"`python suites/bench_robustness.py --out {given.out} {options} --threads {given.threads}`"
        text = f"# Attack speed\n{command}, {given.threads} thread(s); above 1 ours is faster.\n\n{table(results)}"
        (given.out / "robustness.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
