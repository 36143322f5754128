"""``stabbench export RUN --artifact DIR``: one model of a run as a folder to deploy, with where it comes from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import string
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stabbench import registry
from stabbench.compression.base import DIVERGED, compress, material_for, stage_of
from stabbench.data.dataset import load_dataset
from stabbench.data.example import Dataset, Example
from stabbench.diagnosis.apply import suite_folder
from stabbench.errors import ConfigurationError, IncompleteError, StabbenchError, unknown_name
from stabbench.models.loading import load_subject
from stabbench.models.sources import asset_folder
from stabbench.models.subject import Subject
from stabbench.models.tiny import vocabulary
from stabbench.records import DENSE, canonical
from stabbench.seeding import random_for
from stabbench.store.cells import StoredCell
from stabbench.store.environment import describe
from stabbench.store.run_folder import RunFolder
from stabbench.suite.compressions import chain_problems, parse_stage, stages
from stabbench.suite.options import plugin_problems
from stabbench.suite.schema import Data, Task
from stabbench.suite.yaml_file import Document

MANIFEST = "manifest.json"
TEXTS = 64
IDS = 1000
"""Training ids that a manifest lists one by one, at most; beyond that it has their number and hash."""
NOTHING = "Nothing was written."


def write_artifact(
    run: RunFolder, target: Path, variant: str | None = None, seed: str | None = None, compression: str = DENSE
) -> dict[str, Any]:
    """Write one model of a run into the new folder `target`, and return its manifest, ``manifest.json``.

    The manifest has: what the model is (suite, run, variant, seed, compression), ``recipe`` (name, version, options of
    every stage) and its hash, ``parent`` (hash of the trained weights, key of the trial), ``training_texts`` of every
    stage that looked at some, ``files`` (sha256 each) and ``bytes``, ``environment`` (versions, processor, instruction
    set), and ``digest``: the logits of 64 fixed texts, one at a time, and the sha256 of their float32 bytes. The digest
    is equal wherever the same file runs on the same instruction set and libraries; elsewhere compare the logits.

    Args:
        run: finished as far as the trial goes.
        target: must not be there, or be an empty folder.
        variant: default: the only one.
        seed: label of the trial; default: the first that did not fail.
        compression: a chain, also one that the suite does not have.

    Raises:
        ConfigurationError: there is no such trial or chain, the trial failed, or `target` is not empty.
        IncompleteError: the trial is not finished, or its weights were not kept.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError([f"--artifact {target}: is not empty; name a new folder"], note=NOTHING)
    _check_chain(compression)
    cell, stored = _trial(run, variant, seed)
    data, task = Data.model_validate(run.suite["data"]), Task.model_validate(run.suite["task"])
    dataset = load_dataset(data, task, suite_folder(run) or Path(), asset_folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        subject = _write(draft, stored.folder / "model", dataset, cell["seed"], compression)
        manifest = _manifest(run, cell, stored, compression, dataset, draft, subject)
        text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
        (draft / MANIFEST).write_text(text + "\n", encoding="utf-8")
        if target.exists():
            target.rmdir()
        os.replace(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def load_artifact(folder: Path) -> Subject:
    """Return the subject of a folder that `write_artifact` wrote.

    Raises:
        ConfigurationError: the folder has no manifest.
        StabbenchError: a file is not the one that was written.
    """
    if not (folder / MANIFEST).is_file():
        raise ConfigurationError([f"{folder} has no {MANIFEST}; it was not written by stabbench export --artifact"])
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for name, known in manifest["files"].items():
        if not (folder / name).is_file() or _sha256(folder / name) != known:
            raise StabbenchError(f"{folder / name} is missing or is not the file that was written; export it again")
    return _load(folder, manifest["compression"])


def digest(subject: Subject) -> dict[str, Any]:
    """Return the logits of the 64 fixed texts, one text a batch, and the sha256 of their float32 bytes."""
    rows = np.concatenate([subject.logits(subject.encode([text])).cpu().numpy() for text in fixed_texts()])
    return {
        "texts": len(rows),
        "sha256": hashlib.sha256(rows.astype("<f4").tobytes()).hexdigest(),
        "logits": [[float(f"{value:.7g}") for value in row] for row in rows],
    }


def fixed_texts() -> list[str]:
    """Return 64 texts of 1 to 40 common words, the same for ever."""
    words = [word for word in vocabulary() if len(word) > 1 and set(word) <= set(string.ascii_lowercase)]
    texts = []
    for index in range(TEXTS):
        draw = random_for("artifact-digest", index)
        texts.append(" ".join(draw.choice(words) for _ in range(draw.randint(1, 40))))
    return texts


def _write(draft: Path, model: Path, dataset: Dataset, seed: str, compression: str) -> Subject:
    if compression == DENSE:
        shutil.copytree(model, draft)
        return _load(draft, compression)
    draft.mkdir()
    dense = load_subject(model)
    compress(compression, dense, material_for(compression, dataset, seed), draft)
    if (draft / DIVERGED).is_file():
        raise StabbenchError("the trained weights hold NaN or infinities; there is nothing to deploy")
    return _load(draft, compression)


def _load(folder: Path, compression: str) -> Subject:
    return load_subject(folder) if compression == DENSE else stage_of(stages(compression)[-1]).load(folder)


def _check_chain(compression: str) -> None:
    if compression == DENSE:
        return
    parts = stages(compression)
    found = [
        problem.message
        for name, options in map(parse_stage, parts)
        for problem in plugin_problems("compression", name, options, (name,), Document({}))
    ]
    found = found or [f"stage {index + 1}: {why}" for index, why in chain_problems(parts)]
    if found:
        raise ConfigurationError([f"--compression '{compression}': {message}" for message in found], note=NOTHING)


def _trial(run: RunFolder, variant: str | None, seed: str | None) -> tuple[Mapping[str, Any], StoredCell]:
    trains = [cell for cell in run.plan["cells"] if cell["kind"] == "train"]
    variants = list(dict.fromkeys(cell["variant"] for cell in trains))
    if variant is None and len(variants) > 1:
        raise ConfigurationError([f"--variant: the run has {', '.join(variants)}; name one"], note=NOTHING)
    chosen = variants[0] if variant is None else variant
    if chosen not in variants:
        raise ConfigurationError([f"--variant: {unknown_name('variant', chosen, variants)}"], note=NOTHING)
    mine = {cell["seed"]: cell for cell in trains if cell["variant"] == chosen}
    if seed is not None and seed not in mine:
        raise ConfigurationError([f"--seed: {unknown_name('seed', seed, mine)}"], note=NOTHING)
    finished = {label: found for label, cell in mine.items() if (found := run.cell(cell["id"])) is not None}
    fine = [label for label, found in finished.items() if not found.details["failed"]]
    label = seed if seed is not None else next(iter(fine), next(iter(finished), next(iter(mine))))
    if label not in finished:
        raise IncompleteError(f"variant '{chosen}', seed {label} is not trained yet; run the suite to its end first")
    stored = finished[label]
    if stored.details["failed"]:
        others = f"Seeds that did not: {', '.join(fine)}." if fine else "No seed of this variant did not fail."
        reason = f"variant '{chosen}', seed {label} is a failed run ({stored.details['failed_reason']}). {others}"
        raise ConfigurationError([f"--seed: {reason}"], note=NOTHING)
    if not stored.has_weights():
        raise IncompleteError(
            f"the weights of variant '{chosen}', seed {label} were not kept; run the suite with keep_weights: all"
        )
    return mine[label], stored


def _manifest(
    run: RunFolder,
    cell: Mapping[str, Any],
    stored: StoredCell,
    compression: str,
    dataset: Dataset,
    folder: Path,
    subject: Subject,
) -> dict[str, Any]:
    parsed = [] if compression == DENSE else [parse_stage(text) for text in stages(compression)]
    cards = [(registry.card("compression", name), given) for name, given in parsed]
    recipe = [
        {"name": card.name, "version": card.version, "options": {**card.defaults(), **given}} for card, given in cards
    ]
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {
        "schema": 1,
        "suite": run.plan["suite"],
        "run": run.path.name,
        "variant": cell["variant"],
        "seed": cell["seed"],
        "compression": compression,
        "recipe": recipe,
        "recipe_hash": hashlib.sha256(canonical(recipe).encode()).hexdigest(),
        "parent": {"weights": stored.weights, "cell": stored.key},
        "data": dataset.fingerprint,
        "training_texts": {item["name"]: _seen(item, dataset.train) for item in recipe if _looks(str(item["name"]))},
        "classes": list(subject.classes),
        "max_length": subject.max_length,
        "files": {str(file.relative_to(folder)): _sha256(file) for file in files},
        "bytes": sum(file.stat().st_size for file in files),
        "environment": describe(),
        "digest": digest(subject),
    }


def _looks(name: str) -> bool:
    traits = registry.card("compression", name).traits
    return bool(traits["calibrates"] or traits["trains"])


def _seen(item: Mapping[str, Any], examples: Sequence[Example]) -> dict[str, Any]:
    """Return which training texts a stage looked at; one that trains sees all of them."""
    traits = registry.card("compression", item["name"]).traits
    option = traits["calibrates"]
    count = item["options"].get(option) if option and option != "all" and not traits["trains"] else None
    ids = [example.id for example in examples[:count]]
    known = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    return {"split": "train", "count": len(ids), "sha256": known, **({"ids": ids} if len(ids) <= IDS else {})}


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
