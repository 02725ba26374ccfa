"""WhatsApp, Instagram, VK, Signal, Threema, Matrix, Jabber: links, keywords and canonical forms.

Canonical: WhatsApp ``+digits`` or ``chat/<code>`` or ``message/<code>``; Instagram and VK the lower-case name; Signal the
lower-case ``name.NN``, ``+digits``, ``eu/<code>`` or ``group/<code>``; Threema eight capitals; Matrix ``@name:server`` (lower
case); Jabber ``name@server``. Threema, Signal names, Instagram and VK names have no sign of their own: only a keyword or
a link makes them (rules: the services' help pages, see the domain notes 2.3).
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qs, unquote

from ...contract import Flag, IdentifierKind
from .base import Found, Source, View, free
from .crypto import canonical_session
from .phones import parse_phone
from .web import canonical_email, to_ascii

_INSTAGRAM = re.compile(r"(?!\.)(?!.*\.\.)[a-z0-9._]{1,30}(?<!\.)")
_VK = re.compile(r"(?!\d{3})[a-z0-9_](?:[a-z0-9_]|\.(?=[a-z][a-z0-9_]{3})){4,31}")
_VK_ID = re.compile(r"(?:id|club|public|event)\d{1,12}")
_SIGNAL = re.compile(r"[a-z_][a-z0-9_]{2,31}\.(?!0\d*$)\d{2,9}|[a-z_][a-z0-9_]{2,31}\.0[1-9]")
_THREEMA = re.compile(r"[A-Z0-9*][A-Z0-9]{7}")
_MATRIX = re.compile(r"@(?P<local>[a-z0-9._=/+-]{1,200}):(?P<server>[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::\d+)?")
_INSTAGRAM_PATHS = frozenset("p reel reels explore stories tv accounts direct about legal".split())
_VK_PATHS = frozenset("feed im video audio photo wall app join login away.php share.php search".split())

_SEP = r"(?:\s?[:;=@→-]+\s?@?\s?|\s+@?\s?)"
_KEYWORDS: tuple[tuple[IdentifierKind, re.Pattern[str]], ...] = (
    (IdentifierKind.INSTAGRAM, re.compile(rf"(?<!\w)(?:inst(?:agram|a)?|инст(?:аграм{{1,2}}|а)?|ig){_SEP}(?=[a-z0-9_])")),
    (IdentifierKind.VK, re.compile(r"(?<!\w)(?:vk|вк|vkontakte|вконтакте)\s?[:;=@→-]\s?@?\s?(?=[a-z0-9_])")),
    (IdentifierKind.SIGNAL, re.compile(rf"(?<!\w)(?:signal|сигнал){_SEP}(?=[a-z_])")),
    (IdentifierKind.THREEMA, re.compile(rf"(?<!\w)(?:threema|трима|тхрима)(?:\s?id)?{_SEP}(?=[a-z0-9*])")),
    (IdentifierKind.JABBER, re.compile(r"(?<!\w)(?:jabber|xmpp|jid|otr|жаб+а|джаб+ер)\s?[:;=→-]?\s?")),
)
_NAME = re.compile(r"[^\s,;|()<>«»\"]+")
_SESSION = re.compile(r"(?<![0-9a-zA-Z])(?:05|03|15|25)[0-9a-fA-F]{64}(?![0-9a-zA-Z])")


def canonical_instagram(text: str) -> str | None:
    """Lower-case Instagram name, or None."""
    name = text.strip().lstrip("@").lower()
    return name if _INSTAGRAM.fullmatch(name) else None


def canonical_vk(text: str) -> str | None:
    """Lower-case VK short name or numbered page, or None."""
    name = text.strip().lstrip("@").lower()
    return name if _VK_ID.fullmatch(name) or _VK.fullmatch(name) else None


def canonical_signal(text: str) -> str | None:
    """Lower-case Signal user name with its number (``name.42``), or None."""
    name = text.strip().lstrip("@").lower()
    return name if _SIGNAL.fullmatch(name) else None


def canonical_threema(text: str) -> str | None:
    """Threema identity (eight capitals or digits; ``*`` first for gateways), or None."""
    name = text.strip().upper()
    return name if _THREEMA.fullmatch(name) else None


def canonical_matrix(text: str) -> str | None:
    """``@name:server`` in lower case, or None."""
    match = _MATRIX.fullmatch(text.strip().lower())
    server = to_ascii(match["server"]) if match else None
    return f"@{match['local']}:{server}" if match and server and len(text) <= 255 else None


def _first(query: str, field: str) -> str:
    return parse_qs(query).get(field, [""])[0]


def _whatsapp(host: str, path: list[str], query: str) -> tuple[IdentifierKind, str] | None:
    kind = IdentifierKind.WHATSAPP
    if host == "chat.whatsapp.com":
        code = path[-1] if path else ""
        return (kind, "chat/" + code) if re.fullmatch(r"[A-Za-z0-9]{6,40}", code) else None
    if len(path) >= 2 and path[0] == "message" and re.fullmatch(r"[A-Za-z0-9]{4,40}", path[1]):
        return kind, "message/" + path[1]
    number = path[0] if host == "wa.me" and path else _first(query, "phone")
    digits = re.sub(r"[\s+()-]", "", number)
    if not re.fullmatch(r"\d{7,15}", digits):
        return None
    phone = parse_phone("+" + digits) or parse_phone(digits)
    return kind, phone.e164 if phone else "+" + digits


def _signal(host: str, path: list[str], fragment: str) -> tuple[IdentifierKind, str] | None:
    kind = IdentifierKind.SIGNAL
    if host == "signal.group":
        return (kind, "group/" + fragment) if len(fragment) >= 8 else None
    if fragment.startswith("p/+") and fragment[3:].isdigit():
        return kind, fragment[2:]
    if fragment.startswith("eu/") and len(fragment) > 10:
        return kind, fragment
    name = canonical_signal(fragment.removeprefix("u/")) if fragment else None
    return (kind, name) if name else None


def _page(host: str, path: list[str]) -> tuple[IdentifierKind, str] | None:
    """The name in a link to a person's page: Instagram, VK, Threema."""
    if host in ("instagram.com", "ig.me") and path:
        name = path[1] if path[0] == "m" and len(path) > 1 else path[0]
        value = None if name.lower() in _INSTAGRAM_PATHS else canonical_instagram(name)
        return (IdentifierKind.INSTAGRAM, value) if value else None
    if host in ("vk.com", "vk.me", "vk.ru", "m.vk.com") and path:
        value = None if path[0].lower() in _VK_PATHS else canonical_vk(path[0])
        return (IdentifierKind.VK, value) if value else None
    if host == "threema.id" and path:
        value = canonical_threema(path[0])
        return (IdentifierKind.THREEMA, value) if value else None
    return None


