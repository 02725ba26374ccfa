"""From a contact as a person typed it to its canonical value, or what is wrong with it.

The rules are those of ``inference.identifiers``; here the kind is known, so nothing has to be searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ..contract import IdentifierKind
from ..inference.identifiers import crypto, darknet, links, phones, social, telegram, web
from ..inference.identifiers.names import is_valid_name

_K = IdentifierKind
_INVITE = re.compile(r"\+?(?P<hash>[A-Za-z0-9_-]{10,40})")
_E164 = re.compile(r"\+\d{7,15}")
_TON = re.compile(r"-?\d{1,3}:[0-9a-f]{64}")
_TOX_KEY = re.compile(r"[0-9A-Fa-f]{64}")
_I2P = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+i2p")
_ONION_V2 = re.compile(r"[a-z2-7]{16}\.onion")
_WHATSAPP = re.compile(r"chat/[A-Za-z0-9]{6,40}|message/[A-Za-z0-9]{4,40}")
_SIGNAL = re.compile(r"eu/\S{8,}|group/\S{8,}")
_LONGEST = 2000
_SHORTEST_NAME = 4
"""Telegram sells names of four letters; shorter ones are its own."""


def canonical_value(kind: IdentifierKind, text: str) -> str | None:
    """The canonical value of a contact of this kind as a list or a person spells it, or None when it is none. Idempotent.

    A link to it (``https://t.me/name``) is understood. Checksums are checked where the canonical value holds them.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST or (kind is not _K.QR and re.search(r"[\x00-\x20\x7f]", text) and kind not in _SPACED):
        return None
    value = _RULES[kind](text)
    if value is None and "/" in text:
        target = links.resolve(text)
        return target[1] if target is not None and target[0] is kind else None
    return value


def _telegram(text: str) -> str | None:
    if "/" in text:
        return None
    name = text.removeprefix("@").lower()
    found = name if is_valid_name(name) else telegram.canonical_name(text)
    return found if found is not None and len(found) >= _SHORTEST_NAME else None


def _invite(text: str) -> str | None:
    match = _INVITE.fullmatch(text)
    return None if match is None or match["hash"].isdigit() else "+" + match["hash"]


def _phone(text: str) -> str | None:
    if re.search(r"[^\W\d]|/", text):
        return None
    found = phones.parse_phone(text)
    if found is not None:
        return found.e164
    digits = re.sub(r"[\s().-]", "", text)
    return digits if _E164.fullmatch(digits) else None


def _whatsapp(text: str) -> str | None:
    return text if _WHATSAPP.fullmatch(text) else _phone(text)


def _signal(text: str) -> str | None:
    if _SIGNAL.fullmatch(text):
        return text
    return social.canonical_signal(text) or (_phone(text) if text.startswith("+") else None)


def _url(text: str) -> str | None:
    value = web.canonical_url(text)
    if value is None:
        return None
    # An address of a service's page is that contact (``t.me/name`` is a telegram), and its host alone is nobody's.
    target = links.resolve(value)
    return value if target is None or target[0] is _K.URL else None


def _onion(text: str) -> str | None:
    host = re.sub(r"^https?://", "", text.lower()).split("/")[0]
    return host if _ONION_V2.fullmatch(host) else darknet.canonical_onion(host)


def _i2p(text: str) -> str | None:
    host = re.sub(r"^https?://", "", text.lower()).split("/")[0]
    return host if _I2P.fullmatch(host) else None


def _tox(text: str) -> str | None:
    return text.upper() if _TOX_KEY.fullmatch(text) else crypto.canonical_tox(text)


def _ton(text: str) -> str | None:
    return text if _TON.fullmatch(text) else crypto.canonical_ton(text)


_SPACED: Final = frozenset({_K.PHONE, _K.WHATSAPP, _K.SIGNAL})
"""Kinds that people write with spaces."""
_RULES: Final[Mapping[IdentifierKind, Callable[[str], str | None]]] = MappingProxyType(
    {
        _K.TELEGRAM: _telegram,
        _K.TELEGRAM_INVITE: _invite,
        _K.URL: _url,
        _K.ONION: _onion,
        _K.I2P: _i2p,
        _K.PHONE: _phone,
        _K.WHATSAPP: _whatsapp,
        _K.INSTAGRAM: social.canonical_instagram,
        _K.VK: social.canonical_vk,
        _K.SIGNAL: _signal,
        _K.SESSION: crypto.canonical_session,
        _K.THREEMA: social.canonical_threema,
        _K.MATRIX: social.canonical_matrix,
        _K.JABBER: web.canonical_email,
        _K.TOX: _tox,
        _K.EMAIL: web.canonical_email,
        _K.BTC: crypto.canonical_btc,
        _K.TRON: crypto.canonical_tron,
        _K.TON: _ton,
        _K.QR: lambda text: text,
    }
)
