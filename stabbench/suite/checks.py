"""What a well-formed suite can still get wrong: names, options, pairs that cannot work, claims nothing answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from pydantic import ValidationError

from stabbench import registry
from stabbench.errors import Problem, suggestion, unknown_name
from stabbench.suite.adaptive import adaptive_problems
from stabbench.suite.checkpoints import checkpoint_problems
from stabbench.suite.claims import compare_problems, compression_labels, names_in
from stabbench.suite.compressions import chain_problems, parse_stage, stages
from stabbench.suite.gate import gate_problems
from stabbench.suite.options import plugin_problems
from stabbench.suite.problems import problems_of, shown
from stabbench.suite.recipes import expanded, preset_problems
from stabbench.suite.refusals import option_problems, refused_problems, shared_problems
from stabbench.suite.schema import (
    BUILTIN_DATA,
    BUILTIN_MODELS,
    MOST_SEEDS,
    AdaptiveSeeds,
    CrossedSeeds,
    SeedsAtLook,
    Suite,
    TrainOptions,
)
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath


def suite_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    """Yield every mistake that needs more than one value, or a plug-in's card, to be seen."""
    for name in suite.variants:
        yield from _variant_problems(suite, name, document)
    for kind, given in (("probes", suite.probes), ("monitors", suite.monitors)):
        for name, options in given.items():
            yield from plugin_problems(kind, name, options, (kind, name), document)
    yield from shared_problems(suite, document)
    yield from _compression_problems(suite, document)
    yield from _seed_problems(suite, document)
    yield from checkpoint_problems(suite, document)
    yield from _source_problems(suite, document)
    yield from compare_problems(suite, document)
    yield from gate_problems(suite, document)


def suite_warnings(suite: Suite, document: Document) -> Iterator[Problem]:
    """Yield what is allowed but will disappoint."""
    if suite.of_checkpoints:
        return
    if len(seed_labels(suite)) == 1:
        yield document.problem(
            ["seeds"], "one seed: every claim about a level will be inconclusive; 6 or more seeds can decide something"
        )
    elif len(seed_labels(suite)) < 3:
        yield document.problem(["seeds"], "fewer than 3 seeds: claims about robustness will be 'not comparable'")
    if len(suite.variants) == 1 and not suite.compressions:
        yield document.problem(["variants"], "one variant: nothing is compared, only measured")
    for name, variant in suite.variants.items():
        train = _merged(suite, expanded(variant).train)
        if train is not None and train.optimizer == "schedule_free" and train.schedule != "constant":
            message = f"schedule_free takes the place of a falling rate; with '{train.schedule}' it falls twice"
            yield document.problem(["variants", name], f"{message}. Set schedule: constant")


def seed_labels(suite: Suite) -> list[str]:
    """Return the labels of the suite's seeds: ``0 … N-1``, the listed ones, or ``init/order`` crossed.

    Adaptive seeds are those of the look that the suite is as of, else as many as there may be.
    """
    if isinstance(suite.seeds, CrossedSeeds):
        pairs = [(init, order) for init in range(suite.seeds.init) for order in range(suite.seeds.order)]
        return [str(init) if init == order else f"{init}/{order}" for init, order in pairs]
    if isinstance(suite.seeds, AdaptiveSeeds):
        count = suite.seeds.count if isinstance(suite.seeds, SeedsAtLook) else suite.seeds.max
        return [str(seed) for seed in range(count)]
    return [str(seed) for seed in (range(suite.seeds) if isinstance(suite.seeds, int) else suite.seeds)]


def _variant_problems(suite: Suite, name: str, document: Document) -> Iterator[Problem]:
    variant = suite.variants[name]
    path: KeyPath = ("variants", name)
    if not name or any(char in name for char in "/@:,*\x00") or name != name.strip():
        yield document.problem(path, f"the variant's name {shown(name)} must not be empty nor hold any of / @ : , *")
    recipe = expanded(variant)
    yield from preset_problems(variant, path, document)
    yield from _train_problems(suite, recipe.train, (*path, "train"), document)
    for index, entry in enumerate(variant.stabilizers):
        where = (*path, "stabilizers", index)
        if len(entry) != 1:
            yield document.problem(
                where, "each item must have one key, the stabilizer's name: {warmup: {fraction: 0.1}}"
            )
        for stabilizer, options in entry.items():
            yield from plugin_problems("stabilizers", stabilizer, options, (*where, stabilizer), document)
            yield from _package_problems(stabilizer, (*where, stabilizer), document)
    names = [stabilizer for entry in recipe.stabilizers for stabilizer in entry]
    where = (*path, "stabilizers") if variant.stabilizers else path
    yield from _pair_problems(names, where, document)
    if (train := _merged(suite, recipe.train)) is not None:
        yield from option_problems(suite, train, (*path, "train"), document)
        yield from refused_problems(names, train, where, document)


def _train_problems(suite: Suite, overrides: Mapping[str, Any], path: KeyPath, document: Document) -> Iterator[Problem]:
    """Check a variant's overrides as what they override, placed where they stand."""
    try:
        TrainOptions.model_validate({**suite.train.model_dump(), **overrides})
    except ValidationError as error:
        yield from problems_of(error, document, path, schema_path=("train",))


