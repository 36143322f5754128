"""A sweep as one self-contained HTML page and as text for the terminal: figures first made, then only formatted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stabbench.report.data import Cell, Table, text_cell
from stabbench.report.figures.sweep import sweep_curves
from stabbench.report.numbers import UNKNOWN, fixed, significant
from stabbench.report.page import style_sheet

FIGURES = (
    ("margin", "stability margin"),
    ("half_failure", "half of the runs fail at"),
    ("sensitivity", "sensitivity"),
    ("best", "best score"),
)
HOW_READ = (
    "Stability margin: the largest value at which at most 10 % of the runs failed, with the Clopper-Pearson limits of "
    "the true share there. Sensitivity: best mean score minus the mean over the grid, where a score below chance "
    "counts as chance (after Wortsman et al. 2023). A failed run is a result: it is counted, never dropped."
)


def write_page(document: Mapping[str, Any], path: Path) -> None:
    """Write the page; the same document gives the same bytes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ours"] = Markup
    arms = {name: found["points"] for name, found in document["variants"].items()}
    figure = sweep_curves(document["over"], document["metric"], arms, document["chance"], document["tolerated"])
    page = environment.get_template("sweep.html.jinja").render(
        document=document,
        css=style_sheet(),
        lead=headline(document),
        drawing=figure,
        tables=[_figures(document), _failures(document)],
        notes=[*notes(document), HOW_READ],
    )
    path.write_text(page + "\n", encoding="utf-8")


def headline(document: Mapping[str, Any]) -> str:
    """Return the sweep in a sentence or two: margins of all arms, and failed runs over the same grid."""
    margins = [f"{name} {_shown('margin', found['margin'])}" for name, found in document["variants"].items()]
    parts = [f"Stability margin of {document['over']}: {', '.join(margins)}."]
    for pair in document["comparisons"]:
        k, m = pair["failed"]
        p = UNKNOWN if pair["p"] is None else fixed(pair["p"], 3)
        parts.append(
            f"Over the same grid and seeds {pair['reference']} failed in {k} and {pair['candidate']} in {m} of "
            f"{pair['pairs']} runs (p = {p}, {pair['test']} over {pair['n_seeds']} seeds, floor "
            f"{UNKNOWN if pair['p_floor'] is None else significant(pair['p_floor'], 2)})."
        )
    return " ".join(parts)


def notes(document: Mapping[str, Any]) -> list[str]:
    """Return what is to be known beside each figure, by arm."""
    found = []
    if document["smoke"]:
        found.append("A smoke run on a tiny model: this is never a verdict.")
    if document["status"] != "complete":
        found.append("The sweep is not complete: the same command goes on where it stopped.")
    for name, arm in document["variants"].items():
        found += [f"{name}, {label}: {arm[key]['reason']}." for key, label in FIGURES if arm[key]["reason"]]
    return found


def sweep_text(document: Mapping[str, Any]) -> str:
    """Return the sweep for the terminal."""
    names = list(document["variants"])
    rows = [[document["over"], *names]]
    for index, value in enumerate(document["values"]):
        cells = [_count(document["variants"][name]["points"], index) for name in names]
        rows.append([f"{value:g}", *cells])
    for key, label in FIGURES:
        rows.append([label, *(_shown(key, document["variants"][name][key]) for name in names)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(names) + 1)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([headline(document), "", *lines, "", *notes(document)])


def _count(points: Sequence[Mapping[str, Any]], index: int) -> str:
    if index >= len(points) or not points[index]["n"]:
        return UNKNOWN
    point = points[index]
    return f"{point['failed']}/{point['n']} failed, {fixed(point['mean'], 3)}"


def _shown(key: str, figure: Mapping[str, Any]) -> str:
    """Return a figure: values of the option with three significant digits, scores with three decimals."""
    if figure["value"] is None:
        return UNKNOWN
    if key in ("margin", "half_failure"):
        return f"{figure['value']:.3g}"
    place = "" if figure["at"] is None else f" at {figure['at']:g}"
    return f"{fixed(figure['value'], 3)}{place}"


def _figures(document: Mapping[str, Any]) -> Table:
    rows = [
        [text_cell(name), *(Cell(_shown(key, arm[key]), arm[key]["value"]) for key, _ in FIGURES)]
        for name, arm in document["variants"].items()
    ]
    caption = f"Where each arm stands, over the same grid of {document['over']}"
    return Table(caption, ["variant", *(label for _, label in FIGURES)], rows)


def _failures(document: Mapping[str, Any]) -> Table:
    names = list(document["variants"])
    rows = []
    for index, value in enumerate(document["values"]):
        cells = []
        for name in names:
            points = document["variants"][name]["points"]
            rate = points[index]["rate"] if index < len(points) else None
            cells.append(Cell(_count(points, index), rate))
        rows.append([text_cell(f"{value:g}"), *cells])
    return Table("Failed runs and mean score at every value", [document["over"], *names], rows)
