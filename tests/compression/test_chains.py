"""Chains of compressors: which work, which are refused and where, and what a diverged model becomes."""

from __future__ import annotations

import copy
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from stabbench import registry
from stabbench.compression.base import DIVERGED, Material, compress, load_compressed, missing_packages
from stabbench.errors import ConfigurationError
from stabbench.models.subject import Subject, torch_logits
from stabbench.suite.compressions import chain_problems, parse_stage, stage_text, stages

FAST = [
    name
    for name in registry.names("compression")
    if not missing_packages(name) and not registry.load("compression", name).slow
]
PAIRS = list(permutations(FAST, 2))
GRAPHS = ("onnx", "ort-int8", "ort-int8-static", "ov-int8")
TEXTS = ["the film was good", "the film was dull and so on"]


def _works(pair: tuple[str, str]) -> bool:
    return not list(chain_problems(pair))


# One last stage is enough of those that export the same graph: they take a quarter of a second each.
@pytest.mark.parametrize("pair", [p for p in PAIRS if _works(p) and p[1] not in GRAPHS[1:]], ids="+".join)
def test_a_pair_that_is_not_refused_works(
    pair: tuple[str, str], dense: Subject, material: Material, tmp_path: Path
) -> None:
    chain = "+".join(pair)
    compress(chain, dense, material, tmp_path)

    probabilities = load_compressed(chain, tmp_path, dense).probabilities(TEXTS)

    assert probabilities.shape == (2, 2)
    assert np.isfinite(probabilities).all()


@pytest.mark.parametrize("pair", [p for p in PAIRS if not _works(p)], ids="+".join)
def test_a_pair_that_cannot_work_is_refused_with_place_and_reason(
    pair: tuple[str, str], dense: Subject, material: Material, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=rf"{'.'.join(pair)}, stage 2: '{pair[1]}' needs .*'{pair[0]}' leaves"):
        compress("+".join(pair), dense, material, tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_what_leaves_no_model_for_the_next_stage_is_refused() -> None:
    keeps = {"prune-magnitude", "prune-structured", "drop-layers", "distill", "vocab-trim"}

    refused = {pair for pair in PAIRS if not _works(pair)}

    for first, second in PAIRS:
        if first in keeps:
            assert (first, second) not in refused
        elif first == "low-rank":
            needs_blocks = {"prune-structured", "drop-layers", "distill"}
            assert ((first, second) in refused) == (second in needs_blocks)
        else:
            assert (first, second) in refused


def test_a_refusal_says_the_other_way_round_where_that_works() -> None:
    assert next(why for _, why in chain_problems(["int8-dynamic", "drop-layers"])).endswith(
        "put 'drop-layers' before 'int8-dynamic'"
    )
    assert next(why for _, why in chain_problems(["int8-dynamic", "ort-int8"])).endswith("leave one of the two out")
    assert next(iter(chain_problems(["bf16", "bf16"])))[0] == 1
    assert "stands twice" in next(chain_problems(["vocab-trim", "vocab-trim"]))[1]


@pytest.mark.parametrize(
    "chain",
    [
        "prune-structured+ort-int8",
        "vocab-trim+drop-layers+ort-int8",
        "vocab-trim+prune-structured(heads=0.5 recover_epochs=0)+low-rank+int8-dynamic(embeddings=true)",
    ],
)
def test_each_stage_of_a_chain_has_its_share_in_the_artifact(
    chain: str, dense: Subject, material: Material, tmp_path: Path
) -> None:
    compress(chain, dense, material, tmp_path)
    subject = load_compressed(chain, tmp_path, dense)

    assert np.isfinite(subject.probabilities(TEXTS)).all()
    if "vocab-trim" in chain:
        assert len(subject.tokenizer) < len(dense.tokenizer)
    assert _bytes(tmp_path) < _bytes(dense.folder)


def _bytes(folder: Path | None) -> int:
    assert folder is not None
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_a_chain_is_its_stages_one_after_the_other(dense: Subject, material: Material, tmp_path: Path) -> None:
    whole, first, second = (tmp_path / name for name in ("whole", "first", "second"))
    for folder in (whole, first, second):
        folder.mkdir()
    compress("drop-layers+int8-dynamic", dense, material, whole)
    compress("drop-layers", dense, material, first)
    middle = load_compressed("drop-layers", first, dense)
    compress("int8-dynamic", middle, material, second)

    found = load_compressed("drop-layers+int8-dynamic", whole, dense)

    batch = dense.encode(TEXTS)
    assert torch.equal(found.logits(batch), load_compressed("int8-dynamic", second, middle).logits(batch))


@pytest.mark.parametrize("name", FAST)
def test_a_diverged_model_gives_a_subject_that_answers_nan(name: str, dense: Subject, tmp_path: Path) -> None:
    model = copy.deepcopy(dense.model)
    assert model is not None
    with torch.no_grad():
        next(model.parameters())[0, 0] = torch.nan
    diverged = Subject(dense.tokenizer, torch_logits(model), dense.classes, dense.max_length, model)

    compress(name, diverged, Material(), tmp_path)
    probabilities = load_compressed(name, tmp_path, diverged).probabilities(["a film", "dull"])

    assert [file.name for file in tmp_path.iterdir()] == [DIVERGED]
    assert probabilities.shape == (2, 2)
    assert np.isnan(probabilities).all()


@pytest.mark.parametrize(
    "options", [{}, {"heads": 0.5}, {"heads": 0.5, "units": 1, "which": "top", "embeddings": True, "rate": 1e-5}]
)
def test_the_text_of_a_stage_reads_back(options: dict[str, object]) -> None:
    text = stage_text("some-name", options)

    assert parse_stage(text) == ("some-name", options)
    assert stages(f"{text}+other(x=1e+3)+{text}") == (text, "other(x=1e+3)", text)
    assert stages([text, "other"]) == (text, "other")


def test_what_an_early_stage_took_away_no_later_one_gives_back() -> None:
    ((place, why),) = chain_problems(["low-rank", "prune-magnitude", "distill"])

    assert place == 2
    assert "'low-rank' leaves none" in why
