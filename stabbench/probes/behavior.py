"""Behavioural tests: does the model do what nobody would call difficult?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from stabbench.data.behavior_cases import Case, read_cases
from stabbench.errors import ConfigurationError
from stabbench.models.subject import Subject
from stabbench.probes._expectations import FAILED, NOT_APPLICABLE, Judged, judge, needs_polarity
from stabbench.probes._once import probabilities_once, refuse_pairs
from stabbench.probes._polarity import class_problems, named_polarity, needed_polarity
from stabbench.probes._predictions import answers
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Coordinate, Measurement, finite
from stabbench.seeding import derive
from stabbench.suite.option_files import option_file


@dataclass(frozen=True)
class Behavior(Probe):
    """Failure rates of behavioural tests from JSONL: minimum functionality, invariance and direction.

    The form of a file stands in `stabbench.data.behavior_cases`; the default is a small set of our own, for sentiment.
    ``behavior.failure_rate`` is given at {test}, at {type}, at {capability} and over all cases at {}; n_used counts the
    cases that apply to the model, n_planned those that were chosen. A test of which none applies has no value and the
    status ``skipped``.

    Stores ``behavior.npz``: case (N,) str, file stem and line; test, type, capability (N,) str; outcome (N,) int64: 0
    passed, 1 failed, −1 not applicable. And ``behavior.jsonl``, one row per failed case: test, type, capability,
    expect, label, place, original and text (the original and the change that failed most clearly; of MFT both the text
    that failed), predicted and probabilities (of these two).
    """

    version: ClassVar[int] = 2
    applies: ClassVar[Applies] = "both"
    reads: ClassVar[Mapping[str, str]] = {"files": "behavior"}
    paper: ClassVar[str] = "Ribeiro et al. 2020, ACL 2020.acl-main.442 (CheckList)"
    equation: ClassVar[str] = """
        failure_rate = failed cases / applicable cases; a case fails where one of its texts does.
        MFT: f(x) is not the label, or is negative where it must not be. INV: f(x′) ≠ f(x) for a change x′ of x.
        DIR: with p the probability of f(x) (``confidence``), or of the positive classes less that of the negative ones
        (``positive_prob``), and tolerance τ: p(x′) > p(x) + τ (``not_up``), p(x′) < p(x) − τ (``not_down``). Of two
        classes, p(positive) − p(negative) = 2 p(positive) − 1 moves twice as far as p(positive).
    """
    changes: ClassVar[str] = "Nothing: it reads files of texts, and no example of the task."
    cost: ClassVar[str] = "One pass over the distinct texts of the chosen cases: 78 for the default set."
    departures: ClassVar[str] = """
        Checked against marcotcr/checklist at 4e6e5e3 (checklist/expect.py and the notebooks Sentiment and Testing
        transformer pipelines), from which come: τ = 0.1; the difference of probabilities under positive_prob; that a
        confidence without room to go the wrong way by τ does not count, nor a confidence in a neutral answer. Other
        than there: positive_prob also takes two classes (there three are needed; its notebook gives a model of two
        classes a neutral answer where p(positive) lies between 1/3 and 2/3, which is not done here), a model without a
        neutral class is not asked for neutral answers, and a changed answer always breaks an invariance (there it
        may change where its probability does not move at all).
    """
    pitfalls: ClassVar[str] = """
        A model that always gives one answer passes every invariance test: read it beside majority_share. A failure
        rate speaks of these texts, which nobody drew at random; tests have unlike numbers of cases, so the rate over
        all cases leans to the long ones. Texts of another domain than the training data's measure that as well.
    """

    files: Annotated[
        tuple[str, ...],
        Field(min_length=1, description="JSONL files, relative to the suite file, or builtin:sentiment"),
    ] = ("builtin:sentiment",)
    cases: Annotated[int, Field(ge=1, description="most cases of a test, chosen by a hash of file and line")] = 100
    tolerance: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="by how much what a test compares may go the wrong way",
        ),
    ] = 0.1
    negative: Annotated[tuple[str, ...], Field(description="classes that are negative; empty: known by name")] = ()
    neutral: Annotated[tuple[str, ...], Field(description="classes that are neutral")] = ()
    positive: Annotated[tuple[str, ...], Field(description="classes that are positive")] = ()
    seed: Annotated[int, Field(description="seed of the choice of cases")] = 0
    batch_size: Annotated[
        int, Field(ge=1, description="texts in one call; a compressed subject whose answers depend on it gets 1")
    ] = 32

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return the failure rate over all cases, per type, capability and test.

        Raises:
            ConfigurationError: a file is missing or wrong, names a class that the model does not have, or speaks of
                negative and positive while it is not known which classes those are.
        """
        refuse_pairs("behavior", context)
        cases = _chosen(
            read_cases(*(option_file("behavior", name, context.suite_folder) for name in self.files)),
            self.cases,
            self.seed,
        )
        if problems := class_problems([(case.label, case.file, case.line) for case in cases], subject.classes):
            raise ConfigurationError(problems)
        polarity = named_polarity(subject.classes, self.negative, self.neutral, self.positive)
        if any(map(needs_polarity, cases)):
            polarity = needed_polarity("behavior", subject.classes, polarity)
        texts = [text for case in cases for text in case.texts]
        probabilities = probabilities_once(subject, context, texts, self.batch_size)
        predicted = answers(probabilities)
        judged, rows, start = [], [], 0
        for case in cases:
            mine = slice(start, start := start + len(case.texts))
            found = judge(case, predicted[mine], probabilities[mine], subject.classes, polarity, self.tolerance)
            judged.append(found)
            if found.outcome == FAILED:
                rows.append(_failure(case, found, predicted[mine], probabilities[mine]))
        outcome = np.array([found.outcome for found in judged], dtype=np.int64)
        _store(context, cases, outcome, rows)
        return failure_rates(cases, outcome)


