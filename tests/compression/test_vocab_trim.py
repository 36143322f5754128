"""vocab-trim: bit-equal on covered text, honest about the rest, over every kind of tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from stabbench.compression._vocabulary import needed_ids, piece_ids, trimmed
from stabbench.compression.base import Material
from stabbench.compression.vocab_trim import VocabTrim, covered
from stabbench.data.example import Example
from stabbench.errors import ConfigurationError
from stabbench.models.subject import Subject

WORDS = ("good", "bad", "dull", "great", "story", "people", "zebra", "unlikely", "x", "!", "42")


@pytest.fixture(scope="module")
def artifact(dense: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trimmed")
    texts = ["a good film", "the story was dull", "people like it !"]
    VocabTrim().compress(dense, Material(tuple(Example(f"t:{i}", t, i % 2) for i, t in enumerate(texts))), folder)
    return folder


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_logits_are_bit_equal_exactly_where_the_pieces_are_the_same(
    dense: Subject, artifact: Path, words: list[str]
) -> None:
    smaller = VocabTrim().load(artifact)
    text = " ".join(words)
    (same,) = covered(dense.tokenizer, smaller.tokenizer, [text], 32)

    pieces = dense.tokenizer.convert_ids_to_tokens(dense.encode([text]).input_ids[0])
    assert same == all(piece in smaller.tokenizer.get_vocab() for piece in pieces)
    if same:
        assert torch.equal(smaller.logits(smaller.encode([text])), dense.logits(dense.encode([text])))


def test_only_what_training_texts_use_and_single_characters_stay(dense: Subject, artifact: Path) -> None:
    kept = set(VocabTrim().load(artifact).tokenizer.get_vocab())
    whole = dense.tokenizer.get_vocab()
    used = {"a", "good", "film", "the", "story", "was", "dull", "people", "like", "it", "!"}

    assert kept == used | {p for p in whole if len(p.removeprefix("##")) == 1} | set(dense.tokenizer.all_special_tokens)
    report = json.loads((artifact / "vocabulary.json").read_text())
    assert report == {"schema": 1, "pieces": len(kept), "pieces_before": len(whole), "training_texts": 3}


def test_rows_are_moved_and_not_changed(dense: Subject, artifact: Path) -> None:
    smaller = VocabTrim().load(artifact)
    assert dense.model is not None
    assert smaller.model is not None
    old, new = (s.model.get_input_embeddings().weight for s in (dense, smaller))  # type: ignore[union-attr, operator]

    for piece, index in smaller.tokenizer.get_vocab().items():
        assert torch.equal(new[index], old[dense.tokenizer.convert_tokens_to_ids(piece)])
    assert smaller.tokenizer.pad_token_id == dense.tokenizer.pad_token_id
    assert smaller.model.config.vocab_size == len(new)


CORPUS = [
    "the good film was better than the best of films", "lower lowest newer newest wider", "a dull and dismal story",
    "unbelievable beliefs", "the people were good people",
]  # fmt: skip


def _trained(kind: str) -> Tokenizer:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    if kind == "bpe":
        made = Tokenizer(models.BPE(unk_token="[UNK]"))
        trainer: object = trainers.BpeTrainer(vocab_size=150, special_tokens=special, show_progress=False)
    elif kind == "unigram":
        made = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(vocab_size=80, special_tokens=special, unk_token="[UNK]", show_progress=False)
    else:
        made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        trainer = trainers.WordLevelTrainer(special_tokens=special, show_progress=False)
    made.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=True) if kind == "bpe" else pre_tokenizers.Metaspace()
    )
    made.train_from_iterator(CORPUS, trainer)
    ids = [(token, made.token_to_id(token)) for token in ("[SEP]", "[CLS]")]
    made.post_processor = processors.BertProcessing(*ids)
    return made


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordlevel"])
def test_other_kinds_of_tokenizers_cut_covered_text_as_before(kind: str) -> None:
    whole = _trained(kind)
    content = json.loads(whole.to_str())
    used = {index for text in CORPUS[:2] for index in whole.encode(text).ids}
    specials = [whole.token_to_id(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")]

    kept = needed_ids(content, used, specials, 0)
    smaller = Tokenizer.from_str(json.dumps(trimmed(content, {old: new for new, old in enumerate(kept)})))

    assert smaller.get_vocab_size() < whole.get_vocab_size()
    for text in CORPUS:
        old, new = whole.encode(text), smaller.encode(text)
        if set(old.ids) <= set(kept):
            assert new.tokens == old.tokens
            assert [kept[index] for index in new.ids] == old.ids
    assert {smaller.id_to_token(i) for i in range(smaller.get_vocab_size())} == {whole.id_to_token(i) for i in kept}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=smaller, cls_token="[CLS]", pad_token="[PAD]")
    assert wrapped("the good film")["input_ids"][0] == kept.index(whole.token_to_id("[CLS]"))


def test_an_unknown_kind_of_tokenizer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'Other'; known: WordPiece"):
        piece_ids({"model": {"type": "Other"}})
