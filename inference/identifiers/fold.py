"""Look-alikes: cleaning a text, folding the letters of other alphabets to Latin by shape, and skeletons for comparison.

Sources: the street set of Cyrillic and Kazakh look-alikes of the domain notes (3.2), Unicode UTS #39 for the exact ones, and
tdlib's list of invisible characters. Folding goes by the shape seen: stencils are mostly capitals, so ``Н`` is an ``h`` and
``В`` a ``b``.
"""

from __future__ import annotations

import unicodedata
from enum import IntEnum
from functools import lru_cache


class Likeness(IntEnum):
    """How like a Latin character a foreign one looks: the higher, the less it may be trusted without Latin letters beside it."""

    LATIN = 0
    EXACT = 1
    STREET = 2
    WEAK = 3


_EXACT = dict(zip("АВСЕНІЈКМОРЅТУХҮҺаеосрухіјѕԁһԛԝвнкмт", "abcehijkmopstyxyhaeocpyxijsdhqwbhkmt", strict=True))
_STREET = dict(zip("ЗзЧчбБүұҰқҚңҢөӨғҒЁёΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαν", "334466yyykkhhooffeeabezhikmnoptyxoav", strict=True))
_WEAK = dict(zip("пПиИйЙгГьЬдДлЛшШщЩяЯцЦжЖэЭъыәӘ", "nnuuuurrbbgdnnwwwwrruuxx33bbea", strict=True))
_AT = dict.fromkeys("ⓐⒶ＠﹫", "@")
_KEEP = frozenset("№©®™")
_DASHES = frozenset("‐‑‒–—―−﹣－")
_INVISIBLE = frozenset("\u00ad\u034f\u115f\u1160\u3164\ufeff")

_DIGITS = {
    **dict.fromkeys("OoОоӨөQD", "0"),
    **dict.fromkeys("lIi|!ІіÍí", "1"),
    **dict.fromkeys("ЗзЭэ", "3"),
    **dict.fromkeys("Чч", "4"),
    **dict.fromkeys("бG", "6"),
    **dict.fromkeys("ВвB", "8"),
    **dict.fromkeys("SsЅѕ", "5"),
    **dict.fromkeys("Zz", "2"),
    **dict.fromkeys("gq", "9"),
    **dict.fromkeys("Т", "7"),
}
"""Letters that stand for digits on walls, beside the digits themselves."""

_SEPARATORS = "._- "
_SKELETON = str.maketrans({"0": "o", "1": "l", "i": "l", "j": "l", "5": "s", "8": "b", "6": "b", "9": "g", "q": "g", "2": "z"})
_ASCII_SKELETON = _SKELETON | dict.fromkeys(map(ord, _SEPARATORS))


@lru_cache(maxsize=4096)
def _plain(char: str) -> str:
    if char in _AT:
        return _AT[char]
    if char in _KEEP:
        return char
    if char == "\t":
        return " "
    if char in _DASHES:
        return "-"
    category = unicodedata.category(char)
    if category.startswith("Z"):
        return " "
    if char in _INVISIBLE or category.startswith("C"):
        return ""
    plain = unicodedata.normalize("NFKC", char)
    return plain if plain == char else "".join(map(_plain, plain))


def clean(text: str) -> tuple[str, tuple[int, ...]]:
    """Plain form of one line: compatibility forms (NFKC) and dashes unified, control and invisible characters out.

    Returns the text and, per character, its position in ``text`` as given.
    """
    if text.isascii() and text.isprintable():
        return text, tuple(range(len(text)))
    out: list[str] = []
    index: list[int] = []
    for position, char in enumerate(text):
        for plain in _plain(char):
            composed = unicodedata.normalize("NFC", out[-1] + plain) if out and unicodedata.combining(plain) else ""
            if len(composed) == 1:  # a letter and its accent given as two characters
                out[-1] = composed
                continue
            out.append(plain)
            index.append(position)
    return "".join(out), tuple(index)


def lower_char(char: str) -> str:
    """Lower case of one character, always one character long."""
    low = char.lower()
    return low if len(low) == 1 else char


def lower_view(text: str) -> str:
    """Lower case, character by character (the length stays)."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(map(lower_char, text))


@lru_cache(maxsize=4096)
def fold_char(char: str) -> tuple[str, Likeness] | None:
    """The Latin letter or digit (lower case) that a character looks like, and how much; None when it is like none."""
    if char.isascii():
        return (char.lower(), Likeness.LATIN) if char.isalnum() or char == "_" else None
    for table, likeness in ((_EXACT, Likeness.EXACT), (_STREET, Likeness.STREET), (_WEAK, Likeness.WEAK)):
        if char in table:
            return table[char], likeness
    base = unicodedata.normalize("NFD", char)[0]
    if base.isascii() and base.isalnum():  # é, ü: an accent on a wall is a drip
        return base.lower(), Likeness.STREET
    return None


@lru_cache(maxsize=4096)
def _latin_char(char: str) -> str:
    folded = fold_char(char)
    return folded[0] if folded and folded[1] <= Likeness.STREET else lower_char(char)


def latin_view(text: str) -> str:
    """The text in lower case with exact and street look-alikes folded to Latin; the length stays."""
    return lower_view(text) if text.isascii() else "".join(map(_latin_char, text))


def digit_char(char: str) -> str | None:
    """The digit that a character is or stands for on a wall (О=0, З=3, Ч=4, б=6, В=8, I=1), or None."""
    return char if "0" <= char <= "9" else _DIGITS.get(char)


def skeleton(text: str) -> str:
    """Key under which texts that look alike compare equal (``sko_narkohe1p_b0t`` and ``sko_narkohelp_bot``).

    Case, dots, underscores and hyphens do not count; idempotent. For comparison only, never a value.
    """
    if text.isascii():  # nearly every value of a register, which has a million of them
        folded = text.lower().translate(_ASCII_SKELETON)
    else:
        folded = "".join(_latin_char(c) for c in text if c not in _SEPARATORS).translate(_SKELETON)
    return folded.replace("rn", "m").replace("vv", "w").replace("cl", "d")
