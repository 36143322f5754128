"""From texts to token ids, and from token ids to padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stabbench.data.example import Text
from stabbench.models.batch import Batch


@dataclass(frozen=True)
class Encoded:
    """The token ids of one text, not padded.

    Attributes:
        input_ids: T ids, special tokens included.
        token_type_ids: T segment ids, or None where the model has none.
    """

    input_ids: list[int]
    token_type_ids: list[int] | None = None

    def __len__(self) -> int:
        return len(self.input_ids)


def encode_texts(tokenizer: Any, texts: Sequence[Text], max_length: int) -> list[Encoded]:
    """Return the texts as token ids, cut to `max_length` tokens (of a pair, the longer text is cut first)."""
    if not texts:
        return []
    coded = tokenizer(list(texts), truncation=True, max_length=max_length, padding=False, return_attention_mask=False)
    segments = coded.get("token_type_ids") or [None] * len(texts)
    return [Encoded(ids, types) for ids, types in zip(coded["input_ids"], segments, strict=True)]


def collate(
    encoded: Sequence[Encoded], tokenizer: Any, labels: Sequence[int] | None = None, examples: Sequence[str] = ()
) -> Batch:
    """Return one batch, padded on the right to the longest of its texts."""
    width = max((len(item) for item in encoded), default=0)
    segments = [item.token_type_ids for item in encoded if item.token_type_ids is not None]
    return Batch(
        input_ids=_padded([item.input_ids for item in encoded], width, int(tokenizer.pad_token_id)),
        attention_mask=_padded([[1] * len(item) for item in encoded], width, 0),
        token_type_ids=_padded(segments, width, int(tokenizer.pad_token_type_id)) if segments else None,
        labels=None if labels is None else torch.tensor(list(labels), dtype=torch.int64),
        examples=tuple(examples),
    )


@dataclass(frozen=True)
class TextEncoder:
    """Turns texts into a padded batch without labels, cut as the training examples are.

    Attributes:
        tokenizer: a fast tokenizer.
        max_length: tokens; longer texts are cut.
    """

    tokenizer: Any
    max_length: int

    def __call__(self, texts: Sequence[Text]) -> Batch:
        """Return the texts as one batch, padded to the longest of them."""
        return collate(encode_texts(self.tokenizer, texts, self.max_length), self.tokenizer)


def _padded(rows: Sequence[list[int]], width: int, value: int) -> Tensor:
    return torch.tensor([row + [value] * (width - len(row)) for row in rows], dtype=torch.int64)
