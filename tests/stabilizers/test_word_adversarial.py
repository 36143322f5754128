"""The word search against gradients and losses asked for by hand, and the share and order of what is attacked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_step import TinyStep, tiny_step
from torch import nn

from stabbench.attacks.engine.edits import words_changed
from stabbench.data.example import Example, Text
from stabbench.errors import ConfigurationError
from stabbench.models.batch import Batch
from stabbench.models.loading import state_hash
from stabbench.models.words import Word, words_of
from stabbench.perturbations.base import Perturbation
from stabbench.perturbations.char_swap import CharSwap
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._word_search import WordSearch, most_important
from stabbench.stabilizers.word_adversarial import WordAdversarial

SENTENCES = (
    "the film was dull and very long", "a great story", "good", "the plot was boring and the people were poor",
    "excellent film with a funny script", "a bad movie and a worse book",
)  # fmt: skip


@pytest.fixture
def tiny(tiny_model: Path) -> TinyStep:
    """The model with dropout: the search must ask it without."""
    return tiny_step(tiny_model)


def loss_of(tiny: TinyStep, text: Text, label: int) -> float:
    tiny.model.eval()
    with torch.no_grad():
        logits = tiny.model(**tiny.encode([text]).inputs()).logits
    tiny.model.train()
    return float(nn.functional.cross_entropy(logits, torch.tensor([label])))


def answered(tiny: TinyStep, right: bool = True) -> list[Example]:
    """Return the sentences with the label that the model gives them, or with the other."""
    found = []
    for index, text in enumerate(SENTENCES):
        label = int(loss_of(tiny, text, 1) < loss_of(tiny, text, 0))
        found.append(Example(f"t:{index}", text, label if right else 1 - label))
    return found


def worst(tiny: TinyStep, examples: Sequence[Example], **options: Any) -> list[Text]:
    search = WordSearch(tiny.model, tiny.parts.word_embeddings, tiny.encode, [CharSwap()])
    given = {"share": 0.5, "fewest": 3, "candidates": 4} | options
    found = search.worst(examples, [n for n, _ in enumerate(examples)], **given)
    search.remove()
    return found


def test_words_are_ordered_by_the_l1_norm_of_their_tokens_mean_gradient() -> None:
    gradient = np.random.default_rng(0).normal(size=(7, 4))
    tokens = [(1,), (2, 3), (), (4, 5, 6)]
    words = [Word("w", 0, 0, 1, positions) for positions in tokens]
    norms = {i: np.abs(gradient[list(p)].mean(axis=0)).sum() for i, p in enumerate(tokens) if p}

    assert most_important(torch.tensor(gradient), words) == sorted(norms, key=lambda i: -norms[i])


def test_the_first_word_tried_is_the_most_important_one(tiny: TinyStep) -> None:
    """By gradients asked for through the model's own entrance for embeddings, in evaluation mode."""
    examples = answered(tiny)
    expected = []
    for example in examples:
        tiny.model.eval()
        batch = tiny.encode([example.text])
        embeddings = tiny.parts.word_embeddings(batch.input_ids).detach().requires_grad_()
        logits = tiny.model(inputs_embeds=embeddings, attention_mask=batch.attention_mask).logits
        loss = nn.functional.cross_entropy(logits, torch.tensor([example.label]))
        (gradient,) = torch.autograd.grad(loss, embeddings)
        tiny.model.train()
        words = words_of(example.text, tiny.encode)
        norms = [float(gradient[0, list(w.tokens)].mean(dim=0).abs().sum()) for w in words]
        expected.append(words[int(np.argmax(norms))].text)

    class Swapped(Perturbation):
        """Puts another word in the place of the one it is given."""

        def edit(self, text: str, rate: float, rng: Any) -> str:
            return str(rng.choice(("worst", "best", "funny", "world", "zz", "q", "many")))

    search = WordSearch(tiny.model, tiny.parts.word_embeddings, tiny.encode, [Swapped()])
    found = search.worst(examples, [0] * len(examples), share=0.0, fewest=1, candidates=12)

    changed = [(e, str(t), w) for e, t, w in zip(examples, found, expected, strict=True) if t != e.text]
    assert len(changed) >= 3, "a change that raises no loss is not kept"
    for example, text, word in changed:
        pairs = zip(example.text.split(), text.split(), strict=True)
        assert [old for old, new in pairs if old != new] == [word]


def test_what_is_found_has_a_higher_loss_and_few_changed_words(tiny: TinyStep) -> None:
    examples = answered(tiny)

    found = worst(tiny, examples, share=0.0, fewest=2)

    assert any(text != example.text for text, example in zip(found, examples, strict=True))
    for text, example in zip(found, examples, strict=True):
        assert words_changed(example.content, text) <= 2
        if text != example.text:
            assert loss_of(tiny, text, example.label) > loss_of(tiny, example.text, example.label)


def test_more_words_never_find_less(tiny: TinyStep) -> None:
    examples = answered(tiny)
    losses = [
        [loss_of(tiny, text, e.label) for text, e in zip(worst(tiny, examples, fewest=n), examples, strict=True)]
        for n in (1, 2, 4)
    ]

    assert (np.diff(np.array(losses), axis=0) >= -1e-6).all()


