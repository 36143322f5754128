"""From a suite to its cells: what is to be done, with everything that decides each result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stabbench import registry
from stabbench.planning.fingerprints import model_fingerprint
from stabbench.planning.trials import Arm, Plugged, arms, chain, chain_name, labels
from stabbench.planning.versions import ENGINE, libraries
from stabbench.records import DENSE, Cell
from stabbench.store.environment import device_kind, hardware_class, instruction_set
from stabbench.suite.compressions import parse_stage
from stabbench.suite.fingerprint import data_fingerprint
from stabbench.suite.load import LoadedSuite
from stabbench.suite.option_files import stored_option
from stabbench.suite.schema import Model


@dataclass(frozen=True)
class _Study:
    """What all cells of a suite share; of a finished checkpoint, the checkpoint stands in place of the model."""

    loaded: LoadedSuite
    data: str
    model: str

    def of(self, arm: Arm) -> _Study:
        """Return the study as the cells of an arm see it."""
        if arm.checkpoint is None:
            return self
        return replace(self, model=model_fingerprint(arm.checkpoint.model, self.loaded.path.parent))

    @property
    def shared(self) -> dict[str, Any]:
        return {
            "engine": ENGINE,
            "data": self.data,
            "model": self.model,
            "task": self.loaded.suite.task.model_dump(),
            "device": device_kind(),
        }


def cells(loaded: LoadedSuite) -> tuple[Cell, ...]:
    """Return every cell of a suite: training first, then probes, then panels; parents stand before children."""
    suite = loaded.suite
    folder = loaded.path.parent
    study = _Study(loaded, data_fingerprint(suite.data, folder), model_fingerprint(suite.model, folder))
    trials = [(arm, seed) for arm in arms(suite) for seed in labels(suite)]
    train = [_first_cell(study.of(arm), arm, seed) for arm, seed in trials]
    probes = [cell for arm, seed in trials for cell in _probe_cells(study.of(arm), arm, seed)]
    return (*train, *probes, *_panel_cells(study))


def train_id(variant: str, seed: str) -> str:
    """Return the logical id of a trial's training."""
    return f"train/{variant}/{seed}"


def _first_cell(study: _Study, arm: Arm, seed: str) -> Cell:
    """Return the cell that gives a trial its weights: its training, or taking in a finished checkpoint."""
    if arm.checkpoint is None:
        return _train_cell(study, arm, seed)
    options = {"checkpoint": arm.checkpoint.as_dict(), "train": arm.train.model_dump()}
    static = {
        **study.shared,
        "kind": "checkpoint",
        "classes": arm.checkpoint.as_dict()["classes"],
        "max_length": arm.train.max_length,
        "libraries": libraries(),
    }
    return Cell(train_id(arm.variant, seed), "train", arm.variant, seed, DENSE, "checkpoint", options, (), static)


def _train_cell(study: _Study, arm: Arm, seed: str) -> Cell:
    suite = study.loaded.suite
    monitors = [Plugged.of("monitors", name, given) for name, given in suite.monitors.items()]
    options = {
        "train": arm.train.model_dump(),
        "stabilizers": [{item.name: dict(item.options)} for item in arm.stabilizers],
        "monitors": {item.name: dict(item.options) for item in monitors},
        **_compute(arm),
    }
    static = {
        **study.shared,
        "kind": "train",
        "seed": seed,
        "train": arm.train.model_dump(),
        "stabilizers": [item.for_key() for item in arm.stabilizers],
        "monitors": [item.for_key() for item in monitors],
        "libraries": libraries(*_packages(arm)),
        **_used_by_stabilizers(arm),
        **_compute(arm),
    }
    return Cell(train_id(arm.variant, seed), "train", arm.variant, seed, DENSE, "train", options, (), static)


def _packages(arm: Arm) -> list[str]:
    """Return the packages beside the core's that the arm's stabilizers act through."""
    packages = {registry.card("stabilizers", item.name).traits["package"] for item in arm.stabilizers}
    return sorted(package for package in packages if package)


def _used_by_stabilizers(arm: Arm) -> dict[str, Any]:
    """Return the versions of the plug-ins that stabilizers name in their options, as a part of the key; often none."""
    used: dict[str, int] = {}
    for item in arm.stabilizers:
        used |= _used_versions(item, registry.card("stabilizers", item.name).traits["uses"])
    return {"uses": used} if used else {}


def _compute(arm: Arm) -> dict[str, Any]:
    """Return what a matched arm may spend, for its options and its key; empty for other arms."""
    return {} if arm.compute is None else {"compute": arm.compute.as_dict()}


def _probe_cells(study: _Study, arm: Arm, seed: str) -> Iterator[Cell]:
    suite = study.loaded.suite
    for name, given in suite.probes.items():
        traits = registry.card("probes", name).traits
        if not traits["panel"] and traits["applies"] != "compressed":
            yield _probe_cell(study, arm, seed, name, given, ())
    for compression in suite.compressions:
        for name in _compressed_probes(study):
            yield _probe_cell(study, arm, seed, name, suite.probes.get(name, {}), chain(compression))


