"""Two checkpoints paired on behavioural tests, replayed texts and swapped terms, recounted by other means."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from stabbench import registry
from stabbench.claims.build import build_claims
from stabbench.claims.claim import Claim
from stabbench.claims.text import claim_line
from stabbench.data.example import Dataset, Example
from stabbench.data.group_terms import group_of
from stabbench.execution.outcomes import outcomes
from stabbench.models.subject import Subject
from stabbench.probes.base import Context
from stabbench.records import Cell, Measurement, Row, canonical
from stabbench.store.cells import StoredCell
from stabbench.suite.schema import Suite

NAMES = ("model", "other")
PROBES = ("behavior", "replay", "swaps")
CLASSES = ("negative", "positive")


def answered(skill: float) -> Callable[..., np.ndarray]:
    """Probabilities from words of sentiment, and from a hash, which weighs more in a model of less skill."""

    def probabilities(subject: Subject, context: Context, texts: list[str], batch_size: int) -> np.ndarray:
        rows = []
        for text in texts:
            words = text.lower().split()
            known = sum(w.strip(".,") in ("good", "great", "love") for w in words)
            known -= sum(w.strip(".,") in ("bad", "awful", "hate", "not") for w in words)
            chance = int(hashlib.sha256(f"{skill} {text}".encode()).hexdigest()[:8], 16) / 2**32 - 0.5
            rows.append(1 / (1 + np.exp(-(skill * known + 4 * chance))))
        return np.stack([1 - np.array(rows), np.array(rows)], axis=1)

    return probabilities


Measured = tuple[dict[str, Path], dict[tuple[str, str], list[Measurement]], list[Claim]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Folder of each checkpoint's cells, measurements by (checkpoint, probe), and the claims."""
    folders = {name: tmp_path_factory.mktemp(name) for name in NAMES}
    cells, stored, rows, found = [], {}, [], {}
    test = (Example("t:0", "a good film", 1), Example("t:1", "a bad film", 0))
    subject = Subject(None, lambda batch: batch, CLASSES, 64)  # type: ignore[arg-type, return-value]
    for name, skill in zip(NAMES, (6.0, 0.5), strict=True):
        for probe in PROBES:
            folder = folders[name] / probe
            folder.mkdir()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(f"stabbench.probes.{probe}.probabilities_once", answered(skill))
                made = registry.load("probes", probe)()
                measurements = made.measure(subject, Context(Dataset((), (), test, CLASSES, ""), folder))
            cell = Cell(f"{probe}/{name}/0/dense", "probe", name, "0", "dense", probe, made.options(), (), {})
            mine = [Row(name, "0", "dense", probe, m) for m in measurements]
            cells.append(cell)
            found[name, probe] = measurements
            rows += mine
            where = {"variant": name, "seed": "0", "compression": "dense", "probe": probe}
            stored[cell.id] = StoredCell("key", folder, {"rows": [where | vars(m) for m in measurements]})
    suite = Suite.model_validate(
        {
            "name": "audit",
            "data": {"test": {"path": "d.tsv"}},
            "model": "a",
            "seeds": 1,
            "variants": {"model": {"checkpoint": "a"}, "other": {"checkpoint": "b"}},
            "compare": {"reference": "model", "primary": ["behavior.failure_rate", "replay.accuracy"]},
            "probes": {"behavior": {}, "replay": {}, "swaps": {}},
        }
    )
    return folders, found, build_claims(rows, suite, None, outcomes(cells, stored))


def of(measured: Measured, metric: str) -> dict[str, Claim]:
    return {canonical(dict(claim.at)): claim for claim in measured[2] if claim.metric == metric}


def frames(measured: Measured, probe: str, columns: list[str], key: list[str]) -> pd.DataFrame:
    """The stored rows of both checkpoints side by side."""
    parts = []
    for name in NAMES:
        with np.load(measured[0][name] / probe / f"{probe}.npz") as arrays:
            parts.append(pd.DataFrame({column: arrays[column] for column in columns}))
    return parts[0].merge(parts[1], on=key, suffixes=("_model", "_other"))


def exact(a: pd.Series[Any], b: pd.Series[Any]) -> float:
    table = pd.crosstab(a, b).reindex(index=[False, True], columns=[False, True], fill_value=0)
    return float(mcnemar(table.to_numpy(), exact=True).pvalue)


