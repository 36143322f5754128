"""``vocab-trim``: rows of the word embeddings that no training text uses left out; lossless on covered text."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch
from torch import nn

from stabbench.compression._artifact import load_model, save_model
from stabbench.compression._vocabulary import needed_ids, write_trimmed
from stabbench.compression.base import Compressor, Level, Material, torch_model
from stabbench.data.example import Text
from stabbench.errors import StabbenchError
from stabbench.models.anatomy import anatomy
from stabbench.models.encoding import encode_texts
from stabbench.models.loading import load_tokenizer
from stabbench.models.subject import Subject

REPORT = "vocabulary.json"


@dataclass(frozen=True)
class VocabTrim(Compressor):
    """The vocabulary cut down to the pieces of the training texts, special tokens and single characters.

    A text is *covered* where every piece that the whole vocabulary cuts it into is kept; on covered text the logits are
    bit-equal, which is checked on the training texts when it is made. Other text is cut into smaller pieces, or unknown
    ones. The artifact is an ordinary model of fewer words with its own tokenizer; ``vocabulary.json`` is ``{"schema":
    1, "pieces": kept, "pieces_before": N, "training_texts": n}``.
    """

    version: ClassVar[int] = 1
    gives: ClassVar[Level] = "encoder"
    calibrates: ClassVar[str] = "all"
    paper: ClassVar[str] = "Abdaoui et al. 2020, Load What You Need, arXiv:2010.05609"
    equation: ClassVar[str] = """
        E' = E[K], K the ascending ids that stay, new id = position in K; f'(x) = f(x) bit by bit where ids(x) ⊆ K
    """
    changes: ClassVar[str] = "Word embeddings and tokenizer; every other weight stays bit by bit."
    cost: ClassVar[str] = "Tokenizes the training texts; two forward passes of some of them for the check."
    departures: ClassVar[str] = "Keeps what the training texts use, not a language's most frequent words."
    pitfalls: ClassVar[str] = """
        Few training texts cover few words: compression.uncovered_texts tells how many test texts are cut otherwise than
        before. Text that is changed on purpose (noise, attacks) is covered less. No speed: a look-up costs the same.
    """

    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Write the smaller model, its tokenizer and the report, and check both on training texts.

        Raises:
            ConfigurationError: the tokenizer is of no known kind.
            StabbenchError: a training text is cut otherwise, or a logit differs.
        """
        model = copy.deepcopy(torch_model(subject, "vocab-trim"))
        texts = material.texts(len(material.examples))
        used = {i for item in encode_texts(subject.tokenizer, texts, subject.max_length) for i in item.input_ids}
        tokenizer, kept = _smaller(subject.tokenizer, used)
        before = _trim(model, kept)
        save_model(model.eval(), subject, folder, tokenizer)
        report = {"schema": 1, "pieces": len(kept), "pieces_before": before, "training_texts": len(texts)}
        (folder / REPORT).write_text(json.dumps(report) + "\n", encoding="utf-8")
        _check(subject, load_model(folder), kept, texts)

    def load(self, folder: Path) -> Subject:
        """Return the float32 subject of the artifact; chains may go on from it."""
        return load_model(folder)


def covered(before: Any, after: Any, texts: Sequence[Text], max_length: int) -> list[bool]:
    """Return for each text whether two tokenizers cut it into the same pieces."""
    cut = [encode_texts(tokenizer, texts, max_length) for tokenizer in (before, after)]
    return [
        before.convert_ids_to_tokens(old.input_ids) == after.convert_ids_to_tokens(new.input_ids)
        for old, new in zip(*cut, strict=True)
    ]


def _smaller(tokenizer: Any, used: set[int]) -> tuple[Any, list[int]]:
    """Return the tokenizer with what is not needed left out, and the old ids in the order of the new ones."""
    with TemporaryDirectory(prefix="stabbench-") as scratch:
        folder = Path(scratch)
        tokenizer.save_pretrained(folder)
        content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        kept = needed_ids(content, used, tokenizer.all_special_ids, int(tokenizer.pad_token_id))
        write_trimmed(folder, {old: new for new, old in enumerate(kept)})
        # The config of the model's family is not there: the tokenizer's own files say its class.
        return load_tokenizer(folder), kept


def _trim(model: nn.Module, kept: Sequence[int]) -> int:
    """Leave out rows of the word embeddings in place; return how many there were."""
    table, config = anatomy(model).word_embeddings, _config(model)
    before = table.num_embeddings
    index = torch.tensor([i for i in kept if i < before], dtype=torch.int64)
    table.weight = nn.Parameter(table.weight.detach()[index].clone())
    table.num_embeddings = len(index)
    new_ids = {old: new for new, old in enumerate(kept)}
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "mask_token_id"):
        if isinstance(old := getattr(config, name, None), int):
            setattr(config, name, new_ids.get(old))
    config.vocab_size = len(index)
    return before


def _config(model: Any) -> Any:
    return model.config


def _check(before: Subject, after: Subject, kept: Sequence[int], texts: Sequence[Text]) -> None:
    old = encode_texts(before.tokenizer, texts, before.max_length)
    new = encode_texts(after.tokenizer, texts, after.max_length)
    for text, mine, other in zip(texts, old, new, strict=True):
        if mine.input_ids != [kept[index] for index in other.input_ids]:
            raise StabbenchError(
                f"vocab-trim: the smaller tokenizer cuts a training text otherwise: {str(text)[:60]!r}"
            )
    few = list(texts[:16])
    if few and not torch.equal(before.logits(before.encode(few)), after.logits(after.encode(few))):
        raise StabbenchError("vocab-trim: the logits of covered texts are not bit-equal")
