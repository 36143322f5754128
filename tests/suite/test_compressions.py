"""Compressors in a suite file: options, chains, and mistakes in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stabbench.errors import ConfigurationError
from stabbench.planning.cells import cells
from stabbench.suite.load import load_suite

HEAD = """schema: 1
name: x
data: {source: builtin:tiny, train: 16, test: 16}
model: builtin:tiny
seeds: 1
variants: {baseline: {}}
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], object]:
    def read(lines: str) -> object:
        file = tmp_path / "x.yaml"
        file.write_text(HEAD + lines, encoding="utf-8")
        return load_suite(str(file))

    return read


def test_options_are_part_of_the_label_and_of_the_key(tmp_path: Path) -> None:
    static = []
    for keep in (0.5, 0.75):
        file = tmp_path / f"{keep}.yaml"
        entry = f"compressions: [[vocab-trim, {{drop-layers: {{keep: {keep}, recover_epochs: 0}}}}, ort-int8]]\n"
        file.write_text(HEAD + entry, encoding="utf-8")
        (cell,) = (c for c in cells(load_suite(str(file))) if c.probe == "compression")
        assert cell.compression == f"vocab-trim+drop-layers(keep={keep} recover_epochs=0)+ort-int8"
        static.append(cell.static)
    assert static[0]["compression"][1][2]["keep"] == 0.5
    assert static[0] != static[1]


def test_the_seed_is_in_the_key_only_of_what_trains(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(HEAD + "compressions: [bf16, distill]\n", encoding="utf-8")
    found = {c.compression: c.static for c in cells(load_suite(str(file))) if c.probe == "compression"}

    assert "seed" not in found["bf16"]
    assert found["distill"]["seed"] == "0"


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        ("compressions: [bf61]\n", "compressions[0]", "unknown compressor 'bf61'. Did you mean 'bf16'?"),
        ("compressions:\n  - {drop-layers: {kep: 0.5}}\n", "compressions[0].drop-layers.kep", "Did you mean 'keep'?"),
        ("compressions:\n  - [vocab-trim, {distill: {keep: 2}}]\n", "compressions[0][1].distill.keep", "at most 1"),
        ("compressions:\n  - [int8-dynamic, ort-int8]\n", "compressions[0][1]", "'int8-dynamic' leaves none"),
        ("compressions:\n  - [low-rank, distill]\n", "compressions[0][1]", "put 'distill' before 'low-rank'"),
        ("compressions: [7]\n", "compressions[0]", "{name: {option: value}}"),
        ("compressions:\n  - {a: {}, b: {}}\n", "compressions[0]", "{name: {option: value}}"),
        ("compressions: [bf16, bf16]\n", "compressions", "stands 2 times"),
    ],
)
def test_mistakes_have_place_and_cure(load: Callable[[str], object], lines: str, where: str, what: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(lines)

    (problem,) = caught.value.problems
    assert problem.path == where
    assert what in problem.message
    assert problem.line is not None
    assert problem.line >= 7
