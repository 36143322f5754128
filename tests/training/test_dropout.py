"""Matched dropout: masks are a function of seed, step, pass, draw and place, and of nothing drawn elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import BertForSequenceClassification

from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.training.dropout import MatchedDropout

IDS = torch.arange(5, 21).view(2, 8)


@pytest.fixture
def model(tiny_model: Path) -> nn.Module:
    return load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))[0]


@pytest.fixture
def forward(model: nn.Module) -> Callable[..., Tensor]:
    dropout = MatchedDropout(model, TrialSeeds(0, 0))

    def run(step: int = 0, micro: int = 0, backward: int = 0, draw: int = 0) -> Tensor:
        with dropout.drawing(step, micro, backward, draw):
            logits: Tensor = model(input_ids=IDS).logits
        return logits.detach()

    return run


def test_the_same_place_has_the_same_masks_whatever_was_drawn_before(forward: Callable[..., Tensor]) -> None:
    first = forward()
    torch.rand(1000)
    forward(draw=1)

    assert torch.equal(forward(), first)


@pytest.mark.parametrize("place", [{"step": 1}, {"micro": 1}, {"backward": 1}, {"draw": 1}])
def test_every_coordinate_changes_the_masks(place: dict[str, int], forward: Callable[..., Tensor]) -> None:
    assert not torch.equal(forward(**place), forward())


def test_an_extra_random_module_shifts_no_mask_elsewhere(model: nn.Module, forward: Callable[..., Tensor]) -> None:
    expected = forward()

    def draw(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        torch.rand(7)

    extra = model.bert.encoder.layer[0].register_forward_pre_hook(draw)  # type: ignore[union-attr, operator, index]

    found = forward()
    extra.remove()

    assert torch.equal(found, expected)


def test_attention_dropout_is_matched_too(model: nn.Module, forward: Callable[..., Tensor]) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout) and module is not model.bert.encoder.layer[0].attention.self.dropout:  # type: ignore[union-attr, index]
            module.p = 0.0
    model.eval()
    without = forward()
    model.train()

    first = forward()
    torch.rand(3)

    assert not torch.equal(first, without), "attention dropout is off: the test shows nothing"
    assert torch.equal(forward(), first)


def test_two_places_in_the_model_have_different_masks() -> None:
    pair = nn.ModuleList([nn.Dropout(0.5), nn.Dropout(0.5)])
    with MatchedDropout(pair, TrialSeeds(0, 0)).drawing(0, 0, 0, 0):
        first, second = (module(torch.ones(200)) for module in pair)

    assert not torch.equal(first, second)


def test_the_hash_sees_the_masks_really_applied(tiny_model: Path) -> None:
    def hashed(init: int = 0, p: float | None = None, steps: int = 1, passes: int = 1) -> str:
        model, _ = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
        dropout = MatchedDropout(model, TrialSeeds(init, 0))
        if p is not None:
            model.dropout.p = p
        for step in [step for step in range(steps) for _ in range(passes)]:
            with dropout.drawing(step, 0, 0, 0):
                model(input_ids=IDS)
        return dropout.hash

    assert hashed() == hashed()
    assert hashed() == hashed(steps=3), "only the first forward counts"
    assert hashed() == hashed(passes=2), "also where a second one has its masks"
    assert hashed() != hashed(init=1)
    assert hashed() != hashed(p=0.3)


def test_evaluation_draws_nothing_and_removal_leaves_no_hook(model: nn.Module) -> None:
    dropout = MatchedDropout(model, TrialSeeds(0, 0))
    model.eval()
    plain, nothing = model(input_ids=IDS).logits, dropout.hash

    with dropout.drawing(0, 0, 0, 0):
        matched = model(input_ids=IDS).logits
    dropout.remove()

    assert torch.equal(matched, plain)
    assert dropout.hash == nothing
    assert not [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]


class Adapted(nn.Module):
    """A module put around another one, with dropout of its own."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.extra = inner, nn.Dropout(0.5)
        self.drawn: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.drawn.append(self.extra(torch.ones(50)))
        result: Tensor = self.inner(x)
        return result


def adapted(model: nn.Module) -> Adapted:
    """Wrap a projection that stands inside attention, whose own masks are drawn after it."""
    attention = model.bert.encoder.layer[0].attention.self  # type: ignore[union-attr, operator, index]
    attention.query = Adapted(attention.query)  # type: ignore[union-attr]
    return attention.query  # type: ignore[union-attr, return-value]


