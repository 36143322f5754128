"""A suite that trains nothing needs no training split; its classes are those said, or those of the test split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stabbench.data.dataset import load_dataset
from stabbench.errors import ConfigurationError
from stabbench.suite.schema import Data, Task


def load(folder: Path, **data: Any) -> Any:
    (folder / "d.tsv").write_text("text\tlabel\nfine film\tgood\nweak film\tbad\nno film\tbad\n")
    made = Data.model_validate({"test": {"path": "d.tsv"}, **data})
    return load_dataset(made, Task(), folder, lambda name: folder)


def test_classes_come_from_the_test_split_sorted_or_as_they_are_said(tmp_path: Path) -> None:
    plain, said = load(tmp_path), load(tmp_path, classes=["good", "mixed", "bad"])

    assert (plain.classes, len(plain.train), len(plain.test)) == (("bad", "good"), 0, 3)
    assert said.classes == ("good", "mixed", "bad")
    assert {e.text: said.classes[e.label] for e in said.test} == {e.text: plain.classes[e.label] for e in plain.test}


def test_a_label_beside_the_classes_is_named_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"label 'bad' stands on 2 .* none of data.classes \(good, mixed\)"):
        load(tmp_path, classes=["good", "mixed"])


def test_a_validation_split_without_training_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="validation is for training"):
        load(tmp_path, validation={"fraction": 0.1})
