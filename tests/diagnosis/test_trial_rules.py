"""Every rule on a run's trace: it fires where the illness was made by training, and on no sound run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from illness import ILL_RECIPES, SOUND_RECIPES, Train

from stabbench.diagnosis.arms import Arm, Trial
from stabbench.diagnosis.diagnose import trial_findings
from stabbench.diagnosis.finding import Finding
from stabbench.diagnosis.rules import TRIAL_RULES
from stabbench.diagnosis.signals import Signals

CAUSES = ("not-finite", "front-loaded", "never-learned", "collapsed", "spike", "opposing-gradients", "batch-too-small")


def found(trained: Train, rule: str) -> tuple[Finding, Arm, Trial]:
    recipe, seed = ILL_RECIPES[rule]
    arm, trial = trained(recipe, seed)
    findings = {finding.rule: finding for finding in trial_findings(trial, arm)}
    assert rule in findings, (rule, list(findings), trial.reason)
    return findings[rule], arm, trial


@pytest.mark.parametrize("rule", [rule.name for rule in TRIAL_RULES])
def test_it_fires_where_training_was_made_ill_and_says_with_what(trained: Train, rule: str) -> None:
    finding, _, trial = found(trained, rule)

    assert finding.seeds == (trial.seed,)
    assert finding.evidence
    assert all(item.text and item.numbers for item in finding.evidence)
    assert finding.remedies, "something to try"


@pytest.mark.parametrize("rule", CAUSES)
def test_it_is_named_first_where_it_is_the_cause(trained: Train, rule: str) -> None:
    recipe, seed = ILL_RECIPES[rule]
    arm, trial = trained(recipe, seed)

    assert next(iter(trial_findings(trial, arm))).rule == rule


@pytest.mark.parametrize("rule", TRIAL_RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("name", SOUND_RECIPES)
def test_it_does_not_fire_on_a_sound_run(trained: Train, name: str, rule: Any) -> None:
    arm, trial = trained(SOUND_RECIPES[name])
    signals = Signals(trial)

    assert not trial.failed
    assert signals.has(*rule.needs), "it could be judged"
    assert rule.look(signals, arm) is None


def test_the_first_step_that_is_not_finite_and_its_blocks_are_named(trained: Train) -> None:
    finding, _, trial = found(trained, "not-finite")
    evidence = finding.evidence[0]
    broken = ~np.isfinite(trial.trace["raw_norm"])
    first = int(np.argmax(broken.any(axis=1) | ~np.isfinite(trial.trace["cross_entropy"])))

    assert evidence.steps == (first, len(broken) - 1)
    assert set(evidence.blocks) == {str(b) for b, bad in zip(trial.trace["blocks"], broken[first], strict=True) if bad}
    assert "learning rate is out of range" in finding.cause
    assert finding.remedies[0].train["learning_rate"] <= 2e-5


def test_a_rate_out_of_range_is_brought_back_in_proportion_to_the_first_update(trained: Train) -> None:
    """An update of 2.0 of the weights at rate 1 becomes one of 0.01 at rate 0.005."""
    _, arm, trial = found(trained, "not-finite")
    trace = {**trial.trace, "update_ratio": np.full_like(trial.trace["update_ratio"], 2.0)}
    arm = replace(arm, train={**arm.train, "learning_rate": 1.0})

    (finding,) = trial_findings(replace(trial, trace=trace), arm)

    assert finding.remedies[0].train == {"learning_rate": 0.005}


def test_a_missing_bias_correction_is_told_by_the_second_moment_and_the_way_gone(trained: Train) -> None:
    finding, _, trial = found(trained, "front-loaded")
    numbers = {name: value for item in finding.evidence for name, value in item.numbers.items()}

    assert numbers["adam_rms"] == pytest.approx(1000**0.5, rel=0.05)
    drift = trial.trace["drift"][:, 1].astype(float)
    assert numbers["share"] == pytest.approx(drift[0] / drift[-1], rel=1e-6)
    assert "without bias correction" in finding.cause
    assert finding.remedies[0].fragment() == {
        "train": {"optimizer": "adamw"},
        "stabilizers": [{"warmup": {"fraction": 0.1}}],
    }


def test_a_run_that_hardly_moves_is_told_from_one_that_fails(trained: Train) -> None:
    from illness import Recipe

    arm, trial = trained(Recipe({"learning_rate": 1e-9, "epochs": 2}, {}))
    (finding,) = trial_findings(trial, arm)

    assert finding.rule == "never-learned"
    assert "hardly move" in finding.cause
    assert finding.remedies[0].train == {"learning_rate": 1e-8}


def test_a_run_that_has_only_begun_to_learn_is_to_be_trained_longer(trained: Train) -> None:
    """The loss of a sound run up to where its window is 0.93 of H, called failed: too short, not ill."""
    arm, trial = trained(SOUND_RECIPES["warm"])
    signals = Signals(trial)
    stop = next(i for i in range(8, signals.steps) if Signals(_cut(trial, i)).final < 0.94 * signals.chance)

    (finding,) = trial_findings(replace(_cut(trial, stop), failed=True), arm)

    assert (finding.rule, "only begun" in finding.cause) == ("never-learned", True)
    assert finding.remedies[0].train == {"epochs": 18}


def test_a_failed_run_whose_loss_is_low_is_left_unexplained(trained: Train) -> None:
    """It learned its training examples, so that neither rule on the loss of a guess is about it."""
    arm, trial = trained(SOUND_RECIPES["warm"])

    assert list(trial_findings(replace(trial, failed=True), arm)) == []


def _cut(trial: Trial, steps: int) -> Trial:
    whole = len(trial.trace["cross_entropy"])
    trace = {name: array[:steps] if len(array) == whole else array for name, array in trial.trace.items()}
    return replace(trial, trace={**trace, "update_step": np.array([0]), "noise_signal": np.zeros(0)})


def test_the_steps_of_a_collapse_are_where_the_smoothed_loss_crosses(trained: Train) -> None:
    finding, _, trial = found(trained, "collapsed")
    loss = trial.trace["cross_entropy"].astype(float)
    window = min(max(len(loss) // 6, 3), 25)
    prior = trial.trace["label_share"].mean(axis=0)
    limit = 0.9 * -(prior * np.log(prior)).sum()
    means = [loss[i - window + 1 : i + 1].mean() for i in range(window - 1, len(loss))]
    below = [i + window - 1 for i, mean in enumerate(means) if mean <= limit]

    numbers = finding.evidence[0].numbers
    assert (numbers["learned_at"], numbers["fell_at"]) == (below[0], below[-1] + 1)


def test_the_poisoned_step_is_the_spike(trained: Train) -> None:
    finding, _, trial = found(trained, "spike")

    assert finding.evidence[0].numbers["step"] == 130
    assert finding.evidence[0].numbers["loss"] == pytest.approx(trial.trace["cross_entropy"][130])
    assert "step 130" in finding.remedies[-1].text


def test_the_clip_rate_and_the_new_bound_are_those_of_the_norms(trained: Train) -> None:
    finding, _, trial = found(trained, "always-clipped")
    raw, applied = (np.linalg.norm(trial.trace[name].astype(float), axis=1) for name in ("raw_norm", "applied_norm"))
    numbers = finding.evidence[0].numbers

    assert numbers["clip_rate"] == pytest.approx((applied < raw * (1 - 1e-4)).mean()) == 1
    assert numbers["clip_factor"] == pytest.approx(np.median(applied / raw))
    (bound,) = finding.remedies[0].add["clip_grad_norm"].values()
    assert bound == pytest.approx(np.median(raw), rel=0.06)


def test_opposing_gradients_are_a_sign_test(trained: Train) -> None:
    """Seven of seven negative cosines have p = 1/128, six of six 1/64: too many runs are looked at for that."""
    _, arm, trial = found(trained, "opposing-gradients")

    def fires(cosines: list[float]) -> bool:
        steps = np.arange(len(cosines))
        trace = {**trial.trace, "gradient_cosine": np.array(cosines), "cosine_step": steps}
        return "opposing-gradients" in {f.rule for f in trial_findings(replace(trial, trace=trace), arm)}

    assert fires([-0.5] * 7)
    assert not fires([-0.5] * 6)
    assert not fires([-0.1] * 20)
    assert fires([-0.5] * 12 + [0.5])
    assert not fires([-0.5] * 7 + [0.5] * 3)
    assert fires([-0.5] * 7 + [np.nan])


def test_an_old_trace_that_lacks_arrays_is_judged_by_what_it_has(trained: Train) -> None:
    recipe, seed = ILL_RECIPES["front-loaded"]
    arm, trial = trained(recipe, seed)
    kept = ("blocks", "cross_entropy", "raw_norm", "applied_norm", "learning_rate", "update_step", "update_ratio")
    old = replace(trial, trace={name: trial.trace[name] for name in kept})

    assert [f.rule for f in trial_findings(old, arm)] == ["front-loaded", "never-learned"]
    assert list(trial_findings(replace(trial, trace={}), arm)) == []