def test_failed_cases_are_paired_case_by_case_overall_and_by_test_type_and_capability(measured: Measured) -> None:
    both = frames(measured, "behavior", ["case", "type", "capability", "test", "outcome"], ["case"])
    both = both[(both["outcome_model"] >= 0) & (both["outcome_other"] >= 0)]
    claims = of(measured, "behavior.failure_rate")
    expected = {"{}": both}
    for column in ("type", "capability", "test"):
        expected |= {canonical({column: name}): part for name, part in both.groupby(f"{column}_model")}

    assert set(expected) <= set(claims)
    assert 0 < (claims["{}"].p or 0) < 1, "the example must tell them apart"
    for at, part in expected.items():
        failed = part["outcome_model"] == 1, part["outcome_other"] == 1
        claim = claims[at]
        assert claim.n_used == len(part)
        assert claim.p == pytest.approx(exact(*failed))
        assert claim.effect == pytest.approx(failed[1].mean() - failed[0].mean())
        assert "cases" in claim_line(claim)
        assert "these two checkpoints differ on" in claim.reason


def test_replayed_texts_are_paired_text_by_text(measured: Measured) -> None:
    columns = ["source", "line", "label", "clean", "predicted", "changed"]
    both = frames(measured, "replay", columns, ["source", "line", "label", "changed"])
    right = [both[f"predicted_{name}"] == both["label"] for name in NAMES]
    (claim,) = [c for at, c in of(measured, "replay.accuracy").items() if at == "{}"]

    assert claim.p == pytest.approx(exact(right[0], right[1]))
    assert claim.effect == pytest.approx(right[1].mean() - right[0].mean())
    assert [m.value for m in measured[1]["other", "replay"] if m.metric == "replay.accuracy" and not m.at] == [
        pytest.approx(claim.candidate_value)
    ]

    # Success is over the texts that both had right before they were changed.
    held = both["changed"] & (both["clean_model"] == both["label"]) & (both["clean_other"] == both["label"])
    success = of(measured, "replay.success_rate")["{}"]
    assert success.n_used == held.sum()
    assert success.p == pytest.approx(exact(~right[0][held], ~right[1][held]))


def test_shares_of_changed_answers_are_paired_sentence_by_sentence(measured: Measured) -> None:
    parts = []
    for name in NAMES:
        with np.load(measured[0][name] / "swaps" / "swaps.npz") as arrays:
            for slot in (f.removeprefix("terms_") for f in arrays.files if f.startswith("terms_")):
                answers = pd.DataFrame(arrays[f"predicted_{slot}"], columns=arrays[f"terms_{slot}"])
                usual = answers.mode(axis=1)[0]
                long = answers.ne(usual, axis=0).stack().reset_index().set_axis(["sentence", "term", "changed"], axis=1)
                parts.append(long.assign(slot=slot, name=name))
    frame = pd.concat(parts)
    claims = of(measured, "swaps.flip_rate")

    def shares(part: pd.DataFrame) -> list[pd.Series[Any]]:
        return [part[part["name"] == name].groupby("sentence")["changed"].mean() for name in NAMES]

    nationality = frame[frame["slot"] == "nationality"]
    groups = group_of("nationality")
    europe = nationality[nationality["term"].map(groups) == "Europe"]
    for at, part in (
        ({"category": "nationality"}, nationality),
        ({"category": "nationality", "group": "Europe"}, europe),
    ):
        claim, (a, b) = claims[canonical(at)], shares(part)
        assert claim.p == pytest.approx(stats.ttest_rel(b, a).pvalue)
        assert claim.n_used == len(a)
        assert claim.test == "paired t over sentences"
    overall = claims["{}"]
    rates = [frame[frame["name"] == name]["changed"].mean() for name in NAMES]
    assert (overall.reference_value, overall.candidate_value) == (pytest.approx(rates[0]), pytest.approx(rates[1]))
    assert overall.effect == pytest.approx(rates[1] - rates[0])


def test_every_claim_counts_what_its_measurement_counts(measured: Measured) -> None:
    for claim in measured[2]:
        assert claim.n_seeds is None
        assert claim.n_used <= claim.n_planned
        assert claim.verdict != "incomplete"
        assert "seed" not in claim.reason
