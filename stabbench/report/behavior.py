"""Sections on texts that come from files: behavioural tests, replayed adversarial texts, swapped group terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stabbench.report.data import AttackExample, Cell, Section, Table
from stabbench.report.numbers import UNKNOWN, fixed
from stabbench.report.robustness import shown_seed, successful
from stabbench.report.sections import group_cell
from stabbench.report.source import Source
from stabbench.report.visible import Piece, visible, word_diff
from stabbench.statistics.proportions import wilson

SHOWN = 12
"""Failed cases that are shown, one of each test."""
SHOWN_PER_SOURCE = 3
At = Mapping[str, Any]


def fine_values(source: Source, metric: str, variant: str, at: At) -> dict[str, float]:
    """Return seed → value of a variant's runs that did not fail."""
    fine = set(successful(source, variant))
    return {seed: value for seed, value in source.by_seed(metric, variant, at=at).items() if seed in fine}


def interval_cell(source: Source, metric: str, variant: str, at: At) -> Cell:
    """Return the Wilson interval of a rate: of one run's k of n, or of the mean rate over runs at their mean n."""
    fine = set(successful(source, variant))
    rows = [r.measurement for r in source.find(metric, variant, at=at) if r.seed in fine and r.measurement.n_used]
    known = [(m.value, m.n_used) for m in rows if m.value is not None and m.n_used is not None]
    if not known:
        return Cell(UNKNOWN)
    n = round(sum(used for _, used in known) / len(known))
    found = wilson(round(n * sum(value for value, _ in known) / len(known)), n, 0.95)
    return Cell(f"{fixed(found.low, 2)} to {fixed(found.high, 2)}")


def places(source: Source, metric: str, *names: str) -> list[At]:
    """Return the coordinates of a metric that have exactly these names, in the order of the rows."""
    found = [dict(r.measurement.at) for r in source.rows if r.measurement.metric == metric]
    return [at for index, at in enumerate(found) if set(at) == set(names) and at not in found[:index]]


def behavior(source: Source) -> Section | None:
    """Return the section on behavioural tests: failure rates with their n, and failed cases."""
    metric = "behavior.failure_rate"
    if metric not in source.metrics():
        return None
    groups = [at for name in ("type", "capability") for at in places(source, metric, name)]
    summary = _rates(source, metric, "Behavioural tests, by type and capability", [{}, *groups])
    tests = _rates(source, metric, "Behavioural tests, one by one", places(source, metric, "test"))
    lead = (
        "MFT: a simple text has one right answer. INV: a change that does not matter must not change the answer. "
        "DIR: a change must not move a probability the wrong way. A case fails where one of its texts does."
    )
    seed = shown_seed(source)
    return Section("behavior", "Behavioural tests", lead, (), [summary, tests], _failures(source, seed) if seed else ())


def _rates(source: Source, metric: str, caption: str, rows_at: Sequence[At]) -> Table:
    head = ["cases", "n"]
    for variant in source.variants:
        head += [f"{variant} ({len(successful(source, variant))} runs)", "95 % over cases"]
    rows = []
    for at in rows_at:
        cells = [Cell(visible(str(next(iter(at.values()), "all"))), None, False), _count(source, metric, at)]
        for variant in source.variants:
            values = group_cell(fine_values(source, metric, variant, at))
            cells += [values, interval_cell(source, metric, variant, at)]
        rows.append(cells)
    note = (
        "Failure rate: mean ± SD over runs that did not fail. n: cases that apply to the model of those chosen; a "
        "model without a neutral class is not asked for neutral answers. 95 % over cases: Wilson interval, at the "
        "mean rate where there are several runs. A model that always gives one answer passes every INV test."
    )
    return Table(caption, head, rows, note)


