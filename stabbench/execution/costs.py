"""What a stabilizer costs per step: passes as declared, and passes and seconds as measured and committed.

``suites/bench_stabilizers.py --write`` measures; the file says on what machine and model.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from stabbench.planning.compute import declared_passes
from stabbench.registry import Card

MEASURED = Path(__file__).parent / "measured_costs.json"


@cache
def measured() -> dict[str, Any]:
    """Return the committed measurements: ``setting`` in words, and name → forward, backward, ratio, low, high."""
    if not MEASURED.exists():
        return {"setting": "", "stabilizers": {}}
    content: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return content


def passes_text(card: Card) -> str:
    """Return the declared passes of a stabilizer at its defaults, and the formulas where options decide."""
    forward, backward = declared_passes([(card.name, card.defaults())])
    formulas = card.traits["passes"]
    text = f"{forward:g} forward, {backward:g} backward per step by default"
    varies = any(not formula.replace(".", "").isdigit() for formula in formulas)
    return f"{text} ({formulas[0]} and {formulas[1]})" if varies else text.removesuffix(" by default")


def measured_text(name: str) -> str:
    """Return passes and seconds per step relative to none, as measured, with the setting; or that there are none."""
    found = measured()["stabilizers"].get(name)
    if found is None:
        return "not measured yet: python suites/bench_stabilizers.py --write"
    passes = f"{found['forward']:g} forward, {found['backward']:g} backward passes per step"
    seconds = f"{found['ratio']:.2f}× the seconds of a step without it ({found['low']:.2f} to {found['high']:.2f})"
    return f"{passes}; {seconds}; {measured()['setting']}"