def _chosen(cases: Sequence[Case], most: int, seed: int) -> list[Case]:
    """Return at most so many cases of each test, the first of a fixed shuffle, in file order."""
    kept: list[Case] = []
    by_test: dict[str, list[Case]] = {}
    for case in cases:
        by_test.setdefault(case.test, []).append(case)
    for mine in by_test.values():
        drawn = {case.id for case in sorted(mine, key=lambda case: (derive("behavior", seed, case.id), case.id))[:most]}
        kept += [case for case in mine if case.id in drawn]
    return kept


def failure_rates(cases: Sequence[Case], outcome: np.ndarray) -> list[Measurement]:
    """Return the rates over all cases, per type, capability and test.

    Args:
        cases: N of them.
        outcome: (N,) of `PASSED`, `FAILED`, `NOT_APPLICABLE`.
    """
    found = [_rate({}, outcome)]
    for coordinate in ("type", "capability", "test"):
        values = np.array([getattr(case, coordinate) for case in cases], dtype=object)
        found += [_rate({coordinate: value}, outcome[values == value]) for value in dict.fromkeys(values)]
    return found


def _rate(at: Mapping[str, Coordinate], outcome: np.ndarray) -> Measurement:
    used = int((outcome != NOT_APPLICABLE).sum())
    rate = int((outcome == FAILED).sum()) / used if used else None
    status: Any = "ok" if used else "skipped"
    return Measurement("behavior.failure_rate", rate, "share", "lower", at, used, len(outcome), status)


def _failure(case: Case, judged: Judged, predicted: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    shown = [judged.text if case.type == "MFT" else 0, judged.text]
    return {
        "test": case.test,
        "type": case.type,
        "capability": case.capability,
        "expect": case.expect,
        "label": case.label,
        "place": case.id,
        "original": case.texts[shown[0]],
        "text": case.texts[shown[1]],
        "predicted": predicted[shown].tolist(),
        "probabilities": probabilities[shown].tolist(),
    }


def _store(context: Context, cases: Sequence[Case], outcome: np.ndarray, rows: Sequence[Mapping[str, Any]]) -> None:
    columns: dict[str, Any] = {
        name: np.array([getattr(case, name) for case in cases]) for name in ("test", "type", "capability")
    }
    np.savez_compressed(
        context.folder / "behavior.npz", case=np.array([case.id for case in cases]), outcome=outcome, **columns
    )
    with (context.folder / "behavior.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(finite(row)) + "\n" for row in rows)
