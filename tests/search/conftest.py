from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stabbench.suite.load import LoadedSuite, load_suite

SUITE = """\
schema: 1
name: searched
data: {source: builtin:tiny, train: 64, validation: 32, test: 40}
model: builtin:tiny
seeds: 2
train: {epochs: 4, batch_size: 8, learning_rate: 2e-3, max_length: 16}
variants:
  baseline: {train: {optimizer: bertadam, learning_rate: 3e-3}}
  stabilized: {stabilizers: [{warmup: {fraction: 0.2}}, {clip_grad_norm: {max_norm: 1.0}}]}
probes: {accuracy: {}, noise: {kinds: [keyboard], severities: [1], examples: 4}}
compressions: [int8-dynamic]
compare: {primary: [accuracy, noise.mce], margins: {noise.mce: 0.1}}
"""


@pytest.fixture
def suite_file(tmp_path: Path) -> Path:
    (tmp_path / "searched.yaml").write_text(SUITE)
    return tmp_path / "searched.yaml"


@pytest.fixture
def loaded(suite_file: Path) -> LoadedSuite:
    return load_suite(str(suite_file))


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    def edit(old: str, new: str) -> Path:
        assert old in SUITE
        (tmp_path / "edited.yaml").write_text(SUITE.replace(old, new))
        return tmp_path / "edited.yaml"

    return edit
