"""Phone numbers of Kazakhstan, Russia, Kyrgyzstan and Uzbekistan. Canonical: E.164 (``+77012345678``).

The numbering plans are libphonenumber's. A number of the right shape for Kazakhstan whose code the plan does not assign
is kept with the flag ``unassigned``. Prices, salaries, dates and house numbers are not phones: a number must have
a country code, the trunk prefix 8, or the national length and code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

from ...contract import Flag, IdentifierKind
from .base import Found, Source, View, free
from .fold import digit_char

_REGIONS = {7: ("KZ", "RU"), 996: ("KG",), 998: ("UZ",)}
_RUN = re.compile(r"(?<![a-zA-Z0-9_@#№/.,-])[+(]?[^\W_](?:[^\W_]|[ ()+.\-/\\'·•]){5,28}[^\W_]")
_NUMBERED = re.compile(r"(?:бин|иин|инн|огрн|кпп|iban|счет|счёт|карт\w*|лиц\w*|№|#)[\s:.№-]*$")
_KEYWORD = re.compile(
    r"(?:тел|моб|звон|зв\b|phone|call|whats|ватс|вотс|вацап|wa\b|sms|смс|telegram|тг|tg|хабарл|қоңырау|нөмір|номер)\w*[\s:.,-]*$"
)
_PRICE = re.compile(r"^\s?(?:тг|тенге|тңг|₸|kzt|руб|р\b|rub|сом|сум|\$|тыс|млн|%)")
_LONGEST, _KZ_DIGITS = 13, 11


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number: E.164, whether the numbering plan assigns it, and the region whose plan it follows."""

    e164: str
    assigned: bool
    region: str


@lru_cache(maxsize=4096)
def _parse_international(digits: str) -> Phone | None:
    """A number given as country code and national number."""
    try:
        number = phonenumbers.parse("+" + digits, None)
    except phonenumbers.NumberParseException:
        return None
    regions = _REGIONS.get(number.country_code or 0, ())
    e164 = "+" + digits
    for region in regions:
        if phonenumbers.is_valid_number_for_region(number, region):
            return Phone(e164, True, region)
    if phonenumbers.is_valid_number(number):
        return Phone(e164, True, phonenumbers.region_code_for_number(number) or "")
    if len(digits) == 11 and digits.startswith("77"):
        return Phone(e164, False, "KZ")
    if len(digits) == 12 and number.country_code in (996, 998) and digits[3] in "235679":
        return Phone(e164, False, regions[0])
    return None


def _interpretations(digits: str, plus: bool) -> list[tuple[str, float]]:
    """The international digits that a run of digits may stand for, with how usual that is; KZ, RU, KG, UZ in turn."""
    size = len(digits)
    if plus:
        if size == 11 and digits.startswith("87"):  # "+8 701": both prefixes at once
            return [("7" + digits[1:], 0.8)]
        return [(digits, 0.97)]
    if size == 11 and digits[0] in "78":
        return [("7" + digits[1:], 0.95)]
    if size == 12 and digits[:3] in ("996", "998"):
        return [(digits, 0.8)]
    if size == 14 and digits.startswith("8107"):
        return [(digits[3:], 0.9)]
    if size == 10 and digits[0] in "79":
        return [("7" + digits, 0.75)]
    if size == 10 and digits[0] == "0":
        return [("996" + digits[1:], 0.75)]
    if size == 9:
        return [("998" + digits, 0.5), ("996" + digits, 0.4)]
    return []


def parse_phone(text: str) -> Phone | None:
    """The phone number that a literal text spells, or None. Tries the plans of KZ, RU, KG and UZ in turn."""
    digits = "".join(c for c in text if c.isdecimal() and c.isascii())
    for international, _ in _interpretations(digits, text.lstrip().startswith("+")):
        phone = _parse_international(international)
        if phone:
            return phone
    return None


