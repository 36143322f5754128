"""Options of plug-ins checked against their cards' JSON Schema, without importing the plug-in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from stabbench import registry
from stabbench.errors import Problem, suggestion, unknown_name
from stabbench.suite.option_files import file_problems
from stabbench.suite.problems import shown
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath

TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def plugin_problems(kind: str, name: str, given: Any, path: KeyPath, document: Document) -> Iterator[Problem]:
    """Yield every mistake in the name and the options of one plug-in; `path` is the place of its name."""
    if name not in registry.names(kind):
        yield document.problem(path, unknown_name(registry.KINDS[kind][0], name, registry.names(kind)))
        return
    card = registry.card(kind, name)
    if not isinstance(given, Mapping):
        yield document.problem(path, f"the options of '{name}' must be a mapping, such as {{}}; found {shown(given)}")
        return
    for error in _first_of_each_place(_validator()(card.schema).iter_errors(dict(given))):
        where = (*path, *error.absolute_path)
        if error.validator == "additionalProperties":
            known = sorted(card.schema["properties"])
            for key in sorted(set(given) - set(known)):
                allowed = f"Allowed: {', '.join(known)}." if known else "It has no options."
                yield document.problem(
                    (*path, key), f"unknown option '{key}' of '{name}'.{suggestion(key, known)} {allowed}"
                )
        elif error.validator == "required":
            missing = [key for key in error.validator_value if key not in given]
            yield document.problem(path, f"'{name}' needs {', '.join(missing)}")
        else:
            yield document.problem(where, _told(error))
    yield from _used(card, given, path, document)
    yield from file_problems(card, given, path, document)


@cache
def _validator() -> type[Validator]:
    """JSON Schema 2020-12, but ``16.0`` is no whole number: an option that counts must be able to."""

    def whole(_: TypeChecker, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", whole)
    validator: type[Validator] = extend(Draft202012Validator, type_checker=checker)  # type: ignore[no-untyped-call]
    return validator


def _first_of_each_place(errors: Iterable[Any]) -> list[Any]:
    """Leave out what follows from another error at the same value: one of the wrong type is also out of bounds."""
    first: dict[tuple[Any, ...], Any] = {}
    for error in sorted(errors, key=lambda error: error.validator != "type"):
        kind = error.validator if error.validator in ("additionalProperties", "required") else ""
        first.setdefault((*error.absolute_path, kind), error)
    return list(first.values())


def _told(error: Any) -> str:
    value = shown(error.instance)
    if error.validator in BOUNDS:
        return f"must be {BOUNDS[error.validator]} {error.validator_value}; found {value}"
    if error.validator == "enum":
        return f"{value} is not allowed; expected one of {', '.join(map(str, error.validator_value))}"
    if error.validator == "type":
        return f"must be {TYPES[error.validator_value]}; found {value}"
    if error.validator == "anyOf":
        kinds = [TYPES.get(branch.get("type", ""), "another value") for branch in error.validator_value]
        return f"must be {' or '.join(kinds)}; found {value}"
    if error.validator == "minItems":
        return f"must have at least {error.validator_value} entry; found an empty list"
    return str(error.message)


def _used(card: registry.Card, given: Mapping[str, Any], path: KeyPath, document: Document) -> Iterator[Problem]:
    """Yield the names in an option that names other plug-ins, such as the noise probe's `kinds`, that do not exist."""
    for option, kind in card.traits.get("uses", {}).items():
        chosen = given.get(option, ())
        for index, name in enumerate(chosen if isinstance(chosen, Sequence) and not isinstance(chosen, str) else ()):
            if name not in registry.names(kind):
                yield document.problem(
                    (*path, option, index), unknown_name(registry.KINDS[kind][0], name, registry.names(kind))
                )
