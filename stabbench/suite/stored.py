"""The suite that a run was made with, read back from the resolved form in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from stabbench.errors import StoreError
from stabbench.seeding import TrialSeeds
from stabbench.suite.schema import Suite


def stored_suite(resolved: Mapping[str, Any]) -> Suite:
    """Return the suite of `suite.resolved.yaml`, in which seeds are labels: ``3``, or ``3/1`` where crossed.

    Raises:
        StoreError: the content is no suite, as of a run that another version made.
    """
    content = {**resolved}
    seeds = content.get("seeds")
    if isinstance(seeds, Sequence) and not isinstance(seeds, str):
        content["seeds"] = seeds_of([str(label) for label in seeds])
    try:
        return Suite.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = f"the run's suite.resolved.yaml cannot be read ({place}: {first['msg']}); run its suite again"
        raise StoreError(message) from error


def seeds_of(labels: Sequence[str]) -> list[int] | dict[str, int]:
    """Return seeds as a suite gives them from their labels: a list, or the crossed grid that holds them all."""
    pairs = [TrialSeeds.parse(label) for label in labels]
    if all(pair.init == pair.order for pair in pairs):
        return [pair.init for pair in pairs]
    return {"init": 1 + max(pair.init for pair in pairs), "order": 1 + max(pair.order for pair in pairs)}
