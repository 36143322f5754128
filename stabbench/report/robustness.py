"""Sections on noise and attacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from stabbench.records import canonical
from stabbench.report.attack_panels import survivors, transfers
from stabbench.report.data import AttackExample, Cell, Section, Table
from stabbench.report.figures.noise import noise_curves
from stabbench.report.numbers import fixed
from stabbench.report.sections import group_cell
from stabbench.report.source import Source
from stabbench.report.visible import visible, word_diff

SHOWN_PER_GROUP = 4


def successful(source: Source, variant: str) -> list[str]:
    """Return the seeds of a variant's runs that did not fail."""
    failed = set(source.failed(variant))
    return [seed for seed in source.seeds if seed not in failed]


def noise(source: Source) -> Section | None:
    """Return the section on noise: curves per kind, and the summary numbers."""
    places = list(
        dict.fromkeys(
            (r.measurement.at["kind"], r.measurement.at["severity"])
            for r in source.rows
            if r.measurement.metric == "noise.accuracy" and "kind" in r.measurement.at
        )
    )
    if not places:
        return None
    kinds = list(dict.fromkeys(str(kind) for kind, _ in places))
    severities = sorted({int(severity) for _, severity in places})
    curves = {
        kind: {v: c for v in source.variants if (c := _curve(source, v, kind, severities)) is not None}
        for kind in kinds
    }
    drawn = {kind: variants for kind, variants in curves.items() if variants}
    metrics: tuple[tuple[str, str], ...] = (
        ("noise.accuracy", "accuracy under noise"),
        ("noise.flip_rate", "answers flipped"),
        ("noise.worst_case", "right under all"),
        ("noise.mce", "mCE"),
    )
    if source.of_checkpoints:
        metrics = metrics[:-1]
    rows = []
    for variant in source.variants:
        fine = set(successful(source, variant))
        values = [{s: x for s, x in source.by_seed(metric, variant).items() if s in fine} for metric, _ in metrics]
        name = source.name_of(variant) if source.of_checkpoints else f"{variant} ({len(fine)} runs)"
        lost = [_relative_drop(source, variant, curves)] if source.of_checkpoints else []
        rows.append([Cell(name, None, False), *(group_cell(found) for found in values), *lost])
    no_op = [r.measurement.value or 0.0 for r in source.rows if r.measurement.metric == "noise.no_op_share"]
    against = (
        "Relative drop: 1 − accuracy under noise / accuracy on the same texts without. "
        if source.of_checkpoints
        else "mCE: error against the matched reference of the same seed, 1 for the reference. "
    )
    note = (
        ("" if source.of_checkpoints else "Runs that did not fail. ")
        + "Right under all: share of examples right on the clean text and "
        + f"under every kind and severity. {against}{np.mean(no_op):.1%} of noisy texts reached the model unchanged."
    )
    head = ["variant", *(name for _, name in metrics), *(["relative drop"] if source.of_checkpoints else [])]
    drawings = [noise_curves([0, *severities], drawn)] if drawn else []
    table = Table("Noise, over all kinds and severities", head, rows, note)
    lead = "The same noisy texts are put to every model; a higher severity changes what a lower one changes, and more."
    return Section("noise", "Noise", lead, drawings, [table])


def _relative_drop(source: Source, variant: str, curves: Mapping[str, Mapping[str, np.ndarray]]) -> Cell:
    """Return 1 − accuracy under noise / clean accuracy of the same texts; unknown where that is 0."""
    clean = next((float(found[variant][0, 0]) for found in curves.values() if variant in found), 0.0)
    noisy = next(iter(source.by_seed("noise.accuracy", variant).values()), None)
    drop = 1 - noisy / clean if noisy is not None and clean > 0 else None
    return Cell(fixed(drop, 3), drop)


def _curve(source: Source, variant: str, kind: str, severities: list[int]) -> np.ndarray | None:
    """Return (S, 1 + severities) accuracies of the runs that did not fail, clean accuracy first."""
    curves = []
    for seed in successful(source, variant):
        stored = source.run.cell(f"noise/{variant}/{seed}/dense")
        if stored is None:
            continue
        with np.load(stored.folder / "noise.npz") as arrays:
            at = [str(name) for name in arrays["kinds"]].index(kind)
            order = [[int(s) for s in arrays["severities"]].index(severity) for severity in severities]
            clean = float((arrays["clean"] == arrays["label"]).mean())
            noisy = (arrays["predicted"][at] == arrays["label"]).mean(axis=-1)
            curves.append([clean, *(float(noisy[index]) for index in order)])
    return np.array(curves) if curves else None