def _count(source: Source, metric: str, at: At) -> Cell:
    rows = [r for variant in source.variants for r in source.find(metric, variant, at=at)]
    if not rows:
        return Cell(UNKNOWN)
    used = sorted({r.measurement.n_used or 0 for r in rows})
    span = str(used[0]) if len(used) == 1 else f"{used[0]}–{used[-1]}"
    return Cell(f"{span} of {rows[0].measurement.n_planned}", float(used[-1]))


def _failures(source: Source, seed: str) -> list[AttackExample]:
    """Return failed cases, the first of each test: those that all variants fail share one example."""
    cases: dict[str, dict[str, Mapping[str, Any]]] = {}
    for variant in source.variants:
        for row in source.lines("behavior", variant, seed):
            cases.setdefault(row["place"], {})[variant] = row
    shown: dict[str, AttackExample] = {}
    for arms in cases.values():
        first = next(iter(arms.values()))
        if first["test"] not in shown and len(shown) < SHOWN:
            shown[first["test"]] = _failure(source, arms, seed)
    return list(shown.values())


def _failure(source: Source, arms: Mapping[str, Mapping[str, Any]], seed: str) -> AttackExample:
    first = next(iter(arms.values()))
    kind = visible(f"{first['type']}, {first['test']}: {str(first['expect']).replace('_', ' ')} (seed {seed})")
    no_pieces: tuple[Piece, ...] = ()
    told = []
    for variant in source.variants:
        row = arms.get(variant)
        if row is None:
            told.append((variant, "passed", "", no_pieces))
        else:
            same = row["text"] == row["original"]
            pieces = no_pieces if same else word_diff(row["original"], row["text"])
            told.append((variant, "failed", _answers(source, row), pieces))
    label = {0: "negative", 1: "neutral", 2: "positive", None: "not needed"}.get(first["label"], first["label"])
    return AttackExample(visible(first["original"]), kind, visible(str(label)), told)


def _answers(source: Source, row: Mapping[str, Any]) -> str:
    """Return the answers to the original and the changed text; one where they are one text."""
    classes = source.classes()
    answers = [
        f"{_class_name(index, classes)} {_probability(probabilities, index)}".strip()
        for index, probabilities in zip(row["predicted"], row["probabilities"], strict=True)
    ]
    return answers[0] if row["text"] == row["original"] else " → ".join(answers)


def _class_name(index: Any, classes: Sequence[str]) -> str:
    """Return the name of an answer; −1 is none."""
    return visible(classes[index]) if isinstance(index, int) and 0 <= index < len(classes) else "no answer"


def _probability(probabilities: Sequence[Any], index: int) -> str:
    return fixed(float(probabilities[index]), 2) if 0 <= index < len(probabilities) else ""


def replay(source: Source) -> Section | None:
    """Return the section on replayed adversarial texts: rates per source, and texts that misled."""
    if "replay.accuracy" not in source.metrics():
        return None
    told = (
        ("replay.clean_accuracy", "on originals"),
        ("replay.accuracy", "on adversarial texts"),
        ("replay.success_rate", "success rate"),
    )
    rows = []
    for at in [{}, *places(source, "replay.accuracy", "source")]:
        for variant in source.variants:
            name = visible(f"{at.get('source', 'all')}: {variant}")
            cells = [Cell(name, None, False), _count_of(source, "replay.accuracy", variant, at)]
            cells += [group_cell(fine_values(source, metric, variant, at)) for metric, _ in told]
            cells += [interval_cell(source, "replay.success_rate", variant, at)]
            cells += [_count_of(source, "replay.success_rate", variant, at)]
            rows.append([*cells, group_cell(fine_values(source, "replay.transfer_rate", variant, at))])
    head = [
        "source: variant",
        "texts",
        *(name for _, name in told),
        "95 % over texts",
        "n of it",
        "of those that misled",
    ]
    note = (
        "Runs that did not fail. Success rate: of the texts whose original this model got right, the share whose "
        "changed text it got wrong, with the Wilson interval and its n. Of those that misled: the same among texts "
        "that misled the model they were made against. Such texts rarely mislead another model: this is no "
        "attack on this one."
    )
    seed = shown_seed(source)
    return Section(
        "replay",
        "Replayed adversarial texts",
        "Texts that were made against another model, put to every model here beside their originals.",
        (),
        [Table("Replayed adversarial texts", head, rows, note)],
        _misled(source, seed) if seed else (),
    )


