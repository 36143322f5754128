"""What only the trained models of several seeds can tell: CKA between them and with the pretrained one, loss barriers.

On demand (``stabbench diagnose RUN --models``): it loads models, which nothing else in a diagnosis does.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from stabbench.data.dataset import load_dataset
from stabbench.data.example import Example
from stabbench.diagnosis.apply import suite_folder
from stabbench.execution.barrier import barrier, line_losses, mean_loss
from stabbench.execution.representation import linear_cka, states
from stabbench.models.batch import Batch
from stabbench.models.encoding import collate, encode_texts
from stabbench.models.loading import load_pretrained, load_subject
from stabbench.models.sources import asset_folder, model_source
from stabbench.models.subject import Subject
from stabbench.seeding import TrialSeeds
from stabbench.store.run_folder import RunFolder
from stabbench.suite.schema import Data, Model, Task
from stabbench.training.gradient_probe import fixed_sample

TEXTS = 128
LINE_TEXTS = 64
"""Training texts of a loss barrier: eleven passes over them for every seed."""
BATCH = 32
Pairs = list[float | None]


@dataclass(frozen=True)
class SeedModels:
    """The models of one arm.

    Attributes:
        variant: the arm.
        seeds: those whose weights are in the store.
        layers: embeddings, then the blocks from the bottom up.
        texts: number of texts of the CKA.
        cka_seeds: per layer the mean over pairs of seeds; None where no pair has one.
        cka_pretrained: per layer the mean over seeds of the CKA with the pretrained encoder.
        best: the seed with the lowest loss on the texts; the barriers begin there.
        losses: seed → mean cross-entropy on training texts.
        barriers: other seed → height of the loss above the line between the two.
    """

    variant: str
    seeds: tuple[str, ...]
    layers: tuple[str, ...]
    texts: int
    cka_seeds: tuple[float | None, ...]
    cka_pretrained: tuple[float | None, ...]
    best: str | None
    losses: Mapping[str, float]
    barriers: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def compare_models(run: RunFolder, texts: int = TEXTS) -> list[SeedModels]:
    """Return what the models of each arm's seeds have in common; arms without stored weights are left out.

    CKA is of at most `texts` test texts, losses of at most 64 training texts, both chosen by a hash of their ids.
    """
    suite, folder = run.suite, suite_folder(run) or Path()
    dataset = load_dataset(Data.model_validate(suite["data"]), Task.model_validate(suite["task"]), folder, asset_folder)
    source, revision = model_source(Model.model_validate(suite["model"]), folder)
    seen, fitted = (
        fixed_sample(dataset.test, texts, "representation"),
        fixed_sample(dataset.train, LINE_TEXTS, "barrier"),
    )
    found = []
    for variant in suite["variants"]:
        models = dict(_models(run, variant))
        if models:
            start, _ = load_pretrained(source, dataset.classes, TrialSeeds(0, 0), revision)
            found.append(_compare(variant, models, start, seen, fitted))
    return found


def models_text(found: Sequence[SeedModels]) -> str:
    """Return the comparison in words, arm by arm."""
    lines = []
    for arm in found:
        lines.append(f"{arm.variant}: models of seed {', '.join(arm.seeds)}, {arm.texts} texts")
        for name, values in (("between seeds", arm.cka_seeds), ("with the pretrained model", arm.cka_pretrained)):
            if any(value is not None for value in values):
                shown = ", ".join(
                    f"{layer} {'–' if value is None else f'{value:.2f}'}"
                    for layer, value in zip(arm.layers, values, strict=True)
                )
                lines.append(f"  CKA {name}: {shown}")
        for seed, height in arm.barriers.items():
            ends = f"losses {arm.losses[arm.best or seed]:.3f} and {arm.losses[seed]:.3f}"
            lines.append(f"  loss barrier from seed {arm.best} to seed {seed}: {height:.3f} ({ends})")
    return "\n".join(lines) or "no trained weights are in the store: the run did not keep them"


def _models(run: RunFolder, variant: str) -> Iterator[tuple[str, Subject]]:
    for cell in run.plan["cells"]:
        if cell["kind"] == "train" and cell["variant"] == variant:
            stored = run.cell(cell["id"])
            if stored is not None and stored.has_weights():
                yield cell["seed"], load_subject(stored.folder / "model")


def _compare(
    variant: str, models: Mapping[str, Subject], start: nn.Module, seen: Sequence[Example], fitted: Sequence[Example]
) -> SeedModels:
    subject = next(iter(models.values()))
    nets = {seed: model.model for seed, model in models.items() if model.model is not None}
    texts = _batches(subject, seen)
    hidden = {seed: states(net, texts) for seed, net in nets.items()}
    before = states(start, texts)
    layers = ("embeddings", *(f"block.{index}" for index in range(len(before) - 1)))
    labelled = _batches(subject, fitted)
    weights = {seed: net.state_dict() for seed, net in nets.items()}
    carrier = copy.deepcopy(next(iter(nets.values())))
    losses = {seed: mean_loss(carrier, w, labelled) for seed, w in weights.items()}
    best = min(losses, key=lambda seed: losses[seed] if np.isfinite(losses[seed]) else np.inf)
    return SeedModels(
        variant=variant,
        seeds=tuple(nets),
        layers=layers,
        texts=len(seen),
        cka_seeds=tuple(
            _mean([linear_cka(a[layer], b[layer]) for a, b in combinations(hidden.values(), 2)])
            for layer in range(len(layers))
        ),
        cka_pretrained=tuple(
            _mean([linear_cka(a[layer], before[layer]) for a in hidden.values()]) for layer in range(len(layers))
        ),
        best=best,
        losses=losses,
        barriers={
            seed: barrier(line_losses(carrier, weights[best], weights[seed], labelled))
            for seed in weights
            if seed != best
        },
    )


def _mean(values: Pairs) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _batches(subject: Subject, examples: Sequence[Example]) -> list[Batch]:
    encoded = encode_texts(subject.tokenizer, [example.content for example in examples], subject.max_length)
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    parts = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    return [collate([encoded[i] for i in part], subject.tokenizer, [examples[i].label for i in part]) for part in parts]
