"""Arbitrary verdict documents: any claims, any gate, names and reasons that attack whoever prints them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from stabbench.claims.claim import Claim, claim_id
from stabbench.claims.metrics import METRICS
from stabbench.claims.verdict import verdict_document

VERDICTS = ("improved", "regressed", "equivalent", "inconclusive", "not comparable", "incomplete")
OUTCOMES = ("pass", "fail", "undecided", "not comparable", "incomplete", "known")
HOSTILE = (
    '<script>alert("x")</script>', "a|b`c*d_e", "[x](http://e.example/)", "www.e.example", "@someone #12 $x$ ~~y~~",
    "</testcase><failure/>", "]]>&amp;%0A::error::x", "right \u202eto left", "NUL \x00 bell \x07 line\u2028break",
    "line\nbreak\r\n| a | b |", "## head", "\ufffe", "![i](i)", "\\", "&lt;b&gt;",
)  # fmt: skip
names = st.one_of(st.sampled_from(("baseline", "stabilized", *HOSTILE)), st.text(max_size=9))
odd = st.sampled_from([float("nan"), float("inf"), -float("inf"), 0.0, 1e-9])
numbers = st.one_of(st.none(), st.floats(-3, 3), odd)


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    """A claim whose fields fit together only as far as renderers may rely on."""
    metric = draw(st.sampled_from(sorted(METRICS)))
    at = draw(st.sampled_from([{}, {"recipe": "deepwordbug"}, {"batch": 1, "length": 32}, {"recipe": HOSTILE[0]}]))
    compression = st.sampled_from(("dense", "int8-dynamic", "prune-structured+ort-int8"))
    reference, candidate = (draw(names), draw(compression)), (draw(names), draw(compression))
    low, high = sorted([draw(st.floats(-3, 3)), draw(st.floats(-3, 3))])
    used, planned = sorted([draw(st.integers(0, 30)), draw(st.integers(0, 30))])
    return Claim(
        id=claim_id(metric, at, candidate, reference), metric=metric, at=at, primary=draw(st.booleans()),
        reference=reference, candidate=candidate, reference_value=draw(numbers), candidate_value=draw(numbers),
        effect=draw(numbers), interval=draw(st.sampled_from([None, (low, high)])),
        level=draw(st.sampled_from([0.95, 0.9833333333])), margin=draw(st.sampled_from([None, 0.01, 0.05])),
        p=draw(st.one_of(st.none(), st.floats(0, 1))), test="paired t", verdict=draw(st.sampled_from(VERDICTS)),
        reason=draw(names), n_seeds=draw(st.sampled_from([None, used])), n_used=used, n_planned=planned,
    )  # fmt: skip


@st.composite
def gate_items(draw: st.DrawFn) -> dict[str, Any]:
    """An item of the gate, as the brief of the verdict document has it."""
    rule: dict[str, Any] = {"claim": draw(st.sampled_from(sorted(METRICS)))}
    rule[draw(st.sampled_from(["not_worse_by", "max_increase", "at_most", "at_least"]))] = draw(st.floats(0, 2))
    outcome = draw(st.sampled_from(OUTCOMES))
    if outcome == "known":
        rule["known"] = draw(names)
    return {
        "rule": rule, "claim": draw(st.one_of(st.none(), names)), "outcome": outcome, "reason": draw(names),
        "effect": 0.1, "interval": [-0.1, None], "bound": -0.01, "p": 0.5,
    }  # fmt: skip


@st.composite
def verdicts(draw: st.DrawFn, most_claims: int = 8) -> dict[str, Any]:
    """A verdict document of a run that is no smoke run; ids of claims are unique, as they are in a run."""
    found = draw(st.lists(claims(), max_size=most_claims, unique_by=lambda claim: claim.id))
    status = draw(st.sampled_from(["complete", "incomplete", "interrupted"]))
    errors, pending = draw(st.sampled_from([(0, 0)] if status == "complete" else [(1, 0), (0, 2), (1, 2)]))
    document = verdict_document(
        suite="made", run="runs/x", status=status, claims=found, environment={"smoke": False},
        cells={"planned": 5, "cached": 1, "done": 4 - errors - pending, "errors": errors, "pending": pending},
        failed_runs={"baseline": [1, 6]}, report=draw(st.sampled_from(["runs/x/report.html", HOSTILE[0], None])),
    )  # fmt: skip
    return {**document, "gate": draw(st.lists(gate_items(), max_size=4))}


def document(claims_: list[Claim], gate: list[dict[str, Any]] | None = None, **changed: Any) -> dict[str, Any]:
    """A complete run's verdict document with these claims."""
    made = verdict_document(
        suite="made", run="runs/x", status="complete", claims=claims_, environment={"smoke": False},
        cells={"planned": 5, "cached": 1, "done": 4, "errors": 0, "pending": 0},
        failed_runs={"baseline": [1, 6]}, report="runs/x/report.html",
    )  # fmt: skip
    return {**made, "gate": gate or [], **changed}


def claim(verdict: Any = "inconclusive", metric: str = "accuracy", **changed: Any) -> Claim:
    """A plain claim."""
    groups = {"reference": ("baseline", "dense"), "candidate": ("stabilized", "dense")}
    fields: dict[str, Any] = {
        "metric": metric, "at": {}, "primary": True, **groups, "reference_value": 0.7, "candidate_value": 0.72,
        "effect": 0.02, "interval": (-0.01, 0.05), "level": 0.95, "margin": 0.01, "p": 0.2, "test": "paired t",
        "verdict": verdict, "reason": "the 95 % interval holds 0", "n_seeds": 6, "n_used": 6, "n_planned": 6, **changed,
    }  # fmt: skip
    return Claim(id=claim_id(metric, fields["at"], fields["candidate"], fields["reference"]), **fields)
