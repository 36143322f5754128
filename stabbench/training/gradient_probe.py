"""The gradient probe: gradients of one and the same objective in every arm, at checkpoints.

Raw norms during training are gradients of different objectives (R-Drop, FGM) under different dropout masks, and do not
compare. The probe's do: plain cross-entropy, evaluation mode, float32, the same examples in the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from stabbench.data.example import Example
from stabbench.models.anatomy import anatomy
from stabbench.models.batch import Batch
from stabbench.models.encoding import collate, encode_texts
from stabbench.seeding import derive

EXAMPLES = 16
BATCH = 8
"""Few, so that a short text is not padded to the longest of all."""


def fixed_sample(examples: Sequence[Example], size: int, purpose: str) -> list[Example]:
    """Return at most `size` examples, chosen by a hash of their ids: the same in every arm, seed and order."""
    return sorted(examples, key=lambda example: derive(purpose, example.id))[:size]


class GradientProbe:
    """Per-block L2 norm of the mean gradient of plain cross-entropy over fixed examples."""

    def __init__(self, examples: Sequence[Example], tokenizer: Any, max_length: int, size: int = EXAMPLES) -> None:
        chosen = fixed_sample(examples, size, "gradient-probe")
        encoded = encode_texts(tokenizer, [example.content for example in chosen], max_length)
        order = sorted(range(len(chosen)), key=lambda index: len(encoded[index]))
        self.examples = len(chosen)
        self._batches: list[Batch] = [
            collate([encoded[i] for i in part], tokenizer, [chosen[i].label for i in part])
            for part in (order[start : start + BATCH] for start in range(0, len(order), BATCH))
        ]

    def norms(self, model: nn.Module) -> Tensor:
        """Return (L,) float32: ‖(1/n) Σᵢ ∇_l CE(xᵢ)‖₂ for each block l, bottom-up; leaves ``.grad`` and mode alone."""
        parts = anatomy(model)
        parameters = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        with _sparse_gradient(parts.word_embeddings):
            total = self._mean_gradient(model, [parameter for _, parameter in parameters])
        squares = torch.stack(torch._foreach_norm(total)).square()
        index = torch.tensor([parts.block_names.index(parts.block_of[name]) for name, _ in parameters])
        blocks = torch.zeros(len(parts.block_names), device=squares.device)
        return blocks.index_add_(0, index.to(squares.device), squares).sqrt().cpu()

    def _mean_gradient(self, model: nn.Module, parameters: list[nn.Parameter]) -> list[Tensor]:
        device = parameters[0].device
        total: list[Tensor | None] = [None] * len(parameters)
        training = model.training
        model.eval()
        try:
            for batch in (batch.to(device) for batch in self._batches):
                logits = model(**batch.inputs()).logits.float()
                assert batch.labels is not None
                loss = nn.functional.cross_entropy(logits, batch.labels, reduction="sum") / self.examples
                found = torch.autograd.grad(loss, parameters, allow_unused=True)
                total = [g if t is None else t if g is None else t + g for t, g in zip(total, found, strict=True)]
        finally:
            model.train(training)
        none = torch.zeros((), device=device)
        return [none if t is None else t.coalesce().values() if t.is_sparse else t for t in total]


@contextmanager
def _sparse_gradient(table: nn.Embedding) -> Iterator[None]:
    """Have the table's gradient hold only the rows that the texts have: the others are 0, and most of its time."""
    before = table.sparse
    table.sparse = True
    try:
        yield
    finally:
        table.sparse = before
