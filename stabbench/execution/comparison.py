"""One run held against another, or against an accepted baseline: compare, gate, accept. Needs no model and no torch."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stabbench.claims.across import Across, RunRecord
from stabbench.claims.across_facts import Differences, differences, settings_changed
from stabbench.claims.baseline import FOLDER, baseline_document, baseline_text, read_baseline
from stabbench.claims.claim import Claim
from stabbench.claims.gate import Inconclusive, default_rules, evaluate, exit_code
from stabbench.claims.looks import as_run
from stabbench.claims.table import planned_seeds
from stabbench.errors import ConfigurationError, IncompleteError, NotComparableError
from stabbench.store.run_folder import RunFolder
from stabbench.suite.gate import read_rules
from stabbench.suite.schema import GateRule, Suite
from stabbench.suite.stored import stored_suite


@dataclass(frozen=True)
class Comparison:
    """Two runs compared.

    Attributes:
        reference_run: name of the run that is compared against.
        run: name of the run that is judged.
        suite: name of its suite.
        claims: the same group in both runs, on every metric that both have; each carries `reference_run`.
        drift: differences that forbid a comparison and were allowed: a watermark over everything else.
        notes: differences that forbid nothing, such as library versions.
    """

    reference_run: str
    run: str
    suite: str
    claims: list[Claim]
    drift: list[str]
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the document that ``compare --json`` prints."""
        return {
            "schema": 1,
            "reference_run": self.reference_run,
            "run": self.run,
            "suite": self.suite,
            "claims": [claim.as_dict() for claim in self.claims],
            "drift": self.drift,
            "notes": self.notes,
        }


@dataclass(frozen=True)
class Gated:
    """A run that was held against its rules.

    Attributes:
        document: the run's verdict with `gate` filled in, and `against`, `drift`, `notes`, `inconclusive`, `exit_code`.
        exit_code: 0 pass, 1 failed, 3 incomplete, 4 not comparable, 5 inconclusive where that fails.
    """

    document: dict[str, Any]
    exit_code: int


def compare_runs(reference: RunFolder, candidate: RunFolder, *, allow_drift: bool = False) -> Comparison:
    """Compare a run with a reference run.

    Args:
        reference: what is compared against.
        candidate: what is judged; its suite says which claims are primary, the margins and the level.
        allow_drift: go on where a difference forbids the comparison; it is then told in `Comparison.drift`.

    Raises:
        NotComparableError: the runs differ in what must be equal; the message names the fields.
        ConfigurationError: one of them is a smoke run.
        IncompleteError: one of them has no measurements yet.
    """
    return compare_with(record_of(reference), candidate, allow_drift=allow_drift)


def compare_with(reference: RunRecord, candidate: RunFolder, *, allow_drift: bool = False) -> Comparison:
    """Compare a run with a reference that may also come from a baseline file; see `compare_runs`."""
    across, drift, notes = _side_by_side(reference, candidate, allow_drift=allow_drift)
    return Comparison(reference.name, across.now.name, across.now.suite, across.claims(), drift, notes)


def gate_run(
    run: RunFolder,
    *,
    against: RunRecord | None = None,
    rules: Path | None = None,
    inconclusive: Inconclusive = "warn",
    allow_drift: bool = False,
) -> Gated:
    """Decide a run's gate rules and record them as the `gate` of its verdict.

    Args:
        run: the run.
        against: a reference run; None: the rules are about the variants within the run.
        rules: a file of rules; None: the suite's, and without those each primary claim not worse by its margin.
        inconclusive: what an undecided rule does.
        allow_drift: as for `compare_runs`.

    Raises:
        ConfigurationError: the rules are wrong, ask nothing, or the run is a smoke run.
        NotComparableError: as for `compare_runs`.
    """
    record, suite = record_of(run), suite_of(run)
    asked = _rules(suite, rules)
    within = record.facts.get("unmatched", {})
    drift: list[str] = []
    notes: list[str] = []
    if against is None:
        items = evaluate(asked, record.rows, suite, within)
    else:
        across, drift, notes = _side_by_side(against, run, allow_drift=allow_drift)
        items = across.gate(asked, within)
    if not items:
        raise ConfigurationError([_nothing_asked(asked, against)], note="Nothing was decided.")
    code = exit_code(0 if run.verdict["status"] == "complete" else 3, [entry.outcome for entry in items], inconclusive)
    verdict = {**run.verdict, "gate": [entry.as_dict() for entry in items]}
    _record_verdict(run, verdict)
    more = {"against": None if against is None else against.name, "drift": drift, "notes": notes}
    return Gated({**verdict, **more, "inconclusive": inconclusive, "exit_code": code}, code)


def accept_run(run: RunFolder, reason: str) -> tuple[Path, bool]:
    """Write a run as its suite's baseline below the current folder; return the file, and whether it replaced one.

    Args:
        run: a complete run.
        reason: why it is accepted, for those who read the file later.

    Raises:
        ConfigurationError: no reason, or a smoke run, or a run that does not record what it was made from.
        IncompleteError: cells are missing, or a primary claim is incomplete.
    """
    if not reason.strip():
        raise ConfigurationError(["--reason: say why this run is accepted"], note="Nothing was written.")
    record, verdict = record_of(run), run.verdict
    missing = [claim["id"] for claim in verdict["claims"] if claim["primary"] and claim["verdict"] == "incomplete"]
    if verdict["status"] != "complete" or missing:
        counted = verdict["cells"]
        what = f"{counted['errors']} cells ended in an error, {counted['pending']} are pending"
        if verdict["status"] == "complete":
            what = f"incomplete primary claims: {', '.join(missing)}"
        message = f"run {record.name} is incomplete and no baseline ({what}); finish it by its own command"
        raise IncompleteError(message)
    if not record.facts:
        raise ConfigurationError(
            [f"run {record.name} does not record what it was made from; run its suite again (cells are kept)"],
            note="Nothing was written.",
        )
    date = datetime.now(UTC).isoformat(timespec="seconds")
    document = baseline_document(record, verdict, run.environment, reason=reason.strip(), date=date)
    path = FOLDER / f"{record.suite}.json"
    replaced = path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    RunFolder(path.parent).write_text(path.name, baseline_text(document))
    return path, replaced


