"""Every mistake in an audit is told before anything runs, with what to do; nothing is left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stabbench.auditing.audit import audit, prepare
from stabbench.auditing.request import AuditRequest
from stabbench.errors import ConfigurationError


def refused(model: object, data: Path, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        prepare(AuditRequest(str(model) if isinstance(model, Path) else model, data, **options))  # type: ignore[arg-type]
    return str(caught.value)


@pytest.fixture
def copied(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoints["good"], tmp_path / "copy"))


def test_a_model_that_is_no_classifier_is_refused(checkpoints: dict[str, Path], tiny_model: Path, texts: Path) -> None:
    assert "there is no such folder" in refused("./nowhere", texts)
    assert "is a file; name the folder" in refused(checkpoints["good"] / "config.json", texts)
    assert "is not a fine-tuned classifier: it lacks" in refused(tiny_model, texts)
    assert "expected a folder, a hub id or a callable" in refused(7, texts)


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "model.safetensors"])
def test_a_checkpoint_without_one_of_its_files_is_refused(copied: Path, texts: Path, file: str) -> None:
    for path in copied.glob("vocab*") if file == "tokenizer.json" else ():
        path.unlink()
    (copied / file).unlink()

    assert str(copied) in refused(copied, texts)


def test_labels_that_the_model_does_not_have_are_refused_by_name(
    checkpoints: dict[str, Path], texts: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.tsv"
    other.write_text(texts.read_text().replace("\tgood", "\texcellent"))

    told = refused(checkpoints["good"], other)

    assert "calls its outputs bad, good" in told
    assert "excellent" in told
    assert "--classes" in told


def test_a_wrong_column_or_an_empty_file_names_the_file(
    checkpoints: dict[str, Path], texts: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.tsv"
    empty.write_text("sentence\tlabel\n")
    bad = tmp_path / "bad.tsv"
    bad.write_text("sentence\tlabel\nfine\tgood\n\tbad\n")

    assert "'lable': no such column. Did you mean 'label'?" in refused(checkpoints["good"], texts, label="lable")
    assert f"{empty}  holds no labelled text" in refused(checkpoints["good"], empty)
    assert f"{bad}:3  column 'sentence' is empty" in refused(checkpoints["good"], bad)
    assert "only one label" in refused(checkpoints["good"], _one_label(tmp_path))


def _one_label(folder: Path) -> Path:
    path = folder / "one.tsv"
    path.write_text("sentence\tlabel\na film\tgood\nanother\tgood\n")
    return path


def test_options_that_do_not_fit_are_refused(checkpoints: dict[str, Path], texts: Path) -> None:
    good = checkpoints["good"]

    assert "unknown probe 'nois'. Did you mean 'noise'?" in refused(good, texts, probes=("nois",))
    assert "--negative 'awful': the data has no such label" in refused(
        good, texts, negative=("awful",), positive=("good",)
    )
    assert "go together; one of them is missing" in refused(good, texts, negative=("bad",))
    assert "3 labels are given" in refused(good, texts, classes=("bad", "good", "so"))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda texts: [0.5 for _ in texts], "the callable gave 1 for 1 texts, expected 1×C probabilities"),
        (lambda texts: [[0.5, 0.7] for _ in texts], "do not sum to 1"),
        (lambda texts: [["no", "yes"] for _ in texts], "expected (texts, classes) numbers"),
        (lambda texts: [[0.5, 0.5]] * 3, "the callable gave 3×2 for 1 texts"),
    ],
)
def test_a_callable_that_gives_no_probabilities_is_refused(
    texts: Path, answer: Callable[[list[str]], Any], message: str
) -> None:
    assert message in refused(answer, texts, classes=("bad", "good"))


def test_the_columns_of_a_callable_must_be_named_where_labels_are_words(texts: Path) -> None:
    assert "the callable calls its outputs LABEL_0, LABEL_1" in refused(lambda t: [[0.5, 0.5] for _ in t], texts)


def test_two_checkpoints_of_different_tasks_are_refused(
    copied: Path, checkpoints: dict[str, Path], texts: Path
) -> None:
    rows = texts.read_text().replace("\tgood", "\tbad").splitlines()
    only_bad = texts.with_name("bad.tsv")
    # Labels that both know, so that only the outputs differ.
    only_bad.write_text("\n".join([*rows[:60], *(row.replace("\tbad", "\tmixed") for row in rows[60:])]) + "\n")
    stored = json.loads((copied / "stabbench.json").read_text())
    (copied / "stabbench.json").write_text(json.dumps(stored | {"classes": ["bad", "mixed"]}))

    told = refused(copied, only_bad, vs=str(checkpoints["good"]))

    assert "calls its outputs bad, good" in told
    assert "mixed" in told


def test_another_audit_in_the_folder_is_not_overwritten(
    checkpoints: dict[str, Path], texts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "audit.yaml").write_text("schema: 1\nname: mine\n")

    with pytest.raises(ConfigurationError, match="holds another audit"):
        audit(AuditRequest(str(checkpoints["good"]), texts, out=out))

    assert (out / "audit.yaml").read_text() == "schema: 1\nname: mine\n"
