"""`init`: what it writes is valid as it stands, uses nothing that is not there, and replaces nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from stabbench.cli import app
from stabbench.errors import ConfigurationError
from stabbench.execution.starting import TEMPLATES, begin
from stabbench.suite.load import load_suite


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", [None, "my-study.2"])
def test_every_template_is_valid_as_it_stands(template: str, name: str | None, tmp_path: Path) -> None:
    suite, *_ = begin(template, name, tmp_path)
    loaded = load_suite(str(suite))

    assert suite == tmp_path / f"{name or template}.yaml"
    assert loaded.suite.name == (name or template)
    warnings = [problem.message for problem in loaded.warnings]
    assert warnings == []
    lines = suite.read_text(encoding="utf-8").splitlines()
    assert 20 <= len(lines) <= 45
    assert max(map(len, lines)) <= 120
    assert sum("#" in line for line in lines) >= 10


@pytest.mark.parametrize("template", TEMPLATES)
def test_with_a_root_the_files_named_are_used(template: str, tmp_path: Path) -> None:
    suite, *_ = begin(template, None, tmp_path)
    text = suite.read_text(encoding="utf-8").replace("# root: . ", "root: .   ")
    suite.write_text(text, encoding="utf-8")
    rows = "sentence\tlabel\n" + "".join(f"text {{split}} {i}\t{'no' if i % 2 else 'yes'}\n" for i in range(600))
    for name in ("train", "dev"):
        (tmp_path / f"{name}.tsv").write_text(rows.replace("{split}", name))
    from stabbench.runner import check_data

    found = check_data(load_suite(str(suite)))

    assert load_suite(str(suite)).suite.data.root == "."
    assert "classes no, yes" in found


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_command_that_a_template_names_exists(template: str, tmp_path: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    # `gate` and `accept` belong to the workflow of the `ci` template.
    for path in begin(template, None, tmp_path):
        named = set(re.findall(r"stabbench (\w+)", path.read_text(encoding="utf-8")))
        assert named - {template} - set(commands) <= {"gate", "accept"}, path


def test_the_workflow_runs_the_suite_and_the_gate_and_uploads_what_it_made(tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    _, file = begin("ci", "nightly", tmp_path)
    workflow = YAML(typ="safe").load(file.read_text(encoding="utf-8"))

    assert file == tmp_path / ".github" / "workflows" / "stabbench-nightly.yml"
    steps = workflow["jobs"]["benchmark"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert "stabbench run nightly.yaml --out runs/nightly --junit runs/nightly/junit.xml" in commands
    gate = next(step for step in steps if step.get("run", "").startswith("stabbench gate"))
    assert gate["run"] == "stabbench gate runs/nightly --against baselines/nightly.json"
    assert "baselines/nightly.json" in gate["if"]
    assert steps[-1]["with"]["path"] == "runs/nightly"
    assert steps[-1]["if"] == "always()"
    assert "NAME" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("there", ["ci.yaml", ".github/workflows/stabbench-ci.yml"])
def test_nothing_is_overwritten_and_then_nothing_is_written(there: str, tmp_path: Path) -> None:
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_text("mine")

    with pytest.raises(ConfigurationError, match="is there already and is not overwritten") as refused:
        begin("ci", None, tmp_path)

    assert there in str(refused.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / there]
    assert (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize("name", ["Study", "../x", "a/b", "", "-x", "a b"])
def test_a_name_must_be_a_suites(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a suite's name begins with"):
        begin("compare", name, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_here_and_ends_with_2_where_a_file_is_there(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stabbench", "init", "--template", "ci"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("ci.yaml\n")
    assert second.returncode == 2
    assert "ci.yaml is there already" in second.stderr


def test_templates_are_in_the_wheel() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["stabbench"]

    sources = {Path(source).suffix for files in TEMPLATES.values() for source in files}
    assert {f"**/*{suffix}" for suffix in sources} <= set(patterns)
