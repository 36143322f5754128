"""pytest plug-in: assertions on the claims of a finished run, and benchmarks of its subjects, for a project's tests.

::

    def test_the_recipe_is_not_less_robust(stabbench_claims):
        stabbench_claims["attack.accuracy_under_attack"].assert_not_worse(by=0.02)

    def test_the_small_model_is_fast(stabbench_bench):          # with pytest-benchmark
        stabbench_bench("stabilized@ort-int8", batch=1, length=32)

``--stabbench-run RUN`` names the run (a folder, or a name below ``runs/``); without it the newest run below ``runs/``
of the folder that pytest was started in. Nothing else of stabbench is imported, and nothing read, before a test asks
for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from stabbench.claims.claim import Claim
    from stabbench.execution.bench_subjects import BenchSubject
    from stabbench.execution.loaded_run import LoadedRun

__all__ = [
    "ClaimUnderTest", "ClaimsUnderTest", "StabbenchBench", "bench_names_of", "pytest_addoption",
    "pytest_benchmark_update_json", "pytest_benchmark_update_machine_info", "stabbench_bench", "stabbench_claims",
    "stabbench_subjects",
]  # fmt: skip


class ClaimUnderTest:
    """One claim of a run, with the assertions a test can make of it.

    Attributes:
        claim: the claim itself: effect, interval, verdict, reason and so on.
    """

    def __init__(self, claim: Claim, run: LoadedRun) -> None:
        self.claim = claim
        self._run = run

    def assert_not_worse(self, by: float = 0.02) -> None:
        """Fail unless the candidate is shown to be not worse than the reference by more than `by`.

        That is the non-inferiority test at one-sided 95 % (`stabbench.claims.non_inferiority`): the bound on the worse
        side, recomputed from the measurements by the claim's own method, must respect `by`. So an `inconclusive` claim
        passes where its bound is inside, and fails where it is not, however small the effect; a claim that is
        `not comparable` or `incomplete` fails; a `regressed` one passes where it is surely regressed by less than `by`.

        Args:
            by: largest loss that is allowed: of a share 0.02 is 2 points, of a ratio (latency, mCE) 2 %.

        Raises:
            AssertionError: it is not shown; the message prints the claim, the bound and the limit.
            ValueError: `by` is negative, or neither direction of the metric is better.
        """
        __tracebackhide__ = True
        from stabbench.claims.non_inferiority import not_worse

        found = not_worse(self.claim, self._run.folder.rows, self._run.suite, by)
        if not found.holds:
            self._fail(f"not shown to be not worse by {by:g}: {found.reason}")

    def assert_equivalent(self) -> None:
        """Fail unless the verdict is `equivalent`: the 90 % interval lies inside the suite's margin."""
        __tracebackhide__ = True
        self._assert_verdict("equivalent")

    def assert_improved(self) -> None:
        """Fail unless the verdict is `improved`."""
        __tracebackhide__ = True
        self._assert_verdict("improved")

    def _assert_verdict(self, wanted: str) -> None:
        __tracebackhide__ = True
        if self.claim.verdict != wanted:
            self._fail(f"{self.claim.verdict}, not {wanted}: {self.claim.reason}")

    def _fail(self, why: str) -> None:
        __tracebackhide__ = True
        from stabbench.claims.text import claim_line

        raise AssertionError(f"{claim_line(self.claim)}\n  {why}\n  claim {self.claim.id} of run {self._run.path}")

    def __repr__(self) -> str:
        return f"<claim {self.claim.id}: {self.claim.verdict}>"


