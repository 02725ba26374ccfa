"""Onion and I2P addresses. Canonical: lower case with ``.onion`` (56 characters before it) or ``.i2p``, nothing after it.

Source: Tor's rend-spec, "Encoding onion addresses": base32 of key (32 bytes), checksum (2) and version (1, always 3), where
the checksum is the beginning of SHA3-256(".onion checksum" | key | version). I2P: 52 characters of base32 before ``.b32.i2p``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from ...contract import Flag, IdentifierKind
from .base import Found, Source, View, free

ONION_LENGTH = 56
I2P_LENGTH = 52
ENDINGS = ("aiqy", "d")
"""What the last two characters can be: the version fixes their bits."""
CHECK_BITS = 16
"""Check bits of an onion address that a misread character elsewhere than at the end can meet by chance."""
BASE32 = frozenset("abcdefghijklmnopqrstuvwxyz234567")

_PREFIX = b".onion checksum"
I2P_SUFFIX = re.compile(r"[.,]b32[.,][il1]2p(?:/\S*)?$")
_V2 = re.compile(r"(?<![a-z0-9])(?P<id>[a-z2-7]{16})\.onion(?![a-z0-9])")
_I2P = re.compile(
    r"(?<![a-z0-9.-])(?P<host>(?:[a-z2-7]{52,70}\.b32|(?:[a-z0-9][a-z0-9-]{0,62}\.)*[a-z0-9][a-z0-9-]{1,62}))\.[il1]2p(?![a-z0-9])"
)
SUFFIX = re.compile(r"[.,·:;]\s?(?:[o0сc]n[il1][o0]n|[o0]n[il1][o0][nmh]|[o0]ni[o0]|[o0][nh][il1][o0]n|[o0]nl[o0]n)(?:/\S*)?$")
"""``.onion`` at the end of a line, as it is misread."""


def is_onion(name: str) -> bool:
    """Whether 56 characters (without ``.onion``) are a version 3 onion address with the right checksum."""
    if len(name) != ONION_LENGTH or name[-1] not in "dD":  # the last five bits are the version's
        return False
    try:
        raw = base64.b32decode(name.upper())
    except (binascii.Error, ValueError):
        return False
    key, checksum, version = raw[:32], raw[32:34], raw[34:]
    return version == b"\x03" and hashlib.sha3_256(_PREFIX + key + version).digest()[:2] == checksum


def encode_onion(key: bytes) -> str:
    """The version 3 address (56 characters, without ``.onion``) of a 32-byte public key."""
    if len(key) != 32:
        raise ValueError(f"An onion key has 32 bytes, not {len(key)}")
    checksum = hashlib.sha3_256(_PREFIX + key + b"\x03").digest()[:2]
    return base64.b32encode(key + checksum + b"\x03").decode("ascii").lower()


def canonical_onion(host: str) -> str | None:
    """``<56 characters>.onion`` for any literal host under a valid version 3 address, else None. Idempotent."""
    labels = host.lower().strip().rstrip(".").split(".")
    if labels[-1] == "onion":
        labels.pop()
    return f"{labels[-1]}.onion" if labels and is_onion(labels[-1]) else None


def find_i2p(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Found]:
    """I2P hosts, and the retired onion v2 addresses (evidence only, flag ``obsolete``), in one line."""
    out = []
    for match in _I2P.finditer(view.latin):
        if free(spans, *match.span()):
            literal = match.group().endswith(".i2p")
            hashed = match["host"].endswith(".b32")
            form = (0.97 if hashed else 0.93) if literal else 0.8
            if hashed and len(match["host"]) not in range(56, 75):
                form *= 0.3
            flags = () if literal else (Flag.REPAIRED,)
            out.append(Found(IdentifierKind.I2P, match["host"] + ".i2p", *match.span(), match.span("host"), form, flags=flags))
    for match in _V2.finditer(view.latin):
        if free(spans, *match.span()):
            form = 0.9 if source is not Source.PAINTED else 0.7
            value = match["id"] + ".onion"
            out.append(Found(IdentifierKind.ONION, value, *match.span(), match.span("id"), form, flags=(Flag.OBSOLETE,)))
    return out
