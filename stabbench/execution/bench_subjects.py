"""The subjects of a finished run as benchmarks: their names without torch, and the subjects themselves when needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stabbench.diagnosis.apply import suite_folder
from stabbench.errors import ConfigurationError
from stabbench.records import DENSE
from stabbench.store.run_folder import RunFolder
from stabbench.suite.claims import compression_labels
from stabbench.suite.schema import Data, Task
from stabbench.suite.stored import stored_suite

if TYPE_CHECKING:
    from stabbench.models.subject import Subject

REPLICATE = " (A/A replicate)"
PREPARED = "STABBENCH_BENCH_SUBJECTS"
"""Environment variable: a file that `prepare` wrote, so that fresh processes need not compress again."""


@dataclass(frozen=True)
class BenchSubject:
    """One subject of a run.

    Attributes:
        name: ``variant@compression``; the reference's second copy is marked as the A/A replicate.
        compression: ``dense`` or a chain.
        folder: the trained model's folder.
        artifact: folder of the compressed artifact, or None for ``dense``.
    """

    name: str
    compression: str
    folder: str
    artifact: str | None = None

    def load(self) -> Subject:
        """Load it; every call gives a new copy."""
        from stabbench.compression.base import load_compressed
        from stabbench.models.loading import load_subject

        dense = load_subject(self.folder)
        return dense if self.artifact is None else load_compressed(self.compression, Path(self.artifact), dense)


def bench_names(run: RunFolder) -> list[str]:
    """Return the names of a run's subjects: the reference, its replicate, the other variants, then compressed ones.

    One seed of each, the first: equal shapes have equal latency.

    Raises:
        ConfigurationError: the weights of a variant are not in the store.
    """
    return [name for name, _, _, _ in _described(run)]


def prepare(run: RunFolder, scratch: Path) -> list[BenchSubject]:
    """Return a run's subjects; compressed artifacts are made anew below `scratch`."""
    from stabbench.compression.base import compress, material_for
    from stabbench.data.dataset import load_dataset
    from stabbench.models.loading import load_subject
    from stabbench.models.sources import asset_folder

    found, dataset = [], None
    for index, (name, seed, compression, folder) in enumerate(_described(run)):
        artifact = None
        if compression != DENSE:
            if dataset is None:
                suite, below = run.suite, suite_folder(run) or Path()
                data, task = Data.model_validate(suite["data"]), Task.model_validate(suite["task"])
                dataset = load_dataset(data, task, below, asset_folder)
            artifact = scratch / f"artifact-{index}"
            artifact.mkdir(parents=True)
            material = material_for(compression, dataset, seed)
            compress(compression, load_subject(folder), material, artifact)
        found.append(BenchSubject(name, compression, str(folder), None if artifact is None else str(artifact)))
    return found


def write_prepared(subjects: list[BenchSubject], file: Path) -> None:
    """Write prepared subjects for fresh processes."""
    file.write_text(json.dumps([asdict(subject) for subject in subjects]), encoding="utf-8")


def read_prepared(file: Path) -> list[BenchSubject]:
    """Read what `write_prepared` wrote."""
    return [BenchSubject(**item) for item in json.loads(file.read_text(encoding="utf-8"))]


def _described(run: RunFolder) -> Iterator[tuple[str, str, str, Path]]:
    """Yield (name, seed, compression, folder of the trained model)."""
    suite = stored_suite(run.suite)
    reference = suite.compare.reference
    variants = sorted(suite.variants, key=lambda name: name != reference)
    trained = {variant: _weights(run, variant) for variant in variants}
    for compression in (DENSE, *compression_labels(suite)):
        for variant in variants:
            name = f"{variant}@{compression}"
            seed, folder = trained[variant]
            yield name, seed, compression, folder
            if (variant, compression) == (reference, DENSE):
                yield name + REPLICATE, seed, compression, folder


def _weights(run: RunFolder, variant: str) -> tuple[str, Path]:
    """Return the first seed whose weights are there, and their folder."""
    for cell in run.plan["cells"]:
        if cell["kind"] == "train" and cell["variant"] == variant:
            stored = run.cell(cell["id"])
            if stored is not None and stored.has_weights():
                return str(cell["seed"]), (stored.folder / "model").resolve()
    message = (
        f"run {run.path.name}: no trained weights of variant '{variant}' are in the store, so there is nothing to "
        "time; run its suite with `keep_weights: all` or `last`, or without a --store that was cleaned since"
    )
    raise ConfigurationError([message])
