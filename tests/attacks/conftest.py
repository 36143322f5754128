"""Two attack workers, in processes of their own: differing in hash seed, home and order of the examples."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

from stabbench.assets import fetch as asset_fetch
from stabbench.assets.fetch import pins
from stabbench.attacks.engine.resources import ENCODER, GLOVE

VOCABULARY = [
    "great", "film", "!", "awful", "plot", "good", "is", "dull", "was", "worst", "very", "best", "loves", "love",
    "story", "boring", "people", "fun", "never", "really", "3d",
]  # fmt: skip
SESSION = Path(__file__).parent / "worker_session.py"


def run_worker(arguments: list[str], home: Path, hash_seed: str, cache: Path, masked: Path) -> dict[str, Any]:
    """Run a script in a process as fresh as an attack worker's, and return the JSON of its last line."""
    unwanted = (
        "HOME",
        "NLTK_DATA",
        "TA_CACHE_DIR",
        "HF_HOME",
        "HF_HUB_OFFLINE",
        "XDG_CACHE_HOME",
        "TOKENIZERS_PARALLELISM",
    )
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment.update(
        HOME=str(home),
        STABBENCH_CACHE=str(cache),
        MASKED_LM=str(masked),
        PYTHONHASHSEED=hash_seed,
        OMP_NUM_THREADS="1",
        OMP_WAIT_POLICY="passive",
    )
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"stdout": done.stdout.splitlines()[:-1], "stderr": done.stderr}


@pytest.fixture(scope="session")
def run_in_worker() -> Callable[..., dict[str, Any]]:
    return run_worker


def _run(model: Path, home: Path, order: str, stock: str, hash_seed: str, cache: Path, masked: Path) -> dict[str, Any]:
    return run_worker([str(SESSION), str(model), order, stock], home, hash_seed, cache, masked)


@pytest.fixture(scope="session")
def session(
    tiny_model: Path, made_up_assets: Path, masked_lm: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    return _run(tiny_model, tmp_path_factory.mktemp("home"), "forwards", "stock", "1", made_up_assets, masked_lm)


@pytest.fixture(scope="session")
def other_session(
    tiny_model: Path, made_up_assets: Path, masked_lm: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    return _run(tiny_model, tmp_path_factory.mktemp("home"), "backwards", "-", "2", made_up_assets, masked_lm)


@pytest.fixture(scope="session")
def made_up_assets(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with word vectors in which like words are near, and the tiny model as the sentence encoder."""
    cache = tmp_path_factory.mktemp("assets")
    folder = _folder(GLOVE, pins()[GLOVE]["files"], cache)
    folder.mkdir()
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 50))
    vectors = np.stack([centres[i % 4] + 0.2 * rng.normal(size=50) for i in range(len(VOCABULARY))])
    np.save(folder / "glove_6B_50d_emb.npy", vectors.astype(np.float32))
    pyarrow.parquet.write_table(pyarrow.table({"index": VOCABULARY}), folder / "glove_6B_index.parquet")
    encoder = _folder(ENCODER, pins()[ENCODER]["files"], cache)
    encoder.mkdir()
    for name in pins()[ENCODER]["files"]:
        source = tiny_model / name
        if source.exists():
            shutil.copyfile(source, encoder / name)
        else:
            (encoder / name).write_text("{}")
    return cache


@pytest.fixture(scope="session")
def masked_lm(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked language model of the tiny model's shape, drawn at random."""
    folder = tmp_path_factory.mktemp("masked")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        BertForMaskedLM(BertConfig.from_pretrained(tiny_model)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


def _folder(name: str, files: dict[str, str], cache: Path) -> Path:
    return cache / asset_fetch._folder(name, files).name
