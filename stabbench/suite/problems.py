"""From pydantic's errors to problems a user can act on: one per mistake, with place, value and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from stabbench.errors import Problem, suggestion
from stabbench.suite import schema
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath

# Fields that take several forms: what a value of none of them is told.
FORMS: Mapping[str, str] = {
    "seeds": "expected a number of seeds, a list of seeds, {init: N, order: M}, or {min: N, max: M, until: CLAIM}",
    "data.train": "expected a number of examples of `source`, or {path: FILE, text: COLUMN, label: COLUMN}",
    "data.test": "expected a number of examples of `source`, or {path: FILE, text: COLUMN, label: COLUMN}",
    "data.validation": "expected a number of examples of `source`, {fraction: SHARE}, or {path: FILE, …}",
    "model": "expected builtin:NAME, a folder, a hub id, or {name: …, revision: …}",
    "compare.primary": "expected a metric, or {metric: …, at: …, candidate: …, compression: …}",
    "compare.primary.at": "expected a name or a number for each coordinate, as in {kind: keyboard, severity: 3}",
    "compressions": "expected a compressor's name, {name: {option: value}}, or a list of these for a chain",
}
KINDS: Mapping[str, str] = {
    "dict": "a mapping {key: value}",
    "model": "a mapping {key: value}",
    "model_attributes": "a mapping {key: value}",
    "list": "a list",
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}
# Error → the words for its bound, and the name of the bound in the error's context.
BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("a number above {}", "gt"),
    "greater_than_equal": ("at least {}", "ge"),
    "less_than": ("a number below {}", "lt"),
    "less_than_equal": ("at most {}", "le"),
    "too_short": ("at least {} entry", "min_length"),
    "too_long": ("at most {} entries", "max_length"),
    "string_pattern_mismatch": ("text that matches {}", "pattern"),
    "finite_number": ("a finite number", ""),
}
BRANCHES = frozenset(
    {name for name, item in vars(schema).items() if isinstance(item, type) and issubclass(item, BaseModel)}
    | {"int", "str", "float", "list[int]", "list[str]", "function-before[_single(), Model]"}
)


def problems_of(
    error: ValidationError, document: Document, base: KeyPath = (), schema_path: KeyPath | None = None
) -> list[Problem]:
    """Return one problem per mistake, in file order.

    Args:
        error: what pydantic found.
        document: where the values stand.
        base: path of the value that was checked.
        schema_path: the same as a place of the schema, where that is another: overrides stand below a variant.
    """
    found: dict[tuple[KeyPath, str], Problem] = {}
    for item in _without_union_noise(error.errors(include_url=False), document):
        path, message = _told(item, schema_path or base)
        found.setdefault((path, message), document.problem((*base, *path), message))
    return sorted(found.values(), key=lambda problem: (problem.line or 0, problem.column or 0))


def _without_union_noise(errors: Sequence[Any], document: Document) -> Iterable[dict[str, Any]]:
    """Keep, of a field with several forms, the errors of the form that fits best, or one error that names the forms."""
    plain: list[dict[str, Any]] = []
    unions: dict[KeyPath, dict[str, list[dict[str, Any]]]] = {}
    for item in errors:
        at = next((i for i, part in enumerate(item["loc"]) if part in BRANCHES), None)
        if at is None:
            plain.append(item)
        else:
            branch = str(item["loc"][at])
            cleaned = {**item, "loc": tuple(part for part in item["loc"] if part not in BRANCHES), "form": branch}
            unions.setdefault(item["loc"][:at], {}).setdefault(branch, []).append(cleaned)
    for path, branches in unions.items():
        value = document.value(path)
        models = {name: found for name, found in branches.items() if hasattr(schema, name)}
        inside = [item for name, found in branches.items() if name.startswith("list[") for item in found]
        if isinstance(value, Mapping) and models:
            plain += min(models.values(), key=len)  # type: ignore[arg-type]
        elif isinstance(value, list) and inside:
            plain += inside
        else:
            field = ".".join(str(part) for part in path if not isinstance(part, int))
            plain.append(
                {"loc": path, "type": "form", "msg": FORMS.get(field, "has a wrong form"), "input": value, "ctx": {}}
            )
    return plain


def _told(item: Mapping[str, Any], base: KeyPath) -> tuple[KeyPath, str]:
    path, kind, context = tuple(item["loc"]), item["type"], item.get("ctx", {})
    value = shown(item.get("input"))
    if kind == "extra_forbidden":
        known = known_keys((*base, *path[:-1]), str(item.get("form", "")))
        return path, f"unknown key '{path[-1]}'.{suggestion(str(path[-1]), known)} Allowed: {', '.join(known)}."
    if kind == "missing":
        return path[:-1], f"'{path[-1]}' is missing"
    declared = path[:2] in (("compare", "primary"), ("compare", "contrasts"))
    if "at" in (path[3:-1] if declared else path[2:-1] if path[:1] == ("gate",) else ()):
        return path, f"{FORMS['compare.primary.at']}; found {value}"
    if kind == "form":
        return path, f"{item['msg']}; found {value}"
    field = ".".join(str(part) for part in path)
    if kind.endswith("_type") and field in FORMS:
        return path, f"{FORMS[field]}; found {value}"
    if kind in ("literal_error", "enum"):
        allowed = re.findall("'([^']+)'", context["expected"])
        near = suggestion(str(item["input"]), allowed)
        return path, f"{value} is not allowed; expected {context['expected']}.{near}".removesuffix(".")
    if kind == "value_error":
        return path, str(context["error"])
    return path, f"expected {_expected(item)}; found {value}{_hint(item)}"


def _expected(item: Mapping[str, Any]) -> str:
    """Say what is allowed where `item`, one of pydantic's errors, was found."""
    if item["type"] in BOUNDS:
        words, name = BOUNDS[item["type"]]
        return words.format(item["ctx"].get(name) if name else "")
    return KINDS.get(item["type"].removesuffix("_type"), str(item["msg"]).lower())