def parse_link(host: str, rest: str) -> tuple[IdentifierKind, str] | None:
    """(kind, canonical value) of a literal link: ``host`` in lower-case ASCII without ``www.``, ``rest`` all after it."""
    before, _, fragment = rest.partition("#")
    route, _, query = before.partition("?")
    path = [unquote(p) for p in route.split("/") if p]
    if host in ("wa.me", "api.whatsapp.com", "whatsapp.com", "chat.whatsapp.com", "web.whatsapp.com"):
        return _whatsapp(host, path, query)
    if host in ("signal.me", "signal.group"):
        return _signal(host, path, fragment)
    if host == "matrix.to":
        value = canonical_matrix(unquote(fragment.strip("/").split("?")[0]))
        return (IdentifierKind.MATRIX, value) if value else None
    return _page(host, path)


def find_matrix(view: View, spans: list[tuple[int, int]]) -> list[Found]:
    """Matrix identities ``@name:server`` in one line."""
    out = []
    for match in _MATRIX.finditer(view.latin):
        value = canonical_matrix(match.group())
        before = view.lower[: match.start()][-1:]
        if value and free(spans, *match.span()) and not (before.isalnum() or before == "@"):
            out.append(Found(IdentifierKind.MATRIX, value, *match.span(), match.span(), 0.93))
    return out


