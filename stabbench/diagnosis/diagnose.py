"""From a finished run to its findings: every rule on every arm and trial, the cause that fits best first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stabbench.diagnosis.arms import Arm, Trial, read_arms
from stabbench.diagnosis.finding import Finding
from stabbench.diagnosis.remedies import usable
from stabbench.diagnosis.repeat import nondeterminism
from stabbench.diagnosis.rules import ARM_RULES, TRIAL_RULES, ArmRule, TrialRule
from stabbench.diagnosis.rules.base import Sighting
from stabbench.diagnosis.signals import Signals
from stabbench.errors import ConfigurationError
from stabbench.store.run_folder import RunFolder


@dataclass(frozen=True)
class Diagnosis:
    """What was found in a run.

    Attributes:
        suite, run: names of the suite and of the run's folder.
        arms: as read.
        findings: by arm, the reference first; within an arm by run, then by rule in order of precedence.
        unexplained: (variant, seed, reason) of failed runs that no rule explains.
        not_judged: rule → arrays that the traces lack, so that it could not be judged anywhere.
    """

    suite: str
    run: str
    arms: tuple[Arm, ...]
    findings: tuple[Finding, ...]
    unexplained: tuple[tuple[str, str, str], ...]
    not_judged: dict[str, tuple[str, ...]]

    def of(self, variant: str) -> tuple[Finding, ...]:
        """Return the findings of an arm."""
        return tuple(finding for finding in self.findings if finding.variant == variant)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values: the document of ``diagnose --json``."""
        return {
            "schema": 1,
            "suite": self.suite,
            "run": self.run,
            "arms": {
                arm.variant: {"runs": len(arm.trials), "failed": [trial.seed for trial in arm.failed]}
                for arm in self.arms
            },
            "findings": [finding.as_dict() for finding in self.findings],
            "unexplained": [
                {"variant": variant, "seed": seed, "reason": reason} for variant, seed, reason in self.unexplained
            ],
            "not_judged": {rule: list(arrays) for rule, arrays in self.not_judged.items()},
        }


def diagnose(run: RunFolder) -> Diagnosis:
    """Return the findings of a run, from its folder and store alone.

    Raises:
        ConfigurationError: the run is an audit of finished checkpoints.
    """
    if all("checkpoint" in variant for variant in run.suite["variants"].values()):
        message = f"run {run.path.name} is an audit: nothing was trained in it, so no training can be diagnosed"
        raise ConfigurationError([message], note="Nothing was diagnosed.")
    arms = read_arms(run)
    repeated = list(nondeterminism(run))
    findings = [*repeated, *(finding for arm in arms for finding in findings_of(arm, arms))]
    order = {arm.variant: index for index, arm in enumerate(arms)}
    findings.sort(key=lambda finding: order[finding.variant])
    return Diagnosis(
        suite=str(run.plan["suite"]),
        run=run.path.name,
        arms=arms,
        findings=tuple(findings),
        unexplained=tuple(_unexplained(arms, findings)),
        not_judged=_not_judged(arms),
    )


def findings_of(arm: Arm, arms: Sequence[Arm]) -> Iterator[Finding]:
    """Yield what all rules find in an arm: about the arm first, then run by run."""
    for rule in ARM_RULES:
        if (seen := rule.look(arm, arms)) is not None:
            yield _finding(rule, arm, seen, tuple(trial.seed for trial in arm.trials))
    for trial in arm.trials:
        yield from trial_findings(trial, arm)


def trial_findings(trial: Trial, arm: Arm) -> Iterator[Finding]:
    """Yield what the rules find in one training, in order of precedence."""
    signals = Signals(trial)
    if not signals.known:
        return
    fired: set[str] = set()
    for rule in TRIAL_RULES:
        if fired & set(rule.unless) or not signals.has(*rule.needs):
            continue
        if (seen := rule.look(signals, arm)) is not None:
            fired.add(rule.name)
            yield _finding(rule, arm, seen, (trial.seed,))


def _finding(rule: TrialRule | ArmRule, arm: Arm, seen: Sighting, seeds: tuple[str, ...]) -> Finding:
    return Finding(
        rule=rule.name,
        number=rule.number,
        variant=arm.variant,
        seeds=seen.seeds or seeds,
        signature=rule.signature,
        cause=seen.cause or rule.cause,
        evidence=tuple(seen.evidence),
        remedies=usable(arm, seen.remedies),
    )


def _unexplained(arms: Iterable[Arm], findings: Sequence[Finding]) -> Iterator[tuple[str, str, str]]:
    explained = {(finding.variant, seed) for finding in findings for seed in finding.seeds}
    for arm in arms:
        for trial in arm.failed:
            if (arm.variant, trial.seed) not in explained:
                yield arm.variant, trial.seed, trial.reason or "failed"


def _not_judged(arms: Sequence[Arm]) -> dict[str, tuple[str, ...]]:
    """Return what no trace of the run has, by rule; empty arrays count as absent."""
    signals = [Signals(trial) for arm in arms for trial in arm.trials]
    missing = {
        rule.name: tuple(name for name in rule.needs if not any(s.has(name) for s in signals)) for rule in TRIAL_RULES
    }
    return {name: arrays for name, arrays in missing.items() if arrays and signals}
