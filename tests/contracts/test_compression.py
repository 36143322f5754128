"""Contracts of every compressor, over the registry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stabbench import registry
from stabbench.compression.base import Compressor, Material, compress, load_compressed, missing_packages
from stabbench.compression.compile import compiler
from stabbench.data.example import Example
from stabbench.models.loading import load_pretrained, load_subject, save_subject, state_hash
from stabbench.models.subject import Subject
from stabbench.seeding import TrialSeeds


def _named(name: str) -> object:
    """A compressor's name; marked where it is slow, or skipped where a package is missing."""
    if missing := missing_packages(name):
        reason = f"needs {' and '.join(missing)}: pip install {' '.join(missing)}"
        return pytest.param(name, marks=pytest.mark.skip(reason=reason))
    if name == "compile" and compiler() is None:
        return pytest.param(name, marks=pytest.mark.skip(reason="no C++ compiler"))
    return pytest.param(name, marks=pytest.mark.slow) if registry.load("compression", name).slow else name


NAMES = [_named(name) for name in registry.names("compression")]
GRAPH_TEXT = 60_000
"""Bytes of an ONNX graph's nodes: for a model of 160 kB they are as much as what eight bits save."""
TEXTS = ["a great film", "dull", "the plot is poor but the people are good and I like them", "no"]
MATERIAL = Material(tuple(Example(f"t:{i}", text, i % 3) for i, text in enumerate(TEXTS * 3)))


@pytest.fixture(scope="module")
def dense(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("dense")
    model, tokenizer = load_pretrained(tiny_model, ("a", "b", "c"), TrialSeeds(0, 0))
    save_subject(model, tokenizer, folder, ("a", "b", "c"), 32)
    return load_subject(folder)


@pytest.fixture(scope="module", params=NAMES)
def compressed(
    request: pytest.FixtureRequest, dense: Subject, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Subject]:
    folder = tmp_path_factory.mktemp(request.param)
    compress(request.param, dense, MATERIAL, folder)
    return request.param, load_compressed(request.param, folder, dense)


def _size(folder: Path | None) -> int:
    assert folder is not None
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_logits_have_the_shape_and_type_of_the_dense_subject(compressed: tuple[str, Subject], dense: Subject) -> None:
    logits = compressed[1].logits(compressed[1].encode(TEXTS))

    assert (logits.shape, logits.dtype) == ((len(TEXTS), 3), torch.float32)
    assert compressed[1].classes == dense.classes


@pytest.mark.parametrize("name", NAMES)
def test_the_model_random_state_and_threads_are_left_as_they_were(name: str, dense: Subject, tmp_path: Path) -> None:
    assert dense.model is not None
    weights, threads = state_hash(dense.model), torch.get_num_threads()
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]

    compress(name, dense, MATERIAL, tmp_path)
    subject = load_compressed(name, tmp_path, dense)
    subject.logits(subject.encode(TEXTS))

    assert state_hash(dense.model) == weights
    assert not any(module.training for module in dense.model.modules())
    assert all(parameter.requires_grad for parameter in dense.model.parameters())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # type: ignore[index]
    assert torch.get_num_threads() == threads


def test_the_artifact_is_not_larger_and_holds_no_pickle(compressed: tuple[str, Subject], dense: Subject) -> None:
    folder = compressed[1].folder
    assert folder is not None

    name = compressed[0]
    graph = GRAPH_TEXT if any((folder / f).is_file() for f in ("model.onnx", "model.xml")) else 0
    assert _size(folder) <= _size(dense.folder) + graph or not registry.card("compression", name).traits["smaller"]
    assert not {file.suffix for file in folder.rglob("*")} & {".pt", ".pth", ".bin", ".pkl"}
    assert (folder / "tokenizer.json").is_file()
    assert (folder / "config.json").is_file()


@pytest.fixture(scope="module")
def artifacts(dense: Subject, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One artifact of each compressor that is not slow."""
    made = {name: tmp_path_factory.mktemp(name) for name in NAMES if isinstance(name, str)}
    for name, folder in made.items():
        compress(name, dense, MATERIAL, folder)
    return made


def test_a_fresh_process_gives_equal_logits(artifacts: dict[str, Path], dense: Subject) -> None:
    script = (
        "import json, sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from stabbench.compression.base import load_compressed\n"
        "from stabbench.models.loading import load_subject\n"
        "artifacts, parent, texts = json.loads(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])\n"
        "dense = load_subject(parent)\n"
        "found = {}\n"
        "for name, folder in artifacts.items():\n"
        "    subject = load_compressed(name, Path(folder), dense)\n"
        "    found[name] = subject.logits(subject.encode(texts)).double().tolist()\n"
        "print(json.dumps(found))\n"
    )
    folders = json.dumps({name: str(folder) for name, folder in artifacts.items()})

    done = subprocess.run(
        [sys.executable, "-c", script, folders, str(dense.folder), json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        check=True,
    )

    for name, logits in json.loads(done.stdout).items():
        subject = load_compressed(name, artifacts[name], dense)
        assert logits == subject.logits(subject.encode(TEXTS)).double().tolist(), name


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_filled(name: str) -> None:
    cls: type[Compressor] = registry.load("compression", name)

    assert cls.__doc__
    for text in ("paper", "equation", "changes", "cost", "pitfalls"):
        assert getattr(cls, text).strip(), text
    assert cls().options() == cls(**json.loads(json.dumps(cls().options()))).options()


@pytest.mark.parametrize("name", NAMES)
def test_compressing_twice_gives_equal_files(name: str, dense: Subject, tmp_path: Path) -> None:
    found = []
    for part in ("first", "second"):
        (tmp_path / part).mkdir()
        compress(name, dense, MATERIAL, tmp_path / part)
        files = sorted(file for file in (tmp_path / part).rglob("*") if file.is_file())
        found.append({str(file.relative_to(tmp_path / part)): file.read_bytes() for file in files})

    assert found[0].keys() == found[1].keys()
    assert all(found[0][file] == found[1][file] for file in found[0])


@pytest.mark.parametrize("name", NAMES)
def test_only_training_texts_are_looked_at_and_as_many_as_its_option_says(name: str) -> None:
    traits = registry.card("compression", name).traits
    options = registry.card("compression", name).defaults()

    assert traits["calibrates"] in ("", "all", *options)
    assert traits["needs"] in ("torch", "encoder")
    assert traits["gives"] in ("runtime", "torch", "encoder")
