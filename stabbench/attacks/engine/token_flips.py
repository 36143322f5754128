"""HotFlip on a model's own token embeddings, in textattack's form."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from textattack import Attack
from textattack.constraints.pre_transformation import StopwordModification
from textattack.goal_function_results import GoalFunctionResultStatus
from textattack.goal_functions import UntargetedClassification
from textattack.search_methods import SearchMethod
from textattack.shared import AttackedText
from textattack.transformations import WordDeletion
from torch import Tensor, nn

from stabbench.errors import StabbenchError
from stabbench.models.anatomy import anatomy
from stabbench.models.hooks import changed_output


@dataclass(frozen=True)
class Place:
    """A word that is one token: token number, sentence of the text, first and last character + 1, token id."""

    token: int
    sentence: int
    start: int
    end: int
    id: int


class TokenFlips(SearchMethod):  # type: ignore[misc]
    """Asks for the `tried` flips that the gradient says are best, makes the best of them, and again.

    Attributes:
        most_flips: share of the places that may be flipped, at least one.
    """

    is_black_box = False

    def __init__(self, victim: Any, tried: int, most_flips: float) -> None:
        self.model: nn.Module = victim.model
        self.tokenizer = victim.tokenizer
        self.max_length = int(victim.max_length or self.tokenizer.model_max_length)
        self.tried, self.most_flips = tried, most_flips
        self.stopwords = StopwordModification().stopwords
        self.embedding = anatomy(self.model).word_embeddings

    @cached_property
    def words(self) -> Tensor:
        """(V,) Whether a token of the vocabulary is a whole word of letters, and no stopword."""
        count = self.embedding.num_embeddings
        kept = torch.zeros(count, dtype=torch.bool)
        for token, number in self.tokenizer.get_vocab().items():
            word = self.tokenizer.convert_tokens_to_string([token]).strip()
            # A piece that only continues a word is not read as itself when the text is tokenized again.
            alone = token.isalpha() or (token[1:] == word and token[:1] in "Ġ▁")
            kept[number] = number < count and alone and word.isalpha() and word.lower() not in self.stopwords
        return kept

    def perform_search(self, initial_result: Any) -> Any:
        """Return the best result found, as soon as one has changed the answer."""
        best, over = initial_result, False
        places = self.places(_sentences(best.attacked_text))
        left = max(1, int(self.most_flips * len(places)))
        flipped: set[int] = set()
        while left and not over and best.goal_status != GoalFunctionResultStatus.SUCCEEDED:
            places = [p for p in self.places(_sentences(best.attacked_text)) if p.token not in flipped]
            flips = self.best_flips(_sentences(best.attacked_text), places, int(best.ground_truth_output))
            if not flips:
                break
            texts = [_flipped(best.attacked_text, place, self.word(number)) for place, number in flips]
            results, over = self.get_goal_results(texts)
            found = max(range(len(results)), key=lambda i: float(results[i].score))
            if results[found].score <= best.score:
                break
            best, left = results[found], left - 1
            # A flip puts one whole word for another, so the numbers of the tokens stay.
            flipped.add(flips[found][0].token)
        return best

    def places(self, sentences: tuple[str, ...]) -> list[Place]:
        """Return the words of a text that are one token each and no stopwords."""
        coded = self._coded(sentences)
        found = []
        spans = zip(coded["input_ids"], coded["offset_mapping"], coded.sequence_ids(), strict=True)
        for token, (number, (start, end), sentence) in enumerate(spans):
            if sentence is None or start == end:
                continue
            text = sentences[sentence]
            start += len(text[start:end]) - len(text[start:end].lstrip())
            # The s of ``it's`` is a token of its own and no word.
            whole = not any(c.isalnum() or c in "'’" for c in (*text[max(0, start - 1) : start], *text[end : end + 1]))
            word = text[start:end]
            if whole and word.isalpha() and word.lower() not in self.stopwords:
                found.append(Place(token, sentence, start, end, number))
        return found

    def best_flips(self, sentences: tuple[str, ...], places: list[Place], label: int) -> list[tuple[Place, int]]:
        """Return the flips with the largest first-order gain g_i · (e_v − e_i), largest first.

        g_i is the gradient of the cross-entropy with respect to the word embedding at place i, e_i that embedding, e_v
        the embedding of token v of the vocabulary.
        """
        if not places:
            return []
        gradient = self.gradient(sentences, label)
        table = self.embedding.weight.detach()
        rows = gradient[[place.token for place in places]]
        now = table[[place.id for place in places]]
        gains = rows @ table.T - (rows * now).sum(1, keepdim=True)
        gains[:, ~self.words.to(gains.device)] = -torch.inf
        gains[torch.arange(len(places)), [place.id for place in places]] = -torch.inf
        best = gains.flatten().topk(min(self.tried, gains.numel()))
        pairs = [divmod(int(i), gains.shape[1]) for i, gain in zip(best.indices, best.values, strict=True) if gain > 0]
        return [(places[i], number) for i, number in pairs]

    def gradient(self, sentences: tuple[str, ...], label: int) -> Tensor:
        """Return (T, H), the gradient of −log f_y with respect to the word embeddings of the text's T tokens."""
        coded = self._coded(sentences)
        device = self.embedding.weight.device
        names = ("input_ids", "attention_mask", "token_type_ids")
        inputs = {name: torch.tensor([coded[name]], device=device) for name in names if name in coded}
        start = self.embedding(inputs["input_ids"]).detach().requires_grad_()
        with torch.enable_grad(), changed_output(self.embedding, lambda _: start):
            logits = self.model(**inputs).logits.float()
            loss = nn.functional.cross_entropy(logits, torch.tensor([label], device=device))
            (found,) = torch.autograd.grad(loss, start)
        gradient: Tensor = found[0]
        return gradient

    def word(self, number: int) -> str:
        """Return the word that a whole-word token stands for."""
        word: str = self.tokenizer.convert_tokens_to_string([self.tokenizer.convert_ids_to_tokens(number)]).strip()
        return word

    def _coded(self, sentences: tuple[str, ...]) -> Any:
        return self.tokenizer(*sentences, truncation=True, max_length=self.max_length, return_offsets_mapping=True)


def token_flips(victim: Any, tried: int, most_flips: float) -> Attack:
    """Return HotFlip on `victim`.

    Raises:
        StabbenchError: the model gives no gradients, as one run by ONNX Runtime.
    """
    if not isinstance(victim.model, nn.Module):
        raise StabbenchError("hotflip follows gradients, and this subject has none: leave it out for compressed models")
    # The search makes its own candidates; textattack asks for a transformation all the same.
    search = TokenFlips(victim, tried, most_flips)
    return Attack(UntargetedClassification(victim), [], WordDeletion(), search)


def _sentences(text: Any) -> tuple[str, ...]:
    given = text.tokenizer_input
    return (given,) if isinstance(given, str) else tuple(given)


def _flipped(text: Any, place: Place, word: str) -> Any:
    sentences = list(_sentences(text))
    old = sentences[place.sentence]
    sentences[place.sentence] = old[: place.start] + word + old[place.end :]
    return AttackedText(OrderedDict(zip(text.column_labels, sentences, strict=True)))
