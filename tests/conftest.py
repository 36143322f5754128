"""One thread, no network, and a tiny model that every test may read."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stabbench.training.request import TrainResult

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if self.family != socket.AF_UNIX and host not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests must not open network connections: {address}")
        connect(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of ``builtin:tiny``."""
    import torch

    from stabbench.models.tiny import write_tiny_model

    torch.set_num_threads(1)
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def tiny_model_without_dropout(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights with every dropout probability at 0, where two passes of one batch are equal."""
    folder = tmp_path_factory.mktemp("tiny-plain") / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config | off))
    return folder


@pytest.fixture
def fine_tune_tiny(tiny_model: Path, tmp_path: Path) -> Callable[..., TrainResult]:
    """Fine-tune ``builtin:tiny`` on 22 sentences in a fraction of a second; keywords change the request."""
    from stabbench.data.example import Dataset, Example
    from stabbench.seeding import TrialSeeds
    from stabbench.suite.schema import TrainOptions
    from stabbench.training.fine_tune import fine_tune
    from stabbench.training.request import TrainRequest

    words = ("good", "bad", "dull", "great", "boring", "funny", "long", "excellent", "poor", "best", "worst")
    labels = (1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0)
    examples = tuple(
        Example(f"t:{i}", f"the film was {word} {' and so on' * (i % 5)}", label)
        for i, (word, label) in enumerate(zip(words * 2, labels * 2, strict=True))
    )
    runs = itertools.count()

    def run(
        stabilizers: Sequence[tuple[str, Mapping[str, Any]]] = (),
        *,
        seeds: TrialSeeds = TrialSeeds(0, 0),  # noqa: B008  frozen
        model: Path = tiny_model,
        data: Dataset | None = None,
        monitors: Mapping[str, Mapping[str, Any]] | None = None,
        **train: Any,
    ) -> TrainResult:
        options = {"epochs": 2, "batch_size": 8, "learning_rate": 5e-3, "max_length": 32, "precision": "fp32"} | train
        request = TrainRequest(
            model_source=model,
            dataset=data or Dataset(examples, (), examples[:11], ("no", "yes"), "fingerprint"),
            train=TrainOptions(**options),
            seeds=seeds,
            folder=tmp_path / f"trial-{next(runs)}",
            stabilizers=stabilizers,
            monitors={"trace": {}} if monitors is None else monitors,
        )
        request.folder.mkdir()
        return fine_tune(request)

    return run
