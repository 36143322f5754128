"""A matplotlib figure as inline SVG: text as text, theme colours as CSS variables, unique ids, stable bytes."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that stand for the page's own: replaced by CSS variables, so that one figure serves light and dark.
INK, MUTED, GRID, PAPER = "#010203", "#010204", "#010205", "#010206"
VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)", PAPER: "var(--paper)"}
# Okabe-Ito: tell apart without colour vision, 3:1 against white and against the dark page.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), "-", "-")
FONT = "system-ui, sans-serif"


@dataclass(frozen=True)
class Drawing:
    """A finished figure.

    Attributes:
        svg: the SVG element.
        title: what is to be seen, for the caption and for screen readers.
        description: ranges and encodings in words.
    """

    svg: str
    title: str
    description: str


@contextmanager
def style(name: str) -> Iterator[None]:
    """Draw with the report's settings; `name` seeds the ids, so that the same figure gives the same bytes."""
    import matplotlib as mpl

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "text.color": INK,
        "legend.frameon": False,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
    }
    with mpl.rc_context(settings):  # type: ignore[arg-type]
        yield


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return a figure of `width` × `height` inches and its axes, as an array of shape (rows, columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def series_style(index: int) -> dict[str, Any]:
    """Return colour, marker and dash of the variant at `index`; each tells it apart alone."""
    at = index % len(COLOURS)
    return {"color": COLOURS[at], "marker": MARKERS[at], "linestyle": DASHES[at]}


def grid(axes: Axes, axis: str = "y") -> None:
    """Draw quiet grid lines along one axis."""
    axes.grid(True, axis=axis)  # type: ignore[arg-type]
    axes.tick_params(length=0)


def drawing(figure: Figure, name: str, title: str, description: str) -> Drawing:
    """Return the figure as inline SVG whose ids all start with `name`."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace("xlink:href", "href")
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    text = re.sub(r"font: (?:bold )?([\d.]+)px [^;\"]*", _font, text)
    # Coordinates, in tags, need no more than a hundredth of a point; numbers in the text are for reading and stay.
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"-?\d+\.\d{3,}", _hundredths, tag[0]), text)
    return Drawing(_labelled(text, name, title, description), title, description)


def _hundredths(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}"


def _font(match: re.Match[str]) -> str:
    weight = "bold " if "bold" in match[0] else ""
    return f"font: {weight}{match[1]}px {FONT}"


def _labelled(text: str, name: str, title: str, description: str) -> str:
    """Give the SVG element a role, a title and a description, and let the page decide its size."""
    head = re.match(r"<svg[^>]*>", text)
    assert head is not None
    box = re.search(r'viewBox="[^"]*"', head[0])
    assert box is not None
    opened = f'<svg {box[0]} role="img" aria-labelledby="{name}-t {name}-d" preserveAspectRatio="xMidYMid meet">'
    titles = f'<title id="{name}-t">{html.escape(title)}</title><desc id="{name}-d">{html.escape(description)}</desc>'
    return (opened + titles + text[head.end() :]).strip()
