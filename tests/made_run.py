"""A finished run without any model: six seeds, a failed run, an error, hostile texts, made by the store's API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stabbench.claims.build import build_claims
from stabbench.claims.derive import derive
from stabbench.claims.verdict import verdict_document
from stabbench.records import DENSE, Cell, Measurement, Row
from stabbench.store.cells import Store, key_of
from stabbench.store.run_folder import RunFolder
from stabbench.suite.load import load_suite

HOSTILE = [
    '<script>alert("x")</script> & </script><img src=x onerror=alert(1)>',
    "right \u202eto left\u202c, zero\u200bwidth, NUL\x00, bell\x07, line\u2028break",
    "plain words with \N{PILE OF POO} and p\u0430ypal",
]
BLOCKS = ["embeddings", "block.0", "block.1", "pooler", "head"]
PROBES = {
    "accuracy": "accuracy: {}",
    "gradient": "gradient: {}",
    "noise": "noise: {kinds: [keyboard, word_drop], severities: [1, 5], examples: 10}",
    "attack": "attack: {examples: 3}",
    "latency": "latency: {batch: [1, 32], processes: 3}",
}


def suite_text(variants: int, seeds: int, probes: tuple[str, ...], compressions: bool) -> str:
    arms = ["baseline: {}", "stabilized: {stabilizers: [{clip_grad_norm: {}}]}", "third: {stabilizers: [{ema: {}}]}"]
    return "\n".join(
        [
            "schema: 1",
            "name: made",
            f"description: {json.dumps(HOSTILE[0])}",
            "data: {source: builtin:tiny, train: 8, test: 20}",
            "model: builtin:tiny",
            f"seeds: {seeds}",
            "variants:",
            *(f"  {arm}" for arm in arms[:variants]),
            "probes:",
            *(f"  {PROBES[name]}" for name in probes),
            "compressions: [int8-dynamic]" if compressions else "compressions: []",
            "compress_probes: [accuracy]",
        ]
    )


class Maker:
    """Writes cells with plausible numbers from one generator."""

    def __init__(self, folder: Path, text: str) -> None:
        file = folder / "made.yaml"
        file.write_text(text, encoding="utf-8")
        self.loaded = load_suite(str(file))
        self.suite = self.loaded.suite
        self.store = Store(folder / "store")
        self.rng = np.random.default_rng(3)
        self.cells: list[dict[str, Any]] = []
        self.rows: list[Row] = []
        self.predictions: dict[tuple[str, str, str], tuple[np.ndarray, np.ndarray]] = {}

    def cell(
        self,
        probe: str,
        variant: str,
        seed: str,
        compression: str,
        measurements: list[Measurement],
        files: dict[str, Any],
        **details: Any,
    ) -> None:
        kind: Any = "train" if probe == "train" else "probe"
        cell_id = f"train/{variant}/{seed}" if kind == "train" else f"{probe}/{variant}/{seed}/{compression}"
        made = Cell(cell_id, kind, variant, seed, compression, probe, {}, (), {"id": cell_id})
        key = key_of(made.static)
        rows = [Row(variant, seed, compression, probe, m) for m in measurements]
        with self.store.draft(key) as draft:
            for name, content in files.items():
                if name.endswith(".npz"):
                    np.savez(draft / name, **content)
                else:
                    (draft / name).write_text(content, encoding="utf-8", errors="surrogatepass")
            self.store.finish(draft, key, made, rows, details, 1.0, {})
        self.rows += rows
        self.plan(made, key, "done")

    def plan(self, cell: Cell, key: str | None, state: str) -> None:
        names = ("id", "kind", "variant", "seed", "compression", "probe", "options", "parents", "worker")
        self.cells.append({**{name: getattr(cell, name) for name in names}, "key": key, "state": state})


def share(value: float, metric: str, n: int = 20, **at: Any) -> Measurement:
    return Measurement(metric, value, "share", "higher", at, n, n)


def trial(maker: Maker, variant: str, seed: str, probes: tuple[str, ...], failed: bool) -> None:
    rng = maker.rng
    trace = {
        "blocks": np.array(BLOCKS),
        "step": np.arange(12),
        "raw_norm": np.abs(rng.normal(1, 0.3, (12, 5))),
        "applied_norm": np.abs(rng.normal(1, 0.3, (12, 5))),
        "probe_step": np.array([0, 6, 12]),
        "probe_norm": np.abs(rng.normal(1, 0.3, (3, 5))),
    }
    if failed:
        trace["raw_norm"][5:] = np.nan
    numbers = [
        Measurement("train.failed", float(failed), "share", "lower", {}, 1, 1),
        share(0.5, "train.accuracy_before"),
        share(0.9, "train.accuracy_train"),
        share(0.2, "train.gap"),
        Measurement("train.seconds", float("nan") if failed else 3.0, "seconds", "lower"),
        *(
            Measurement(f"gradient.{name}", 1.0, "norm", "neither")
            for name in ("raw_norm", "applied_norm", "clip_rate", "spikes")
        ),
    ]
    details = {"failed": failed, "failed_reason": "one class" if failed else None, "classes": ["<b>bad</b>", "good"]}
    maker.cell("train", variant, seed, DENSE, numbers, {"trace.npz": trace}, **details)
    label = np.arange(20) % 2
    predicted = np.ones(20, int) if failed else np.where(rng.random(20) < 0.8, label, 1 - label)
    accuracy(maker, variant, seed, DENSE, label, predicted)
    if "noise" in probes:
        noise(maker, variant, seed, label[:10], predicted[:10])
    if "attack" in probes:
        attack(maker, variant, seed)
    if maker.suite.compressions:
        accuracy(maker, variant, seed, "int8-dynamic", label, predicted)
        size = Measurement("compression.size", 5e7, "bytes", "lower")
        loyalty = share(0.97, "compression.label_loyalty")
        maker.cell("compression", variant, seed, "int8-dynamic", [size, loyalty], {})


def accuracy(maker: Maker, variant: str, seed: str, compression: str, label: np.ndarray, predicted: np.ndarray) -> None:
    right = float((label == predicted).mean())
    others = [share(right, name) for name in ("macro_f1", "mcc", "ece", "majority_share")]
    maker.cell(
        "accuracy",
        variant,
        seed,
        compression,
        [share(right, "accuracy"), *others],
        {"predictions.npz": {"label": label, "predicted": predicted}},
    )
    maker.predictions[variant, seed, compression] = (label, predicted)


def noise(maker: Maker, variant: str, seed: str, label: np.ndarray, clean: np.ndarray) -> None:
    predicted = np.where(maker.rng.random((2, 2, 10)) < 0.7, label, 1 - label)
    kinds, severities = ["keyboard", "word_drop"], [1, 5]
    found = [
        share(float((predicted[k, s] == label).mean()), "noise.accuracy", 10, kind=kind, severity=severity)
        for k, kind in enumerate(kinds)
        for s, severity in enumerate(severities)
    ]
    found += [
        share(float((predicted == label).mean()), "noise.accuracy", 10),
        share(0.1, "noise.flip_rate", 10),
        share(0.5, "noise.worst_case", 10),
    ]
    found.append(share(0.2, "noise.no_op_share", 10, kind="keyboard", severity=1))
    arrays = {
        "kinds": np.array(kinds),
        "severities": np.array(severities),
        "example": np.arange(10),
        "label": label,
        "clean": clean,
        "predicted": predicted,
    }
    maker.cell("noise", variant, seed, DENSE, found, {"noise.npz": arrays})


def attack(maker: Maker, variant: str, seed: str) -> None:
    rows = [
        {
            "recipe": "deepwordbug", "example": f"e{i}", "text": text, "label": 0, "outcome": "success",
            "clean_prediction": 0,
            "clean_probabilities": [0.9, 0.1], "adversarial_text": text.replace("a", "\u0430") + " <i>x</i>",
            "adversarial_prediction": 1, "adversarial_probabilities": [0.4, 0.6], "words_changed": 1, "words": 5,
            "queries": 9, "model_rows": 9, "query_at_success": 7,
        }
        for i, text in enumerate(HOSTILE)
    ]  # fmt: skip
    names = ("accuracy_under_attack", "success_rate", "words_changed", "queries", "model_rows", "clean_accuracy")
    numbers = [share(0.3, f"attack.{name}", 3, recipe="deepwordbug") for name in names]
    maker.cell("attack", variant, seed, DENSE, numbers, {"attack.jsonl": "\n".join(map(json.dumps, rows)) + "\n"})


def latency_rows(variants: list[str]) -> list[Row]:
    rows = []
    for batch in (1, 32):
        at = {"batch": batch, "length": 32}
        for variant in variants:
            base = 0.01 * batch
            numbers = [
                Measurement("latency.p50", base, "seconds", "lower", at),
                Measurement("latency.ratio", 1.0, "ratio", "lower", at),
                Measurement("throughput.texts", batch / base, "texts/s", "higher", at),
                Measurement("latency.contaminated", 0.0, "share", "lower", at),
                *(
                    Measurement("latency.process_p50", base * (1 + 0.01 * k), "seconds", "lower", {**at, "process": k})
                    for k in range(3)
                ),
            ]
            rows += [Row(variant, "0", DENSE, "latency", m) for m in numbers]
        replicate = [
            Measurement("latency.aa_ratio", 1 + 0.01 * k, "ratio", "neither", {**at, "process": k}) for k in range(3)
        ]
        rows += [Row(variants[0], "0", DENSE, "latency", m) for m in replicate]
    return rows


MakeRun = Callable[..., RunFolder]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Return a function that writes a run and gives its folder."""

    def make(
        variants: int = 2,
        seeds: int = 6,
        probes: tuple[str, ...] = tuple(PROBES),
        compressions: bool = True,
        status: Any = "complete",
        broken: bool = True,
    ) -> RunFolder:
        folder = tmp_path_factory.mktemp("made")
        maker = Maker(folder, suite_text(variants, seeds, probes, compressions))
        names = list(maker.suite.variants)
        for seed in range(seeds):
            for variant in names:
                trial(maker, variant, str(seed), probes, failed=variant == "baseline" and seed == 2)
        if "latency" in probes:
            maker.rows += latency_rows(names)
        errors = 0
        run = RunFolder(folder / "run")
        run.path.mkdir()
        if broken:
            errors = 1
            maker.plan(
                Cell("gradient/baseline/0/dense", "probe", "baseline", "0", DENSE, "gradient", {}, (), {}),
                None,
                "error",
            )
            error = {"type": "ValueError", "message": f"broke on {HOSTILE[0]}", "traceback": f"Traceback\n{HOSTILE[1]}"}
            run.append({"event": "cell-error", "cell": "gradient/baseline/0/dense", "error": error})
        write(run, maker, status, errors)
        return RunFolder(run.path)

    return make


