"""What serving a graph needs: the same numbers as the subject gives, and neither torch nor transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stabbench import registry
from stabbench.compression._deployed import RUNNERS, deployed
from stabbench.compression.base import Material, compress, load_compressed, missing_packages, runtime_of
from stabbench.data.example import Text
from stabbench.models.subject import Subject

GRAPHS = [
    name
    for name in registry.names("compression")
    if registry.card("compression", name).traits["runtime"] != "torch" and not missing_packages(name)
]
TEXTS: list[list[Text]] = [
    ["dull"],
    ["", "a film " * 50, "Ünlike\tthe others :-) 中文"],
    [("a great film", "the plot is poor " * 40), ("dull " * 40, "a film")],
]


@pytest.mark.parametrize("name", GRAPHS)
def test_it_gives_the_inputs_and_logits_of_the_subject_bit_by_bit(
    name: str, dense: Subject, material: Material, tmp_path: Path
) -> None:
    compress(name, dense, material, tmp_path)
    subject, alone = load_compressed(name, tmp_path, dense), deployed(tmp_path, runtime_of(name))

    for texts in TEXTS:
        batch, inputs = subject.encode(texts), alone.encode(texts)
        wanted = {key: tensor.numpy() for key, tensor in batch.inputs().items() if key in alone.runner.inputs}
        assert inputs.keys() == wanted.keys()
        assert all(np.array_equal(inputs[key], wanted[key]) for key in wanted)
        assert np.array_equal(alone.logits(inputs), subject.logits(batch).numpy())


def test_a_trimmed_vocabulary_keeps_its_own_ids(dense: Subject, material: Material, tmp_path: Path) -> None:
    compress("vocab-trim+ort-int8", dense, material, tmp_path)
    subject, alone = load_compressed("vocab-trim+ort-int8", tmp_path, dense), deployed(tmp_path, "onnxruntime")

    texts = ["the film was good", "a word that was never seen"]
    assert np.array_equal(alone.encode(texts)["input_ids"], subject.encode(texts).input_ids.numpy())


def test_a_fresh_process_serves_without_torch(dense: Subject, material: Material, tmp_path: Path) -> None:
    compress("ort-int8", dense, material, tmp_path)
    script = (
        "import json, sys; from pathlib import Path\n"
        "from stabbench.compression._deployed import deployed\n"
        "loaded = deployed(Path(sys.argv[1]), 'onnxruntime')\n"
        "logits = loaded.logits(loaded.encode(['a film'])).tolist()\n"
        "heavy = [name for name in ('torch', 'transformers', 'pandas', 'pydantic') if name in sys.modules]\n"
        "print(json.dumps([heavy, logits]))\n"
    )

    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)

    heavy, logits = json.loads(done.stdout)
    assert heavy == []
    subject = load_compressed("ort-int8", tmp_path, dense)
    assert np.array_equal(np.float32(logits), subject.logits(subject.encode(["a film"])).numpy())


@pytest.mark.parametrize("name", registry.names("compression"))
def test_the_runtime_of_a_chain_is_that_of_its_last_stage(name: str) -> None:
    mine = registry.card("compression", name).traits["runtime"]

    assert runtime_of(name) == mine
    assert runtime_of(f"{name}+bf16") == "torch"
    assert mine == "torch" or mine in RUNNERS
    # A graph is the last that a chain can have.
    assert mine == "torch" or registry.card("compression", name).traits["gives"] == "runtime"