def _digits_of(run: str) -> tuple[str, int, bool] | None:
    """(digits, letters read as digits, starts with a plus) of a painted run; None when it holds other letters."""
    out: list[str] = []
    letters = 0
    for char in run:
        if char.isalnum():
            digit = digit_char(char)
            if digit is None:
                return None
            letters += not char.isdigit()
            out.append(digit)
    return "".join(out), letters, run.lstrip("( ").startswith("+")


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Shrink a run to the tokens that hold digits: words at its edges are not part of the number."""
    tokens = [(m.start() + start, m.end() + start) for m in re.finditer(r"\S+", text[start:end])]

    def numeric(span: tuple[int, int]) -> bool:
        token = text[span[0] : span[1]]
        known = [c for c in token if c.isalnum()]
        real = sum(c.isdigit() for c in known)
        return all(digit_char(c) for c in known) and (real * 2 >= len(known) or len(known) == 1 or not known)

    def letters_only(span: tuple[int, int]) -> bool:
        return all(digit_char(c) for c in text[span[0] : span[1]] if c.isalnum())

    while tokens and not numeric(tokens[0]):
        tokens.pop(0)
    stop, count = 0, 0
    for token in tokens:
        size = sum(c.isalnum() for c in text[token[0] : token[1]])
        if not numeric(token) and not (letters_only(token) and count + size <= _KZ_DIGITS):
            break
        stop, count = stop + 1, count + size
    tokens = tokens[:stop]
    return (tokens[0][0], tokens[-1][1]) if tokens else (start, start)


def _runs(view: View) -> list[tuple[int, int]]:
    out = []
    for match in _RUN.finditer(view.text):
        start, end = _trim(view.text, *match.span())
        if end - start >= 9 and sum(c.isdigit() for c in view.text[start:end]) >= 7:
            out.append((start, end))
    return out


def _context(view: View, start: int, end: int, grouped: bool, alone: bool) -> float:
    """Factor for what stands around the number: a keyword speaks for it, a price or a numbered document against it."""
    if _NUMBERED.search(view.lower[:start]) or _PRICE.match(view.lower[end:]):
        return 0.1
    if _KEYWORD.search(view.lower[:start]):
        return 1.2
    return 1.0 if grouped or alone else 0.85


def _readings(digits: str, plus: bool, source: Source) -> list[tuple[str, float, bool]]:
    """(international digits, form, repaired) of a run, literal first, then with the plus misread as a digit."""
    out = [(value, form, False) for value, form in _interpretations(digits, plus)]
    if source is Source.PAINTED and not plus and len(digits) == 12 and digits[0] in "14" and digits[1] == "7":
        out.append((digits[1:], 0.7, True))
    if source is Source.PAINTED and plus and len(digits) == 11 and digits.startswith("17"):
        out.append(("7" + digits[1:], 0.7, True))
    return out


def find(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Found]:
    """All phone numbers in one line, outside the stretches in ``spans``."""
    if sum(c.isdigit() for c in view.text) < 7:
        return []
    out: list[Found] = []
    for start, end in _runs(view):
        if not free(spans, start, end):
            continue
        parsed = _digits_of(view.text[start:end])
        if parsed is None or len(parsed[0]) > _LONGEST + 1:
            continue
        digits, letters, plus = parsed
        grouped = bool(re.search(r"\d[ ()\-.]+\d", view.text[start:end]))
        alone = not view.text[:start].strip() and not view.text[end:].strip()
        factor = _context(view, start, end, grouped, alone) * 0.97**letters
        for international, form, repaired in _readings(digits, plus, source):
            phone = _parse_international(international)
            if phone is None:
                continue
            flags: tuple[Flag, ...] = (Flag.REPAIRED,) if repaired or letters else ()
            flags += () if phone.assigned else (Flag.UNASSIGNED,)
            form *= 1.0 if phone.assigned else 0.95
            form *= 1.0 if phone.region in ("KZ", "RU", "KG", "UZ") else 0.6
            value = min(0.98, form * factor)
            out.append(Found(IdentifierKind.PHONE, phone.e164, start, end, (start, end), value, flags=flags))
            break
    return out
