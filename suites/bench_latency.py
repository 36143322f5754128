"""Latency of the subjects of a finished run, as ordinary benchmarks of pytest-benchmark.

    stabbench bench RUN                                   # fresh processes, stored, decided with --against
    pytest suites/bench_latency.py --stabbench-run RUN    # one process, every option of pytest-benchmark

In a checkout of stabbench add ``--benchmark-enable``: its own tests run with benchmarks disabled. The hooks of
stabbench's plug-in add percentiles, intervals and contamination to the JSON that ``--benchmark-json`` writes.
"""

import os

import pytest

from stabbench.execution.bench import ordered, process_number, shapes_from
from stabbench.pytest_plugin import StabbenchBench, bench_names_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One benchmark per subject and shape, in another order in every process."""
    names = bench_names_of(metafunc.config)
    shapes, _ = shapes_from(os.environ)
    cases = ordered([(name, shape) for shape in shapes for name in names], process_number())
    ids = [f"{name}-{batch}x{length}" for name, (batch, length) in cases]
    metafunc.parametrize(("name", "shape"), cases, ids=ids)


def test_latency(stabbench_bench: StabbenchBench, name: str, shape: tuple[int, int]) -> None:
    stabbench_bench(name, batch=shape[0], length=shape[1])
