"""The transfer panel on two tiny models, in a process of its own, against counting from what it stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stabbench.data.example import Dataset
from stabbench.errors import ConfigurationError
from stabbench.probes.base import Context
from stabbench.probes.transfer import Transfer

SESSION = Path(__file__).parent / "transfer_session.py"


@pytest.fixture(scope="module")
def found(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("transfer")
    done = subprocess.run(
        [sys.executable, str(SESSION), str(tiny_model), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {
        "measured": json.loads(done.stdout.splitlines()[-1]),
        "rows": [json.loads(line) for line in (folder / "attack.jsonl").read_text().splitlines()],
        **json.loads((folder / "transfer.json").read_text()),
    }


def test_there_is_a_number_for_every_ordered_pair(found: dict[str, Any]) -> None:
    assert [(m["variant"], m["source"]) for m in found["measured"]] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert found["members"] == [["a", "0", "dense"], ["b", "0", "dense"]]


def test_a_subject_misleads_itself_always(found: dict[str, Any]) -> None:
    own = [m for m in found["measured"] if "ab".index(m["variant"]) == m["source"]]

    assert [m["value"] for m in own] == [1.0, 1.0]
    assert [m["n"] for m in own] == [
        sum(row["outcome"] == "success" and row["source"] == source for row in found["rows"]) for source in (0, 1)
    ]


def test_the_rate_counts_texts_whose_clean_form_is_answered_rightly(found: dict[str, Any]) -> None:
    labels = {row["example"]: row["label"] for row in found["rows"]}
    for m in found["measured"]:
        answered = found["answers"]["deepwordbug"][m["source"]]["ab".index(m["variant"])]
        right = [(example, after) for example, clean, after in answered if clean == labels[example]]
        assert m["n"] == len(right)
        assert m["value"] == (sum(after != labels[e] for e, after in right) / len(right) if right else None)


def test_recipes_that_keep_the_answer_are_refused(tmp_path: Path) -> None:
    context = Context(Dataset((), (), (), ("a",), ""), tmp_path)

    with pytest.raises(ConfigurationError, match="keeps the answer"):
        Transfer(recipes=("input-reduction",)).measure_panel([], context)
    with pytest.raises(ConfigurationError, match="Did you mean 'deepwordbug'"):
        Transfer(recipes=("deepwordbugs",)).measure_panel([], context)
