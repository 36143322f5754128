"""Suites and rows as a run gives them."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from stabbench.records import Measurement, Row
from stabbench.suite.schema import Suite


@pytest.fixture(scope="session")
def make_suite() -> Callable[..., Suite]:
    def make(**changed: object) -> Suite:
        content: dict[str, object] = {
            "schema": 1,
            "name": "study",
            "data": {"source": "builtin:rotten-tomatoes", "train": 10, "test": 20},
            "model": "builtin:tiny",
            "seeds": 6,
            "variants": {"baseline": {}, "stabilized": {}},
            "compare": {"primary": ["accuracy"]},
        }
        return Suite.model_validate({**content, **changed})

    return make


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., list[Row]]:
    """Rows of one metric and one group, a value per seed; None leaves a seed out."""

    def make(
        metric: str,
        variant: str,
        values: Sequence[float | None],
        at: Mapping[str, str | int] | None = None,
        compression: str = "dense",
        better: str = "higher",
    ) -> list[Row]:
        probe = metric.split(".")[0]
        return [
            Row(variant, str(seed), compression, probe, Measurement(metric, value, "share", better, at or {}, 600, 600))
            for seed, value in enumerate(values)
            if value is not None
        ]

    return make


@pytest.fixture(scope="session")
def make_latency() -> Callable[..., list[Row]]:
    """Rows of a latency panel: seconds per process and subject, the A/A replicate, the contaminated share."""

    def make(
        seconds: Mapping[tuple[str, str], Sequence[float | None]],
        replicate: Sequence[float] = (),
        contaminated: float = 0.0,
        at: Mapping[str, str | int] | None = None,
    ) -> list[Row]:
        place = {"batch": 1, "length": 32} if at is None else at
        rows = []

        def add(variant: str, compression: str, metric: str, value: float, extra: Mapping[str, int]) -> None:
            measurement = Measurement(metric, value, "seconds", "lower", {**place, **extra})
            rows.append(Row(variant, "0", compression, "latency", measurement))

        for (variant, compression), values in seconds.items():
            add(variant, compression, "latency.contaminated", contaminated, {})
            known = sorted(value for value in values if value is not None)
            add(variant, compression, "latency.p50", known[len(known) // 2] if known else 0.0, {})
            for process, value in enumerate(values):
                if value is not None:
                    add(variant, compression, "latency.process_p50", value, {"process": process})
        for process, ratio in enumerate(replicate):
            add("baseline", "dense", "latency.aa_ratio", ratio, {"process": process})
        return rows

    return make
