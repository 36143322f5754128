"""Attacks examples, many at a time; each result is a function of subject, recipe, example and seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch

from stabbench.attacks.base import Attack, Goal, Preset
from stabbench.attacks.engine.edits import words, words_changed
from stabbench.attacks.engine.environment import require
from stabbench.attacks.engine.lockstep import take_turns
from stabbench.data.example import Example, Text
from stabbench.models.subject import Subject
from stabbench.seeding import derive

Outcome = Literal["success", "failed", "skipped", "error"]
TOGETHER = 16
"""Searches that run in lock-step where the model is on an accelerator; on a processor one at a time is as fast."""
SPLIT = "<SPLIT>"
"""textattack's mark between the sentences of a pair, which a text must not hold."""


@dataclass
class AttackRow:
    """What one recipe did to one example.

    Attributes:
        recipe: name of the attack.
        example: id of the example.
        text: the clean text; a pair is a list of two.
        label: its right class.
        outcome: ``success`` the clean answer was right and the answer to the found text is another; ``failed`` it was
            right and stayed; ``skipped`` it was wrong, or the text has no words; ``error`` the attack raised. Of an
            attack that keeps the answer: ``success`` it kept it with fewer words, ``failed`` it found no word to spare.
        message: why the example was skipped or what was raised, else None.
        clean_prediction: the model's answer to the clean text.
        clean_probabilities: C probabilities.
        adversarial_text: the best text found, also where the attack failed; None where there was no attack.
        adversarial_prediction: the model's answer to it, asked again after the search.
        adversarial_probabilities: C probabilities.
        words_changed: words replaced, inserted or deleted.
        words: words of the clean text.
        queries: texts the search asked for, as textattack counts them: repeated ones too, the clean one included.
        model_rows: texts the model scored for the search.
        query_at_success: number of the query by which the search had succeeded; a budget below it would have failed.
            None for an attack that keeps the answer.
        constraints: ``recipe``, or ``lax`` or ``strict`` ones beside the recipe's own.
    """

    recipe: str
    example: str
    text: Text
    label: int
    outcome: Outcome
    message: str | None
    clean_prediction: int
    clean_probabilities: list[float]
    words: int
    adversarial_text: Text | None = None
    adversarial_prediction: int | None = None
    adversarial_probabilities: list[float] | None = None
    words_changed: int | None = None
    queries: int = 0
    model_rows: int = 0
    query_at_success: int | None = None
    constraints: Preset = "recipe"

    @property
    def words_left(self) -> int:
        """Words of the found text; those of the clean text where there is none, or where it lost the answer."""
        if self.adversarial_text is None or self.adversarial_prediction != self.clean_prediction:
            return self.words
        return len(words(self.adversarial_text))

    def as_dict(self) -> dict[str, Any]:
        """Return the row for ``attack.jsonl``."""
        return asdict(self)


def attack_examples(
    attack: Attack,
    subject: Subject,
    examples: Sequence[Example],
    *,
    query_budget: int,
    seed: int,
    batch_size: int = 32,
    together: int | None = None,
    constraints: Preset = "recipe",
) -> list[AttackRow]:
    """Return one row per example, in order. Random states of the process are as before.

    An example whose clean answer is wrong is not attacked. An attack that raises gives an ``error`` row and the others
    go on. Examples attacked together share batches, which move a score by about 10⁻⁷: only a tie below 10⁻⁵ can end
    otherwise in other company; with `batch_size` 1 nothing can.

    Args:
        attack: the recipe.
        subject: the model.
        examples: what to attack; ids make the seeds.
        query_budget: most queries per example, the clean one included.
        seed: seed of the attack, mixed with recipe and example id.
        batch_size: most rows in one call of the model; 1 where its answers depend on the batch.
        together: examples attacked at a time; None for one on a processor and `TOGETHER` elsewhere.
        constraints: whether the recipe's own constraints are joined by lax or strict ones.

    Raises:
        StabbenchError: the process was not prepared for attacks.
    """
    require()
    from stabbench.attacks.engine.search import Search
    from stabbench.attacks.engine.victim import Scorer

    rows = [_clean(attack.name, subject, example, constraints) for example in examples]
    todo = [row for row in rows if row.outcome == "failed"]
    score = Scorer(subject, batch_size)
    lanes = min(together or _together(subject), len(todo))
    searches = [Search(attack, score, query_budget, constraints) for _ in range(lanes)]

    def work(lane: int, row: AttackRow) -> None:
        _seed(derive("attack", attack.name, row.example, seed))
        _search(searches[lane], row)

    take_turns(todo, len(searches), work)
    for row in todo:
        _judge(attack.goal, subject, row)
    return rows


def _together(subject: Subject) -> int:
    device = (
        next((parameter.device.type for parameter in subject.model.parameters()), "cpu") if subject.model else "cpu"
    )
    return 1 if device == "cpu" else TOGETHER


def _clean(recipe: str, subject: Subject, example: Example, constraints: Preset) -> AttackRow:
    """Return the row of an example before any attack: ``failed`` if it is one to attack."""
    prediction, probabilities = _ask(subject, example.content)
    count = len(words(example.content))
    right = prediction == example.label
    reason = None if right and count else ("the text has no words" if right else "the clean answer is wrong")
    outcome: Outcome = "skipped" if reason else "failed"
    given = (example.id, example.content, example.label)
    return AttackRow(recipe, *given, outcome, reason, prediction, probabilities, count, constraints=constraints)


def _search(search: Any, row: AttackRow) -> None:
    if SPLIT in "".join(row.text):
        # Nothing was searched: the counts of the search are those of the text before.
        row.outcome = "error"
        row.message = f"the text holds {SPLIT}, which textattack puts between the sentences of a pair"
        return
    try:
        found: Text = search(row.text, row.label, row.clean_probabilities)
    # The boundary of an example: whatever textattack or a model raises on one text is this row's alone.
    except Exception as error:
        row.outcome, row.message = "error", f"{type(error).__name__}: {error}"
    else:
        row.adversarial_text, row.query_at_success = found, search.query_at_success
    row.queries, row.model_rows = search.queries, search.rows


def _judge(goal: Goal, subject: Subject, row: AttackRow) -> None:
    """Say what came of a search; its own verdict is not asked: an attack must not report its own success."""
    if row.adversarial_text is None:
        return
    row.words_changed = words_changed(row.text, row.adversarial_text)
    row.adversarial_prediction, row.adversarial_probabilities = _ask(subject, row.adversarial_text)
    kept = row.adversarial_prediction == row.clean_prediction
    if (goal == "change" and not kept) or (goal == "keep" and kept and row.words_left < row.words):
        row.outcome = "success"
    if goal == "keep" or kept:
        row.query_at_success = None


def _ask(subject: Subject, text: Text) -> tuple[int, list[float]]:
    """Return the answer and the probabilities of one text, asked alone; −1 where they are not finite."""
    probabilities = subject.probabilities([text], batch_size=1)[0]
    finite = bool(np.isfinite(probabilities).all())
    return int(probabilities.argmax()) if finite else -1, [float(p) for p in probabilities]


def _seed(seed: int) -> None:
    """Seed the global generators textattack draws from; in lock-step they are this search's own."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
