from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stabbench.errors import ConfigurationError, Problem
from stabbench.suite.load import load_suite

SUITE = """\
schema: 1
name: study
data: {source: builtin:tiny, train: 16, test: 16}
model: builtin:tiny
seeds: 6
variants:
  baseline: {}
  stabilized: {stabilizers: [{warmup: {fraction: 0.1}}]}
"""
Problems = Callable[..., list[Problem]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str | bytes, name: str = "study.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def problems(write: Callable[..., Path]) -> Problems:
    """The problems of a suite: SUITE with `old` replaced by `new`, and `more` at its end."""

    def problems(
        more: str = "", *overrides: str, old: str = "", new: str = "", text: str | bytes | None = None
    ) -> list[Problem]:
        assert old in SUITE
        whole = (SUITE.replace(old, new) if old else SUITE) + more
        with pytest.raises(ConfigurationError) as caught:
            load_suite(str(write(whole if text is None else text)), overrides)
        return list(caught.value.problems)

    return problems


@pytest.fixture
def base() -> str:
    return SUITE
