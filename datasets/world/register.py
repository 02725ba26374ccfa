"""A large register of fictional shops, to measure look-ups and stores at the size of a country.

Shops have one to six resources, a few have dozens; most are Telegram names that rotate numbers, cities and endings around one
stem. Some stems are everybody's (``shop_kz``), as in life. A million resources have to be made in less than a minute, so single
draws come from ``random.Random``, which is faster one by one than numpy's generator.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType
from typing import Final

import numpy as np

from ...contract import IdentifierKind as Kind
from ...contract import Resource
from .identifiers import make
from .names import _SYLLABLES, SPLITS, valid_handle, words_of

KIND_SHARES: Final = MappingProxyType(
    {
        Kind.TELEGRAM: 0.62, Kind.TELEGRAM_INVITE: 0.1, Kind.URL: 0.09, Kind.PHONE: 0.06, Kind.ONION: 0.04, Kind.WHATSAPP: 0.025,
        Kind.INSTAGRAM: 0.02, Kind.EMAIL: 0.008, Kind.JABBER: 0.006, Kind.VK: 0.006, Kind.MATRIX: 0.004, Kind.SIGNAL: 0.004,
        Kind.THREEMA: 0.004, Kind.BTC: 0.004, Kind.TRON: 0.003, Kind.SESSION: 0.002, Kind.TON: 0.002, Kind.TOX: 0.001,
        Kind.I2P: 0.001,
    }
)  # fmt: skip
"""Share of the resources per kind."""
_SIZES: Final = MappingProxyType({1: 0.25, 2: 0.28, 3: 0.2, 4: 0.13, 5: 0.08, 6: 0.06})
_CITIES: Final = "ast almaty shym kar krg aqt atr pav kst oral nur alm taraz semey".split()
_ENDINGS: Final = "bot new reserve rez official vip chat info work job shop store market kz kaz".split()
_GENERIC: Final = (
    "shop kz market best_shop kz_shop shop_kz work_kz rabota almaty_shop magazin top_shop mix vip_kz bazar24 store".split()
)
_TLDS: Final = "kz kz kz com.kz biz shop com net org ru info top xyz site online store pro me io to vip".split()


@dataclass(frozen=True, slots=True)
class RegisterSettings:
    """Shares lie in 0..1."""

    large_share: float = 0.001
    """Shops with ``large`` resources instead of 1 to 6."""
    large: tuple[int, int] = (50, 150)
    generic_share: float = 0.02
    """Shops under a name that everybody uses."""
    two_words: float = 0.4
    """Stems of two words; the others are one invented word, or an ordinary one."""
    ordinary: float = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Register:
    """Resources as three lists of one length; no (kind, value) is listed twice."""

    kinds: list[Kind]
    values: list[str]
    shop_ids: list[str]

    def __len__(self) -> int:
        return len(self.values)

    def resources(self) -> Iterator[Resource]:
        """The same as objects, in order."""
        for kind, value, shop_id in zip(self.kinds, self.values, self.shop_ids, strict=True):
            yield Resource(kind, value, shop_id, "", "known")


def make_register(size: int, seed: int, settings: RegisterSettings | None = None) -> Register:
    """A register of ``size`` resources; the same seed and size give the same one on every machine."""
    maker = _Maker(random.Random(f"register {seed}"), np.random.default_rng([seed, 31]), settings or RegisterSettings())
    register = Register([], [], [])
    number = 0
    while len(register) < size:
        number += 1
        shop_id = f"R{number:06d}"
        for kind, value in maker.shop(size - len(register)):
            register.kinds.append(kind)
            register.values.append(value)
            register.shop_ids.append(shop_id)
    return register


class _Maker:
    """Draws shops. Holds what was drawn, so that nothing is drawn twice."""

    def __init__(self, draw: random.Random, rng: np.random.Generator, settings: RegisterSettings) -> None:
        self.draw, self.rng, self.settings = draw, rng, settings
        self.words = sorted({word for split in SPLITS for words in words_of(split) for word in words})
        self.used: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        self.kinds, self.kind_sums = list(KIND_SHARES), list(accumulate(KIND_SHARES.values()))
        self.sizes, self.size_sums = list(_SIZES), list(accumulate(_SIZES.values()))

    def shop(self, most: int) -> list[tuple[Kind, str]]:
        """The resources of one shop, ``most`` at most."""
        draw = self.draw
        generic = draw.random() < self.settings.generic_share
        # The first of the generic names are by far the most popular.
        base = _GENERIC[int(len(_GENERIC) * draw.random() ** 2)] if generic else self._stem()
        count = draw.choices(self.sizes, cum_weights=self.size_sums)[0]
        if draw.random() < self.settings.large_share:
            count = draw.randint(*self.settings.large)
        found: list[tuple[Kind, str]] = []
        last = ""
        for kind in draw.choices(self.kinds, cum_weights=self.kind_sums, k=min(count, most)):
            value = self._fresh(kind, base, last)
            last = value if kind is Kind.TELEGRAM else last
            found.append((kind, value))
        return found

    def _fresh(self, kind: Kind, base: str, last: str) -> str:
        """A value of the kind that was not drawn before; ``last`` is the shop's latest Telegram name."""
        used = self.used[kind]
        while True:
            value = self._value(kind, base, last)
            if value in used and kind in (Kind.TELEGRAM, Kind.URL, Kind.INSTAGRAM):
                last, value = "", self._value(kind, f"{base[:20]}{self.draw.randrange(10_000)}", "")
            if value not in used:
                used.add(value)
                return value

    def _value(self, kind: Kind, base: str, last: str) -> str:
        if kind is Kind.TELEGRAM:
            return self._rotated(last) if last and self.draw.random() < 0.7 else self._handle(base)
        if kind is Kind.URL:
            label = self._handle(base).replace("_", "-" if self.draw.random() < 0.6 else "")
            return f"{label}.{self.draw.choice(_TLDS)}"
        if kind is Kind.INSTAGRAM:
            name = self._handle(base)[:30].rstrip("_")
            return name.replace("_", ".") if self.draw.random() < 0.35 else name
        return make(self.rng, kind, base)

    def _stem(self) -> str:
        form = self.draw.random()
        if form < self.settings.two_words:
            second = self.draw.choice(self.words) if self.draw.random() < 0.6 else self._invented()
            return self.draw.choice(self.words) + ("_" if self.draw.random() < 0.45 else "") + second
        return self.draw.choice(self.words) if form < self.settings.two_words + self.settings.ordinary else self._invented()

    def _invented(self) -> str:
        draw = self.draw
        while True:
            onsets, vowels, codas = _SYLLABLES[draw.choice(("kazakh", "russian", "english"))]
            word = ""
            for _ in range(draw.choice((2, 2, 3))):
                word += draw.choice(onsets) + draw.choice(vowels) + (draw.choice(codas) if draw.random() < 0.5 else "")
            if 4 <= len(word) <= 11:
                return word

    def _number(self) -> str:
        form = self.draw.random()
        return str(
            self.draw.randrange(1, 10)
            if form < 0.5
            else self.draw.randrange(10, 100)
            if form < 0.8
            else self.draw.randrange(10_000)
        )

    def _handle(self, base: str) -> str:
        """A Telegram name made of a stem: bare, or with a city, an ending, a number, or an ending and a number."""
        draw = self.draw
        for _ in range(20):
            text, form, low = base, draw.random(), "_" if draw.random() < 0.6 else ""
            if form > 0.15:
                text += low + draw.choice(_CITIES if form < 0.35 else _ENDINGS if form < 0.7 else ("kz", "kaz", ""))
            if form > 0.6:
                text = text.rstrip("_") + (low if draw.random() < 0.4 else "") + self._number()
            if valid_handle(text):
                return text
        return f"{base.replace('_', '')[:20]}_kz{draw.randrange(1000)}"

    def _rotated(self, known: str) -> str:
        """The next name after a block: the number counted up, or a number, a city or an ending put behind."""
        draw = self.draw
        text = known.rstrip("0123456789")
        digits = known[len(text) :]
        if digits and draw.random() < 0.7:
            text += str(int(digits) + draw.randint(1, 3))
        else:
            text = known + draw.choice((str(draw.randint(1, 9)), "_" + draw.choice(_CITIES), "_" + draw.choice(_ENDINGS), "_bot"))
        return text if valid_handle(text) else self._handle(text[:20].rstrip("_"))
