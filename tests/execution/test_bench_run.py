"""A run's subjects under pytest-benchmark: the shipped suite, the fixtures, the command; no seconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from made_run import MakeRun, make_run
from typer.testing import CliRunner

from stabbench.cli import app
from stabbench.errors import ConfigurationError, NotComparableError
from stabbench.execution.bench import BenchOptions, bench, find_baseline, suite_file
from stabbench.execution.bench_document import KEY, machine_facts
from stabbench.execution.bench_subjects import REPLICATE, bench_names, prepare, read_prepared, write_prepared
from stabbench.models.loading import load_pretrained, save_subject
from stabbench.seeding import TrialSeeds
from stabbench.store.run_folder import RunFolder

__all__ = ["make_run"]
pytest_plugins = ["pytester"]
LOADED = ["-p", "pytest_benchmark.plugin", "-p", "stabbench.pytest_plugin", "-p", "no:cacheprovider"]
DENSE_NAMES = ["baseline@dense", f"baseline@dense{REPLICATE}", "stabilized@dense"]
NAMES = [*DENSE_NAMES, "baseline@int8-dynamic", "stabilized@int8-dynamic"]


@pytest.fixture(scope="module")
def run(make_run: MakeRun, tiny_model: Path) -> RunFolder:
    """A made run whose trials have the weights of the tiny model."""
    made = make_run(seeds=1, probes=("accuracy",), broken=False)
    for variant in ("baseline", "stabilized"):
        stored = made.cell(f"train/{variant}/0")
        assert stored is not None
        model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
        save_subject(model, tokenizer, stored.folder / "model", ("no", "yes"), 16)
    return made


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("STABBENCH_BENCH_SHAPES", BenchOptions(batch=(1, 2), length=(8,), rounds=3).as_text())


def test_subjects_are_the_reference_its_replicate_the_others_and_each_compressed(
    run: RunFolder, tmp_path: Path
) -> None:
    subjects = prepare(run, tmp_path)

    assert bench_names(run) == [subject.name for subject in subjects] == NAMES
    assert [subject.artifact is None for subject in subjects] == [True] * 3 + [False] * 2
    assert all(subject.load().logits is not None for subject in subjects)
    write_prepared(subjects, tmp_path / "subjects.json")
    assert read_prepared(tmp_path / "subjects.json") == subjects


def test_without_weights_there_is_nothing_to_time(make_run: MakeRun) -> None:
    with pytest.raises(ConfigurationError, match="no trained weights of variant 'baseline'"):
        bench_names(make_run(seeds=1, probes=("accuracy",), compressions=False, broken=False))


def test_the_suite_times_every_subject_and_the_hooks_describe_it(pytester: pytest.Pytester, run: RunFolder) -> None:
    shutil.copy(suite_file(), pytester.path / "bench_latency.py")

    result = pytester.runpytest_inprocess(
        *LOADED, "bench_latency.py", f"--stabbench-run={run.path}", "--benchmark-json=out.json", "--benchmark-only"
    )

    result.assert_outcomes(passed=2 * len(NAMES))
    document = json.loads((pytester.path / "out.json").read_text())
    assert document["machine_info"][KEY] == machine_facts()
    assert {item["name"] for item in document["benchmarks"]} == {
        f"test_latency[{name}-{batch}x8]" for name in NAMES for batch in (1, 2)
    }
    for item in document["benchmarks"]:
        info = item["extra_info"][KEY]
        assert item["stats"]["rounds"] == info["process"]["n"] == len(info["anchors"]) == len(info["waits"]) == 3
        assert info["process"]["p90"] is None
        assert info["process"]["ratio"] > 0


def test_a_users_own_benchmark_takes_the_fixtures(pytester: pytest.Pytester, run: RunFolder) -> None:
    # A benchmark that is never begun is a warning of pytest-benchmark's, and here no error.
    pytester.makeini("[pytest]\nfilterwarnings = default\n")
    pytester.makepyfile(
        """
        def test_mine(stabbench_bench):
            stabbench_bench("stabilized@int8-dynamic", batch=2, length=8, rounds=4)

        def test_plain(benchmark):
            benchmark(lambda: None)

        def test_subjects(stabbench_subjects):
            assert stabbench_subjects["baseline@dense"].load().classes == ("no", "yes")

        def test_unknown(stabbench_bench):
            stabbench_bench("stabilised@dense")
        """
    )

    result = pytester.runpytest_inprocess(*LOADED, f"--stabbench-run={run.path}", "--benchmark-json=out.json")

    result.assert_outcomes(passed=3, failed=1)
    assert "unknown subject of the run 'stabilised@dense'. Did you mean 'stabilized@dense'?" in result.stdout.str()
    mine = {item["name"]: item for item in json.loads((pytester.path / "out.json").read_text())["benchmarks"]}
    assert mine["test_mine"]["stats"]["rounds"] == 4
    assert mine["test_plain"]["extra_info"] == {}


def test_disabled_benchmarks_still_run_once(pytester: pytest.Pytester, run: RunFolder) -> None:
    pytester.makepyfile("def test_mine(stabbench_bench):\n    stabbench_bench('baseline@dense', length=8)\n")

    result = pytester.runpytest_inprocess(*LOADED, f"--stabbench-run={run.path}", "--benchmark-disable")

    result.assert_outcomes(passed=1)


def _baseline(**machine: Any) -> dict[str, Any]:
    entry = {"ratio": 1.0, "contaminated": 0.0, "n": 3}
    item = {"name": "baseline@dense 1x32", "extra_info": {KEY: {"processes": [entry]}}}
    return {"machine_info": {KEY: {**machine_facts(), **machine}}, "benchmarks": [item]}


def test_a_baseline_of_another_machine_is_refused_before_anything_is_measured(run: RunFolder, tmp_path: Path) -> None:
    file = tmp_path / "base.json"
    file.write_text(json.dumps(_baseline(hardware_class="another x64")))

    result = CliRunner().invoke(app, ["bench", str(run.path), "--against", str(file)])

    assert isinstance(result.exception, NotComparableError)
    assert result.exception.exit_code == 4
    assert "another class of machine: the baseline has another x64" in str(result.exception)


def test_a_run_without_a_bench_is_no_baseline(run: RunFolder) -> None:
    with pytest.raises(ConfigurationError, match="has no bench; measure it with `stabbench bench"):
        find_baseline(str(run.path))


@pytest.mark.slow
def test_processes_are_merged_stored_and_found_as_a_baseline(run: RunFolder, tmp_path: Path) -> None:
    target, document = bench(run, BenchOptions(processes=2, length=(8,), rounds=3))

    assert target == run.path / "bench" / "0001.json"
    assert find_baseline(str(run.path)) == (target, json.loads(json.dumps(document)))
    assert {item["name"] for item in document["benchmarks"]} == {f"{name} 1x8" for name in NAMES}
    assert all(len(item["extra_info"][KEY]["processes"]) == 2 for item in document["benchmarks"])
    assert all(item["stats"]["rounds"] == len(item["stats"]["data"]) == 6 for item in document["benchmarks"])
    arguments = ["bench", str(run.path), "--against", str(target), "--processes", "1", "--length", "8", "--json"]
    result = CliRunner().invoke(app, [*arguments, "--save", str(tmp_path / "now.json")])
    found = json.loads(result.stdout)
    # Whether this machine is quiet is not for a test to say: the outcomes differ, the code follows from them.
    assert result.exit_code == found["exit_code"] in (0, 1, 4)
    assert {item["name"] for item in found["benchmarks"]} == {f"{name} 1x8" for name in NAMES}
    assert (tmp_path / "now.json").exists()
