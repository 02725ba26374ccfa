"""How an identifier is painted: the spellings of each kind, and the ways sellers disguise them.

``paint`` gives one line for a canonical value, ``disguise`` changes how a line is written without changing what it means.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final

import numpy as np

from ...contract import IdentifierKind, TagtraceError
from .draw import between, chance, choice, weighted
from .identifiers import ton_friendly, tox_id


@dataclass(frozen=True, slots=True)
class LineText:
    """One painted line.

    ``text`` is exactly as painted (case, disguise, alphabet). ``canonical`` is the value it means: a Telegram name without ``@``
    and in lower case, ``+`` and the hash for an invite, the host for a URL (``xn--`` form), ``….onion``, ``+7749…`` for phones
    and WhatsApp, the raw form for TON, the key for Tox; the text itself for words. ``kind`` is an ``IdentifierKind`` value or
    ``word``. ``part`` is (i, n): line i of an identifier split over n lines, which all repeat the canonical value. ``evasion``
    is "" or one of ``EVASIONS``.
    """

    text: str
    canonical: str
    kind: str
    part: tuple[int, int] = (1, 1)
    evasion: str = ""


WORD: Final = "word"
DISGUISED_KINDS: Final = (IdentifierKind.TELEGRAM, IdentifierKind.URL, IdentifierKind.INSTAGRAM)
"""Kinds that can be written in any case, and so can be disguised by more than a split."""
LONG_KINDS: Final = (IdentifierKind.ONION, IdentifierKind.SESSION, IdentifierKind.TOX, IdentifierKind.TON, IdentifierKind.I2P)
"""Kinds so long that they are mostly written on two or three lines."""
EVASIONS: Final = ("upper", "mixed_case", "lookalike", "spaced", "zero_o", "dots", "split")

_TELEGRAM_FORMS: Final = MappingProxyType(
    {
        "@{}": 38.0, "t.me/{}": 22.0, "https://t.me/{}": 5.0, "http://t.me/{}": 0.5, "telegram.me/{}": 2.0,
        "telegram.dog/{}": 0.3, "www.t.me/{}": 0.5, "T.me/{}": 1.5, "{}.t.me": 1.5, "ТГ: @{}": 3.0, "ТГ @{}": 3.0,
        "ТГ {}": 1.5, "тг @{}": 2.0, "тг: @{}": 2.0, "тг {}": 1.5, "TG @{}": 2.5, "TG: @{}": 2.5, "TG: {}": 1.0, "tg @{}": 1.5,
        "tg: {}": 1.0, "tg:@{}": 1.0, "Tg {}": 1.0, "telega: {}": 0.8, "telega @{}": 0.8, "Телега: @{}": 1.0, "телега {}": 0.8,
        "ТЕЛЕГРАМ @{}": 1.0, "Telegram: @{}": 1.5, "Telegram - {}": 1.0, "telegram @{}": 1.0, "TELEGRAM: {}": 1.0,
        "Телеграм {}": 0.8, "бот @{}": 0.8, "БОТ: @{}": 0.6, "пиши @{}": 0.7, "писать: @{}": 0.5, "жаз: @{}": 0.4,
        "канал @{}": 0.4, "@{} (TG)": 0.3, "-> @{}": 0.2, "( @{} )": 0.2, "t.me/s/{}": 0.3, "t.me/{}/": 0.3,
        "t.me/{}?start=1": 0.3, "t.me / {}": 0.4, "@ {}": 0.6, "{}": 2.0,
    }
)  # fmt: skip
_PLAIN_FORMS: Final = MappingProxyType(
    {"@{}": 55.0, "t.me/{}": 28.0, "ТГ: @{}": 4.0, "ТГ @{}": 4.0, "тг @{}": 3.0, "TG @{}": 3.0, "TG: @{}": 2.0, "телега @{}": 1.0}
)
_INVITE_FORMS: Final = MappingProxyType(
    {"t.me/{}": 70.0, "https://t.me/{}": 15.0, "telegram.me/{}": 2.0, "TG: t.me/{}": 3.0, "тг t.me/{}": 2.0}
)
_JOINCHAT_FORMS: Final = ("t.me/joinchat/{}", "https://t.me/joinchat/{}", "telegram.me/joinchat/{}")
_PHONE_FORMS: Final = MappingProxyType(
    {
        "+7 {a} {b} {c} {d}": 14.0, "+7 ({a}) {b}-{c}-{d}": 6.0, "+7({a}){b}-{c}-{d}": 5.0, "+7{a}{b}{c}{d}": 10.0,
        "8{a}{b}{c}{d}": 12.0, "8 {a} {b} {c} {d}": 12.0, "8({a}){b}-{c}-{d}": 6.0, "8 ({a}) {b} {c} {d}": 5.0,
        "8-{a}-{b}-{c}-{d}": 7.0, "8{a} {b} {c} {d}": 4.0, "+7-{a}-{b}-{c}-{d}": 3.0, "+7 {a} {b}-{c}-{d}": 4.0,
        "8 {a} {b}-{c}-{d}": 4.0, "{a} {b} {c} {d}": 3.0, "{a}-{b}-{c}-{d}": 2.0, "8.{a}.{b}.{c}.{d}": 1.5,
        "+7.{a}.{b}.{c}.{d}": 1.0, "8 {a} {b}{c}{d}": 3.0, "+7 {a} {b}{c}{d}": 2.0, "8-{a}-{b}{c}{d}": 1.0,
        "тел. 8 {a} {b} {c} {d}": 1.0, "Тел: 8{a}{b}{c}{d}": 1.0, "т. +7 {a} {b} {c} {d}": 0.7,
        "тел.: +7({a}){b}-{c}-{d}": 0.7, "звони 8 {a} {b} {c} {d}": 0.5, "WhatsApp 8 {a} {b} {c} {d}": 0.8,
        "WhatsApp: +7{a}{b}{c}{d}": 0.8, "ватсап +7 {a} {b} {c} {d}": 0.8, "WA +7{a}{b}{c}{d}": 0.5, "вацап 8{a}{b}{c}{d}": 0.4,
    }
)  # fmt: skip
_FOREIGN_PHONE_FORMS: Final = ("+{cc} {a} {b} {c}", "+{cc}{a}{b}{c}", "+{cc} ({a}) {b}-{c}", "+{cc}-{a}-{b}-{c}", "{cc}{a}{b}{c}")
_PATHS: Final = (
    "/",
    "/shop",
    "/kz",
    "/ru",
    "/work",
    "/job",
    "/rabota",
    "/almaty",
    "/ast",
    "/go",
    "/?r=7",
    "/new",
    "/menu",
    "/info",
    "/24",
)

_OTHER_FORMS: Final = MappingProxyType(
    {
        IdentifierKind.WHATSAPP: ("wa.me/{}", "https://wa.me/{}", "WhatsApp: wa.me/{}", "WA: wa.me/{}", "ватсап wa.me/{}"),
        IdentifierKind.INSTAGRAM: (
            "instagram.com/{}",
            "inst: {}",
            "inst: @{}",
            "Instagram: {}",
            "INSTAGRAM @{}",
            "insta @{}",
            "инста: {}",
            "инста @{}",
            "ig: {}",
        ),
        IdentifierKind.VK: ("vk.com/{}", "vk.com/{}", "https://vk.com/{}", "VK: {}", "vk.me/{}", "ВК: vk.com/{}"),
        IdentifierKind.SIGNAL: ("Signal: {}", "signal {}", "SIGNAL: {}", "сигнал: {}"),
        IdentifierKind.SESSION: ("{}", "Session: {}", "session id {}"),
        IdentifierKind.THREEMA: ("Threema: {}", "THREEMA {}", "threema ID: {}", "threema.id/{}", "Threema {}"),
        IdentifierKind.MATRIX: ("{}", "Matrix: {}", "matrix {}", "Element: {}"),
        IdentifierKind.JABBER: (
            "jabber: {}",
            "Jabber: {}",
            "XMPP: {}",
            "xmpp {}",
            "jabber {}",
            "JABBER: {}",
            "джаббер: {}",
            "OTR: {}",
        ),
        IdentifierKind.TOX: ("{}", "TOX: {}", "tox {}", "Tox ID: {}"),
        IdentifierKind.EMAIL: ("{}", "{}", "e-mail: {}", "mail: {}", "почта: {}", "E-mail {}"),
        IdentifierKind.BTC: ("{}", "BTC: {}", "btc {}", "Bitcoin: {}"),
        IdentifierKind.TRON: ("{}", "USDT: {}", "TRC20: {}", "USDT TRC20 {}", "TRX: {}"),
        IdentifierKind.TON: ("{}", "TON: {}", "ton {}"),
        IdentifierKind.I2P: ("{}", "http://{}", "i2p: {}", "I2P: {}"),
    }
)


def paint(rng: np.random.Generator, kind: IdentifierKind, value: str, plain: bool = False) -> LineText:
    """One line that shows a canonical value, in a spelling that people use for its kind.

    ``plain`` keeps a Telegram name to the spellings that a disguise can start from (``@name``, ``t.me/name``, ``ТГ @name``).
    Raises ``TagtraceError`` for a kind that is never painted (``qr``).
    """
    if kind is IdentifierKind.TELEGRAM:
        text = weighted(rng, _PLAIN_FORMS if plain else _TELEGRAM_FORMS).format(_cased(rng, value))
    elif kind is IdentifierKind.TELEGRAM_INVITE:
        joinchat = chance(rng, 0.12)
        text = choice(rng, _JOINCHAT_FORMS).format(value[1:]) if joinchat else weighted(rng, _INVITE_FORMS).format(value)
    elif kind is IdentifierKind.URL:
        text = _url(rng, value)
    elif kind is IdentifierKind.ONION:
        text = _onion(rng, value)
    elif kind is IdentifierKind.PHONE:
        text = paint_phone(rng, value)
    elif kind in _OTHER_FORMS:
        text = choice(rng, _OTHER_FORMS[kind]).format(written(rng, kind, value))
    else:
        raise TagtraceError(f"{kind} cannot be painted as a line of text: give its payload as a code")
    return LineText(text, value, kind.value)


def written(rng: np.random.Generator, kind: IdentifierKind, value: str) -> str:
    """A canonical value as people write it down: the friendly form for TON, the whole ID for Tox, no plus for WhatsApp links."""
    if kind is IdentifierKind.TON:
        return ton_friendly(value, bounceable=chance(rng, 0.5))
    if kind is IdentifierKind.TOX:
        return tox_id(rng, value)
    return value.removeprefix("+") if kind is IdentifierKind.WHATSAPP else value


def _cased(rng: np.random.Generator, value: str) -> str:
    """A Telegram name as its owner writes it: lower case mostly, sometimes with capitals at the beginning of words."""
    form = weighted(rng, {"lower": 0.86, "title": 0.09, "first": 0.05})
    if form == "title":
        return "_".join(part[:1].upper() + part[1:] for part in value.split("_"))
    return value[:1].upper() + value[1:] if form == "first" else value


def _url(rng: np.random.Generator, value: str) -> str:
    host = value.encode().decode("idna") if "xn--" in value and not chance(rng, 0.1) else value
    scheme = weighted(rng, {"": 0.6, "https://": 0.16, "http://": 0.04, "www.": 0.16, "https://www.": 0.02, "сайт: ": 0.02})
    text = scheme + host + (choice(rng, _PATHS) if chance(rng, 0.12) else "")
    return text[:1].upper() + text[1:] if chance(rng, 0.04) else text


def _onion(rng: np.random.Generator, value: str) -> str:
    text = value if chance(rng, 0.75) else value.removesuffix(".onion")
    return ("http://" if chance(rng, 0.06) else "") + text + ("/" if chance(rng, 0.02) else "")


def paint_phone(rng: np.random.Generator, value: str) -> str:
    """An E.164 number in one of the spellings seen on walls and posters."""
    if value.startswith("+7"):
        digits = value[2:]
        return weighted(rng, _PHONE_FORMS).format(a=digits[:3], b=digits[3:6], c=digits[6:8], d=digits[8:])
    country, digits = value[1:4], value[4:]
    head = 3 if country == "996" else 2
    return choice(rng, _FOREIGN_PHONE_FORMS).format(cc=country, a=digits[:head], b=digits[head : head + 3], c=digits[head + 3 :])


# --- disguises ---------------------------------------------------------------------------------------------------------------

_UPPER_LOOKALIKES: Final = dict(zip("ABCEHKMOPTXYI", "АВСЕНКМОРТХУІ", strict=True))
_LOWER_LOOKALIKES: Final = dict(zip("aceopxyi", "асеорхуі", strict=True))
_LOOSE_LOOKALIKES: Final = dict(zip("kmtbh", "кмтвн", strict=True)) | {"3": "З", "4": "Ч", "6": "б"}
"""Letters of the other alphabet that are only like in their capital form: less common."""
_TELEGRAM_WEIGHTS: Final = MappingProxyType(
    {"upper": 0.3, "mixed_case": 0.14, "lookalike": 0.17, "spaced": 0.13, "zero_o": 0.06, "dots": 0.1, "split": 0.1}
)


def _anchor(line: LineText) -> int:
    """Where the identifier itself begins in the text."""
    core = line.canonical.removeprefix("+")
    at = line.text.lower().find(core)
    return max(at, 0)


def _upper(rng: np.random.Generator, line: LineText) -> str:
    return line.text.upper()


def _mixed_case(rng: np.random.Generator, line: LineText) -> str:
    start = _anchor(line)
    if chance(rng, 0.4):  # every other letter
        tail = "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(line.text[start:]))
    else:
        share = float(rng.uniform(0.2, 0.7))
        tail = "".join(c.upper() if rng.random() < share else c.lower() for c in line.text[start:])
    return line.text[:start] + tail


def _lookalike(rng: np.random.Generator, line: LineText) -> str:
    start, text = _anchor(line), line.text
    if chance(rng, 0.35):
        text = text.upper()
    table = {**_UPPER_LOOKALIKES, **_LOWER_LOOKALIKES, **(_LOOSE_LOOKALIKES if chance(rng, 0.3) else {})}
    share = choice(rng, (0.4, 0.7, 1.0))
    head = text[:start]
    if chance(rng, 0.25):
        head = head.replace("t.me", "т.ме").replace("T.ME", "Т.МЕ")
    return head + "".join(table.get(c, c) if rng.random() < share else c for c in text[start:])


def _spaced(rng: np.random.Generator, line: LineText) -> str:
    start = _anchor(line)
    gap = " " if chance(rng, 0.85) else "  "
    tail = gap.join(line.text[start:])
    if chance(rng, 0.3):
        tail = tail.upper()
    return line.text[:start] + tail


def _zero_o(rng: np.random.Generator, line: LineText) -> str:
    start = _anchor(line)
    tail = line.text[start:]
    where = [i for i, char in enumerate(tail) if char in "oO"]
    kept = choice(rng, where) if len(where) > 1 and chance(rng, 0.3) else None  # sometimes not all of them
    return line.text[:start] + "".join("0" if i in where and i != kept else char for i, char in enumerate(tail))


def _dots(rng: np.random.Generator, line: LineText) -> str:
    start = _anchor(line)
    tail = line.text[start:]
    if chance(rng, 0.3):
        return line.text[:start] + ".".join(tail)
    for at in sorted((between(rng, 1, len(tail) - 1) for _ in range(between(rng, 1, 3))), reverse=True):
        tail = tail[:at] + "." + tail[at:]
    return line.text[:start] + tail.replace("..", ".")


_DISGUISES: Final = MappingProxyType(
    {"upper": _upper, "mixed_case": _mixed_case, "lookalike": _lookalike, "spaced": _spaced, "zero_o": _zero_o, "dots": _dots}
)


def split(rng: np.random.Generator, line: LineText, count: int) -> tuple[LineText, ...]:
    """One line cut into ``count`` lines, each at least four characters long; the line itself when it is too short for that."""
    start, size = _anchor(line), len(line.text)
    if size - start < 4 * count:
        return (line,)
    cuts = [start + round((size - start) * (i + 1) / count + float(rng.uniform(-1.5, 1.5))) for i in range(count - 1)]
    phone = line.kind == IdentifierKind.PHONE.value
    joints = [i + 1 for i in range(start + 2, size - 3) if line.text[i] in (" -." if phone else "_")]
    if count == 2 and joints and (phone or chance(rng, 0.5)):
        cuts = [choice(rng, joints)]
    edges = [0, *cuts, size]
    pieces = [line.text[a:b].strip() for a, b in pairwise(edges)]
    return tuple(replace(line, text=piece, part=(i + 1, count), evasion="split") for i, piece in enumerate(pieces))


def disguise(rng: np.random.Generator, line: LineText, evasion: str | None = None) -> tuple[LineText, ...]:
    """The line in disguise: one line, or several when it is split. ``evasion`` names the disguise, else it is drawn.

    Kinds whose value depends on case or on its exact characters are only ever split; links and Instagram names change their case.
    A disguise that would change nothing gives the line as it is, without evasion.
    """
    kind = IdentifierKind(line.kind)
    if evasion is None:
        if kind is IdentifierKind.TELEGRAM:
            evasion = weighted(rng, _TELEGRAM_WEIGHTS)
        else:
            evasion = weighted(rng, {"upper": 0.7, "mixed_case": 0.3}) if kind in DISGUISED_KINDS else "split"
    if evasion == "split":
        return split(rng, line, 3 if len(line.text) > 40 and chance(rng, 0.4) else 2)
    text = _DISGUISES[evasion](rng, line)
    return (replace(line, text=text, evasion=evasion),) if text != line.text else (line,)
