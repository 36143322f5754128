"""Latency: a balanced order, rows that NumPy recomputes from the samples, and processes that say why they failed."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stabbench.compression.base import DIVERGED, Material, compress
from stabbench.data.example import Dataset, Example
from stabbench.errors import StabbenchError
from stabbench.models.loading import load_pretrained, load_subject, save_subject
from stabbench.probes._latency.processes import run_processes
from stabbench.probes._latency.protocol import Protocol, Timed, balanced_orders, read_protocol
from stabbench.probes._latency.results import collect, rows
from stabbench.probes._latency.samples import Samples
from stabbench.probes.base import Context, Member
from stabbench.probes.latency import Latency
from stabbench.records import Row
from stabbench.seeding import TrialSeeds


def _protocol(subjects: int = 2, **changes: Any) -> Protocol:
    timed = [Timed("baseline", "0", f"c{i}" if i else "dense", "folder", None) for i in range(subjects)]
    timed.append(dataclasses.replace(timed[0], replicate=1))
    given = Protocol(tuple(timed), (1, 4), (8,), 3, 4, 2, 1, ("a film", ("a", "pair")))
    return dataclasses.replace(given, **changes)


@pytest.mark.parametrize("n", range(2, 10))
def test_each_subject_stands_everywhere_and_after_every_other_equally_often(n: int) -> None:
    orders = balanced_orders(n)

    places = Counter((place, subject) for order in orders for place, subject in enumerate(order))
    neighbours = Counter(pair for order in orders for pair in pairwise(order))
    assert all(sorted(order) == list(range(n)) for order in orders)
    assert set(places.values()) == {len(orders) // n}
    assert len(neighbours) == n * (n - 1)
    assert len(set(neighbours.values())) == 1


def test_every_process_times_every_subject_in_every_block_and_shape() -> None:
    protocol = _protocol()

    for process in range(protocol.processes):
        turns = list(protocol.turns(process))
        assert len(set(turns)) == len(turns) == 3 * 2 * 2
        assert [turn.batch for turn in turns[::3]] == [1, 4, 1, 4]
        assert Counter(protocol.rounds(turn.batch) for turn in turns) == {2: 6, 1: 6}


def test_batches_with_fewer_rounds_are_spread_over_the_process() -> None:
    protocol = _protocol(rounds_single=12, rounds_batched=2)

    places = [turn.batch for turn in protocol.turns(0)][:: len(protocol.subjects)]

    assert places == [1, 4, 1, 1, 1, 4, 1, 1]


def test_every_two_processes_each_subject_is_loaded_before_and_after_each_other() -> None:
    protocol = _protocol(6)
    protocol = dataclasses.replace(
        protocol, subjects=tuple(dataclasses.replace(s, compression="dense") for s in protocol.subjects)
    )

    for process in range(0, 6, 2):
        assert protocol.load_order(process) == protocol.load_order(process + 1)[::-1]
    assert [_protocol(3).load_order(process)[2:] for process in (0, 1)] == [[1, 2], [2, 1]]


def test_the_protocol_survives_its_file(tmp_path: Path) -> None:
    _protocol().write(tmp_path / "protocol.json")

    assert read_protocol(tmp_path / "protocol.json") == _protocol()


def _documents(protocol: Protocol, seconds: np.ndarray) -> list[dict[str, Any]]:
    """pytest-benchmark's documents with `seconds` (process, subject, round) at batch 4 and half of each at batch 1."""
    documents = []
    for process in range(protocol.processes):
        benchmarks = []
        for turn in protocol.turns(process):
            data = seconds[process, turn.subject, [turn.block]] * (1.0 if turn.batch == 4 else 0.5)
            info: dict[str, Any] = {
                "kind": "turn", "subject": turn.subject, "batch": turn.batch, "length": 8, "block": turn.block,
                "waits": [0.06 * float(data[0]) if turn.subject == 1 and turn.block == 1 else 0.0], "tokens": [20],
                "cpu": [0.5 * float(data[0])], "tokenization": [0.01],
            }  # fmt: skip
            benchmarks.append({"extra_info": info, "stats": {"data": data.tolist()}})
        benchmarks += [
            {"extra_info": {"kind": "tokenization", "batch": b, "length": 8}, "stats": {"data": [b / 1000]}}
            for b in (1, 4)
        ]
        documents.append({"benchmarks": benchmarks})
    return documents


def _values(found: list[Row], metric: str, compression: str = "dense", batch: int = 4) -> list[float | None]:
    return [
        row.measurement.value
        for row in found
        if (row.measurement.metric, row.compression, row.measurement.at.get("batch")) == (metric, compression, batch)
    ]


