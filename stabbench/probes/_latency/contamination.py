"""Was the machine ours while a round ran? Readings of the kernel's counters, and the rule that judges them. No torch.

On one thread, wall time = time on a processor + time waiting for one (run-queue wait) + time asleep. The second term is
what neighbours took: ``/proc/thread-self/schedstat``. What a hypervisor took is in none of them; its share of the
machine (``steal``) is read per process. Pressure and load are recorded, not judged: our own threads are in them too.
Needs no rights. Only Linux tells; elsewhere waits are None, and what rests on them says "unknown".
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CONTAMINATED = 0.05
"""A round is contaminated if its thread waited for a processor for more than this share of the round's time."""
STOLEN = 0.02
"""All rounds of a process are contaminated if the hypervisor took more than this share of the machine meanwhile."""

PROC = Path("/proc")


@dataclass(frozen=True)
class Machine:
    """Counters of the whole machine at one moment; None where the system does not tell.

    Attributes:
        steal: processor time that the hypervisor gave to others, in ticks.
        ticks: processor time of all kinds, in ticks.
        pressure: seconds in which some task waited for a processor.
        at: seconds on the monotonic clock.
    """

    steal: int | None
    ticks: int | None
    pressure: float | None
    at: float


def run_queue_wait(proc: Path = PROC) -> float | None:
    """Return the seconds this thread has waited for a processor since it began; None where the system does not say."""
    text = _read(proc / "thread-self" / "schedstat")
    return None if text is None else int(text.split()[1]) / 1e9


def machine(proc: Path = PROC) -> Machine:
    """Read the machine's counters now."""
    # The line's last two fields repeat what is in the first two.
    ticks = [int(field) for field in ((_read(proc / "stat") or "").partition("\n")[0].split()[1:9])]
    pressure = _read(proc / "pressure" / "cpu")
    total = None if pressure is None else int(pressure.split("\n")[0].rpartition("total=")[2]) / 1e6
    return Machine(ticks[7] if len(ticks) == 8 else None, sum(ticks) or None, total, time.monotonic())


def between(first: Machine, last: Machine) -> dict[str, float | None]:
    """Return the shares between two readings: ``steal`` of the machine's time, ``pressure`` of the seconds."""
    steal = None
    if None not in (first.steal, last.steal, first.ticks, last.ticks):
        passed = (last.ticks or 0) - (first.ticks or 0)
        steal = ((last.steal or 0) - (first.steal or 0)) / passed if passed > 0 else 0.0
    seconds = last.at - first.at
    known = first.pressure is not None and last.pressure is not None and seconds > 0
    pressure = ((last.pressure or 0.0) - (first.pressure or 0.0)) / seconds if known else None
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"steal": steal, "pressure": pressure, "load": load}


def contaminated(seconds: float, wait: float | None, steal: float | None = None) -> bool | None:
    """Return whether a round must not be trusted; None where the system did not say.

    Args:
        seconds: wall time of the round.
        wait: run-queue wait of its thread during the round, in seconds.
        steal: share of the machine that the hypervisor took while the process ran.
    """
    if steal is not None and steal > STOLEN:
        return True
    return None if wait is None else wait > CONTAMINATED * seconds


def share_contaminated(
    seconds: Sequence[float], waits: Sequence[float | None], steal: float | None = None
) -> float | None:
    """Return the share of contaminated rounds among those that can be judged; None where none can."""
    judged = [contaminated(s, w, steal) for s, w in zip(seconds, waits, strict=True)]
    known = [flag for flag in judged if flag is not None]
    return sum(known) / len(known) if known else None


class RoundWatch:
    """Reads this thread's counters around each round.

    Attributes:
        waits: run-queue wait of each round in seconds, None where unknown.
        cpu: processor seconds of the whole process in each round.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self.waits: list[float | None] = []
        self.cpu: list[float] = []
        self._proc = proc
        self._before: tuple[float | None, float] = (None, 0.0)

    def start(self) -> None:
        """Read the counters before a round."""
        self._before = (run_queue_wait(self._proc), time.process_time())

    def stop(self, *_: object) -> None:
        """Read them after it."""
        wait, cpu = run_queue_wait(self._proc), time.process_time()
        before, cpu_before = self._before
        self.waits.append(None if wait is None or before is None else wait - before)
        self.cpu.append(cpu - cpu_before)


def degraded(signals: Mapping[str, float | None], waits: Sequence[float | None]) -> list[str]:
    """Say what this system does not tell, for the reader of the numbers."""
    found = []
    if not waits or None in waits:
        found.append("no run-queue wait: contaminated rounds cannot be told")
    if signals.get("steal") is None:
        found.append("no steal time: what a hypervisor took cannot be told")
    if signals.get("pressure") is None:
        found.append("no pressure counters")
    return found


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii")
    except OSError:
        return None
