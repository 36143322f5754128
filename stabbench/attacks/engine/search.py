"""One textattack search under a query budget, with the query that first changed the answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from textattack.goal_function_results import GoalFunctionResultStatus
from textattack.search_methods import GreedyWordSwapWIR

from stabbench.attacks.base import Attack, Preset
from stabbench.attacks.engine.victim import Scorer, Victim
from stabbench.data.example import Text


class Search:
    """Searches with one recipe; nothing is kept from one text to the next.

    Attributes:
        query_at_success: in the last search, number of the first query that changed the answer among the candidates the
            found text was one of; None where it changed none. Texts asked about only to rank words do not count.
    """

    def __init__(self, attack: Attack, score: Scorer, query_budget: int, constraints: Preset = "recipe") -> None:
        self.victim = Victim(score)
        self.attack = attack.build(self.victim)
        if constraints != "recipe":
            from stabbench.attacks.engine.constraints import constrain

            constrain(self.attack, constraints)
        self.goal = self.attack.goal_function
        self.goal.query_budget = query_budget
        self.query_at_success: int | None = None
        self._changing: dict[Text, int] = {}
        self._ask = self.goal.get_results
        self.goal.get_results = self.attack.search_method.get_goal_results = self._watch
        # One list of texts is one list of batches, sorted by length in the victim.
        self.goal.batch_size = 1 << 16
        method = self.attack.search_method
        if isinstance(method, GreedyWordSwapWIR):
            self._rank, method._get_index_order = method._get_index_order, self._watch_ranking

    @property
    def queries(self) -> int:
        """Texts the last search asked for, as textattack counts them."""
        return int(self.goal.num_queries)

    @property
    def rows(self) -> int:
        """Texts the model scored for the last search."""
        return self.victim.rows

    def __call__(self, text: Text, label: int, probabilities: Sequence[float]) -> Text:
        """Return the best text found against `label`; the text itself where nothing was better.

        `probabilities` are the model's for the clean text, asked alone.
        """
        self.goal.num_queries = 0
        self.victim.begin(text, probabilities)
        self._changing = {}
        # An earlier search that raised has left its caches filled.
        self.attack.clear_cache()
        given = text if isinstance(text, str) else OrderedDict(zip(("text", "pair"), text, strict=True))
        found: Text = self.attack.attack(given, int(label)).perturbed_result.attacked_text.tokenizer_input
        self.query_at_success = self._changing.get(found)
        return found

    def _watch_ranking(self, text: Any, **named: Any) -> Any:
        method = self.attack.search_method
        if method.wir_method == "weighted-saliency":
            _, order = self.attack.get_indices_to_order(text)
            masked = [text.replace_word_at_index(index, method.unk_token) for index in order]
            self._prefetch(masked, text, order)
        found = self._rank(text, **named)
        # PWWS ranks words by their swaps: one that changes the answer then is taken only after the ranking.
        self._changing = {}
        return found

    def _prefetch(self, masked: list[Any], text: Any, order: list[int]) -> None:
        """Score at once what the ranking is about to ask for word by word; only its cache is filled.

        The texts are those it will ask for within its budget, in its order: no row more is scored, and no query is
        counted. Edits drawn at random are not made twice.
        """
        if not self.attack.use_transformation_cache:
            return
        swaps = [self.attack.get_transformations(text, original_text=text, indices_to_modify=[i]) for i in order]
        left = int(self.goal.query_budget - self.goal.num_queries)
        asked = [*masked, *(swap for found in swaps for swap in found)]
        self.goal._call_model(asked[: max(left, 0)])

    def _watch(self, texts: list[Any], check_skip: bool = False) -> tuple[list[Any], bool]:
        before = self.goal.num_queries
        results, over = self._ask(texts, check_skip=check_skip)
        numbered = enumerate(results, before + 1)
        changing = [(n, r) for n, r in numbered if r.goal_status == GoalFunctionResultStatus.SUCCEEDED]
        for _, result in changing:
            self._changing.setdefault(result.attacked_text.tokenizer_input, changing[0][0])
        return results, over
