"""Bad characters look as before: undoing what a screen undoes gives back the text."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stabbench.perturbations.homoglyph import LOOKALIKES
from stabbench.perturbations.reordering import LRI, LRO, PDF, PDI, RLO

Session = dict[str, Any]
BACK = {lookalike: letter for letter, lookalike in LOOKALIKES.items()}
REORDERED = re.compile(f"{LRO}{LRI}{RLO}{LRI}(.){PDI}{LRI}(.){PDI}{PDF}{PDI}{PDF}")


def shown(kind: str, text: str) -> tuple[str, int]:
    """What a screen shows of a text, and the number of edits in it."""
    if kind == "homoglyphs":
        return "".join(BACK.get(c, c) for c in text), sum(c in BACK for c in text)
    if kind == "reorderings":
        return REORDERED.subn(r"\2\1", text)
    return re.subn(".\b", "", text)


@pytest.mark.parametrize("kind", ["homoglyphs", "reorderings", "deletions"])
def test_the_found_text_is_shown_as_the_clean_one_with_at_most_three_edits(session: Session, kind: str) -> None:
    rows = session["recipes"][f"bad-characters-{kind}"]["rows"].values()
    texts = [(row["text"], row["adversarial_text"]) for row in rows if row["outcome"] in ("success", "failed")]

    assert len(texts) >= 4
    for clean, found in texts:
        seen, edits = shown(kind, found)
        assert seen == clean
        assert edits <= 3
    assert max(shown(kind, found)[1] for _, found in texts) >= 2


@pytest.mark.parametrize("kind", ["homoglyphs", "reorderings", "deletions"])
def test_a_pair_stays_a_pair(session: Session, kind: str) -> None:
    row = session["pairs"][f"bad-characters-{kind}"]

    assert row["outcome"] in ("success", "failed")
    assert (
        [shown(kind, sentence)[0] for sentence in row["adversarial_text"]] == row["text"] == ["good film", "great plot"]
    )
