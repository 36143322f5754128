"""A hub data set, with a stand-in for the library's loader: parts after a colon, the revision, no test labels."""

from __future__ import annotations

from typing import Any

import datasets
import pytest

from stabbench.data.hub import hub_rows
from stabbench.suite.schema import Data


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )

    def split(labels: list[int]) -> datasets.Dataset:
        rows = {"sentence": [f"text {i}" for i in range(len(labels))], "label": labels}
        return datasets.Dataset.from_dict(rows, features=features)

    def load(name: str, part: str | None, revision: str | None) -> dict[str, datasets.Dataset]:
        calls.append((name, part, revision))
        return {"train": split([0, 1, 0]), "validation": split([1, 0]), "test": split([-1, -1])}

    monkeypatch.setattr(datasets, "load_dataset", load)
    return calls


@pytest.mark.parametrize(
    ("source", "name", "part"), [("hub:nyu-mll/glue:sst2", "nyu-mll/glue", "sst2"), ("hub:a/b", "a/b", None)]
)
def test_the_part_stands_after_a_colon_and_the_labelled_validation_split_is_the_test(
    asked: list[tuple[Any, ...]], source: str, name: str, part: str | None
) -> None:
    data = Data(source=source, revision="abc", text="sentence", train=2, test=2)

    train, validation, test = hub_rows(data)

    assert asked == [(name, part, "abc")]
    assert [row.label for _, row in train] == ["no", "yes", "no"]
    assert (validation, [row.label for _, row in test]) == ([], ["yes", "no"])
