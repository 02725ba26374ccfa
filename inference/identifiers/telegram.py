"""Telegram: the rules of names and links (tdlib), and the grammar that finds them in painted and typed lines.

Canonical values: a name is lower-case ASCII without ``@`` and dots; an invite is ``+`` and its hash, verbatim (case matters).
Sources: tdlib ``misc.cpp`` (names), ``LinkManager`` and ``test/link.cpp`` (links), core.telegram.org/api/links.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import parse_qs, unquote

from rapidfuzz.distance import Levenshtein

from ...contract import Flag, IdentifierKind
from .base import Found, Source, View, free
from .fold import skeleton
from .names import Name, is_valid_name, read_name, take

HOSTS = frozenset({"t.me", "telegram.me", "telegram.dog"})
REGISTRABLE_LENGTH = 5
RESERVED_PREFIXES = ("admin", "telegram", "support", "security", "settings", "contacts", "service", "telegraph")
RESERVED_LABELS = frozenset(
    "www addemoji addlist addstickers addstyle addtheme auction auth boost call confirmphone contact giftcode invoice joinchat "
    "login m nft proxy setlanguage share socks web a k z".split()
)
"""Labels of ``LABEL.t.me`` that are not names (tdlib ``test/link.cpp``)."""
RESERVED_PATHS = RESERVED_LABELS | frozenset("bg c folder iv msg msg_url newbot s stars".split())
"""First segments of ``t.me/…`` that are not names."""
INVITE_LENGTHS = frozenset({16, 22})
"""Lengths of invite hashes in use."""
_INVITE_FORMS = {16: 1.0, 22: 1.0, 18: 0.75, 20: 0.75, 24: 0.7}
"""How likely a painted hash of this length is whole; any other has lost or gained a character."""
MENTION_LENGTH = 5
"""Shortest name that a bare ``@name`` may have (tdlib's mention finder)."""

_SHORT_LINK_FORM, _SHORT_FORM, _ODD_INVITE_FORM, _BARE_BOT_FORM = 0.85, 0.45, 0.3, 0.5
_HASH = re.compile(r"[A-Za-z0-9_-]+")
_LINK = re.compile(
    r"^(?:https?://)?(?:www\.)?(?P<host>[^/?#:\s]+)(?::(?P<port>\d+))?(?P<rest>[/?#].*)?$", re.IGNORECASE | re.DOTALL
)
_SCHEME = re.compile(r"^tg:(?://)?(?P<action>\w+)/?\?(?P<query>[^#]*)", re.IGNORECASE)

_SLASH = r"(?:\s?[/|\\]{1,2}\s?|\s(?=\S)|(?P<odd>[:.,;\]1li]|$|(?=\+)))"
_HOST = re.compile(
    r"(?:(?<=^)|(?<=[^a-z0-9_.@а-я])|(?<=\bhttp)|(?<=\bhttps))(?P<www>w{2,3}[.,])?"
    r"(?:[t17+†][.,·:;'*-]?\s?(?:m|rn|nn|rr)[e3c](?:[.,](?=/))?"
    r"|te[l1i]egra(?:m|rn)(?:[.,·]\s?(?:me|rne|dog|d0g))|t[l1i]g(?:m|rn)[.,]me)" + _SLASH
)
_SUBDOMAIN = re.compile(r"(?<![\w.@-])(?P<label>\w[\w.]{1,40})[.,]t[.,](?:me|rne)(?![\w.])")
_JOINCHAT = re.compile(r"j[o0][il1]nchat\s?[/|\\l]\s?")
_AT = re.compile(r"(?P<at>\([@a]\)|[\[(]?[@©®][\])]?@?)\s{0,2}")
_ANCHOR = re.compile(
    r"(?<![^\W\d_])(?P<word>t[gr6]|[тt7][гgr]|тгк|t[gr][kк]|т[лl]г|tlg|[тt][еe][лl][еe][гg][рrpaа]{1,3}[мm]{0,2}"
    r"|telegra(?:m|rn){0,2}|t?ele[gq]a|телег[аеуи]|телегр|tele)"
    r"(?:[\s-]?(?:канал|kanal|channel|бот|bot))?(?P<sep>\s?[:;=>→➜-]+>?\s?|\s+(?:[-:→>]\s?)?|(?=[@©®]))"
)
_OTHER = re.compile(r"(?:inst|инст|вк\b|vk\b|vkontakte|вконтакте|tiktok|тикток)\w*[\s:;=-]*$")


@dataclass(frozen=True, slots=True)
class Target:
    """What a Telegram link leads to: ``kind`` is telegram, telegram_invite or phone; ``value`` is canonical."""

    kind: IdentifierKind
    value: str


def is_registrable(name: str) -> bool:
    """Whether a valid name can be registered in the normal way (tdlib ``is_allowed_username``)."""
    return is_valid_name(name) and len(name) >= REGISTRABLE_LENGTH and not name.lower().startswith(RESERVED_PREFIXES)


def canonical_name(text: str) -> str | None:
    """The canonical name for any spelling of it (``@Shop_KZ1``, Cyrillic look-alikes, dots), or None. Idempotent."""
    names = read_name(text.strip().removeprefix("@"), Source.CODE)
    return names[0].value if names else None


def name_flags(name: str) -> tuple[Flag, ...]:
    """``NOT_REGISTRABLE`` for a name that cannot be registered normally."""
    return () if is_registrable(name) else (Flag.NOT_REGISTRABLE,)


def _invite(value: str) -> Target | None:
    match = _HASH.match(value)
    return Target(IdentifierKind.TELEGRAM_INVITE, "+" + match.group()) if match else None


def _plus(value: str) -> Target | None:
    match = _HASH.match(value)
    if not match:
        return None
    if match.group().isdigit():
        return Target(IdentifierKind.PHONE, "+" + match.group())
    return _invite(value)


def _name(value: str) -> Target | None:
    name = value.replace(".", "").lower()
    return Target(IdentifierKind.TELEGRAM, name) if is_valid_name(name) else None


def _scheme_link(action: str, query: str) -> Target | None:
    fields = {k.lower(): v[0] for k, v in parse_qs(query.replace("+", "%2B")).items()}
    if action == "join" and "invite" in fields:
        return _invite(fields["invite"])
    if action == "resolve" and "domain" in fields:
        return _name(fields["domain"])
    if action == "resolve" and re.fullmatch(r"\+?\d+", fields.get("phone", "")):
        return Target(IdentifierKind.PHONE, "+" + fields["phone"].lstrip("+"))
    return None


def parse_link(link: str) -> Target | None:
    """What a literal Telegram link means, by tdlib's rules; None when it is no link to a name, an invite or a phone."""
    link = link.strip()
    scheme = _SCHEME.match(link)
    if scheme:
        return _scheme_link(scheme["action"].lower(), scheme["query"])
    match = _LINK.match(link)
    if not match or (match["port"] and match["port"] not in ("80", "443")):
        return None
    host, path = match["host"].lower(), re.split(r"[?#]", match["rest"] or "")[0]
    if host not in HOSTS:
        label, _, parent = host.partition(".")
        if parent != "t.me" or len(label) < 2 or label in RESERVED_LABELS:
            return None
        return _name(label)
    segments = [unquote(s) for s in path.split("/")[1:]]
    while segments and segments[0] == "s":
        segments.pop(0)
    if not segments or not segments[0]:
        return None
    first = segments[0]
    if first[0] in "+ ":
        return _plus(first[1:])
    if first.lower() == "joinchat":
        return _invite(segments[1]) if len(segments) > 1 else None
    return None if first.lower() in RESERVED_PATHS else _name(first)


def is_telegram_host(host: str) -> bool:
    """Whether a host name is Telegram's own (``www.t.me``, ``name.t.me``)."""
    host = host.lower().removeprefix("www.")
    return host in HOSTS or host.endswith(".t.me")


def misread_host(host: str) -> str | None:
    """Telegram's long host name that ``host`` is a misreading of (up to two characters); None when it is none or is right."""
    if is_telegram_host(host):
        return None
    return next(
        (known for known in ("telegram.me", "telegram.dog") if Levenshtein.distance(host, known, score_cutoff=2) <= 2), None
    )


def _found(
    names: list[Name], span: tuple[int, int], core: tuple[int, int], form: float, source: Source, short: float = _SHORT_FORM
) -> list[Found]:
    """The findings that the ways to read a name make; ``short`` is the factor for one of four characters."""
    out = []
    for name in names:
        if len(name.value) < (1 if source is Source.CODE else MENTION_LENGTH - 1):
            continue
        weight = form * name.form * (1.0 if len(name.value) >= MENTION_LENGTH else short)
        flags = (*name.flags, *name_flags(name.value))
        out.append(Found(IdentifierKind.TELEGRAM, name.value, *span, core, weight, name.share, flags))
    return out


def _painted_invite(view: View, start: int, at: int, source: Source, form: float) -> list[Found]:
    """An invite hash at ``at`` (after the plus), or nothing."""
    match = _HASH.match(view.text, at)
    if not match or len(match.group()) < 4:
        return []
    value, end = match.group(), match.end()
    if value.isdigit():
        return [Found(IdentifierKind.PHONE, "+" + value, start, end, (at, end), form * (0.9 if 9 <= len(value) <= 15 else 0.2))]
    if source is Source.PAINTED:
        form *= _INVITE_FORMS.get(len(value), _ODD_INVITE_FORM)
    return [Found(IdentifierKind.TELEGRAM_INVITE, "+" + value, start, end, (at, end), form)]


def _looks_random(token: str) -> bool:
    """Whether a token mixes capitals, small letters and digits as an invite hash does and a name does not."""
    classes = (any(c.isupper() for c in token), any(c.islower() for c in token), any(c.isdigit() for c in token))
    turns = sum(a.isupper() != b.isupper() for a, b in pairwise(token) if a.isalpha() and b.isalpha())
    return all(classes) and turns >= 4


def _find_links(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Found]:
    out: list[Found] = []
    for match in _SUBDOMAIN.finditer(view.latin):
        label = view.text[slice(*match.span("label"))]
        if label.lower() not in RESERVED_LABELS and free(spans, *match.span()):
            out += _found(read_name(label.removeprefix("www."), source), match.span(), match.span("label"), 0.95, source)
    for match in _HOST.finditer(view.latin):
        start, at = match.start(), match.end()
        if not free(spans, start, at) or at >= len(view.text):
            continue
        odd = match["odd"] is not None
        literal = re.match(r"(?:www\.)?(?:t\.me|telegram\.(?:me|dog))/", view.lower[start:])
        form = 0.98 if literal else 0.6 if odd else 0.92
        if not literal and not odd and "." not in match.group() and "/" not in match.group():
            form = 0.75
        while view.latin.startswith("s/", at):
            at += 2
        flags = () if literal else (Flag.REPAIRED,)
        found = _link_target(view, start, at, source, form)
        out += [Found(f.kind, f.value, f.start, f.end, f.core, f.form, f.share, (*flags, *f.flags), f.verified) for f in found]
    return out


def _link_target(view: View, start: int, at: int, source: Source, form: float) -> list[Found]:
    """What stands after ``t.me/`` at ``at``: an invite, a phone or a name."""
    text = view.text
    if at >= len(text):
        return []
    chat = _JOINCHAT.match(view.latin, at)
    if chat:
        return _painted_invite(view, start, chat.end(), source, form)
    if text[at] in "+ †‡":
        return _painted_invite(view, start, at + 1, source, form)
    token = re.match(r"[t4fT]([A-Za-z0-9_-]{16})(?![\w-])", text[at:])
    if source is Source.PAINTED and token and _looks_random(token[1]):
        return _painted_invite(view, start, at + 1, source, form * 0.75)
    if view.lower.startswith("@", at):
        at += 1
    end, piece, joined = take(text, at, source)
    if piece.lower() in RESERVED_PATHS:
        return []
    return _found(read_name(piece, source, joined), (start, end), (at, end), form, source, _SHORT_LINK_FORM)


def _mention_form(view: View, match: re.Match[str], source: Source) -> float:
    """How surely the sign at ``match`` is the ``@`` before a name; 0 when a word stands right before it."""
    start = match.start()
    sign = match["at"]
    form = 0.97 if sign == "@" else 0.85
    if match.end() - start > len(sign):
        form *= 0.93
    before = view.lower[:start]
    if not before or not (before[-1].isalnum() or before[-1] in "_@©®"):
        return form
    anchor = re.search(r"(?<!\w)(?:t[gr]|тг|tg|телега|telega|telegram)$", before)
    if anchor:
        return form
    if source is Source.PAINTED and re.search(r"(?:^|\s)[aаeо0oq]$", before):
        return form * 0.75  # the sign read twice: "a@name"
    return 0.0


def _find_mentions(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Found]:
    out: list[Found] = []
    for match in _AT.finditer(view.lower):
        form = _mention_form(view, match, source)
        if form <= 0 or not free(spans, match.start(), match.end()) or _OTHER.search(view.lower[: match.start()]):
            continue
        end, piece, joined = take(view.text, match.end(), source)
        if end < len(view.text) and view.text[end] in "©®" and source is Source.PAINTED:
            form *= 0.8
        names = read_name(piece, source, joined)
        found = _found(names, (match.start(), end), (match.end(), end), form, source)
        if source is not Source.PAINTED:  # three and four letters are not enough for a mention
            found = [f for f in found if len(f.value) >= MENTION_LENGTH]
        out += found
    return out


STOP_WORDS = frozenset(
    skeleton(w)
    for w in "shop store work bot channel kanal канал бот магазин market legal stuff best here tut тут пиши ищи работа "
    "жумыс group chat чат группа whatsapp viber instagram signal telegram telega site сайт online онлайн".split()
)


def _anchored_form(view: View, match: re.Match[str], piece: str) -> float:
    """How surely a bare word after an anchor such as ``тг:`` is a name: a colon, a digit or an underscore speak for it."""
    if skeleton(piece) in STOP_WORDS:
        return 0.0
    colon = any(c in ":;=>→-" for c in match["sep"])
    marked = any(c.isdigit() or c == "_" for c in piece)
    clean_word = match["word"] not in ("t6", "tr", "7r", "7g", "тr", "тg")
    whole = not view.text[match.end() + len(piece) :].strip() and len(piece) >= 6
    form = 0.93 if colon and marked else 0.85 if colon else 0.88 if marked else 0.62 if whole else 0.4
    return form if clean_word else form * 0.8


def _find_anchored(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Found]:
    out: list[Found] = []
    for match in _ANCHOR.finditer(view.lower):
        end, piece, joined = take(view.text, match.end(), source)
        if not piece or not free(spans, match.start(), end) or view.text[match.end()] in "@©®":
            continue
        form = _anchored_form(view, match, piece)
        if form > 0 and any(c.isascii() and c.isalpha() for c in piece):
            out += _found(read_name(piece, source, joined), (match.start(), end), (match.end(), end), form, source)
    return out


def _find_bots(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Found]:
    """A word ``…_bot`` that stands alone: its ending is an anchor, though a weak one, because the ``@`` is missing."""
    match = re.fullmatch(r"\s*([a-z][a-z0-9_]{3,}_(?:bot|b0t))\s*", view.latin)
    if not match or not free(spans, match.start(1), match.end(1)):
        return []
    span = (match.start(1), match.end(1))
    form = _BARE_BOT_FORM if source is Source.PAINTED else 0.75
    return _found(read_name(view.text[span[0] : span[1]], source), span, span, form, source)


def find_links(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Found]:
    """All Telegram links in one line (``t.me/…`` and its misread forms), outside the stretches in ``spans``."""
    return _without_overlaps(_find_links(view, source, spans))


def find_names(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Found]:
    """All Telegram names in one line: after ``@``, after an anchor such as ``тг:``, or ending in ``_bot``."""
    finders = (_find_mentions,) if source is Source.CODE else (_find_mentions, _find_anchored, _find_bots)
    out: list[Found] = []
    for finder in finders:
        taken = [*spans, *((f.start, f.end) for f in out)]
        out += _without_overlaps(finder(view, source, taken))
    return out


def _without_overlaps(found: list[Found]) -> list[Found]:
    """The findings in order, without those that overlap an earlier one of another stretch."""
    out: list[Found] = []
    for item in found:
        if all((item.start, item.end) == (f.start, f.end) or item.start >= f.end or f.start >= item.end for f in out):
            out.append(item)
    return out
