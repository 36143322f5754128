"""A model of a run written to deploy: whole, with its history, and equal to what the run measured."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stabbench.cli import app
from stabbench.errors import ConfigurationError, IncompleteError, StabbenchError
from stabbench.execution.artifact import digest, fixed_texts, load_artifact, write_artifact
from stabbench.models.loading import load_subject
from stabbench.runner import RunOptions, run
from stabbench.store.run_folder import RunFolder

SUITE = """\
schema: 1
name: pair
data: {source: builtin:tiny, train: 96, test: 40}
model: builtin:tiny
seeds: 2
train: {epochs: 4, batch_size: 8, learning_rate: 5e-3, max_length: 16, precision: fp32}
variants: {baseline: {}, hopeless: {train: {learning_rate: 1e-9}}}
compressions: [[vocab-trim, {drop-layers: {recover_epochs: 2}}, ort-int8]]
monitors: {trace: {}}
compare: {primary: [accuracy]}
"""
CHAIN = "vocab-trim+drop-layers(recover_epochs=2)+ort-int8"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    path = tmp_path_factory.mktemp("pair")
    (path / "pair.yaml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        yield run(RunOptions("pair.yaml", out=Path("runs/pair"))).folder


@pytest.fixture(scope="module")
def artifact(finished: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy") / "model"
    write_artifact(finished, folder, "baseline", "0", CHAIN)
    return folder


def test_it_answers_as_the_subject_that_the_run_measured(finished: RunFolder, artifact: Path) -> None:
    cell = finished.cell(f"accuracy/baseline/0/{CHAIN}")
    assert cell is not None
    with np.load(cell.folder / "predictions.npz") as stored:
        ids, measured = stored["example"].tolist(), stored["probabilities"]
    from stabbench.data.dataset import load_dataset
    from stabbench.suite.schema import Data, Task

    data = load_dataset(Data.model_validate(finished.suite["data"]), Task(), Path(), Path)
    assert [example.id for example in data.test] == ids

    found = load_artifact(artifact).predict(data.test)

    np.testing.assert_array_equal(found.astype(np.float32), measured)


def test_the_manifest_says_what_it_is_and_where_it_comes_from(finished: RunFolder, artifact: Path) -> None:
    manifest = json.loads((artifact / "manifest.json").read_text())
    train = finished.cell("train/baseline/0")
    assert train is not None

    assert manifest["parent"] == {"weights": train.weights, "cell": train.key}
    assert [stage["name"] for stage in manifest["recipe"]] == ["vocab-trim", "drop-layers", "ort-int8"]
    assert manifest["recipe"][1]["options"]["recover_epochs"] == 2
    assert manifest["recipe"][1]["options"]["keep"] == 0.5
    assert manifest["training_texts"]["vocab-trim"]["count"] == 96
    assert len(manifest["training_texts"]["drop-layers"]["ids"]) == 96
    assert "ort-int8" not in manifest["training_texts"]
    assert manifest["environment"]["instruction_set"]
    assert manifest["environment"]["packages"]["onnxruntime"]
    for name, known in manifest["files"].items():
        assert hashlib.sha256((artifact / name).read_bytes()).hexdigest() == known
    assert {*manifest["files"], "manifest.json"} == {str(f.relative_to(artifact)) for f in artifact.rglob("*")}


def test_a_fresh_process_finds_the_digest(artifact: Path) -> None:
    script = (
        "import json, sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from stabbench.execution.artifact import digest, load_artifact\n"
        "print(digest(load_artifact(Path(sys.argv[1])))['sha256'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(artifact)], capture_output=True, text=True, check=True
    ).stdout

    assert done.strip() == json.loads((artifact / "manifest.json").read_text())["digest"]["sha256"]


def test_a_changed_file_is_not_loaded(artifact: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in artifact.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "model.onnx").write_bytes(b"other")

    with pytest.raises(StabbenchError, match=r"model\.onnx is missing or is not the file"):
        load_artifact(copy)
    with pytest.raises(ConfigurationError, match=r"has no manifest\.json"):
        load_artifact(tmp_path)


def test_an_uncompressed_model_is_written_too(finished: RunFolder, tmp_path: Path) -> None:
    manifest = write_artifact(finished, tmp_path / "dense", "baseline", "0")

    train = finished.cell("train/baseline/0")
    assert train is not None
    assert manifest["recipe"] == []
    assert manifest["files"]["model.safetensors"] == train.weights
    assert digest(load_artifact(tmp_path / "dense")) == digest(load_subject(train.folder / "model"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, None, "dense"), "--variant: the run has baseline, hopeless; name one"),
        (("basline", None, "dense"), "Did you mean 'baseline'"),
        (("baseline", "7", "dense"), "--seed: unknown seed '7'"),
        (("hopeless", None, "dense"), "is a failed run .* No seed of this variant did not fail"),
        (("baseline", "0", "ort-int9"), "--compression 'ort-int9': unknown compressor"),
        (("baseline", "0", "drop-layers(kept=1)"), "unknown option 'kept' of 'drop-layers'. Did you mean 'keep'"),
        (("baseline", "0", "bf16+onnx"), "stage 2: 'onnx' needs"),
    ],
)
def test_mistakes_are_named_and_nothing_is_left(
    given: tuple[str | None, str | None, str], message: str, finished: RunFolder, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        write_artifact(finished, tmp_path / "new", *given)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_empty_is_left_alone(finished: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(ConfigurationError, match="is not empty"):
        write_artifact(finished, tmp_path, "baseline", "0")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_writes_it(finished: RunFolder, tmp_path: Path) -> None:
    arguments = ["export", str(finished.path), "--artifact", str(tmp_path / "x"), "--variant", "baseline"]

    done = CliRunner().invoke(app, [*arguments, "--compression", "int8-dynamic(embeddings=true)"])

    assert done.exit_code == 0, done.output
    assert "baseline, seed 0, int8-dynamic(embeddings=true)" in done.output
    assert json.loads((tmp_path / "x" / "manifest.json").read_text())["recipe"][0]["options"] == {"embeddings": True}


def test_the_fixed_texts_are_64_and_always_the_same() -> None:
    texts = fixed_texts()

    assert texts == fixed_texts()
    assert len(set(texts)) == 64
    assert {len(text.split()) for text in texts} <= set(range(1, 41))
    # The digest of every artifact ever written rests on these.
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16] == "e8beb05a38c41670"


def test_dropped_weights_are_said_so(finished: RunFolder, tmp_path: Path) -> None:
    """Last in this file: it takes the weights away."""
    for cell in finished.plan["cells"]:
        if cell["kind"] == "train":
            finished.store.drop_weights(cell["key"])

    with pytest.raises(IncompleteError, match="keep_weights: all"):
        write_artifact(finished, tmp_path / "x", "baseline", "0")