class ClaimsUnderTest(Mapping[str, ClaimUnderTest]):
    """The claims of a run, by id, or by metric where that names one claim.

    A metric names its only claim, or its only primary one; iterating gives the ids.
    """

    def __init__(self, run: LoadedRun) -> None:
        self.run = run
        self._claims = {claim.id: claim for claim in run.claims}

    def __getitem__(self, name: str) -> ClaimUnderTest:
        """Return the claim of that id or metric.

        Raises:
            KeyError: there is none, or several; the message lists the ids.
        """
        if name in self._claims:
            return ClaimUnderTest(self._claims[name], self.run)
        mine = [claim for claim in self._claims.values() if claim.metric == name]
        primary = [claim for claim in mine if claim.primary]
        chosen = mine if len(mine) == 1 else primary
        if len(chosen) == 1:
            return ClaimUnderTest(chosen[0], self.run)
        raise _Unresolved(_unresolved(name, chosen or mine, list(self._claims.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)


class _Unresolved(KeyError):
    """A KeyError whose message is shown as it is, line by line."""

    def __str__(self) -> str:
        return str(self.args[0])


def _unresolved(name: str, several: list[Claim], known: list[Claim]) -> str:
    if several:
        listed = "\n".join(f"  {claim.id}" for claim in several)
        return f"'{name}' names {len(several)} claims; give the id of one:\n{listed}"
    from stabbench.errors import unknown_name

    metrics = dict.fromkeys(claim.metric for claim in known)
    return unknown_name("claim", name, metrics) + " An id is more exact: iterate over the mapping to see them."


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--stabbench-run``."""
    group = parser.getgroup("stabbench", "claims of a stabbench run")
    group.addoption(
        "--stabbench-run",
        metavar="RUN",
        default=None,
        help="run whose claims `stabbench_claims` holds: a folder, or a name below runs/ (default: the newest there)",
    )


@pytest.fixture(scope="session")
def stabbench_claims(pytestconfig: pytest.Config) -> ClaimsUnderTest:
    """Claims of a finished run, by id or by metric; each has assert_not_worse, assert_equivalent, assert_improved."""
    run = _run_of(pytestconfig)
    if run.folder.environment.get("smoke"):
        pytest.fail(f"run {run.path} is a smoke run, which is never a verdict", pytrace=False)
    return ClaimsUnderTest(run)


class StabbenchBench(Protocol):
    """What `stabbench_bench` is: call it once in a test, as the fixture ``benchmark`` that it uses."""

    def __call__(self, name: str, *, batch: int = 1, length: int = 32, rounds: int | None = None) -> None:
        """Time forward passes of a subject.

        Args:
            name: ``variant@compression``.
            batch: texts per pass.
            length: tokens per text, padding included.
            rounds: timed passes; by default 20 at batch 1, 4 above.
        """


def bench_names_of(config: pytest.Config) -> list[str]:
    """Return the names of the subjects of the session's run, for parametrising; needs no torch."""
    from stabbench.errors import StabbenchError
    from stabbench.execution.bench_subjects import bench_names

    try:
        return bench_names(_run_of(config).folder)
    except StabbenchError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def stabbench_subjects(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, BenchSubject]:
    """The subjects of the run by name, ``variant@compression``; `load()` gives one to score texts with."""
    import os

    from stabbench.errors import StabbenchError
    from stabbench.execution.bench_subjects import PREPARED, prepare, read_prepared

    try:
        if PREPARED in os.environ:
            found = read_prepared(Path(os.environ[PREPARED]))
        else:
            found = prepare(_run_of(pytestconfig).folder, tmp_path_factory.mktemp("stabbench"))
    except StabbenchError as error:
        pytest.fail(str(error), pytrace=False)
    return {subject.name: subject for subject in found}


@pytest.fixture(scope="session")
def _stabbench_loaded(stabbench_subjects: Mapping[str, BenchSubject]) -> Mapping[str, Any]:
    """Every subject loaded, and the anchor: all before the first round, so that none is timed in an emptier process."""
    from stabbench.execution.bench import ordered, process_number
    from stabbench.execution.bench_timer import make_anchor

    names = ordered(list(stabbench_subjects), process_number())
    loaded: dict[str, Any] = {name: stabbench_subjects[name].load() for name in names}
    return {"subjects": loaded, "anchor": make_anchor()}


@pytest.fixture
def stabbench_bench(_stabbench_loaded: Mapping[str, Any], benchmark: Any) -> StabbenchBench:
    """Time a subject of the run with pytest-benchmark: `stabbench_bench("baseline@dense", batch=1, length=32)`."""
    import os

    from stabbench.errors import unknown_name
    from stabbench.execution.bench import shapes_from
    from stabbench.execution.bench_timer import time_subject

    def run(name: str, *, batch: int = 1, length: int = 32, rounds: int | None = None) -> None:
        __tracebackhide__ = True
        subjects = _stabbench_loaded["subjects"]
        if name not in subjects:
            pytest.fail(unknown_name("subject of the run", name, subjects), pytrace=False)
        asked = rounds or shapes_from(os.environ)[1]
        time_subject(benchmark, subjects[name], _stabbench_loaded["anchor"], batch, length, asked)

    return run


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Add what latency depends on, in sessions that name a run."""
    if config.getoption("--stabbench-run") is not None:
        from stabbench.execution.bench_document import KEY, machine_facts

        machine_info[KEY] = machine_facts()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Add percentiles, the median's interval, the ratio to the anchor and contamination to what we have timed."""
    mine = [item for item in output_json["benchmarks"] if "stabbench" in item.get("extra_info", {})]
    if mine:
        from stabbench.execution.bench_document import KEY, describe_rounds

        for item in mine:
            info = item["extra_info"][KEY]
            info["process"] = describe_rounds(item["stats"]["data"], info)


def _run_of(config: pytest.Config) -> LoadedRun:
    """Return the run that the session names, or the newest here; without one the test fails and says what to do."""
    from stabbench.errors import StabbenchError
    from stabbench.execution.loaded_run import LoadedRun, load
    from stabbench.store.run_list import newest_run

    given = config.getoption("--stabbench-run")
    try:
        newest = newest_run() if given is None else None
        run = LoadedRun(newest) if newest is not None else None if given is None else load(given)
    except StabbenchError as error:
        pytest.fail(f"--stabbench-run: {error}", pytrace=False)
    if run is None:
        pytest.fail(
            "there is no finished run below runs/ here; do one with `stabbench run`, or name one with --stabbench-run",
            pytrace=False,
        )
    return run
