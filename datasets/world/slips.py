"""Values that an eye takes for each other: what makes a link to the wrong resource likely."""

from __future__ import annotations

import numpy as np

from ...contract import IdentifierKind


def near_miss(rng: np.random.Generator, kind: IdentifierKind, value: str) -> str:
    """A value one slip of the eye away: a look-alike, another, one more or one less character; another digit in a number."""
    at = int(rng.integers(1, len(value)))
    char = value[at]
    if kind in (IdentifierKind.PHONE, IdentifierKind.WHATSAPP):
        at = int(rng.integers(len(value) - 7, len(value)))
        return (
            value[:at] + str((int(value[at]) + int(rng.integers(1, 10))) % 10) + value[at + 1 :] if value[at].isdigit() else value
        )
    others = _LOOKS.get(char, "") * 4 + "aeiourstnlkmz"
    new = others[int(rng.integers(len(others)))]
    form = int(rng.integers(4))
    if form == 0 and len(value) > 6:
        return value[:at] + value[at + 1 :]
    return value[:at] + (char + new if form == 1 else new) + value[at + 1 :]


_LOOKS = {
    "o": "0c", "0": "o", "l": "1i", "1": "li", "i": "1l", "s": "5", "5": "s", "b": "68", "6": "b", "8": "b", "n": "hmu",
    "h": "nb", "u": "vn", "v": "uy", "y": "v", "c": "eo", "e": "c", "g": "q9", "q": "g", "m": "nw", "r": "n", "t": "f",
    "f": "t", "a": "o", "d": "a", "k": "h", "z": "2", "2": "z", "p": "r", "x": "k", "j": "i", "w": "v", "7": "1", "3": "8",
    "9": "g", "4": "a",
}  # fmt: skip
"""What a character of a name is taken for on walls."""
