"""What an attack is: a search for a small change of a text that changes the model's answer."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from stabbench.attacks.engine import resources
from stabbench.registry import Plugin

Tier = Literal["offline", "system", "full"]
Goal = Literal["change", "keep"]
Preset = Literal["recipe", "lax", "strict"]
"""Constraints of a search: the recipe's own, or beside them one of `stabbench.attacks.engine.constraints`."""


class Attack(Plugin):
    """A recipe of textattack, or one built of its parts.

    An attack only searches. Whether it succeeded is judged by `stabbench.attacks.engine.run`, from the model's answers
    to the clean and the found text. A recipe with a substituted part has another name (``textfooler-offline``).

    Attributes:
        tier: what it needs: ``offline`` Python packages alone, ``system`` WordNet beside them, ``full`` a model hub and
            downloads.
        goal: what it searches for: ``change`` a small change of the text that changes the answer; ``keep`` the fewest
            words that keep it.
        recipe: the class of ``textattack.attack_recipes`` that it is, or does in another way; empty for none.
        needs: what it needs beside Python packages, by name in `stabbench.attacks.engine.resources`.
        assets: built-in assets it reads; a run fetches them.
        swaps_words: whether it puts words for words, so that the constraints ``lax`` and ``strict`` mean something.
        encoder: whether a sentence encoder of ours decides which texts are similar enough.
    """

    tier: ClassVar[Tier] = "offline"
    goal: ClassVar[Goal] = "change"
    recipe: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    assets: ClassVar[tuple[str, ...]] = ()
    swaps_words: ClassVar[bool] = False
    encoder: ClassVar[bool] = False

    @classmethod
    def traits(cls) -> dict[str, Any]:
        """Return what it needs and what it searches for."""
        return {
            "tier": cls.tier, "goal": cls.goal, "recipe": cls.recipe, "needs": list(cls.needs),
            "assets": list(cls.assets), "swaps_words": cls.swaps_words,
        }  # fmt: skip

    @classmethod
    def given(cls, **options: Any) -> Attack:
        """Return the attack with those of `options` that are its own."""
        own: set[str] = {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
        return cls(**{name: value for name, value in options.items() if name in own})

    @property
    def name(self) -> str:
        """Its name in a suite."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    def missing(self) -> str | None:
        """Return what it needs and this machine lacks, and what would get it; None where it can run."""
        return resources.missing(self.name, self.needs)

    def build(self, victim: Any) -> Any:
        """Return the ``textattack.Attack`` on `victim`, a ``textattack.models.wrappers.ModelWrapper``.

        Called in the attack process only, so textattack is imported here and not at the top of the file. Unless a
        subclass says otherwise, it is the recipe of textattack of that name.
        """
        import textattack

        # textattack was imported with an empty cache; what the user has downloaded is in the real one.
        textattack.shared.utils.install.TEXTATTACK_CACHE_DIR = str(resources.textattack_cache())
        return getattr(textattack.attack_recipes, self.recipe).build(victim)
