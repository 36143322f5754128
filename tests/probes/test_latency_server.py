"""The open loop on a fake clock, against queueing theory, and the server on a fake model."""

from __future__ import annotations

import json
import math
import threading
from bisect import bisect_right
from typing import Any

import numpy as np
import pytest
from scipy import stats

from stabbench.probes._latency.arrivals import (
    Outcome,
    highest_rate,
    outcome,
    poisson_arrivals,
    send_on_schedule,
)
from stabbench.probes._latency.serving import Intake, read_requests, serve


class FakeClock:
    """A clock that only sleeping and stalls move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def fifo(arrivals: list[float], service: float, places: int | None = None) -> list[float | None]:
    """When a single server with constant service times answers: Lindley's recursion; None where the queue was full."""
    free, answered = 0.0, []
    begun: list[float] = []
    for at in arrivals:
        waiting = len(begun) - bisect_right(begun, at)  # starts are in order
        if places is not None and waiting >= places:
            answered.append(None)
            continue
        start = max(at, free)
        begun.append(start)
        free = start + service
        answered.append(free)
    return answered


@pytest.mark.parametrize("rate", [0.5, 80.0])
def test_arrivals_are_a_poisson_process_of_that_rate(rate: float) -> None:
    gaps = np.diff([0.0, *poisson_arrivals(rate, 4000, seed=3)])

    assert np.mean(gaps) == pytest.approx(1 / rate, rel=0.05)
    assert stats.kstest(gaps, stats.expon(scale=1 / rate).cdf).pvalue > 0.01


def test_a_seed_gives_the_same_arrivals_scaled_to_the_rate() -> None:
    slow, fast = poisson_arrivals(1.0, 50, seed=9), poisson_arrivals(4.0, 50, seed=9)

    assert slow == pytest.approx([4 * at for at in fast])
    assert slow != poisson_arrivals(1.0, 50, seed=10)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate must be positive and finite"):
        poisson_arrivals(rate, 3, seed=0)


def test_requests_are_sent_when_due_whatever_the_server_does() -> None:
    clock, sent = FakeClock(), {}
    arrivals = poisson_arrivals(10.0, 30, seed=1)

    start, late = send_on_schedule(arrivals, lambda i: sent.update({i: clock.now}), clock, clock.sleep)

    assert [sent[i] - start for i in range(30)] == pytest.approx(arrivals)
    assert late == pytest.approx(0.0, abs=1e-9)


def test_a_stall_of_the_client_is_counted_in_the_latency_and_never_stretches_the_schedule() -> None:
    """Coordinated omission: ten requests due while the third sending hung must all be late by what they waited."""
    clock = FakeClock()
    arrivals = [0.1 * i for i in range(20)]
    answered: dict[int, float | None] = {}

    def send(index: int) -> None:
        clock.now += 1.0 if index == 3 else 0.0
        answered[index] = clock.now + 0.01

    start, late = send_on_schedule(arrivals, send, clock, clock.sleep)
    found = outcome(arrivals, start, answered, late)

    expected = [0.01 + (max(0.0, 1.3 - at) if at >= 0.3 else 0.0) for at in arrivals]
    assert found.latencies == pytest.approx(expected)
    assert late == pytest.approx(0.9)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_the_mean_latency_of_a_constant_server_is_pollaczek_khinchine(load: float) -> None:
    service, count = 0.02, 60_000
    arrivals = poisson_arrivals(load / service, count, seed=5)
    answered = dict(enumerate(fifo(arrivals, service)))

    found = outcome(arrivals, 0.0, answered, 0.0)

    # M/D/1: mean wait = ρ s / (2 (1 − ρ)).
    expected = service + load * service / (2 * (1 - load))
    assert np.mean(found.latencies) == pytest.approx(expected, rel=0.05)


def test_refused_requests_count_as_never_answered_in_the_tail() -> None:
    few = Outcome(tuple(0.01 * (i + 1) for i in range(95)), refused=5)

    assert few.refused_share == 0.05
    assert few.quantile(0.9) == pytest.approx(0.91)  # index ⌈0.9 · 99⌉ = 90 of all hundred
    assert few.quantile(0.99) == math.inf
    assert math.isnan(Outcome((), 0).quantile(0.9))
    assert Outcome((), 3).quantile(0.5) == math.inf


@pytest.mark.parametrize("largest", [0.5, 1.0, 3.0, 7.77, 10.0, 50.0])
def test_the_search_comes_within_its_factor_of_the_largest_rate(largest: float) -> None:
    found = highest_rate(lambda rate: rate <= largest, 1.0, 10.0, steps=6)

    if largest < 1.0:
        assert found is None
    else:
        assert found is not None
        bound = min(largest, 10.0)
        assert bound / 10 ** (1 / 2**6) <= found <= bound


def test_a_full_queue_turns_away_and_what_waits_is_served_in_order() -> None:
    intake, answers = Intake(2), []
    lines = [json.dumps({"id": i, "text": f"t{i}"}) for i in range(5)]
    read_requests(lines, intake, answers.append)  # nobody serves yet: three find it full
    batches: list[list[str]] = []

    def score(texts: Any) -> dict[str, Any]:
        batches.append(list(texts))
        return {"busy": 1.0}

    serve(intake, score, answers.append, most=1)

    assert [a["id"] for a in answers if a["refused"]] == [2, 3, 4]
    assert [(a["id"], a["busy"]) for a in answers if not a["refused"]] == [(0, 1.0), (1, 1.0)]
    assert batches == [["t0"], ["t1"]]


@pytest.mark.parametrize(("most", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (8, [5])])
def test_waiting_requests_are_scored_together_up_to_the_batch(most: int, sizes: list[int]) -> None:
    intake, answers, seen = Intake(10), [], []
    read_requests([json.dumps({"id": i, "text": "x"}) for i in range(5)], intake, answers.append)

    serve(intake, lambda texts: seen.append(len(texts)) or {}, answers.append, most)  # type: ignore[func-returns-value]

    assert seen == sizes
    assert [a["id"] for a in answers] == list(range(5))


def test_the_server_waits_for_a_request_and_ends_when_the_intake_is_closed() -> None:
    intake, answers = Intake(4), []
    worker = threading.Thread(target=serve, args=(intake, lambda texts: {}, answers.append, 1))
    worker.start()
    intake.offer({"id": 7, "text": "x"})
    intake.close()
    worker.join(timeout=30)

    assert not worker.is_alive()
    assert [a["id"] for a in answers] == [7]
    assert intake.take(1) == []
