"""Makes the committed card file ``stabbench/cards.json``: ``python -m stabbench.planning.cards`` (``make cards``).

The cards let the light commands work without torch. They also guard the store: where a plug-in's code, or the training
code, has changed since its card was made, its version must have been raised, or old results would be served as new
ones. A change that leaves every result as it was is accepted with ``--same-results``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from stabbench import registry
from stabbench.planning.versions import ENGINE, engine_source
from stabbench.records import finite


def make() -> dict[str, Any]:
    """Return the content of the card file, made from the code as it is."""
    kinds = {kind: {name: _plain(kind, name) for name in registry.shipped(kind)} for kind in registry.KINDS}
    return {"engine": {"version": ENGINE, "source": engine_source()}, **kinds}


def _plain(kind: str, name: str) -> dict[str, Any]:
    card: dict[str, Any] = finite({k: v for k, v in vars(registry.make_card(kind, name)).items() if k != "name"})
    return card


def undeclared(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what changed its code without raising its version."""
    changed = []
    for kind in registry.KINDS:
        for name, card in new[kind].items():
            before = old.get(kind, {}).get(name, card)
            if before["source"] != card["source"] and before["version"] == card["version"]:
                changed.append(f"{kind}/{name}")
    engine = old.get("engine", new["engine"])
    if engine["source"] != new["engine"]["source"] and engine["version"] == new["engine"]["version"]:
        changed.append("engine")
    return changed


def text(content: Mapping[str, Any]) -> str:
    """Return the file's text."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the card file; refuse where a change was not declared."""
    new = make()
    changed = undeclared(registry.card_file(), new)
    if changed and "--same-results" not in sys.argv[1:]:
        print(
            f"changed without a new version: {', '.join(changed)}. Raise `version` of the class (engine: ENGINE in "
            "planning/versions.py), or say --same-results where every result stays as it was.",
            file=sys.stderr,
        )
        return 1
    registry.CARDS.write_text(text(new), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
