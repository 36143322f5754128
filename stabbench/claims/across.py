"""Claims across runs: the same group in two runs, paired by seed.

Both runs' measurements go into one table, the reference run's variants under names of their own, so that every claim
within a run and across runs is decided by the same code. What is relative within a run is made comparable first:
`noise.mce` of both is taken over the errors of the reference run's reference variant, and a latency is taken as the
ratio to its own run's reference in the same process, since milliseconds differ between jobs more than by most changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stabbench.claims.across_facts import Differences, same_weights, unmatched
from stabbench.claims.build import decide, evidence_of
from stabbench.claims.claim import Claim, Group, claim_id
from stabbench.claims.contrasts import measured, primary_entries, resolved
from stabbench.claims.derive import derive
from stabbench.claims.evidence import Contrast, Evidence
from stabbench.claims.gate import GateItem, entry_of, evaluate, item
from stabbench.claims.metrics import METRICS, Metric
from stabbench.claims.table import Table, compression_labels
from stabbench.records import DENSE, Row, canonical
from stabbench.suite.schema import CrossedSeeds, GateRule, Suite, Variant
from stabbench.suite.stored import seeds_of

THEN = "(reference run)/"
"""Before the reference run's variants in the common table; no variant's own name can hold a slash."""
LATENCY = "latency.process_p50"


@dataclass(frozen=True)
class RunRecord:
    """What of a run is needed to compare another with it.

    Attributes:
        name: the run folder's name.
        suite: the suite's name.
        reference: the reference variant.
        variants: variant → its settings, as resolved.
        seeds: labels of the seeds planned.
        rows: its measurements.
        facts: what they were made from (`execution.facts`); empty where not recorded.
    """

    name: str
    suite: str
    reference: str
    variants: Mapping[str, Any]
    seeds: tuple[str, ...]
    rows: tuple[Row, ...] = field(repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def trials(self, variant: str) -> Mapping[str, Any]:
        """Return seed → hashes of a variant's trials."""
        found: Mapping[str, Any] = self.facts.get("trials", {}).get(variant, {})
        return found


