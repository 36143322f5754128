"""The client's side of the server scenario: when requests are due, when they are sent, what became of them. No torch.

Open loop: the next request does not wait for the last answer, as users do not. A latency counts from the moment at
which the request was *due*, so that a server that stalls, or a client that the stall keeps from sending, cannot hide
the requests that should have come meanwhile ("coordinated omission"). Source: Reddi et al. 2020, MLPerf Inference,
arXiv:1911.02549 (server scenario: Poisson arrivals, throughput under a bound on a tail latency).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

TAIL = 0.9
"""Quantile of the latency that the bound is set on."""


@dataclass(frozen=True)
class Outcome:
    """What became of the requests of one load.

    Attributes:
        latencies: seconds from due to answered, of the answered ones, in order of arrival.
        refused: requests that the full queue turned away.
        late: largest delay in seconds with which the client itself sent a request.
    """

    latencies: tuple[float, ...]
    refused: int
    late: float = 0.0

    @property
    def refused_share(self) -> float:
        """Share of requests turned away."""
        planned = len(self.latencies) + self.refused
        return self.refused / planned if planned else 0.0

    def quantile(self, share: float) -> float:
        """Return the latency that `share` of *all* requests stay within: a refused one was never answered (∞)."""
        everything = [*self.latencies, *[math.inf] * self.refused]
        if not everything:
            return math.nan
        # The next slower request that was seen, so that no finite and infinite latency are averaged.
        return float(np.sort(everything)[math.ceil(share * (len(everything) - 1))])


def poisson_arrivals(rate: float, count: int, seed: int) -> list[float]:
    """Return the first `count` arrivals of a Poisson process, in seconds from its start.

    Gaps are exponential with mean 1/rate. One seed gives the same arrivals, scaled, at every rate: draws are of rate 1.

    Raises:
        ValueError: the rate is not positive and finite.
    """
    if not (rate > 0 and math.isfinite(rate)):
        raise ValueError(f"rate must be positive and finite, not {rate}")
    gaps = np.random.default_rng(seed).exponential(1.0, count)
    return [float(at) for at in np.cumsum(gaps) / rate]


def send_on_schedule(
    arrivals: Sequence[float],
    send: Callable[[int], None],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> tuple[float, float]:
    """Send request i when ``arrivals[i]`` has come; return the start and the largest delay of a sending.

    A request whose time has passed is sent at once: the schedule is never stretched.
    """
    start, late = clock(), 0.0
    for index, due in enumerate(arrivals):
        while (left := start + due - clock()) > 0:
            sleep(left)
        late = max(late, clock() - start - due)
        send(index)
    return start, late


def outcome(arrivals: Sequence[float], start: float, answered: Mapping[int, float | None], late: float) -> Outcome:
    """Return the outcome of a load.

    Args:
        arrivals: when each request was due, in seconds from `start`.
        start: the clock when the load began.
        answered: request → the clock when its answer came, or None where it was refused.
        late: largest delay of a sending.
    """
    times = [answered[index] for index in range(len(arrivals))]
    latencies = [at - start - due for at, due in zip(times, arrivals, strict=True) if at is not None]
    return Outcome(tuple(latencies), sum(at is None for at in times), late)


def highest_rate(passes: Callable[[float], bool], low: float, high: float, steps: int) -> float | None:
    """Return the highest rate found at which `passes` holds, between `low` and `high`; None if not even at `low`.

    Bisection on the log scale: after s steps the answer is within a factor (high/low)^(1/2^s) of the largest, where
    passing is monotone in the rate.
    """
    if not passes(low):
        return None
    if passes(high):
        return high
    for _ in range(steps):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if passes(middle) else (low, middle)
    return low
