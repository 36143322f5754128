"""Presets: valid recipes that a variant's own values lie over, named in every error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stabbench import registry
from stabbench.errors import ConfigurationError
from stabbench.execution.catalogue import card_text, cards_named, catalogue
from stabbench.suite.load import json_schema, load_suite
from stabbench.suite.recipes import expanded, presets
from stabbench.suite.schema import TrainOptions, Variant

# A preset may name a stabilizer of another package.
USABLE = [n for n, p in presets().items() if all(s in registry.names("stabilizers") for e in p.stabilizers for s in e)]


def test_the_recipes_that_the_documents_name_are_there() -> None:
    assert set(presets()) == {"devlin", "mosbach", "zhang", "robust"}
    assert {"devlin", "mosbach", "robust"} <= set(USABLE)


@pytest.mark.parametrize("name", presets())
def test_a_preset_has_valid_training_options_and_says_where_it_is_from(name: str) -> None:
    preset = presets()[name]

    TrainOptions.model_validate(preset.train)
    assert preset.summary
    assert "arXiv:" in preset.source


@pytest.mark.parametrize("name", USABLE)
def test_a_suite_with_a_preset_is_the_suite_with_it_written_out(write, base, name: str) -> None:
    preset = presets()[name]
    content = {"train": dict(preset.train), "stabilizers": list(preset.stabilizers)}
    short = write(base.replace("baseline: {}", f"baseline: {{preset: {name}}}"), "short.yaml")
    long = write(base.replace("baseline: {}", f"baseline: {json.dumps(content)}"), "long.yaml")

    assert load_suite(str(short)).resolved == load_suite(str(long)).resolved
    assert "preset" not in load_suite(str(short)).resolved["variants"]["baseline"]


def test_the_failing_baseline_differs_from_its_remedy_in_optimizer_and_length_only() -> None:
    devlin, mosbach = presets()["devlin"], presets()["mosbach"]

    assert {k for k in devlin.train if devlin.train[k] != mosbach.train[k]} == {"optimizer", "epochs"}
    assert devlin.stabilizers == mosbach.stabilizers


def test_own_values_lie_over_the_presets() -> None:
    variant = Variant(
        preset="robust",
        train={"learning_rate": 1e-4},
        stabilizers=[{"fgm": {}}, {"r_drop": {"alpha": 0.5}}],
    )

    found = expanded(variant)

    assert found.train["learning_rate"] == 1e-4
    assert found.train["epochs"] == 20
    assert found.stabilizers == [
        {"warmup": {"fraction": 0.1}}, {"clip_grad_norm": {"max_norm": 1.0}}, {"r_drop": {"alpha": 0.5}},
        {"ema": {"half_life": 0.07}}, {"fgm": {}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "own", "epochs", "steps"),
    [
        ("zhang", {}, None, 400),
        ("zhang", {"epochs": 2}, 2, None),
        ("mosbach", {}, 20, None),
        ("mosbach", {"max_steps": 50}, 20, 50),
    ],
)
def test_saying_how_long_to_train_replaces_the_other_way_of_saying_it(preset, own, epochs, steps) -> None:
    train = expanded(Variant(preset=preset, train=own)).train

    assert (train.get("epochs"), train.get("max_steps")) == (epochs, steps)


def test_epochs_of_a_preset_replace_steps_of_the_suite(write, base) -> None:
    text = base.replace("baseline: {}", "baseline: {preset: mosbach}") + "train: {max_steps: 7}\n"

    variants = load_suite(str(write(text))).resolved["variants"]

    assert variants["baseline"]["train"]["max_steps"] is None
    assert variants["stabilized"]["train"]["max_steps"] == 7


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("{preset: mosbch}", "unknown preset 'mosbch'. Did you mean 'mosbach'?"),
        ("{preset: mosbach, train: {epoch: 3}}", "unknown key 'epoch'. Did you mean 'epochs'?"),
        ("{preset: mosbach, stabilizers: [{warmup: {fraction: 2}}]}", "must be below 1"),
        (
            "{preset: robust, train: {optimizer: schedule_free}}",
            "'ema' cannot work with train.optimizer: schedule_free",
        ),
    ],
)
def test_a_mistake_in_a_variant_with_a_preset_is_told_at_its_place(problems, variant: str, said: str) -> None:
    found = problems(old="baseline: {}", new=f"baseline: {variant}")

    assert any(said in p.message and p.line == 7 for p in found), [str(p) for p in found]


def test_a_preset_whose_stabilizer_is_not_there_names_it(write, base, monkeypatch) -> None:
    there = registry.names
    monkeypatch.setattr(registry, "names", lambda kind: tuple(n for n in there(kind) if n != "ema"))

    with pytest.raises(ConfigurationError, match="preset 'robust': unknown stabilizer 'ema'"):
        load_suite(str(write(base.replace("baseline: {}", "baseline: {preset: robust}"))))


def test_presets_are_listed_shown_and_offered_to_editors() -> None:
    assert {entry["name"] for entry in catalogue("presets")["presets"]} == set(presets())
    for name in ("mosbach", "presets/mosbach"):
        ((kind, card),) = cards_named(name)
        assert "epochs: 20" in card_text(kind, card)
    assert json_schema()["$defs"]["Variant"]["properties"]["preset"]["enum"] == list(presets())
    with pytest.raises(ConfigurationError, match="Did you mean 'mosbach'"):
        cards_named("mosbac")


def test_the_presets_are_part_of_the_package_data() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")

    assert '"**/*.yaml"' in text
