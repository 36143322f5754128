"""Which assets a suite needs, and fetching them all."""

from __future__ import annotations

from pathlib import Path

from stabbench import registry
from stabbench.assets.fetch import fetch, path_if_cached
from stabbench.errors import ConfigurationError, unknown_name
from stabbench.suite.fingerprint import uses_files
from stabbench.suite.schema import BUILTIN_DATA, BUILTIN_MODELS, TINY, Suite

CONSTRAINT_ASSETS = ("builtin:glove-50d", "builtin:minilm-l6")
"""What lax and strict constraints of attacks measure similarity with."""


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
    return list(dict.fromkeys([*named, *_read_by_attacks(suite)]))


def fetch_all(suite: Suite, *, offline: bool = False) -> dict[str, Path]:
    """Fetch what a suite needs and return name → folder.

    Raises:
        AssetError: something cannot be had.
    """
    return {name: fetch(name, offline=offline) for name in needed(suite)}


def fetch_for_audit(*, offline: bool = False) -> dict[str, Path]:
    """Fetch what an audit at its defaults needs, and return name → folder: what the offline attacks read.

    Raises:
        AssetError: something cannot be had.
    """
    cards = [registry.card("attacks", name) for name in registry.names("attacks")]
    read = [asset for card in cards if card.traits["tier"] == "offline" for asset in card.traits.get("assets", ())]
    return {name: fetch(name, offline=offline) for name in dict.fromkeys(read)}


def missing(suite: Suite) -> list[str]:
    """Return what a suite needs and the cache does not have."""
    return [name for name in needed(suite) if path_if_cached(name) is None]


def _read_by_attacks(suite: Suite) -> list[str]:
    """Return the assets that the suite's attacks read: word vectors, a sentence encoder."""
    assets: list[str] = []
    for probe in ("attack", "transfer"):
        if probe in suite.probes:
            options = {**registry.card("probes", probe).defaults(), **suite.probes[probe]}
            traits = [registry.card("attacks", name).traits for name in options["recipes"]]
            assets += [asset for trait in traits for asset in trait["assets"]]
            constrained = set(options.get("constraints", ())) - {"recipe"}
            if constrained and any(trait["swaps_words"] for trait in traits):
                assets += CONSTRAINT_ASSETS
    return assets


def _builtin(name: str) -> bool:
    return name.startswith("builtin:")
