"""Variants that are finished checkpoints: what such a suite may not say, since nothing is trained in it."""

from __future__ import annotations

from collections.abc import Iterator

from stabbench.errors import Problem
from stabbench.suite.schema import AdaptiveSeeds, CrossedSeeds, Suite
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath

READ = ("max_length", "threads")
"""Training options that a checkpoint is measured by: how long texts are cut, and with how many threads."""
CALLABLE = "callable:"
"""What a checkpoint's name begins with where it is a function in a running Python process, given to `audit`."""
SERVERS = "STABBENCH_CALLABLES"
"""Environment variable by which processes find such functions: JSON {name: [address, key in hex]}."""


def checkpoint_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    """Yield the mistakes in variants that are checkpoints, and a training that has nothing to train on."""
    finished = [name for name, variant in suite.variants.items() if variant.checkpoint is not None]
    for name in suite.variants:
        yield from _variant_problems(suite, name, document)
    if finished and len(finished) < len(suite.variants):
        trained = ", ".join(name for name in suite.variants if name not in finished)
        message = (
            f"{', '.join(finished)} is a finished checkpoint and {trained} is trained; their seeds cannot be paired: "
            "put them into two suites"
        )
        yield document.problem(("variants",), message)
    if suite.data.train is None and len(finished) < len(suite.variants):
        message = "missing, and a variant is trained: give a number of examples of `source`, or a file {path: …}"
        yield document.problem(("data", "train"), message)
    if suite.of_checkpoints:
        yield from _whole_problems(suite, document)


def _variant_problems(suite: Suite, name: str, document: Document) -> Iterator[Problem]:
    variant = suite.variants[name]
    path: KeyPath = ("variants", name)
    if variant.checkpoint is None:
        for key in ("revision", "classes"):
            if getattr(variant, key) is not None:
                yield document.problem((*path, key), f"'{key}' says something of a checkpoint, and there is none here")
        return
    if not variant.checkpoint.strip():
        yield document.problem((*path, "checkpoint"), "is empty; expected a folder or a hub id")
    if variant.preset is not None or variant.stabilizers:
        key = "preset" if variant.preset is not None else "stabilizers"
        yield document.problem((*path, key), f"a checkpoint is not trained; leave '{key}' out, or 'checkpoint'")
    for option in variant.train:
        if option not in READ:
            message = f"a checkpoint is not trained; of `train` it only reads {' and '.join(READ)}"
            yield document.problem((*path, "train", option), message)
    if variant.classes is not None and len(set(variant.classes)) < len(variant.classes):
        yield document.problem((*path, "classes"), "a label stands twice; each output has a label of its own")


def _whole_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    seeds = suite.seeds
    several = isinstance(seeds, CrossedSeeds | AdaptiveSeeds) or (len(seeds) if isinstance(seeds, list) else seeds) != 1
    if several:
        yield document.problem(("seeds",), "finished checkpoints have no seeds to repeat; set seeds: 1")
    if suite.gate:
        message = "gate rules are about training seeds, and checkpoints have none; read the claims in verdict.json"
        yield document.problem(("gate",), message)
    if suite.keep_weights != "all":
        message = "decides over trained weights, and nothing is trained here; leave it out"
        yield document.problem(("keep_weights",), message)
