"""Contracts of every probe, over the registry."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from stabbench import registry
from stabbench.compression.base import Material, compress, load_compressed
from stabbench.data.example import Dataset, Example
from stabbench.models.loading import load_pretrained, load_subject, save_subject, state_hash
from stabbench.models.subject import Subject
from stabbench.probes.base import Context, Probe
from stabbench.records import Measurement, canonical
from stabbench.seeding import TrialSeeds

NAMES = registry.names("probes")
# A panel and the attack worker are started in processes of their own, and have their own tests.
IN_PROCESS = [name for name in NAMES if registry.load("probes", name).traits()["worker"] == "torch"]
WORDS = ["good", "bad", "dull", "great", "boring", "funny"]


@pytest.fixture(scope="module")
def dense(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("dense")
    model, tokenizer = load_pretrained(tiny_model, ("negative", "positive"), TrialSeeds(0, 0))
    save_subject(model, tokenizer, folder, ("negative", "positive"), 32)
    return load_subject(folder)


@pytest.fixture(scope="module")
def compressed(dense: Subject, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("compressed")
    name = registry.names("compression")[0]
    compress(name, dense, Material(), folder)
    return load_compressed(name, folder, dense)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    examples = tuple(Example(f"t:{i}", f"the film was {word} and {WORDS[-i]}", i % 2) for i, word in enumerate(WORDS))
    return Dataset(examples[:4], (), examples, ("negative", "positive"), "fingerprint")


def _measure(name: str, dense: Subject, compressed: Subject, dataset: Dataset, folder: Path) -> list[Measurement]:
    """Measure what the probe applies to, from a subject that remembers nothing."""
    probe: Probe = registry.load("probes", name)()
    subject = dense if probe.applies != "compressed" else compressed
    subject._memo.clear()
    folder.mkdir()
    return probe.measure(subject, Context(dataset, folder, dense=None if subject is dense else dense))


@pytest.mark.parametrize("name", IN_PROCESS)
def test_random_states_weights_and_mode_are_left_as_they_were(
    name: str, dense: Subject, compressed: Subject, dataset: Dataset, tmp_path: Path
) -> None:
    assert dense.model is not None
    weights, draws = state_hash(dense.model), _random_states()

    _measure(name, dense, compressed, dataset, tmp_path / "cell")

    assert _random_states() == draws
    assert state_hash(dense.model) == weights
    assert not any(module.training for module in dense.model.modules())


def _random_states() -> tuple[object, ...]:
    numpy_state = np.random.get_state()[1].tolist()  # type: ignore[index]
    return random.getstate(), tuple(numpy_state), tuple(torch.get_rng_state().tolist())


@pytest.mark.parametrize("name", IN_PROCESS)
def test_measuring_twice_gives_the_same_numbers_well_formed(
    name: str, dense: Subject, compressed: Subject, dataset: Dataset, tmp_path: Path
) -> None:
    first, second = (_measure(name, dense, compressed, dataset, tmp_path / str(i)) for i in range(2))

    assert [canonical(vars(m)) for m in first] == [canonical(vars(m)) for m in second]
    keys = [(m.metric, canonical(dict(m.at))) for m in first]
    assert len(set(keys)) == len(keys)
    for m in first:
        assert m.unit
        if m.unit == "share" and m.value is not None and m.metric != "compression.size_ratio":
            assert 0.0 <= m.value <= 1.0, m
        if m.n_used is not None and m.n_planned is not None:
            assert 0 <= m.n_used <= m.n_planned


@pytest.mark.parametrize("name", NAMES)
def test_options_survive_json(name: str) -> None:
    cls: type[Probe] = registry.load("probes", name)
    adapter = TypeAdapter(cls)
    options = json.loads(json.dumps(cls().options()))

    assert adapter.validate_python(options) == cls()
    assert set(adapter.json_schema().get("properties", {})) == set(options)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_filled(name: str) -> None:
    cls: type[Probe] = registry.load("probes", name)

    assert (cls.__doc__ or "").strip()
    for text in ("paper", "equation", "changes", "cost"):
        assert getattr(cls, text).strip(), text
    assert cls.panel == hasattr(cls, "measure_panel")