def _compressed_probes(study: _Study) -> list[str]:
    """Names of the probes of compressed subjects: those that apply to nothing else, and those the suite asks for."""
    suite = study.loaded.suite
    traits = {name: registry.card("probes", name).traits for name in registry.names("probes")}
    unasked = [name for name, trait in traits.items() if trait["applies"] == "compressed"]
    asked = [name for name in suite.compress_probes if not traits[name]["panel"] and name not in unasked]
    return [*asked, *unasked]


def _probe_cell(
    study: _Study, arm: Arm, seed: str, name: str, given: Mapping[str, Any], compressors: tuple[str, ...]
) -> Cell:
    probe = Plugged.of("probes", name, given)
    traits = registry.card("probes", name).traits
    stages = [Plugged.of("compression", *parse_stage(stage)) for stage in compressors]
    static = {
        **study.shared,
        "kind": "probe",
        "probe": _probe_key(probe, traits, study.loaded.path.parent),
        "uses": _used_versions(probe, traits["uses"]),
        "compression": [stage.for_key() for stage in stages],
        "max_length": arm.train.max_length,
        "threads": arm.train.threads,
        "dtype": "float32",
        "libraries": libraries(
            *(["textattack"] if traits["worker"] == "attack" else []), *_compression_libraries(stages)
        ),
    }
    if lacking := _lacking(probe, traits["uses"]):
        static["lacking"] = lacking
    if folder := probe.options.get("masked_lm"):
        static["masked_lm"] = model_fingerprint(Model(name=folder), study.loaded.path.parent)
    traits_of_stages = [registry.card("compression", stage.name).traits for stage in stages]
    if any(stage["instruction_set"] for stage in traits_of_stages):
        static["instruction_set"] = list(instruction_set())
    if any(stage["trains"] for stage in traits_of_stages):
        static["seed"] = seed
    label = "+".join(compressors) or DENSE
    cell_id = f"{name}/{arm.variant}/{seed}/{label}"
    parents = (train_id(arm.variant, seed),)
    return Cell(cell_id, "probe", arm.variant, seed, label, name, probe.options, parents, static, traits["worker"])


def _panel_cells(study: _Study) -> Iterator[Cell]:
    suite = study.loaded.suite
    seed = labels(suite)[0]
    for name, given in suite.probes.items():
        traits = registry.card("probes", name).traits
        if not traits["panel"]:
            continue
        probe = Plugged.of("probes", name, given)
        compressions = [DENSE]
        if name in suite.compress_probes:
            compressions += [chain_name(entry) for entry in suite.compressions]
        members = [(arm.variant, seed, label) for label in compressions for arm in arms(suite)]
        stages = [
            Plugged.of("compression", *parse_stage(stage)) for entry in suite.compressions for stage in chain(entry)
        ]
        static = {
            **study.shared,
            "kind": "panel",
            "probe": _probe_key(probe, traits, study.loaded.path.parent),
            "members": [label for _, _, label in members],
            "compression": [stage.for_key() for stage in stages] if len(compressions) > 1 else [],
            "hardware": hardware_class(),
            "libraries": libraries("pytest-benchmark", *_compression_libraries(stages)),
            **({"uses": used} if (used := _used_versions(probe, traits["uses"])) else {}),
        }
        options = {**probe.options, "members": [list(member) for member in members]}
        parents = tuple(train_id(variant, seed) for variant, seed, _ in members)
        yield Cell(name, "panel", "", "", "", name, options, parents, static, traits["worker"])


def _probe_key(probe: Plugged, traits: Mapping[str, Any], folder: Path) -> list[Any]:
    """Return what of a probe belongs into a key; a file by what is in it, so that a changed one is read again."""
    name, version, options = probe.for_key()
    files = {option: stored_option(form, options[option], folder) for option, form in traits.get("reads", {}).items()}
    return [name, version, {**options, **files}]


def _used_versions(plugged: Plugged, uses: Mapping[str, str]) -> dict[str, int]:
    return {
        f"{kind}/{name}": registry.card(kind, name).version
        for option, kind in uses.items()
        for name in plugged.options.get(option, ())
    }


def _lacking(probe: Plugged, uses: Mapping[str, str]) -> list[str]:
    """Return the attacks that this machine lacks something for: the cell is done anew when it has it."""
    named = [name for option, kind in uses.items() if kind == "attacks" for name in probe.options.get(option, ())]
    return sorted(name for name in named if registry.load("attacks", name).given(**probe.options).missing())


def _compression_libraries(stages: list[Plugged]) -> list[str]:
    packages = {package for stage in stages for package in registry.card("compression", stage.name).traits["packages"]}
    return ["onnx", "onnxruntime", *sorted(packages)] if stages else []
