"""``--over KEY=LO..HI`` and ``KEY=A,B,C``: which option, which values. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args

from pydantic import ValidationError
from ruamel.yaml import YAML

from stabbench import registry
from stabbench.errors import ConfigurationError, unknown_name
from stabbench.suite.schema import Suite, TrainOptions, Variant

SIGNIFICANT = 3
"""Digits of a grid value: short enough to name a run, and the same value however it was reached."""


@dataclass(frozen=True)
class Range:
    """Values of one option.

    Attributes:
        key: ``train.OPTION`` or ``stabilizers.NAME.OPTION``.
        low, high: ends of a range of numbers; None where `choices` are listed.
        choices: listed values.
        whole: True where the option takes whole numbers only.
    """

    key: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    whole: bool = False

    @property
    def logarithmic(self) -> bool:
        """Whether values are spread by ratios: where the ends allow it, and are not both small whole numbers."""
        return self.low is not None and self.low > 0 and (not self.whole or (self.high or 0) >= 10 * self.low)

    def grid(self, points: int) -> list[Any]:
        """Return `points` values from low to high, equally spread by ratios (or differences); or the listed ones.

        Numbers have three significant digits; whole ones that fall together are given once.
        """
        if self.choices:
            return list(dict.fromkeys(self.choices))
        low, high = self.low or 0.0, self.high or 0.0
        shares = [index / (points - 1) for index in range(points)]
        if self.logarithmic:
            values = [math.exp(math.log(low) + share * math.log(high / low)) for share in shares]
        else:
            values = [low + share * (high - low) for share in shares]
        rounded = [round(value) if self.whole else float(f"{value:.{SIGNIFICANT}g}") for value in values]
        return list(dict.fromkeys(rounded))


def read_range(text: str, suite: Suite) -> Range:
    """Read one ``--over``.

    Raises:
        ConfigurationError: the form, the option or a value is wrong.
    """
    key, equals, given = text.partition("=")
    key = key.strip()
    if not equals or not given.strip():
        raise _wrong(text, "expected KEY=LO..HI or KEY=A,B,C, as in train.learning_rate=1e-5..1e-3")
    checked = _option(text, key, suite)
    low, dots, high = given.partition("..")
    if not dots:
        choices = tuple(_value(part) for part in given.split(","))
        for value in choices:
            _check(text, key, value, suite)
        return Range(key, choices=choices)
    ends = [_value(part) for part in (low, high)]
    numbers = [end for end in ends if isinstance(end, int | float) and not isinstance(end, bool)]
    if len(numbers) < 2 or not numbers[0] < numbers[1]:
        raise _wrong(text, f"'{given}': expected two numbers, the smaller first, as in 1e-5..1e-3")
    for number in numbers:
        _check(text, key, number, suite)
    return Range(key, float(numbers[0]), float(numbers[1]), whole=checked)


def applies(option: Range, variant: Variant) -> bool:
    """Return whether a variant has the option: all have training options, some a stabilizer."""
    kind, _, rest = option.key.partition(".")
    return kind == "train" or any(rest.split(".")[0] in entry for entry in variant.stabilizers)


def with_values(variant: Variant, values: Mapping[str, Any]) -> Variant:
    """Return the variant with option values by key; a stabilizer's option changes where the stabilizer stands."""
    train = dict(variant.train)
    stabilizers = [{name: dict(options) for name, options in entry.items()} for entry in variant.stabilizers]
    for key, value in values.items():
        kind, *rest = key.split(".")
        if kind == "train":
            train[rest[0]] = value
            continue
        for entry in stabilizers:
            if rest[0] in entry:
                entry[rest[0]][rest[1]] = value
    return variant.model_copy(update={"train": train, "stabilizers": stabilizers})


def _option(text: str, key: str, suite: Suite) -> bool:
    """Return whether the option takes whole numbers only; it must exist, and some variant must have it."""
    kind, *rest = key.split(".")
    if kind == "train" and len(rest) == 1:
        if rest[0] not in TrainOptions.model_fields:
            raise _wrong(text, unknown_name("training option", rest[0], TrainOptions.model_fields))
        annotation = TrainOptions.model_fields[rest[0]].annotation
        return annotation is int or set(get_args(annotation)) == {int, NoneType}
    if kind == "stabilizers" and len(rest) == 2:
        used = sorted({name for variant in suite.variants.values() for entry in variant.stabilizers for name in entry})
        if rest[0] not in used:
            raise _wrong(text, unknown_name("stabilizer of this suite", rest[0], used or ["none"]))
        properties = registry.card("stabilizers", rest[0]).schema["properties"]
        if rest[1] not in properties:
            raise _wrong(text, unknown_name(f"option of '{rest[0]}'", rest[1], properties))
        return bool(properties[rest[1]].get("type") == "integer")
    raise _wrong(text, f"'{key}': expected train.OPTION or stabilizers.NAME.OPTION")


def _check(text: str, key: str, value: Any, suite: Suite) -> None:
    """Refuse a value that the option does not take."""
    kind, *rest = key.split(".")
    if kind == "train":
        try:
            TrainOptions.model_validate({**suite.train.model_dump(), rest[0]: value})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise _wrong(text, f"{rest[0]}: {value!r} is not allowed: {first['msg'].lower()}") from None
        return
    from jsonschema import Draft202012Validator

    schema = registry.card("stabilizers", rest[0]).schema["properties"][rest[1]]
    if wrong := next(iter(Draft202012Validator(schema).iter_errors(value)), None):
        raise _wrong(text, f"{rest[1]}: {wrong.message}")


def _value(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text.strip())


def _wrong(text: str, message: str) -> ConfigurationError:
    return ConfigurationError([f"--over {text}: {message}"])


def labels_of(values: Sequence[Any]) -> list[str]:
    """Return values as they are named in texts and folders."""
    return [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