def _hint(item: Mapping[str, Any]) -> str:
    """Say what probably happened: an empty value, a number in quotes, a stabilizer without its braces."""
    value, kind = item.get("input"), str(item["type"])
    if kind.startswith(("dict", "model")):
        return (
            ". Write {} for no options"
            if value is None
            else f". Write {{{value}: {{}}}}"
            if isinstance(value, str)
            else ""
        )
    if kind in ("int_type", "float_type") and isinstance(value, str) and re.fullmatch(r"[-+.\deE]+", value):
        return ". Write it without quotes"
    return ". Put it in quotes" if kind == "string_type" and isinstance(value, int | float) else ""


def known_keys(path: Sequence[str | int], form: str = "") -> list[str]:
    """Return the keys that the schema knows at `path`; none where names are free, as those of variants are.

    Args:
        path: where the keys stand.
        form: name of the form that a value of several forms has, such as ``CrossedSeeds``.
    """
    annotation: Any = schema.Suite
    for part in path:
        annotation = _entered(annotation, part)
    models = _models_in(annotation) if get_origin(annotation) is not dict else []
    model = next((model for model in models if model.__name__ == form), models[0] if models else None)
    return [] if model is None else _names(model)


def _entered(annotation: Any, part: str | int) -> Any:
    """Return the type below a field, a free name or an index."""
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    model = next(iter(_models_in(annotation)), None)
    if model is None or isinstance(part, int):
        return annotation
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}.get(part)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models among a field's forms."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _names(model: type[BaseModel]) -> list[str]:
    return sorted(info.alias or name for name, info in model.model_fields.items())


def shown(value: Any) -> str:
    """Return a value for a message: short, quoted where it is text."""
    if isinstance(value, Mapping | list):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
