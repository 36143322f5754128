"""Contracts of every stabilizer, over the registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from stabbench import registry
from stabbench.stabilizers.base import Stabilizer
from stabbench.training.request import TrainResult

NAMES = registry.names("stabilizers")
FineTune = Callable[..., TrainResult]


@pytest.mark.parametrize("name", NAMES)
def test_null_options_train_to_the_same_bits_as_no_stabilizer(
    name: str, fine_tune_tiny: FineTune, tiny_model_without_dropout: Path
) -> None:
    null = dict(registry.load("stabilizers", name).null)

    plain = fine_tune_tiny(model=tiny_model_without_dropout)
    with_null = fine_tune_tiny([(name, null)], model=tiny_model_without_dropout)

    assert with_null.details["weights"] == plain.details["weights"]


@pytest.mark.parametrize("name", NAMES)
def test_defaults_change_the_final_weights(name: str, fine_tune_tiny: FineTune) -> None:
    # Fast enough that gradients reach the bounds at which clips act.
    changed, plain = fine_tune_tiny([(name, {})], learning_rate=3e-2), fine_tune_tiny(learning_rate=3e-2)

    assert changed.details["weights"] != plain.details["weights"]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_twice_gives_the_same_bits_and_another_seed_does_not(name: str, fine_tune_tiny: FineTune) -> None:
    from stabbench.seeding import TrialSeeds

    first, again = fine_tune_tiny([(name, {})]), fine_tune_tiny([(name, {})])
    other = fine_tune_tiny([(name, {})], seeds=TrialSeeds(1, 1))

    assert first.details["weights"] == again.details["weights"]
    assert first.details["weights"] != other.details["weights"]


@pytest.mark.parametrize("name", NAMES)
def test_hashes_match_the_baselines_on_every_stream_not_declared_as_changed(
    name: str, fine_tune_tiny: FineTune
) -> None:
    cls: type[Stabilizer] = registry.load("stabilizers", name)

    plain = fine_tune_tiny().details["hashes"]
    changed = fine_tune_tiny([(name, {})]).details["hashes"]

    if "init" not in cls.streams and not cls.weights:
        assert changed["init"] == plain["init"]
    if "order" not in cls.streams:
        both = min(len(changed["order"]), len(plain["order"]))
        assert changed["order"][:both] == plain["order"][:both]
    if "dropout" not in cls.streams:
        assert changed["dropout"] == plain["dropout"]


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_a_plain_model_that_loads_as_any_other(name: str, fine_tune_tiny: FineTune) -> None:
    from stabbench.models.loading import load_subject, state_hash

    result = fine_tune_tiny([(name, {})])

    assert result.subject.folder is not None
    loaded = load_subject(result.subject.folder)
    assert loaded.model is not None
    assert result.subject.model is not None
    assert state_hash(loaded.model) == state_hash(result.subject.model)
    assert not [m for m in result.subject.model.modules() if m._forward_hooks or m._forward_pre_hooks]


@pytest.mark.parametrize("name", NAMES)
def test_its_card_is_filled(name: str) -> None:
    cls = registry.load("stabilizers", name)

    for text in ("paper", "equation", "changes", "cost", "departures", "pitfalls"):
        assert len(getattr(cls, text)) >= 4, text
    assert any(mark in cls.paper for mark in ("arXiv", "doi")), "say where the paper is found"
    assert (cls.__doc__ or "").strip()


@pytest.mark.parametrize("name", NAMES)
def test_its_options_are_described_bounded_and_accept_their_own_defaults_and_null(name: str) -> None:
    cls = registry.load("stabilizers", name)
    schema = TypeAdapter(cls).json_schema()

    assert all("description" in option and "default" in option for option in schema["properties"].values())
    TypeAdapter(cls).validate_python(cls().options())
    TypeAdapter(cls).validate_python({**cls().options(), **cls.null})
    assert set(cls.null) <= set(cls().options())
