"""Where the parts of an encoder are: embeddings, ordered blocks, pooler, head. Everything asks here; nothing else
matches on names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Anatomy:
    """The parts of one model.

    Attributes:
        embeddings: the embedding layer as a whole.
        word_embeddings: the table of word embeddings; its output is (B, T, H).
        blocks: encoder blocks from the bottom up.
        pooler: module between the last block and the head, or None.
        head: the classifier, initialised at random.
        block_names: ``embeddings``, ``block.0`` …, ``pooler``, ``head``, from the bottom up.
        block_of: name of each parameter (as in ``named_parameters``) → name of its block.
    """

    embeddings: nn.Module
    word_embeddings: nn.Embedding
    blocks: tuple[nn.Module, ...]
    pooler: nn.Module | None
    head: nn.Module
    block_names: tuple[str, ...]
    block_of: Mapping[str, str]


def anatomy(model: nn.Module) -> Anatomy:
    """Return the anatomy of a sequence classifier of the BERT family.

    Raises:
        ConfigurationError: the model's parts are not known; the message names its class.
    """
    raise NotImplementedError
