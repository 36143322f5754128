"""Names and group terms put in one another's place: does the answer depend on who the sentence speaks of?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from stabbench.data.group_terms import SLOTS, terms_of
from stabbench.data.swap_templates import Template, read_templates
from stabbench.errors import ConfigurationError
from stabbench.models.subject import Subject
from stabbench.probes._once import probabilities_once, refuse_pairs
from stabbench.probes._polarity import Polarity, class_problems, named_polarity, needed_polarity
from stabbench.probes._predictions import answers
from stabbench.probes._swapped import Swapped, chance_gap, gap
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Coordinate, Direction, Measurement
from stabbench.suite.option_files import option_file


@dataclass(frozen=True)
class Swaps(Probe):
    """Gaps between groups when a sentence's name, place, nationality, religion or gender term is swapped.

    Every sentence is filled with every term of its place (`stabbench.data.group_terms`, our own lists; sentences of our
    own by default). Per category and group, at {category, group}: ``swaps.probability`` of the positive classes,
    ``swaps.accuracy`` over sentences with a right answer, ``swaps.flip_rate``, the share of answers that differ from
    the sentence's commonest one. Per category, at {category}: ``swaps.probability_gap``, ``swaps.accuracy_gap``,
    ``swaps.flip_gap``, ``swaps.chance_gap`` and ``swaps.flip_rate``. At {}: the largest probability gap of all
    categories and the flip rate over all texts. n counts texts.

    Stores ``swaps.npz``: for each place s: terms_s (M,), sentence_s (T,) str, label_s (T,), positive_s and predicted_s
    (T, M).
    """

    version: ClassVar[int] = 1
    applies: ClassVar[Applies] = "both"
    reads: ClassVar[Mapping[str, str]] = {"files": "swaps"}
    paper: ClassVar[str] = """
        Garg et al. 2019, arXiv:1809.10610 (counterfactual token fairness); Kiritchenko and Mohammad 2018,
        arXiv:1805.04508 (sentences with names of groups); sentences and terms are our own
    """
    equation: ClassVar[str] = """
        With sentences t, terms m of group G and p the probability of the positive classes: probability_G = mean over t
        and m ∈ G of p(t, m); probability_gap = max_G − min_G of it; flip_rate_G = mean of [f(t, m) ≠ commonest answer
        of t over all terms]; accuracy_gap and flip_gap likewise; chance_gap = mean probability_gap over 200 random
        regroupings of the terms with the groups' sizes kept.
    """
    changes: ClassVar[str] = "Nothing: it reads files of sentences, and no example of the task."
    cost: ClassVar[str] = "One pass over sentences × terms: about 1,500 short texts for the default set."
    departures: ClassVar[str] = """
        Groups of several terms are compared by their means, and the gap of random regroupings stands beside the gap.
    """
    pitfalls: ClassVar[str] = """
        The lists are short, English and far from complete; a small gap here does not show that a model is fair, and a
        gap between names can be one of rare word pieces. A gap is a largest difference and above 0 by chance: compare
        it with chance_gap, which says nothing where a group has one term. A model that always gives one answer has no
        gap in accuracy over balanced sentences and never flips: read it beside majority_share.
    """

    files: Annotated[
        tuple[str, ...],
        Field(min_length=1, description="JSONL files, relative to the suite file, or builtin:templates"),
    ] = ("builtin:templates",)
    negative: Annotated[tuple[str, ...], Field(description="classes that are negative; empty: known by name")] = ()
    neutral: Annotated[tuple[str, ...], Field(description="classes that are neutral")] = ()
    positive: Annotated[tuple[str, ...], Field(description="classes that are positive")] = ()
    seed: Annotated[int, Field(description="seed of the random regroupings")] = 0
    batch_size: Annotated[
        int, Field(ge=1, description="texts in one call; a compressed subject whose answers depend on it gets 1")
    ] = 32

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return the figures of every category and group, and over all.

        Raises:
            ConfigurationError: a file is missing or wrong, names a class that the model does not have, or it is not
                known which classes are positive.
        """
        refuse_pairs("swaps", context)
        templates = read_templates(*(option_file("swaps", name, context.suite_folder) for name in self.files))
        if problems := class_problems([(t.label, t.file, t.line) for t in templates], subject.classes):
            raise ConfigurationError(problems)
        known = named_polarity(subject.classes, self.negative, self.neutral, self.positive)
        polarity = needed_polarity("swaps", subject.classes, known)
        by_slot = {slot: [t for t in templates if t.slot == slot] for slot in SLOTS}
        by_slot = {slot: mine for slot, mine in by_slot.items() if mine}
        texts = [t.filled(term) for slot, mine in by_slot.items() for t in mine for term in terms_of(slot)]
        probabilities = probabilities_once(subject, context, texts, self.batch_size)
        found: dict[str, Swapped] = {}
        start = 0
        for slot, mine in by_slot.items():
            size = len(mine) * len(terms_of(slot))
            part = probabilities[start : start + size]
            found[slot] = _swapped(mine, part, subject.classes, polarity)
            start += size
        stored: dict[str, Any] = {
            f"{name}_{slot}": np.array(values) for slot, s in found.items() for name, values in vars(s).items()
        }
        sentences: dict[str, Any] = {
            f"sentence_{slot}": np.array([t.text for t in mine]) for slot, mine in by_slot.items()
        }
        np.savez_compressed(context.folder / "swaps.npz", **stored, **sentences)
        return figures(found, self.seed)


