"""Every attack on texts that nobody should write: a result, or a row that says what was wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_texts import HOSTILE

from stabbench import registry

Found = dict[str, Any]
NAMES = [name for name in registry.names("attacks") if registry.load("attacks", name).tier == "offline"]
TEXTS = set(HOSTILE) - {"long-text"}
pytestmark = pytest.mark.slow
SPLIT_REASON = "the text holds <SPLIT>"


@pytest.fixture(scope="module")
def found(
    tiny_model: Path,
    made_up_assets: Path,
    masked_lm: Path,
    tmp_path_factory: pytest.TempPathFactory,
    run_in_worker: Callable[..., Found],
) -> Found:
    script = [str(Path(__file__).parent / "hostile_session.py"), str(tiny_model)]
    return run_in_worker(script, tmp_path_factory.mktemp("home"), "1", made_up_assets, masked_lm)


@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_attacked_or_left_out_with_its_reason(found: Found, name: str) -> None:
    if found[name]["missing"]:
        pytest.skip(found[name]["missing"])
    rows = found[name]["rows"]

    assert set(rows) == {*TEXTS, "other-label"}
    for example, row in rows.items():
        if example == "split-mark":
            assert row["outcome"] == "error"
            assert SPLIT_REASON in row["message"]
            assert (row["queries"], row["model_rows"]) == (0, 0)
        elif example == "other-label":
            assert (row["outcome"], row["message"]) == ("skipped", "the clean answer is wrong")
        elif row["outcome"] == "skipped":
            assert row["words"] == 0, example
            assert row["message"] == "the text has no words"
        else:
            assert row["outcome"] in ("success", "failed"), (example, row["message"])
            assert row["adversarial_text"].strip()
            assert row["queries"] <= 15


def test_texts_without_words_are_left_out_by_every_attack_alike(found: Found) -> None:
    ran = [content["rows"] for content in found.values() if isinstance(content, dict) and content.get("rows")]
    left_out = [{example for example, row in rows.items() if row["words"] == 0} for rows in ran]

    assert ran
    assert all(names == left_out[0] for names in left_out)
    assert {"empty", "blank"} <= left_out[0]
