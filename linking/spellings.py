"""How a known contact is written on a wall: in its usual forms, and in the manner of a line that was read.

``spellings`` lists the usual forms of a canonical value as the recogniser would transcribe them. ``rewritten`` writes one value
in place of another that was read, and keeps the manner of the wall: the anchor before it, capitals, letters of the other
alphabet, spaces and dots inside. A likelihood is best compared between texts of the same manner.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from rapidfuzz.distance import Levenshtein

from ..contract import IdentifierKind, Resource
from ..inference.identifiers.fold import digit_char, fold_char
from ..models.alphabet import to_alphabet

MOST_SPELLINGS = 24
"""Spellings of one value at most."""

_HANDLE_FORMS = ("@{}", "{}", "t.me/{}", "https://t.me/{}", "telegram.me/{}", "tg: @{}", "TG: @{}", "ТГ: @{}", "ТГ @{}", "tg @{}")
_PHONE_FORMS = (
    "+7{a}{b}{c}{d}",
    "8{a}{b}{c}{d}",
    "+7 {a} {b} {c} {d}",
    "8 {a} {b} {c} {d}",
    "+7 ({a}) {b}-{c}-{d}",
    "+7({a}){b}-{c}-{d}",
    "8 ({a}) {b}-{c}-{d}",
    "8({a}){b}-{c}-{d}",
    "8 ({a}) {b} {c} {d}",
    "8-{a}-{b}-{c}-{d}",
    "+7-{a}-{b}-{c}-{d}",
    "+7 {a} {b}-{c}-{d}",
    "8 {a} {b}-{c}-{d}",
    "8{a} {b} {c} {d}",
    "{a} {b} {c} {d}",
)
_SOCIAL_FORMS = {
    IdentifierKind.INSTAGRAM: ("instagram.com/{}", "inst: {}", "inst: @{}", "@{}", "{}"),
    IdentifierKind.VK: ("vk.com/{}", "https://vk.com/{}", "vk.me/{}", "VK: {}", "{}"),
    IdentifierKind.SIGNAL: ("Signal: {}", "signal {}", "{}"),
    IdentifierKind.THREEMA: ("Threema: {}", "threema.id/{}", "{}"),
    IdentifierKind.JABBER: ("jabber: {}", "xmpp: {}", "{}"),
}
_PHONES = frozenset({IdentifierKind.PHONE, IdentifierKind.WHATSAPP})
_CASE_SENSITIVE = frozenset({IdentifierKind.TELEGRAM_INVITE, IdentifierKind.BTC, IdentifierKind.TRON, IdentifierKind.TON})
_SEPARATORS = frozenset(" .-()")
"""What may stand between the characters of a Telegram name or a number without being part of it."""


def spellings(resource: Resource) -> tuple[str, ...]:
    """The ways in which a resource is usually written, most usual first: distinct, in the recogniser's alphabet, 24 at most.

    Forms with an anchor come before the bare value. Kinds written in any case are listed in capitals, too.
    """
    value = resource.value
    if resource.kind is IdentifierKind.TELEGRAM:
        forms = [form.format(value) for form in _HANDLE_FORMS]
        forms += [f"@{value.upper()}", f"T.ME/{value.upper()}", value.upper(), "@" + " ".join(value), "@" + _titled(value)]
    elif resource.kind is IdentifierKind.TELEGRAM_INVITE:
        forms = [f"t.me/{value}", f"https://t.me/{value}", f"t.me/joinchat/{value[1:]}", f"telegram.me/{value}", value]
    elif resource.kind in _PHONES:
        forms = _phone_forms(resource.kind, value)
    elif resource.kind is IdentifierKind.URL:
        forms = _host_forms(value)
    else:
        forms = [form.format(value) for form in _SOCIAL_FORMS.get(resource.kind, ("{}",))]
        forms += [] if resource.kind in _CASE_SENSITIVE else [value.upper()]
    known = (to_alphabet(form) for form in forms)
    return tuple(dict.fromkeys(form for form in known if form))[:MOST_SPELLINGS]


def rewritten(raw: str, kind: IdentifierKind, read: str, value: str) -> tuple[str, ...]:
    """``value`` as it would stand in ``raw``, a piece of text that was read as the value ``read``; best first, often one text.

    What both values share stays as it was read, in its case and alphabet, with the spaces and dots between; what they do not
    share is written in the case of the characters beside it. Empty where the value cannot be found in ``raw``. A whole text of
    several lines comes back with its line breaks.
    """
    spots = _spots(raw, kind, read)
    if spots is None:
        return ()
    source, target = _compared(kind, read), _compared(kind, value)
    upper = _is_upper(raw, spots)
    if kind in _CASE_SENSITIVE:
        return (_edited(raw, spots, source, target, str),)
    texts = [_edited(raw, spots, source, target, str.upper if upper else str)]
    if not upper and not raw.islower():
        texts.append(_edited(raw, spots, source, target, str.upper))
    return tuple(dict.fromkeys(texts))


def _edited(raw: str, spots: list[int], source: str, target: str, style: Callable[[str], str]) -> str:
    """``raw`` with the characters at ``spots``, which spell ``source``, changed to spell ``target``; new ones in ``style``."""
    first, pieces = "", {spot: raw[spot] for spot in spots}
    for op in Levenshtein.opcodes(source, target):
        new = style(target[op.dest_start : op.dest_end])
        if op.tag == "insert" and not op.src_start:
            first = new
        elif op.tag == "insert":
            pieces[spots[op.src_start - 1]] += new
        elif op.tag != "equal":
            for number, spot in enumerate(spots[op.src_start : op.src_end]):
                pieces[spot] = new[number : number + 1]
    pieces[spots[0]] = first + pieces[spots[0]]
    return "".join(pieces.get(index, char) for index, char in enumerate(raw))


def _spots(raw: str, kind: IdentifierKind, read: str) -> list[int] | None:
    """The positions in ``raw`` of the characters of the compared form of ``read``, or None where they are not all there."""
    wanted = _compared(kind, read)
    seen, places = [], []
    for index, char in enumerate(raw):
        plain = _plain(kind, char)
        if plain:
            seen.append(plain)
            places.append(index)
    text = "".join(seen)
    start = text.rfind(wanted)
    if start < 0 and kind is IdentifierKind.TELEGRAM:
        start = text.replace("0", "o").rfind(wanted.replace("0", "o"))
    return places[start : start + len(wanted)] if start >= 0 and wanted else None


@lru_cache(maxsize=65536)
def _compared(kind: IdentifierKind, value: str) -> str:
    """A value reduced to the characters that are compared one by one: a phone to its national digits."""
    if kind in _PHONES and value.startswith("+"):
        return value[2:] if value.startswith("+7") else value[1:]
    if kind in _CASE_SENSITIVE:
        return value.removeprefix("+")
    return value.lower()


@lru_cache(maxsize=4096)
def _plain(kind: IdentifierKind, char: str) -> str:
    """A character of a text as values of the kind hold it, or nothing for what only stands between."""
    if kind in _PHONES:
        return digit_char(char) or ""
    if kind in _CASE_SENSITIVE:
        return char if not char.isspace() else ""
    if char.isspace() or (kind is IdentifierKind.TELEGRAM and char in _SEPARATORS):
        return ""
    folded = fold_char(char)
    return folded[0] if folded else char.lower()


def _is_upper(raw: str, spots: list[int]) -> bool:
    letters = [raw[spot] for spot in spots if raw[spot].isalpha()]
    return bool(letters) and sum(char.isupper() for char in letters) * 2 > len(letters)


def _titled(value: str) -> str:
    return "_".join(part[:1].upper() + part[1:] for part in value.split("_"))


def _phone_forms(kind: IdentifierKind, value: str) -> list[str]:
    if not value.startswith("+"):
        return [f"wa.me/{value}", value]
    links = [f"wa.me/{value[1:]}", f"https://wa.me/{value[1:]}"] if kind is IdentifierKind.WHATSAPP else []
    if value.startswith("+7") and len(value) == len("+7") + 10:
        digits = value[2:]
        return links + [form.format(a=digits[:3], b=digits[3:6], c=digits[6:8], d=digits[8:]) for form in _PHONE_FORMS]
    country, rest = value[1:4], value[4:]
    head = 3 if country == "996" else 2
    a, b, c = rest[:head], rest[head : head + 3], rest[head + 3 :]
    return [*links, value, value[1:], f"+{country} {a} {b} {c}", f"+{country} ({a}) {b}-{c}", f"+{country}-{a}-{b}-{c}"]


def _host_forms(value: str) -> list[str]:
    host, slash, path = value.partition("/")
    try:
        shown = host.encode().decode("idna") if "xn--" in host else host
    except UnicodeError:
        shown = host
    texts = [shown + slash + path, *([value] if shown != host else [])]
    return [form.format(text) for text in texts for form in ("{}", "https://{}", "http://{}", "www.{}")] + [
        texts[0].upper(),
        texts[0][:1].upper() + texts[0][1:],
    ]
