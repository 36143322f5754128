"""Benches on synthetic timings: what is decided, refused, listed, and with which exit code; no clock is read here."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from stabbench.errors import ConfigurationError, NotComparableError
from stabbench.execution.bench import document_bytes, find_baseline, ordered, plain_name, versions_changed
from stabbench.execution.bench_decide import Judged, exit_code, judge
from stabbench.execution.bench_document import KEY, describe_rounds, median_ranks, merge
from stabbench.execution.bench_subjects import REPLICATE

MACHINE = {
    KEY: {
        "hardware_class": "CPU x2",
        "system": "Linux",
        "environment": {"OMP_NUM_THREADS": "1"},
        "packages": {"torch": "2"},
    }
}
NAMES = ("baseline@dense", f"baseline@dense{REPLICATE}", "stabilized@dense")


def document(
    slow: Mapping[str, float] | None = None,
    seed: int = 0,
    processes: int = 12,
    wait: float | None = 0.0,
    names: tuple[str, ...] = NAMES,
    speed: float = 1.0,
) -> dict[str, Any]:
    """A bench: 10 ms each, 3 % between processes, 5 % between rounds, as measured on a quiet machine.

    `speed` slows the whole machine, the anchor with it.
    """
    rng = np.random.default_rng(seed)
    made = []
    for process in range(processes):
        benchmarks = []
        for name in names:
            level = 0.010 * (slow or {}).get(name, 1.0) * np.exp(rng.normal(0, 0.03)) * speed
            anchors = (0.004 * speed * np.exp(rng.normal(0, 0.02, 20))).tolist()
            seconds = (level * np.exp(np.abs(rng.normal(0, 0.05, 20)))).tolist()
            info: dict[str, Any] = {
                "batch": 1, "length": 32, "anchors": anchors, "cpu": seconds, "threads": 1,
                "waits": [None if wait is None else wait * s for s in seconds],
            }  # fmt: skip
            info["process"] = describe_rounds(seconds, info)
            item = {"name": f"{name} 1x32", "fullname": f"somewhere::{process}", "group": None, "params": None,
                    "param": None, "extra_info": {KEY: info}, "options": {}, "stats": {"data": seconds}}  # fmt: skip
            benchmarks.append(item)
        machine = {**MACHINE, "system": "Linux", "python_implementation": "CPython", "cpu": {"arch": "x"}}
        made.append({"machine_info": machine, "commit_info": {}, "benchmarks": benchmarks, "datetime": "2026-01-01",
                     "version": "5.3"})  # fmt: skip
    return merge(made)


def outcomes(judged: list[Judged]) -> dict[str, str]:
    return {item.name: item.outcome for item in judged}


def test_an_unchanged_bench_passes_and_a_slower_subject_fails() -> None:
    before = document(seed=1)

    same, slower = judge(before, document(seed=2)), judge(before, document({"stabilized@dense": 1.15}, seed=3))

    assert set(outcomes(same).values()) == {"not slower"}
    assert exit_code(same) == 0
    assert outcomes(slower)["stabilized@dense 1x32"] == "slower"
    assert outcomes(slower)["baseline@dense 1x32"] == "not slower"
    assert exit_code(slower) == 1


def test_the_interval_is_welchs_over_processes_of_the_ratio_to_the_anchor() -> None:
    before, now = document(seed=4), document({"stabilized@dense": 1.2}, seed=5)
    (found,) = [item for item in judge(before, now) if item.name == "stabilized@dense 1x32"]

    def logs(doc: dict[str, Any]) -> list[float]:
        (item,) = [b for b in doc["benchmarks"] if b["name"] == "stabilized@dense 1x32"]
        data = np.array(item["stats"]["data"]).reshape(12, 20)
        assert [p["median"] for p in item["extra_info"][KEY]["processes"]] == pytest.approx(np.median(data, axis=1))
        return [math.log(p["ratio"]) for p in item["extra_info"][KEY]["processes"]]

    expected = stats.ttest_ind(logs(now), logs(before), equal_var=False).confidence_interval(0.95)
    assert found.interval == pytest.approx(tuple(np.exp(expected)))
    assert found.processes == (12, 12)


def test_over_many_sessions_false_alarms_are_rare_and_15_percent_is_found() -> None:
    pairs = [(document(seed=1000 + i), document(seed=5000 + i)) for i in range(40)]
    slow = [document(dict.fromkeys(NAMES, 1.15), seed=9000 + i) for i in range(40)]

    alarms = sum("slower" in outcomes(judge(a, b)).values() for a, b in pairs)
    found = sum(
        outcomes(judge(a, c))["stabilized@dense 1x32"] == "slower" for (a, _), c in zip(pairs, slow, strict=True)
    )

    assert alarms == 0
    assert found >= 38


def test_a_slower_machine_is_no_slower_subject() -> None:
    judged = judge(document(seed=1), document(seed=2, speed=1.4))

    assert set(outcomes(judged).values()) == {"not slower"}


def test_a_faster_subject_is_told_and_passes() -> None:
    judged = judge(document(seed=1), document({"stabilized@dense": 0.8}, seed=2))

    assert outcomes(judged)["stabilized@dense 1x32"] == "faster"
    assert exit_code(judged) == 0


@pytest.mark.parametrize(("choice", "code"), [("warn", 0), ("pass", 0), ("fail", 5)])
def test_too_few_processes_leave_it_undecided(choice: str, code: int) -> None:
    judged = judge(document(seed=1, processes=2), document({"stabilized@dense": 1.05}, seed=2, processes=2))

    assert outcomes(judged)["stabilized@dense 1x32"] == "undecided"
    assert exit_code(judged, choice) == code


def test_one_process_has_no_interval() -> None:
    names = ("stabilized@dense",)
    judged = judge(document(seed=1, processes=1, names=names), document(seed=2, processes=1, names=names))

    assert set(outcomes(judged).values()) == {"undecided"}
    assert "no interval" in judged[0].reason


def test_new_and_missing_benchmarks_are_listed_and_a_missing_one_is_incomplete() -> None:
    judged = judge(document(seed=1), document(seed=2, names=(*NAMES[:2], "stabilized@int8")))

    assert outcomes(judged)["stabilized@int8 1x32"] == "new"
    assert outcomes(judged)["stabilized@dense 1x32"] == "missing"
    assert exit_code(judged) == 3


def test_a_new_benchmark_alone_does_not_fail_and_nothing_in_common_is_refused() -> None:
    assert exit_code(judge(document(seed=1), document(seed=2, names=(*NAMES, "new@dense")))) == 0
    with pytest.raises(NotComparableError, match="no benchmark in common"):
        judge(document(), document(names=("other@dense",)))


@pytest.mark.parametrize("which", ["baseline", "now"])
def test_a_contaminated_bench_is_refused_whatever_it_says(which: str) -> None:
    quiet, busy = document(seed=1), document(dict.fromkeys(NAMES, 1.5), seed=2, wait=0.06)
    judged = judge(busy, quiet) if which == "baseline" else judge(quiet, busy)

    assert set(outcomes(judged).values()) == {"refused"}
    assert judged[0].reason.startswith(f"{which}: contaminated")
    assert judged[0].interval is None
    assert exit_code(judged) == 4


def test_a_replicate_unlike_its_twin_refuses_everything() -> None:
    judged = judge(document(seed=1), document({NAMES[1]: 1.12}, seed=2))

    assert set(outcomes(judged).values()) == {"refused"}
    assert "A/A replicate" in judged[0].reason


def test_unknown_waits_are_judged_without_them_and_said() -> None:
    judged = judge(document(seed=1, wait=None), document(seed=2, wait=None))

    assert exit_code(judged) == 0
    assert all("degraded" in item.reason for item in judged)
    assert not any("degraded" in item.reason for item in judge(document(seed=1), document(seed=2)))


@pytest.mark.parametrize(
    ("field", "value"),
    [("hardware_class", "other x8"), ("system", "Darwin"), ("environment", {"OMP_NUM_THREADS": "8"})],
)
def test_another_machine_is_refused(field: str, value: Any) -> None:
    other = document(seed=1)
    other["machine_info"] = {KEY: {**MACHINE[KEY], field: value}}

    with pytest.raises(NotComparableError, match="another"):
        judge(other, document(seed=2))


def test_changed_versions_are_told() -> None:
    other = document(seed=1)
    other["machine_info"] = {KEY: {**MACHINE[KEY], "packages": {"torch": "1"}}}

    assert versions_changed(other, document(seed=2)) == ["torch 1 → 2"]


@pytest.mark.parametrize("n", [0, 1, 5, 6, 10, 20, 50, 100])
def test_ranks_of_the_median_are_the_binomials(n: int) -> None:
    """The table of shared research: n=6 is the least, n=10 [2,9], n=20 [6,15], n=50 [18,33], n=100 [40,61]."""
    known = {6: (1, 6), 10: (2, 9), 20: (6, 15), 50: (18, 33), 100: (40, 61)}

    ranks = median_ranks(n)

    assert ranks == known.get(n)
    if ranks is not None:
        covered = stats.binom.cdf(ranks[1] - 1, n, 0.5) - stats.binom.cdf(ranks[0] - 1, n, 0.5)
        assert covered >= 0.95


def test_percentiles_of_a_benchmark_need_the_rounds_that_support_them() -> None:
    info = {"anchors": [0.5] * 64, "waits": [None] * 64}
    found = describe_rounds([float(i) for i in range(1, 65)], info)

    assert (found["p90"], found["p99"], found["contaminated"]) == (58.0, None, None)
    assert found["ratio"] == pytest.approx(65.0)
    assert found["interval"] is not None
    assert describe_rounds([], {"anchors": [], "waits": []})["median"] is None


def test_pytest_benchmark_compare_reads_a_stored_bench(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.json" for i in range(2)]
    for i, file in enumerate(files):
        file.write_bytes(document_bytes(document(seed=i)))

    command = [sys.executable, "-m", "pytest_benchmark", "compare", *map(str, files), "--columns=median,rounds"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)

    assert done.stdout.count("stabilized@dense") == 2
    assert "240" in done.stdout  # 12 processes of 20 rounds


@pytest.mark.parametrize("content", ["{", "[]", '{"benchmarks": [{"extra_info": {}}]}', '{"benchmarks": []}'])
def test_a_file_that_is_no_bench_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "base.json").write_text(content)

    with pytest.raises(ConfigurationError, match=r"base\.json"):
        find_baseline(str(tmp_path / "base.json"))


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_bytes(document_bytes(document()))

    file, found = find_baseline(str(tmp_path / "base.json"))

    assert file == tmp_path / "base.json"
    assert found == json.loads(json.dumps(document()))


def test_names_are_plain_and_orders_change_with_the_process() -> None:
    assert plain_name("test_latency[baseline@ort-int8-1x32]") == "baseline@ort-int8 1x32"
    assert plain_name("test_other") == "test_other"
    orders = [ordered("abcd", process) for process in range(4)]
    assert all(sorted(order) == list("abcd") for order in orders)
    assert sorted(order[0] for order in orders) == list("abcd")
    assert ordered([], 3) == []
