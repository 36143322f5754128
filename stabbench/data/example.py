"""Labelled texts in memory. No torch."""

from __future__ import annotations

from dataclasses import dataclass

Text = str | tuple[str, str]
"""A sentence, or a pair of sentences."""


@dataclass(frozen=True)
class Example:
    """One labelled text.

    Attributes:
        id: stable name, unique in its dataset: file stem and 1-based line, or source and row number.
        text: the sentence, or the first of a pair.
        label: index into the dataset's classes.
        pair: the second sentence, or None.
    """

    id: str
    text: str
    label: int
    pair: str | None = None

    @property
    def content(self) -> Text:
        """The sentence, or the pair."""
        return self.text if self.pair is None else (self.text, self.pair)


@dataclass(frozen=True)
class Dataset:
    """Three splits of one task.

    Attributes:
        train: what training sees, after `limit`.
        validation: for selection and stopping; may be empty.
        test: never used for selection or stopping.
        classes: label names as in the data, sorted; an example's label is an index into it.
        fingerprint: hash of every id, text and label of all splits, in order.
        warnings: what is allowed but makes figures doubtful, such as texts that stand in train and test.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    classes: tuple[str, ...]
    fingerprint: str
    warnings: tuple[str, ...] = ()
