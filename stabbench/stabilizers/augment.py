"""Noise on the training texts, drawn anew in every epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from stabbench import registry
from stabbench.data.example import Example, Text
from stabbench.models.batch import Batch
from stabbench.models.encoding import TextEncoder
from stabbench.perturbations.base import Perturbation
from stabbench.seeding import TrialSeeds, derive, random_for
from stabbench.stabilizers.base import Stabilizer


@dataclass(kw_only=True)
class Augment(Stabilizer):
    """Trains on texts whose words and characters are changed at random by perturbations; the labels stay."""

    paper = (
        "Wei & Zou (2019), arXiv:1901.11196 (EDA); characters: Belinkov & Bisk (2018), arXiv:1711.02173, §5 (training "
        "on noise)"
    )
    equation = (
        "at its v-th visit an example x is replaced, with probability q, by T_k(x; s), the kind k chosen evenly and s "
        "the severity; both are functions of (augmentation stream, example, v) and of nothing else"
    )
    changes = "the words and characters of training texts; not their labels, their number or their order"
    cost = "tokenization of changed batches, well below a millisecond a text; no pass; a changed text may be longer"
    departures = (
        "EDA adds up to nine changed copies of each text to the data, so that its epochs are longer; here a text is "
        "changed in place, and another way in each epoch, at no further step. EDA's synonyms and insertions need a "
        "thesaurus: which changes there are is what `list perturbations` shows. Batches are made from the texts' "
        "lengths before the change"
    )
    pitfalls = (
        "noise may change what the label should be: a dropped “not”; keep the severity low. Gains were found with few "
        "hundred examples, and are said to be small for BERT. An arm trained on the noise it is tested on is robust to "
        "that kind, not to noise: test on kinds that are not in this list"
    )
    null = {"probability": 0.0}
    # Texts of other lengths have dropout masks of other shapes.
    owns = frozenset({"the training texts"})
    streams = frozenset({"augmentation", "dropout"})
    uses = {"kinds": "perturbations"}

    kinds: Annotated[
        tuple[str, ...], Field(min_length=1, description="perturbations, one of which is chosen for each change")
    ] = ("word_drop", "char_swap", "keyboard")
    probability: Annotated[
        float, Field(ge=0, le=1, description="q: share of visits at which a text is changed; 0: never")
    ] = 0.5
    severity: Annotated[
        int, Field(ge=1, le=5, description="s: severity of the perturbations; 2 drops a word in ten, EDA's α = 0.1")
    ] = 2

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

    def transform_batch(self, batch: Batch, step: int) -> Batch:
        """Return the batch with changed texts; the batch itself where none has changed."""
        if self.probability == 0:
            return batch
        given = [self._examples[name] for name in batch.examples]
        texts = [self._visited(example) for example in given]
        if texts == [example.content for example in given]:
            return batch
        new = self._encode(texts)
        return replace(
            batch, input_ids=new.input_ids, attention_mask=new.attention_mask, token_type_ids=new.token_type_ids
        )

    def _visited(self, example: Example) -> Text:
        visit = self._visits[example.id]
        self._visits[example.id] += 1
        draw = random_for(self._seed, "augment", example.id, visit)
        if draw.random() >= self.probability:
            return example.content
        perturbation = draw.choice(self._made)
        seed = derive(self._seed, "augment", visit)
        text = perturbation.perturb(example.text, self.severity, example.id, seed)
        if example.pair is None:
            return text
        return text, perturbation.perturb(example.pair, self.severity, f"{example.id}#pair", seed)

    def state_dict(self) -> dict[str, object]:
        """Return how often each example was visited."""
        return {"visits": dict(self._visits)}
