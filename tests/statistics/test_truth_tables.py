"""Truth tables: the committed ones meet the figures asked for, and the short form still makes them."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from stabbench.statistics.paired import paired_t

ROOT = Path(__file__).parents[2]
COMMITTED = json.loads((ROOT / "reports" / "statistics" / "tables.json").read_text(encoding="utf-8"))["tables"]


@pytest.fixture(scope="module")
def bench():
    """The benchmark as a module; `suites` is no package of ours, so it is found by path."""
    sys.path.insert(0, str(ROOT / "suites"))
    try:
        yield importlib.import_module("bench_statistics")
    finally:
        sys.path.remove(str(ROOT / "suites"))


def rows(name: str, **chosen):
    found = [row for row in COMMITTED[name]["rows"] if all(row[key] == value for key, value in chosen.items())]
    assert found
    return found


@pytest.mark.parametrize("n", [5, 10])
def test_same_against_same_rarely_decides_on_real_seed_distributions(n: int) -> None:
    (row,) = rows("same", n=n)

    assert row["comparisons"] == 1000
    assert row["false improved"] + row["false regressed"] <= 0.065
    assert row["p < .05"] <= 0.065


def test_two_seed_deviations_are_seen_at_six_seeds() -> None:
    assert all(row["improved"] >= 0.75 for row in rows("power"))


def test_published_summaries_are_recomputed() -> None:
    for figure in ("mean", "SD, ddof = 1"):
        (row,) = rows("published", figure=figure)

        assert row["agree"] == row["distributions"] == 216


def test_the_paired_t_holds_its_level_and_covers_under_every_distribution() -> None:
    for row in rows("level"):
        assert row["false alarms"] <= 0.065, row
        assert row["coverage"] >= 0.93, row
        assert row["false equivalence"] <= 0.065, row


def test_intervals_for_new_texts_cover_where_those_over_seeds_do_not() -> None:
    for row in rows("texts", method="two-way t"):
        if "failed" not in row["scenario"]:
            assert row["coverage"] >= 0.93, row
    (row,) = rows("texts", method="paired t over seeds", scenario="texts differ", n=25)
    assert row["coverage"] < 0.8
    assert all(row["coverage"] >= 0.93 for row in rows("hierarchical"))


def test_exact_tests_of_failures_hold_their_level() -> None:
    for row in rows("failures"):
        for test in ("Boschloo", "rule", "McNemar"):
            assert row[f"{test}, most false alarms"] <= 0.05
    assert all(row["least coverage"] >= 0.95 for row in rows("rate"))


def test_few_seeds_get_no_multi_bootstrap_and_it_says_so() -> None:
    for row in rows("texts", method="multi-bootstrap"):
        assert (row["given"] == 0.0) == (row["n"] < 20)


def test_a_hundred_claims_take_no_longer_than_asked() -> None:
    (row,) = rows("speed", method="together")

    assert row["claims"] == 100
    assert row["seconds"] <= 20


def test_the_page_shows_the_numbers_of_the_file(bench) -> None:
    page = (ROOT / "reports" / "statistics" / "README.md").read_text(encoding="utf-8")

    for name, table in COMMITTED.items():
        assert f"## {table['title']}" in page
        for line in bench.markdown(bench.Table(name, table["title"], "", table["rows"])).splitlines()[4:]:
            assert line in page


QUICK = ("published", "same", "power", "mixture", "real", "excess", "hierarchical", "pairs", "maximum", "speed")


@pytest.mark.parametrize("name", QUICK)
def test_the_short_form_makes_the_table(bench, name: str) -> None:
    made = list(bench.tables([name], short=True))
    if not made:
        pytest.skip(f"needs real seed results: {bench.real.RUNS.name} below $STABBENCH_TEST_DATA")

    (table,) = made
    assert table.name == name
    assert [list(row) for row in table.rows] == [list(row) for row in COMMITTED[name]["rows"]][: len(table.rows)]


@pytest.mark.parametrize(("name", "simulations"), [("level", 4), ("spread", 3), ("texts", 2), ("components", 2)])
def test_the_larger_tables_have_the_lines_that_are_committed(bench, name: str, simulations: int) -> None:
    table = bench.MAKERS[name][0](np.random.default_rng(1), simulations)

    keys = [key for key in ("scenario", "n", "method", "ratio", "effects", "grid") if key in table.rows[0]]
    assert [list(row) for row in table.rows] == [list(row) for row in COMMITTED[name]["rows"]]
    assert [[row[k] for k in keys] for row in table.rows] == [[row[k] for k in keys] for row in COMMITTED[name]["rows"]]


def test_claims_decide_as_the_statistics_the_tables_simulate(bench) -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        reference, candidate = rng.normal(0.7, 0.02, 6), rng.normal(0.72, 0.02, 6)

        claim = bench.level.judged(reference.tolist(), candidate.tolist())

        found = paired_t((candidate - reference).tolist())
        assert claim.p == pytest.approx(found.p)
        assert claim.interval == pytest.approx(found.interval)
        assert (claim.verdict in ("improved", "regressed")) == (found.p < 0.05)


def test_a_table_is_the_same_when_made_again(bench) -> None:
    first, second = (next(iter(bench.tables(["mixture"], short=True))).rows for _ in range(2))

    assert first == second


def test_an_unknown_table_is_refused_with_those_there_are(bench, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--out", str(tmp_path), "--only", "levle"])

    assert "no table levle; there are published, same" in capsys.readouterr().err


def test_files_are_written_and_can_be_read(bench, tmp_path) -> None:
    bench.main(["--out", str(tmp_path), "--short", "--only", "rate,mixture"])

    content = json.loads((tmp_path / "tables.json").read_text(encoding="utf-8"))
    assert list(content["tables"]) == ["rate", "mixture"]
    assert content["command"].endswith("--short --only rate,mixture")
    assert "## One failure rate" in (tmp_path / "README.md").read_text(encoding="utf-8")
