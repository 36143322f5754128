"""Bad characters: edits that a reader hardly sees, placed by differential evolution, in textattack's form.

A text's places are listed once; an individual of the evolution is m real numbers in [−1, P), one per edit: below 0 the
edit is not made, else it is made at the place whose number is the integer part.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.optimize import differential_evolution
from textattack import Attack
from textattack.goal_function_results import GoalFunctionResultStatus
from textattack.goal_functions import UntargetedClassification
from textattack.search_methods import SearchMethod
from textattack.shared import AttackedText
from textattack.transformations import Transformation

from stabbench.perturbations.homoglyph import LOOKALIKES
from stabbench.perturbations.reordering import shown_in_order

POPULATION, GENERATIONS = 32, 10
BACKSPACE = "\b"
Place = tuple[str, int]
"""Sentence of the text, and position of a character in it."""


class CharacterEdits(Transformation):  # type: ignore[misc]
    """Edits of one kind at single characters of a text."""

    @abstractmethod
    def applies(self, sentence: str, position: int) -> bool:
        """Return whether an edit can be made at this character."""

    @abstractmethod
    def edited(self, sentence: str, position: int) -> str:
        """Return the sentence with an edit at this character; characters before it stay where they are."""

    def places(self, text: Any) -> list[Place]:
        """Return where edits can be made, in reading order."""
        columns = zip(text.column_labels, _sentences(text), strict=True)
        return [(c, i) for c, sentence in columns for i in range(len(sentence)) if self.applies(sentence, i)]

    def apply(self, text: Any, chosen: Iterable[Place]) -> Any:
        """Return the text with an edit at each of the places; of two that overlap, the later one only."""
        sentences = OrderedDict(zip(text.column_labels, _sentences(text), strict=True))
        last: dict[str, int] = {}
        # From the end, so that the positions still to come stay true.
        for column, position in sorted(set(chosen), reverse=True):
            if position + 1 != last.get(column):
                sentences[column] = self.edited(sentences[column], position)
                last[column] = position
        return AttackedText(sentences)

    def _get_transformations(self, current_text: Any, indices_to_modify: Any) -> list[Any]:
        return [self.apply(current_text, [place]) for place in self.places(current_text)]


class Homoglyphs(CharacterEdits):
    """A Latin letter becomes one of another script that looks the same."""

    def applies(self, sentence: str, position: int) -> bool:
        """Return whether the letter has a look-alike."""
        return sentence[position] in LOOKALIKES

    def edited(self, sentence: str, position: int) -> str:
        """Return the sentence with the look-alike."""
        return sentence[:position] + LOOKALIKES[sentence[position]] + sentence[position + 1 :]


class Reorderings(CharacterEdits):
    """Two letters are stored in reverse, in control characters that show them in the right order."""

    def applies(self, sentence: str, position: int) -> bool:
        """Return whether two letters that differ stand here."""
        pair = sentence[position : position + 2]
        return len(pair) == 2 and pair.isalpha() and pair[0] != pair[1]

    def edited(self, sentence: str, position: int) -> str:
        """Return the sentence with the pair stored in reverse."""
        return sentence[:position] + shown_in_order(*sentence[position : position + 2]) + sentence[position + 2 :]


class Deletions(CharacterEdits):
    """A letter is typed twice and a backspace after it: a screen that obeys the backspace shows it once."""

    def applies(self, sentence: str, position: int) -> bool:
        """Return whether a letter stands here."""
        return sentence[position].isalpha()

    def edited(self, sentence: str, position: int) -> str:
        """Return the sentence with the letter, the letter again, and the backspace."""
        return sentence[: position + 1] + sentence[position] + BACKSPACE + sentence[position + 1 :]


class Evolution(SearchMethod):  # type: ignore[misc]
    """Differential evolution over the places of at most `edits` edits; each generation is one list of queries."""

    is_black_box = True

    def __init__(self, edits: int) -> None:
        self.edits = edits
        self.kind: CharacterEdits | None = None

    def check_transformation_compatibility(self, transformation: Any) -> bool:
        """Remember the kind of edit, which must be one of this file's."""
        self.kind = transformation
        return isinstance(transformation, CharacterEdits)

    def perform_search(self, initial_result: Any) -> Any:
        """Return the best result found, as soon as one has changed the answer."""
        assert self.kind is not None
        kind, text = self.kind, initial_result.attacked_text
        places = kind.places(text)
        if not places:
            return initial_result
        best, over = initial_result, False

        def losses(population: np.ndarray) -> np.ndarray:
            """(m, S) individuals → (S,) what evolution minimises: minus the goal's score; inf where none was asked."""
            nonlocal best, over
            found = np.full(population.shape[1], np.inf)
            if over:
                return found
            chosen = [[places[min(int(x), len(places) - 1)] for x in each if x >= 0] for each in population.T]
            results, over = self.get_goal_results([kind.apply(text, each) for each in chosen])
            for i, result in enumerate(results):
                found[i] = -float(result.score)
                best = max(best, result, key=lambda r: float(r.score))
            over = over or best.goal_status == GoalFunctionResultStatus.SUCCEEDED
            return found

        evolve: Any = differential_evolution
        evolve(
            losses, [(-1.0, float(len(places)))] * self.edits, maxiter=GENERATIONS,
            popsize=max(1, POPULATION // self.edits), tol=0.0, polish=False, vectorized=True, updating="deferred",
            rng=np.random.default_rng(np.random.randint(2**31)), callback=lambda intermediate_result: over,
        )  # fmt: skip
        return best


def bad_characters(victim: Any, kind: CharacterEdits, edits: int) -> Attack:
    """Return the attack that makes at most `edits` edits of one kind."""
    return Attack(UntargetedClassification(victim), [], kind, Evolution(edits))


def _sentences(text: Any) -> tuple[str, ...]:
    given = text.tokenizer_input
    return (given,) if isinstance(given, str) else tuple(given)
