"""The characters that the recogniser knows, in the order of its outputs.

Output column 0 is the CTC blank and column ``i`` is ``ALPHABET[i - 1]``. The order is part of the trained weights: append, never
reorder.
"""

from __future__ import annotations

DIGITS = "0123456789"
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RUSSIAN = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюя"
KAZAKH = "ӘҒҚҢӨҰҮҺІәғқңөұүһі"
SIGNS = "@_./:-+()№#!?=&%,'\"*~;$<>[]|\\^→"

ALPHABET = " " + DIGITS + LATIN + RUSSIAN + KAZAKH + SIGNS
"""Space, digits, Latin, Russian, the Kazakh letters that Russian lacks, and the signs of identifiers and adverts."""

_FOLD = str.maketrans(
    {
        "\t": " ",
        "\n": " ",
        "\u00a0": " ",
        "\u2009": " ",
        "\u202f": " ",
        "«": '"',
        "»": '"',
        "“": '"',
        "”": '"',
        "„": '"',
        "‘": "'",
        "’": "'",
        "`": "'",
        "´": "'",
        "‐": "-",
        "‑": "-",
        "–": "-",
        "—": "-",
        "−": "-",
        "•": "*",
        "·": ".",
        "…": "...",
        "{": "(",
        "}": ")",
        "➜": "→",
        "➔": "→",
        "⇒": "→",
        "Ѕ": "S",
        "ѕ": "s",
        "Ј": "J",
        "ј": "j",
        "Ԛ": "Q",
        "ԛ": "q",
        "Ԝ": "W",
        "ԝ": "w",
    }
)


def to_alphabet(text: str) -> str | None:
    """``text`` written in the alphabet, or None where that cannot be done.

    Typographic variants (dashes, quotes, spaces) and letters of other alphabets that look the same become their plain form; runs
    of spaces become one, at the ends none.
    """
    folded = " ".join(text.translate(_FOLD).split())
    return folded if all(c in _KNOWN for c in folded) else None


_KNOWN = frozenset(ALPHABET)
