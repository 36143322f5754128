"""What there is to choose from: plug-ins by kind, shipped suites, and a plug-in's card as text. No torch."""

from __future__ import annotations

import textwrap
from typing import Any

from stabbench import registry
from stabbench.errors import ConfigurationError, unknown_name
from stabbench.execution.costs import measured_text, passes_text
from stabbench.suite.load import shipped_suites
from stabbench.suite.recipes import Preset, presets
from stabbench.suite.refusals import refusals

WIDTH = 100


def catalogue(kind: str | None) -> dict[str, list[dict[str, str]]]:
    """Return kind → [{name, summary}] for one kind or for all, presets and suites last.

    Raises:
        ConfigurationError: there is no such kind.
    """
    kinds = [*registry.KINDS, "presets", "suites"]
    if kind is not None and kind not in kinds:
        raise ConfigurationError([unknown_name("kind", kind, kinds)], note="")
    special = {"presets": _presets, "suites": _suites}
    return {name: special[name]() if name in special else _plugins(name) for name in kinds if kind in (None, name)}


def _plugins(kind: str) -> list[dict[str, str]]:
    return [{"name": name, "summary": registry.card(kind, name).summary} for name in registry.names(kind)]


def _presets() -> list[dict[str, str]]:
    return [{"name": name, "summary": preset.summary} for name, preset in presets().items()]


def _suites() -> list[dict[str, str]]:
    return [{"name": name, "summary": _first_comment(path)} for name, path in shipped_suites().items()]


def _first_comment(path: Any) -> str:
    first: str = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def cards_named(name: str) -> list[tuple[str, registry.Card | Preset]]:
    """Return the (kind, card) of every plug-in or preset called `name`, or of the one named ``kind/name``.

    Raises:
        ConfigurationError: nothing is called so.
    """
    kind, slash, bare = name.rpartition("/")
    kinds = [kind] if slash else [*registry.KINDS, "presets"]
    known = {k: registry.names(k) if k in registry.KINDS else tuple(presets()) for k in (*registry.KINDS, "presets")}
    found = [(k, _card(k, bare)) for k in kinds if bare in known.get(k, ())]
    if not found:
        names = [f"{k}/{n}" if slash else n for k, those in known.items() for n in those]
        raise ConfigurationError([unknown_name("plug-in or preset", name, names)], note="")
    return found


def _card(kind: str, name: str) -> registry.Card | Preset:
    return presets()[name] if kind == "presets" else registry.card(kind, name)


def card_text(kind: str, card: registry.Card | Preset) -> str:
    """Return a card for the terminal."""
    if isinstance(card, Preset):
        return _preset_text(card)
    lines = [f"{card.name}  ({registry.KINDS[kind][0]}, version {card.version})", card.summary, ""]
    texts = ("equation", "changes", "cost", "paper", "departures", "pitfalls")
    lines += [_filled(label, text) for label in texts if (text := getattr(card, label))]
    if "passes" in card.traits:
        lines += [_filled("passes", passes_text(card)), _filled("measured", measured_text(card.name))]
    if "null" in card.traits:
        lines.append(f"{'null:':<12}{card.traits['null']}")
    for other, reason in refusals(card.name).items() if kind == "stabilizers" else ():
        lines.append(_filled("not with", f"{other}: {reason}"))
    lines += ["", "options" if card.schema["properties"] else "no options"]
    lines += [
        _option_line(name, spec, name in card.schema.get("required", ()))
        for name, spec in card.schema["properties"].items()
    ]
    return "\n".join(lines)


def _filled(label: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"{label + ':':<12}", subsequent_indent=" " * 12)


def _preset_text(preset: Preset) -> str:
    """Return a preset for the terminal: what it is, where it is from, and the fragment as a variant could say it."""
    lines = [
        f"{preset.name}  (preset)",
        preset.summary,
        "",
        _filled("source", preset.source.removeprefix("Source: ")),
        "",
        "train:",
    ]
    lines += [f"  {key}: {value}" for key, value in preset.train.items()]
    lines.append("stabilizers:")
    lines += [f"  - {name}: {dict(options)}" for entry in preset.stabilizers for name, options in entry.items()]
    return "\n".join([*lines, "", f"use it as  variants: {{NAME: {{preset: {preset.name}}}}}"])


def _option_line(name: str, spec: dict[str, Any], required: bool) -> str:
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = ", ".join(f"{sign} {spec[key]}" for key, sign in bounds.items() if key in spec)
    kind = "|".join(str(value) for value in spec["enum"]) if "enum" in spec else spec.get("type", "")
    default = "required" if required else f"= {spec.get('default')}"
    head = f"  {name}: {kind}{' ' + limits if limits else ''} {default}"
    return f"{head}\n      {spec['description']}" if "description" in spec else head
