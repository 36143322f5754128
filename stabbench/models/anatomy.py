"""Where the parts of an encoder are: embeddings, ordered blocks, pooler, head. Everything asks here; nothing else
matches on names.

The parts are told by structure, not by class names: the encoder is the model's ``base_model``; its blocks are the one
list of ``num_hidden_layers`` layers; what the encoder holds before the blocks are the embeddings, after them the
pooler; what the model holds beside the encoder is the head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from stabbench.errors import ConfigurationError


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
    """Return the anatomy of a sequence classifier of the BERT family (BERT, RoBERTa, DistilBERT, ELECTRA, …).

    Raises:
        ConfigurationError: the model's parts are not known; the message names its class.
    """
    encoder = _encoder(model)
    blocks = _blocks(model, encoder)
    word_embeddings = model.get_input_embeddings()  # type: ignore[operator]
    if not isinstance(word_embeddings, nn.Embedding):
        raise _unknown(model, "it has no table of word embeddings")
    before, after = _around(encoder, blocks)
    holders = [module for module in before if word_embeddings in set(module.modules())]
    if not holders:
        raise _unknown(model, "its word embeddings do not come before its blocks")
    head = [child for child in model.children() if child is not encoder and _has_parameters(child)]
    if not head:
        raise _unknown(model, "it has no parameters beside the encoder, so no head")
    parts: list[tuple[str, list[nn.Module]]] = [
        ("embeddings", before),
        *((f"block.{index}", [block]) for index, block in enumerate(blocks)),
        ("pooler", after),
        ("head", head),
    ]
    pooler = _one(after) if after else None
    block_of = _block_of(model, parts)
    names = tuple(name for name, modules in parts if modules)
    return Anatomy(holders[0], word_embeddings, tuple(blocks), pooler, _one(head), names, block_of)


def _encoder(model: nn.Module) -> nn.Module:
    encoder = getattr(model, "base_model", None)
    if not isinstance(encoder, nn.Module) or encoder is model:
        raise _unknown(model, "it has no encoder under a head")
    return encoder


def _blocks(model: nn.Module, encoder: nn.Module) -> nn.ModuleList:
    depth = getattr(getattr(model, "config", None), "num_hidden_layers", None)
    lists = [
        module
        for module in encoder.modules()
        if isinstance(module, nn.ModuleList) and len(module) == depth and all(map(_has_parameters, module))
    ]
    if not lists or len({type(block) for block in lists[0]}) != 1:
        raise _unknown(model, f"it has no list of {depth} blocks of one kind (shared layers are not supported)")
    return lists[0]


def _around(encoder: nn.Module, blocks: nn.ModuleList) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return the encoder's outermost parts with parameters before and after the list of blocks."""
    before: list[nn.Module] = []
    after: list[nn.Module] = []
    seen = False
    for module in _outermost(encoder, blocks):
        if module is blocks:
            seen = True
        elif _has_parameters(module):
            # Tables after the blocks are relative positions, which the blocks read: embeddings.
            (after if seen and not _has_table(module) else before).append(module)
    return before, after


def _outermost(module: nn.Module, blocks: nn.ModuleList) -> Iterator[nn.Module]:
    for child in module.children():
        if child is not blocks and blocks in set(child.modules()):
            yield from _outermost(child, blocks)
        else:
            yield child


def _block_of(model: nn.Module, parts: list[tuple[str, list[nn.Module]]]) -> dict[str, str]:
    owner: dict[int, str] = {}
    for name, modules in parts:
        for module in modules:
            for parameter in module.parameters():
                owner.setdefault(id(parameter), name)  # tied weights belong to the lower part
    orphans = [name for name, parameter in model.named_parameters() if id(parameter) not in owner]
    if orphans:
        raise _unknown(model, f"parameter {orphans[0]!r} belongs to no part")
    return {name: owner[id(parameter)] for name, parameter in model.named_parameters()}


def _one(modules: list[nn.Module]) -> nn.Module:
    return modules[0] if len(modules) == 1 else nn.ModuleList(modules)


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _has_table(module: nn.Module) -> bool:
    return any(isinstance(child, nn.Embedding) for child in module.modules())


def _unknown(model: nn.Module, why: str) -> ConfigurationError:
    return ConfigurationError(
        [
            f"the anatomy of {type(model).__name__} is not known: {why}. "
            "Use a sequence classifier of the BERT family, such as BERT, RoBERTa, DistilBERT or ELECTRA."
        ]
    )
