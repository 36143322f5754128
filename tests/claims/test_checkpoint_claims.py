"""Two finished checkpoints are compared text by text: McNemar and resampled texts, never seeds, never recipes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from stabbench.claims.build import build_claims
from stabbench.claims.claim import Claim
from stabbench.claims.table import Outcome, Outcomes
from stabbench.claims.text import audit_summary, claim_line
from stabbench.records import DENSE, Measurement, Row, canonical
from stabbench.suite.schema import Suite


def suite(primary: list[Any]) -> Suite:
    return Suite.model_validate(
        {
            "name": "audit",
            "data": {"test": {"path": "d.tsv"}},
            "model": "a",
            "seeds": 1,
            "variants": {"model": {"checkpoint": "a"}, "other": {"checkpoint": "b"}},
            "compare": {"reference": "model", "primary": primary},
        }
    )


def claims(
    metric: str, values: dict[str, np.ndarray], texts: dict[str, list[str]] | None = None, status: str = "ok"
) -> list[Claim]:
    """Claims of one metric, each checkpoint with these values on these texts."""
    outcomes: Outcomes = {}
    rows = []
    for name, given in values.items():
        ids = texts[name] if texts else [f"d:{i}" for i in range(len(given))]
        outcomes[metric, canonical({}), (name, DENSE)] = Outcome(np.array(ids), given.astype(float), 300)
        mean = float(given.mean()) if len(given) else None
        made: Any = status if name == "other" else "ok"
        m = Measurement(metric, mean, "share", "higher", {}, len(given), 300, made)
        rows.append(Row(name, "0", DENSE, metric.split(".")[0], m))
    return build_claims(rows, suite([metric]), None, outcomes)


@pytest.fixture
def right() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {"model": rng.random(200) < 0.8, "other": rng.random(200) < 0.6}


def test_p_is_the_exact_mcnemar_test_and_the_effect_the_difference_of_accuracies(right: dict[str, np.ndarray]) -> None:
    (claim,) = claims("accuracy", right)
    table = [[np.sum(a & b) for b in (right["other"], ~right["other"])] for a in (right["model"], ~right["model"])]

    assert claim.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert claim.effect == pytest.approx(right["other"].mean() - right["model"].mean())
    assert claim.test == "exact McNemar"
    assert claim.verdict == "regressed"
    assert (claim.n_seeds, claim.n_used, claim.n_planned) == (None, 200, 300)


def test_the_interval_is_that_of_resampled_texts(right: dict[str, np.ndarray]) -> None:
    (claim,) = claims("accuracy", right)
    difference = right["other"].astype(float) - right["model"]
    rng = np.random.default_rng(1)
    drawn = rng.choice(difference, size=(4000, 200)).mean(axis=1)

    assert claim.interval == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.011)


def test_exchanging_the_checkpoints_exchanges_the_verdict(right: dict[str, np.ndarray]) -> None:
    (there,) = claims("accuracy", right)
    (back,) = claims("accuracy", {"model": right["other"], "other": right["model"]})

    assert (there.verdict, back.verdict) == ("regressed", "improved")
    assert there.p == back.p
    assert there.effect == pytest.approx(-(back.effect or 0))


def test_one_checkpoint_against_itself_is_equivalent_where_the_texts_are_many() -> None:
    same = np.arange(900) % 7 > 0

    (claim,) = claims("accuracy", {"model": same, "other": same})

    assert (claim.effect, claim.p, claim.verdict) == (0.0, 1.0, "equivalent")


def test_texts_are_paired_by_their_ids_whatever_their_order(right: dict[str, np.ndarray]) -> None:
    ids = [f"d:{i}" for i in range(200)]
    turned = np.random.default_rng(2).permutation(200)
    mixed = {"model": right["model"], "other": right["other"][turned]}

    (plain,) = claims("accuracy", right)
    (shuffled,) = claims("accuracy", mixed, {"model": ids, "other": [ids[i] for i in turned]})

    assert shuffled == plain


def test_a_rate_among_attacked_texts_uses_those_attacked_in_both() -> None:
    values = {"model": np.array([1, 0, 1]), "other": np.array([0, 1])}

    (claim,) = claims("attack.success_rate", values, {"model": ["a", "b", "c"], "other": ["c", "d"]})

    assert claim.n_used == 1
    assert claim.effect == -1.0


def test_shares_over_kinds_of_noise_go_by_the_paired_t_over_texts() -> None:
    rng = np.random.default_rng(3)
    values = {"model": rng.integers(0, 21, 150) / 20, "other": rng.integers(0, 19, 150) / 20}

    (claim,) = claims("noise.accuracy", values)
    expected = stats.ttest_rel(values["other"], values["model"])

    assert claim.p == pytest.approx(expected.pvalue)
    assert claim.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert "sign-flip" in claim.reason


def test_a_collapsed_checkpoint_is_not_called_robust() -> None:
    values = {"model": np.zeros(150), "other": np.ones(150)}

    (noisy,) = claims("noise.worst_case", values, status="failed-run")
    (accuracy,) = claims("accuracy", values, status="failed-run")

    assert (noisy.verdict, noisy.p, noisy.interval) == ("not comparable", None, None)
    assert noisy.reason.startswith("collapsed: other")
    assert accuracy.verdict == "improved"


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_texts_have_a_defined_answer(n: int) -> None:
    (claim,) = claims("accuracy", {"model": np.zeros(n), "other": np.ones(n)})

    assert claim.verdict == ("not comparable" if n == 0 else "inconclusive")
    assert claim.n_used == n


def test_a_metric_that_is_not_measured_text_by_text_is_refused_with_that_reason() -> None:
    rows = [
        Row(name, "0", DENSE, "accuracy", Measurement("macro_f1", 0.5, "share", "higher", {}, 9, 9))
        for name in ("model", "other")
    ]

    (claim,) = build_claims(rows, suite(["macro_f1"]), None, {})

    assert claim.verdict == "not comparable"
    assert "not measured text by text" in claim.reason


def test_what_one_checkpoint_was_not_measured_on_is_incomplete() -> None:
    outcome = Outcome(np.array(["a"]), np.array([1.0]), 1)
    row = Row("model", "0", DENSE, "accuracy", Measurement("accuracy", 1.0, "share", "higher", {}, 1, 1))

    (claim,) = build_claims([row], suite(["accuracy"]), None, {("accuracy", "{}", ("model", DENSE)): outcome})

    assert claim.verdict == "incomplete"


def test_the_words_count_texts_and_never_speak_of_seeds(right: dict[str, np.ndarray]) -> None:
    found = claims("accuracy", right)
    line = claim_line(found[0])
    told = audit_summary(found, {"checkpoints": {}, "found": []})

    assert line.endswith("n = 200/300 texts")
    assert "other vs model" in told
    assert "one training each says nothing" in told
    assert "seed" not in line + told
