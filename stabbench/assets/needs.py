"""Which assets a suite needs, and fetching them all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stabbench import registry
from stabbench.assets.fetch import fetch, path_if_cached
from stabbench.errors import ConfigurationError, unknown_name
from stabbench.suite.fingerprint import uses_files
from stabbench.suite.schema import BUILTIN_DATA, BUILTIN_MODELS, TINY, Suite


def needed(suite: Suite) -> list[str]:
    """Return the names of the built-in assets that a suite reads.

    Raises:
        ConfigurationError: a ``builtin:`` name does not exist, or is not a model or a data set.
    """
    asked = [("built-in model", suite.model.name, BUILTIN_MODELS)]
    if suite.data.source is not None and not uses_files(suite.data):
        asked.append(("built-in data set", suite.data.source, BUILTIN_DATA))
    wrong = [unknown_name(what, name, known) for what, name, known in asked if _builtin(name) and name not in known]
    if wrong:
        raise ConfigurationError(wrong)
    named = [name for _, name, _ in asked if _builtin(name) and name != TINY]
    return list(dict.fromkeys([*named, *recipe_assets(_recipes(suite))]))


def _recipes(suite: Suite) -> list[str]:
    """Return the attacks of a suite; those that are not installed here need nothing that could be fetched."""
    if "attack" not in suite.probes:
        return []
    given = suite.probes["attack"].get("recipes", registry.card("probes", "attack").defaults()["recipes"])
    return [name for name in given if name in registry.names("attacks")]


def recipe_assets(recipes: Iterable[str]) -> list[str]:
    """Return the assets that attacks declare (their trait ``assets``), each once."""
    found = [asset for name in recipes for asset in registry.card("attacks", name).traits.get("assets", ())]
    return list(dict.fromkeys(found))


def fetch_for_audit(*, offline: bool = False) -> dict[str, Path]:
    """Fetch what an audit at its defaults needs, and return name → folder: what the offline attacks declare.

    Raises:
        AssetError: something cannot be had.
    """
    names = registry.names("attacks")
    recipes = [name for name in names if registry.card("attacks", name).traits["tier"] == "offline"]
    return {name: fetch(name, offline=offline) for name in recipe_assets(recipes)}


def fetch_all(suite: Suite, *, offline: bool = False) -> dict[str, Path]:
    """Fetch what a suite needs and return name → folder.

    Raises:
        AssetError: something cannot be had.
    """
    return {name: fetch(name, offline=offline) for name in needed(suite)}


def missing(suite: Suite) -> list[str]:
    """Return what a suite needs and the cache does not have."""
    return [name for name in needed(suite) if path_if_cached(name) is None]


def _builtin(name: str) -> bool:
    return name.startswith("builtin:")
