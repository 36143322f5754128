"""Misspellings that people really make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import WordEdits, cased_like

MISSPELLINGS: dict[str, tuple[str, ...]] = {
    "about": ("abuot",), "accidentally": ("accidently",), "achieve": ("acheive",),
    "acting": ("actting",), "actually": ("actualy",), "again": ("agian",), "always": ("allways",),
    "amazing": ("amazeing", "amasing"), "apparently": ("apparantly",), "argument": ("arguement",),
    "audience": ("audiance",), "awful": ("aweful",), "because": ("becuase", "becasue"), "before": ("befor",),
    "beginning": ("begining",), "believe": ("beleive", "belive"), "boring": ("borring",), "brilliant": ("briliant",),
    "business": ("buisness",), "character": ("charachter", "caracter"), "characters": ("charachters",),
    "comedy": ("commedy",), "coming": ("comming",), "completely": ("completly",), "could": ("coud",),
    "definitely": ("definately", "definitly"), "different": ("diffrent",), "director": ("directer",),
    "disappoint": ("dissapoint",), "disappointing": ("dissapointing",), "doesn't": ("dosen't", "doesnt"),
    "don't": ("dont",), "dialogue": ("dialouge",), "enough": ("enought",), "especially": ("especialy",),
    "excellent": ("excelent", "exellent"), "experience": ("experiance",), "familiar": ("familar",),
    "feature": ("feture",), "finally": ("finaly",), "friend": ("freind",), "funny": ("funy",),
    "genuinely": ("genuinly",), "government": ("goverment",), "great": ("graet",), "happened": ("happend",),
    "humor": ("humer",), "humour": ("humer",), "immediately": ("immediatly",), "intelligent": ("inteligent",),
    "interesting": ("intresting",), "it's": ("its",), "knowledge": ("knowlege",), "little": ("litle",),
    "love": ("luv",), "many": ("meny",), "memorable": ("memerable",), "movie": ("moive",), "movies": ("moives",),
    "necessary": ("neccessary", "necesary"), "occasionally": ("occasionaly",), "original": ("orignal",),
    "people": ("poeple",), "performance": ("performence", "preformance"), "performances": ("performences",),
    "piece": ("peice",), "plot": ("plott",), "predictable": ("predictible",), "pretty": ("prety",),
    "probably": ("probaly", "probly"), "quite": ("quiet",), "really": ("realy", "relly"), "received": ("recieved",),
    "recommend": ("reccomend", "recomend"), "ridiculous": ("rediculous",), "romantic": ("romantick",),
    "scene": ("sceen",), "script": ("scirpt",), "separate": ("seperate",), "should": ("shoud",),
    "similar": ("similiar",), "sincerely": ("sincerly",), "something": ("somthing",), "story": ("storry",),
    "strange": ("strage",), "successful": ("succesful",), "surprise": ("suprise",), "surprising": ("suprising",),
    "surprisingly": ("suprisingly",), "than": ("then",), "that's": ("thats",), "the": ("teh",), "their": ("thier",),
    "there": ("their", "ther"), "they": ("tehy",), "through": ("thru", "throught"), "tomorrow": ("tommorow",),
    "tragedy": ("tradgedy",), "truly": ("truely",), "until": ("untill",), "usually": ("usualy",),
    "very": ("verry",), "watch": ("wach",), "weird": ("wierd",), "what": ("waht",), "which": ("wich",),
    "with": ("wiht",), "without": ("whitout",), "would": ("woud",), "writing": ("writting",), "you're": ("your",),
}  # fmt: skip


@dataclass(frozen=True)
class Misspelling(WordEdits):
    """Misspells words that are often misspelt."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = """
        Own table of frequent English misspellings; Liang et al. 2022, arXiv:2211.09110 (misspelling perturbation)
    """
    equation: ClassVar[str] = """
        Each word of the table is replaced by one of its misspellings where its draw u ~ U[0, 1) is below r, chosen by
        low digits of u. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        About a hundred English words; case is kept.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        A short table: many sentences hold no word of it.
    """
    pitfalls: ClassVar[str] = """
        The no-op share is high by nature: compare flip rates among the texts that changed.
    """

    def replacement(self, word: str, draw: int) -> str | None:
        """Return a misspelling of the word, in its case."""
        known = MISSPELLINGS.get(word.lower())
        return cased_like(known[draw % len(known)], word) if known else None
