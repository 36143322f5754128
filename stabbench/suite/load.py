"""From a suite's name or file to a checked `Suite`: every mistake at once, each with file, line, column. No torch."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stabbench import registry
from stabbench.errors import ConfigurationError, Problem
from stabbench.registry import PACKAGE
from stabbench.suite.checks import seed_labels, suite_problems, suite_warnings
from stabbench.suite.problems import problems_of
from stabbench.suite.recipes import presets, with_presets
from stabbench.suite.schema import AdaptiveSeeds, Suite, TrainOptions
from stabbench.suite.yaml_file import Document, read_document

__all__ = ["LoadedSuite", "json_schema", "load_suite", "seed_labels", "shipped_suites"]

# What a suite cannot do without: stands in for what is wrong while the rest is searched for further mistakes.
NEEDED: Mapping[str, Any] = {
    "name": "x",
    "data": {"source": "builtin:tiny", "train": 1, "test": 1},
    "model": "builtin:tiny",
    "variants": {"baseline": {}},
}
PRUNINGS = 4


@dataclass(frozen=True)
class LoadedSuite:
    """A checked suite.

    Attributes:
        suite: the typed values, presets written out.
        path: its file, as found.
        warnings: what is allowed but will disappoint.
        resolved: all defaults filled in, those of plug-ins too; stored with a run.
    """

    suite: Suite
    path: Path
    warnings: tuple[Problem, ...]
    resolved: dict[str, Any]


def load_suite(name: str, overrides: Sequence[str] = ()) -> LoadedSuite:
    """Load the suite of a file, or the shipped suite of that name.

    Args:
        name: path of a YAML file, or the name of a shipped suite.
        overrides: ``KEY=VALUE`` texts, as in ``train.epochs=5``.

    Raises:
        ConfigurationError: with every problem found.
    """
    path = _find(name)
    document = read_document(path, overrides)
    suite = _typed(document)
    problems = list(suite_problems(suite, document))
    if problems:
        raise ConfigurationError(_in_file_order(problems))
    warnings = tuple(suite_warnings(suite, document))
    suite = with_presets(suite)
    return LoadedSuite(suite, path, warnings, resolve(suite))


def _typed(document: Document) -> Suite:
    """Return the typed suite; where the form is wrong, report the plug-ins' mistakes as well, so that none hides."""
    try:
        return Suite.model_validate(document.content)
    except ValidationError as error:
        problems = problems_of(error, document)
        partial = _pruned(document.content, error)
        known = {str(problem) for problem in problems}
        more = [] if partial is None else [p for p in suite_problems(partial, document) if str(p) not in known]
        raise ConfigurationError(_in_file_order([*problems, *more])) from error


def _in_file_order(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))


def _pruned(content: Mapping[str, Any], error: ValidationError) -> Suite | None:
    """Return the suite without its wrong parts, filled up, so that further mistakes can be looked for."""
    left: dict[str, Any] = deepcopy(dict(content))
    for _ in range(PRUNINGS):
        for item in error.errors(include_url=False):
            _prune(left, item["loc"])
        try:
            return Suite.model_validate({**NEEDED, **left})
        except ValidationError as again:
            error = again
    return None


def _prune(content: dict[str, Any], path: tuple[str | int, ...]) -> None:
    """Delete the innermost key on `path` that is there; items of lists stay, or the places of others would shift."""
    container: Any = content
    found: tuple[dict[str, Any], str] | None = None
    for part in path:
        if isinstance(container, dict) and part in container:
            found = (container, str(part))
            container = container[part]
        elif isinstance(container, list) and isinstance(part, int) and part < len(container):
            container = container[part]
    if found is not None:
        del found[0][found[1]]


def shipped_suites() -> dict[str, Path]:
    """Return name → file of the suites that come with the package."""
    for folder in (PACKAGE / "_suites", PACKAGE.parent / "suites"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def _find(name: str) -> Path:
    shipped = shipped_suites()
    if Path(name).is_file():
        return Path(name)
    if name in shipped:
        return shipped[name]
    near = difflib.get_close_matches(name, shipped, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    missing = f"no suite '{name}': there is no such file, nor a shipped suite of that name."
    raise ConfigurationError([f"{missing}{hint} Shipped: {', '.join(shipped)}."])


def resolve(suite: Suite) -> dict[str, Any]:
    """Return the suite as plain values with every default filled in, those of plug-ins too; fixed seeds are labels."""
    content = suite.model_dump(by_alias=True, exclude_none=True)
    if not isinstance(suite.seeds, AdaptiveSeeds):
        content["seeds"] = seed_labels(suite)
    for kind in ("probes", "monitors"):
        content[kind] = {name: _filled(kind, name, options) for name, options in content[kind].items()}
    for variant in content["variants"].values():
        variant["train"] = TrainOptions.model_validate({**suite.train.model_dump(), **variant["train"]}).model_dump()
        variant["stabilizers"] = [
            {name: _filled("stabilizers", name, options) for name, options in entry.items()}
            for entry in variant["stabilizers"]
        ]
    return content


def _filled(kind: str, name: str, options: dict[str, Any]) -> dict[str, Any]:
    return {**registry.card(kind, name).defaults(), **options}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of suite files, with the options of every plug-in, for editors."""
    schema = Suite.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "stabbench suite"
    properties = schema["properties"]
    properties["extends"] = {
        "type": "string",
        "description": "a suite file beside this one, which this one is laid over",
    }
    for kind in ("probes", "monitors"):
        properties[kind] = {"type": "object", "additionalProperties": False, "properties": _cards(kind)}
    schema["$defs"]["Variant"]["properties"]["preset"] = {
        "enum": list(presets()),
        "description": "a published recipe; the variant's own values lie over it",
    }
    schema["$defs"]["Variant"]["properties"]["stabilizers"] = {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
            "properties": _cards("stabilizers"),
        },
    }
    return schema


def _cards(kind: str) -> dict[str, Any]:
    cards = {name: registry.card(kind, name) for name in registry.names(kind)}
    return {name: {**card.schema, "description": card.summary} for name, card in cards.items()}
