"""pytest plug-in: assertions on the claims of a finished run, for a project's own tests.

::

    def test_the_recipe_is_not_less_robust(stabbench_claims):
        stabbench_claims["attack.accuracy_under_attack"].assert_not_worse(by=0.02)

``--stabbench-run RUN`` names the run (a folder, or a name below ``runs/``); without it the newest run below ``runs/``
of the folder that pytest was started in. Nothing else of stabbench is imported, and nothing read, before a test asks
for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stabbench.claims.claim import Claim
    from stabbench.execution.loaded_run import LoadedRun

__all__ = ["ClaimUnderTest", "ClaimsUnderTest", "pytest_addoption", "stabbench_claims"]


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
    from stabbench.errors import StabbenchError
    from stabbench.execution.loaded_run import LoadedRun, load
    from stabbench.store.run_list import newest_run

    given = pytestconfig.getoption("--stabbench-run")
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
    if run.folder.environment.get("smoke"):
        pytest.fail(f"run {run.path} is a smoke run, which is never a verdict", pytrace=False)
    return ClaimsUnderTest(run)
