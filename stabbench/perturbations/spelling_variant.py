"""British and American spelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import WordEdits, cased_like

_PAIRS = """
colour color;colours colors;colourful colorful;humour humor;favour favor;favourite favorite;flavour flavor;honour honor
behaviour behavior;neighbour neighbor;rumour rumor;centre center;theatre theater;metre meter;litre liter;fibre fiber
analyse analyze;realise realize;realised realized;recognise recognize;organise organize;apologise apologize
defence defense;offence offense;licence license;catalogue catalog;dialogue dialog;monologue monolog;grey gray
travelling traveling;travelled traveled;cancelled canceled;jewellery jewelry;programme program;cheque check
storey story;tyre tire;plough plow;sceptical skeptical;mould mold;moustache mustache;pyjamas pajamas;ageing aging
ambience ambiance
"""
VARIANTS: dict[str, str] = {}
for _pair in _PAIRS.replace("\n", ";").strip(";").split(";"):
    _british, _american = _pair.split()
    VARIANTS |= {_british: _american, _american: _british}


@dataclass(frozen=True)
class SpellingVariant(WordEdits):
    """Writes words in the other of the two English spellings."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.2, 0.4, 0.6, 0.8, 0.95)
    sample: ClassVar[str] = "The colour and humour of the theatre favour a favourite neighbour at the centre."
    paper: ClassVar[str] = """
        Own table of British and American pairs; Liang et al. 2022, arXiv:2211.09110 (dialects)
    """
    equation: ClassVar[str] = """
        Each word of the table is written in the other spelling where its draw u ~ U[0, 1) is below r. Edits at rate r
        are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        44 English words; the meaning stays.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Spelling only, not words that differ (“lift”, “elevator”).
    """
    pitfalls: ClassVar[str] = """
        Most sentences hold none: the no-op share says how many.
    """

    def replacement(self, word: str, draw: int) -> str | None:
        """Return the word in the other spelling."""
        other = VARIANTS.get(word.lower())
        return cased_like(other, word) if other else None
