"""Data sets of the model hub, through the `datasets` library; the revision should be pinned."""

from __future__ import annotations

from typing import Any

from stabbench.data.reading import RawRow
from stabbench.errors import AssetError, ConfigurationError, suggestion
from stabbench.suite.schema import Data

Pool = list[tuple[str, RawRow]]


def hub_rows(data: Data) -> tuple[Pool, Pool, Pool]:
    """Return the pools (train, validation, test) of ``hub:OWNER/NAME`` (or of a local folder in its place).

    A data set of several parts has the part after a colon: ``hub:nyu-mll/glue:sst2``.

    The hub's `train` and `validation` are taken as they are; where `test` is missing or has no labels (−1), the hub's
    `validation` is the test pool and the validation pool is empty.

    Raises:
        AssetError: the data set cannot be had.
        ConfigurationError: a column is missing.
    """
    import datasets

    name, _, part = (data.source or "").removeprefix("hub:").partition(":")
    try:
        found = datasets.load_dataset(name, part or None, revision=data.revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise AssetError(
            f"hub:{name} cannot be had: {first}. Offline? Use files, or builtin:rotten-tomatoes."
        ) from error
    splits = {key: _pool(found[key], f"{name}/{key}", data) for key in found}
    if "train" not in splits:
        raise ConfigurationError([f"data.source hub:{name} has no split 'train'; it has {', '.join(splits)}"])
    labelled_test = [item for item in splits.get("test", []) if item[1].label != "-1"]
    if labelled_test:
        return splits["train"], splits.get("validation", []), labelled_test
    return splits["train"], [], splits.get("validation", [])


def _pool(split: Any, name: str, data: Data) -> Pool:
    columns = [column for column in (data.text, data.text_pair, data.label) if column is not None]
    for column in columns:
        if column not in split.column_names:
            known = ", ".join(split.column_names)
            raise ConfigurationError(
                [f"{name}: no column '{column}'.{suggestion(column, split.column_names)} Columns: {known}."]
            )
    labels = getattr(split.features[data.label], "names", None)
    return [
        (f"{name}:{number}", _row(number, record, data, labels))
        for number, record in enumerate(split.select_columns(columns), 1)
    ]


def _row(number: int, record: dict[str, Any], data: Data, labels: list[str] | None) -> RawRow:
    label = record[data.label]
    named = labels is not None and isinstance(label, int) and label >= 0
    text = labels[label] if named and labels is not None else str(label)
    return RawRow(number, str(record[data.text]), str(record[data.text_pair]) if data.text_pair else None, text)