def find_session(view: View, spans: list[tuple[int, int]]) -> list[Found]:
    """Session identities in one line."""
    out = []
    for match in _SESSION.finditer(view.text):
        value = canonical_session(match.group())
        if value and free(spans, *match.span()):
            out.append(Found(IdentifierKind.SESSION, value, *match.span(), match.span(), 0.93))
    return out


def as_jabber(view: View, emails: list[Found]) -> list[Found]:
    """The addresses of a line, those of Jabber told by a keyword before them or by the name of their host."""
    out = []
    for found in emails:
        host = found.value.rpartition("@")[2]
        before = view.lower[: found.start]
        keyword = _KEYWORDS[-1][1].search(before)
        named = any(word in host for word in ("jabber", "xmpp", "jabb.", "exploit.im"))
        if named or (keyword and keyword.end() >= len(before) - 12):
            found = replace(found, kind=IdentifierKind.JABBER, form=max(found.form, 0.9))
        out.append(found)
    return out


_CANONICAL = {
    IdentifierKind.INSTAGRAM: canonical_instagram,
    IdentifierKind.VK: canonical_vk,
    IdentifierKind.SIGNAL: canonical_signal,
    IdentifierKind.THREEMA: canonical_threema,
    IdentifierKind.JABBER: canonical_email,
}


_MISREAD_WA = re.compile(
    r"(?<![^\W_])[wv]{1,2}a\s?[.,·:;]?\s?(?:m|rn|nn|t)[e3c]\s?[/|\\l]\s?(?P<number>\+?\d[\d\s-]{8,17}\d)(?![^\W_])"
)
"""``wa.me/`` as it may be read off a wall (``wa. te/``), before a number that is whole."""


def find_whatsapp(view: View, spans: list[tuple[int, int]]) -> list[Found]:
    """Links to a WhatsApp number in one painted line whose host was misread, outside the stretches in ``spans``."""
    out = []
    for match in _MISREAD_WA.finditer(view.latin):
        phone = parse_phone("+" + match["number"].lstrip("+"))  # a link has the country code
        if phone and free(spans, *match.span()):
            out.append(
                Found(IdentifierKind.WHATSAPP, phone.e164, *match.span(), match.span("number"), 0.9, flags=(Flag.REPAIRED,))
            )
    return out


def _keyword_form(kind: IdentifierKind, sep: str, name: str) -> float:
    """How surely the word after a keyword is a name of that kind."""
    marked = any(c.isdigit() or c in "_." for c in name)
    if kind is IdentifierKind.THREEMA:
        return 0.9 if any(c.isdigit() for c in name) and name.upper() == name else 0.3
    if kind is IdentifierKind.SIGNAL:
        return 0.93
    if any(c in ":;=@→-" for c in sep):
        return 0.9 if marked or "@" in sep else 0.8
    return 0.8 if marked and len(name) >= 5 else 0.3


def find_keyword(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Found]:
    """Names after a keyword (``inst: name``, ``signal name.42``, ``threema ABCD1234``) in one line."""
    out: list[Found] = []
    for kind, pattern in _KEYWORDS[:-1]:
        for match in pattern.finditer(view.lower):
            token = _NAME.match(view.text, match.end())
            if not token or not free(spans, match.start(), token.end()):
                continue
            folded = view.latin[token.start() : token.end()].strip(".:-")
            name = folded.upper() if kind is IdentifierKind.THREEMA else folded
            value = _CANONICAL[kind](name)
            if value is None or len(value) < 4:
                continue
            flags = (Flag.MIXED_SCRIPT,) if folded != view.lower[token.start() : token.end()].strip(".:-") else ()
            form = _keyword_form(kind, match.group(), token.group())
            out.append(Found(kind, value, match.start(), token.end(), token.span(), form, flags=flags))
    return out
