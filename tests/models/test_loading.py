"""Loading: a head per seed, one and the same encoder, safetensors only, and what is saved comes back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.loading import (
    load_pretrained,
    load_subject,
    load_tokenizer,
    save_subject,
    state_hash,
    weights_hash,
)
from stabbench.models.tiny import write_tiny_model
from stabbench.seeding import TrialSeeds

CLASSES = ("no", "yes", "perhaps")


def test_the_init_seed_alone_decides_the_head_and_nothing_but_the_head(tiny_model: Path) -> None:
    first, _ = load_pretrained(tiny_model, CLASSES, TrialSeeds(0, 0))
    other_order, _ = load_pretrained(tiny_model, CLASSES, TrialSeeds(0, 7))
    other_init, _ = load_pretrained(tiny_model, CLASSES, TrialSeeds(1, 0))

    assert state_hash(first) == state_hash(other_order)
    differing = {n for (n, a), (_, b) in zip(first.named_parameters(), other_init.named_parameters(), strict=True)
                 if not torch.equal(a, b)}  # fmt: skip
    assert differing == {"classifier.weight"}
    assert anatomy(first).block_of["classifier.weight"] == "head"


def test_a_checkpoint_that_brings_a_head_gets_the_same_new_head(tiny_model: Path, tmp_path: Path) -> None:
    first, tokenizer = load_pretrained(tiny_model, CLASSES, TrialSeeds(0, 0))
    save_subject(first, tokenizer, tmp_path / "three", CLASSES, 32)

    for classes in (CLASSES, ("a", "b")):
        fresh, _ = load_pretrained(tiny_model, classes, TrialSeeds(5, 5))
        again, _ = load_pretrained(tmp_path / "three", classes, TrialSeeds(5, 5))
        assert state_hash(fresh) == state_hash(again)


def test_loading_leaves_the_global_random_state_alone(tiny_model: Path) -> None:
    before = torch.get_rng_state()

    load_pretrained(tiny_model, CLASSES, TrialSeeds(3, 3))

    assert torch.equal(before, torch.get_rng_state())


def test_a_saved_subject_comes_back_with_classes_length_and_predictions(tiny_model: Path, tmp_path: Path) -> None:
    model, tokenizer = load_pretrained(tiny_model, CLASSES, TrialSeeds(0, 0))
    save_subject(model, tokenizer, tmp_path, CLASSES, 17)

    subject = load_subject(tmp_path)

    assert (subject.classes, subject.max_length, subject.folder) == (CLASSES, 17, tmp_path)
    assert subject.model is not None
    assert not subject.model.training
    assert state_hash(subject.model) == state_hash(model)
    inputs = tokenizer(["a good film"], return_tensors="pt")
    expected = np.exp(logits := model.eval()(**inputs).logits.detach().numpy().astype(float)) / np.exp(logits).sum()
    np.testing.assert_allclose(subject.probabilities(["a good film"]), expected, rtol=1e-5)


def test_the_state_hash_sees_a_single_changed_weight(tiny_model: Path) -> None:
    model, _ = load_pretrained(tiny_model, CLASSES, TrialSeeds(0, 0))
    before = state_hash(model)

    with torch.no_grad():
        next(model.parameters())[3, 3] += 1e-6

    assert state_hash(model) != before


def test_the_tiny_model_is_the_same_files_every_time(tmp_path: Path) -> None:
    first, second = write_tiny_model(tmp_path / "a"), write_tiny_model(tmp_path / "b")

    assert weights_hash(first) == weights_hash(second)
    assert {f.name for f in first.iterdir()} == {f.name for f in second.iterdir()}
    assert (first / "tokenizer.json").read_bytes() == (second / "tokenizer.json").read_bytes()


def test_the_tiny_vocabulary_spells_every_printable_text(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)

    ids = tokenizer("The film's (quite) zany & 100% fun!?")["input_ids"]

    assert tokenizer.unk_token_id not in ids


def test_an_encoder_without_a_head_is_no_subject(tiny_model: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"classifier\.weight"):
        load_subject(tiny_model)


def test_pickled_weights_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "pickled")
    model, _ = load_pretrained(tiny_model, CLASSES, TrialSeeds(0, 0))
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pickled" / "pytorch_model.bin")

    with pytest.raises(ConfigurationError, match="safetensors"):
        load_pretrained(tmp_path / "pickled", CLASSES, TrialSeeds(0, 0))


def test_a_tokenizer_without_padding_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "unpadded")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        file = tmp_path / "unpadded" / name
        content = json.loads(file.read_text())
        file.write_text(json.dumps({k: v for k, v in content.items() if k != "pad_token"} | {"pad_token": None}))

    with pytest.raises(ConfigurationError, match="padding token"):
        load_tokenizer(tmp_path / "unpadded")


def test_a_missing_folder_is_a_configuration_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        load_pretrained(tmp_path / "nowhere", CLASSES, TrialSeeds(0, 0))


def test_no_weight_lies_where_the_file_had_it(tiny_model: Path, tmp_path: Path) -> None:
    model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    save_subject(model, tokenizer, tmp_path, ("no", "yes"), 32)

    loaded = load_subject(tmp_path).model

    assert loaded is not None
    assert {parameter.data_ptr() % 64 for parameter in loaded.parameters()} == {0}
    assert state_hash(loaded) == state_hash(model)
