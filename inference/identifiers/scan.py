"""All grammars over one line of text, in the order in which they may claim its stretches."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from ...contract import Flag, IdentifierKind
from . import darknet, phones, social, telegram, web
from .base import Found, Source, View, free, overlap
from .crypto import CHECKED
from .links import resolve

_HOPE = re.compile(
    r"[@©®/_+]|[^\W_]\s?[.,·]\s?[^\W_]|[0-9a-z]{20}|(?:\d\D{0,3}){7}|t[\W\d]?\s?[mr]|tg|тг|t[gr6]|7[gr]|тgr?|тр|tele|теле|т[eе]л|те[лl]|"
    r"inst|инст|\big\b|vk|вк|signal|сигнал|threema|трима|jabb|xmpp|otr|жаб|джаб|[ob0]t\b"
)
_ECHO = re.compile(r"(?P<letter>[^\W_])(?=(?P=letter))|[l1i|fjr7†+](?=t[.,]me[/|])")
"""The first letter of a line seen twice, whole or as its stem: where a line is followed beyond its first letter, a crop shows
the edge of that letter again."""
_ECHO_FORM = 0.9
"""How much less surely something is a contact that is found only when such a letter is left out."""
_BLOB = re.compile(r"(?<![\w-])(?:[\w-]{26,80}|-?\d:[0-9a-fA-F]{64})(?![\w-])", re.ASCII)


def _checked(view: View) -> list[Found]:
    """Literal payment addresses and Tox identities: the checksum must be right as written."""
    out = []
    for match in _BLOB.finditer(view.text):
        for spec in CHECKED:
            value = spec.canonical(match.group())
            if value is not None:
                out.append(Found(spec.kind, value, *match.span(), match.span(), 1.0, verified=True))
                break
    return out


def _links(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Found]:
    """Web addresses, and what those of known services mean."""
    out = []
    for address in web.find_addresses(view, source, spans):
        if address.host.endswith((".onion", ".i2p")):
            continue
        meant = telegram.misread_host(address.host) if source is Source.PAINTED and address.path else None
        target = resolve((meant or address.host) + address.path)
        if target is None:
            continue
        kind, value = target
        flags = (*address.flags, Flag.REPAIRED) if meant else address.flags
        if kind is IdentifierKind.TELEGRAM:
            if len(value) < telegram.MENTION_LENGTH - 1 and source is not Source.CODE:
                continue
            flags = (*flags, *telegram.name_flags(value))
        form = address.form if kind is IdentifierKind.URL else max(address.form, 0.9)
        out.append(Found(kind, value, address.start, address.end, address.core, form, flags=flags))
    return out


def _spans(found: list[Found]) -> list[tuple[int, int]]:
    return [(f.start, f.end) for f in found]


def scan_view(view: View, source: Source) -> list[Found]:
    """Every identifier that one line spells; several findings of one stretch are alternative values with their shares."""
    out: list[Found] = _checked(view)
    out += social.find_session(view, _spans(out))
    out += social.find_matrix(view, _spans(out))
    emails = [f for f in web.find_emails(view, source) if free(_spans(out), f.start, f.end)]
    out += social.as_jabber(view, emails)
    out += telegram.find_links(view, source, _spans(out))
    out += darknet.find_i2p(view, source, _spans(out))
    out += _links(view, source, _spans(out))
    if source is Source.PAINTED:
        out += social.find_whatsapp(view, _spans(out))
    out += social.find_keyword(view, source, _spans(out))
    out += telegram.find_names(view, source, _spans(out))
    out += phones.find(view, source, _spans(out))
    return out


def _without_echo(view: View, found: list[Found]) -> list[Found]:
    """The findings of a painted line that may begin with a letter seen twice (``tt.me/name``, ``ttg: name``).

    What follows an anchor after that letter counts where nothing was found, and rather than a web address (``tt.me`` is a host,
    too) if it is a whole name or invite of Telegram.
    """
    if not _ECHO.match(view.latin):
        return found
    cut = View(view.original, view.text[1:], view.index[1:])
    out = list(found)
    for item in scan_view(cut, Source.PAINTED):
        if item.start > 0 or item.core[0] == 0 or item.verified:
            continue
        here = (1, item.end + 1)
        rivals = [f for f in out if overlap((f.start, f.end), here) and (f.start, f.end) != here]
        if rivals and not (all(f.kind is IdentifierKind.URL for f in rivals) and _is_whole(cut, item)):
            continue
        core = (item.core[0] + 1, item.core[1] + 1)
        flags = (*item.flags, Flag.REPAIRED)
        out = [f for f in out if f not in rivals]
        out.append(replace(item, start=1, end=item.end + 1, core=core, form=item.form * _ECHO_FORM, flags=flags))
    return out


def _is_whole(view: View, found: Found) -> bool:
    """Whether a finding is all of a link to a Telegram name that can be registered, or to an invite of a length in use."""
    if found.kind is IdentifierKind.TELEGRAM_INVITE:
        whole = len(found.value) - 1 in telegram.INVITE_LENGTHS
    else:
        whole = found.kind is IdentifierKind.TELEGRAM and telegram.is_registrable(found.value)
    return whole and Flag.JOINED not in found.flags and not view.text[found.end : found.end + 1].strip(" .,;:!)?")


@lru_cache(maxsize=8192)
def scan(text: str, source: Source) -> tuple[Found, ...]:
    """``scan_view`` of one line of text, remembered; positions are those of the cleaned text. Never raises on any text."""
    view = View.of(text)
    if len(view.text) < 4 or not _HOPE.search(view.lower):
        return ()
    found = scan_view(view, source)
    if source is Source.PAINTED:
        found = _without_echo(view, found)
    return tuple(replace(f, flags=tuple(dict.fromkeys(f.flags))) for f in found) if found else ()


def flags_of(found: Found, *more: Flag) -> tuple[Flag, ...]:
    """The remarks of a finding and further ones, in the order of ``Flag``, each once."""
    held = {*found.flags, *more}
    return tuple(flag for flag in Flag if flag in held)
