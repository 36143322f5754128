"""The search of input reduction, in textattack's form."""

from __future__ import annotations

from typing import Any

from textattack import Attack
from textattack.goal_functions import InputReduction
from textattack.search_methods import SearchMethod
from textattack.transformations import WordDeletion


def reduction(victim: Any) -> Attack:
    """Return the attack that looks for the shortest text with the same answer."""
    return Attack(InputReduction(victim, maximizable=True), [], WordDeletion(), LeaveOneOut())


class LeaveOneOut(SearchMethod):  # type: ignore[misc]
    """Takes the best single removal as long as one keeps the answer."""

    is_black_box = True

    def perform_search(self, initial_result: Any) -> Any:
        """Return the result of the shortest text found."""
        best, over = initial_result, False
        while not over:
            shorter = self.get_transformations(best.attacked_text, original_text=initial_result.attacked_text)
            if not shorter:
                break
            results, over = self.get_goal_results(shorter)
            kept = [result for result in results if result.output == result.ground_truth_output]
            if not kept:
                break
            # The goal's score grows with every removed word and then with the confidence in the answer.
            best = max(kept, key=lambda result: float(result.score))
        return best
