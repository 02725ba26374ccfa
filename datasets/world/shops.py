"""The fictional shops of one split, the adverts they paint, and lines for training a recogniser."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from ...contract import IdentifierKind as Kind
from ...contract import Resource, TagtraceError
from . import codes
from .draw import chance, choice, weighted
from .freelines import free_line
from .identifiers import make
from .names import check_split, shop_name, sibling, stem
from .spelling import DISGUISED_KINDS, LONG_KINDS, WORD, LineText, disguise, paint
from .texts import DistractorText, cased, distractor, wording

STYLES: Final = ("stencil", "spray", "marker", "stamp", "sticker", "poster")
SHOPS: Final = MappingProxyType({"train": 1500, "val": 200, "test": 200})
"""Shops per split."""
_SPLIT_NUMBER: Final = MappingProxyType({"train": 0, "val": 1, "test": 2})
MAX_LINES: Final = 5


@dataclass(frozen=True, slots=True)
class Shop:
    """A fictional seller: 1 to 6 resources, and whether they stand in the list of known shops (``registered``)."""

    shop_id: str
    name: str
    stem: str
    registered: bool
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class AdvertText:
    """What one advert says: 1 to 5 lines in reading order, and the payload of its code where it has one.

    ``code_payload`` is verbatim, ``code_canonical`` the kind and canonical value that it means.
    """

    shop_id: str
    lines: tuple[LineText, ...]
    code_payload: str | None = None
    code_canonical: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class AdvertSettings:
    """How often adverts show what; every number is a probability unless it says otherwise."""

    disguised: float = 0.22
    new_sibling: float = 0.2
    """Shows a handle of the shop that is in no list of known resources."""
    no_word: float = 0.38
    two_words: float = 0.16
    second_identifier: float = 0.17
    code_on_print: float = 0.8
    """Stickers and posters that carry a code."""
    code_only_words: float = 0.3
    """Of those with a code: no contact in writing."""
    disguised_free_line: float = 0.35
    long_split: float = 0.75
    """Onion addresses, keys and the like on two or three lines."""


_FIRST_KINDS: Final = MappingProxyType(
    {
        Kind.TELEGRAM: 0.66,
        Kind.TELEGRAM_INVITE: 0.11,
        Kind.URL: 0.08,
        Kind.ONION: 0.05,
        Kind.PHONE: 0.06,
        Kind.WHATSAPP: 0.02,
        Kind.INSTAGRAM: 0.02,
    }
)
_OTHER_KINDS: Final = MappingProxyType(
    {
        Kind.TELEGRAM: 40.0, Kind.TELEGRAM_INVITE: 14.0, Kind.URL: 14.0, Kind.ONION: 7.0, Kind.PHONE: 10.0, Kind.WHATSAPP: 4.0,
        Kind.INSTAGRAM: 3.0, Kind.VK: 1.0, Kind.SIGNAL: 0.7, Kind.SESSION: 0.4, Kind.THREEMA: 0.8, Kind.MATRIX: 0.6,
        Kind.JABBER: 1.2, Kind.TOX: 0.3, Kind.EMAIL: 2.0, Kind.BTC: 0.6, Kind.TRON: 0.5, Kind.TON: 0.3, Kind.I2P: 0.3,
    }
)  # fmt: skip


def _make_shop(rng: np.random.Generator, split: str, number: int) -> Shop:
    base = stem(rng, split)
    shop_id, name = f"{split[:2].upper()}{number:04d}", shop_name(rng, base)
    registered = chance(rng, 0.75)
    found: dict[tuple[Kind, str], None] = {}
    count = weighted(rng, {1: 0.25, 2: 0.28, 3: 0.2, 4: 0.13, 5: 0.08, 6: 0.06})
    while len(found) < count:
        kind = weighted(rng, _OTHER_KINDS if found else _FIRST_KINDS)
        handles = [value for known, value in found if known is Kind.TELEGRAM]
        value = sibling(rng, choice(rng, handles), base) if kind is Kind.TELEGRAM and handles else make(rng, kind, base)
        found[kind, value] = None
    status = "known" if registered else ""
    return Shop(shop_id, name, base, registered, tuple(Resource(kind, value, shop_id, name, status) for kind, value in found))


class World:
    """The fictional sellers of one split. The same seed and split give the same shops in every process.

    ``split`` is train, val or test: no stem of one is used in another. Raises ``TagtraceError`` for any other split.
    """

    def __init__(self, seed: int, split: str, settings: AdvertSettings | None = None) -> None:
        self.split = check_split(split)
        self.settings = settings or AdvertSettings()
        rng = np.random.default_rng([seed, _SPLIT_NUMBER[split], 20])
        shops: dict[str, Shop] = {}
        while len(shops) < SHOPS[split]:
            shop = _make_shop(rng, split, len(shops) + 1)
            shops.setdefault(shop.stem, shop)
        self.shops: tuple[Shop, ...] = tuple(shops.values())

    def advert(self, rng: np.random.Generator, style: str) -> AdvertText:
        """The text of one advert of a random shop, as it suits the way it is put on the wall (one of ``STYLES``)."""
        if style not in STYLES:
            raise TagtraceError(f"unknown style {style!r}: choose one of {', '.join(STYLES)}")
        set_, shop = self.settings, choice(rng, self.shops)
        printed = style in ("sticker", "poster")
        code = codes.payload(rng, self._resource(rng, shop)) if printed and chance(rng, set_.code_on_print) else None
        contacts: list[LineText] = []
        if code is None or not chance(rng, set_.code_only_words):
            contacts = self._contacts(rng, shop)
        words = self._words(rng, shop, needed=not contacts)
        lines = _arranged(rng, contacts, words)
        if code is None:
            return AdvertText(shop.shop_id, lines)
        return AdvertText(shop.shop_id, lines, code.payload, (code.kind.value, code.canonical))

    def distractor(self, rng: np.random.Generator, kind: str) -> DistractorText:
        """A text that is no advert: house, plate, sign, poster, slogan, tag, road, price or notice."""
        return distractor(rng, kind, self.split)

    def free_line(self, rng: np.random.Generator) -> LineText:
        """A line for training the recogniser alone: every kind and disguise, words, random strings; not tied to the shops."""
        return free_line(rng, self.split, self.settings.disguised_free_line)

    def _resource(self, rng: np.random.Generator, shop: Shop) -> Resource:
        """One of the shop's resources, the first ones more often, or a sibling that nobody knows yet."""
        resources = shop.resources
        resource = resources[min(int(rng.exponential(1.2)), len(resources) - 1)]
        if resource.kind is Kind.TELEGRAM and chance(rng, self.settings.new_sibling):
            return Resource(Kind.TELEGRAM, sibling(rng, resource.value, shop.stem), shop.shop_id, shop.name)
        return resource

    def _contacts(self, rng: np.random.Generator, shop: Shop) -> list[LineText]:
        """The written contacts, one or two, disguised and split as it comes; three lines at most."""
        lines: list[LineText] = []
        values: set[str] = set()
        for _ in range(2 if chance(rng, self.settings.second_identifier) else 1):
            resource = self._resource(rng, shop)
            if resource.value in values:
                continue
            values.add(resource.value)
            painted = self._painted(rng, resource)
            if len(lines) + len(painted) <= MAX_LINES - 1:
                lines.extend(painted)
        return lines

    def _painted(self, rng: np.random.Generator, resource: Resource) -> tuple[LineText, ...]:
        """The line or lines that show one resource."""
        if resource.kind in LONG_KINDS:
            line = paint(rng, resource.kind, resource.value)
            return disguise(rng, line, "split") if chance(rng, self.settings.long_split) else (line,)
        share = self.settings.disguised if resource.kind in DISGUISED_KINDS else self.settings.disguised / 4
        hidden = chance(rng, share)
        line = paint(rng, resource.kind, resource.value, plain=hidden)
        return disguise(rng, line) if hidden else (line,)

    def _words(self, rng: np.random.Generator, shop: Shop, needed: bool) -> list[LineText]:
        count = weighted(rng, {0: 0.0 if needed else self.settings.no_word, 1: 0.46, 2: self.settings.two_words})
        texts = [wording(rng, self.split) for _ in range(count)]
        if count and chance(rng, 0.12):
            texts[0] = cased(rng, shop.name)
        return [LineText(text, text, WORD) for text in texts]


def _arranged(rng: np.random.Generator, contacts: list[LineText], words: list[LineText]) -> tuple[LineText, ...]:
    """Words above the contact mostly, else below or on both sides; five lines at most."""
    words = words[: MAX_LINES - len(contacts)]
    form = weighted(rng, {"above": 0.68, "below": 0.2, "around": 0.12})
    if form == "above" or not contacts:
        return (*words, *contacts)
    return (*contacts, *words) if form == "below" else (*words[:1], *contacts, *words[1:])
