"""One textattack search under a query budget, with the query that first changed the answer."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from textattack.goal_function_results import GoalFunctionResultStatus

from stabbench.attacks.base import Attack
from stabbench.attacks.engine.victim import Victim
from stabbench.data.example import Text
from stabbench.models.subject import Subject


class Search:
    """Searches with one recipe; nothing is kept from one text to the next.

    Attributes:
        query_at_success: number of the query that first changed the answer in the last search, or None.
    """

    def __init__(self, attack: Attack, subject: Subject, query_budget: int, batch_size: int) -> None:
        self.victim = Victim(subject, batch_size)
        self.attack = attack.build(self.victim)
        self.goal = self.attack.goal_function
        self.goal.query_budget = query_budget
        self.query_at_success: int | None = None
        self._ask = self.goal.get_results
        self.goal.get_results = self.attack.search_method.get_goal_results = self._watch

    @property
    def queries(self) -> int:
        """Texts the last search asked for, as textattack counts them."""
        return int(self.goal.num_queries)

    @property
    def rows(self) -> int:
        """Texts the model scored for the last search."""
        return self.victim.rows

    def __call__(self, text: Text, label: int) -> Text:
        """Return the best text found against `label`; the text itself where nothing was better."""
        self.victim.forget()
        self.goal.num_queries = 0
        self.query_at_success = None
        # An earlier search that raised has left its caches filled.
        self.attack.clear_cache()
        given = text if isinstance(text, str) else OrderedDict(zip(("text", "pair"), text, strict=True))
        found: Text = self.attack.attack(given, int(label)).perturbed_result.attacked_text.tokenizer_input
        return found

    def _watch(self, texts: list[Any], check_skip: bool = False) -> tuple[list[Any], bool]:
        before = self.goal.num_queries
        results, over = self._ask(texts, check_skip=check_skip)
        if self.query_at_success is None:
            for number, result in enumerate(results, before + 1):
                if result.goal_status == GoalFunctionResultStatus.SUCCEEDED:
                    self.query_at_success = number
                    break
        return results, over
