"""The validation split in the place of the test split, which is then not read: not opened, not hashed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stabbench.data.dataset import load_dataset
from stabbench.data.example import Dataset
from stabbench.errors import ConfigurationError
from stabbench.suite.fingerprint import data_fingerprint
from stabbench.suite.schema import Data, Task

ROWS = [f"the film was {'good' if i % 2 else 'bad'} {i}\t{i % 2}" for i in range(40)]
FILES: dict[str, Any] = {"train": {"path": "train.tsv"}, "validation": {"fraction": 0.3}, "test": {"path": "test.tsv"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.tsv").write_text("\n".join(["text\tlabel", *ROWS]) + "\n")
    return tmp_path


def read(folder: Path, content: dict[str, Any]) -> Dataset:
    return load_dataset(Data.model_validate(content), Task(), folder, lambda name: folder)


@pytest.mark.parametrize("validation", [{"fraction": 0.3}, 10])
def test_files_give_the_validation_examples_twice_and_need_no_test_file(folder: Path, validation: Any) -> None:
    content = {**FILES, "validation": validation}

    found = read(folder, {**content, "measure_on": "validation"})

    assert found.test == found.validation != ()
    assert not {e.id for e in found.train} & {e.id for e in found.test}
    assert not [warning for warning in found.warnings if "test" in warning]
    with pytest.raises(ConfigurationError, match=r"test\.tsv"):
        read(folder, content)


def test_a_source_gives_the_same_training_and_validation_examples_as_without(folder: Path) -> None:
    content = {"source": "builtin:tiny", "train": 32, "validation": 16, "test": 20}

    plain, measured = read(folder, content), read(folder, {**content, "measure_on": "validation"})

    assert (measured.train, measured.validation, measured.test) == (plain.train, plain.validation, plain.validation)
    assert len(plain.test) == 20


def test_what_is_measured_must_have_two_classes(folder: Path) -> None:
    (folder / "one.tsv").write_text("text\tlabel\nbad one\t0\nbad two\t0\n")

    with pytest.raises(ConfigurationError, match=r"data\.validation: only one class"):
        read(folder, {**FILES, "validation": {"path": "one.tsv"}, "measure_on": "validation"})


def test_the_test_file_is_part_of_the_fingerprint_only_where_it_is_read(folder: Path) -> None:
    def prints() -> list[str]:
        kinds = [{}, {"measure_on": "validation"}]
        return [data_fingerprint(Data.model_validate({**FILES, **more}), folder) for more in kinds]

    before = prints()
    (folder / "test.tsv").write_text("text\tlabel\nsomething new\t0\n")
    after = prints()

    assert before[0] != after[0]
    assert before[1] == after[1]
    assert len({*before, *after}) == 3


def test_without_a_validation_split_there_is_nothing_to_measure_on() -> None:
    with pytest.raises(ValidationError, match="measure_on: validation needs `validation`"):
        Data.model_validate({"source": "builtin:tiny", "train": 8, "test": 8, "measure_on": "validation"})
