"""What an attack is: a search for a small change of a text that changes the model's answer."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from stabbench.registry import Plugin

Tier = Literal["offline", "system", "full"]
Goal = Literal["change", "keep"]


class Attack(Plugin):
    """A recipe of textattack, or one built of its parts.

    An attack only searches. Whether it succeeded is judged by `stabbench.attacks.engine.run`, from the model's answers
    to the clean and the found text. A recipe with a substituted part has another name (``textfooler-offline``).

    Attributes:
        tier: what it needs: ``offline`` Python packages alone, ``system`` WordNet beside them, ``full`` a model hub and
            downloads.
        goal: what it searches for: ``change`` a small change of the text that changes the answer; ``keep`` the fewest
            words that keep it.
    """

    tier: ClassVar[Tier] = "offline"
    goal: ClassVar[Goal] = "change"

    @classmethod
    def traits(cls) -> dict[str, Any]:
        """Return what it needs and what it searches for."""
        return {"tier": cls.tier, "goal": cls.goal}

    @property
    def name(self) -> str:
        """Its name in a suite."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    def missing(self) -> str | None:
        """Return what it needs and this machine lacks, and what would get it; None where it can run."""
        return None

    def build(self, victim: Any) -> Any:
        """Return the ``textattack.Attack`` on `victim`, a ``textattack.models.wrappers.ModelWrapper``.

        Called in the attack process only, so textattack is imported here and not at the top of the file.
        """
        raise NotImplementedError
