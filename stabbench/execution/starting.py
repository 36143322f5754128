"""``stabbench init``: a commented suite to begin with, and for CI the workflow that runs it. Overwrites nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from stabbench.errors import ConfigurationError, unknown_name
from stabbench.registry import PACKAGE

FOLDER = PACKAGE / "suite" / "templates"
TEMPLATES: Mapping[str, Mapping[str, str]] = {
    "compare": {"compare.yaml": "NAME.yaml"},
    "ci": {"ci.yaml": "NAME.yaml", "workflow.yml": ".github/workflows/stabbench-NAME.yml"},
    "audit": {"audit.yaml": "NAME.yaml"},
}
"""Template → its files → where each is written, NAME standing for the suite's name."""


def begin(template: str, name: str | None, folder: Path = Path()) -> list[Path]:
    """Write the files of a template and return them.

    Args:
        template: compare, ci or audit.
        name: the suite's name; None: the template's.
        folder: where to write.

    Raises:
        ConfigurationError: there is no such template, the name cannot be a suite's, or a file is there already.
    """
    if template not in TEMPLATES:
        raise ConfigurationError([f"--template: {unknown_name('template', template, TEMPLATES)}"], note=_NOTHING)
    name = template if name is None else name
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        allowed = "a suite's name begins with a small letter or digit, then small letters, digits, '.', '_', '-'"
        raise ConfigurationError([f"'{name}': {allowed}"], note=_NOTHING)
    texts = {
        folder / target.replace("NAME", name): (FOLDER / source).read_text(encoding="utf-8").replace("NAME", name)
        for source, target in TEMPLATES[template].items()
    }
    if there := [path for path in texts if path.exists()]:
        raise ConfigurationError(
            [f"{path} is there already and is not overwritten; give another name, or remove it" for path in there],
            note=_NOTHING,
        )
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        # x: a file that has appeared since is not overwritten either.
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return list(texts)


_NOTHING = "Nothing was written."
