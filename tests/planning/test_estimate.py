"""Expected times: a latency panel's by its scenarios and members, corrected by what the store has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stabbench import registry
from stabbench.planning.cells import cells
from stabbench.planning.estimate import FIRST_GUESS, TRAINED_EPOCH, estimate, first_guess
from stabbench.planning.panel_time import COLD_GRAPH, COLD_START, LOAD, START, TOKEN, panel_seconds
from stabbench.records import Cell
from stabbench.store.cells import Store
from stabbench.suite.load import LoadedSuite, load_suite

SUITE = """\
schema: 1
name: e
data: {source: builtin:tiny, train: 32, test: 40}
model: builtin:tiny
seeds: 1
variants: {baseline: {}}
probes: {accuracy: {}, latency: {processes: 3}}
compressions: [ort-int8]
compress_probes: [latency]
"""


def options(**changes: Any) -> dict[str, Any]:
    return {**registry.card("probes", "latency").defaults(), **changes}


def test_rounds_are_counted_shape_by_shape() -> None:
    given = options(processes=2, batch=[1, 4], length=[8], rounds_single=4, rounds_batched=3, warmup=1)

    # Two subjects, and the replicate; at batch 1 every two timed rounds have an untimed one before them.
    tokens = 8 * (1 + 4 + 2) + 4 * 8 * (1 + 3)
    assert panel_seconds(given, ["dense", "ort-int8"]) == pytest.approx(2 * (START + 3 * (LOAD + tokens * TOKEN)))
    assert panel_seconds({**given, "processes": 4}, ["dense"]) == 2 * panel_seconds(given, ["dense"])


def test_a_cold_start_costs_every_subject_a_process_and_a_graph_less() -> None:
    cold = options(processes=3, scenarios=["cold"])

    assert panel_seconds(cold, ["dense"]) == 3 * 2 * COLD_START
    assert panel_seconds(cold, ["dense", "vocab-trim+ort-int8"]) == 3 * (2 * COLD_START + COLD_GRAPH)
    assert panel_seconds(cold, ["dense", "ort-int8+bf16"]) == 3 * 3 * COLD_START
    both = options(processes=3, scenarios=["single", "cold"])
    alone = options(processes=3, scenarios=["single"])
    assert panel_seconds(both, ["dense"]) == panel_seconds(alone, ["dense"]) + panel_seconds(cold, ["dense"])


def test_a_server_costs_more_with_more_requests_and_lower_loads() -> None:
    def server(**changes: Any) -> float:
        return panel_seconds(options(scenarios=["server"], processes=2, **changes), ["dense"])

    assert server() > 2 * 2 * COLD_START
    assert server(server_requests=1000) > server(server_requests=100)
    # 100 requests at a tenth of the rate take ten times as long as at the rate itself.
    pass_seconds = server(server_loads=[0.5], server_requests=200) - server(server_loads=[1.0], server_requests=200)
    lower = server(server_loads=[0.25], server_requests=200) - server(server_loads=[0.5], server_requests=200)
    assert lower == pytest.approx(2 * pass_seconds)


def _planned(tmp_path: Path) -> tuple[LoadedSuite, dict[str, Cell]]:
    (tmp_path / "e.yaml").write_text(SUITE)
    loaded = load_suite(str(tmp_path / "e.yaml"))
    return loaded, {cell.id: cell for cell in cells(loaded)}


def test_the_panel_runs_alone_and_history_scales_it(tmp_path: Path) -> None:
    loaded, every = _planned(tmp_path)
    latency, store = every["latency"], Store(tmp_path / "store")
    guessed = panel_seconds(latency.options, ["dense", "ort-int8"])

    assert first_guess("latency", latency.static) == guessed
    assert first_guess("accuracy", {}) == FIRST_GUESS["accuracy"]
    assert estimate(loaded, [latency], store, jobs=2).seconds == guessed
    # A panel of other options took half of what was guessed for it: so will this one.
    seen = {**latency.static, "probe": ["latency", 1, options(processes=1, scenarios=["cold"])], "members": ["dense"]}
    with store.draft("0" * 32) as draft:
        before = Cell("latency", "panel", "", "", "", "latency", {}, (), seen, "exclusive")
        store.finish(draft, "0" * 32, before, [], {}, COLD_START, {})
    found = estimate(loaded, [latency], store, jobs=2)
    assert found.seconds == pytest.approx(guessed / 2)
    assert "history of this store for 1 of 1 cells" in found.basis


def test_a_compressor_that_trains_takes_its_epochs(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(SUITE.replace("[ort-int8]", "[ort-int8, [{distill: {epochs: 4}}, ort-int8]]"))
    every = {
        cell.compression: cell for cell in cells(load_suite(str(tmp_path / "e.yaml"))) if cell.probe == "compression"
    }

    plain, trained = (
        first_guess("compression", every[name].static) for name in ("ort-int8", "distill(epochs=4)+ort-int8")
    )
    assert plain == FIRST_GUESS["compression"]
    assert trained == plain + 4 * TRAINED_EPOCH
