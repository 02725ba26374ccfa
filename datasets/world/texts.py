"""Wordings: what adverts say beside their contact, and the texts on walls that are not adverts.

The vocabulary is neutral (news level) and stands in ``lexicon``. Lines are put together from parts, with numbers, signs and words
that do not exist, so that a recogniser cannot get by with a list of known lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from ...contract import TagtraceError
from . import lexicon
from .draw import between, chance, choice, string, weighted
from .identifiers import KZ_UNASSIGNED, to_cyrillic
from .names import invented_word, stem
from .spelling import paint_phone

RUSSIAN: Final = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
KAZAKH: Final = RUSSIAN + "әғқңөұүһі"
LATIN: Final = "abcdefghijklmnopqrstuvwxyz"
MAX_WORDING: Final = 40
"""Longest line of a wording, in characters."""
_PLATE_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class DistractorText:
    """A text on a wall that is no advert. ``kind``: one of ``DISTRACTORS``; ``lines`` in reading order."""

    kind: str
    lines: tuple[str, ...]


def filled(rng: np.random.Generator, template: str) -> str:
    """A wording with its places filled: ``{n}`` a number, ``{d}`` a digit, ``{h}`` hours, ``{p}`` a code word."""
    if "{" not in template:
        return template
    return template.format(
        n=choice(rng, (str(between(rng, 1, 9) * 10), str(between(rng, 2, 99)), "5", "15", "50", "100", "300")),
        d=between(rng, 1, 9),
        h=choice(rng, ("24", "24", "24", "12", "7")),
        p=string(rng, "ABCDEFGHKLMNPRSTUVXYZ0123456789", between(rng, 3, 8)),
    )


def cased(rng: np.random.Generator, text: str) -> str:
    """The text in the case in which walls are written: capitals mostly, else lower case or a capital at the beginning."""
    form = weighted(rng, {"upper": 0.62, "lower": 0.18, "first": 0.15, "title": 0.05})
    if form == "upper":
        return text.upper()
    if form == "lower":
        return text.lower()
    return text.title() if form == "title" else text[:1].upper() + text[1:]


def _decorated(rng: np.random.Generator, text: str) -> str:
    form = weighted(rng, {"": 0.7, "!": 0.09, "!!!": 0.04, "!!": 0.02, "-": 0.04, ":": 0.04, ">": 0.01, "24": 0.03, "n": 0.03})
    if form == "24":
        return f"{text} {choice(rng, ('24/7', '24', '24/7!', '- 24/7'))}"
    if form == "n":
        return f"{text} №{between(rng, 1, 9)}"
    return text + (" -" if form == "-" else form)


def wording(rng: np.random.Generator, split: str) -> str:
    """One line of an advert's wording in Russian, Kazakh or English: recruiting, selling, a city, two of them, or free words."""
    source = weighted(
        rng, {"work": 0.26, "sale": 0.2, "kk": 0.22, "en": 0.07, "city": 0.05, "pair": 0.07, "new": 0.03, "free": 0.1}
    )
    if source == "city":
        text = choice(rng, lexicon.CITIES)
    elif source == "pair":
        first = choice(rng, (*lexicon.RU_WORK, *lexicon.RU_SALE, *lexicon.KAZAKH_LINES))
        second = choice(rng, (*lexicon.RU_SALE, *lexicon.CITIES, *lexicon.ENGLISH_LINES))
        text = filled(rng, first) + choice(rng, (" ", " - ", ", ", " / ", " + ", ". ")) + filled(rng, second)
    elif source == "new":
        text = cyrillic_word(rng, split)
    elif source == "free":
        words = choice(rng, (lexicon.RUSSIAN_WORDS, lexicon.KAZAKH_WORDS))
        text = " ".join(choice(rng, words) for _ in range(weighted(rng, {1: 0.4, 2: 0.45, 3: 0.15})))
    else:
        text = filled(rng, choice(rng, _LINES[source]))
    text = text if len(text) <= MAX_WORDING else text[:MAX_WORDING].rsplit(" ", 1)[0]
    return cased(rng, _decorated(rng, text)) if len(text) < MAX_WORDING - 10 else cased(rng, text)


_LINES: Final = MappingProxyType(
    {"work": lexicon.RU_WORK, "sale": lexicon.RU_SALE, "kk": lexicon.KAZAKH_LINES, "en": lexicon.ENGLISH_LINES}
)


def cyrillic_word(rng: np.random.Generator, split: str) -> str:
    """A pronounceable word that does not exist, in Cyrillic, half the time with Kazakh letters."""
    word = to_cyrillic(invented_word(rng, split))
    if chance(rng, 0.5):
        table = dict(zip("агкноуиых", "әғқңөұүіһ", strict=True))
        word = "".join(table[c] if c in table and chance(rng, 0.45) else c for c in word)
    return word


def balanced_word(rng: np.random.Generator) -> str:
    """2 to 12 letters of one alphabet at random, so that the rare ones (Ә, Һ, Щ, Ъ, Ё …) are seen as often as the others."""
    letters = weighted(rng, {KAZAKH + "ё": 0.6, LATIN: 0.2, "әғқңөұүһіёщъэц": 0.2})
    return cased(rng, string(rng, letters, between(rng, 2, 12)))


