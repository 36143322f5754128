"""The detector of contamination, on made counters: what it reads, what it judges, what it says where it is blind."""

from __future__ import annotations

from pathlib import Path

import pytest

from stabbench.probes._latency.contamination import (
    Machine,
    RoundWatch,
    between,
    contaminated,
    degraded,
    machine,
    run_queue_wait,
    share_contaminated,
)


def write_proc(folder: Path, wait_ns: int = 0, steal: int = 0, idle: int = 100, pressure_us: int | None = 0) -> Path:
    """Write the kernel's files as Linux does."""
    (folder / "thread-self").mkdir(parents=True, exist_ok=True)
    (folder / "thread-self" / "schedstat").write_text(f"123456789 {wait_ns} 42\n")
    # user nice system idle iowait irq softirq steal guest guest_nice
    (folder / "stat").write_text(f"cpu  10 0 5 {idle} 0 0 0 {steal} 7 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n")
    (folder / "pressure").mkdir(exist_ok=True)
    if pressure_us is not None:
        lines = f"some avg10=1.00 avg60=0.50 avg300=0.10 total={pressure_us}\nfull avg10=0.00 total=99\n"
        (folder / "pressure" / "cpu").write_text(lines)
    return folder


def test_the_wait_is_the_second_field_in_nanoseconds(tmp_path: Path) -> None:
    assert run_queue_wait(write_proc(tmp_path, wait_ns=1_500_000_000)) == 1.5
    assert run_queue_wait(tmp_path / "not-linux") is None


def test_shares_between_two_readings(tmp_path: Path) -> None:
    first = machine(write_proc(tmp_path, steal=0, idle=100, pressure_us=0))
    last = machine(write_proc(tmp_path, steal=30, idle=170, pressure_us=2_000_000))

    found = between(first, Machine(last.steal, last.ticks, last.pressure, first.at + 8.0))

    assert found["steal"] == pytest.approx(30 / 100)
    assert found["pressure"] == pytest.approx(2.0 / 8.0)


def test_what_the_system_does_not_tell_is_none_and_is_said(tmp_path: Path) -> None:
    blind = machine(tmp_path / "not-linux")
    found = between(blind, blind)

    assert (found["steal"], found["pressure"]) == (None, None)
    assert len(degraded(found, [None, None])) == 3
    assert degraded({"steal": 0.0, "pressure": 0.0, "load": 1.0}, [0.0]) == []


@pytest.mark.parametrize(
    ("seconds", "wait", "steal", "expected"),
    [
        (1.0, 0.05, None, False),  # exactly 5 % is not more than 5 %
        (1.0, 0.0501, None, True),
        (0.0, 0.0, None, False),
        (1.0, 0.0, 0.02, False),
        (1.0, 0.0, 0.021, True),  # a hypervisor took it: the thread itself never waited
        (1.0, None, 0.021, True),
        (1.0, None, 0.0, None),
        (1.0, None, None, None),
    ],
)
def test_a_round_is_judged_by_its_wait_and_the_stolen_time(
    seconds: float, wait: float | None, steal: float | None, expected: bool | None
) -> None:
    assert contaminated(seconds, wait, steal) is expected


@pytest.mark.parametrize(
    ("waits", "expected"),
    [([], None), ([None], None), ([0.0, None], 0.0), ([0.06, 0.0, 0.2, None], 2 / 3), ([1.0], 1.0)],
)
def test_the_share_is_over_the_rounds_that_can_be_judged(waits: list[float | None], expected: float | None) -> None:
    assert share_contaminated([1.0] * len(waits), waits) == expected


def test_a_watch_gives_the_wait_of_each_round_alone(tmp_path: Path) -> None:
    watch = RoundWatch(write_proc(tmp_path, wait_ns=7_000_000))
    for after in (9_000_000, 9_000_000, 19_000_000):
        watch.start()
        write_proc(tmp_path, wait_ns=after)
        watch.stop()

    assert watch.waits == pytest.approx([0.002, 0.0, 0.010])
    assert len(watch.cpu) == 3