def test_of_the_candidates_the_worst_is_taken(tiny: TinyStep) -> None:
    """One word to try, and a perturbation that offers three texts in turn."""
    offers = ["bad", "great", "##x"]
    example = answered(tiny)[2]

    class Offers(Perturbation):
        """Gives one offer after the other."""

        def edit(self, text: str, rate: float, rng: Any) -> str:
            turns.append(0)
            return offers[(len(turns) - 1) % 3]

    turns: list[int] = []
    search = WordSearch(tiny.model, tiny.parts.word_embeddings, tiny.encode, [Offers()])
    (found,) = search.worst([example], [0], share=0.0, fewest=1, candidates=3)

    assert found == max([*offers, example.text], key=lambda text: loss_of(tiny, text, example.label))


def test_texts_that_are_answered_wrongly_are_not_attacked(tiny: TinyStep) -> None:
    examples = answered(tiny, right=False)

    assert worst(tiny, examples) == [example.content for example in examples]


def test_pairs_are_attacked_in_both_parts_and_empty_texts_in_none(tiny: TinyStep) -> None:
    pair = Example("p", "good film", 0, "the story was dull and long")
    label = int(loss_of(tiny, pair.content, 1) < loss_of(tiny, pair.content, 0))
    empty = [Example("e", "", c) for c in (0, 1)]

    found = worst(tiny, [Example("p", pair.text, label, pair.pair), *empty], share=1.0)

    assert isinstance(found[0], tuple)
    assert found[1:] == ["", ""]


def test_the_search_leaves_model_gradients_and_random_state_alone(tiny: TinyStep) -> None:
    tiny.parts.blocks[0].eval()
    before, state = state_hash(tiny.model), torch.get_rng_state()
    modes = [module.training for module in tiny.model.modules()]

    worst(tiny, answered_without_mode(tiny))

    assert state_hash(tiny.model) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in tiny.model.modules()] == modes
    assert all(parameter.grad is None for parameter in tiny.model.parameters())


def answered_without_mode(tiny: TinyStep) -> list[Example]:
    return [Example(f"t:{i}", text, label) for i, text in enumerate(SENTENCES) for label in (0, 1)]


def prepared(tiny: TinyStep, examples: Sequence[Example], **options: Any) -> WordAdversarial:
    stabilizer = WordAdversarial(**options)
    stabilizer.prepare_data(examples, TrialSeeds(0, 0), tiny.encode)
    stabilizer.prepare_model(tiny.model, tiny.parts, TrialSeeds(0, 0), 10)
    return stabilizer


def batch_of(tiny: TinyStep, examples: Sequence[Example]) -> Batch:
    plain = tiny.encode([example.content for example in examples])
    labels = torch.tensor([example.label for example in examples])
    ids = tuple(example.id for example in examples)
    return Batch(plain.input_ids, plain.attention_mask, plain.token_type_ids, labels, ids)


def test_first_epochs_are_clean_and_attacked_texts_keep_their_place_and_label(tiny: TinyStep) -> None:
    examples = answered(tiny)
    stabilizer = prepared(tiny, examples, share=1.0, clean_epochs=2)
    batch = batch_of(tiny, examples)

    first, second, third = (stabilizer.transform_batch(batch, epoch) for epoch in range(3))

    assert first is batch
    assert second is batch
    assert third.labels is not None
    assert third.labels.tolist() == [example.label for example in examples]
    assert third.examples == batch.examples
    texts = [tiny.encode.tokenizer.decode(ids, skip_special_tokens=True) for ids in third.input_ids]
    assert any(text != example.text for text, example in zip(texts, examples, strict=True))


def test_the_share_is_a_share_of_the_examples_drawn_anew_in_each_epoch(tiny: TinyStep) -> None:
    examples = [Example(f"n:{n}", "good", 0) for n in range(400)]
    stabilizer = prepared(tiny, examples, share=0.2, clean_epochs=0)

    chosen = [[stabilizer._visited(example) is not None for example in examples] for _ in range(2)]

    assert np.mean(chosen) == pytest.approx(0.2, abs=0.05)
    assert chosen[0] != chosen[1]


def test_what_an_example_becomes_does_not_depend_on_when_it_comes(tiny: TinyStep) -> None:
    examples = answered(tiny)
    forwards, backwards = (
        prepared(tiny, examples, share=1.0, clean_epochs=0).transform_batch(batch_of(tiny, order), step)
        for step, order in enumerate((examples, examples[::-1]))
    )

    rows = [dict(zip(b.examples, b.input_ids.tolist(), strict=True)) for b in (forwards, backwards)]
    assert rows[0] == rows[1]


def test_clean_texts_are_kept_beside_the_attacked_where_asked(tiny: TinyStep) -> None:
    examples = answered(tiny)
    batch = batch_of(tiny, examples)

    found = prepared(tiny, examples, share=1.0, clean_epochs=0, keep_clean=True).transform_batch(batch, 0)

    assert len(found) > len(batch)
    width = batch.input_ids.shape[1]
    assert torch.equal(found.input_ids[: len(batch), :width], batch.input_ids)
    label_of = {example.id: example.label for example in examples}
    assert found.labels is not None
    assert found.labels.tolist() == [label_of[name] for name in found.examples]


def test_an_unknown_kind_is_refused_with_the_nearest_name(tiny: TinyStep) -> None:
    with pytest.raises(ConfigurationError, match="char_swap"):
        prepared(tiny, [], kinds=("char_swp",))
