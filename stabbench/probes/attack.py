"""How often a search finds a small change of the text that changes a right answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from stabbench import registry
from stabbench.attacks.base import Attack as Recipe
from stabbench.attacks.base import Preset
from stabbench.attacks.engine.resources import ENCODER
from stabbench.attacks.engine.run import AttackRow, attack_examples
from stabbench.errors import ConfigurationError, unknown_name
from stabbench.models.subject import Subject
from stabbench.probes._sample import sample, steady_batch_size
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Coordinate, Direction, Measurement, finite


@dataclass(frozen=True)
class Attack(Probe):
    """Accuracy under attack, success rate, size and price of adversarial attacks, on the same texts for every subject.

    With N texts, C those with a right clean answer and S ⊂ C those whose answer an attack changed. Texts without words,
    and texts on which the attack raised, are left out of all of them and show as n_used < n_planned. A recipe whose
    goal is to keep the answer (``input-reduction``) gives the number of words left in place of the rates.

    Under ``constraints`` other than ``recipe`` the coordinates name them too. A recipe that needs what this machine
    lacks is skipped: one number without a value, its status ``skipped``; once the machine has it, the cell's key is
    another and the cell is done anew.

    Stores ``attack.jsonl``, one row per recipe, constraints and text: see `stabbench.attacks.engine.run.AttackRow`;
    numbers that are not finite are strings. Stores ``recipes.json``: recipe → `tier`; `skipped`, why and what would get
    it, or null; `constraint_encoder`, null or the encoder's name and whether the victim was fine-tuned from it.
    """

    version: ClassVar[int] = 4
    worker: ClassVar[Literal["torch", "attack", "exclusive"]] = "attack"
    applies: ClassVar[Applies] = "both"
    uses: ClassVar[Mapping[str, str]] = {"recipes": "attacks"}
    paper: ClassVar[str] = "Morris et al. 2020, arXiv:2005.05909 (textattack); Morris et al. 2020, arXiv:2004.14174"
    equation: ClassVar[str] = """
        clean_accuracy = |C|/N; accuracy_under_attack = (|C| − |S|)/N; success_rate = |S|/|C|, unknown where C is empty;
        words_changed = mean over S of changed words / words; queries, model_rows = means over C.
        words_left = mean over C of the words of the shortest text found that keeps the answer;
        accuracy_at_budget(b) = (|C| − |{i ∈ S: query at success ≤ b}|)/N.
    """
    changes: ClassVar[str] = "Nothing: it reads test texts and searches beside them."
    cost: ClassVar[str] = "Up to `query_budget` texts per example and recipe; only right clean answers are attacked."
    departures: ClassVar[str] = """
        Every example has its own seed, so results do not depend on order, subset or number of workers. Success is
        judged from the model's answers after the search, not by the attack.
    """
    pitfalls: ClassVar[str] = """
        A model that predicts one class cannot be fooled: read it beside majority_share and macro_f1. success_rate hides
        clean accuracy; give both. With 20 texts a difference below 0.3 is noise. A found text need not keep
        its meaning. accuracy_at_budget is read from one run: under a smaller budget a search over a population could
        end on another text.
    """

    recipes: Annotated[tuple[str, ...], Field(min_length=1, description="attacks, by name")] = ("deepwordbug",)
    examples: Annotated[int, Field(ge=1, description="test texts, chosen by a hash of their ids")] = 20
    query_budget: Annotated[int, Field(ge=1, description="most queries per text, repeated ones included")] = 300
    budgets: Annotated[
        tuple[int, ...], Field(description="points of accuracy_at_budget; those above query_budget are left out")
    ] = (25, 50, 100, 250)
    seed: Annotated[int, Field(description="seed of the choice of texts and of the searches")] = 0
    batch_size: Annotated[
        int, Field(ge=1, description="texts in one call; a compressed subject whose answers depend on it gets 1")
    ] = 32
    constraints: Annotated[
        tuple[Preset, ...],
        Field(
            min_length=1,
            description="what each recipe is run under: recipe, its own constraints; beside them lax or strict ones "
            "on words and texts, for recipes that swap words",
        ),
    ] = ("recipe",)
    masked_lm: Annotated[
        str, Field(description="folder of the masked language model of bae-, bert-attack- and clare-offline")
    ] = ""

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return six numbers per recipe and one per recipe and budget; three of a recipe that keeps the answer.

        Raises:
            ConfigurationError: a recipe is unknown.
            StabbenchError: this process was not prepared for attacks.
        """
        known = registry.names("attacks")
        if unknown := [recipe for recipe in self.recipes if recipe not in known]:
            raise ConfigurationError([f"probes.attack.recipes: {unknown_name('attack', r, known)}" for r in unknown])
        recipes = [registry.load("attacks", name).given(masked_lm=self.masked_lm) for name in self.recipes]
        reasons = {recipe.name: recipe.missing() or self._unconstrained(recipe) for recipe in recipes}
        examples = sample(context.dataset.test, self.examples, self.seed)
        texts = [example.content for example in examples]
        batch_size = steady_batch_size(subject, context.dense is not None, texts, self.batch_size)
        measurements = []
        with (context.folder / "attack.jsonl").open("w", encoding="utf-8") as stream:
            for recipe, constraints in ((recipe, preset) for recipe in recipes for preset in self.constraints):
                if reasons[recipe.name]:
                    measurements.append(skipped(recipe, constraints, self.examples))
                    continue
                if constraints != "recipe" and not recipe.swaps_words:
                    continue
                rows = attack_examples(
                    recipe,
                    subject,
                    examples,
                    query_budget=self.query_budget,
                    seed=self.seed,
                    batch_size=batch_size,
                    constraints=constraints,
                )
                stream.writelines(json.dumps(finite(row.as_dict())) + "\n" for row in rows)
                measurements += self._numbers(recipe, constraints, rows)
        model = (context.dense or subject).model
        told = {recipe.name: self._told(recipe, reasons[recipe.name], model) for recipe in recipes}
        (context.folder / "recipes.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
        return measurements

    def _unconstrained(self, recipe: Recipe) -> str | None:
        """Return why nothing is left to run of a recipe on which lax and strict constraints say nothing."""
        if recipe.swaps_words or "recipe" in self.constraints:
            return None
        return f"{recipe.name} swaps no words, which lax and strict constraints are about: add recipe to constraints"

    def _numbers(self, recipe: Recipe, constraints: Preset, rows: Sequence[AttackRow]) -> list[Measurement]:
        if recipe.goal == "keep":
            found = reduction_summary(recipe.name, rows, self.examples)
        else:
            budgets = [budget for budget in self.budgets if budget <= self.query_budget]
            curve = budget_curve(recipe.name, rows, self.examples, budgets)
            found = [*summary(recipe.name, rows, self.examples), *curve]
        return [replace(m, at=place(m.at, constraints)) for m in found]

    def _told(self, recipe: Recipe, reason: str | None, model: Any) -> dict[str, Any]:
        told: dict[str, Any] = {"tier": recipe.tier, "skipped": reason, "constraint_encoder": None}
        presets = recipe.swaps_words and set(self.constraints) != {"recipe"}
        if reason is None and (recipe.encoder or presets):
            from stabbench.attacks.engine.similarity import local_encoder, same_start

            told["constraint_encoder"] = {"name": ENCODER, "is_victims_start": same_start(model, local_encoder())}
        return told


def place(at: Mapping[str, Coordinate], constraints: Preset) -> dict[str, Coordinate]:
    """Return coordinates with the constraints named where they are not the recipe's own."""
    return dict(at) if constraints == "recipe" else {**at, "constraints": constraints}


def skipped(recipe: Recipe, constraints: Preset, planned: int) -> Measurement:
    """Return the number of a recipe that was not run: none."""
    keeps = recipe.goal == "keep"
    metric, unit = ("attack.words_left", "count") if keeps else ("attack.accuracy_under_attack", "share")
    at = place({"recipe": recipe.name}, constraints)
    return Measurement(metric, None, unit, "higher", at, 0, planned, status="skipped")


def summary(recipe: str, rows: Sequence[AttackRow], planned: int) -> list[Measurement]:
    """Return the six numbers of one recipe from its rows; a mean over nothing is None."""
    counted, attacked = _attacked(rows)
    fooled = [row for row in attacked if row.outcome == "success"]
    n, right = len(counted), len(attacked)
    changed = [(row.words_changed or 0) / row.words for row in fooled]
    values: list[tuple[str, float | None, str, Direction, int]] = [
        ("accuracy_under_attack", (right - len(fooled)) / n if n else None, "share", "higher", n),
        ("success_rate", len(fooled) / right if right else None, "share", "lower", right),
        ("words_changed", _mean(changed), "share", "higher", len(fooled)),
        ("queries", _mean([row.queries for row in attacked]), "count", "higher", right),
        ("model_rows", _mean([row.model_rows for row in attacked]), "count", "neither", right),
        ("clean_accuracy", right / n if n else None, "share", "higher", n),
    ]
    return [
        Measurement(f"attack.{name}", value, unit, better, {"recipe": recipe}, used, planned)
        for name, value, unit, better, used in values
    ]


def budget_curve(recipe: str, rows: Sequence[AttackRow], planned: int, budgets: Sequence[int]) -> list[Measurement]:
    """Return accuracy under attack as it would be at each of the smaller query budgets."""
    counted, attacked = _attacked(rows)
    n, needed = len(counted), [row.query_at_success for row in attacked if row.query_at_success is not None]
    return [
        Measurement(
            "attack.accuracy_at_budget",
            (len(attacked) - sum(query <= budget for query in needed)) / n if n else None,
            "share", "higher", {"recipe": recipe, "budget": budget}, n, planned,
        )
        for budget in budgets
    ]  # fmt: skip


def reduction_summary(recipe: str, rows: Sequence[AttackRow], planned: int) -> list[Measurement]:
    """Return the three numbers of a recipe that keeps the answer with fewer words; a mean over nothing is None.

    More words left is better: a model that is as sure of a scrap of the text did not read the rest.
    """
    counted, attacked = _attacked(rows)
    n, right = len(counted), len(attacked)
    values: list[tuple[str, float | None, str, Direction, int]] = [
        ("words_left", _mean([row.words_left for row in attacked]), "count", "higher", right),
        ("model_rows", _mean([row.model_rows for row in attacked]), "count", "neither", right),
        ("clean_accuracy", right / n if n else None, "share", "higher", n),
    ]
    return [
        Measurement(f"attack.{name}", value, unit, better, {"recipe": recipe}, used, planned)
        for name, value, unit, better, used in values
    ]


def _attacked(rows: Sequence[AttackRow]) -> tuple[list[AttackRow], list[AttackRow]]:
    """Return the rows that count, N of them, and those of them with a right clean answer, C."""
    counted = [row for row in rows if row.words and row.outcome != "error"]
    return counted, [row for row in counted if row.outcome != "skipped"]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
