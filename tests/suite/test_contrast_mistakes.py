"""`compare.contrasts` and changes under compression: what cannot be answered is a mistake, placed before any run."""

from __future__ import annotations

import pytest

from stabbench.suite.load import load_suite

PROBES = "probes: {accuracy: {}, noise: {}, attack: {recipes: [deepwordbug]}}\ncompressions: [int8-dynamic]\n"
DENSE, INT8 = "[baseline, dense]", "[stabilized, int8-dynamic]"


@pytest.mark.parametrize(
    ("entry", "place", "said"),
    [
        ("{metric: acuracy, reference: [baseline, dense], candidate: [stabilized, dense]}", "metric:", "'accuracy'?"),
        ("{metric: accuracy, reference: [basline, dense], candidate: [stabilized, dense]}", "basline", "'baseline'?"),
        ("{metric: accuracy, reference: [baseline, int8], candidate: [stabilized, dense]}", "int8]", "int8-dynamic"),
        ("{metric: accuracy, reference: baseline, candidate: [stabilized, dense]}", "reference:", "expected a list"),
        ("{metric: accuracy, reference: [baseline], candidate: [stabilized, dense]}", "reference:", "found 1 entry"),
        ("{metric: accuracy, reference: [baseline, dense], candidate: [baseline, dense]}", "candidate:", "with itself"),
        ("{metric: accuracy, reference: [baseline, dense]}", "{metric", "'candidate' is missing"),
        ("{metric: accuracy, referense: [a, dense], candidate: [b, dense]}", "referense", "mean 'reference'?"),
        (f"{{metric: noise.mce, reference: {DENSE}, candidate: {INT8}}}", "int8-dynamic]", "add 'noise'"),
        (f"{{metric: train.failed, reference: {DENSE}, candidate: {INT8}}}", "int8-dynamic]", "name dense"),
        (f"{{metric: compression.size, reference: {DENSE}, candidate: {INT8}}}", "dense]", "compressed models only"),
        (
            f"{{metric: accuracy, reference: {DENSE}, candidate: {INT8}, at: {{change_from: dense}}}}",
            "change",
            "no change",
        ),
        (
            f"{{metric: accuracy, reference: {DENSE}, candidate: {INT8}, at: {{chang_from: dense}}}}",
            "chang",
            "change_from",
        ),
        (
            f"{{metric: accuracy, reference: {DENSE}, candidate: {INT8}, at: {{change_from: in8}}}}",
            "change",
            "Allowed: dense",
        ),
        (f"{{metric: accuracy, reference: {DENSE}, candidate: {INT8}, at: {{a: [1]}}}}", "a: [1]", "found a list"),
    ],
)
def test_a_contrast_that_cannot_be_answered_is_placed(problems, entry: str, place: str, said: str) -> None:
    line = f"compare: {{contrasts: [{entry}]}}"

    found = problems(f"{PROBES}{line}\n")

    assert any(said in p.message and p.line == 11 and line[p.column - 1 :].startswith(place) for p in found), [
        str(p) for p in found
    ]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{metric: accuracy, at: {change_from: dense}}", "no change from dense to dense"),
        ("{metric: accuracy, at: {change_from: int8}, compression: int8-dynamic}", "Allowed: dense, int8-dynamic"),
        ("{metric: accuracy, at: {change_from: dense}, compression: int8-dynamic, candidate: baseline}", "cancels out"),
        ("{metric: train.failed, at: {change_from: dense}, compression: int8-dynamic}", "name dense"),
        ("{metric: seeds.sd, at: {change_from: dense}, compression: int8-dynamic}", "has no change"),
        ("{metric: compression.size, at: {change_from: dense}, compression: int8-dynamic}", "has no change"),
        (
            "{metric: noise.mce, at: {change_from: dense}, compression: int8-dynamic}",
            "add 'noise' to `compress_probes`",
        ),
        (
            "{metric: noise.accuracy, at: {kind: keyboard, change_from: dense}, compression: int8-dynamic}",
            "has several",
        ),
    ],
)
def test_a_change_that_nothing_measures_is_a_mistake(problems, entry: str, said: str) -> None:
    found = problems(f"{PROBES}compare: {{primary: [{entry}]}}\n")

    assert any(said in p.message and p.line == 11 for p in found), [str(p) for p in found]


def test_contrasts_and_changes_that_can_be_answered_are_accepted(write, base) -> None:
    compare = f"""\
compress_probes: [accuracy, attack]
compare:
  primary:
    - {{metric: accuracy, at: {{change_from: dense}}, compression: int8-dynamic}}
    - {{metric: attack.queries, at: {{recipe: deepwordbug, change_from: dense}}, compression: int8-dynamic}}
  contrasts:
    - {{metric: accuracy, reference: {DENSE}, candidate: {INT8}}}
    - metric: accuracy
      at: {{change_from: int8-dynamic}}
      reference: {DENSE}
      candidate: [stabilized, dense]
    - {{metric: compression.size, reference: [baseline, int8-dynamic], candidate: {INT8}}}
"""
    loaded = load_suite(str(write(base + PROBES + compare)))

    assert loaded.suite.compare.contrasts[0].candidate == ["stabilized", "int8-dynamic"]


def test_two_compressions_have_no_common_mce(problems) -> None:
    more = "compress_probes: [accuracy, noise]\n"
    entry = f"{{metric: noise.mce, reference: {DENSE}, candidate: {INT8}}}"

    (found,) = problems(f"{PROBES}{more}compare: {{contrasts: [{entry}]}}\n")

    assert "relative to the reference at the same compression" in found.message
