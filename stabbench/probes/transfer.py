"""Whether texts that mislead one subject mislead the others too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from stabbench import registry
from stabbench.attacks.engine.run import AttackRow, attack_examples
from stabbench.compression.base import load_compressed
from stabbench.errors import ConfigurationError, StabbenchError, unknown_name
from stabbench.models.loading import load_subject
from stabbench.models.subject import Subject
from stabbench.probes._predictions import answers
from stabbench.probes._sample import sample
from stabbench.probes.base import Context, Member, PanelProbe
from stabbench.records import Coordinate, Measurement, Row, finite


@dataclass(frozen=True)
class Transfer(PanelProbe):
    """Attacks every subject of the panel and puts the texts that misled it to all the others.

    ``transfer.success_rate`` of subject B at {recipe, source}: of the texts that misled the source A, and whose clean
    form B answers rightly, the share that B answers wrongly; `source` is A's number in the panel, from 0, in the order
    of its members. None where there is no such text. From A to itself it is 1 where answers do not depend on the batch.

    Stores ``attack.jsonl``, the rows of all attacks with `source` added, and ``transfer.json``: {"members": [[variant,
    seed, compression], …], "answers": {recipe: [[[example, B's clean answer, B's answer], …] by B] by A}}.
    """

    version: ClassVar[int] = 1
    worker: ClassVar[Literal["torch", "attack", "exclusive"]] = "attack"
    uses: ClassVar[Mapping[str, str]] = {"recipes": "attacks"}
    paper: ClassVar[str] = "Papernot et al. 2016, arXiv:1605.07277 (transferability)"
    equation: ClassVar[str] = """
        T_AB = |{i ∈ S_A: f_B(x_i) = y_i, f_B(x_i') ≠ y_i}| / |{i ∈ S_A: f_B(x_i) = y_i}| with S_A the examples on which
        the attack on A succeeded and x_i' what it found.
    """
    changes: ClassVar[str] = "Nothing: it reads test texts and searches beside them."
    cost: ClassVar[str] = "One attack per subject and recipe, and two passes over the found texts for every pair."
    departures: ClassVar[str] = "Only texts that B answers rightly when clean count, so that B's own errors do not."
    pitfalls: ClassVar[str] = """
        One seed per arm: it tells whether the attack found a weakness of the task or one of this model, not which
        recipe is better. A small S_A makes it coarse: read n.
    """

    recipes: Annotated[tuple[str, ...], Field(min_length=1, description="attacks, by name")] = ("deepwordbug",)
    examples: Annotated[int, Field(ge=1, description="test texts, chosen by a hash of their ids")] = 50
    query_budget: Annotated[int, Field(ge=1, description="most queries per text, repeated ones included")] = 300
    seed: Annotated[int, Field(description="seed of the choice of texts and of the searches")] = 0

    def measure_panel(self, members: Sequence[Member], context: Context) -> list[Row]:
        """Return a row for every recipe and ordered pair of subjects.

        Raises:
            ConfigurationError: a recipe is unknown, or keeps the answer.
            StabbenchError: this machine lacks what a recipe needs, or the process was not prepared for attacks.
        """
        recipes = [self._recipe(name) for name in self.recipes]
        subjects = [_load(member) for member in members]
        examples = sample(context.dataset.test, self.examples, self.seed)
        rows, told = [], dict[str, Any]()
        with (context.folder / "attack.jsonl").open("w", encoding="utf-8") as stream:
            for recipe in recipes:
                misled = []
                for source, subject in enumerate(subjects):
                    found = attack_examples(
                        recipe, subject, examples, query_budget=self.query_budget, seed=self.seed, batch_size=1
                    )
                    lines = ({**row.as_dict(), "source": source} for row in found)
                    stream.writelines(json.dumps(finite(line)) + "\n" for line in lines)
                    misled.append([row for row in found if row.outcome == "success"])
                replayed = [[replay(subject, texts) for subject in subjects] for texts in misled]
                told[recipe.name] = replayed
                for source, by_target in enumerate(replayed):
                    labels = {row.example: row.label for row in misled[source]}
                    rows += [
                        self._row(member, recipe.name, source, answered, labels)
                        for member, answered in zip(members, by_target, strict=True)
                    ]
        names = [[member.variant, member.seed, member.compression] for member in members]
        content = {"members": names, "answers": told}
        (context.folder / "transfer.json").write_text(json.dumps(content), encoding="utf-8")
        return rows

    def _recipe(self, name: str) -> Any:
        known = registry.names("attacks")
        if name not in known:
            raise ConfigurationError([f"probes.transfer.recipes: {unknown_name('attack', name, known)}"])
        recipe = registry.load("attacks", name)()
        if recipe.goal == "keep":
            raise ConfigurationError([f"probes.transfer.recipes: '{name}' keeps the answer, so nothing can be misled"])
        if reason := recipe.missing():
            raise StabbenchError(reason)
        return recipe

    def _row(
        self, target: Member, recipe: str, source: int, answered: Sequence[Answered], labels: Mapping[str, int]
    ) -> Row:
        right = [(example, after) for example, clean, after in answered if clean == labels[example]]
        wrong = sum(after != labels[example] for example, after in right)
        at: dict[str, Coordinate] = {"recipe": recipe, "source": source}
        rate = wrong / len(right) if right else None
        m = Measurement("transfer.success_rate", rate, "share", "lower", at, len(right), self.examples)
        return Row(target.variant, target.seed, target.compression, "transfer", m)


Answered = tuple[str, int, int]
"""Example, answer to its clean text, answer to the text that misled another subject."""


def replay(subject: Subject, rows: Sequence[AttackRow]) -> list[Answered]:
    """Return a subject's answers to texts that misled a subject, each asked alone."""
    if not rows:
        return []
    found: list[np.ndarray] = []
    for texts in ([row.text for row in rows], [row.adversarial_text or "" for row in rows]):
        found.append(answers(subject.probabilities(texts, batch_size=1)))
    return [(row.example, int(a), int(b)) for row, a, b in zip(rows, *found, strict=True)]


def _load(member: Member) -> Subject:
    dense = load_subject(member.folder)
    return dense if member.artifact is None else load_compressed(member.compression, member.artifact, dense)