def test_rows_equal_what_numpy_recomputes_from_the_samples() -> None:
    protocol = _protocol()
    seconds = np.random.default_rng(0).uniform(1.0, 2.0, size=(3, 3, 2))
    documents = _documents(protocol, seconds)

    found = rows(collect(documents), protocol, documents)

    medians = np.median(seconds, axis=2)
    assert _values(found, "latency.process_p50", "c1") == pytest.approx(medians[:, 1])
    assert _values(found, "latency.p50", "c1") == pytest.approx([np.median(medians[:, 1])])
    assert _values(found, "latency.p50", "c1", batch=1) == pytest.approx([np.median(medians[:, 1]) / 2])
    assert _values(found, "latency.ratio") == [1.0]
    assert _values(found, "latency.ratio", "c1") == pytest.approx([np.prod(medians[:, 1] / medians[:, 0]) ** (1 / 3)])
    assert _values(found, "latency.aa_ratio") == pytest.approx(medians[:, 2] / medians[:, 0])
    assert _values(found, "latency.contaminated", "c1") == [0.5]
    assert _values(found, "latency.contaminated") == [0.0]
    assert _values(found, "latency.clean_p50", "c1") == pytest.approx([np.median(seconds[:, 1, 0])])
    assert _values(found, "throughput.texts") == pytest.approx([np.median(np.median(4 / seconds[:, 0], axis=1))])
    assert _values(found, "throughput.tokens") == pytest.approx([np.median(np.median(20 / seconds[:, 0], axis=1))])
    assert _values(found, "throughput.texts", batch=1) == []
    assert _values(found, "latency.tokenization") == [0.004]
    whole = np.median([np.median(seconds[k, 0] + 0.01) for k in range(3)])
    assert _values(found, "latency.with_tokenization") == pytest.approx([whole])
    cpu = np.median(np.median(seconds[:, 0] / 2, axis=1)) * 1000 / 4
    assert _values(found, "cost.cpu_seconds") == pytest.approx([cpu])
    assert not _values(found, "latency.p90")
    assert len({(row.variant, row.compression) for row in found}) == 2


@pytest.mark.parametrize(("n", "known"), [(63, []), (64, [90]), (661, [90]), (662, [90, 99])])
def test_percentiles_are_given_only_from_the_rounds_that_support_them(n: int, known: list[int]) -> None:
    protocol = _protocol(1, batch=(4,), processes=1)
    seconds = [float(i) for i in range(1, n + 1)]
    found = {(0, i, 4, 8): Samples(seconds, [None] * n, [1] * n) for i in range(2)}
    documents = _documents(protocol, np.ones((1, 2, 2)))

    measured = rows(found, protocol, documents)

    for percentile in (90, 99):
        values = _values(measured, f"latency.p{percentile}")
        assert len(values) == (percentile in known)
        # At most 100 - q percent of the rounds are slower.
        assert all(v is not None and sum(s > v for s in seconds) <= n * (100 - percentile) / 100 for v in values)
    assert _values(measured, "latency.contaminated") == [None]


@pytest.fixture(scope="module")
def members(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Member]:
    folder = tmp_path_factory.mktemp("panel")
    model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    save_subject(model, tokenizer, folder / "dense", ("no", "yes"), 16)
    found = [Member("baseline", "0", "dense", folder / "dense")]
    for name in ("int8-dynamic", "ort-int8"):
        (folder / name).mkdir()
        compress(name, load_subject(folder / "dense"), Material(), folder / name)
        found.append(Member("baseline", "0", name, folder / "dense", folder / name))
    (folder / "diverged").mkdir()
    (folder / "diverged" / DIVERGED).touch()
    return [*found, Member("stabilized", "0", "int8-dynamic", folder / "dense", folder / "diverged")]


def test_a_panel_of_tiny_models_gives_every_row_and_file(members: list[Member], tmp_path: Path) -> None:
    test = tuple(Example(f"t:{i}", "a film " * (i % 5 + 1), i % 2) for i in range(12))
    scenarios: Any = ("single", "offline", "mixed")
    probe = Latency(batch=(1, 4), length=(8,), processes=1, rounds_single=8, rounds_batched=2, scenarios=scenarios)

    found = probe.measure_panel(members, Context(Dataset((), (), test, ("no", "yes"), ""), tmp_path))

    content = json.loads((tmp_path / "latency.json").read_text(encoding="utf-8"))
    subjects = content["processes"][0]["subjects"]
    timed = {(s["compression"], s["replicate"], s["batch"], s["length"]): s for s in subjects}
    assert len(timed) == len(subjects) == 3 * len(members)
    assert {s["rounds"] for s in subjects if s["batch"] == 1} == {8}
    assert {s["rounds"] for s in subjects if s["batch"] == 4} == {2}
    assert all(s["median"] == pytest.approx(np.median(s["samples"])) for s in subjects)
    for member in members[:-1]:
        expected = timed[member.compression, 0, 4, 8]["median"]
        assert _values(found, "latency.process_p50", member.compression) == pytest.approx([expected])
    assert [row.measurement.status for row in found if row.variant == "stabilized"] == ["failed-run"] * 3
    mixed = [row for row in found if row.measurement.at == {"scenario": "mixed"}]
    assert {"latency.p50", "latency.ratio", "throughput.tokens"} <= {row.measurement.metric for row in mixed}
    dense = content["facts"][0]
    assert dense["precision"].keys() == {"float32"}
    assert sum(dense["size"].values()) == sum(f.stat().st_size for f in members[0].folder.rglob("*") if f.is_file())
    assert dense["threads"]["within"] == 1
    by_name = {f["compression"]: f for f in content["facts"]}
    assert all("int8" in by_name[name]["precision"] for name in by_name if "int8" in name)
    stored = json.loads((tmp_path / "rounds-0.json").read_text(encoding="utf-8"))
    assert stored["machine_info"]["environment"]["OMP_WAIT_POLICY"] == "passive"
    assert all(item["options"]["disable_gc"] for item in stored["benchmarks"])


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    broken = dataclasses.replace(_protocol(), rounds_single="two")  # type: ignore[arg-type]

    with pytest.raises(StabbenchError, match=r"timing process 0 ended with exit code 2(?s:.)*TypeError"):
        run_processes(broken, tmp_path)
