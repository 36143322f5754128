"""Cases of behavioural tests from JSONL: what is put to a model, and what its answers must keep to. No torch.

One object a line:

- ``test``: name of the test; ``type``: ``MFT`` (minimum functionality), ``INV`` (invariance) or ``DIR`` (directional);
  ``capability``: what is tried, such as ``Negation`` (default ``–``);
- ``texts``: the texts; of INV and DIR the first is the original, each other one a change of it;
- ``expect``: one of `EXPECTATIONS`; ``label``: 0 negative, 1 neutral, 2 positive, or the name of a class of the model.

Further keys are ignored. Source: Ribeiro et al. 2020, ACL 2020.acl-main.442.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from stabbench.data.fields import label_in, one_of, readable, text_in
from stabbench.data.reading import read_objects
from stabbench.errors import ConfigurationError, Problem

TestType = Literal["MFT", "INV", "DIR"]
EXPECTATIONS: Mapping[str, TestType] = {
    "label": "MFT",
    "not_negative": "MFT",
    "label_or_not_negative_if_1": "MFT",
    "same_prediction": "INV",
    "confidence_not_up": "DIR",
    "confidence_not_down": "DIR",
    "positive_prob_not_up": "DIR",
    "positive_prob_not_down": "DIR",
}
"""Expectation → the type of test it belongs to."""
POLARITIES = (0, 1, 2)
"""Whole numbers as labels: negative, neutral, positive."""
NO_CAPABILITY = "–"


@dataclass(frozen=True)
class Case:
    """One case of a behavioural test.

    Attributes:
        file: the file as it was named.
        line: 1-based line.
        test, type, capability, expect, label, texts: see the module.
    """

    file: str
    line: int
    test: str
    type: str
    capability: str
    expect: str
    label: int | str | None
    texts: tuple[str, ...]

    @property
    def id(self) -> str:
        """File stem and line."""
        return f"{Path(self.file).stem}:{self.line}"

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"


def read_cases(*paths: Path) -> list[Case]:
    """Return the cases of the files, in order.

    Raises:
        ConfigurationError: a file is missing or holds bad rows, or a test has cases of two types or capabilities.
    """
    cases = [
        case for path in paths for case in read_objects(path, ("test", "type", "expect", "texts"), _parser(str(path)))
    ]
    first: dict[str, Case] = {}
    problems = []
    for case in cases:
        known = first.setdefault(case.test, case)
        if (case.type, case.capability) != (known.type, known.capability):
            here, there = f"{case.type} of {case.capability}", f"{known.type} of {known.capability}"
            message = f"test '{case.test}' is {here} here and {there} at {known.place}; give one of them another name"
            problems.append(Problem(message, case.file, case.line))
    if problems:
        raise ConfigurationError(problems[:20])
    return cases


def _parser(file: str) -> Any:
    def parsed(line: int, record: Mapping[str, Any]) -> Case:
        kind = one_of(record, "type", get_args(TestType))
        expect = one_of(record, "expect", sorted(EXPECTATIONS))
        if EXPECTATIONS[expect] != kind:
            allowed = ", ".join(name for name, owner in EXPECTATIONS.items() if owner == kind)
            raise ValueError(f"'expect' is '{expect}', which {kind} tests do not know. Allowed: {allowed}.")
        capability = text_in(record, "capability") if "capability" in record else NO_CAPABILITY
        return Case(
            file, line, text_in(record, "test"), kind, capability, expect, _label(record, expect), _texts(record, kind)
        )

    return parsed


def _label(record: Mapping[str, Any], expect: str) -> int | str | None:
    label = label_in(record)
    needs = expect in ("label", "label_or_not_negative_if_1")
    if needs and label is None:
        raise ValueError(f"'{expect}' needs a 'label': 0 negative, 1 neutral, 2 positive, or the name of a class")
    if isinstance(label, int) and label not in POLARITIES:
        raise ValueError(
            f"'label' is {label}; a number is 0 (negative), 1 (neutral) or 2 (positive); name other classes"
        )
    if expect == "label_or_not_negative_if_1" and not isinstance(label, int):
        raise ValueError(f"'{expect}' needs a number as 'label': 0, 1 or 2; found '{label}'")
    return label if needs else None


def _texts(record: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    texts = record["texts"]
    if not isinstance(texts, list) or not texts:
        raise ValueError("'texts' must be a list of one or more texts")
    if kind != "MFT" and len(texts) < 2:
        raise ValueError(f"'texts' has one text; {kind} needs the original and at least one change of it")
    return tuple(readable(text, f"'texts'[{index}]") for index, text in enumerate(texts))
