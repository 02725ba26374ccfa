"""Payment addresses and Tox and Session identities: checks and canonical forms.

Canonical: BTC base58 verbatim, bech32 in lower case; TRON verbatim; TON raw (``workchain:64 hex``), because the EQ and UQ forms
of one account differ; Tox the 64 hex digits of the key in upper case, because nospam and checksum change while the key
stays; Session 66 hex digits in lower case.
Sources: BIP-173 and BIP-350 (bech32, bech32m), TRON's base58check with prefix 0x41, docs.ton.org (CRC16-XMODEM, tags
0x11 and 0x51), docs.rs/tox_packet (XOR checksum), session-desktop ``PubKey.ts`` (prefixes 05, 03, 15, 25).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from ...contract import IdentifierKind

_ALPHABET58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUE58 = {c: i for i, c in enumerate(_ALPHABET58)}
_ALPHABET32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE32 = {c: i for i, c in enumerate(_ALPHABET32)}
_BECH32, _BECH32M = 1, 0x2BC830A3
_HEX = re.compile(r"[0-9A-Fa-f]+")


def _base58check(text: str) -> bytes | None:
    """Payload (version byte first) of a base58check text, or None when the checksum is wrong."""
    number = 0
    for char in text:
        value = _VALUE58.get(char)
        if value is None:
            return None
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    raw = b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
    payload, checksum = raw[:-4], raw[-4:]
    return payload if hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4] == checksum else None


def _polymod(values: list[int]) -> int:
    generators = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(generators):
            check ^= generator if top >> i & 1 else 0
    return check


def _segwit(text: str) -> str | None:
    """Lower-case segwit address for the main net, or None (BIP-173 for version 0, BIP-350 for later ones)."""
    if text.lower() != text and text.upper() != text:
        return None
    text = text.lower()
    if not text.startswith("bc1") or not 14 <= len(text) <= 90 or any(c not in _VALUE32 for c in text[3:]):
        return None
    data = [_VALUE32[c] for c in text[3:]]
    check = _polymod([3, 3, 0, 2, 3, *data])
    version, program = data[0], data[1:-6]
    bits = len(program) * 5
    size, spare = bits // 8, bits % 8
    padding = program[-1] & ((1 << spare) - 1) if program else 0
    if check != (_BECH32 if version == 0 else _BECH32M) or version > 16 or spare >= 5 or padding:
        return None
    return text if (size in (20, 32) if version == 0 else 2 <= size <= 40) else None


def canonical_btc(text: str) -> str | None:
    """A Bitcoin address (base58check version 0 or 5, bech32, bech32m) in canonical form, or None."""
    if text[:3].lower() == "bc1":
        return _segwit(text)
    if text[:1] not in ("1", "3") or not 26 <= len(text) <= 35:
        return None
    payload = _base58check(text)
    return text if payload is not None and len(payload) == 21 and payload[0] in (0, 5) else None


def canonical_tron(text: str) -> str | None:
    """A TRON address (``T`` and 33 characters, base58check with prefix 0x41), or None."""
    if len(text) != 34 or not text.startswith("T"):
        return None
    payload = _base58check(text)
    return text if payload is not None and len(payload) == 21 and payload[0] == 0x41 else None


def canonical_ton(text: str) -> str | None:
    """Raw form ``workchain:hex`` of a TON address given raw or as 48 characters of base64, or None."""
    raw = re.fullmatch(r"(-1|0):([0-9a-fA-F]{64})", text)
    if raw:
        return f"{raw[1]}:{raw[2].lower()}"
    if len(text) != 48:
        return None
    try:
        data = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    if data[0] & 0x7F not in (0x11, 0x51) or binascii.crc_hqx(data[:34], 0) != int.from_bytes(data[34:], "big"):
        return None
    return f"{int.from_bytes(data[1:2], 'big', signed=True)}:{data[2:34].hex()}"


def canonical_tox(text: str) -> str | None:
    """The key (64 hex digits, upper case) of a Tox address of 76 hex digits with the right checksum, or None."""
    if len(text) != 76 or not _HEX.fullmatch(text):
        return None
    data = bytes.fromhex(text)
    check = [0, 0]
    for i, byte in enumerate(data[:36]):
        check[i % 2] ^= byte
    return text[:64].upper() if bytes(check) == data[36:] else None


def canonical_session(text: str) -> str | None:
    """A Session identity (66 hex digits, prefix 05, 03, 15 or 25) in lower case, or None. It has no checksum."""
    return text.lower() if len(text) == 66 and _HEX.fullmatch(text) and text[:2] in ("05", "03", "15", "25") else None


@dataclass(frozen=True, slots=True)
class Checked:
    """A kind with a checksum: its canonical form, check bits, the lengths it comes in, and how it looks from afar."""

    kind: IdentifierKind
    canonical: Callable[[str], str | None]
    bits: int
    lengths: frozenset[int]
    shape: re.Pattern[str]
    folds_case: bool = False


CHECKED = (
    Checked(IdentifierKind.BTC, canonical_btc, 30, frozenset({42, 62}), re.compile(r"[bB6][cC]1\w+"), folds_case=True),
    Checked(IdentifierKind.BTC, canonical_btc, 32, frozenset({33, 34}), re.compile(r"[13]\w+")),
    Checked(IdentifierKind.TRON, canonical_tron, 32, frozenset({34}), re.compile(r"T\w+")),
    Checked(IdentifierKind.TON, canonical_ton, 16, frozenset({48}), re.compile(r"[EUk0][Q0O][\w-]+")),
    Checked(IdentifierKind.TOX, canonical_tox, 16, frozenset({76}), re.compile(r"[0-9A-Fa-fOoIlSB]+")),
)
"""What a painted blob of letters and digits may be, beside an onion address."""