def _house(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    number = f"{between(rng, 1, 220)}{choice(rng, ('', '', '', 'А', 'Б', '/1', '/2', 'к1', ' корп. 2', 'В'))}"
    street = choice(rng, lexicon.STREETS)
    street = choice(
        rng, ("{} көшесі", "ул. {}", "{} даңғылы", "пр. {}", "{} к-сі", "{}", "проспект {}", "улица {}", "{} мкр")
    ).format(street)
    form = weighted(rng, {"number": 0.45, "both": 0.4, "one": 0.15})
    if form == "number":
        return (number,)
    return (street.upper() if chance(rng, 0.4) else street, number) if form == "both" else (f"{street}, {number}",)


def _plate(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    letters = string(rng, _PLATE_LETTERS, 3 if chance(rng, 0.8) else 2)
    region = f"{between(rng, 1, 20):02d}"
    return (
        (f"{string(rng, '0123456789', 3)} {letters} {region}",)
        if chance(rng, 0.85)
        else (f"{letters} {string(rng, '0123456789', 3)}", region)
    )


def _sign(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    first = choice(rng, lexicon.SIGNS)
    if chance(rng, 0.25):
        name = stem(rng, split).replace("_", " ")
        first = f"{first} «{(to_cyrillic(name) if chance(rng, 0.6) else name).title()}»"
    lines = (cased(rng, first),)
    return (*lines, cased(rng, choice(rng, (*lexicon.SIGNS, *lexicon.SIGN_EXTRAS)))) if chance(rng, 0.4) else lines


def legal_phone(rng: np.random.Generator) -> str:
    """A Kazakhstan number with an unassigned code as legal posters print it."""
    return paint_phone(rng, "+7" + choice(rng, KZ_UNASSIGNED) + string(rng, "0123456789", 7))


def _poster(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    lines = [cased(rng, choice(rng, lexicon.POSTERS))]
    if chance(rng, 0.5):
        lines.append(cased(rng, filled(rng, choice(rng, lexicon.POSTER_EXTRAS))))
    return (*lines, *(legal_phone(rng) for _ in range(weighted(rng, {0: 0.12, 1: 0.73, 2: 0.15}))))


def _slogan(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    if chance(rng, 0.12):  # an official-looking hotline bot: invented, and protected by its form
        name = choice(rng, ("stopnarko", "antinarko", "narkohelp", "police102", "stopdrugs"))
        return (cased(rng, choice(rng, lexicon.HOTLINE)), f"@{name}_{choice(rng, ('ast', 'alm', 'kz', 'shym', 'krg'))}_bot")
    form = choice(rng, (str.upper, str.upper, str.capitalize, str.lower))
    return tuple(form(line) for line in choice(rng, lexicon.SLOGANS))


def _tag(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    form = weighted(rng, {"invented": 0.5, "letters": 0.2, "word": 0.2, "cyrillic": 0.1})
    if form == "letters":
        text = string(rng, LATIN, between(rng, 2, 5)) + (str(between(rng, 1, 99)) if chance(rng, 0.3) else "")
    elif form == "word":
        text = choice(rng, lexicon.TAG_WORDS)
    else:
        text = (cyrillic_word(rng, split) if form == "cyrillic" else invented_word(rng, split))[: between(rng, 3, 8)]
    return (choice(rng, (text.upper(), text.lower(), text.title(), text.swapcase())),)


def _price(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    amount = f"{between(rng, 1, 99)}{choice(rng, ('0', '00', '50', '90', ' 000', ' 500', '99'))}"
    price = f"{amount} {choice(rng, ('тг', 'тг.', 'тенге', 'теңге', 'kzt'))}"
    return (cased(rng, choice(rng, lexicon.GOODS)), price) if chance(rng, 0.75) else (price,)


def _notice(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    return (cased(rng, filled(rng, choice(rng, lexicon.NOTICES))),)


def _road(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    lines = (filled(rng, choice(rng, lexicon.ROAD)).upper(),)
    return (choice(rng, lexicon.CITIES), f"{between(rng, 2, 990)} км") if chance(rng, 0.2) else lines


DISTRACTORS: Final[Mapping[str, Callable[[np.random.Generator, str], tuple[str, ...]]]] = MappingProxyType(
    {
        "house": _house,
        "plate": _plate,
        "sign": _sign,
        "poster": _poster,
        "slogan": _slogan,
        "tag": _tag,
        "road": _road,
        "price": _price,
        "notice": _notice,
    }
)


def distractor(rng: np.random.Generator, kind: str, split: str) -> DistractorText:
    """A text of a kind that is no advert; raises ``TagtraceError`` for an unknown kind."""
    if kind not in DISTRACTORS:
        raise TagtraceError(f"unknown kind of distractor {kind!r}: choose one of {', '.join(DISTRACTORS)}")
    return DistractorText(kind, DISTRACTORS[kind](rng, split))
