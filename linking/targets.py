"""What exactly is to be blocked: the address of a resource, never the host that it shares with others.

``t.me`` is no public suffix, so that "the registrable domain" of a channel's link would be all of Telegram. Nothing here shortens
an address; a value that has no exact address of its own is no target.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..contract import IdentifierKind
from ..inference.identifiers.protected import bundled

_K = IdentifierKind
_NUMBERED = frozenset({_K.PHONE})
_BY_NAME = frozenset({_K.SIGNAL, _K.SESSION, _K.THREEMA, _K.MATRIX, _K.JABBER, _K.TOX, _K.EMAIL, _K.BTC, _K.TRON, _K.TON})


@dataclass(frozen=True, slots=True)
class Target:
    """``address`` is the web address of exactly this resource, or empty where it has none; ``host`` is set when the whole host is
    the resource's own."""

    kind: IdentifierKind
    value: str
    address: str = ""
    host: str = ""


def target_of(kind: IdentifierKind, value: str) -> Target | None:
    """The target that a canonical value is, or None: codes that lead nowhere, and what would stand for a shared host."""
    if kind in (_K.URL, _K.ONION, _K.I2P):
        return _web(kind, value)
    if kind in _NUMBERED or kind in _BY_NAME or kind is _K.WHATSAPP or kind is _K.QR:
        if kind is _K.QR or not value:
            return None
        return Target(kind, value, _page(kind, value))
    address = _page(kind, value)
    return Target(kind, value, address) if address else None


def _page(kind: IdentifierKind, value: str) -> str:
    """The address of a name on the host of its platform, or empty."""
    if not value.strip("/.@+ "):
        return ""
    if kind in (_K.TELEGRAM, _K.TELEGRAM_INVITE):
        return f"https://t.me/{value}"
    if kind is _K.INSTAGRAM:
        return f"https://www.instagram.com/{value}/"
    if kind is _K.VK:
        return f"https://vk.com/{value}"
    if kind is _K.SIGNAL and value.startswith(("eu/", "group/")):
        group = value.startswith("group/")
        return f"https://signal.group/#{value.removeprefix('group/')}" if group else f"https://signal.me/#{value}"
    if kind is _K.WHATSAPP:
        where, _, rest = value.partition("/")
        return f"https://chat.whatsapp.com/{rest}" if where == "chat" else f"https://wa.me/{value.lstrip('+')}"
    return ""


def _web(kind: IdentifierKind, value: str) -> Target | None:
    scheme = "https" if kind is _K.URL else "http"
    rest = value.partition("://")[2] or value
    host, _, path = rest.partition("/")
    host = host.lower().rstrip(".")
    bare = host.partition("@")[2] or host
    bare = bare.partition("?")[0].partition("#")[0].partition(":")[0].removeprefix("www.")
    own = not path.partition("?")[0].partition("#")[0].strip("/")
    if not bare or "." not in bare or (own and bare in bundled().shared_hosts):
        return None
    whole = own and "?" not in rest and "#" not in rest
    return Target(kind, value, f"{scheme}://{rest}", bare if whole else "")
