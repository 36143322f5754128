"""What there is to choose from: plug-ins by kind, shipped suites, and a plug-in's card as text. No torch."""

from __future__ import annotations

import textwrap
from typing import Any

from stabbench import registry
from stabbench.errors import ConfigurationError, unknown_name
from stabbench.suite.load import shipped_suites

WIDTH = 100


def catalogue(kind: str | None) -> dict[str, list[dict[str, str]]]:
    """Return kind → [{name, summary}] for one kind or for all, suites last.

    Raises:
        ConfigurationError: there is no such kind.
    """
    kinds = [*registry.KINDS, "suites"]
    if kind is not None and kind not in kinds:
        raise ConfigurationError([unknown_name("kind", kind, kinds)], note="")
    return {name: _suites() if name == "suites" else _plugins(name) for name in kinds if kind in (None, name)}


def _plugins(kind: str) -> list[dict[str, str]]:
    return [{"name": name, "summary": registry.card(kind, name).summary} for name in registry.names(kind)]


def _suites() -> list[dict[str, str]]:
    return [{"name": name, "summary": _first_comment(path)} for name, path in shipped_suites().items()]


def _first_comment(path: Any) -> str:
    first: str = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def cards_named(name: str) -> list[tuple[str, registry.Card]]:
    """Return the (kind, card) of every plug-in called `name`, or of one named ``kind/name``.

    Raises:
        ConfigurationError: nothing is called so.
    """
    kind, slash, bare = name.rpartition("/")
    kinds = [kind] if slash else list(registry.KINDS)
    found = [(k, registry.card(k, bare)) for k in kinds if k in registry.KINDS and bare in registry.names(k)]
    if not found:
        known = [f"{k}/{n}" if slash else n for k in registry.KINDS for n in registry.names(k)]
        raise ConfigurationError([unknown_name("plug-in", name, known)], note="")
    return found


def card_text(kind: str, card: registry.Card) -> str:
    """Return a card for the terminal."""
    lines = [f"{card.name}  ({registry.KINDS[kind][0]}, version {card.version})", card.summary, ""]
    texts = ("equation", "changes", "cost", "paper", "departures", "pitfalls")
    for label in texts:
        if text := getattr(card, label):
            lines.append(textwrap.fill(text, WIDTH, initial_indent=f"{label + ':':<12}", subsequent_indent=" " * 12))
    if "null" in card.traits:
        lines.append(f"{'null:':<12}{card.traits['null']}")
    lines += ["", "options" if card.schema["properties"] else "no options"]
    lines += [
        _option_line(name, spec, name in card.schema.get("required", ()))
        for name, spec in card.schema["properties"].items()
    ]
    return "\n".join(lines)


def _option_line(name: str, spec: dict[str, Any], required: bool) -> str:
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = ", ".join(f"{sign} {spec[key]}" for key, sign in bounds.items() if key in spec)
    kind = "|".join(str(value) for value in spec["enum"]) if "enum" in spec else spec.get("type", "")
    default = "required" if required else f"= {spec.get('default')}"
    head = f"  {name}: {kind}{' ' + limits if limits else ''} {default}"
    return f"{head}\n      {spec['description']}" if "description" in spec else head
