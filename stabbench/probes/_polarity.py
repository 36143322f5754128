"""Which classes of a model are negative, neutral and positive, and which class a label of a file means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stabbench.errors import ConfigurationError, Problem, unknown_name

NEGATIVE, NEUTRAL, POSITIVE = 0, 1, 2
NAMES: Mapping[int, str] = {NEGATIVE: "negative", NEUTRAL: "neutral", POSITIVE: "positive"}
WORDS: Mapping[str, int] = {
    **dict.fromkeys(("negative", "neg", "bad", "rotten"), NEGATIVE),
    **dict.fromkeys(("neutral", "neu"), NEUTRAL),
    **dict.fromkeys(("positive", "pos", "good", "fresh"), POSITIVE),
}
"""Names of classes, in lower case, whose polarity is known."""
_NUMBERED = re.compile(r"(?:label[_ ]?)?(\d+)")


@dataclass(frozen=True)
class Polarity:
    """The polarity of each class.

    Attributes:
        codes: (C,) of `NEGATIVE`, `NEUTRAL`, `POSITIVE`.
    """

    codes: np.ndarray

    def has(self, code: int) -> bool:
        """Return whether a class has this polarity."""
        return bool((self.codes == code).any())

    def of(self, predicted: np.ndarray) -> np.ndarray:
        """Return the polarities of predicted classes; −1, no answer, stays."""
        return np.where(predicted < 0, predicted, self.codes[np.maximum(predicted, 0)])

    def positive(self, probabilities: np.ndarray) -> np.ndarray:
        """Return (N,) probabilities of the positive classes together, from (N, C)."""
        total: np.ndarray = probabilities[:, self.codes == POSITIVE].sum(axis=1)
        return total

    def balance(self, probabilities: np.ndarray) -> np.ndarray:
        """Return (N,) probabilities of the positive classes less those of the negative ones, in [−1, 1]."""
        difference: np.ndarray = self.positive(probabilities) - probabilities[:, self.codes == NEGATIVE].sum(axis=1)
        return difference


def named_polarity(
    classes: Sequence[str], negative: Sequence[str] = (), neutral: Sequence[str] = (), positive: Sequence[str] = ()
) -> Polarity | None:
    """Return the polarity of the classes, or None where it is not known.

    Known are: classes that the options name, all of them; names such as ``negative`` and ``fresh`` (`WORDS`); and two
    or three classes that are numbers, in order (0 negative, 1 positive; or 0 negative, 1 neutral, 2 positive).

    Raises:
        ConfigurationError: the options name a class that the model does not have, or leave one out.
    """
    given = {name: code for code, names in enumerate((negative, neutral, positive)) for name in names}
    if given:
        return _given(classes, given)
    codes = [WORDS.get(name.strip().lower()) for name in classes]
    numbers = [_NUMBERED.fullmatch(name.strip().lower()) for name in classes]
    if all(numbers) and len(classes) in (2, 3):
        order = np.argsort([int(found[1]) for found in numbers if found])
        steps = (NEGATIVE, POSITIVE) if len(classes) == 2 else (NEGATIVE, NEUTRAL, POSITIVE)
        codes = [steps[int(rank)] for rank in np.argsort(order)]
    if None in codes or not {NEGATIVE, POSITIVE} <= set(codes):
        return None
    return Polarity(np.array(codes, dtype=np.int64))


def _given(classes: Sequence[str], given: Mapping[str, int]) -> Polarity:
    problems = [unknown_name("class", name, classes) for name in given if name not in classes]
    problems += [
        f"the class '{name}' is in none of negative, neutral, positive" for name in classes if name not in given
    ]
    if not {NEGATIVE, POSITIVE} <= set(given.values()):
        problems.append("negative and positive must each name a class at least")
    if problems:
        raise ConfigurationError([f"options negative, neutral, positive: {problem}" for problem in problems])
    return Polarity(np.array([given[name] for name in classes], dtype=np.int64))


def needed_polarity(probe: str, classes: Sequence[str], polarity: Polarity | None) -> Polarity:
    """Return the polarity, or say how to give it.

    Raises:
        ConfigurationError: it is None.
    """
    if polarity is not None:
        return polarity
    listed = ", ".join(classes)
    raise ConfigurationError(
        [
            f"probes.{probe}: which classes of the model are negative and positive? It has {listed}. Name all of them: "
            f"{probe}: {{negative: [{classes[0]}], positive: [{classes[-1]}]}}, neutral ones under neutral; or take a "
            "file for this task"
        ]
    )


def class_problems(labelled: Iterable[tuple[int | str | None, str, int]], classes: Sequence[str]) -> list[Problem]:
    """Return a problem for each (label, file, line) that names a class the model does not have."""
    return [
        Problem(unknown_name("class of the model", label, classes), file, line)
        for label, file, line in labelled
        if isinstance(label, str) and label not in classes
    ]