def test_dropout_that_a_stabilizer_inserted_is_matched_and_shifts_no_mask_of_the_model(model: nn.Module) -> None:
    dropout = MatchedDropout(model, TrialSeeds(0, 0))
    with dropout.drawing(0, 0, 0, 0):
        expected = model(input_ids=IDS).logits

    wrapper = adapted(model)
    dropout.include(model)
    found = []
    for step in (0, 0, 1):
        torch.rand(step + 3)
        with dropout.drawing(step, 0, 0, 0):
            found.append(model(input_ids=IDS).logits)

    assert torch.equal(found[0], expected)
    assert torch.equal(found[1], expected)
    assert torch.equal(wrapper.drawn[0], wrapper.drawn[1])
    assert not torch.equal(wrapper.drawn[0], wrapper.drawn[2])
    assert 0 < int((wrapper.drawn[0] == 0).sum()) < 50


def test_without_inclusion_an_inserted_dropout_would_shift_the_masks(model: nn.Module) -> None:
    """Shows that the test above sees what it claims to."""
    dropout = MatchedDropout(model, TrialSeeds(0, 0))
    with dropout.drawing(0, 0, 0, 0):
        expected = model(input_ids=IDS).logits

    adapted(model)

    with dropout.drawing(0, 0, 0, 0):
        assert not torch.equal(model(input_ids=IDS).logits, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_hash_is_of_the_masks_also_where_a_model_gives_zeros_of_its_own(dtype: torch.dtype) -> None:
    def hashed(zeros: Sequence[int], p: float = 0.5) -> str:
        model = nn.Sequential(nn.Dropout(p), nn.Dropout(p))
        dropout = MatchedDropout(model, TrialSeeds(0, 0))
        values = torch.full((8, 16), 0.25, dtype=dtype)
        values.view(-1)[list(zeros)] = 0
        with dropout.drawing(0, 0, 0, 0):
            model(values)
        return dropout.hash

    assert hashed([]) == hashed([3]) == hashed([7, 60, 100])
    assert hashed([3]) != hashed([3], p=0.4)


def test_inserted_dropout_is_not_in_the_hash_and_its_hooks_are_removed(model: nn.Module, tiny_model: Path) -> None:
    reference, _ = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    plain = MatchedDropout(reference, TrialSeeds(0, 0))
    with plain.drawing(0, 0, 0, 0):
        reference(input_ids=IDS)
    dropout = MatchedDropout(model, TrialSeeds(0, 0))
    adapted(model)
    dropout.include(model)

    with dropout.drawing(0, 0, 0, 0):
        model(input_ids=IDS)
    dropout.remove()

    assert dropout.hash == plain.hash
    assert not [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]


class Functional(nn.Module):
    """A module that calls dropout as a function, in place, and owns nothing that says so."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x.clone(), 0.3, self.training, True)


def test_dropout_called_as_a_function_is_matched_and_every_call_has_a_mask_of_its_own() -> None:
    model = nn.Sequential(Functional(), Functional())
    dropout = MatchedDropout(model, TrialSeeds(0, 0))
    found = []
    for _ in range(2):
        torch.rand(5)
        with dropout.drawing(0, 0, 0, 0):
            found.append([layer(torch.ones(300)) for layer in model])

    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert not torch.equal(*found[0])
    assert dropout.hash != MatchedDropout(model, TrialSeeds(0, 0)).hash


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_both_ways_of_computing_attention_are_matched(tiny_model: Path, implementation: str) -> None:
    """Eager attention calls ``nn.Dropout``, the other hands its p to a kernel: neither may escape."""
    model = BertForSequenceClassification.from_pretrained(tiny_model, attn_implementation=implementation).train()
    attention = model.bert.encoder.layer[0].attention.self
    assert ("Sdpa" in type(attention).__name__) == (implementation == "sdpa")
    dropout = MatchedDropout(model, TrialSeeds(0, 0))
    found = []
    for step in (0, 0, 1):
        torch.rand(3)
        with dropout.drawing(step, 0, 0, 0):
            found.append(attention(torch.ones(2, 8, model.config.hidden_size))[0])

    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("options", [{"is_causal": True}, {"enable_gqa": True}])
def test_attention_of_other_forms_is_left_to_the_kernel_and_matched_by_its_seed(options: dict[str, bool]) -> None:
    query = torch.randn(1, 2, 5, 4)
    dropout = MatchedDropout(nn.Identity(), TrialSeeds(0, 0))
    found = []
    for _ in range(2):
        torch.rand(3)
        with dropout.drawing(0, 0, 0, 0):
            found.append(
                nn.functional.scaled_dot_product_attention(query, query, query, dropout_p=0.5, **options)  # type: ignore[arg-type]
            )
    assert torch.equal(*found)
