"""Presets: published recipes as fragments of a variant, in ``presets/*.yaml``; a variant's own values lie over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stabbench.errors import Problem, unknown_name
from stabbench.suite.options import plugin_problems
from stabbench.suite.schema import Options, Suite, Variant
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath, plain_values

FOLDER = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class Preset:
    """A recipe.

    Attributes:
        name: the file's name.
        summary: first line of the comment that the file begins with.
        source: the rest of that comment: where it is from, and where it departs from there.
        train, stabilizers: as in a variant.
    """

    name: str
    summary: str
    source: str
    train: Mapping[str, Any]
    stabilizers: tuple[Mapping[str, Options], ...]


@cache
def presets() -> dict[str, Preset]:
    """Return every preset by name, sorted."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.yaml"))}


def _read(path: Path) -> Preset:
    text = path.read_text(encoding="utf-8")
    comment = [line.removeprefix("#").strip() for line in text.split("\n") if line.startswith("#")]
    content, _ = plain_values(text, path.name)
    return Preset(path.stem, comment[0], " ".join(comment[1:]), content["train"], tuple(content["stabilizers"]))


def expanded(variant: Variant) -> Variant:
    """Return the variant with its preset written out; one without a preset, or with an unknown one, as it is.

    A training option of the variant takes the place of the preset's; so do the options of a stabilizer that both name,
    one by one, at the preset's place in the order; others are added after the preset's.
    """
    preset = presets().get(variant.preset or "")
    if preset is None:
        return variant
    given: dict[str, Options] = {name: options for entry in variant.stabilizers for name, options in entry.items()}
    base = {name: options for entry in preset.stabilizers for name, options in entry.items()}
    merged = {name: {**options, **given.get(name, {})} for name, options in base.items()}
    added = [entry for entry in variant.stabilizers if not set(entry) <= set(base)]
    return Variant(
        checkpoint=variant.checkpoint,
        revision=variant.revision,
        classes=variant.classes,
        train={**_lengths(preset.train), **_lengths(variant.train)},
        stabilizers=[*({name: options} for name, options in merged.items()), *added],
    )


def _lengths(train: Mapping[str, Any]) -> Options:
    """Return the options; saying how long to train by epochs takes back steps that were said below."""
    return {"max_steps": None, **train} if "epochs" in train else dict(train)


def with_presets(suite: Suite) -> Suite:
    """Return the suite with every variant written out."""
    return suite.model_copy(update={"variants": {name: expanded(v) for name, v in suite.variants.items()}})


def preset_problems(variant: Variant, path: KeyPath, document: Document) -> Iterator[Problem]:
    """Yield an unknown preset, or one whose stabilizers are not there."""
    if variant.preset is None:
        return
    where: KeyPath = (*path, "preset")
    preset = presets().get(variant.preset)
    if preset is None:
        yield document.problem(where, unknown_name("preset", variant.preset, presets()))
        return
    for entry in preset.stabilizers:
        for name, options in entry.items():
            for problem in plugin_problems("stabilizers", name, options, where, document):
                message = f"preset '{preset.name}': {problem.message}"
                yield document.problem(where, message)
