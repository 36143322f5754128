"""The page is whole, honest and safe: every number equals its source, nothing hostile acts, nothing is fetched."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from stabbench.report.render import render
from stabbench.store.run_folder import RunFolder

MakeRun = Callable[..., RunFolder]
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Reader(HTMLParser):
    """Collects ids, references, headings, tables and text; notes tags that do not close."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.ids: list[str] = []
        self.references: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.headings: list[int] = []
        self.tags: list[str] = []
        self.rows: list[list[tuple[str, float | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        for name in ("href", "src", "xlink:href", "data", "action"):
            if name in given:
                (self.references if given[name].startswith("#") else self.loads).append(given[name])
        self.references += [f"#{part}" for part in given.get("aria-labelledby", "").split()]
        self.references += [f"#{part}" for part in re.findall(r"url\(#([^)]+)\)", " ".join(given.values()))]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append(("", float(given["data-value"]) if "data-value" in given else None))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and self.open[-1] in ("td", "th") and self.rows and self.rows[-1]:
            text, value = self.rows[-1][-1]
            self.rows[-1][-1] = (text + data, value)


def page_of(run: RunFolder) -> str:
    render(run, run.path / "report.html")
    return (run.path / "report.html").read_text(encoding="utf-8")


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


@pytest.fixture(scope="module")
def run(make_run: MakeRun) -> RunFolder:
    return make_run()


@pytest.fixture(scope="module")
def html(run: RunFolder) -> str:
    return page_of(run)


def test_tags_close_ids_are_unique_and_references_resolve(html: str) -> None:
    reader = read(html)

    assert reader.wrong == []
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    assert {reference[1:] for reference in reader.references} <= set(reader.ids)


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    assert all(load.startswith("data:image/png;base64,") for load in read(html).loads)
    assert not re.search(r"@import|url\((?!#)", html)
    assert len(html.encode()) < 1_000_000


def test_headings_are_ordered_and_tables_are_labelled(html: str) -> None:
    reader = read(html)

    assert reader.headings[0] == 1
    assert reader.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(reader.headings, reader.headings[1:], strict=False))
    assert reader.tags.count("caption") == reader.tags.count("table")
    assert all('scope="' in tag for tag in re.findall(r"<th[ >][^>]*", html))
    assert '<html lang="en">' in html
    assert {"main", "nav", "header", "footer"} <= set(reader.tags)


def test_every_figure_has_a_title_and_a_description(html: str) -> None:
    figures = re.findall(r"<svg(?=[^>]*aria-labelledby)[\s\S]*?</svg>", html)

    assert len(figures) >= 5
    assert all("<title" in figure and "<desc" in figure for figure in figures)


def test_no_placeholder_colour_is_left(html: str) -> None:
    assert "#01020" not in html
    assert "var(--ink)" in html


def test_hostile_text_is_shown_and_never_obeyed(html: str) -> None:
    assert "<script>alert" not in html
    assert "<img" not in html
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2028\u2029\u200b]", html)
    text = " ".join(read(html).text)
    assert "[U+202E]" in text
    assert "[U+0000]" in text
    assert "\u0430 U+0430" in text
    assert html.count("<script") == 1


def test_numbers_in_tables_equal_what_pandas_recomputes(run: RunFolder, html: str) -> None:
    frame = pd.read_parquet(run.path / "measurements.parquet")
    dense = frame[(frame["compression"] == "dense") & (frame["at"] == "{}")]
    rows = [(row[0][0].strip(), row) for row in read(html).rows if len(row) == 8]

    for variant in ("baseline", "stabilized"):
        mine = dense[dense["variant"] == variant]
        for column, metric in enumerate(["train.accuracy_before", "accuracy", "train.accuracy_train", "train.gap"], 1):
            expected = mine[mine["metric"] == metric]["value"].mean()
            found = [row for name, row in rows if name == variant]
            assert any(row[column][1] == pytest.approx(expected) for row in found), (variant, metric)


def test_the_claims_table_equals_the_verdict(run: RunFolder, html: str) -> None:
    claims = run.verdict["claims"]
    tables = "".join(re.findall(r'<table class="claims">.*?</table>', html, re.DOTALL))
    rows = [row for row in read(tables).rows if row[1][0] != "reference"]

    assert len(rows) == len(claims)
    shown = sorted(str(row[3][1]) for row in rows)
    assert shown == sorted(str(None if c["effect"] is None else float(c["effect"])) for c in claims)
    words = re.findall(r'class="verdict ([a-z-]+)"', tables)
    assert sorted(words) == sorted(claim["verdict"].replace(" ", "-") for claim in claims)
    embedded = re.search(r'id="verdict-json">(.*?)</script>', html, re.DOTALL)
    assert embedded is not None
    assert json.loads(embedded[1])["claims"] == claims


def test_failed_runs_and_errors_are_told(html: str) -> None:
    text = " ".join(" ".join(read(html).text).split())

    assert "1 failed of 6 runs" in text
    assert "broke on" in text
    assert "gradient/baseline/0/dense" in text


def test_rendering_twice_gives_the_same_bytes_also_in_another_process(run: RunFolder, html: str) -> None:
    code = (
        "import sys; from pathlib import Path; from stabbench.report.render import render; "
        "from stabbench.store.run_folder import RunFolder; render(RunFolder(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    other = run.path / "other.html"
    subprocess.run([sys.executable, "-c", code, str(run.path), str(other)], env={"PYTHONHASHSEED": "7"}, check=True)

    assert page_of(RunFolder(run.path)) == html
    assert other.read_text(encoding="utf-8") == html


@pytest.mark.parametrize(
    "options",
    [
        {"variants": 1},
        {"variants": 3, "seeds": 3},
        {"probes": ("accuracy",), "compressions": False},
        {"seeds": 1, "broken": False},
        {"status": "interrupted"},
    ],
)
def test_other_shapes_of_runs_are_rendered_too(make_run: MakeRun, options: dict[str, object]) -> None:
    reader = read(page_of(make_run(**options)))

    assert reader.wrong == []
    assert len(reader.ids) == len(set(reader.ids))


def test_golden_facts_of_the_page(make_run: MakeRun) -> None:
    """The page's data, not its bytes: figures change with matplotlib, these must not."""
    from stabbench.report.page import build

    page = build(make_run())
    facts = {
        "sentence": page.sentence,
        "primary": [[c.label, c.word, c.effect.text, c.interval, c.n] for c in page.primary],
        "sections": [[s.id, len(s.drawings), [t.caption for t in s.tables], len(s.examples)] for s in page.sections],
        "warnings": list(page.warnings),
    }
    golden = Path(__file__).parents[1] / "golden" / "page.json"
    found = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    if not golden.exists() or golden.read_text(encoding="utf-8") != found:
        actual = Path(__file__).parents[1] / "actual" / "page.json"
        actual.parent.mkdir(exist_ok=True)
        actual.write_text(found, encoding="utf-8")
        pytest.fail(f"the page's facts changed; to accept: cp {actual.relative_to(Path.cwd())} tests/golden/page.json")
    assert all(math.isfinite(len(text)) for text in facts["warnings"])
