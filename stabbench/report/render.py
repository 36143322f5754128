"""Writing the report: one self-contained HTML file, nothing fetched, readable without JavaScript."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from stabbench.report.data import Page
from stabbench.report.page import STATES, build, style_sheet
from stabbench.store.run_folder import RunFolder


def render(run: RunFolder, output: Path) -> None:
    """Write the report of a run; the same run gives the same bytes."""
    text = to_html(build(run))
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f".{output.name}.{uuid.uuid4().hex[:8]}")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, output)


def to_html(page: Page) -> str:
    """Return the page's HTML; the template escapes everything that it is not told is markup of ours."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The only markup that is not escaped: our own style sheet, our own figures (whose texts matplotlib and
    # `figures.svg` escape), and JSON whose angle brackets are written as escapes.
    environment.filters["ours"] = Markup
    return environment.get_template("report.html.jinja").render(page=page, css=style_sheet(), states=STATES) + "\n"
