"""The names inside identifiers: what stays when a shop rotates its handles, and how much a shared name is worth.

Shops whose resource is blocked come back under the same name with another number, a city or ``bot`` behind it
(``tulpar_kz1``, ``tulpar_kz2``, ``tulpar_kz_bot``). The stem is the name without those. A stem says something only when
its words are rare: ``shop`` and ``almaty`` are everybody's.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

import tldextract

from ..contract import IdentifierKind

NAMED_KINDS = frozenset(
    {
        IdentifierKind.TELEGRAM,
        IdentifierKind.URL,
        IdentifierKind.INSTAGRAM,
        IdentifierKind.VK,
        IdentifierKind.SIGNAL,
        IdentifierKind.MATRIX,
        IdentifierKind.JABBER,
        IdentifierKind.EMAIL,
        IdentifierKind.I2P,
    }
)
"""Kinds whose value is a name that somebody chose. Phones, onion addresses, invites and keys have no stem."""

CITY_SUFFIXES = frozenset(
    "ast astana nur nursultan ala alm almaty shym shymkent krg karaganda akt aktobe atr atyrau oral uralsk pav pavlodar ust "
    "oskemen sem semey tar taraz kok kokshe kyz kyzylorda tal taldyk tur turkestan pet petro kost kostanay ekb msk spb".split()
)
RESERVE_SUFFIXES = frozenset("bot new reserve rezerv reserv zapas official off chat channel kanal info news rab work job".split())
GENERIC_WORDS = frozenset(
    "shop store market bazar bazaar magazin shopping sale buy trade kz ru kg uz kaz qaz qazaq kazakhstan asia rf online best "
    "top vip pro mix legal legalno real original brand house home city town club zone line hub room dom place world land life "
    "group team service support help admin manager operator work job rabota jumys zhumys tabys kurier courier kladmen vakansii "
    "tg telegram channel kanal chat info news bot robot official reserve rezerv new old one the my your super mega big".split()
) | (CITY_SUFFIXES | RESERVE_SUFFIXES)
"""Words that say nothing about who the shop is."""

_suffix_list = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


def has_stem(kind: IdentifierKind) -> bool:
    """Whether values of this kind are names that can be rotated."""
    return kind in NAMED_KINDS


@lru_cache(maxsize=65536)
def words(kind: IdentifierKind, value: str) -> tuple[str, ...]:
    """The words of a name in order, lower case: digits are words of their own (``oasis38_bot`` -> oasis, 38, bot)."""
    return tuple(re.findall(r"[^\W\d_]+|\d+", _name(kind, value).lower()))


@lru_cache(maxsize=65536)
def stem(kind: IdentifierKind, value: str) -> str:
    """The name without rotating endings: numbers, ``bot``, cities and words like ``reserve``, joined by ``_``.

    At least one word stays. Hyphens and underscores count the same, so that ``tulpar_kz`` and ``tulpar-kz.store`` have one stem.
    Kinds without names give the empty text.
    """
    if not has_stem(kind):
        return ""
    parts = list(words(kind, value))
    while len(parts) > 1 and (parts[-1].isdigit() or parts[-1] in CITY_SUFFIXES or parts[-1] in RESERVE_SUFFIXES):
        parts.pop()
    if parts and len(parts[-1]) > len("bot") + 2:
        parts[-1] = parts[-1].removesuffix("bot")
    return "_".join(parts)


def shortened(text: str) -> str:
    """A stem without its last word when that is a generic one and something telling is left before it; else the empty text.

    Shops also come back under their name with one word added (``tulpar_kz`` and ``tulpar_kz_hub``).
    """
    *rest, last = text.split("_")
    return "_".join(rest) if last in GENERIC_WORDS and any(is_telling(word) for word in rest) else ""


def is_telling(word: str) -> bool:
    """Whether a word can tell one shop from another: no number, at least four letters, not one that everybody uses."""
    return word not in GENERIC_WORDS and not word.isdigit() and len(word) >= 4


def template(kind: IdentifierKind, value: str) -> tuple[str, ...]:
    """The words of a name with every number replaced by ``#``: equal for names that differ in their numbers only."""
    return tuple("#" if word.isdigit() else word for word in words(kind, value))


class Rarity:
    """How surprising a stem is by chance, from how many shops use each of its words."""

    def __init__(self, names: Iterable[tuple[str, IdentifierKind, str]]) -> None:
        """``names`` are triples of shop id, kind and value."""
        self._users: Counter[str] = Counter()
        self._shops = 0
        # Shop by shop: sets of the shops of every word would fill the memory with a large register.
        for _, listed in groupby(sorted(names, key=itemgetter(0)), key=itemgetter(0)):
            self._shops += 1
            self._users.update({word for _, kind, value in listed if has_stem(kind) for word in words(kind, value)})

    def weight(self, text: str) -> float:
        """Surprise of a stem in nats: the sum over its words of -log(share of shops that use the word).

        Generic words, numbers and words shorter than four letters count as used by ``_GENERIC_SHARE`` of all shops at least, and
        a word that nobody uses as used by one. A stem of such common words only weighs nothing.
        """
        total, telling = 0.0, False
        for word in text.split("_"):
            share = max(1, self._users[word]) / (self._shops + _UNLISTED_SHOPS)
            if is_telling(word):
                telling = True
            else:
                share = max(share, _GENERIC_SHARE)
            total -= math.log(share)
        return total if telling else 0.0


_UNLISTED_SHOPS = 20
"""Shops that exist beside the listed ones: keeps the words of a short list from looking too common."""
_GENERIC_SHARE = 0.3


def _name(kind: IdentifierKind, value: str) -> str:
    if kind is IdentifierKind.URL:
        host = re.sub(r"^[a-z][a-z0-9+.-]*://", "", value.lower()).split("/")[0].split(":")[0]
        parts = _suffix_list(host)
        return parts.domain or host
    if kind is IdentifierKind.I2P:
        return value.split(".")[0]
    if kind in (IdentifierKind.EMAIL, IdentifierKind.JABBER):
        return value.split("@")[0]
    if kind is IdentifierKind.MATRIX:
        return value.lstrip("@").split(":")[0]
    return value