@dataclass(frozen=True)
class Across:
    """Two runs side by side.

    Attributes:
        then: the reference run.
        now: the candidate run.
        suite: the candidate run's suite, which declares claims, margins and level.
        differences: what forbids some claims.
    """

    then: RunRecord
    now: RunRecord
    suite: Suite
    differences: Differences

    @property
    def seeds(self) -> list[str]:
        """Seeds planned in both runs, in the candidate's order."""
        return [seed for seed in self.now.seeds if seed in self.then.seeds]

    @property
    def variants(self) -> list[str]:
        """Variants that both runs have, in the candidate's order."""
        return [variant for variant in self.suite.variants if variant in self.then.variants]

    def table(self) -> tuple[Table, Suite]:
        """Return the table of both runs, and the suite that it is read with."""
        compare = self.suite.compare.model_copy(update={"reference": THEN + self.then.reference})
        variants = {**self.suite.variants, **{THEN + name: Variant() for name in self.then.variants}}
        merged = self.suite.model_copy(
            update={"variants": variants, "seeds": _as_seeds(self.seeds), "compare": compare}
        )
        rows = [*_comparable(self.then, THEN, self.seeds[0]), *_comparable(self.now, "", self.seeds[0])]
        corruption = [row for row in derive(rows, {}, merged) if row.measurement.metric == "noise.mce"]
        return Table([*rows, *corruption], merged), merged

    def claims(self) -> list[Claim]:
        """Return every claim, primary ones first: each declared metric for each variant, then all that was measured."""
        table, merged = self.table()
        asked = list(self._contrasts(table, merged))
        found = [self._evidence(contrast, table) for contrast in asked]
        return [self._named(claim) for claim in decide(asked, found, self.suite.compare.level)]

    def gate(self, rules: Iterable[GateRule], unmatched_within: Mapping[str, str]) -> list[GateItem]:
        """Return the rules decided against the reference run, one item for each rule and variant.

        `at_most` and `at_least` need no other run and are decided on the candidate run alone; so they are about the
        same variants as within it.

        Args:
            rules: what must hold.
            unmatched_within: variant → why its trials do not match its own run's reference.
        """
        table, merged = self.table()
        items: list[GateItem] = []
        for rule in rules:
            if rule.test in ("at_most", "at_least"):
                items += evaluate([rule], self.now.rows, self.suite, unmatched_within)
                continue
            for variant in [rule.candidate] if rule.candidate else self.variants:
                group = (variant, rule.compression)
                contrast = resolved(table, merged, entry_of(rule), (_then(group), group))
                if _within_run_only(contrast, self.suite):
                    continue
                evidence = self._evidence(contrast, table)
                claim = claim_id(contrast.metric.name, contrast.at, group, group)
                place = f" ({group[1]})" if group[1] != DENSE else ""
                items.append(item(rule, contrast, evidence, claim, f"{variant}{place} vs run {self.then.name}"))
        return items

    def _contrasts(self, table: Table, merged: Suite) -> Iterator[Contrast]:
        found: dict[str, Contrast] = {}
        for contrast in (*self._primary(table, merged), *self._secondary(table, merged)):
            if not _within_run_only(contrast, self.suite):
                found.setdefault(contrast.id, contrast)
        yield from found.values()

    def _primary(self, table: Table, merged: Suite) -> Iterator[Contrast]:
        for entry in primary_entries(self.suite):
            names = self.variants if entry.candidate is None else [entry.candidate]
            for variant in [name for name in names if name in self.variants]:
                group = (variant, entry.compression)
                yield resolved(table, merged, entry, (_then(group), group))

    def _secondary(self, table: Table, merged: Suite) -> Iterator[Contrast]:
        for metric in METRICS.values():
            for variant in self.variants:
                for label in compression_labels(self.suite):
                    group = (variant, label)
                    if _was_measured(table, metric, _then(group)):
                        yield from measured(table, merged, metric, (_then(group), group))

    def _evidence(self, contrast: Contrast, table: Table) -> Evidence:
        """The evidence, with what the two runs' facts say about it."""
        variant = contrast.candidate[0]
        found = evidence_of(contrast, table)
        reason = self.differences.blocks(contrast.metric.name)
        if not reason and not _was_measured(table, contrast.metric, contrast.reference):
            reason = f"run {self.then.name} holds no {contrast.metric.name} of {'@'.join(contrast.candidate)}"
        if reason:
            return replace(found, blocked=("not comparable", reason))
        if contrast.metric.kind == "latency":
            return replace(found, notes=(*found.notes, "relative to each run's own reference, process by process"))
        trials = self.then.trials(variant), self.now.trials(variant)
        if same_weights(*trials, self.seeds) and _all_equal(contrast, table):
            # Nothing to estimate: what was compared is one and the same model, whatever few runs leave open.
            notes = (*found.notes, "the same weights in both runs, bit for bit")
            return replace(
                found, effect=0.0, p=1.0, interval=lambda level: (0.0, 0.0), undecidable="", blocked=None, notes=notes
            )
        streams = unmatched(*trials, self.seeds)
        if streams:
            told = ", ".join(f"{stream} of seed {' '.join(seeds)}" for stream, seeds in streams.items())
            return replace(found, notes=(*found.notes, f"unmatched: {told}; paired by seed all the same"))
        return found

    def _named(self, claim: Claim) -> Claim:
        """The claim under the names of the runs, and not of the common table."""
        reference = (claim.reference[0].removeprefix(THEN), claim.reference[1])
        own = claim_id(claim.metric, claim.at, claim.candidate, reference)
        return replace(claim, id=own, reference=reference, reference_run=self.then.name)


def _then(group: Group) -> Group:
    return THEN + group[0], group[1]


def _as_seeds(labels: Sequence[str]) -> Any:
    """Seeds as a typed suite holds them."""
    found = seeds_of(labels)
    return CrossedSeeds(**found) if isinstance(found, dict) else found


def _within_run_only(contrast: Contrast, suite: Suite) -> bool:
    """A latency is a ratio to the run's own reference, which for the reference itself is always 1."""
    return contrast.metric.kind == "latency" and contrast.candidate == (suite.compare.reference, DENSE)


def _was_measured(table: Table, metric: Metric, group: Group) -> bool:
    name = {"spread": "accuracy", "latency": LATENCY}.get(metric.kind, metric.name)
    return bool(table.places(name, group))


def _all_equal(contrast: Contrast, table: Table) -> bool:
    name = "accuracy" if contrast.metric.kind == "spread" else contrast.metric.name
    then, now = (table.values(name, contrast.at, group) for group in (contrast.reference, contrast.candidate))
    # NaN differs from itself, and an unknown is not equal to anything.
    return len(now) == len(table.seeds) and then == now


def _comparable(record: RunRecord, prefix: str, first_seed: str) -> Iterator[Row]:
    """The rows that mean the same in both runs, under the names of the common table."""
    base = {
        _place(row): row.measurement.value
        for row in record.rows
        if row.measurement.metric == LATENCY and (row.variant, row.compression) == (record.reference, DENSE)
    }
    for row in record.rows:
        measurement = row.measurement
        if measurement.metric == "noise.mce":
            continue
        if measurement.metric.startswith("latency."):
            # A panel times the models of one seed, whichever it was.
            row = replace(row, seed=first_seed)
        if measurement.metric == LATENCY:
            below = base.get(_place(row))
            if not below or measurement.value is None:
                continue
            measurement = replace(measurement, value=measurement.value / below, unit="ratio")
        yield replace(row, variant=prefix + row.variant, measurement=measurement)


def _place(row: Row) -> str:
    return canonical(dict(row.measurement.at))
