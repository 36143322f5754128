"""Two run folders held against each other: what refuses, what is noted, what is written, and every exit code of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_facts import FACTS

from stabbench.cli import main
from stabbench.errors import ConfigurationError, IncompleteError, NotComparableError
from stabbench.execution.comparison import Comparison, accept_run, compare_runs, find_reference, gate_run
from stabbench.store.run_folder import RunFolder, write_rows

Result = tuple[int, str, str]


def changed(run: RunFolder, target: Path, **content: Any) -> RunFolder:
    """A copy of a run with facts in its plan; `facts`, `verdict`, `environment`, `rows` change what its files hold."""
    shutil.copytree(run.path, target)
    copy = RunFolder(target)
    copy.write_json("plan.json", {**run.plan, "facts": content.get("facts", {**FACTS, "trials": {}})})
    copy.write_json("verdict.json", {**run.verdict, **content.get("verdict", {})})
    copy.write_json("environment.json", {**run.environment, **content.get("environment", {})})
    if "rows" in content:
        write_rows(target / "measurements.parquet", content["rows"](run.rows))
    return RunFolder(target)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(make_run: Callable[..., RunFolder]) -> RunFolder:
    return make_run(broken=False)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command line in this process: exit code, standard output, standard error."""

    def call(*arguments: str) -> Result:
        monkeypatch.setattr("sys.argv", ["stabbench", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


def without(metric: str, seed: str) -> Callable[..., Any]:
    return lambda rows: [r for r in rows if not (r.measurement.metric == metric and r.seed == seed)]


def test_a_run_compared_with_itself_has_no_effect(made: RunFolder, here: Path) -> None:
    one, two = changed(made, here / "one"), changed(made, here / "two")

    found = compare_runs(one, two)

    assert isinstance(found, Comparison)
    assert (found.reference_run, found.run, found.suite, found.drift) == ("one", "two", "made", [])
    assert found.claims
    assert {claim.effect for claim in found.claims} <= {0.0, None}
    assert not [claim.id for claim in found.claims if claim.verdict in ("improved", "regressed")]
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["schema"] == 1


def test_incomparable_runs_are_refused_with_the_field_named_and_allowed_with_a_watermark(
    made: RunFolder, here: Path, command: Callable[..., Result]
) -> None:
    changed(made, here / "runs" / "one")
    changed(made, here / "runs" / "two", facts={**FACTS, "trials": {}, "test": "u", "hardware": "CPU x8"})
    with pytest.raises(NotComparableError, match="test examples: t then, u now"):
        compare_runs(RunFolder.find("one"), RunFolder.find("two"))

    code, out, err = command("compare", "one", "two")
    assert (code, out) == (4, "")
    assert "test examples: t then, u now" in err
    assert "--allow-drift" in err
    assert command("gate", "two", "--against", "one")[0] == 4

    code, out, _ = command("compare", "one", "two", "--allow-drift")
    assert code == 0
    assert "DRIFT, the numbers below are about different things: test examples: t then, u now" in out
    document = json.loads(command("compare", "one", "two", "--allow-drift", "--json")[1])
    assert [text.split(":")[0] for text in document["drift"]] == ["test examples", "hardware"]


def test_other_hardware_forbids_latency_claims_only(made: RunFolder, here: Path) -> None:
    one = changed(made, here / "one")
    two = changed(made, here / "two", facts={**FACTS, "trials": {}, "hardware": "CPU x8"})

    found = compare_runs(one, two)

    verdicts = {claim.metric: claim for claim in found.claims}
    assert verdicts["latency.ratio"].verdict == "not comparable"
    assert "hardware: CPU x2 then, CPU x8 now" in verdicts["latency.ratio"].reason
    assert verdicts["accuracy"].verdict != "not comparable"
    assert {
        claim.verdict for claim in compare_runs(one, two, allow_drift=True).claims if claim.metric == "latency.ratio"
    }


def test_runs_with_nothing_in_common_are_refused_even_with_drift_allowed(
    made: RunFolder, make_run: Callable[..., RunFolder], here: Path
) -> None:
    one = changed(made, here / "one")
    other = changed(made, here / "two")
    suite = {**other.suite, "seeds": ["7", "8"]}
    other.write_text("suite.resolved.yaml", json.dumps(suite))

    with pytest.raises(NotComparableError, match="seeds: 0, 1, 2, 3, 4, 5 then, 7, 8 now: none in common"):
        compare_runs(one, RunFolder(here / "two"), allow_drift=True)


def test_what_is_only_noted_is_told(made: RunFolder, here: Path, command: Callable[..., Result]) -> None:
    changed(made, here / "runs" / "one")
    two = changed(made, here / "runs" / "two", facts={**FACTS, "trials": {}, "libraries": {"torch": "2.6"}})
    suite = json.loads(json.dumps(two.suite))
    suite["variants"]["stabilized"]["train"]["learning_rate"] = 0.5
    two.write_text("suite.resolved.yaml", json.dumps(suite))

    code, out, _ = command("compare", "one", "two")

    assert code == 0
    assert "note: libraries.torch: 2.5 then, 2.6 now" in out
    assert "note: variants.stabilized.train.learning_rate: 2e-05 then, 0.5 now" in out
    assert "DRIFT" not in out
    assert out.rstrip().endswith("next: stabbench gate two --against one")


def rules(folder: Path, *texts: str) -> str:
    (folder / "rules.yaml").write_text("".join(f"- {{{text}}}\n" for text in texts))
    return "rules.yaml"


@pytest.mark.parametrize(
    ("texts", "options", "status", "code"),
    [
        (["claim: accuracy, at_least: 0.2"], [], "complete", 0),
        (["claim: accuracy, at_least: 0.99"], [], "complete", 1),
        (["claim: accuracy, at_least: 0.99, known: small test set"], [], "complete", 0),
        (["claim: accuracy, at_least: 0.2"], [], "incomplete", 3),
        (["claim: train.failed, at_most: 0.2"], [], "complete", 0),
        (["claim: train.failed, at_most: 0.2"], ["--inconclusive", "pass"], "complete", 0),
        (["claim: train.failed, at_most: 0.2"], ["--inconclusive", "fail"], "complete", 5),
        (["claim: accuracy, at_least: 0.99"], [], "incomplete", 1),
        (["claim: train.failed, at_most: 0.2"], ["--inconclusive", "fail"], "incomplete", 3),
        (["claim: acuracy, at_least: 0.99"], [], "complete", 2),
        (["claim: accuracy, at_least: 0.99"], ["--inconclusive", "maybe"], "complete", 2),
    ],
)
def test_each_exit_code_of_the_gate(
    made: RunFolder,
    here: Path,
    command: Callable[..., Result],
    texts: list[str],
    options: list[str],
    status: str,
    code: int,
) -> None:
    changed(made, here / "runs" / "one", verdict={"status": status})

    found, out, err = command("gate", "one", "--rules", rules(here, *texts), *options)

    assert found == code, (out, err)
    if code == 2:
        assert out == ""
        assert "rules.yaml:1:4" in err or "Allowed: fail, pass, warn" in err
        return
    recorded = json.loads((here / "runs" / "one" / "verdict.json").read_text())["gate"]
    assert [entry["outcome"] for entry in recorded] != []
    assert all(entry["reason"] in out for entry in recorded)
    warned = "1 gate rule is undecided" in err
    assert warned == ("train.failed" in texts[0] and not options)


def test_a_regression_outranks_what_is_missing_and_not_comparable_outranks_both(
    made: RunFolder, here: Path, command: Callable[..., Result]
) -> None:
    def contaminated(rows: list[Any]) -> list[Any]:
        from dataclasses import replace

        return [
            replace(r, measurement=replace(r.measurement, value=0.9))
            if r.measurement.metric == "latency.contaminated"
            else r
            for r in rows
        ]

    changed(made, here / "runs" / "one", verdict={"status": "incomplete"}, rows=contaminated)
    fail, latency = "claim: accuracy, at_least: 0.99", "claim: latency.ratio, at: {batch: 1, length: 32}, at_most: 2"

    assert command("gate", "one", "--rules", rules(here, fail))[0] == 1
    assert command("gate", "one", "--rules", rules(here, fail, latency))[0] == 4


def test_the_json_of_the_gate_is_the_verdict_with_more(
    made: RunFolder, here: Path, command: Callable[..., Result]
) -> None:
    changed(made, here / "runs" / "one")

    _, out, _ = command("gate", "one", "--rules", rules(here, "claim: accuracy, at_least: 0.2"), "--json")

    document = json.loads(out)
    verdict = json.loads((here / "runs" / "one" / "verdict.json").read_text())
    assert {name: document[name] for name in verdict} == verdict
    assert document.keys() - verdict.keys() == {"against", "drift", "notes", "inconclusive", "exit_code"}
    assert document["exit_code"] == 0


def test_without_rules_the_primary_claims_are_asked(made: RunFolder, here: Path) -> None:
    run = changed(made, here / "one")

    found = gate_run(run)

    assert [entry["rule"] for entry in found.document["gate"]] == [
        {"claim": "accuracy", "not_worse_by": 0.01},
        {"claim": "train.failed", "not_worse_by": 0.1},
        {"claim": "noise.mce", "not_worse_by": 0.05},
    ]


def test_one_variant_has_nothing_to_ask_within_its_run(
    make_run: Callable[..., RunFolder], here: Path, command: Callable[..., Result]
) -> None:
    changed(make_run(variants=1, broken=False, probes=("accuracy",), compressions=False), here / "runs" / "one")

    code, _, err = command("gate", "one")

    assert code == 2
    assert "give --against BASELINE" in err
    assert command("gate", "one", "--against", "one")[0] in (0, 4)


def test_unmatched_trials_within_the_run_make_the_gate_not_comparable(made: RunFolder, here: Path) -> None:
    facts = {**FACTS, "trials": {}, "unmatched": {"stabilized": "stabilized, seed 0: the init hash differs"}}
    run = changed(made, here / "one", facts=facts)

    found = gate_run(run)

    assert found.exit_code == 4
    assert {entry["outcome"] for entry in found.document["gate"]} == {"not comparable"}


def test_accept_writes_a_file_that_the_gate_reads(made: RunFolder, here: Path, command: Callable[..., Result]) -> None:
    changed(made, here / "runs" / "one")

    code, out, _ = command("accept", "one", "--reason", "first release")

    assert code == 0
    assert "wrote baselines/made.json" in out
    assert "next: git add baselines/made.json, then stabbench gate RUN --against baselines/made.json" in out
    text = (here / "baselines" / "made.json").read_text()
    assert json.loads(text)["reason"] == "first release"
    assert str(here) not in text
    assert len(text) < 60_000
    assert "replaced" in command("accept", "one", "--reason", "again")[1]
    record = find_reference("baselines/made.json")
    assert {claim.effect for claim in compare_runs(RunFolder.find("one"), RunFolder.find("one")).claims} <= {0.0, None}
    assert record.name == "one"


def test_accept_refuses_what_is_no_baseline(made: RunFolder, here: Path, command: Callable[..., Result]) -> None:
    changed(made, here / "runs" / "late", verdict={"status": "incomplete"})
    changed(made, here / "runs" / "smoke", environment={"smoke": True})
    changed(made, here / "runs" / "bare", facts={})
    changed(made, here / "runs" / "fine")
    (here / "runs" / "killed").mkdir()
    (here / "runs" / "killed" / "plan.json").write_text("{}")

    assert command("accept", "late", "--reason", "x")[0] == 3
    assert command("accept", "killed", "--reason", "x")[0] == 3
    assert command("accept", "smoke", "--reason", "x")[0] == 2
    assert command("accept", "bare", "--reason", "x")[0] == 2
    assert command("accept", "fine", "--reason", " ")[0] == 2
    assert command("accept", "fine")[0] == 2
    assert command("accept", "nowhere", "--reason", "x")[0] == 2
    assert not (here / "baselines").exists()
    with pytest.raises(IncompleteError, match="is incomplete and no baseline"):
        accept_run(RunFolder.find("late"), "x")
    with pytest.raises(ConfigurationError, match="never a verdict"):
        compare_runs(RunFolder.find("fine"), RunFolder.find("smoke"))


def test_an_incomplete_primary_claim_is_no_baseline(made: RunFolder, here: Path) -> None:
    claims = [{**claim, "verdict": "incomplete"} for claim in made.verdict["claims"]]
    run = changed(made, here / "one", verdict={"claims": claims})

    with pytest.raises(IncompleteError, match="incomplete primary claims: accuracy:stabilized@dense:baseline@dense"):
        accept_run(run, "x")


def test_a_baseline_that_is_not_there_gets_the_nearest_name(made: RunFolder, here: Path) -> None:
    accept_run(changed(made, here / "one"), "x")

    with pytest.raises(ConfigurationError, match=r"Did you mean 'baselines/made.json'\?"):
        find_reference("baselines/mode.json")


def test_a_damaged_run_is_an_internal_error(made: RunFolder, here: Path, command: Callable[..., Result]) -> None:
    run = changed(made, here / "runs" / "one")
    run.write_text("suite.resolved.yaml", '{"schema": 1, "name": "made"}')

    code, _, err = command("gate", "one")

    assert code == 70
    assert "suite.resolved.yaml cannot be read (data: Field required)" in err


def test_a_folder_that_cannot_be_written_is_decided_all_the_same(
    made: RunFolder, here: Path, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(made, here / "runs" / "one")

    def refuse(self: RunFolder, name: str, content: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(RunFolder, "write_json", refuse)
    code, _, err = command("gate", "one", "--rules", rules(here, "claim: accuracy, at_least: 0.99"))

    assert code == 1
    assert "cannot be written (Permission denied)" in err


def test_missing_measurements_are_incomplete_across_runs(made: RunFolder, here: Path) -> None:
    one = changed(made, here / "one")
    two = changed(made, here / "two", rows=without("accuracy", "3"))

    claims = [claim for claim in compare_runs(one, two).claims if claim.metric == "accuracy" and claim.primary]

    assert {(claim.verdict, claim.n_used, claim.n_planned) for claim in claims} == {("incomplete", 5, 6)}