def _count_of(source: Source, metric: str, variant: str, at: At) -> Cell:
    """Return the n of a rate: a range where runs differ in it."""
    fine = set(successful(source, variant))
    used = sorted({r.measurement.n_used or 0 for r in source.find(metric, variant, at=at) if r.seed in fine})
    if not used:
        return Cell(UNKNOWN)
    return Cell(str(used[0]) if len(used) == 1 else f"{used[0]}–{used[-1]}", float(used[-1]))


def _misled(source: Source, seed: str) -> list[AttackExample]:
    texts: dict[tuple[str, int], dict[str, Mapping[str, Any]]] = {}
    for variant in source.variants:
        for row in source.lines("replay", variant, seed):
            texts.setdefault((row["source"], row["line"]), {})[variant] = row
    shown: dict[str, list[AttackExample]] = {}
    classes = source.classes()
    for (name, line), arms in texts.items():
        mine = shown.setdefault(name, [])
        if len(mine) < SHOWN_PER_SOURCE:
            first = next(iter(arms.values()))
            told = [
                (v, "misled", _answers(source, row), word_diff(row["original"], row["text"])) for v, row in arms.items()
            ]
            group = visible(f"{name}, line {line} (seed {seed})")
            mine.append(AttackExample(visible(first["original"]), group, _class_name(first["label"], classes), told))
    return [example for group in shown.values() for example in group]


def swaps(source: Source) -> Section | None:
    """Return the section on swapped names and group terms: gaps per category, and the groups behind them."""
    if "swaps.probability_gap" not in source.metrics():
        return None
    gaps = (
        ("swaps.probability_gap", "probability gap"),
        ("swaps.chance_gap", "gap by chance"),
        ("swaps.accuracy_gap", "accuracy gap"),
        ("swaps.flip_rate", "answers flipped"),
        ("swaps.flip_gap", "flip gap"),
    )
    means = (
        ("swaps.probability", "probability"),
        ("swaps.accuracy", "accuracy"),
        ("swaps.flip_rate", "answers flipped"),
    )
    gap_note = (
        "Runs that did not fail; n is the number of texts. Probability: mean of the positive classes. Gap: largest "
        "minus smallest group. Gap by chance: mean gap of 200 random regroupings of the terms; unknown where every "
        "group has one term. Flipped: answers that differ from the commonest one of their sentence."
    )
    group_note = (
        "Short lists of our own: they cover few groups, and a small gap here does not show that a model is fair."
    )
    tables = [
        _of_terms(source, "Gaps between groups", places(source, "swaps.probability_gap", "category"), gaps, gap_note),
        _of_terms(source, "By group", places(source, "swaps.probability", "category", "group"), means, group_note),
    ]
    lead = "The same sentences with names, places, nationalities, religions and gender terms of different groups."
    return Section("swaps", "Swapped names and group terms", lead, (), tables)


def _of_terms(
    source: Source, caption: str, rows_at: Sequence[At], metrics: Sequence[tuple[str, str]], note: str
) -> Table:
    rows = []
    for at in rows_at:
        for variant in source.variants:
            cells = [Cell(visible(f"{', '.join(map(str, at.values()))}: {variant}"), None, False)]
            cells += [_count_of(source, metrics[0][0], variant, at)]
            rows.append([*cells, *(group_cell(fine_values(source, metric, variant, at)) for metric, _ in metrics)])
    return Table(caption, ["terms: variant", "n", *(name for _, name in metrics)], rows, note)
