"""TextFooler, TextBugger and three attacks by masked language models, of parts that need no download."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from textattack import Attack
from textattack.constraints.overlap import MaxWordsPerturbed
from textattack.constraints.pre_transformation import (
    InputColumnModification,
    RepeatModification,
    StopwordModification,
)
from textattack.constraints.semantics import WordEmbeddingDistance
from textattack.goal_functions import UntargetedClassification
from textattack.search_methods import GreedySearch, GreedyWordSwapWIR
from textattack.transformations import (
    CompositeTransformation,
    WordInsertionMaskedLM,
    WordSwap,
    WordSwapEmbedding,
    WordSwapMaskedLM,
    WordSwapNeighboringCharacterSwap,
    WordSwapRandomCharacterDeletion,
    WordSwapRandomCharacterInsertion,
)

from stabbench.attacks.engine.similarity import CLOSE, WIDE, WIDE_TEXT, LocalEncoder, local_encoder
from stabbench.attacks.engine.word_classes import SameWordClass
from stabbench.attacks.engine.word_vectors import glove
from stabbench.perturbations.homoglyph import LOOKALIKES

WINDOW = 15
"""Words around a swap that have to stay similar."""


class LookAlikes(WordSwap):  # type: ignore[misc]
    """One letter of a word becomes one of another script that looks the same."""

    def _get_replacement_words(self, word: str) -> list[str]:
        return [word[:i] + LOOKALIKES[c] + word[i + 1 :] for i, c in enumerate(word) if c in LOOKALIKES]


def textfooler(victim: Any) -> Attack:
    """Return TextFooler with GloVe's neighbours, lemminflect's classes and the local encoder."""
    constraints = [
        RepeatModification(),
        StopwordModification(),
        InputColumnModification(["premise", "hypothesis"], {"premise"}),
        WordEmbeddingDistance(embedding=glove(), min_cos_sim=0.7),
        SameWordClass(),
        LocalEncoder(local_encoder(), threshold=CLOSE, window_size=WINDOW, compare_against_original=False),
    ]
    swaps = WordSwapEmbedding(max_candidates=50, embedding=glove())
    return Attack(UntargetedClassification(victim), constraints, swaps, GreedyWordSwapWIR("delete"))


def textbugger(victim: Any) -> Attack:
    """Return TextBugger with GloVe's neighbours, our look-alikes and the local encoder."""
    inside: dict[str, bool] = {"random_one": True, "skip_first_char": True, "skip_last_char": True}
    bugs = [
        WordSwapRandomCharacterInsertion(letters_to_insert=" ", **inside),
        WordSwapRandomCharacterDeletion(**inside),
        WordSwapNeighboringCharacterSwap(**inside),
        LookAlikes(),
        WordSwapEmbedding(max_candidates=5, embedding=glove()),
    ]
    constraints = [
        RepeatModification(),
        StopwordModification(),
        LocalEncoder(local_encoder(), threshold=WIDE_TEXT),
    ]
    search = GreedyWordSwapWIR("delete")
    return Attack(UntargetedClassification(victim), constraints, CompositeTransformation(bugs), search)


def bae(victim: Any, folder: str) -> Attack:
    """Return BAE with the masked language model of a folder."""
    constraints = [RepeatModification(), StopwordModification(), SameWordClass(), _around(CLOSE)]
    swaps = WordSwapMaskedLM(method="bae", max_candidates=50, min_confidence=0.0, **_masked(folder))
    return Attack(UntargetedClassification(victim), constraints, swaps, GreedyWordSwapWIR("delete"))


def bert_attack(victim: Any, folder: str) -> Attack:
    """Return BERT-Attack with the masked language model of a folder."""
    constraints = [
        RepeatModification(),
        StopwordModification(),
        MaxWordsPerturbed(max_percent=0.4),
        LocalEncoder(local_encoder(), threshold=WIDE_TEXT),
    ]
    swaps = WordSwapMaskedLM(method="bert-attack", max_candidates=8, **_masked(folder))
    return Attack(UntargetedClassification(victim), constraints, swaps, GreedyWordSwapWIR("unk"))


def clare(victim: Any, folder: str) -> Attack:
    """Return CLARE without its merges, with the masked language model of a folder."""
    given = _masked(folder)
    edits = [
        WordSwapMaskedLM(method="bae", max_candidates=50, min_confidence=5e-4, **given),
        WordInsertionMaskedLM(max_candidates=50, min_confidence=0.0, **given),
    ]
    constraints = [RepeatModification(), StopwordModification(), _around(WIDE)]
    return Attack(UntargetedClassification(victim), constraints, CompositeTransformation(edits), GreedySearch())


def _around(threshold: float) -> LocalEncoder:
    return LocalEncoder(local_encoder(), threshold=threshold, window_size=WINDOW)


@cache
def _language_model(folder: str) -> tuple[Any, Any]:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    with torch.random.fork_rng(devices=[]):
        model = AutoModelForMaskedLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _masked(folder: str) -> dict[str, Any]:
    model, tokenizer = _language_model(folder)
    return {"masked_language_model": model, "tokenizer": tokenizer}
