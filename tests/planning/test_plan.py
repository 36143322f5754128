"""What a plan promises: counts, keys that depend on what decides a result, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from stabbench.errors import ConfigurationError
from stabbench.planning.cells import cells
from stabbench.planning.keys import cell_key, resolve
from stabbench.planning.plan import describe, make_plan
from stabbench.planning.selection import seconds_of, selected
from stabbench.planning.trials import arms
from stabbench.records import Cell
from stabbench.store.cells import Store
from stabbench.suite.load import load_suite

SUITE = """\
schema: 1
name: p
data: {source: builtin:tiny, train: 32, test: 40}
model: builtin:tiny
seeds: 2
variants:
  stabilized: {stabilizers: [{clip_grad_norm: {max_norm: 1.0}}]}
  baseline: {}
probes: {accuracy: {}, noise: {kinds: [keyboard], severities: [1]}, latency: {processes: 2}}
compressions: [int8-dynamic]
compress_probes: [accuracy, latency]
compare: {reference: baseline}
"""


def planned(tmp_path: Path, *changes: tuple[str, str]) -> dict[str, Cell]:
    text = SUITE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "p.yaml"
    file.write_text(text)
    return {cell.id: cell for cell in cells(load_suite(str(file)))}


def key(cell: Cell) -> str:
    found = cell_key(cell, dict.fromkeys(cell.parents, "w"))
    assert found is not None
    return found


def test_the_formula_counts_the_cells(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(SUITE)

    plan = make_plan(load_suite(str(tmp_path / "p.yaml")), Store(tmp_path / "store"))

    assert len(plan.cells) == 2 * 2 * (3 + 2) + 1
    assert plan.formula == (
        "2 variants × 2 seeds × (train + accuracy + noise) + "
        "2 variants × 2 seeds × 1 compressions × (accuracy + compression) + latency panel = 21 cells"
    )


def test_the_reference_comes_first_and_heads_the_panel(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(SUITE)
    suite = load_suite(str(tmp_path / "p.yaml")).suite

    panel = planned(tmp_path)["latency"]

    assert arms(suite)[0].variant == "baseline"
    assert panel.options["members"][0] == ["baseline", "0", "dense"]


@pytest.mark.parametrize(
    ("change", "cell_id", "same"),
    [
        (("stabilized:", "renamed:"), "train/baseline/0", True),
        (("max_norm: 1.0", "max_norm: 2.0"), "train/stabilized/0", False),
        (("max_norm: 1.0", "max_norm: 2.0"), "train/baseline/0", True),
        (("train: 32", "train: 33"), "train/baseline/0", False),
        (("severities: [1]", "severities: [2]"), "noise/baseline/0/dense", False),
        (("severities: [1]", "severities: [2]"), "train/baseline/0", True),
        (("severities: [1]", "severities: [2]"), "accuracy/baseline/0/dense", True),
        (("seeds: 2", "seeds: 3"), "train/baseline/0", True),
        (("processes: 2", "processes: 3"), "latency", False),
        (("name: p", "name: q"), "train/baseline/0", True),
    ],
)
def test_a_key_depends_on_what_decides_the_result_and_on_nothing_else(
    tmp_path: Path, change: tuple[str, str], cell_id: str, same: bool
) -> None:
    before, after = planned(tmp_path), planned(tmp_path, change)

    assert (key(before[cell_id]) == key(after[cell_id])) == same


def test_the_key_of_an_adapted_training_holds_the_version_of_the_adapters_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapted = ("{clip_grad_norm: {max_norm: 1.0}}", "{lora: {}}")
    before = planned(tmp_path, adapted)

    monkeypatch.setattr("stabbench.planning.versions.version", lambda name: "99" if name == "peft" else "1")
    other = planned(tmp_path, adapted)
    monkeypatch.setattr("stabbench.planning.versions.version", lambda name: "1")
    same = planned(tmp_path, adapted)

    assert "peft" in before["train/stabilized/0"].static["libraries"]
    assert "peft" not in before["train/baseline/0"].static["libraries"]
    assert key(other["train/stabilized/0"]) != key(same["train/stabilized/0"])
    assert key(other["train/baseline/0"]) == key(same["train/baseline/0"])


def test_the_key_of_an_augmented_training_holds_the_versions_of_its_noise(tmp_path: Path) -> None:
    cell = planned(tmp_path, ("{clip_grad_norm: {max_norm: 1.0}}", "{augment: {kinds: [keyboard]}}"))

    assert cell["train/stabilized/0"].static["uses"] == {"perturbations/keyboard": 1}
    assert "uses" not in cell["train/baseline/0"].static


def test_the_key_of_an_attack_holds_what_its_masked_language_model_is(tmp_path: Path) -> None:
    folder = tmp_path / "masked"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    change = ("accuracy: {}, ", f"accuracy: {{}}, attack: {{recipes: [deepwordbug], masked_lm: {folder}}}, ")
    before = planned(tmp_path, change)["attack/baseline/0/dense"]

    (folder / "config.json").write_text('{"other": 1}')
    after = planned(tmp_path, change)["attack/baseline/0/dense"]

    assert key(before) != key(after)
    assert "masked_lm" not in planned(tmp_path)["noise/baseline/0/dense"].static


def test_one_variant_is_compared_with_its_compressed_self_and_needs_no_warning(tmp_path: Path) -> None:
    alone = SUITE.replace("  stabilized: {stabilizers: [{clip_grad_norm: {max_norm: 1.0}}]}\n", "")
    (tmp_path / "c.yaml").write_text(alone)
    (tmp_path / "d.yaml").write_text(alone.replace("compressions: [int8-dynamic]\n", ""))

    told = {name: str(load_suite(str(tmp_path / f"{name}.yaml")).warnings) for name in ("c", "d")}

    assert "nothing is compared" not in told["c"]
    assert "nothing is compared" in told["d"]


def test_every_cell_of_a_suite_has_its_own_key(tmp_path: Path) -> None:
    found = planned(tmp_path).values()
    weights = {cell.id: cell.id for cell in found if cell.kind == "train"}

    keys = [cell_key(cell, weights) for cell in found]

    assert len(set(keys)) == len(keys)


def test_the_name_of_a_variant_is_not_in_the_key(tmp_path: Path) -> None:
    before, after = planned(tmp_path), planned(tmp_path, ("stabilized:", "renamed:"))

    assert key(before["train/stabilized/1"]) == key(after["train/renamed/1"])


def test_keys_of_probes_wait_for_the_weights(tmp_path: Path) -> None:
    found = list(planned(tmp_path).values())

    keys = resolve(found, Store(tmp_path / "store"))

    assert all((keys[cell.id] is None) == bool(cell.parents) for cell in found)


def test_a_selection_brings_the_trainings_it_needs(tmp_path: Path) -> None:
    found = planned(tmp_path).values()

    chosen = [cell.id for cell in selected(found, "probe=noise,seed=1,variant=base*")]

    assert chosen == ["train/baseline/1", "noise/baseline/1/dense"]


@pytest.mark.parametrize("expression", ["probe", "prob=noise", "probe=nothing"])
def test_a_selection_that_says_nothing_is_a_mistake(tmp_path: Path, expression: str) -> None:
    with pytest.raises(ConfigurationError):
        selected(planned(tmp_path).values(), expression)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("45m", 2700), ("2h", 7200), ("1.5", 90)])
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5m", "5d"])
def test_a_duration_that_cannot_be_read_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match="45m"):
        seconds_of(text)


def test_the_description_names_its_basis(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(SUITE)
    store = Store(tmp_path / "store")

    content = describe(make_plan(load_suite(str(tmp_path / "p.yaml")), store), store, jobs=2)

    assert content["to_run"] == content["planned"] == 21
    assert content["seconds"] > 0
    assert "no history" in content["seconds_basis"]
    assert content["detectable_effect_sd"] > 0
