"""The rounds of every subject at one place of a panel, and the rows that hold at every place. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from stabbench.probes._latency.contamination import contaminated, share_contaminated
from stabbench.probes._latency.protocol import Timed
from stabbench.records import Coordinate, Direction, Measurement, Row

# Fewest rounds for which the percentile, one slower round allowed, holds at 99 % confidence (MLPerf loadgen's rule).
PERCENTILES: Mapping[int, int] = {90: 64, 99: 662}


@dataclass
class Samples:
    """The rounds of one subject at one place in one process, in order.

    Attributes:
        seconds: wall time of each round.
        waits: seconds of each round spent waiting for a processor; None where the system does not say.
        tokens: real (unpadded) tokens of each round.
        cpu: processor seconds of each round; empty where not measured.
        tokenization: seconds that tokenising the round's texts took; empty where not measured.
        steal: share of the machine that the hypervisor took while the process ran, or None.
    """

    seconds: list[float] = field(default_factory=list)
    waits: list[float | None] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    tokenization: list[float] = field(default_factory=list)
    steal: float | None = None

    @property
    def median(self) -> float:
        """Median seconds of a round."""
        return float(np.median(self.seconds))

    @property
    def contaminated(self) -> float | None:
        """Share of contaminated rounds, or None where waits are unknown."""
        return share_contaminated(self.seconds, self.waits, self.steal)

    @property
    def clean(self) -> list[float]:
        """Seconds of the rounds that are known to be clean."""
        pairs = zip(self.seconds, self.waits, strict=True)
        return [seconds for seconds, wait in pairs if contaminated(seconds, wait, self.steal) is False]


@dataclass(frozen=True)
class Place:
    """All samples at one place: a shape, the mix, a load, a cold start.

    Attributes:
        at: the place's coordinates.
        subjects: who was timed; the reference first, its replicate last.
        found: (process, subject) → samples.
    """

    at: Mapping[str, Coordinate]
    subjects: Sequence[Timed]
    found: Mapping[tuple[int, int], Samples]

    @property
    def processes(self) -> list[int]:
        """Numbers of the processes."""
        return sorted({process for process, _ in self.found})

    def samples(self, subject: int) -> list[Samples]:
        """Return a subject's samples, one per process."""
        return [self.found[process, subject] for process in self.processes]

    def medians(self, subject: int) -> np.ndarray:
        """(P,) process medians in seconds."""
        return np.array([samples.median for samples in self.samples(subject)])

    def rows(self) -> list[Row]:
        """Return the rows that claims rest on: medians, ratios, percentiles, contamination, and the A/A ratios."""
        found = []
        for index, timed in enumerate(self.subjects):
            made = self._replicate_ratios(index) if timed.replicate else self._measurements(index)
            owner = self.subjects[0] if timed.replicate else timed
            found += [Row(owner.variant, owner.seed, owner.compression, "latency", m) for m in made]
        return found

    def _measurements(self, subject: int) -> Iterator[Measurement]:
        samples, medians = self.samples(subject), self.medians(subject)
        seconds = np.concatenate([s.seconds for s in samples])
        n = len(seconds)
        yield self._measurement("latency.p50", float(np.median(medians)), "seconds", "lower", n)
        for process, mine in zip(self.processes, samples, strict=True):
            at, rounds = {**self.at, "process": process}, len(mine.seconds)
            yield Measurement("latency.process_p50", mine.median, "seconds", "lower", at, rounds, rounds)
        for percentile, needed in PERCENTILES.items():
            if n >= needed:
                # The next slower round that was seen: no interpolation towards faster ones.
                value = float(np.quantile(seconds, percentile / 100, method="higher"))
                yield self._measurement(f"latency.p{percentile}", value, "seconds", "lower", n)
        # The unit is the process: one log ratio each.
        ratio = float(np.exp(np.mean(np.log(medians / self.medians(0)))))
        yield self._measurement("latency.ratio", ratio, "ratio", "lower", len(medians))
        yield from self._contamination(samples, n)

    def _contamination(self, samples: Sequence[Samples], n: int) -> Iterator[Measurement]:
        shares = [(s.contaminated, len(s.seconds)) for s in samples]
        known = [(share, rounds) for share, rounds in shares if share is not None]
        used = sum(rounds for _, rounds in known)
        share = sum(share * rounds for share, rounds in known) / used if used else None
        yield Measurement("latency.contaminated", share, "share", "lower", self.at, used, n)
        clean = [np.median(s.clean) for s in samples if s.clean]
        value = float(np.median(clean)) if clean else None
        n_clean = sum(len(s.clean) for s in samples)
        yield Measurement("latency.clean_p50", value, "seconds", "lower", self.at, n_clean, n)

    def _replicate_ratios(self, replicate: int) -> Iterator[Measurement]:
        for process, ratio in zip(self.processes, self.medians(replicate) / self.medians(0), strict=True):
            at, rounds = {**self.at, "process": process}, len(self.found[process, replicate].seconds)
            yield Measurement("latency.aa_ratio", float(ratio), "ratio", "neither", at, rounds, rounds)

    def _measurement(self, metric: str, value: float, unit: str, better: Direction, n: int) -> Measurement:
        return Measurement(metric, value, unit, better, self.at, n, n)
