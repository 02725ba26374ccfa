"""What the codes on stickers and posters hold: payloads for the resources of a shop."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from ...contract import IdentifierKind as Kind
from ...contract import Resource
from .draw import choice, weighted
from .spelling import written


@dataclass(frozen=True, slots=True)
class CodeText:
    """The payload of a code, verbatim, and the identifier that it means."""

    payload: str
    kind: Kind
    canonical: str


_TELEGRAM: Final = MappingProxyType(
    {
        "https://t.me/{}": 60.0, "http://t.me/{}": 2.0, "t.me/{}": 6.0, "tg://resolve?domain={}": 6.0, "@{}": 5.0,
        "https://telegram.me/{}": 3.0, "https://t.me/{}?start=qr": 4.0, "https://t.me/{}?start=ref24": 2.0,
        "HTTPS://T.ME/{}": 2.0, "https://{}.t.me": 3.0, "{}": 0.5, "https://t.me/s/{}": 1.0,
    }
)  # fmt: skip
_FORMS: Final = MappingProxyType(
    {
        Kind.TELEGRAM_INVITE: (
            "https://t.me/{}",
            "https://t.me/{}",
            "tg://join?invite={bare}",
            "https://t.me/joinchat/{bare}",
            "t.me/{}",
        ),
        Kind.URL: (
            "https://{}",
            "https://{}/",
            "http://{}",
            "https://www.{}/",
            "https://{}/shop",
            "https://{}/?r=qr",
            "{}",
            "URLTO:https://{}",
        ),
        Kind.ONION: ("http://{}", "http://{}/", "{}"),
        Kind.I2P: ("http://{}", "{}"),
        Kind.PHONE: ("tel:{}", "{}", "tel:{}", "sms:{}", "smsto:{}:"),
        Kind.WHATSAPP: (
            "https://wa.me/{bare}",
            "https://wa.me/{bare}",
            "https://wa.me/{bare}?text=hi",
            "https://api.whatsapp.com/send?phone={bare}",
        ),
        Kind.INSTAGRAM: ("https://instagram.com/{}", "https://www.instagram.com/{}/", "https://instagram.com/{}?igsh=qr"),
        Kind.VK: ("https://vk.com/{}", "vk.com/{}", "https://vk.me/{}"),
        Kind.SIGNAL: ("Signal: {}",),
        Kind.SESSION: ("{}",),
        Kind.THREEMA: ("https://threema.id/{}",),
        Kind.MATRIX: ("https://matrix.to/#/{}",),
        Kind.JABBER: ("xmpp:{}",),
        Kind.TOX: ("tox:{}", "{}"),
        Kind.EMAIL: ("mailto:{}", "{}"),
        Kind.BTC: ("bitcoin:{}", "{}"),
        Kind.TRON: ("{}", "tron:{}"),
        Kind.TON: ("ton://transfer/{}", "{}"),
    }
)


def payload(rng: np.random.Generator, resource: Resource) -> CodeText:
    """A code for a resource, in one of the forms that phones open."""
    value = resource.value if resource.kind is Kind.WHATSAPP else written(rng, resource.kind, resource.value)
    form = weighted(rng, _TELEGRAM) if resource.kind is Kind.TELEGRAM else choice(rng, _FORMS[resource.kind])
    shown = value.upper() if form.startswith("HTTPS") else value
    return CodeText(form.format(shown, bare=value.removeprefix("+")), resource.kind, resource.value)
