"""YAML 1.2 text as plain values with the place of every key and item, and every mistake in it.

YAML permits more than a suite has a use for: tags, keys that are not text, duplicate keys, values that contain
themselves. Each of these is a named mistake here, found in one pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from stabbench.errors import ConfigurationError, Problem

KeyPath = tuple[str | int, ...]
PREFIX = "tag:yaml.org,2002:"
MOST_VALUES = 20_000
DEEPEST = 40


@dataclass(frozen=True)
class Place:
    """Where a value stands: file, 1-based line and column; no line for a ``--set``."""

    file: str
    line: int | None = None
    column: int | None = None


def plain_values(text: str, file: str) -> tuple[Any, dict[KeyPath, Place]]:
    """Return the plain value of YAML `text`, and the place of each key and item by its path.

    Args:
        text: one YAML document.
        file: how problems name where it came from.

    Raises:
        ConfigurationError: it is not YAML, or says what a suite may not say.
    """
    node = _composed(text, file)
    if node is None:
        return None, {}
    values = _Values(file)
    try:
        content = values.build(node, ())
    except _TooMuch as error:
        raise ConfigurationError([error.problem]) from None
    if values.problems:
        raise ConfigurationError(values.problems)
    return content, values.places


def _composed(text: str, file: str) -> Node | None:
    try:
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise ConfigurationError([_syntax_problem(error, text, file)]) from error
    except ReaderError as error:
        line, column = _position(text, error.position)
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML; remove it"
        raise ConfigurationError([Problem(message, file, line, column)]) from error
    except RecursionError as error:
        raise ConfigurationError([Problem(f"nested deeper than {DEEPEST} levels", file)]) from error
    return node


def _position(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _syntax_problem(error: MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem(f"not valid YAML: {error.problem or error}", file)
    lines = text.split("\n")
    if mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t":
        message = "a tab; YAML is indented with blanks"
    else:
        context = f" ({error.context})" if error.context and error.problem else ""
        message = " ".join(f"not valid YAML: {error.problem or error.context}{context}".split())
    return Problem(message, file, mark.line + 1, mark.column + 1)


class _TooMuch(Exception):
    """A value is nested too deep, or aliases make it too large."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Values:
    """Turns YAML nodes into plain values, noting places and gathering mistakes."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []
        self.count = 0
        self.yaml = YAML(typ="safe", pure=True)

    def build(self, node: Node, path: KeyPath) -> Any:
        """Return the plain value of `node`, which stands at `path`."""
        self.count += 1
        # An alias may hold itself, and a few of them make a small file endless.
        if len(path) > DEEPEST:
            raise _TooMuch(self.problem(node, path[:2], f"nested deeper than {DEEPEST} levels; does it hold itself?"))
        if self.count > MOST_VALUES:
            raise _TooMuch(self.problem(node, path[:2], f"more than {MOST_VALUES} values; aliases (*name) multiply"))
        self.places.setdefault(path, self.place(node))
        tag = str(node.tag)
        if isinstance(node, MappingNode | SequenceNode) and not tag.startswith(PREFIX):
            self.problems.append(self.problem(node, path, f"the tag {tag} is not allowed in a suite; remove it"))
        if isinstance(node, MappingNode):
            return dict(self.entries(node, path))
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self.scalar(node, path)

    def entries(self, node: MappingNode, path: KeyPath) -> Iterator[tuple[str, Any]]:
        """Yield the entries of a mapping; keys must be text, and each may stand once."""
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode) or key_node.tag not in (f"{PREFIX}str", f"{PREFIX}merge"):
                found = f"'{key_node.value}'" if isinstance(key_node, ScalarNode) else "a list or mapping"
                message = f"keys must be text, found {found}; put it in quotes"
                self.problems.append(self.problem(key_node, path, message))
                continue
            key = key_node.value
            if key in first:
                message = f"this key stands twice: '{key}', first in line {first[key]}; keep one"
                self.problems.append(self.problem(key_node, (*path, key), message))
                continue
            first[key] = key_node.start_mark.line + 1
            self.places[*path, key] = self.place(key_node)
            yield key, self.build(value_node, (*path, key))

    def scalar(self, node: Node, path: KeyPath) -> Any:
        """Return a scalar by YAML 1.2's core schema, in which dates are text."""
        kind = str(node.tag).removeprefix(PREFIX)
        if kind in ("str", "timestamp"):
            return node.value
        if kind in ("null", "bool", "int", "float"):
            try:
                return self.yaml.constructor.construct_object(node)
            except ValueError:
                message = f"'{node.value}' is no {kind}"
        else:
            message = f"the tag {node.tag} is not allowed in a suite; remove it"
        self.problems.append(self.problem(node, path, message))
        return None

    def place(self, node: Node) -> Place:
        return Place(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def problem(self, node: Node, path: KeyPath, message: str) -> Problem:
        place = self.place(node)
        return Problem(message, place.file, place.line, place.column, dotted(path))


def dotted(path: KeyPath) -> str:
    """Return ``variants.stabilized.stabilizers[0]`` for a path."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
