"""From the first remedy to a suite that tries it: the ill arm as the reference, the same arm remedied beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from stabbench.diagnosis.arms import Arm
from stabbench.diagnosis.diagnose import Diagnosis
from stabbench.diagnosis.finding import Finding, Remedy
from stabbench.errors import ConfigurationError
from stabbench.store.run_folder import RunFolder
from stabbench.suite.load import load_suite

KEPT = ("task", "model", "monitors")
PROBES = ("accuracy", "gradient")
"""Probes of the new suite: what tells whether the illness is gone, and costs little."""
DEFAULT_STORE = Path(".stabbench/store")


@dataclass(frozen=True)
class Applied:
    """A suite that was written.

    Attributes:
        variant: the ill arm.
        rule: the finding whose remedy it tries.
        remedy: the remedy.
        path: the suite's file.
        command: what to do next.
    """

    variant: str
    rule: str
    remedy: Remedy
    path: Path
    command: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "variant": self.variant,
            "rule": self.rule,
            "remedy": self.remedy.text,
            "fragment": self.remedy.fragment(),
            "suite": str(self.path),
            "command": self.command,
        }


def apply(run: RunFolder, diagnosis: Diagnosis, folder: Path) -> list[Applied]:
    """Write one suite per ill arm into `folder`, never over another file, and return them.

    Each tries the first remedy that a suite can make, of the first finding that has one: the original arm is the
    reference, with the same seeds, data, model and options, so that its trainings are found in the store; the remedied
    arm differs in the remedy alone. A suite that the loader refuses is not left behind, and the next remedy is tried.

    Raises:
        ConfigurationError: the data's files cannot be found from here.
    """
    made = []
    for arm in diagnosis.arms:
        for finding, remedy in _candidates(diagnosis, arm):
            path = _write(run, arm, finding, remedy, folder)
            if path is not None:
                made.append(Applied(arm.variant, finding.rule, remedy, path, _command(run, path)))
                break
    return made


def _candidates(diagnosis: Diagnosis, arm: Arm) -> list[tuple[Finding, Remedy]]:
    return [(finding, remedy) for finding in diagnosis.of(arm.variant) for remedy in finding.remedies if remedy.changes]


def _write(run: RunFolder, arm: Arm, finding: Finding, remedy: Remedy, folder: Path) -> Path | None:
    content = suite_of(run, arm, finding, remedy)
    path = _free(folder, content["name"])
    note = f"# Written by stabbench diagnose: {remedy.text}, against {arm.variant} as it was.\n"
    path.write_text(note + _yaml(content), encoding="utf-8")
    try:
        load_suite(str(path))
    except ConfigurationError:
        path.unlink()
        return None
    return path


def suite_of(run: RunFolder, arm: Arm, finding: Finding, remedy: Remedy) -> dict[str, Any]:
    """Return the content of the suite that tries a remedy on an arm."""
    suite = run.suite
    remedied = f"{arm.variant}-remedied"
    seeds = ", ".join(finding.seeds)
    trained = [trial.seed for trial in arm.trials]
    return {
        "schema": 1,
        "name": re.sub(r"[^a-z0-9._-]+", "-", f"{suite['name']}-{arm.variant}-remedy".lower()),
        "description": f"does it cure {finding.rule} (seed {seeds} of {arm.variant}) to {remedy.text}?",
        "data": _data(run),
        "seeds": seeds_of(trained),
        **{name: suite[name] for name in KEPT if name in suite},
        **({"model": _model(run)}),
        "train": dict(arm.train),
        "variants": {
            arm.variant: {"stabilizers": [{name: dict(options)} for name, options in arm.stabilizers.items()]},
            remedied: {"train": dict(remedy.train), "stabilizers": remedied_stabilizers(arm, remedy)},
        },
        "probes": {name: dict(suite["probes"].get(name, {})) for name in PROBES},
        "compare": {"reference": arm.variant, "primary": ["train.failed", "accuracy"]},
        "budget": dict(suite.get("budget", {})),
    }


def remedied_stabilizers(arm: Arm, remedy: Remedy) -> list[dict[str, dict[str, Any]]]:
    """Return the arm's stabilizers with the remedy in them: taken out, options set, new ones last."""
    kept = {name: dict(options) for name, options in arm.stabilizers.items() if name not in remedy.remove}
    for name, options in remedy.add.items():
        kept[name] = {**kept.get(name, {}), **options}
    return [{name: options} for name, options in kept.items()]


def seeds_of(labels: list[str]) -> list[int] | dict[str, int]:
    """Return the seeds as a suite gives them, from their labels."""
    if not any("/" in label for label in labels):
        return [int(label) for label in labels]
    pairs = [(label.split("/") * 2)[:2] for label in labels]
    return {name: 1 + max(int(pair[index]) for pair in pairs) for index, name in enumerate(("init", "order"))}


def _data(run: RunFolder) -> dict[str, Any]:
    """Return the suite's data with its root absolute: the new suite lies elsewhere."""
    data = dict(run.suite["data"])
    if not isinstance(data["train"], Mapping) or ("source" in data and "root" not in data):
        return data
    folder = suite_folder(run)
    if folder is None and not Path(data.get("root", ".")).is_absolute():
        raise ConfigurationError(
            [
                f"run '{run.path.name}' does not say where its suite lay, so the paths of its data cannot be found. "
                "Run the suite again (finished cells are not done again), then diagnose the new run."
            ]
        )
    return {**data, "root": str((Path(folder or "/") / data.get("root", ".")).resolve())}


def suite_folder(run: RunFolder) -> Path | None:
    """Return the folder of the suite's file, from which its paths start; None where the run does not say it."""
    folder = run.plan.get("suite_folder")
    return None if folder is None else Path(folder)


def _model(run: RunFolder) -> dict[str, Any]:
    model = dict(run.suite["model"])
    beside = (suite_folder(run) or Path()) / model["name"]
    return {**model, "name": str(beside.resolve())} if beside.is_dir() else model


def _free(folder: Path, name: str) -> Path:
    """Return a path that no file has: ``name.yaml``, else ``name-2.yaml`` …."""
    number, path = 1, folder / f"{name}.yaml"
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}.yaml"
    return path


def _command(run: RunFolder, path: Path) -> str:
    store = run.store.root
    same = store.resolve() == DEFAULT_STORE.resolve()
    return f"stabbench run {path}" + ("" if same else f" --store {store}")


def _yaml(content: Mapping[str, Any]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    yaml.default_flow_style = None
    yaml.width = 120
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = StringIO()
    yaml.dump(dict(content), stream)
    return stream.getvalue()
