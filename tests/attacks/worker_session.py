"""Run in a process of its own by the tests: prepares it as the attack worker is, attacks, prints one JSON document.

python worker_session.py MODEL_FOLDER forwards|backwards stock|-
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

TEXT = "great awful good dull the film plot is was a very best worst people love boring fun story never really"
WORDS = TEXT.split()
EXTRA = "it's don't isn't 12 seven"
BUDGET, SEED, N = 60, 3, 24
VARIED, VARIED_BUDGET, SMALLER_BUDGET = 12, 90, 30


def main() -> None:
    torch.set_num_threads(1)
    logging.getLogger("before").setLevel(logging.INFO)
    random.seed(5)
    state, environment = random.getstate(), dict(os.environ)
    try:
        require_fails = None
        from stabbench.attacks.engine import environment as worker
        from stabbench.attacks.engine.environment import prepare, require

        require()
    except Exception as error:
        require_fails = str(error)
    if sys.argv[2] == "backwards":
        # A checkout of somebody whose files the group may write, as some systems make them.
        os.umask(0o002)
        worker.NLTK_DATA = as_a_group_writes_it(worker.NLTK_DATA)
    prepare()
    prepare()
    changed = {name for name in {*os.environ, *environment} if os.environ.get(name) != environment.get(name)}
    found = {
        "unprepared": require_fails,
        "environment": sorted(changed),
        "logger_disabled": logging.getLogger("before").disabled,
        "random_kept": random.getstate() == state,
        "flair": [name for name in ("flair.data", "flair.nn", "flair.trainers") if name in sys.modules],
        "home": sorted(str(p.relative_to(Path.home())) for p in Path.home().rglob("*") if p.is_file()),
        "network": {name: raised(call) for name, call in connections().items()},
        **attacks(Path(sys.argv[1]), backwards=sys.argv[2] == "backwards", stock=sys.argv[3] == "stock"),
    }
    print(json.dumps(found))


def as_a_group_writes_it(folder: Path) -> Path:
    copy = Path(shutil.copytree(folder, Path.home() / "shared", copy_function=shutil.copyfile))
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o775 if path.is_dir() else 0o664)
    return copy


def raised(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def connections() -> dict[str, Callable[[], object]]:
    def unix() -> None:
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{folder}/s")
            server.listen()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{folder}/s")

    def tcp() -> None:
        with socket.socket() as client:
            client.connect(("192.0.2.1", 80))

    def udp() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", ("192.0.2.1", 53))

    return {"unix": unix, "tcp": tcp, "udp": udp, "dns": lambda: socket.getaddrinfo("example.invalid", 443)}


def subject(folder: Path) -> Any:
    """A tiny random model with a head so steep that single words decide."""
    from stabbench.models.loading import load_pretrained
    from stabbench.models.subject import Subject, torch_logits
    from stabbench.seeding import TrialSeeds

    model, tokenizer = load_pretrained(folder, ("no", "yes"), TrialSeeds(0, 0))
    model.eval()
    with torch.no_grad():
        model.classifier.weight.mul_(60.0)
        texts = [example.text for example in examples()]
        raw = Subject(tokenizer, torch_logits(model), ("no", "yes"), 64, model)
        gaps = np.diff(np.log(raw.probabilities(texts)), axis=1)
        model.classifier.bias[1] -= float(np.median(gaps))
    return raw


def examples() -> list[Any]:
    from stabbench.data.example import Example

    rng = random.Random(0)
    sentences = [" ".join(rng.choices(WORDS, k=rng.randint(3, 12))) + " ." for _ in range(N)]
    return [Example(f"t:{i}", sentence, i % 2) for i, sentence in enumerate(sentences)]


def varied_examples(victim: Any) -> list[Any]:
    """Sentences in which every recipe finds something to do; the model is right on all but every sixth."""
    from stabbench.data.example import Example

    rng = random.Random(1)
    sentences = [" ".join(rng.choices([*WORDS, *EXTRA.split()], k=rng.randint(3, 9))) + " ." for _ in range(VARIED)]
    answers = [int(victim.probabilities([sentence])[0].argmax()) for sentence in sentences]
    labels = [1 - answer if i % 6 == 0 else answer for i, answer in enumerate(answers)]
    return [Example(f"v:{i}", sentence, labels[i]) for i, sentence in enumerate(sentences)]


def every_recipe(victim: Any, *, backwards: bool, stock: bool) -> dict[str, Any]:
    """Recipe → why it cannot run here, its rows, and what textattack itself finds with the same parts."""
    from stabbench import registry
    from stabbench.attacks.engine.run import attack_examples

    found, given = {}, varied_examples(victim)
    together = 5 if backwards else 1
    for name in registry.names("attacks"):
        attack = registry.load("attacks", name).given(masked_lm=os.environ["MASKED_LM"])
        missing = attack.missing()
        rows, closest = [], {}
        if missing is None:
            ordered = given[:: -1 if backwards else 1]
            with closest_calls() as closest:
                rows = attack_examples(
                    attack, victim, ordered, query_budget=VARIED_BUDGET, seed=SEED, together=together
                )
        theirs = stock_results(attack, victim, given, VARIED_BUDGET) if stock and not missing else None
        found[name] = {
            "smaller": {
                row.example: row.outcome
                for row in attack_examples(attack, victim, given, query_budget=SMALLER_BUDGET, seed=SEED)
            }
            if stock and not missing
            else None,
            "missing": missing,
            "closest": {row.example: closest.get(row.text, 1.0) for row in rows},
            "goal": attack.goal,
            "rows": {row.example: row.as_dict() | {"words_left": row.words_left} for row in rows},
            "stock": theirs,
        }
    return found


@contextmanager
def closest_calls() -> Iterator[dict[str, float]]:
    """Give clean text → the least distance of the two best scores, not equal, that a search had to choose between."""
    from stabbench.attacks.engine.search import Search

    found: dict[str, float] = {}
    watch = Search._watch

    def watched(search: Any, texts: list[Any], check_skip: bool = False) -> Any:
        results, over = watch(search, texts, check_skip=check_skip)
        best = sorted({float(result.score) for result in results})[-2:]
        text = search.goal.initial_attacked_text.tokenizer_input
        if len(best) == 2:
            found[text] = min(found.get(text, 1.0), best[1] - best[0])
        return results, over

    Search._watch = watched  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Search._watch = watch  # type: ignore[method-assign]


def pairs(victim: Any) -> dict[str, Any]:
    """Recipe → its row on a pair of sentences."""
    from stabbench import registry
    from stabbench.attacks.engine.run import attack_examples
    from stabbench.data.example import Example

    label = int(victim.probabilities([("good film", "great plot")])[0].argmax())
    pair = Example("pair", "good film", label, "great plot")
    folder = os.environ["MASKED_LM"]
    loaded = [registry.load("attacks", name).given(masked_lm=folder) for name in registry.names("attacks")]
    found = [attack_examples(a, victim, [pair], query_budget=40, seed=SEED) for a in loaded if a.missing() is None]
    return {rows[0].recipe: rows[0].as_dict() for rows in found}


def first_order(victim: Any) -> list[list[float]]:
    """Gain that HotFlip's gradient promises, and the loss along a small part of the way to the other word's vector."""
    from stabbench.attacks.engine.token_flips import TokenFlips
    from stabbench.attacks.engine.victim import Scorer, Victim
    from stabbench.models.hooks import changed_output

    search, text, step = TokenFlips(Victim(Scorer(victim, 8)), 5, 1.0), "the film is great fun .", 1e-4
    table, model = search.embedding.weight.detach().double(), victim.model.double()
    ids = torch.tensor([victim.tokenizer(text)["input_ids"]])

    def loss(change: Any) -> float:
        with torch.no_grad(), changed_output(search.embedding, lambda given: given + change):
            return -float(torch.log_softmax(model(input_ids=ids).logits, -1)[0, 1])

    found = []
    for place, number in search.best_flips((text,), search.places((text,)), 1):
        way = torch.zeros(1, ids.shape[1], table.shape[1], dtype=torch.float64)
        way[0, place.token] = table[number] - table[place.id]
        gain = float(search.gradient((text,), 1)[place.token] @ way[0, place.token].to(torch.float64))
        found.append([gain, (loss(step * way) - loss(-step * way)) / (2 * step)])
    victim.model.float()
    return found


def attacks(folder: Path, *, backwards: bool, stock: bool) -> dict[str, Any]:
    from stabbench.attacks.deepwordbug import Deepwordbug
    from stabbench.attacks.engine.run import attack_examples
    from stabbench.data.example import Dataset, Example
    from stabbench.probes.attack import Attack
    from stabbench.probes.base import Context

    victim = subject(folder)
    chosen = examples()[:: -1 if backwards else 1]
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    rows = attack_examples(Deepwordbug(), victim, chosen, query_budget=BUDGET, seed=SEED)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    odd = [
        Example("empty", "...", int(victim.probabilities(["..."])[0].argmax())),
        Example(
            "pair", "good film", int(victim.probabilities([("good film", "great plot")])[0].argmax()), "great plot"
        ),
        Example("split", "good <SPLIT> film", int(victim.probabilities(["good <SPLIT> film"])[0].argmax())),
        Example("after", "good film", int(victim.probabilities(["good film"])[0].argmax())),
    ]
    with tempfile.TemporaryDirectory() as name:
        context = Context(Dataset((), (), tuple([*chosen, odd[0], odd[2]]), ("no", "yes"), ""), Path(name))
        probe = Attack(examples=100, query_budget=BUDGET)
        measured = [[m.metric, dict(m.at), m.value, m.n_used, m.n_planned] for m in probe.measure(victim, context)]
        lines = (Path(name) / "attack.jsonl").read_text().splitlines()
    budgets = {
        budget: [r.outcome for r in attack_examples(Deepwordbug(), victim, examples(), query_budget=budget, seed=SEED)]
        for budget in (10, 20)
    }
    return {
        "rows": {row.example: row.as_dict() for row in rows},
        "odd": [r.as_dict() for r in attack_examples(Deepwordbug(), victim, odd, query_budget=BUDGET, seed=SEED)],
        "random_restored": before == after,
        "measured": measured,
        "stored": [json.loads(line) for line in lines],
        "budgets": budgets,
        "stock": stock_results(Deepwordbug(), victim, examples(), BUDGET) if stock else None,
        "first_order": first_order(victim),
        "pairs": pairs(victim),
        "recipes": every_recipe(victim, backwards=backwards, stock=stock),
    }


def stock_results(attack: Any, victim: Any, chosen: list[Any], budget: int) -> dict[str, Any]:
    """What textattack's own wrapper and goal function find under the same seeds, fixed padding and all."""
    from textattack.constraints.semantics.sentence_encoders import SentenceEncoder
    from textattack.models.wrappers import HuggingFaceModelWrapper

    from stabbench.attacks.engine.similarity import LocalEncoder
    from stabbench.seeding import derive

    victim.tokenizer.model_max_length = victim.max_length  # what the wrapper cuts at and pads to
    search = attack.build(HuggingFaceModelWrapper(victim.model, victim.tokenizer))
    search.goal_function.query_budget = budget
    for constraint in search.constraints:
        if isinstance(constraint, LocalEncoder):
            # Every text anew and in float32, as textattack's own encoders do.
            constraint.encode = constraint.encoder
            constraint._score_list = partial(SentenceEncoder._score_list, constraint)
    found = {}
    for example in chosen:
        seed = derive("attack", attack.name, example.id, SEED)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        result = search.attack(example.text, example.label)
        found[example.id] = {
            "outcome": type(result).__name__,
            "text": result.perturbed_result.attacked_text.text,
            "queries": result.num_queries,
        }
    return found


if __name__ == "__main__":
    main()
