"""The decision table, one rule per signature, in the order of precedence: the first that fires names the cause."""

from __future__ import annotations

from stabbench.diagnosis.rules.base import ArmRule, TrialRule
from stabbench.diagnosis.rules.divergence import NOT_FINITE, SPIKE
from stabbench.diagnosis.rules.gradients import ALWAYS_CLIPPED, BATCH_TOO_SMALL, OPPOSING
from stabbench.diagnosis.rules.inside import ATTENTION_GROWS, LOGITS_DRIFT, POOLER_SATURATED
from stabbench.diagnosis.rules.learning import COLLAPSED, FRONT_LOADED, NEVER_LEARNED
from stabbench.diagnosis.rules.seeds import FINITE_TEST, GENERALISATION, STABILIZER_ALONE

__all__ = ["ARM_RULES", "TRIAL_RULES", "ArmRule", "TrialRule"]

ARM_RULES: tuple[ArmRule, ...] = (STABILIZER_ALONE, GENERALISATION, FINITE_TEST)
TRIAL_RULES: tuple[TrialRule, ...] = (
    NOT_FINITE, FRONT_LOADED, OPPOSING, NEVER_LEARNED, COLLAPSED, SPIKE, ALWAYS_CLIPPED, POOLER_SATURATED,
    ATTENTION_GROWS, LOGITS_DRIFT, BATCH_TOO_SMALL,
)  # fmt: skip
