"""How a chain of compressors is written: ``prune-structured(heads=0.5)+ort-int8``, and which chains can work.

A stage is a compressor's name, with the options that are not at their defaults in brackets, sorted by name and parted
by blanks. The label of a chain is its stages joined by ``+``; it names the subject in cells, measurements and claims.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from stabbench import registry

_STAGE = re.compile(r"[^+(]+(?:\([^)]*\))?")
# What a stage leaves behind, from most to least: a later stage needs at least some of it.
LEVELS = ("runtime", "torch", "encoder")
_NEEDED: Mapping[str, str] = {
    "torch": "a float32 torch model",
    "encoder": "a float32 torch model whose blocks have their usual linear maps",
}


def stage_text(name: str, options: Mapping[str, Any]) -> str:
    """Return one stage as text."""
    given = " ".join(f"{key}={_value_text(value)}" for key, value in sorted(options.items()))
    return f"{name}({given})" if given else name


def parse_stage(text: str) -> tuple[str, dict[str, Any]]:
    """Return (name, options) of one stage's text; a value that is not JSON is taken as text."""
    name, bracket, rest = text.partition("(")
    if not bracket or not rest.endswith(")"):
        return text, {}
    pairs = (item.partition("=") for item in rest[:-1].split())
    return name, {key: _value(value) for key, _, value in pairs}


def stages(entry: str | Sequence[str]) -> tuple[str, ...]:
    """Return the stages of one entry of `compressions`, or of a label, in order."""
    parts = [entry] if isinstance(entry, str) else entry
    return tuple(stage for part in parts for stage in _STAGE.findall(part) or [part])


def as_text(entry: Any) -> Any:
    """Return an entry of `compressions` with ``{name: {option: value}}`` written as text; others as they are."""
    if isinstance(entry, list):
        return [as_text(item) for item in entry]
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((name, options),) = entry.items()
        if options is None or isinstance(options, Mapping):
            return stage_text(str(name), options or {})
    return entry


def chain_problems(chain: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield (index of the stage, reason) for every stage that cannot follow those before it, or cannot run here."""
    level, before, seen = "encoder", "", set()
    for index, name in enumerate(parse_stage(text)[0] for text in chain):
        if name not in registry.names("compression"):
            return
        traits = registry.card("compression", name).traits
        missing = [package for package in traits["packages"] if find_spec(package) is None]
        if missing:
            yield index, f"'{name}' needs {' and '.join(missing)}: pip install {' '.join(traits['packages'])}"
        if LEVELS.index(level) < LEVELS.index(traits["needs"]):
            cure = f"put '{name}' before '{before}'" if _could_follow(before, name) else "leave one of the two out"
            yield index, f"'{name}' needs {_NEEDED[traits['needs']]}, and '{before}' leaves none; {cure}"
        elif name in seen:
            yield index, f"'{name}' stands twice in one chain; once is enough"
        seen.add(name)
        if LEVELS.index(traits["gives"]) < LEVELS.index(level):
            level, before = traits["gives"], name


def _could_follow(later: str, earlier: str) -> bool:
    needs, gives = (registry.card("compression", later).traits["needs"], _gives(earlier))
    return LEVELS.index(gives) >= LEVELS.index(needs)


def _gives(name: str) -> str:
    return str(registry.card("compression", name).traits["gives"])


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