def _swapped(
    templates: Sequence[Template], probabilities: np.ndarray, classes: Sequence[str], polarity: Polarity
) -> Swapped:
    terms = terms_of(templates[0].slot)
    shape = (len(templates), len(terms))
    codes = polarity.codes.tolist()
    label = []
    for template in templates:
        if isinstance(template.label, str):
            label.append(classes.index(template.label))
        else:
            # Of several classes of one polarity none is the right one; such a sentence has no right answer.
            label.append(codes.index(template.label) if codes.count(template.label) == 1 else -1)
    positive = polarity.positive(probabilities).reshape(shape)
    return Swapped(terms, positive, answers(probabilities).reshape(shape), np.array(label, dtype=np.int64))


def figures(found: Mapping[str, Swapped], seed: int) -> list[Measurement]:
    """Return all measurements from the answers of each place."""
    rows: list[Measurement] = []
    gaps: list[float | None] = []
    for slot, swapped in found.items():
        for category in SLOTS[slot]:
            rows += _of_category(category, swapped, seed)
            gaps += [m.value for m in rows if m.metric == "swaps.probability_gap" and m.at["category"] == category]
    flipped = np.concatenate([swapped.flipped.ravel() for swapped in found.values()])
    finite = [value for value in gaps if value is not None]
    largest = float("nan") if np.isnan(finite).any() else max(finite)
    n = len(flipped)
    return [
        Measurement("swaps.probability_gap", largest, "share", "lower", {}, n, n),
        Measurement("swaps.flip_rate", float(flipped.mean()), "share", "lower", {}, n, n),
        *rows,
    ]


def _of_category(category: str, swapped: Swapped, seed: int) -> list[Measurement]:
    arrays: dict[str, tuple[np.ndarray, Direction]] = {
        "probability": (swapped.positive, "neither"),
        "accuracy": (swapped.right, "higher"),
        "flip_rate": (swapped.flipped, "lower"),
    }
    rows: list[Measurement] = []
    place: dict[str, Coordinate] = {"category": category}
    means: dict[str, list[float | None]] = {name: [] for name in arrays}
    for group, columns in swapped.columns(category).items():
        for name, (values, better) in arrays.items():
            mine = values[:, columns]
            mean = float(mine.mean()) if mine.size else None
            means[name].append(mean)
            planned = int(swapped.positive[:, columns].size)
            at: dict[str, Coordinate] = {**place, "group": group}
            rows.append(Measurement(f"swaps.{name}", mean, "share", better, at, int(mine.size), planned))
    n = int(swapped.positive.size)
    summary: list[tuple[str, float | None, int]] = [
        ("probability_gap", gap(means["probability"]), n),
        ("accuracy_gap", gap(means["accuracy"]), int(swapped.right.size)),
        ("flip_gap", gap(means["flip_rate"]), n),
        ("flip_rate", float(swapped.flipped.mean()), n),
    ]
    chance = chance_gap(swapped, category, seed)
    rows += [Measurement(f"swaps.{name}", value, "share", "lower", place, used, n) for name, value, used in summary]
    rows.append(Measurement("swaps.chance_gap", chance, "share", "neither", place, n, n))
    return rows
