"""Remedies as changes of a variant: only those that this version has, that are options of it, and that are new to it.

Names of stabilizers and optimizers are looked up when a diagnosis is made; what is not there is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from stabbench import registry
from stabbench.diagnosis.arms import Arm
from stabbench.diagnosis.finding import Remedy
from stabbench.suite.schema import TrainOptions

KIND = "stabilizers"
UNCORRECTED = ("bertadam",)
"""Optimizers without bias correction."""
CLIPS = ("clip_grad_norm", "clip_grad_value", "agc", "auto_clip", "zclip")
OBJECTIVES = ("sam", "fgm", "pgd", "freelb", "smart", "r3f", "word_adversarial")
"""Stabilizers that train on another objective than plain cross-entropy from the first step on."""
STRENGTHS = (
    "alpha", "weight", "strength", "coefficient", "epsilon", "rho", "radius", "probability", "p", "noise",
    "adversarial_rate", "step_size",
)  # fmt: skip
"""Options that say how strongly a stabilizer acts; the first that it has is halved."""


def usable(arm: Arm, remedies: Iterable[Remedy | None]) -> tuple[Remedy, ...]:
    """Return the remedies that this arm can take in this version, in order and each once; advice always stays."""
    found: list[Remedy] = []
    for remedy in remedies:
        if remedy is not None and remedy not in found and _fits(arm, remedy):
            found.append(remedy)
    return tuple(found)


def _fits(arm: Arm, remedy: Remedy) -> bool:
    if remedy.train:
        if all(arm.train.get(name) == value for name, value in remedy.train.items()) and not remedy.add:
            return False
        try:
            TrainOptions.model_validate({**arm.train, **remedy.train})
        except ValidationError:
            return False
    kept = [name for name in arm.stabilizers if name not in remedy.remove]
    return all(_takes(kept, name, options) for name, options in remedy.add.items())


def _takes(present: list[str], name: str, options: Mapping[str, Any]) -> bool:
    """Whether a stabilizer exists, has these options, lacks none, and shares no exclusive hook with another."""
    if name not in registry.names(KIND):
        return False
    card = registry.card(KIND, name)
    known = set(card.schema.get("properties", {}))
    if set(options) - known or set(card.schema.get("required", ())) - set(options):
        return False
    exclusive = set(card.traits.get("exclusive", ()))
    others = (registry.card(KIND, other) for other in present if other != name and other in registry.names(KIND))
    return not any(exclusive & set(other.traits.get("exclusive", ())) for other in others)


def add(arm: Arm, name: str, text: str, **options: Any) -> Remedy | None:
    """Return the remedy that puts a stabilizer in; None where the arm has it."""
    return None if name in arm.stabilizers else Remedy(text, add={name: options})


def corrected(arm: Arm) -> Remedy | None:
    """Adam with bias correction, where the arm's has none."""
    if arm.train["optimizer"] not in UNCORRECTED:
        return None
    return Remedy("correct Adam's bias: optimizer adamw", {"optimizer": "adamw"})


def corrected_and_warm(arm: Arm) -> Remedy | None:
    """Bias correction and warmup together, where both are missing."""
    if arm.train["optimizer"] not in UNCORRECTED or "warmup" in arm.stabilizers:
        return None
    text = "correct Adam's bias and warm up over 10% of the steps"
    return Remedy(text, {"optimizer": "adamw"}, {"warmup": {"fraction": 0.1}})


def warmup(arm: Arm, fraction: float = 0.1) -> Remedy | None:
    """Warmup, or a longer one."""
    if "warmup" not in arm.stabilizers:
        return add(arm, "warmup", f"warm up over {fraction:.0%} of the steps", fraction=fraction)
    present = float(arm.stabilizers["warmup"].get("fraction", 0.0))
    longer = min(2 * present, 0.5)
    if not longer > present:
        return None
    return Remedy(f"warm up longer: {longer:.0%} of the steps", add={"warmup": {"fraction": longer}})


def lower_rate(arm: Arm, factor: float = 0.5) -> Remedy:
    """A lower learning rate."""
    rate = float(f"{arm.train['learning_rate'] * factor:.3g}")
    return Remedy(f"learning rate {arm.train['learning_rate']:g} → {rate:g}", {"learning_rate": rate})


def higher_rate(arm: Arm, factor: float) -> Remedy:
    """A higher learning rate."""
    rate = float(f"{arm.train['learning_rate'] * factor:.3g}")
    return Remedy(f"learning rate {arm.train['learning_rate']:g} → {rate:g}", {"learning_rate": rate})


def longer(arm: Arm, factor: int = 3) -> Remedy:
    """More epochs."""
    epochs = arm.train["epochs"] * factor
    return Remedy(f"train longer: {arm.train['epochs']} → {epochs} epochs", {"epochs": epochs})


def optimizer(arm: Arm, name: str, text: str) -> Remedy:
    """Another optimizer."""
    return Remedy(text, {"optimizer": name})


def without(arm: Arm, names: Iterable[str], why: str) -> list[Remedy]:
    """Return one remedy per stabilizer of these names that the arm has: take it out."""
    return [Remedy(f"take {name} out: {why}", remove=(name,)) for name in names if name in arm.stabilizers]


def halved(arm: Arm, name: str) -> Remedy | None:
    """Half the strength of a stabilizer, where one of its options is known to be it."""
    options = arm.stabilizers[name]
    for option in STRENGTHS:
        value = options.get(option)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
            half = float(f"{value / 2:.3g}")
            return Remedy(f"half the strength of {name}: {option} {value:g} → {half:g}", add={name: {option: half}})
    return None
