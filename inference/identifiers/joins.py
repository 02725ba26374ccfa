"""Two lines that spell one identifier: when they may be joined, and what they say together.

Lines are joined only when the first is anchored and unfinished (``t.me/``, ``@name_``, ``+7 749``, half an invite hash), when the
first is nothing but an anchor (``ТЕЛЕГРАМ:``), or when the second can only be a continuation (``_kz1``, ``.kz``).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ...contract import Flag, IdentifierKind, Reading
from .base import Source, View
from .evidence import Claim, Weighted, weighted_texts
from .fold import skeleton
from .scan import flags_of, scan
from .settings import ExtractSettings
from .telegram import INVITE_LENGTHS, STOP_WORDS
from .web import is_domain

_KEYWORD_LINE = re.compile(
    r"\W*(?P<word>t[gr6]|тг|тгк|тр|tgk|te[l1i]e?[gq]?(?:ra[mn]{1,2}|a)|телег(?:рам{1,2}|а)|inst(?:a|agram)?|инста(?:грам)?|signal|сигнал|"
    r"threema|vk|вк|jabber|xmpp)(?:[\s-]?(?:канал|kanal|channel|бот|bot))?\W*",
)
_UNFINISHED_LINK = re.compile(
    r"(?:t.?\s?(?:me|rne)|telegram[.,](?:me|dog))\s?[/|\\](?:s/|\+|joinchat/?)?\s*$|(?:https?:?/{0,2}|www\.)\s*$"
)
_NAMES = frozenset({IdentifierKind.TELEGRAM})
_INVITES = frozenset({IdentifierKind.TELEGRAM_INVITE})
_PHONES = frozenset({IdentifierKind.PHONE})
_HOSTS = frozenset({IdentifierKind.URL, IdentifierKind.I2P})
_NAMED = frozenset(
    {IdentifierKind.TELEGRAM, IdentifierKind.INSTAGRAM, IdentifierKind.SIGNAL, IdentifierKind.THREEMA, IdentifierKind.VK}
)
_LINKED = frozenset({*_NAMED, *_INVITES, *_PHONES, *_HOSTS, IdentifierKind.WHATSAPP})
_NEW_START = re.compile(r"https?:|t\.me|www\.|\+\d")
_PAGE_LINK = re.compile(r"(?:wa\.me|vk\.(?:com|me)|instagram\.com)/\S*$")
_INVITE_START = re.compile(r"(?:me|rne|dog)\s?[/|\\](?:\+|joinchat/)(?P<hash>[\w-]{1,21})\s*$", re.ASCII)
_CHAT_START = re.compile(r"(?:me|rne|dog)\s?[/|\\](?P<word>j\w{0,7})$", re.IGNORECASE)
_HASH_END = re.compile(r"\s*(?P<hash>[\w-]{2,20})\s*$", re.ASCII)
_NAME_END = re.compile(r"(?:[@©®]|(?:me|rne|dog)/|t[gr]:?\s|тг:?\s|телега:?\s)\s?[\w.]{1,31}$")
_NAME_PART = re.compile(r"\s*[a-z0-9_.]{2,28}\s*$")
_HOST_END = re.compile(r"(?:^|[\s/])[a-z0-9][a-z0-9.-]*[.-]?\s*$")
_DIGIT_LINE = re.compile(r"\W*\d[\d ()\-.]{1,14}\W*$")
_PHONE_START = re.compile(r"(?:^|[^\w])(?:\+\s?[79]|8|7)[\d ()\-.]{0,14}$")


@dataclass(frozen=True, slots=True)
class Joint:
    """Two lines joined: the text, where the second begins in it, how probable the joint is, and whether it is worth a remark."""

    text: str
    boundary: int
    probability: float
    kinds: frozenset[IdentifierKind]
    remark: bool = True


def _glue(a: str, b: str, probability: float, kinds: frozenset[IdentifierKind], between: str = "", remark: bool = True) -> Joint:
    return Joint(a + between + b, len(a) + len(between), probability, kinds, remark)


def _name_joint(a: str, b: str, low_a: str, low_b: str) -> Joint | None:
    """A Telegram name over two lines."""
    if not _NAME_END.search(low_a) or not _NAME_PART.match(low_b):
        return None
    if low_a.endswith("_") or low_b.startswith("_"):
        return _glue(a, b, 0.97, _NAMES)
    # what is a web address by itself goes on with nothing
    if not any(c.isascii() and c.isalpha() for c in b) or skeleton(b) in STOP_WORDS or is_domain(low_b.strip(" .")):
        return None
    if "_" in low_b or any(c.isdigit() for c in low_b) or low_b.endswith("bot"):
        return _glue(a, b, 0.8, _NAMES)
    small = b.isascii() and b.islower() and not any(c.isupper() for c in a.rpartition("@")[2])
    return _glue(a, b, 0.7, _NAMES) if small else None


def _invite_joint(a: str, b: str) -> Joint | None:
    """An invite link over two lines: its hash, or the word before it, is cut."""
    start, rest = _INVITE_START.search(a), _HASH_END.match(b)
    if start and rest and len(start["hash"]) not in INVITE_LENGTHS:
        whole = len(start["hash"]) + len(rest["hash"])
        return _glue(a, rest["hash"], 0.97 if whole in INVITE_LENGTHS else 0.7, _INVITES) if whole in (16, 18, 20, 22) else None
    word = _CHAT_START.search(a)
    if word and ("joinchat/".startswith(word["word"].lower())) and (word["word"] + b).lower().startswith("joinchat/"):
        return _glue(a, b, 0.97, _INVITES)
    return None


def _phone_joint(a: str, b: str) -> Joint | None:
    """A phone number over two lines: together they have the digits of one."""
    start = _PHONE_START.search(a)
    if not start or not _DIGIT_LINE.match(b):
        return None
    digits = "".join(c for c in start.group() if c.isdigit())
    whole = len(digits) + sum(c.isdigit() for c in b)
    if (whole == 11 and digits[0] in "78") or (whole == 12 and "+" in start.group()):
        return _glue(a, b, 0.9, _PHONES, " ")
    return _glue(a, b, 0.75, _PHONES, " ") if whole == 10 and digits[0] == "7" and len(digits) >= 3 else None


def _host_joint(a: str, b: str, low_a: str, low_b: str) -> Joint | None:
    """A host name over two lines: cut at a dot or a hyphen."""
    if not _HOST_END.search(low_a):
        return None
    if re.match(r"\.[a-z]{2,}", low_b) and not re.search(r"[@/]\S*$", low_a):
        return _glue(a, b, 0.9, _HOSTS)
    return _glue(a, b, 0.85, _HOSTS) if low_a[-1] in ".-" and re.match(r"[a-z0-9.-]+\b", low_b) else None


def joint(a: str, b: str) -> Joint | None:
    """Whether line ``b`` continues line ``a`` (both cleaned), and their common text; None when they are two."""
    a, b = a.rstrip(), b.lstrip()
    low_a, low_b = View.of(a).latin, View.of(b).latin
    if not a or not b or low_b[0] in "@©®" or _NEW_START.match(low_b):
        return None
    keyword = _KEYWORD_LINE.fullmatch(View.of(a).lower)
    if keyword and re.fullmatch(r"\s*[a-z0-9_.*-]{4,40}\s*", low_b) and any(c.isdigit() or c in "_." for c in low_b):
        return _glue(keyword["word"] + ":", b, 0.85, _NAMED, " ", remark=False)
    if _UNFINISHED_LINK.search(low_a):
        return _glue(a, b, 0.95, _LINKED)
    if low_a[-1] in "@©®":
        return _glue(a, b, 0.9, _NAMES) if _NAME_PART.match(low_b) else None
    if _PAGE_LINK.search(low_a) and re.fullmatch(r"[a-z0-9_.]*[0-9_][a-z0-9_.]*", low_b):
        return _glue(a, b, 0.85, _LINKED)
    return _invite_joint(a, b) or _phone_joint(a, b) or _host_joint(a, b, low_a, low_b) or _name_joint(a, b, low_a, low_b)


def _claims(a: Weighted, b: Weighted, lines: tuple[int, int], source: Source, found: dict[tuple[str, str], Claim]) -> None:
    """Add what two texts say when joined to ``found``."""
    view_a, view_b = View.of(a.text), View.of(b.text)
    seam = joint(view_a.text, view_b.text)
    if seam is None:
        return
    offset = len(view_b.text) - len(view_b.text.lstrip())
    for item in scan(seam.text, source):
        if item.end <= seam.boundary or item.start >= seam.boundary or item.kind not in seam.kinds:
            continue
        key = (item.kind.value, item.value)
        claim = found.get(key)
        weight = a.share * b.share * item.share
        end_b = item.end - seam.boundary + offset
        places = ((lines[0], min(item.start, len(view_a.text)), len(view_a.text)), (lines[1], 0, end_b))
        if claim is None or weight > claim.best:
            flags = flags_of(item, Flag.JOINED) if seam.remark else item.flags
            mass, form = (claim.mass, claim.form) if claim else (0.0, 0.0)
            raw = f"{view_a.raw(min(item.start, len(view_a.text) - 1), len(view_a.text))}\n{view_b.raw(0, end_b)}"
            claim = found[key] = Claim(item.kind, item.value, places, raw, flags, mass, form, best=weight)
        claim.mass += weight
        claim.form += weight * item.form * seam.probability


def joined_claims(a: Reading, b: Reading, lines: tuple[int, int], source: Source, settings: ExtractSettings) -> list[Claim]:
    """What two neighbouring lines say when they are one; empty when nothing speaks for joining them."""
    texts_a = weighted_texts(a, settings)[: settings.joined_hypotheses]
    texts_b = weighted_texts(b, settings)[: settings.joined_hypotheses]
    total = sum(t.share for t in texts_a) * sum(t.share for t in texts_b)
    found: dict[tuple[str, str], Claim] = {}
    for text_a in texts_a:
        for text_b in texts_b:
            _claims(text_a, text_b, lines, source, found)
    for claim in found.values():
        claim.form /= claim.mass
        claim.mass /= total
        claim.care = math.sqrt(max(0.0, a.confidence * b.confidence))
    return list(found.values())
