"""One literal link to what it means: the services that tagtrace knows, an onion or I2P host, else a web address."""

from __future__ import annotations

import re

from ...contract import IdentifierKind
from . import darknet, social, telegram, web

_PARTS = re.compile(r"^(?:https?:/{0,2})?(?:[^/?#@\s]*@)?(?P<host>[^/?#:\s]+)(?::\d{1,5})?(?P<rest>[/?#].*)?$", re.IGNORECASE)
_ONLY_KNOWN = frozenset("wa.me api.whatsapp.com chat.whatsapp.com signal.me signal.group threema.id matrix.to ig.me".split())
"""Hosts that hold nothing but contacts: an address there that is no contact is a broken one."""
_TELEGRAM_PATHS = frozenset({"addlist", "c"})


def resolve(link: str) -> tuple[IdentifierKind, str] | None:
    """(kind, canonical value) of a literal link, or None when it leads to nothing that could be verified.

    A host that belongs to a known service never becomes a web address by itself: ``t.me`` alone means nothing.
    """
    link = link.strip()
    target = telegram.parse_link(link)
    if target:
        return target.kind, target.value
    match = _PARTS.match(link)
    if not match:
        return None
    host, rest = match["host"].lower().removeprefix("www."), match["rest"] or ""
    if host.endswith(".onion"):
        onion = darknet.canonical_onion(host)
        return (IdentifierKind.ONION, onion) if onion else None
    if host.endswith(".i2p"):
        return IdentifierKind.I2P, host
    known = social.parse_link(host, rest)
    if known:
        return known
    if host in _ONLY_KNOWN:
        return None
    url = web.canonical_url(link)
    if telegram.is_telegram_host(host) and (rest.strip("/").split("/")[0] not in _TELEGRAM_PATHS or rest.count("/") < 2):
        return None
    return (IdentifierKind.URL, url) if url else None
