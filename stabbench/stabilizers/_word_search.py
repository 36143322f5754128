"""A greedy search for words whose change raises a model's loss most, many texts at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from stabbench.data.example import Example, Text
from stabbench.models.batch import Batch
from stabbench.models.encoding import TextEncoder
from stabbench.models.words import Word, with_words, words_of
from stabbench.perturbations.base import Perturbation
from stabbench.seeding import random_for
from stabbench.stabilizers._embeddings import EmbeddingShift

ROWS = 32
"""Texts that the model scores at once."""
TRIES = 8
"""Draws for one candidate, until one changes the word."""


@dataclass
class _Attacked:
    """One text under attack: its words, the most important first, and the best change found so far."""

    example: Example
    seed: int
    words: list[Word]
    order: list[int]
    budget: int
    loss: float
    right: bool
    changes: dict[int, str] = field(default_factory=dict)

    def text(self, more: dict[int, str] | None = None) -> Text:
        return with_words(self.example.content, self.words, {**self.changes, **(more or {})})


class WordSearch:
    """Ranks words by the loss's gradient, changes them one by one, and keeps what raises the loss most.

    The model is asked in evaluation mode and float32; its mode, gradients and the random state stay as they are.
    """

    def __init__(
        self, model: nn.Module, table: nn.Embedding, encode: TextEncoder, kinds: Sequence[Perturbation]
    ) -> None:
        self._model, self._encode, self._kinds = model, encode, kinds
        self._device = table.weight.device
        self._width = table.embedding_dim
        self._shift = EmbeddingShift(table)

    def worst(
        self, examples: Sequence[Example], seeds: Sequence[int], share: float, fewest: int, candidates: int
    ) -> list[Text]:
        """Return each example's text with the changes found; a text that is answered wrongly is not changed.

        Args:
            examples: what to attack.
            seeds: of the candidates, one for each example.
            share: of an example's words that may be tried,
            fewest: or so many where that is more.
            candidates: for each word tried.
        """
        with self._evaluation():
            attacked = self._ranked(examples, seeds, share, fewest)
            for turn in range(max((a.budget for a in attacked), default=0)):
                self._try([a for a in attacked if a.right and turn < a.budget], turn, candidates)
        return [a.text() for a in attacked]

    def remove(self) -> None:
        """Take the hook off the table."""
        self._shift.remove()

    def _ranked(self, examples: Sequence[Example], seeds: Sequence[int], share: float, fewest: int) -> list[_Attacked]:
        found = []
        for start in range(0, len(examples), ROWS):
            part = examples[start : start + ROWS]
            batch, labels = self._batch([e.content for e in part]), self._labels(part)
            delta = torch.zeros(*batch.input_ids.shape, self._width, device=self._device, requires_grad=True)
            with torch.enable_grad(), self._shift.by(delta):
                logits = self._logits(batch)
                losses = functional.cross_entropy(logits, labels, reduction="none")
            (gradient,) = torch.autograd.grad(losses.sum(), delta)
            right = (logits.argmax(dim=-1) == labels).tolist()
            for row, example in enumerate(part):
                words = words_of(example.content, self._encode)
                order = most_important(gradient[row], words)
                budget = min(len(order), max(fewest, int(share * len(words))))
                seed, loss = seeds[start + row], float(losses[row].detach())
                found.append(_Attacked(example, seed, words, order, budget, loss, right[row]))
        return found

    def _try(self, attacked: Sequence[_Attacked], turn: int, candidates: int) -> None:
        """Change the next word of each text to the candidate with the highest loss, if that is above the text's."""
        asked = [
            (one, {one.order[turn]: word})
            for one in attacked
            for word in self._candidates(one.words[one.order[turn]], one.seed, one.order[turn], candidates)
        ]
        losses, right = self._score([one.text(change) for one, change in asked], [one.example for one, _ in asked])
        best: dict[int, int] = {}
        for index, (one, _) in enumerate(asked):
            if losses[index] > losses[best[id(one)]] if id(one) in best else losses[index] > one.loss:
                best[id(one)] = index
        for index in best.values():
            one, change = asked[index]
            one.changes |= change
            one.loss, one.right = losses[index], right[index]

    def _candidates(self, word: Word, seed: int, place: int, count: int) -> list[str]:
        """Return at most `count` different changes of a word, of about one letter each."""
        found: dict[str, None] = {}
        for n in range(count):
            kind = self._kinds[n % len(self._kinds)]
            draws = random_for(seed, place, n)
            tried = (kind.edit(word.text, 1 / max(2, len(word.text)), draws) for _ in range(TRIES))
            changed = next((new for new in tried if new != word.text), None)
            if changed is not None:
                found.setdefault(changed)
        return list(found)

    def _score(self, texts: Sequence[Text], examples: Sequence[Example]) -> tuple[list[float], list[bool]]:
        losses: list[float] = []
        right: list[bool] = []
        with torch.no_grad():
            for start in range(0, len(texts), ROWS):
                logits = self._logits(self._batch(texts[start : start + ROWS]))
                labels = self._labels(examples[start : start + ROWS])
                losses += functional.cross_entropy(logits, labels, reduction="none").tolist()
                right += (logits.argmax(dim=-1) == labels).tolist()
        return losses, right

    def _batch(self, texts: Sequence[Text]) -> Batch:
        return self._encode(texts).to(self._device)

    def _labels(self, examples: Sequence[Example]) -> Tensor:
        return torch.tensor([example.label for example in examples], device=self._device)

    def _logits(self, batch: Batch) -> Tensor:
        logits: Tensor = self._model(**batch.inputs()).logits
        return logits.float()

    @contextmanager
    def _evaluation(self) -> Iterator[None]:
        modes = [(module, module.training) for module in self._model.modules()]
        self._model.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training


def most_important(gradient: Tensor, words: Sequence[Word]) -> list[int]:
    """Return indices of the words that have tokens, by falling ‖mean of their tokens' gradients‖₁, for (T, H)."""
    scores = {i: float(gradient[list(w.tokens)].mean(dim=0).abs().sum()) for i, w in enumerate(words) if w.tokens}
    return sorted(scores, key=lambda index: (-scores[index], index))
