"""A local sentence encoder in the place of the Universal Sentence Encoder, which has to be downloaded.

The encoder is all-MiniLM-L6-v2 (asset `builtin:minilm-l6`): the mean of its last hidden states over a text's tokens.
A threshold for the other encoder says nothing here, so ours are calibrated on sentences with one word swapped for a
WordNet antonym (``python suites/calibrate_encoder.py --sentences 250``). The encoder hardly tells antonyms from
synonyms, so the close threshold, which at most one antonym in twenty would pass, refuses most synonyms as well.
"""

from __future__ import annotations

from functools import cache
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

BATCH, MAX_LENGTH = 32, 128
CLOSE, WIDE = 0.994, 0.83
"""Cosine of the 15 words around a swap: 95th and 5th percentile over antonyms."""
WIDE_TEXT = 0.85
"""Cosine of whole texts: the 5th percentile over antonyms."""
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
    """Keeps a text if it is similar enough; encodes no text of an example twice.

    Attributes:
        encoder: what encodes; the searches of one run share it.
    """

    def __init__(self, encoder: Encoder, **given: Any) -> None:
        super().__init__(metric="cosine", **given)
        self.encoder = encoder
        self._known: dict[str, Tensor] = {}

    def encode(self, sentences: list[str]) -> Tensor:
        """Return (N, H) vectors of texts."""
        new = list(dict.fromkeys(text for text in sentences if text not in self._known))
        if new:
            self._known.update(zip(new, ask(self.encoder, new), strict=True))
        return torch.stack([self._known[text] for text in sentences])

    def clear_cache(self) -> None:
        """Forget the texts of the last example."""
        self._known.clear()


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
