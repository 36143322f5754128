"""The same group in two runs: paired by seed, relative figures over one reference, refusals that name their field."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from run_facts import FACTS
from scipy import stats

from stabbench.claims.across import Across, RunRecord
from stabbench.claims.across_facts import Differences, differences, settings_changed
from stabbench.claims.baseline import baseline_document, baseline_text, read_baseline
from stabbench.claims.text import claim_line, summary
from stabbench.claims.verdict import verdict_document
from stabbench.errors import ConfigurationError
from stabbench.records import Measurement, Row
from stabbench.suite.schema import GateRule

THEN = [0.80, 0.82, 0.79, 0.81, 0.80, 0.83]
NOW = [0.79, 0.82, 0.78, 0.80, 0.80, 0.81]


def trials(variants=("baseline", "stabilized"), seeds=6, weights="w", init="i"):
    one = {"init": init, "order": ["a", "b"], "dropout": "d", "weights": weights}
    return {
        variant: {str(seed): {**one, "weights": f"{weights}{variant}{seed}"} for seed in range(seeds)}
        for variant in variants
    }


@pytest.fixture
def record(make_suite):
    def make(name, rows, seeds=6, facts=None, variants=("baseline", "stabilized"), reference="baseline"):
        labels = tuple(str(seed) for seed in range(seeds))
        return RunRecord(
            name, "study", reference, {v: {"train": {}} for v in variants}, labels, tuple(rows), facts or {}
        )

    return make


@pytest.fixture
def pair(make_suite, make_rows, record):
    """Two runs of one suite that differ in the accuracy of both arms."""

    def make(now=NOW, then_facts=None, now_facts=None, found=None, **suite):
        rows = [r for v in ("baseline", "stabilized") for r in make_rows("accuracy", v, THEN)]
        later = [*make_rows("accuracy", "baseline", THEN), *make_rows("accuracy", "stabilized", now)]
        then, after = record("first", rows, facts=then_facts), record("second", later, facts=now_facts)
        return Across(then, after, make_suite(**suite), found or Differences())

    return make


def test_the_same_group_is_paired_by_seed_and_the_other_run_is_named(pair) -> None:
    claims = pair().claims()

    primary = [claim for claim in claims if claim.primary]
    assert [claim.id for claim in primary] == [
        "accuracy:baseline@dense:baseline@dense",
        "accuracy:stabilized@dense:stabilized@dense",
    ]
    assert {claim.reference_run for claim in claims} == {"first"}
    changed = primary[1]
    oracle = stats.ttest_rel(NOW, THEN)
    assert (changed.effect, changed.p) == (pytest.approx(np.mean(NOW) - np.mean(THEN)), pytest.approx(oracle.pvalue))
    # Holm over both primary claims: the smaller p is tested at 0.05/2.
    assert changed.level == pytest.approx(0.975)
    assert changed.interval == pytest.approx(oracle.confidence_interval(0.975))
    assert "stabilized vs run first" in claim_line(changed)
    assert "stabilized vs run first: accuracy" in summary(claims, {})


def test_swapping_the_runs_turns_every_effect_around(pair) -> None:
    across = pair()
    back = Across(across.now, across.then, across.suite, Differences())

    for there, here in zip(across.claims(), back.claims(), strict=True):
        assert there.id == here.id
        if there.effect is not None:
            assert there.effect == pytest.approx(-here.effect)
            assert there.p == pytest.approx(here.p)


def test_seeds_of_one_run_only_are_left_out(make_suite, make_rows, record) -> None:
    then = record("first", make_rows("accuracy", "baseline", THEN[:4]), seeds=4, variants=("baseline",))
    now = record("second", make_rows("accuracy", "baseline", NOW), seeds=6, variants=("baseline",))
    across = Across(then, now, make_suite(variants={"baseline": {}}), Differences())

    (claim,) = [claim for claim in across.claims() if claim.metric == "accuracy"]

    assert across.seeds == ["0", "1", "2", "3"]
    assert (claim.n_used, claim.n_planned) == (4, 4)
    assert claim.effect == pytest.approx(np.mean(np.array(NOW[:4]) - THEN[:4]))


def test_a_gate_rule_across_runs_is_asked_of_every_variant(pair) -> None:
    items = pair(now=[a - 0.1 - 0.001 * i for i, a in enumerate(THEN)]).gate(
        [GateRule(claim="accuracy", not_worse_by=0.01), GateRule(claim="accuracy", at_least=0.5)], {}
    )

    assert [(item.claim, item.outcome) for item in items] == [
        ("accuracy:baseline@dense:baseline@dense", "pass"),
        ("accuracy:stabilized@dense:stabilized@dense", "fail"),
        ("accuracy:stabilized@dense:baseline@dense", "pass"),
    ]
    assert "stabilized vs run first" in items[1].reason


def test_unmatched_pairs_are_said_so_and_still_paired(pair) -> None:
    claims = pair(
        then_facts={**FACTS, "trials": trials()}, now_facts={**FACTS, "trials": trials(init="other", weights="v")}
    ).claims()

    assert all("unmatched: init of seed 0 1 2 3 4 5" in claim.reason for claim in claims if claim.metric == "accuracy")
    assert claims[0].n_used == 6


def test_the_same_weights_are_no_question_of_statistics(make_suite, make_rows, record) -> None:
    """Six runs cannot exclude a 10 % increase of failures; where nothing changed bit for bit there is none."""
    rows = [r for v in ("baseline", "stabilized") for r in make_rows("train.failed", v, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0])]
    rows += [r for v in ("baseline", "stabilized") for r in make_rows("accuracy", v, THEN)]
    same, other = ({**FACTS, "trials": trials(weights=weights)} for weights in ("w", "v"))
    rules = [GateRule(claim="train.failed", not_worse_by=0.10), GateRule(claim="seeds.sd", not_worse_by=0.25)]

    def outcomes(facts):
        across = Across(record("a", rows, facts=same), record("b", rows, facts=facts), make_suite(), Differences())
        return {item.outcome for item in across.gate(rules, {})}, across.gate(rules, {})[0].reason

    collapsed = make_suite(probes={"accuracy": {}, "noise": {}})
    few = [r for r in rows if r.measurement.metric == "accuracy"]
    few += [r for v in ("baseline", "stabilized") for r in make_rows("train.failed", v, [1.0] * 4 + [0.0] * 2)]
    few += [r for v in ("baseline", "stabilized") for r in make_rows("noise.accuracy", v, THEN)]
    across = Across(record("a", few, facts=same), record("b", few, facts=same), collapsed, Differences())
    assert {item.outcome for item in across.gate([GateRule(claim="noise.accuracy", not_worse_by=0.1)], {})} == {"pass"}

    assert outcomes(same)[0] == {"pass"}
    assert "the same weights in both runs, bit for bit" in outcomes(same)[1]
    assert outcomes(other)[0] == {"undecided"}


def test_mce_of_both_runs_is_over_the_reference_runs_errors(make_suite, make_rows, record) -> None:
    """A run's own mCE is 1 for its reference whatever its errors; across runs the first run's errors count."""
    suite = make_suite(probes={"accuracy": {}, "noise": {}}, compare={"primary": ["noise.mce"]})
    rng = np.random.default_rng(2)
    errors = {
        run: {variant: 0.3 + 0.1 * rng.random((2, 6)) for variant in ("baseline", "stabilized")}
        for run in ("first", "second")
    }

    def rows(run):
        for variant, table in errors[run].items():
            for kind, values in zip(("keyboard", "word_drop"), table, strict=True):
                yield from make_rows("noise.accuracy", variant, list(1 - values), at={"kind": kind, "severity": 1})
        yield from make_rows("noise.mce", "baseline", [1.0] * 6)

    across = Across(record("first", rows("first")), record("second", rows("second")), suite, Differences())
    claims = {claim.candidate[0]: claim for claim in across.claims() if claim.primary}

    below = errors["first"]["baseline"]
    for variant in ("baseline", "stabilized"):
        mce = {run: (errors[run][variant] / below).mean(axis=0) for run in errors}
        assert claims[variant].effect == pytest.approx(np.mean(np.log(mce["second"] / mce["first"])))
        oracle = stats.ttest_rel(np.log(mce["second"]), np.log(mce["first"])).pvalue
        assert claims[variant].p == pytest.approx(oracle)


def latency(make_latency, dense, small, at=None):
    return make_latency(
        {("baseline", "dense"): dense, ("baseline", "int8-dynamic"): small}, replicate=[1.0, 1.0, 1.0], at=at
    )


def test_latency_across_runs_is_the_ratio_to_each_runs_own_reference(make_suite, make_latency, record) -> None:
    """A machine twice as slow changes nothing; a model whose advantage over the reference shrinks does."""
    suite = make_suite(
        variants={"baseline": {}},
        compressions=["int8-dynamic"],
        probes={"accuracy": {}, "latency": {}},
        compare={
            "primary": [{"metric": "latency.ratio", "at": {"batch": 1, "length": 32}, "compression": "int8-dynamic"}]
        },
    )
    base, small = np.array([0.010, 0.0101, 0.0099]), np.array([0.0050, 0.0051, 0.0049])
    then = record("first", latency(make_latency, list(base), list(small)), variants=("baseline",))
    slow = 2 * np.array([1.0, 1.02, 0.99])
    now = record("second", latency(make_latency, list(base * slow), list(1.3 * small * slow)), variants=("baseline",))

    claims = Across(then, now, suite, Differences()).claims()

    (claim,) = [claim for claim in claims if claim.metric == "latency.ratio"]
    assert claim.candidate == ("baseline", "int8-dynamic")
    assert claim.effect == pytest.approx(math.log(1.3))
    assert "relative to each run's own reference" in claim.reason


def test_what_the_other_run_does_not_hold_is_not_comparable(pair, make_suite, make_rows) -> None:
    across = pair(probes={"accuracy": {}, "noise": {}})
    across = replace(
        across, now=replace(across.now, rows=(*across.now.rows, *make_rows("noise.accuracy", "baseline", THEN)))
    )

    (item,) = across.gate([GateRule(claim="noise.accuracy", not_worse_by=0.1, candidate="baseline")], {})

    assert item.outcome == "not comparable"
    assert "run first holds no noise.accuracy" in item.reason


@pytest.mark.parametrize(
    ("change", "refused", "blocked", "noted"),
    [
        ({}, "", "", ""),
        ({"task": {"type": "sequence-classification", "metric": "mcc"}}, "task.metric: accuracy then, mcc now", "", ""),
        ({"test": "u", "data": "e"}, "test examples: t then, u now", "", ""),
        ({"test": None, "data": "e"}, "data fingerprint: d then, e now", "", ""),
        ({"data": "e"}, "", "", "training or validation data: they differ, the test examples are the same"),
        ({"model": "n"}, "", "", "model: m then, n now"),
        ({"libraries": {"torch": "2.6"}}, "", "", "libraries.torch: 2.5 then, 2.6 now"),
        ({"precision": ["bf16"]}, "", "", "precision: ['fp32'] then, ['bf16'] now"),
        ({"instruction_set": ["avx2"]}, "", "", "instruction_set: nothing then, ['avx2'] now"),
        ({"hardware": "CPU x8"}, "", "latency", ""),
        (
            {"probes": {**FACTS["probes"], "noise": {"version": 2, "options": {"examples": 10}, "uses": {}}}},
            "",
            "noise",
            "",
        ),
        (
            {"probes": {**FACTS["probes"], "noise": {"version": 1, "options": {"examples": 5}, "uses": {}}}},
            "",
            "noise",
            "",
        ),
        ({"probes": {"accuracy": FACTS["probes"]["accuracy"]}}, "", "", ""),
    ],
)
def test_each_field_refuses_blocks_or_is_noted(change, refused, blocked, noted) -> None:
    found = differences(FACTS, {**FACTS, **change})

    assert found.refused == ((refused,) if refused else ())
    assert list(found.blocked) == ([blocked] if blocked else [])
    assert found.notes == ((noted,) if noted else ())


def test_a_blocked_probe_takes_only_its_own_claims(pair) -> None:
    found = Differences(blocked={"noise": "probe noise.version: 1 then, 2 now"})

    claims = pair(found=found).claims()
    assert {claim.verdict for claim in claims if claim.metric == "accuracy"}.isdisjoint({"not comparable"})
    assert found.blocks("noise.mce")
    assert found.blocks("seeds.sd") == ""
    assert Differences(blocked={"accuracy": "x"}).blocks("seeds.sd") == "x"
    assert Differences(blocked={"latency": "x"}).blocks("throughput.texts") == "x"


def test_a_run_without_facts_is_told_and_not_refused() -> None:
    found = differences({}, FACTS)

    assert not found.refused
    assert "does not record what it was made from" in found.notes[0]


def test_changed_settings_are_listed_by_name() -> None:
    then = {"a": {"train": {"learning_rate": 2e-5, "epochs": 3}}, "gone": {}}
    now = {"a": {"train": {"learning_rate": 2e-3, "epochs": 3}}, "new": {}}

    assert settings_changed(then, now) == ["variants.a.train.learning_rate: 2e-05 then, 0.002 now"]


def rich_rows(make_rows, make_latency):
    rows = [
        r for v in ("baseline", "stabilized") for r in make_rows("accuracy", v, [0.8, math.nan, 0.7, 0.8, None, 0.9])
    ]
    rows += make_rows("noise.accuracy", "baseline", THEN, at={"kind": "keyboard", "severity": 1})
    rows += make_rows("noise.mce", "baseline", [1.0] * 6)
    rows += make_rows("gradient.layer_norm", "baseline", THEN)
    rows += [Row("baseline", None, "dense", "seeds", Measurement("seeds.sd", 0.1, "share", "lower"))]
    rows += [Row("baseline", "0", "dense", "noise", Measurement("noise", None, "", "neither", status="error"))]
    return rows + make_latency({("baseline", "dense"): [0.01, 0.011, 0.012]}, replicate=[1.0, 1.01, 0.99])


def document(made: RunRecord, claims=(), failed=None):
    verdict = verdict_document(
        suite="study", run="runs/x", status="complete", claims=list(claims), failed_runs=failed or {"baseline": [0, 6]},
        cells=dict.fromkeys(("planned", "cached", "done", "errors", "pending"), 0), environment={}, report=None,
    )  # fmt: skip
    environment = {
        "python": "3.11",
        "command": ["run", "/home/someone/x.yaml"],
        "processor": "CPU",
        "platform": "Linux",
    }
    return baseline_document(made, verdict, environment, reason="first release", date="2026-01-01T00:00:00+00:00")


def test_a_baseline_gives_back_every_value_that_claims_need(tmp_path, make_rows, make_latency, record) -> None:
    made = record("first", rich_rows(make_rows, make_latency), facts={**FACTS, "trials": trials()})
    path = tmp_path / "study.json"
    path.write_text(baseline_text(document(made)), encoding="utf-8")

    again = read_baseline(path)

    def values(rows):
        kept = [row for row in rows if row.seed is not None and row.measurement.status == "ok"]
        kept = [row for row in kept if row.measurement.metric not in ("noise.mce", "gradient.layer_norm")]
        return sorted(
            (
                r.variant,
                r.seed,
                r.compression,
                r.measurement.metric,
                repr(r.measurement.value),
                str(dict(r.measurement.at)),
            )
            for r in kept
        )

    assert values(again.rows) == values(made.rows)
    assert (again.name, again.seeds, again.reference, again.facts) == ("first", made.seeds, "baseline", made.facts)


def test_a_baseline_is_small_sorted_and_knows_no_path(make_rows, make_latency, record) -> None:
    made = record("first", rich_rows(make_rows, make_latency), facts={**FACTS, "trials": trials()})

    text = baseline_text(document(made))

    assert "/home" not in text
    keys = [line.split('"')[1] for line in text.splitlines() if line.startswith(' "')]
    assert keys == sorted(keys)
    assert baseline_text(document(made)) == text
    # One line for each series, so that a changed value is a changed line.
    worse = replace(made, rows=(*make_rows("accuracy", "baseline", NOW), *made.rows[6:]))
    assert len(set(baseline_text(document(worse)).splitlines()) - set(text.splitlines())) <= 2


def test_a_gate_against_a_baseline_says_the_same_as_against_the_run(tmp_path, pair, make_rows) -> None:
    across = pair(then_facts={**FACTS, "trials": trials()}, now_facts={**FACTS, "trials": trials(weights="v")})
    path = tmp_path / "study.json"
    path.write_text(baseline_text(document(across.then)), encoding="utf-8")

    again = replace(across, then=read_baseline(path))

    assert [claim.as_dict() for claim in again.claims()] == [claim.as_dict() for claim in across.claims()]


@pytest.mark.parametrize(
    ("content", "said"),
    [("{}", "'schema' is missing"), ("[]", "is no baseline"), ("{", "is no baseline"), ('{"schema": 9}', "schema 9")],
)
def test_what_is_no_baseline_is_told(tmp_path, content: str, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)

    with pytest.raises(ConfigurationError, match=said):
        read_baseline(path)