def write(run: RunFolder, maker: Maker, status: Any, errors: int) -> None:
    rows = [*maker.rows, *derive(maker.rows, maker.predictions, maker.suite)]
    environment = {
        "stabbench": "0.1.0", "python": "3.11.7", "platform": "Linux", "processor": "CPU <1>", "cores": 2,
        "memory_bytes": 2**34, "instruction_set": ["x86_64", "avx2"], "device": "cpu", "packages": {"torch": "2"},
        "git": {"commit": "a" * 40, "dirty": True},
        "command": ["run", "made"], "started": "2026-01-01T00:00:00+00:00", "smoke": False,
    }  # fmt: skip
    done = len(maker.cells) - errors
    verdict = verdict_document(
        suite="made", run="run", status=status, claims=build_claims(rows, maker.suite), environment=environment,
        cells={"planned": len(maker.cells), "cached": 0, "done": done, "errors": errors, "pending": 0},
        failed_runs={"baseline": [1, 6]}, report="run/report.html",
    )  # fmt: skip
    run.write_json(
        "plan.json", {"schema": 1, "suite": "made", "store": str(maker.store.root), "formula": "", "cells": maker.cells}
    )
    run.write_json("environment.json", environment)
    run.write_json("verdict.json", verdict)
    run.write_rows(rows)
    # JSON is YAML: written with escapes, so that controls survive.
    run.write_text("suite.resolved.yaml", json.dumps(maker.loaded.resolved))
