"""A run in Python: its measurements, claims, verdict and report, and how it compares with another.

``stabbench.load("runs/…")`` gives a `LoadedRun`, and so does ``stabbench.run("suite.yaml", …)``
(`stabbench.runner.run_suite`); ``stabbench.compare(a, b)`` compares two. Loading reads files and needs no torch.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stabbench.claims.claim import Claim
from stabbench.claims.text import claim_line, sentence
from stabbench.errors import ConfigurationError
from stabbench.store.run_folder import RunFolder
from stabbench.suite.schema import Suite
from stabbench.suite.stored import stored_suite

if TYPE_CHECKING:
    import pandas as pd

    from stabbench.execution.comparison import Comparison


class LoadedRun:
    """A run that was brought to an end.

    Attributes:
        folder: its folder, for what the properties below do not show.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def verdict(self) -> dict[str, Any]:
        """The verdict document: the content of ``verdict.json``."""
        return self.folder.verdict

    @property
    def status(self) -> str:
        """``complete``, ``incomplete`` or ``interrupted``."""
        return str(self.verdict["status"])

    @property
    def sentence(self) -> str:
        """The verdict in one sentence; of a smoke run, that it is none."""
        if self.folder.environment.get("smoke"):
            return "A smoke run is never a verdict."
        return sentence(self.verdict)

    @cached_property
    def suite(self) -> Suite:
        """The suite that the run was made with."""
        return stored_suite(self.folder.suite)

    @cached_property
    def claims(self) -> list[Claim]:
        """All claims, the primary ones first; empty for a smoke run."""
        return [Claim.from_dict(content) for content in self.verdict["claims"]]

    @cached_property
    def measurements(self) -> pd.DataFrame:
        """One row per number, with the columns of ``measurements.parquet``.

        ``variant seed compression probe metric at value unit better n_used n_planned status``: `seed` is text and null
        for a figure of a group, `at` is JSON text. pandas shows an unknown value and a measured NaN both as NaN;
        ``run.folder.rows`` keeps them apart.
        """
        import pandas as pd

        return pd.read_parquet(self.path / "measurements.parquet")

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    def compare(self, other: LoadedRun | str | Path, allow_drift: bool = False) -> Comparison:
        """Compare this run with a reference run: the same group in both, paired by seed.

        Args:
            other: the reference; this run is the one that is judged.
            allow_drift: go on where the runs differ in what must be equal; the result then says so.

        Raises:
            NotComparableError: they differ in what must be equal; the message names the fields.
        """
        from stabbench.execution.comparison import compare_runs

        return compare_runs(load(other).folder, self.folder, allow_drift=allow_drift)

    def __repr__(self) -> str:
        lines = [f"<run {self.path.name} of suite {self.verdict['suite']}: {self.status}>", self.sentence]
        return "\n".join([*lines, *(f"  {claim_line(claim)}" for claim in self.claims if claim.primary)])


def load(run: LoadedRun | str | Path) -> LoadedRun:
    """Return a run.

    Args:
        run: its folder, or its name below ``runs/``.

    Raises:
        ConfigurationError: there is none, or it was killed before it had a verdict.
    """
    if isinstance(run, LoadedRun):
        return run
    folder = RunFolder.find(str(run))
    if not (folder.path / "verdict.json").exists():
        raise ConfigurationError([f"run {folder.path} has no verdict yet; give its command again"])
    return LoadedRun(folder)


def compare(
    reference: LoadedRun | str | Path, candidate: LoadedRun | str | Path, allow_drift: bool = False
) -> Comparison:
    """Compare a candidate run with a reference run; see `LoadedRun.compare`."""
    return load(candidate).compare(reference, allow_drift)
