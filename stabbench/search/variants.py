"""A loaded suite with other values in its variants: what `sweep` and `tune` hand to the ordinary run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stabbench.errors import ConfigurationError
from stabbench.search.ranges import with_values
from stabbench.suite.load import LoadedSuite, resolve
from stabbench.suite.schema import Compare, Data, Suite


def changed(loaded: LoadedSuite, values: Mapping[str, Mapping[str, Any]], **fields: Any) -> LoadedSuite:
    """Return the suite with option values by variant and key, and with other fields where given; warned about already.

    Args:
        loaded: the suite.
        values: variant → key → value; variants that are not named stay as they are.
        fields: further fields of the suite.

    Raises:
        ConfigurationError: nothing is trained in the suite.
    """
    suite = loaded.suite
    if suite.of_checkpoints:
        message = "the suite's variants are finished checkpoints; nothing is trained, so there is nothing to search"
        raise ConfigurationError([message])
    variants = {name: with_values(variant, values.get(name, {})) for name, variant in suite.variants.items()}
    other = suite.model_copy(update={"variants": variants, **fields})
    return replace(loaded, suite=other, resolved=resolve(other), warnings=())


def bare(suite: Suite) -> dict[str, Any]:
    """Return the fields that leave a suite its trainings and their accuracy: no other probe, no compression."""
    compare = Compare(
        reference=suite.compare.reference, primary=["accuracy", "train.failed"], level=suite.compare.level
    )
    fields: dict[str, Any] = {"probes": {"accuracy": {}}, "compressions": [], "compare": compare}
    # A gate rule may ask for what is not probed here.
    if rules := type(suite).model_fields.get("gate"):
        fields["gate"] = rules.get_default(call_default_factory=True)
    # Seeds that go on until a claim is decided: every value gets the fewest.
    fewest = getattr(suite.seeds, "min", None)
    return fields if fewest is None else {**fields, "seeds": fewest}


def on_validation(data: Data) -> Data:
    """Return the data with the validation split in the place of the test split, which is then not read."""
    return data.model_copy(update={"measure_on": "validation"})


def seeds_apart(labels: Sequence[str], count: int) -> list[int]:
    """Return `count` seeds that none of `labels` has: above all of them."""
    taken = [int(part) for label in labels for part in label.split("/")]
    first = max(taken, default=-1) + 1
    return list(range(first, first + count))