def attacks(source: Source) -> Section | None:
    """Return the section on attacks: rates per recipe, and examples as word diffs."""
    told = ("attack.accuracy_under_attack", "attack.words_left")
    found = [r for r in source.rows if r.measurement.metric in told]
    if not found:
        return None
    places = list(dict.fromkeys(canonical(dict(row.measurement.at)) for row in found))
    metrics: tuple[tuple[str, str], ...] = (
        ("attack.clean_accuracy", "clean accuracy"),
        ("attack.accuracy_under_attack", "under attack"),
        ("attack.success_rate", "success rate"),
        ("attack.words_changed", "words changed"),
        ("attack.words_left", "words left"),
        ("attack.queries", "queries"),
        ("attack.model_rows", "model rows"),
    )
    measured = {row.measurement.metric for row in source.rows}
    metrics = tuple((name, label) for name, label in metrics if name != told[1] or name in measured)
    rows = []
    known = {canonical(dict(row.measurement.at)) for row in found if row.measurement.status != "skipped"}
    for place in sorted(places, key=lambda place: _order(json.loads(place))):
        at = json.loads(place)
        for variant in source.variants if place in known else ():
            fine = set(successful(source, variant))
            values = [{s: x for s, x in source.by_seed(m, variant, at=at).items() if s in fine} for m, _ in metrics]
            label = f"{_label(at)}: {source.name_of(variant)}"
            rows.append([Cell(label, None, False), *(group_cell(v) for v in values)])
    examples = found[0].measurement.n_planned
    note = (
        f"{'' if source.of_checkpoints else 'Runs that did not fail, '}{examples} examples each. Success rate: of the "
        "examples the model got right, the share it was led astray on. "
        "Skipped examples are those it got wrong anyway. A model that always answers one class "
        "cannot be attacked: read this beside the commonest answer above. Lax and strict: the same recipe with a "
        "cosine of at least 0.7 or 0.9 between swapped words and between whole texts."
    )
    table = Table("Attacks", ["recipe: variant", *(name for _, name in metrics)], rows, note)
    seed = shown_seed(source)
    fine_seeds = {variant: successful(source, variant) for variant in source.variants}
    worst = survivors(source, fine_seeds)
    tables = [table, *([worst] if worst else []), *transfers(source)]
    lead = (
        "The attack searches for a small change that makes a right answer wrong; the same examples "
        "are put to every model."
    )
    shown = _examples(source, seed) if seed else ()
    return Section("attacks", "Attacks", lead, (), tables, shown, _notes(source))


def _order(at: Mapping[str, Any]) -> tuple[str, int]:
    """Recipes by name; under each its own constraints, then lax, then strict ones."""
    return str(at["recipe"]), ("recipe", "lax", "strict").index(at.get("constraints", "recipe"))


def _label(at: Mapping[str, Any]) -> str:
    return f"{at['recipe']}, {at['constraints']}" if "constraints" in at else str(at["recipe"])


def _notes(source: Source) -> list[str]:
    """Return what was skipped and why, and where the encoder of an attack knows the victim too well."""
    told: dict[str, None] = {}
    for variant in source.variants:
        for seed in source.seeds:
            for recipe, facts in source.recipes(variant, seed).items():
                if facts["skipped"]:
                    told[f"Skipped: {visible(facts['skipped'], 600)}."] = None
                encoder = facts["constraint_encoder"]
                if encoder and encoder["is_victims_start"]:
                    told[
                        f"{recipe}: the encoder that decides which texts are similar enough, {visible(encoder['name'])}"
                        ", is what the victim was fine-tuned from; it shares the victim's blind spots."
                    ] = None
    return list(told)


def shown_seed(source: Source) -> str | None:
    """Return the first seed at which no variant failed."""
    fine = [set(successful(source, variant)) for variant in source.variants]
    return next((seed for seed in source.seeds if all(seed in found for found in fine)), None)


def _examples(source: Source, seed: str) -> list[AttackExample]:
    rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for variant in source.variants:
        for row in source.attacks(variant, seed):
            rows.setdefault((row["recipe"], row["example"]), {})[variant] = row
    shown: dict[str, list[AttackExample]] = {}
    for arms in rows.values():
        hit = [v for v in source.variants if _misled(arms.get(v))]
        if hit:
            group = "all models" if len(hit) == len(source.variants) > 1 else f"only {', '.join(hit)}"
            place = "" if source.of_checkpoints else f" (seed {seed})"
            shown.setdefault(group, []).append(_example(source, arms, f"misled: {group}{place}"))
    return [example for group in shown.values() for example in group[:SHOWN_PER_GROUP]]


def _misled(row: Mapping[str, Any] | None) -> bool:
    """Whether the attack changed the answer; input reduction never does."""
    if row is None:
        return False
    return bool(row["outcome"] == "success" and row["adversarial_prediction"] != row["clean_prediction"])


def _example(source: Source, arms: Mapping[str, dict[str, Any]], group: str) -> AttackExample:
    classes = source.classes()
    first = next(iter(arms.values()))
    told = []
    for variant, row in arms.items():
        diff = word_diff(row["text"], row["adversarial_text"]) if row["outcome"] == "success" else ()
        told.append((variant, str(row["outcome"]), _predictions(row, classes), diff))
    return AttackExample(visible(_text(first["text"])), group, _class(first["label"], classes), told)


def _text(text: Any) -> str:
    return " | ".join(text) if isinstance(text, list) else str(text)


def _predictions(row: Mapping[str, Any], classes: list[str]) -> str:
    before = (
        f"{_class(row['clean_prediction'], classes)} {_confidence(row['clean_probabilities'], row['clean_prediction'])}"
    )
    if row["outcome"] != "success":
        return before
    after = _confidence(row["adversarial_probabilities"], row["adversarial_prediction"])
    return (
        f"{before} → {_class(row['adversarial_prediction'], classes)} {after}, "
        f"{row['words_changed']} of {row['words']} words"
    )


def _class(index: Any, classes: list[str]) -> str:
    return visible(classes[index]) if isinstance(index, int) and 0 <= index < len(classes) else str(index)


def _confidence(probabilities: Any, index: Any) -> str:
    if not probabilities or not isinstance(index, int) or index < 0:
        return ""
    return fixed(float(probabilities[index]), 2)