def suite_of(run: RunFolder) -> Suite:
    """Return the suite that a run was made with."""
    return stored_suite(run.suite)


def record_of(run: RunFolder) -> RunRecord:
    """Return what of a run is needed to compare another with it.

    Raises:
        ConfigurationError: it is a smoke run, or an audit.
        IncompleteError: it was killed before anything was written.
    """
    name = run.path.resolve().name
    if not all((run.path / file).exists() for file in ("verdict.json", "measurements.parquet")):
        raise IncompleteError(f"run {name} was not brought to an end; give its command again")
    if run.environment.get("smoke"):
        raise ConfigurationError([f"run {name} is a smoke run, which is never a verdict"], note="Nothing was decided.")
    suite = suite_of(run)
    if suite.of_checkpoints:
        message = (
            f"run {name} is an audit of finished checkpoints, which have no seeds to decide by; two checkpoints are "
            "compared text by text by: stabbench audit MODEL --vs MODEL2"
        )
        raise ConfigurationError([message], note="Nothing was decided.")
    return RunRecord(
        name=name,
        suite=suite.name,
        reference=suite.compare.reference,
        variants=run.suite["variants"],
        seeds=tuple(planned_seeds(as_run(suite, run.rows))),
        rows=tuple(run.rows),
        facts=run.plan.get("facts", {}),
    )


def find_reference(name: str) -> RunRecord:
    """Return the run of that folder or name, or the accepted run of a baseline file (``….json``).

    Raises:
        ConfigurationError: there is none; the message lists what is here.
    """
    if not name.endswith(".json"):
        return record_of(RunFolder.find(name))
    if Path(name).is_file():
        return read_baseline(Path(name))
    here = sorted(str(path) for path in FOLDER.glob("*.json"))
    near = difflib.get_close_matches(name, here, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    found = (
        f"Here are: {', '.join(here)}."
        if here
        else "There is none here; `stabbench accept RUN --reason TEXT` makes it."
    )
    raise ConfigurationError([f"no baseline '{name}'.{hint} {found}"], note="Nothing was decided.")


def _side_by_side(then: RunRecord, run: RunFolder, *, allow_drift: bool) -> tuple[Across, list[str], list[str]]:
    """Return both runs with what they differ in: (forbidden but allowed, told)."""
    now, suite = record_of(run), suite_of(run)
    found = differences(then.facts, now.facts)
    refused = list(found.refused)
    if refused and not allow_drift:
        raise NotComparableError(_refusal(then, now, refused, "--allow-drift compares them all the same, and says so"))
    across = Across(then, now, suite, Differences() if allow_drift else found)
    if not across.seeds or not across.variants:
        what, both = (
            ("seeds", (then.seeds, now.seeds)) if not across.seeds else ("variants", (then.variants, now.variants))
        )
        listed = [f"{what}: {', '.join(both[0])} then, {', '.join(both[1])} now: none in common"]
        raise NotComparableError(_refusal(then, now, listed, "nothing can be paired"))
    drift = [*refused, *found.blocked.values()] if allow_drift else []
    notes = [*found.notes, *settings_changed(then.variants, now.variants), *_only_in_one(then, now)]
    return across, drift, notes


def _refusal(then: RunRecord, now: RunRecord, fields: Sequence[str], hint: str) -> str:
    listed = "\n".join(f"  {field}" for field in fields)
    return f"run {now.name} is not comparable with run {then.name}; they differ in\n{listed}\n{hint}"


def _only_in_one(then: RunRecord, now: RunRecord) -> list[str]:
    """Say what has no counterpart in the other run and is therefore left out."""
    notes = [] if then.suite == now.suite else [f"suite: {then.suite} then, {now.suite} now"]
    pairs = (("seed", then.seeds, now.seeds), ("variant", tuple(then.variants), tuple(now.variants)))
    for what, before, after in pairs:
        for name, mine, other in ((then.name, before, after), (now.name, after, before)):
            if only := [item for item in mine if item not in other]:
                notes.append(f"{what}s only in run {name}: {', '.join(only)}")
    return notes


def _rules(suite: Suite, file: Path | None) -> list[GateRule]:
    return read_rules(file, suite) if file is not None else suite.gate or default_rules(suite)


def _nothing_asked(rules: Sequence[GateRule], against: RunRecord | None) -> str:
    if against is None and rules:
        return "the rules ask nothing within one run, which has no second group for them; give --against BASELINE"
    if against is None:
        return "there is no rule, and no primary claim to make one of; give --rules FILE"
    return f"the rules ask nothing of two runs: none is about a group that run {against.name} has; give --rules FILE"


def _record_verdict(run: RunFolder, verdict: dict[str, Any]) -> None:
    """Keep the run's one verdict in step with what was decided; a folder that cannot be written is left as it is."""
    try:
        run.write_json("verdict.json", verdict)
    except OSError as error:
        print(f"warning: {run.path} cannot be written ({error.strerror}); its verdict.json stays", file=sys.stderr)
