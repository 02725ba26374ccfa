"""Lines for training a recogniser alone: every kind and disguise, words, and strings without any meaning.

They are drawn from the whole space of names, not from the shops of a world, so that the reader learns characters and not a list.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np

from ...contract import IdentifierKind as Kind
from ...models.alphabet import DIGITS, KAZAKH, LATIN, RUSSIAN, SIGNS
from .draw import between, chance, choice, string, weighted
from .identifiers import BASE32, BASE64URL, make
from .names import stem
from .spelling import DISGUISED_KINDS, LONG_KINDS, WORD, LineText, disguise, paint
from .texts import balanced_word, cased, cyrillic_word, wording

MIX: Final = MappingProxyType(
    {"handle": 43.0, "invite": 10.0, "onion": 6.0, "phone": 10.0, "url": 7.0, "other": 5.0, "word": 14.0, "random": 5.0}
)
"""Shares of the lines, in per cent."""
_KINDS: Final = MappingProxyType(
    {"handle": Kind.TELEGRAM, "invite": Kind.TELEGRAM_INVITE, "phone": Kind.PHONE, "url": Kind.URL, "onion": Kind.ONION}
)
_OTHER_KINDS: Final = MappingProxyType(
    {
        **dict.fromkeys((Kind.WHATSAPP, Kind.INSTAGRAM, Kind.JABBER, Kind.EMAIL), 2.0),
        **dict.fromkeys((Kind.VK, Kind.SIGNAL, Kind.SESSION, Kind.THREEMA, Kind.MATRIX), 1.0),
        **dict.fromkeys((Kind.TOX, Kind.BTC, Kind.TRON, Kind.TON, Kind.I2P), 1.0),
    }
)
_ANYTHING: Final = (DIGITS + LATIN + RUSSIAN + KAZAKH) * 2 + "@_./:-+()№#!?" * 3 + SIGNS
"""Letters and digits, the signs of identifiers a little more often, and all the others."""


def free_line(rng: np.random.Generator, split: str, disguised: float) -> LineText:
    """One line; ``disguised`` is the probability that a handle or link is disguised. Of a split one it is any of its lines."""
    form = weighted(rng, MIX)
    if form == "word":
        return _words(_word(rng, split))
    if form == "random":
        return _words(random_text(rng))
    if form == "onion" and chance(rng, 0.5):
        text = string(rng, BASE32, between(rng, 12, 56)) + (".onion" if chance(rng, 0.3) else "")
        return _words(text.upper() if chance(rng, 0.1) else text)
    if form == "invite" and chance(rng, 0.3):
        return _words(string(rng, BASE64URL, between(rng, 6, 28)))
    kind = _KINDS.get(form) or weighted(rng, _OTHER_KINDS)
    hidden = kind in DISGUISED_KINDS and chance(rng, disguised)
    line = paint(rng, kind, make(rng, kind, stem(rng, split)), plain=hidden)
    if hidden:
        return choice(rng, disguise(rng, line))
    return choice(rng, disguise(rng, line, "split")) if kind in LONG_KINDS and chance(rng, 0.6) else line


def _words(text: str) -> LineText:
    return LineText(text, text, WORD)


def _word(rng: np.random.Generator, split: str) -> str:
    form = weighted(rng, {"wording": 0.5, "invented": 0.25, "balanced": 0.25})
    if form == "wording":
        return wording(rng, split)
    return cased(rng, cyrillic_word(rng, split)) if form == "invented" else balanced_word(rng)


def random_text(rng: np.random.Generator) -> str:
    """Characters of the whole alphabet at random, 1 to 16 of them, now and then with a space inside."""
    text = string(rng, _ANYTHING, between(rng, 1, 16))
    return f"{text[: len(text) // 2]} {text[len(text) // 2 :]}" if len(text) > 4 and chance(rng, 0.25) else text
