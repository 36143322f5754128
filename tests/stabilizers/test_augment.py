"""Augmentation: which texts change, how, and that nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from stabbench import registry
from stabbench.data.example import Dataset, Example, Text
from stabbench.errors import ConfigurationError
from stabbench.models.batch import Batch
from stabbench.models.encoding import collate, encode_texts
from stabbench.models.loading import load_tokenizer
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.augment import Augment
from stabbench.training.request import TrainResult

TEXTS = ["the film was a great and long story about people", "an excellent movie with a dull plot and no life"]
EXAMPLES = tuple(Example(f"t:{i}", f"{TEXTS[i % 2]} {i}", i % 2) for i in range(40))
PAIRS = tuple(Example(f"p:{i}", TEXTS[0], i % 2, pair=TEXTS[1]) for i in range(6))


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


def batch_of(examples: Sequence[Example], tokenizer: Any) -> Batch:
    encoded = encode_texts(tokenizer, [e.content for e in examples], 64)
    return collate(encoded, tokenizer, [e.label for e in examples], [e.id for e in examples])


def seen(
    visits: Sequence[Sequence[Example]],
    tokenizer: Any,
    seeds: TrialSeeds = TrialSeeds(0, 0),  # noqa: B008  frozen
    **options: Any,
) -> list[list[Text]]:
    """Return the texts that a stabilizer puts in place of those of each batch."""
    found: list[list[Text]] = []

    def encode(texts: Sequence[Text]) -> Batch:
        found[-1] = list(texts)
        return collate(encode_texts(tokenizer, texts, 64), tokenizer)

    stabilizer = Augment(**options)
    stabilizer.prepare_data([*EXAMPLES, *PAIRS], seeds, encode)
    for step, examples in enumerate(visits):
        found.append([example.content for example in examples])
        stabilizer.transform_batch(batch_of(examples, tokenizer), step)
    return found


def test_a_changed_text_is_what_the_kind_makes_at_that_severity(tokenizer: Any) -> None:
    (texts,) = seen([EXAMPLES], tokenizer, kinds=("word_drop",), probability=1.0, severity=5)

    changed = [(e.text, text) for e, text in zip(EXAMPLES, texts, strict=True) if text != e.text]
    assert len(changed) > 35, "severity 5 drops 40 % of the words"
    for before, after in changed:
        assert isinstance(after, str)
        kept = iter(before.split())
        assert all(word in kept for word in after.split()), "words are only left out, in order"
    shares = [1 - len(str(after).split()) / len(before.split()) for before, after in changed]
    assert sum(shares) / len(shares) == pytest.approx(registry.load("perturbations", "word_drop").rates[4], abs=0.08)


def test_the_share_of_changed_texts_is_the_probability(tokenizer: Any) -> None:
    found = seen([EXAMPLES] * 50, tokenizer, kinds=("word_drop",), probability=0.3, severity=5)

    changed = sum(text != e.text for texts in found for e, text in zip(EXAMPLES, texts, strict=True))
    # Severity 5 leaves a text of ten words as it is with 0.6^10 < 1 %.
    assert changed / (50 * len(EXAMPLES)) == pytest.approx(0.3, abs=0.03)


def test_every_visit_draws_anew_and_depends_only_on_example_and_visit(tokenizer: Any) -> None:
    whole = seen([EXAMPLES, EXAMPLES], tokenizer, probability=1.0, severity=4)
    halves = [EXAMPLES[20:][::-1], EXAMPLES[:20], EXAMPLES[:20], EXAMPLES[20:]]

    parts = seen(halves, tokenizer, probability=1.0, severity=4)

    assert whole[0] != whole[1]
    assert parts[1] + parts[0][::-1] == whole[0]
    assert parts[2] + parts[3] == whole[1]


def test_the_stream_follows_the_order_seed_and_not_the_init_seed(tokenizer: Any) -> None:
    base, other_init, other_order = (
        seen([EXAMPLES], tokenizer, seeds, probability=1.0)
        for seeds in (TrialSeeds(0, 0), TrialSeeds(1, 0), TrialSeeds(0, 1))
    )

    assert base == other_init != other_order


def test_both_texts_of_a_pair_are_changed_and_not_alike(tokenizer: Any) -> None:
    (texts,) = seen([PAIRS], tokenizer, kinds=("char_swap",), probability=1.0, severity=5)

    for text in texts:
        assert isinstance(text, tuple)
        assert text[0] != TEXTS[0]
        assert text[1] != TEXTS[1]


def test_labels_ids_and_order_stay_and_only_the_tokens_change(tokenizer: Any) -> None:
    stabilizer = Augment(probability=1.0, severity=5, kinds=("char_swap",))
    stabilizer.prepare_data(
        EXAMPLES, TrialSeeds(0, 0), lambda texts: collate(encode_texts(tokenizer, texts, 64), tokenizer)
    )
    batch = batch_of(EXAMPLES[:8], tokenizer)

    found = stabilizer.transform_batch(batch, 0)

    assert found.labels is batch.labels
    assert found.examples == batch.examples
    assert found.input_ids.shape == found.attention_mask.shape
    width = min(found.input_ids.shape[1], batch.input_ids.shape[1])
    assert not torch.equal(found.input_ids[:, :width], batch.input_ids[:, :width])


def test_a_batch_in_which_nothing_changed_is_passed_on_as_it_is(tokenizer: Any) -> None:
    stabilizer = Augment(probability=0.0)
    stabilizer.prepare_data(EXAMPLES, TrialSeeds(0, 0), lambda texts: pytest.fail("nothing is to be encoded"))
    batch = batch_of(EXAMPLES[:4], tokenizer)

    assert stabilizer.transform_batch(batch, 0) is batch


def test_the_loop_trains_on_the_changed_texts_and_hashes_the_order_before(
    fine_tune_tiny: Callable[..., TrainResult],
) -> None:
    data = Dataset((*EXAMPLES, *PAIRS), (), EXAMPLES[:8], ("no", "yes"), "fingerprint")

    plain = fine_tune_tiny(data=data)
    noisy = fine_tune_tiny([("augment", {"probability": 1.0})], data=data)

    assert noisy.details["hashes"]["order"] == plain.details["hashes"]["order"]
    assert noisy.details["steps"] == plain.details["steps"]
    assert noisy.details["weights"] != plain.details["weights"]


def test_an_unknown_kind_is_named_with_its_neighbour() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'word_drop'"):
        Augment(kinds=("word_dorp",)).prepare_data(EXAMPLES, TrialSeeds(0, 0), lambda texts: pytest.fail(str(texts)))
