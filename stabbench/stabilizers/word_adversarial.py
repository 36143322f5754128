"""Adversarial training on texts: words are changed so that the model of the moment errs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from stabbench import registry
from stabbench.data.example import Example
from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.models.encoding import TextEncoder
from stabbench.perturbations.base import Perturbation
from stabbench.seeding import TrialSeeds, derive, random_for
from stabbench.stabilizers._word_search import WordSearch
from stabbench.stabilizers.base import Stabilizer


@dataclass(kw_only=True)
class WordAdversarial(Stabilizer):
    """Replaces a share of the texts of each epoch by ones with the words changed that raise the loss most."""

    paper = "Yoo & Qi (2021), arXiv:2109.00544 (A2T)"
    equation = (
        "words in the order of ‖ḡ_i‖₁, ḡ_i the mean over a word's tokens of the loss's gradient by their embeddings; "
        "each in turn becomes the candidate with the highest loss, where that is above the loss so far, until the "
        "answer is wrong or max(fewest, words · n) words were tried; a share q of each epoch's examples is attacked"
    )
    changes = "the words of training texts, from epoch `clean_epochs` on; not their labels or their order"
    cost = (
        "1 forward and 1 backward pass per step, and in evaluation mode for each attacked text 1 forward and 1 "
        "backward pass to the embeddings, and a forward pass for each candidate: at most words tried · candidates, by "
        "default 16 for texts of up to 49 words, which is 3.4 forward passes of the batch at q = 0.2"
    )
    departures = (
        "the search is ours and not textattack's, which has to run in a process of its own. Candidates are small "
        "changes of letters by our perturbations and not neighbours in counter-fitted embeddings, and there is no "
        "check of sentence similarity or part of speech. Every batch is attacked as the model is when it comes, not "
        "the data at the start of an epoch. The changed text stands in the place of the clean one, at no further row, "
        "where the paper trains on both: keep_clean does so. Changes that raise the loss without turning the answer "
        "are kept too; the paper trains on successes only. Words tried count, also where none of their candidates "
        "helped"
    )
    pitfalls = (
        "an arm that is trained on the perturbations it is tested on is robust to those, not to words in general. A "
        "robustness tool first: what it does to stability over seeds was not studied. A model that answers one class "
        "has half of the texts wrong already, which are not attacked"
    )
    null = {"share": 0.0}
    # Texts of other lengths have dropout masks of other shapes.
    streams = frozenset({"augmentation", "dropout"})
    owns = frozenset({"the training texts"})
    uses = {"kinds": "perturbations"}
    # In evaluation mode too, after the clean epochs, for texts of up to `fewest / words` words.
    passes = ("1 + share * (1 + fewest * candidates)", "1 + share")

    share: Annotated[float, Field(ge=0, le=1, description="q: share of the examples attacked in each epoch")] = 0.2
    clean_epochs: Annotated[int, Field(ge=0, description="epochs before the first attack")] = 1
    kinds: Annotated[
        tuple[str, ...], Field(min_length=1, description="perturbations that make the candidates, in turn")
    ] = ("char_swap", "keyboard")
    words: Annotated[float, Field(ge=0, le=1, description="share of a text's words that may be tried")] = 0.1
    fewest: Annotated[int, Field(ge=1, description="words that may be tried in a short text")] = 4
    candidates: Annotated[int, Field(ge=1, description="candidates for each word")] = 4
    keep_clean: Annotated[
        bool, Field(description="add the changed texts to the batch, which grows, instead of putting them in place")
    ] = False

    def prepare_data(self, examples: Sequence[Example], seeds: TrialSeeds, encode: TextEncoder) -> None:
        """Keep the texts by their ids.

        Raises:
            ConfigurationError: a kind is unknown.
        """
        self._made: list[Perturbation] = [registry.load("perturbations", kind)() for kind in self.kinds]
        self._examples = {example.id: example for example in examples}
        self._seed = seeds.stream("augmentation")
        self._encode = encode
        self._visits: Counter[str] = Counter()

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Get ready to attack the model."""
        self._search = WordSearch(model, anatomy.word_embeddings, self._encode, self._made)

    def transform_batch(self, batch: Batch, step: int) -> Batch:
        """Return the batch with attacked texts; the batch itself where none has changed."""
        if self.share == 0:
            return batch
        given = [self._examples[name] for name in batch.examples]
        chosen = [(row, seed) for row, seed in enumerate(map(self._visited, given)) if seed is not None]
        if not chosen:
            return batch
        found = self._search.worst(
            [given[row] for row, _ in chosen], [seed for _, seed in chosen], self.words, self.fewest, self.candidates
        )
        attacked = {row: text for (row, _), text in zip(chosen, found, strict=True) if text != given[row].content}
        if not attacked:
            return batch
        rows = list(range(len(given)))
        if self.keep_clean:
            texts = [example.content for example in given] + list(attacked.values())
            rows += list(attacked)
        else:
            texts = [attacked.get(row, given[row].content) for row in rows]
        new = self._encode(texts)
        labels = torch.tensor([given[row].label for row in rows])
        return replace(new, labels=labels, examples=tuple(given[row].id for row in rows))

    def finish_model(self, model: nn.Module) -> None:
        """Stop listening."""
        self._search.remove()

    def state_dict(self) -> dict[str, object]:
        """Return how often each example was visited."""
        return {"visits": dict(self._visits)}

    def _visited(self, example: Example) -> int | None:
        """Count a visit; return the seed of an attack, or None where there is none this time."""
        visit = self._visits[example.id]
        self._visits[example.id] += 1
        draw = random_for(self._seed, "word_adversarial", example.id, visit).random()
        if visit < self.clean_epochs or draw >= self.share:
            return None
        return derive(self._seed, "word_adversarial", example.id, visit, "candidates")
