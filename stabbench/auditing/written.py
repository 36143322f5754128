"""The suite that an audit is: what `stabbench run` would be given to do the same cells."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stabbench import registry
from stabbench.auditing.checkpoints import Examined
from stabbench.auditing.request import AuditRequest
from stabbench.data.columns import Columns
from stabbench.errors import ConfigurationError, unknown_name

ATTACKED = 100
BUDGET = 100
"""Queries per text and attack: a 6-layer model met every offline attack on 100 SST-2 texts in 8 minutes of a core."""
SENTIMENT = ("behavior", "replay", "swaps")
"""Probes with texts of their own, about sentiment: they must know which labels are negative and positive."""
DEFAULT = ("accuracy", "noise", "attack", *SENTIMENT)
SEVERITIES = [1, 2, 3, 4, 5]
NEEDS_GRADIENTS = ("embedding_attack", "gradient", "internal_noise", "sharpness", "latency", "compression")
"""Probes that look into the model or need its files: not for a callable."""
GRADIENT_RECIPES = ("hotflip",)
NEGATIVE, POSITIVE = ("negative", "neg"), ("positive", "pos")


def audit_suite(
    request: AuditRequest, examined: Mapping[str, Examined], columns: Columns, classes: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the suite as plain values, and what the reader must be told of its making.

    Args:
        request: what was asked for.
        examined: variant → checkpoint, the reference first.
        columns: columns of the data.
        classes: labels in the order of the classes.

    Raises:
        ConfigurationError: a probe is unknown, or cannot measure a callable.
    """
    probes, notes = _probes(request, examined)
    split: dict[str, Any] = {"path": str(request.data.resolve()), "text": columns.text, "label": columns.label}
    if columns.pair is not None:
        split["text_pair"] = columns.pair
    lengths = [found.max_length for found in examined.values() if found.max_length is not None]
    first = next(iter(examined.values()))
    suite: dict[str, Any] = {
        "schema": 1,
        "name": "audit",
        "data": {"test": split, "classes": list(classes)},
        "model": first.name,
        "seeds": 1,
        **({"train": {"max_length": min(lengths)}} if lengths else {}),
        "variants": {
            name: {"checkpoint": found.name, "classes": list(found.outputs.labels)} for name, found in examined.items()
        },
        "probes": probes,
        "compare": {"reference": next(iter(examined)), **_primary(probes, examined)},
        "budget": {"jobs": request.jobs or 2},
    }
    return suite, notes


def _primary(probes: Mapping[str, Any], examined: Mapping[str, Examined]) -> dict[str, Any]:
    """Return the claims that are declared: accuracy, right under all noise, and the first attack."""
    if len(examined) < 2:
        return {}
    primary: list[Any] = ["accuracy"] if "accuracy" in probes else []
    primary += ["noise.worst_case"] if "noise" in probes else []
    changing = [recipe for recipe in probes.get("attack", {}).get("recipes", ()) if _goal(recipe) == "change"]
    first = "deepwordbug" if "deepwordbug" in changing else next(iter(changing), None)
    primary += [{"metric": "attack.accuracy_under_attack", "at": {"recipe": first}}] if first else []
    return {"primary": primary}


def _probes(request: AuditRequest, examined: Mapping[str, Examined]) -> tuple[dict[str, Any], list[str]]:
    known = registry.names("probes")
    asked = DEFAULT if request.probes is None else tuple(request.probes)
    unknown = [name for name in asked if name not in known and (request.probes is not None or name not in DEFAULT)]
    if unknown:
        raise ConfigurationError([f"--probes: {unknown_name('probe', name, known)}" for name in unknown])
    notes: list[str] = []
    seen = all(found.has_model for found in examined.values())
    polar = polarity(request, examined)
    probes: dict[str, Any] = {}
    for name in (name for name in asked if name in known):
        if not seen and name in NEEDS_GRADIENTS:
            notes.append(f"{name} is left out: it looks into the model, and a callable shows only its answers")
        elif name in SENTIMENT and polar is None and request.probes is None:
            notes.append(
                f"{name} is left out: its texts are about sentiment, and which labels are negative and positive is not "
                "known; say --negative LABEL --positive LABEL"
            )
        else:
            probes[name] = _options(name, request, polar, seen)
    if not seen and "attack" in probes:
        notes.append(f"attack {', '.join(GRADIENT_RECIPES)} is left out: it needs gradients, which a callable has not")
    return probes, notes


def _options(name: str, request: AuditRequest, polar: tuple[list[str], list[str]] | None, seen: bool) -> dict[str, Any]:
    """Return the options of a probe in an audit; what is not named here is as the probe has it."""
    if name == "noise":
        return {"severities": SEVERITIES}
    if name == "attack":
        recipes = [recipe for recipe in offline_recipes() if seen or recipe not in GRADIENT_RECIPES]
        return {"recipes": recipes, "examples": ATTACKED, "query_budget": BUDGET}
    properties = registry.card("probes", name).schema["properties"]
    options: dict[str, Any] = {}
    files = {"behavior": request.behavior, "replay": request.replay}.get(name, ())
    if files:
        options["files"] = [str(file.resolve()) for file in files]
    if polar is not None and {"negative", "positive"} <= set(properties):
        options |= {"negative": polar[0], "positive": polar[1]}
    if polar is not None and name == "replay" and "classes" in properties and len(polar[0]) == len(polar[1]) == 1:
        options["classes"] = [*polar[0], *polar[1]]
    return options


def offline_recipes() -> list[str]:
    """Return the attacks that need nothing but installed packages and fetched files, by name."""
    return [name for name in registry.names("attacks") if registry.card("attacks", name).traits["tier"] == "offline"]


def polarity(request: AuditRequest, examined: Mapping[str, Examined]) -> tuple[list[str], list[str]] | None:
    """Return (negative labels, positive labels) of the data, as said or by the names of the outputs; None: unknown."""
    if request.negative and request.positive:
        return list(request.negative), list(request.positive)
    for found in examined.values():
        named = list(zip(found.names, found.outputs.labels, strict=True))
        negative = [label for name, label in named if {name.casefold(), label.casefold()} & set(NEGATIVE)]
        positive = [label for name, label in named if {name.casefold(), label.casefold()} & set(POSITIVE)]
        if negative and positive:
            return negative, positive
    return None


def _goal(recipe: str) -> str:
    return str(registry.card("attacks", recipe).traits["goal"])


def suite_text(suite: Mapping[str, Any], notes: Sequence[str], command: Sequence[str]) -> str:
    """Return the suite as YAML, with where it comes from in comments."""
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4096
    yaml.default_flow_style = None
    stream = StringIO()
    # Through JSON: values that are shared would be written as references to one another.
    yaml.dump(json.loads(json.dumps(suite)), stream)
    head = [
        "Finished checkpoints, measured as they are; nothing is trained.",
        f"Made by: {shlex.join(command)}",
        *notes,
    ]
    comment = "".join(f"# {' '.join(line.split())}\n" for line in head)
    return comment + stream.getvalue()


def same_audit(path: Path, text: str) -> bool:
    """Return whether a suite file holds what an audit would write there, comments aside."""
    if not path.exists():
        return True

    def body(content: str) -> list[str]:
        return [line for line in content.splitlines() if not line.startswith("#")]

    return body(path.read_text(encoding="utf-8")) == body(text)
