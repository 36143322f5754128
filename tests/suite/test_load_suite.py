"""A suite file that is right: what its values are, what is filled in, and what is only warned about."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from stabbench import registry
from stabbench.errors import ConfigurationError
from stabbench.suite.load import json_schema, load_suite, seed_labels, shipped_suites


def test_yaml_1_2_reads_exponents_as_numbers_and_no_as_text(write, base) -> None:
    path = write(base + "train: {learning_rate: 2e-5, weight_decay: 1e-2}\ndescription: no\n")

    suite = load_suite(str(path)).suite

    assert (suite.train.learning_rate, suite.train.weight_decay, suite.description) == (2e-5, 0.01, "no")


@pytest.mark.parametrize("prefix", ["", "\ufeff"], ids=["plain", "byte-order-mark"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_file_is_read_whatever_editor_wrote_it(write, base, prefix, newline) -> None:
    assert load_suite(str(write(prefix + base.replace("\n", newline)))).suite.name == "study"


def test_a_date_is_text(write, base) -> None:
    assert load_suite(str(write(base.replace("name: study", "name: 2026-01-31")))).suite.name == "2026-01-31"


def test_shipped_suites_are_found_by_name() -> None:
    assert {"quick", "provoke", "few-sample", "presets"} <= set(shipped_suites())
    assert load_suite("quick").path == shipped_suites()["quick"]


def test_an_unknown_suite_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'quick'"):
        load_suite("quik")


@pytest.mark.parametrize(
    ("seeds", "labels"),
    [
        ("3", ["0", "1", "2"]),
        ("[7, 2]", ["7", "2"]),
        ("{init: 2, order: 3}", ["0", "0/1", "0/2", "1/0", "1", "1/2"]),
    ],
)
def test_seeds_have_labels(write, base, seeds, labels) -> None:
    assert seed_labels(load_suite(str(write(base.replace("seeds: 6", f"seeds: {seeds}")))).suite) == labels


@pytest.mark.parametrize(("seeds", "warned"), [("1", "inconclusive"), ("2", "not comparable"), ("3", "")])
def test_too_few_seeds_are_a_warning(write, base, seeds, warned) -> None:
    warnings = load_suite(str(write(base.replace("seeds: 6", f"seeds: {seeds}")))).warnings

    assert [(w.line, w.path) for w in warnings if warned in w.message] == ([(5, "seeds")] if warned else [])


def test_resolved_fills_in_every_default_those_of_plug_ins_and_variants_too(write, base) -> None:
    more = "probes: {accuracy: {}, noise: {severities: [2]}}\ntrain: {epochs: 7}\n"

    resolved = load_suite(str(write(base + more))).resolved

    assert resolved["seeds"] == ["0", "1", "2", "3", "4", "5"]
    assert resolved["probes"]["accuracy"] == registry.card("probes", "accuracy").defaults()
    assert resolved["probes"]["noise"] == {**registry.card("probes", "noise").defaults(), "severities": [2]}
    assert {variant["train"]["epochs"] for variant in resolved["variants"].values()} == {7}
    assert resolved["variants"]["stabilized"]["stabilizers"][0]["warmup"]["fraction"] == 0.1
    assert resolved["compare"]["reference"] == "baseline"


def test_the_variant_overrides_the_suites_training_options(write, base) -> None:
    path = write(base.replace("baseline: {}", "baseline: {train: {epochs: 2}}") + "train: {epochs: 7, threads: 2}\n")

    trains = {name: v["train"] for name, v in load_suite(str(path)).resolved["variants"].items()}

    assert [(trains[n]["epochs"], trains[n]["threads"]) for n in ("baseline", "stabilized")] == [(2, 2), (7, 2)]


def test_extends_merges_mappings_and_replaces_everything_else(write, base) -> None:
    write(base + "train: {epochs: 2, batch_size: 8}\n", "base.yaml")
    path = write("extends: base.yaml\nname: child\nseeds: [4, 5, 6]\ntrain: {epochs: 9}\nvariants: {third: {}}\n")

    suite = load_suite(str(path)).suite

    assert (suite.name, suite.seeds, suite.train.epochs, suite.train.batch_size) == ("child", [4, 5, 6], 9, 8)
    assert list(suite.variants) == ["baseline", "stabilized", "third"]


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("train.epochs=5", lambda s: s.train.epochs == 5),
        ("train.learning_rate=2e-5", lambda s: s.train.learning_rate == 2e-5),
        ("seeds=[1, 2, 3]", lambda s: s.seeds == [1, 2, 3]),
        ("variants.baseline.train.epochs=4", lambda s: s.variants["baseline"].train == {"epochs": 4}),
        (
            "variants.stabilized.stabilizers.warmup.fraction=0.5",
            lambda s: s.variants["stabilized"].stabilizers == [{"warmup": {"fraction": 0.5}}],
        ),
        (
            "variants.stabilized.stabilizers.0.warmup.fraction=0.5",
            lambda s: s.variants["stabilized"].stabilizers == [{"warmup": {"fraction": 0.5}}],
        ),
        ("compare.margins.train.gap=0.3", lambda s: s.compare.margins == {"train.gap": 0.3}),
        ("probes.accuracy.bins=20", lambda s: s.probes == {"accuracy": {"bins": 20}}),
        ("description=a=b", lambda s: s.description == "a=b"),
    ],
)
def test_set_changes_one_value(write, base, setting, read) -> None:
    assert read(load_suite(str(write(base)), [setting]).suite)


def test_set_of_the_data_root_starts_from_the_current_folder(write, base, tmp_path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    suite = load_suite(str(write(base)), ["data.root=texts"]).suite

    assert suite.data.root == str(tmp_path / "here" / "texts")


def test_the_json_schema_accepts_the_shipped_suites_and_knows_the_plug_ins_options() -> None:
    schema = json_schema()
    validator = jsonschema.Draft202012Validator(schema)

    for path in shipped_suites().values():
        content = json.loads(json.dumps(YAML(typ="safe").load(path.read_text(encoding="utf-8"))))
        assert list(validator.iter_errors(content)) == []
        content["probes"]["accuracy"] = {"binz": 3}
        assert list(validator.iter_errors(content)) != []


def test_loading_imports_no_heavy_library() -> None:
    code = (
        "import sys; from stabbench.suite.load import load_suite; load_suite('quick');"
        "print([m for m in ('torch', 'pandas', 'transformers', 'scipy', 'numpy') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_the_path_is_the_files_so_that_data_paths_start_beside_it(write, base) -> None:
    assert load_suite(str(write(base))).path.parent == Path(write(base)).parent