def _package_problems(name: str, path: KeyPath, document: Document) -> Iterator[Problem]:
    """A package beside the core's that is not installed, with the command that installs it."""
    package = registry.card("stabilizers", name).traits["package"] if name in registry.names("stabilizers") else None
    if package is not None and find_spec(package) is None:
        yield document.problem(path, f"'{name}' needs the package '{package}': pip install stabbench[{package}]")


def _merged(suite: Suite, overrides: Mapping[str, Any]) -> TrainOptions | None:
    """Return a variant's training options, or None where they are wrong in themselves."""
    try:
        return TrainOptions.model_validate({**suite.train.model_dump(), **overrides})
    except ValidationError:
        return None


def _pair_problems(names: list[str], path: KeyPath, document: Document) -> Iterator[Problem]:
    """Two of the same, or two that own one exclusive hook, cannot work together."""
    known = [name for name in names if name in registry.names("stabilizers")]
    for name, count in Counter(known).items():
        if count > 1:
            yield document.problem(path, f"'{name}' stands {count} times; once is enough")
    owners: dict[str, list[str]] = {}
    for name in dict.fromkeys(known):
        for hook in registry.card("stabilizers", name).traits["exclusive"]:
            owners.setdefault(hook, []).append(name)
    for hook, those in owners.items():
        if len(those) > 1:
            yield document.problem(
                path, f"{' and '.join(those)} both own '{hook}', which only one stabilizer can; keep one"
            )


def _compression_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    for index, entry in enumerate(suite.compressions):
        if isinstance(entry, list) and not entry:
            yield document.problem(("compressions", index), "an empty chain; name at least one compressor")
        yield from _chain_problems(entry, index, document)
    for name, count in Counter(compression_labels(suite)).items():
        if count > 1:
            yield document.problem(("compressions",), f"'{name}' stands {count} times")
    if "compress_probes" not in document.content:
        return
    probes = names_in(document, "probes", suite.probes)
    for index, probe in enumerate(suite.compress_probes):
        path: KeyPath = ("compress_probes", index)
        if probe not in probes:
            yield document.problem(path, unknown_name("probe of this suite", probe, probes))
        elif probe in registry.names("probes") and registry.card("probes", probe).traits["applies"] == "dense":
            yield document.problem(path, f"'{probe}' measures uncompressed models only; leave it out here")


def _chain_problems(entry: str | list[str], index: int, document: Document) -> Iterator[Problem]:
    """Check each stage's name and options, and that it can follow those before it."""
    parts = stages(entry)
    places: list[KeyPath] = [("compressions", index)] * len(parts)
    if isinstance(entry, list) and len(entry) == len(parts):
        places = [("compressions", index, position) for position in range(len(parts))]
    known = True
    for text, place in zip(parts, places, strict=True):
        name, options = parse_stage(text)
        written = document.value(place)
        where = (*place, name) if isinstance(written, Mapping) else place
        found = list(plugin_problems("compression", name, options, where, document))
        known = known and not found
        yield from found
    if known:
        yield from (document.problem(places[position], why) for position, why in chain_problems(parts))


def _seed_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    seeds = suite.seeds
    if isinstance(seeds, list):
        if not seeds or min(seeds) < 0:
            yield document.problem(("seeds",), "the list must hold at least one seed, none below 0")
        for seed, count in Counter(seeds).items():
            if count > 1:
                yield document.problem(("seeds",), f"seed {seed} stands {count} times; each seed is one trial")
    elif isinstance(seeds, int) and seeds < 1:
        yield document.problem(("seeds",), f"{seeds} seeds; at least 1 is needed, 6 or more to decide something")
    elif isinstance(seeds, AdaptiveSeeds):
        yield from adaptive_problems(suite, seeds, document)
    total = _trials(seeds)
    if total > MOST_SEEDS:
        yield document.problem(("seeds",), f"{total} trials for each variant; at most {MOST_SEEDS} are allowed")


def _trials(seeds: int | list[int] | CrossedSeeds | AdaptiveSeeds) -> int:
    """Return how many trials a variant has at most; labels are not made, since the number may be absurd."""
    if isinstance(seeds, CrossedSeeds):
        return seeds.init * seeds.order
    if isinstance(seeds, AdaptiveSeeds):
        return seeds.max
    return len(seeds) if isinstance(seeds, list) else seeds


def _source_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    """Built-in models and data sets by name; a source must say where it comes from."""
    name, source = suite.model.name, suite.data.source
    if name.startswith("builtin:") and name not in BUILTIN_MODELS:
        yield document.problem(("model",), unknown_name("built-in model", name, BUILTIN_MODELS))
    if source is None:
        return
    if source.startswith("builtin:") and source not in BUILTIN_DATA:
        yield document.problem(("data", "source"), unknown_name("built-in data set", source, BUILTIN_DATA))
    elif not source.startswith(("builtin:", "hub:")):
        known = ", ".join(BUILTIN_DATA)
        message = f"expected hub:OWNER/NAME or one of {known}; found {shown(source)}.{suggestion(source, BUILTIN_DATA)}"
        yield document.problem(("data", "source"), message)
