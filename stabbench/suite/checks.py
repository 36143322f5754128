"""What a well-formed suite can still get wrong: names, options, pairs that cannot work, claims nothing answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from stabbench import registry
from stabbench.errors import Problem, unknown_name
from stabbench.suite.metrics import made_by
from stabbench.suite.options import plugin_problems
from stabbench.suite.problems import known_keys, shown
from stabbench.suite.schema import CrossedSeeds, PrimaryClaim, Suite, TrainOptions
from stabbench.suite.yaml_file import Document, KeyPath


def suite_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    """Yield every mistake that needs more than one value, or a plug-in's card, to be seen."""
    for name in suite.variants:
        yield from _variant_problems(suite, name, document)
    for kind, given in (("probes", suite.probes), ("monitors", suite.monitors)):
        for name, options in given.items():
            yield from plugin_problems(kind, name, options, (kind, name), document)
    yield from _compression_problems(suite, document)
    yield from _seed_problems(suite, document)
    yield from _compare_problems(suite, document)


def suite_warnings(suite: Suite, document: Document) -> Iterator[Problem]:
    """Yield what is allowed but will disappoint."""
    if len(seed_labels(suite)) == 1:
        yield document.problem(
            ["seeds"], "one seed: every claim about a level will be inconclusive; 6 or more seeds can decide something"
        )
    elif len(seed_labels(suite)) < 3:
        yield document.problem(["seeds"], "fewer than 3 seeds: claims about robustness will be 'not comparable'")
    if len(suite.variants) == 1:
        yield document.problem(["variants"], "one variant: nothing is compared, only measured")


def seed_labels(suite: Suite) -> list[str]:
    """Return the labels of the suite's seeds: ``0 … N-1``, the listed ones, or ``init/order`` crossed."""
    if isinstance(suite.seeds, CrossedSeeds):
        pairs = [(init, order) for init in range(suite.seeds.init) for order in range(suite.seeds.order)]
        return [str(init) if init == order else f"{init}/{order}" for init, order in pairs]
    return [str(seed) for seed in (range(suite.seeds) if isinstance(suite.seeds, int) else suite.seeds)]


def _variant_problems(suite: Suite, name: str, document: Document) -> Iterator[Problem]:
    variant = suite.variants[name]
    path: KeyPath = ("variants", name)
    if not name or any(char in name for char in "/@:,*\x00") or name != name.strip():
        yield document.problem(path, f"the variant's name {shown(name)} must not be empty nor hold any of / @ : , *")
    yield from _train_problems(suite, variant.train, (*path, "train"), document)
    names: list[str] = []
    for index, entry in enumerate(variant.stabilizers):
        where = (*path, "stabilizers", index)
        if len(entry) != 1:
            yield document.problem(
                where, "each item must have one key, the stabilizer's name: {warmup: {fraction: 0.1}}"
            )
        for stabilizer, options in entry.items():
            names.append(stabilizer)
            yield from plugin_problems("stabilizers", stabilizer, options, (*where, stabilizer), document)
    yield from _pair_problems(names, (*path, "stabilizers"), document)


def _train_problems(suite: Suite, overrides: Mapping[str, Any], path: KeyPath, document: Document) -> Iterator[Problem]:
    try:
        TrainOptions.model_validate({**suite.train.model_dump(), **overrides})
    except ValidationError as error:
        for item in error.errors(include_url=False):
            where = (*path, *item["loc"])
            if item["type"] == "extra_forbidden":
                yield document.problem(where, unknown_name("key", item["loc"][0], known_keys(("train",))))
            else:
                message = str(item["msg"])
                yield document.problem(where, f"{message[0].lower()}{message[1:]}; found {shown(item['input'])}")


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
        for stage in [entry] if isinstance(entry, str) else entry:
            yield from plugin_problems("compression", stage, {}, ("compressions", index), document)
    chains = [entry if isinstance(entry, str) else "+".join(entry) for entry in suite.compressions]
    for name, count in Counter(chains).items():
        if count > 1:
            yield document.problem(("compressions",), f"'{name}' stands {count} times")
    for index, probe in enumerate(suite.compress_probes):
        if probe not in suite.probes and "compress_probes" in document.content:
            yield document.problem(("compress_probes", index), unknown_name("probe of this suite", probe, suite.probes))


def _seed_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    if isinstance(suite.seeds, int) and suite.seeds < 1:
        yield document.problem(("seeds",), f"{suite.seeds} seeds; at least 1 is needed, 6 or more to decide something")
    if isinstance(suite.seeds, list):
        if not suite.seeds or min(suite.seeds) < 0:
            yield document.problem(("seeds",), "the list must hold at least one seed, none below 0")
        for seed, count in Counter(suite.seeds).items():
            if count > 1:
                yield document.problem(("seeds",), f"seed {seed} stands {count} times; each seed is one trial")


def _compare_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    compare = suite.compare
    if compare.reference not in suite.variants:
        yield document.problem(("compare", "reference"), unknown_name("variant", compare.reference, suite.variants))
    metrics = made_by(suite.probes)
    for index, entry in enumerate(compare.primary or ()):
        claim = entry if isinstance(entry, PrimaryClaim) else PrimaryClaim(metric=entry)
        path: KeyPath = ("compare", "primary", index)
        if claim.metric not in metrics:
            yield document.problem(path, unknown_name("metric of this suite's probes", claim.metric, metrics))
        if claim.candidate is not None and claim.candidate not in suite.variants:
            yield document.problem((*path, "candidate"), unknown_name("variant", claim.candidate, suite.variants))
        labels = ["dense", *(entry if isinstance(entry, str) else "+".join(entry) for entry in suite.compressions)]
        if claim.compression not in labels:
            yield document.problem(
                (*path, "compression"), unknown_name("compression of this suite", claim.compression, labels)
            )
    for metric, margin in compare.margins.items():
        if metric not in metrics:
            yield document.problem(
                ("compare", "margins", metric), unknown_name("metric of this suite's probes", metric, metrics)
            )
        elif margin < 0:
            yield document.problem(("compare", "margins", metric), f"a margin must be at least 0; found {margin}")
