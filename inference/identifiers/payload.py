"""What a code says. A payload is literal: nothing is guessed, and what none of the kinds knows is kept verbatim as ``qr``."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

from ...contract import Flag, Identifier, IdentifierKind
from . import crypto, phones, social, web
from .base import Found, Source, View
from .darknet import canonical_onion
from .links import resolve
from .protected import is_protected
from .scan import flags_of, scan
from .telegram import name_flags

CODE_CONFIDENCE = 0.999
"""A decoded code carries its own error correction."""
_SCHEME = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]*):(?P<rest>.*)$", re.IGNORECASE | re.DOTALL)
_FIELDS = re.compile(r"(?:^|[\n;:])(?:TEL|EMAIL|URL|X-[A-Z-]+)[^:\n]*:(?P<value>[^\n;]+)", re.IGNORECASE)
_OPAQUE = frozenset({"wifi", "begin", "mecard", "geo", "otpauth", "data", "javascript", "market"})

Pair = tuple[IdentifierKind, str]


def _phone(text: str) -> Pair | None:
    phone = phones.parse_phone(unquote(text).split(";")[0].split("?")[0])
    return (IdentifierKind.PHONE, phone.e164) if phone else None


def _bare(text: str) -> Pair | None:
    """A payload that is one identifier and nothing else."""
    for kind, canonical in (
        (IdentifierKind.ONION, canonical_onion),
        (IdentifierKind.BTC, crypto.canonical_btc),
        (IdentifierKind.TRON, crypto.canonical_tron),
        (IdentifierKind.TON, crypto.canonical_ton),
        (IdentifierKind.TOX, crypto.canonical_tox),
        (IdentifierKind.SESSION, crypto.canonical_session),
        (IdentifierKind.MATRIX, social.canonical_matrix),
    ):
        value = canonical(text)
        if value is not None:
            return kind, value
    return None


def _by_scheme(scheme: str, rest: str, payload: str) -> Pair | None:
    """What a payload with a scheme means; None when the scheme is not known or its content is not well-formed."""
    body = rest.lstrip("/")
    path, _, query = body.partition("?")
    if scheme in ("http", "https", "tg"):
        return resolve(payload)
    if scheme in ("tel", "sms", "smsto", "callto"):
        return _phone(body.split(":")[0])
    if scheme in ("mailto", "xmpp"):
        value = web.canonical_email(unquote(path).split("/")[0])
        return (IdentifierKind.JABBER if scheme == "xmpp" else IdentifierKind.EMAIL, value) if value else None
    if scheme == "whatsapp":
        return social.parse_link("api.whatsapp.com", "/send?" + query)
    if scheme in ("bitcoin", "tron", "ton", "tox", "threema"):
        text = path.removeprefix("transfer/")
        if scheme == "threema":
            text = parse_qs(query).get("id", [text])[0]
            value = social.canonical_threema(text)
            return (IdentifierKind.THREEMA, value) if value else None
        return _bare(text)
    if scheme == "matrix":
        value = social.canonical_matrix("@" + body.removeprefix("u/").split("?")[0])
        return (IdentifierKind.MATRIX, value) if value else None
    return None


def _identifier(kind: IdentifierKind, value: str, raw: str, confidence: float, flags: tuple[Flag, ...] = ()) -> Identifier:
    extra: tuple[Flag, ...] = name_flags(value) if kind is IdentifierKind.TELEGRAM else ()
    if kind is IdentifierKind.PHONE:
        phone = phones.parse_phone(value)
        extra += (Flag.UNASSIGNED,) if phone is None or not phone.assigned else ()
    if is_protected(kind, value):
        extra += (Flag.PROTECTED,)
    held = {*flags, *extra}
    return Identifier(kind, value, raw, confidence, flags=tuple(f for f in Flag if f in held))


def _from_text(payload: str) -> list[Identifier]:
    """Every identifier that a payload of free text or contact fields spells."""
    lines = [m["value"] for m in _FIELDS.finditer(payload)] if _OPAQUE & {payload.split(":")[0].lower()} else payload.splitlines()
    out: dict[Pair, Identifier] = {}
    for line in lines:
        target = resolve(line) if "/" in line else None
        whole = target or _bare(line.strip())
        found: list[Found] = [] if whole else [f for f in scan(line, Source.CODE) if f.form >= 0.5]
        if whole:
            out.setdefault(whole, _identifier(*whole, line, CODE_CONFIDENCE))
        for item in found:
            raw = View.of(line).raw(item.start, item.end)
            confidence = min(CODE_CONFIDENCE, item.form)
            out.setdefault((item.kind, item.value), _identifier(item.kind, item.value, raw, confidence, flags_of(item)))
    return list(out.values())


def parse_payload(payload: str) -> list[Identifier]:
    """The identifiers of a code's payload; when there are none, the payload itself as kind ``qr``, verbatim.

    ``raw`` is the payload (or the line of it) as decoded, so that parameters such as ``?start=`` stay as evidence.
    An empty payload gives an empty list. Nothing is opened or looked up.
    """
    text = payload.strip()
    if not text:
        return []
    scheme = _SCHEME.match(text)
    target = None
    if scheme and not re.search(r"\s", text):
        target = _by_scheme(scheme["scheme"].lower(), scheme["rest"], text)
    if target is None and not re.search(r"\s", text):
        target = _bare(text)
    if target:
        return [_identifier(*target, payload, CODE_CONFIDENCE)]
    found = _from_text(text)
    return found or [_identifier(IdentifierKind.QR, payload, payload, CODE_CONFIDENCE)]
