"""Cold start, server and facts: rows recomputed from what processes told, and (slow) real processes."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stabbench.compression.base import Material, compress
from stabbench.data.example import Dataset, Example
from stabbench.errors import StabbenchError
from stabbench.models.loading import load_pretrained, load_subject, save_subject
from stabbench.probes._latency import cold
from stabbench.probes._latency.client import ServerProcess
from stabbench.probes._latency.cold import calls_until_steady
from stabbench.probes._latency.facts import embedding_modules, facts, macs
from stabbench.probes._latency.loading import load_one
from stabbench.probes._latency.own_rows import cold_rows, fact_rows, server_rows
from stabbench.probes._latency.protocol import Protocol, ServerPlan, Timed
from stabbench.probes.base import Context, Member
from stabbench.probes.latency import Latency
from stabbench.records import Row
from stabbench.seeding import TrialSeeds


def _protocol(**changes: Any) -> Protocol:
    timed = (Timed("baseline", "0", "dense", "folder", None), Timed("baseline", "0", "int8", "folder", "artifact"))
    given = Protocol((*timed, dataclasses.replace(timed[0], replicate=1)), (1, 4), (8,), 3, 4, 2, 1, ("a film",))
    return dataclasses.replace(given, **changes)


def _values(rows: list[Row], metric: str, compression: str = "dense", **at: Any) -> list[float | None]:
    return [
        row.measurement.value
        for row in rows
        if (row.measurement.metric, row.compression) == (metric, compression)
        and all(row.measurement.at.get(name) == value for name, value in at.items())
    ]


def test_a_cold_start_is_compared_per_process_as_everything_is() -> None:
    rng = np.random.default_rng(1)
    totals = rng.uniform(2.0, 3.0, size=(3, 3))
    told = [
        {
            s: {
                "import": 1.0 + p, "load": 0.5, "first": 0.1 * (s + 1), "total": float(totals[p, s]),
                "wait": 0.2 if (p, s) == (0, 1) else 0.0, "calls": 3,
                "memory": {"peak": 100 * (s + 1), "imports": 60, "serving": None},
            }
            for s in range(3)
        }
        for p in range(3)
    ]  # fmt: skip

    found = cold_rows(told, _protocol())

    assert _values(found, "latency.p50", "int8", scenario="cold") == pytest.approx([np.median(totals[:, 1])])
    ratio = np.prod(totals[:, 1] / totals[:, 0]) ** (1 / 3)
    assert _values(found, "latency.ratio", "int8", scenario="cold") == pytest.approx([ratio])
    assert _values(found, "latency.aa_ratio") == pytest.approx(totals[:, 2] / totals[:, 0])
    assert _values(found, "latency.contaminated", "int8") == pytest.approx([1 / 3])
    assert _values(found, "latency.cold_part", part="import") == [2.0]
    assert _values(found, "memory.peak", "int8") == [200.0]
    assert _values(found, "memory.serving") == [None]
    assert _values(found, "latency.calls_until_steady") == [3.0]


@pytest.mark.parametrize(
    ("seconds", "expected"), [([9.0, 3.0, 1.04, 1.0, 1.0, 1.0], 3), ([1.0] * 4, 1), ([5.0, 1.0], 2), ([1.0], 1)]
)
def test_settling_is_the_first_call_within_5_percent_of_later_ones(seconds: list[float], expected: int) -> None:
    assert calls_until_steady(seconds) == expected


def _load(latencies: list[float], refused: int = 0, wait: float = 0.0) -> dict[str, Any]:
    n = len(latencies)
    return {"latencies": latencies, "refused": refused, "late": 0.0, "waits": [wait] * n, "busy": [0.01] * n}


def test_server_rows_count_refused_requests_and_wait_against_the_busy_time() -> None:
    protocol = _protocol(processes=1, server=ServerPlan(loads=(0.5,), requests=100, bound=0.05))
    fast, slow = [0.01] * 100, [0.02] * 80
    one = {"capacity": 90.0, "at_bound": 60.0, "tried": []}
    told = {
        "reference_rate": 100.0,
        "processes": [
            {
                0: {**one, "loads": {"0.5": _load(fast)}},
                1: {**one, "at_bound": None, "loads": {"0.5": _load(slow, 20, wait=0.001)}},
                2: {**one, "loads": {"0.5": _load([0.0101] * 100)}},
            }
        ],
    }

    found = server_rows(told, protocol)

    at = {"scenario": "server", "load": 0.5}
    assert _values(found, "latency.ratio", "int8", **at) == pytest.approx([2.0])
    assert _values(found, "latency.aa_ratio", **at) == pytest.approx([1.01])
    assert _values(found, "latency.refused", "int8", **at) == [0.2]
    assert _values(found, "latency.p90", "int8", **at) == [math.inf]  # 20 of 100 were never answered
    assert _values(found, "latency.p90", **at) == pytest.approx([0.01])
    assert _values(found, "latency.p99", **at) == []  # 100 requests say nothing of the slowest hundredth
    assert _values(found, "latency.contaminated", "int8", **at) == [1.0]  # 1 of 10 ms, however long the queue was
    assert _values(found, "throughput.at_bound", bound=0.05) == [60.0]
    assert _values(found, "throughput.at_bound", "int8", bound=0.05) == [0.0]


@pytest.fixture(scope="module")
def dense(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense")
    model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    save_subject(model, tokenizer, folder, ("no", "yes"), 16)
    return folder


def test_multiplications_equal_the_formula_of_the_architecture(dense: Path) -> None:
    subject = load_subject(dense)
    assert subject.model is not None
    c = subject.model.config
    batch = subject.encode(["a film about a film", "a film"])
    b, t = batch.input_ids.shape
    h, f, layers = c.hidden_size, c.intermediate_size, c.num_hidden_layers

    # Four projections, the two feed-forward products, attention's two; pooler and classifier see one token.
    expected = layers * (b * t * (4 * h * h + 2 * h * f) + 2 * b * t * t * h) + b * (h * h + 2 * h)
    assert macs(subject.model, batch) == expected


def test_bytes_by_part_and_number_type_add_up(dense: Path) -> None:
    subject = load_subject(dense)
    assert subject.model is not None
    found = facts(subject, dense, embedding_modules(subject.model), {"1x4": subject.encode(["a film"])})

    parameters = dict(subject.model.named_parameters())
    tables = sum(4 * p.numel() for name, p in parameters.items() if ".embeddings." in name)
    assert sum(found["size"].values()) == sum(f.stat().st_size for f in dense.rglob("*") if f.is_file())
    assert found["size"]["embeddings"] == tables
    assert found["precision"]["float32"] >= sum(4 * p.numel() for p in parameters.values())
    protocol = _protocol(batch=(4,))
    rows = fact_rows([{**found, "macs": {"4x8": 400}}, {**found, "macs": {"4x8": None}}, found], protocol)
    assert _values(rows, "cost.macs", batch=4) == [100_000.0]
    assert _values(rows, "cost.macs", "int8") == []
    assert _values(rows, "size.part", part="embeddings") == [float(tables)]


def test_a_server_that_cannot_load_says_why(tmp_path: Path) -> None:
    _protocol().write(tmp_path / "protocol.json")

    with pytest.raises(StabbenchError, match=r"the server ended before it had answered(?s:.)*folder"):
        ServerProcess(tmp_path / "protocol.json", 0).__enter__()


def test_a_cold_start_of_a_graph_imports_no_torch(dense: Path, tmp_path: Path) -> None:
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    compress("ort-int8", load_subject(dense), Material(), artifact)
    graph = Timed("baseline", "0", "ort-int8", "no folder: the parent is not needed", str(artifact), 0, "onnxruntime")
    _protocol(subjects=(Timed("baseline", "0", "dense", str(dense), None), graph)).write(tmp_path / "protocol.json")
    script = (
        "import runpy, sys; file = sys.argv.pop(1)\n"
        "runpy.run_path(file, run_name='__main__')\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])\n"
    )
    command = [
        sys.executable,
        "-c",
        script,
        cold.__file__,
        str(tmp_path / "protocol.json"),
        "1",
        repr(time.monotonic()),
    ]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    told, heavy = done.stdout.splitlines()
    answer = json.loads(told)
    assert heavy == "[]"
    assert answer["total"] == pytest.approx(answer["import"] + answer["load"] + answer["first"])
    assert min(answer["import"], answer["load"], answer["first"]) > 0


def test_a_compressed_subject_is_loaded_without_its_parent(dense: Path, tmp_path: Path) -> None:
    compress("bf16", load_subject(dense), Material(), tmp_path)

    found = load_one(Timed("baseline", "0", "bf16", "no folder", str(tmp_path)))

    assert found.classes == ("no", "yes")
    assert found.logits(found.encode(["a film"])).shape == (1, 2)


@pytest.mark.slow
def test_real_processes_tell_everything(dense: Path, tmp_path: Path) -> None:
    test = tuple(Example(f"t:{i}", "a film " * (i % 5 + 1), i % 2) for i in range(12))
    probe = Latency(processes=1, scenarios=("cold", "server"), server_requests=64, server_bound=5.0)

    found = probe.measure_panel(
        [Member("baseline", "0", "dense", dense)], Context(Dataset((), (), test, ("no", "yes"), ""), tmp_path)
    )

    content = json.loads((tmp_path / "latency.json").read_text(encoding="utf-8"))
    loads = content["server"]["processes"][0]["0"]["loads"]
    assert all(len(load["latencies"]) + load["refused"] == 64 for load in loads.values())
    assert all(latency > 0 for load in loads.values() for latency in load["latencies"])
    assert len(_values(found, "latency.p50", scenario="server")) == 2
    (peak,), (imports,) = _values(found, "memory.peak"), _values(found, "memory.imports")
    assert peak is not None
    assert imports is not None
    assert peak >= imports > 1e7
    parts = [_values(found, "latency.cold_part", part=part)[0] for part in ("import", "load", "first")]
    (total,) = _values(found, "latency.p50", scenario="cold")
    assert sum(parts) == pytest.approx(total)  # type: ignore[arg-type]
    (rate,) = _values(found, "throughput.at_bound")
    assert rate is not None
    assert rate > 0
