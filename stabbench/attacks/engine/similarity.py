"""A local sentence encoder in the place of the Universal Sentence Encoder, which has to be downloaded.

The encoder is all-MiniLM-L6-v2 (asset `builtin:minilm-l6`): the mean of its last hidden states over a text's tokens.
A threshold for the other encoder says nothing here, so ours are calibrated on sentences with one word swapped for a
WordNet antonym (``python suites/calibrate_encoder.py --sentences 250``). The encoder hardly tells antonyms from
synonyms, so the close threshold, which at most one antonym in twenty would pass, refuses most synonyms as well.
"""

from __future__ import annotations

import copy
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from textattack.constraints.semantics.sentence_encoders import SentenceEncoder
from torch import Tensor, nn

from stabbench.assets.fetch import fetch
from stabbench.attacks.engine.lockstep import ask
from stabbench.attacks.engine.resources import ENCODER
from stabbench.attacks.engine.victim import batches
from stabbench.models.anatomy import anatomy
from stabbench.models.encoding import collate, encode_texts
from stabbench.store.environment import processor_flags

BATCH, MAX_LENGTH = 32, 128
CLOSE, WIDE = 0.994, 0.83
"""Cosine of the 15 words around a swap: 95th and 5th percentile over antonyms."""
WIDE_TEXT = 0.85
"""Cosine of whole texts: the 5th percentile over antonyms."""
SCREENED = 0.97
"""Least threshold at which texts are screened in bf16: under a lower one most texts would be encoded twice."""
MARGIN = 0.006
"""What the cosine of two bf16 encodings may be below the threshold and still be asked for in float32.

On 3,266 windows of `textfooler-offline` (16 sentences of rotten tomatoes) a bf16 cosine missed the float32 one by at
most 0.0028, and of the 199 windows that `CLOSE` keeps none fell by more than 0.00043: the margin is 14 times that. It
is measured and not proven: a window that fell by more would be refused wrongly.
"""
SAME_START = 0.25
"""A model whose word embeddings differ less than this, relative to the encoder's, was fine-tuned from it."""


class Encoder:
    """Encodes texts in batches of like length.

    Args:
        model: gives ``last_hidden_state``; in evaluation mode.
        tokenizer: its tokenizer.
    """

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    @property
    def word_embeddings(self) -> Tensor:
        """(V, H) embeddings of the vocabulary."""
        table: Any = self.model.get_input_embeddings()  # type: ignore[operator]
        weight: Tensor = table.weight
        return weight.detach().float()

    @cached_property
    def coarse(self) -> Encoder | None:
        """The same in bf16, about twice as fast; None where the processor or the model's device has no use for it."""
        device = next(self.model.parameters()).device.type
        if device != "cpu" or not {"avx512_bf16", "amx_bf16"} & processor_flags():
            return None
        return Encoder(copy.deepcopy(self.model).to(torch.bfloat16), self.tokenizer)

    def __call__(self, texts: list[str]) -> Tensor:
        """Return (N, H) float32 vectors: means over a text's tokens, special ones included; in the texts' order."""
        encoded = encode_texts(self.tokenizer, texts, MAX_LENGTH)
        found: dict[int, Tensor] = {}
        with torch.inference_mode():
            for part in batches([len(item) for item in encoded], BATCH):
                batch = collate([encoded[index] for index in part], self.tokenizer)
                states = self.model(**batch.inputs()).last_hidden_state.float()
                mask = batch.attention_mask.unsqueeze(-1)
                found.update(zip(part, (states * mask).sum(1) / mask.sum(1), strict=True))
        return torch.stack([found[index] for index in range(len(texts))])


class LocalEncoder(SentenceEncoder):  # type: ignore[misc]
    """Keeps a text if it is similar enough; encodes no text of an example twice in one precision.

    Under a high threshold most texts are far from it. Where the processor computes in bf16 they are encoded in bf16
    first, and those that are not clearly below the threshold again in float32: only float32 keeps a text, and gives the
    score of one that is kept.

    Attributes:
        encoder: what encodes; the searches of one run share it.
    """

    def __init__(self, encoder: Encoder, **given: Any) -> None:
        super().__init__(metric="cosine", **given)
        self.encoder = encoder
        self._known: dict[str, Tensor] = {}
        self._known_coarsely: dict[str, Tensor] = {}

    def encode(self, sentences: list[str]) -> Tensor:
        """Return (N, H) vectors of texts."""
        return _encoded(self.encoder, sentences, self._known)

    def clear_cache(self) -> None:
        """Forget the texts of the last example."""
        self._known.clear()
        self._known_coarsely.clear()

    def _score_list(self, starting_text: Any, transformed_texts: Any) -> Tensor:
        """Return (N,) cosines; of a text that is clearly too far, the cosine of the coarse vectors."""
        pairs = [self._around_the_change(starting_text, text) for text in transformed_texts]
        coarse = self.encoder.coarse if self.threshold >= SCREENED else None
        if coarse is None or not pairs:
            return self._cosines(pairs)
        found = self._cosines(pairs, coarse)
        # Written so that a NaN is asked for again.
        near = [index for index, cosine in enumerate(found.tolist()) if not cosine < self.threshold - MARGIN]
        found[near] = self._cosines([pairs[index] for index in near])
        return found

    def _around_the_change(self, before: Any, after: Any) -> tuple[str, str]:
        place = next(iter(after.attack_attrs["newly_modified_indices"]))
        start, end = (text.text_window_around_index(place, self.window_size) for text in (before, after))
        return start, end

    def _cosines(self, pairs: list[tuple[str, str]], coarse: Encoder | None = None) -> Tensor:
        if not pairs:
            return torch.tensor([])
        texts = [text for pair in zip(*pairs, strict=True) for text in pair]
        vectors = self.encode(texts) if coarse is None else _encoded(coarse, texts, self._known_coarsely)
        cosines: Tensor = self.sim_metric(*vectors.chunk(2))
        return cosines


def _encoded(encoder: Encoder, texts: list[str], known: dict[str, Tensor]) -> Tensor:
    new = list(dict.fromkeys(text for text in texts if text not in known))
    if new:
        known.update(zip(new, ask(encoder, new), strict=True))
    return torch.stack([known[text] for text in texts])


@cache
def local_encoder() -> Encoder:
    """Return the encoder of the asset; loaded once a process.

    Raises:
        AssetError: the asset was not fetched.
    """
    return read_encoder(fetch(ENCODER, offline=True))


def read_encoder(folder: Path) -> Encoder:
    """Return an encoder from a model's folder."""
    from transformers import AutoModel, AutoTokenizer

    with torch.random.fork_rng(devices=[]):
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return Encoder(model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True))


def same_start(model: nn.Module | None, encoder: Encoder) -> bool | None:
    """Return whether `model` was fine-tuned from the encoder, told by ‖E − E₀‖/‖E₀‖; None where there is no model."""
    if model is None:
        return None
    own, start = anatomy(model).word_embeddings.weight.detach().float(), encoder.word_embeddings
    return own.shape == start.shape and float((own - start).norm() / start.norm()) < SAME_START
