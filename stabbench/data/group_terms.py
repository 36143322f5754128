"""Names and group terms to put in one another's place, by group. Written for this project; plain facts, no scores.

The lists are short and cover few of the world's groups; a gap between them speaks of these terms only. First names are
common ones of speakers of a language or of a region, by the gender they are mostly given to.
"""

from __future__ import annotations

from collections.abc import Mapping

_NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "English": {
        "female": ("Emily", "Sarah", "Jessica", "Helen", "Laura"),
        "male": ("James", "Thomas", "Andrew", "Peter", "Robert"),
    },
    "Spanish": {
        "female": ("Carmen", "Lucía", "Pilar", "Guadalupe", "Rosa"),
        "male": ("José", "Carlos", "Javier", "Diego", "Miguel"),
    },
    "Arabic": {
        "female": ("Fatima", "Aisha", "Layla", "Mariam", "Amina"),
        "male": ("Ahmed", "Mohammed", "Omar", "Hassan", "Khalid"),
    },
    "Indian": {
        "female": ("Priya", "Lakshmi", "Sunita", "Anjali", "Kavita"),
        "male": ("Rahul", "Arjun", "Vijay", "Sanjay", "Rajesh"),
    },
    "Chinese": {
        "female": ("Meiling", "Xiuying", "Lihua", "Yanmei", "Jiayi"),
        "male": ("Haoran", "Zhiwei", "Jianguo", "Guoqiang", "Minghao"),
    },
    "West African": {
        "female": ("Adwoa", "Ngozi", "Folake", "Chioma", "Abena"),
        "male": ("Kwame", "Chinedu", "Babatunde", "Emeka", "Kofi"),
    },
    "Slavic": {
        "female": ("Olga", "Katarzyna", "Svetlana", "Milena", "Agnieszka"),
        "male": ("Ivan", "Wojciech", "Dmitri", "Zoran", "Bogdan"),
    },
}


def _by_gender() -> dict[str, tuple[str, ...]]:
    genders = ("female", "male")
    return {gender: tuple(name for origin in _NAMES.values() for name in origin[gender]) for gender in genders}


GROUPS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "name_gender": _by_gender(),
    "name_origin": {origin: (*names["female"], *names["male"]) for origin, names in _NAMES.items()},
    "nationality": {
        "Africa": ("Nigerian", "Kenyan", "Ethiopian", "Ghanaian", "Moroccan", "Egyptian"),
        "Americas": ("American", "Canadian", "Mexican", "Brazilian", "Peruvian", "Colombian"),
        "East Asia": ("Chinese", "Japanese", "Korean", "Vietnamese", "Thai", "Filipino"),
        "Europe": ("French", "German", "Polish", "Swedish", "Italian", "Greek"),
        "South Asia": ("Indian", "Pakistani", "Bangladeshi", "Nepali", "Sri Lankan", "Afghan"),
        "West Asia": ("Iranian", "Iraqi", "Syrian", "Lebanese", "Turkish", "Jordanian"),
    },
    "place": {
        "Africa": ("Lagos", "Nairobi", "Accra", "Cairo", "Dakar"),
        "Asia": ("Mumbai", "Hanoi", "Manila", "Seoul", "Karachi"),
        "Europe": ("Lyon", "Leeds", "Porto", "Gdansk", "Malmo"),
        "Latin America": ("Lima", "Quito", "Bogota", "Recife", "Puebla"),
        "North America": ("Denver", "Toronto", "Cleveland", "Calgary", "Tucson"),
    },
    "religion": {
        "Buddhist": ("Buddhist",),
        "Christian": ("Christian", "Catholic", "Protestant", "Orthodox"),
        "Hindu": ("Hindu",),
        "Jewish": ("Jewish",),
        "Muslim": ("Muslim", "Sunni", "Shia"),
        "none": ("atheist", "agnostic", "secular"),
        "Sikh": ("Sikh",),
    },
    "gender": {
        "female": ("mother", "sister", "daughter", "aunt", "grandmother", "niece", "wife"),
        "male": ("father", "brother", "son", "uncle", "grandfather", "nephew", "husband"),
    },
}
"""Category → group → terms."""
SLOTS: Mapping[str, tuple[str, ...]] = {
    "name": ("name_gender", "name_origin"),
    "nationality": ("nationality",),
    "place": ("place",),
    "religion": ("religion",),
    "gender": ("gender",),
}
"""Place in a sentence → the categories by which its terms are grouped; all categories of a place have equal terms."""


def terms_of(slot: str) -> tuple[str, ...]:
    """Return the terms that fit a place, in a fixed order."""
    return tuple(term for terms in GROUPS[SLOTS[slot][0]].values() for term in terms)


def group_of(category: str) -> dict[str, str]:
    """Return term → group."""
    return {term: group for group, terms in GROUPS[category].items() for term in terms}
