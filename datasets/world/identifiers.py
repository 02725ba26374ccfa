"""Valid, invented identifiers of every kind, in their canonical form.

Kinds with a checksum get a right one, so that what checks and repairs them can be trained and tested on these. Phones only use
codes that the numbering plans do not assign: nobody's number is ever shown.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha3_256, sha256
from types import MappingProxyType
from typing import Final

import numpy as np

from ...contract import IdentifierKind
from .draw import chance, choice, string, weighted
from .names import handle, random_handle

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
BASE64URL: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_DIGITS: Final = "0123456789"
_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"

KZ_UNASSIGNED: Final = tuple(
    "703 704 709 749 772 773 774 779 740 741 742 743 748 765 766 767 781 783 784 789".split()  # as on walls: 70x, 74x, 77x …
)
"""Codes of the shape of Kazakh mobile ones that the plan does not assign (libphonenumber metadata 9.0)."""
RU_UNASSIGNED: Final = ("303", "323", "430", "515", "595", "639", "853", "889", "893", "896", "898")
KG_UNASSIGNED: Final = ("530", "533", "537", "539", "590", "731", "741", "751", "760", "780", "795")
UZ_UNASSIGNED: Final = ("21", "23", "29", "31", "34", "38", "51", "81", "85", "89")

_TLDS: Final = MappingProxyType(
    {
        "kz": 22.0, "com.kz": 2.0, "org.kz": 1.0, "biz": 5.0, "club": 4.0, "cc": 5.0, "shop": 6.0, "com": 8.0, "net": 4.0,
        "org": 3.0, "ru": 6.0, "su": 2.0, "info": 3.0, "top": 4.0, "xyz": 4.0, "site": 4.0, "online": 4.0, "store": 3.0,
        "pro": 3.0, "me": 3.0, "io": 2.0, "to": 2.0, "vip": 2.0, "market": 1.0, "link": 2.0, "live": 1.0, "app": 1.0,
        "ws": 1.0, "pw": 1.0, "la": 1.0, "lol": 1.0, "click": 1.0, "space": 1.0, "world": 1.0, "one": 1.0, "asia": 1.0,
        "tel": 1.0, "uz": 1.0, "kg": 1.0,
    }
)  # fmt: skip
_IDN_TLDS: Final = ("қаз", "рф")
_TO_CYRILLIC: Final = (
    ("shch", "щ"), ("sh", "ш"), ("ch", "ч"), ("zh", "ж"), ("ya", "я"), ("yu", "ю"), ("ts", "ц"), ("ng", "ң"),
    *zip("abcdefghijklmnopqrstuvwxyz", "абцдефгхижклмнопқрстувшкыз", strict=True),
)  # fmt: skip


def to_cyrillic(word: str) -> str:
    """A Latin stem in Cyrillic letters, the way people transliterate; signs and digits stay."""
    for latin, cyrillic in _TO_CYRILLIC:
        word = word.replace(latin, cyrillic)
    return word


def onion(rng: np.random.Generator) -> str:
    """A valid v3 onion host (rend-spec-v3, section 6), 56 base32 characters and ``.onion``."""
    key = rng.bytes(32)
    checksum = sha3_256(b".onion checksum" + key + b"\x03").digest()[:2]
    return base64.b32encode(key + checksum + b"\x03").decode().lower() + ".onion"


def _base58check(payload: bytes) -> str:
    data = payload + sha256(sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def _bech32_checksum(values: list[int], constant: int) -> list[int]:
    check = 1
    for value in [3, 3, 0, 2, 3, *values, 0, 0, 0, 0, 0, 0]:  # the first five spell the prefix "bc" (BIP-173)
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if (top >> i) & 1 else 0
    return [((check ^ constant) >> 5 * (5 - i)) & 31 for i in range(6)]


def _segwit(version: int, program: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in program)
    bits += "0" * (-len(bits) % 5)
    values = [version, *(int(bits[i : i + 5], 2) for i in range(0, len(bits), 5))]
    constant = 1 if version == 0 else 0x2BC830A3  # bech32m from version 1 on (BIP-350)
    return "bc1" + "".join(_BECH32[v] for v in values + _bech32_checksum(values, constant))


def btc(rng: np.random.Generator) -> str:
    """A valid Bitcoin address: P2PKH, P2SH, SegWit or Taproot."""
    form = weighted(rng, {"p2pkh": 0.25, "p2sh": 0.2, "segwit": 0.4, "taproot": 0.15})
    if form == "segwit":
        return _segwit(0, rng.bytes(20))
    if form == "taproot":
        return _segwit(1, rng.bytes(32))
    return _base58check((b"\x00" if form == "p2pkh" else b"\x05") + rng.bytes(20))


def tron(rng: np.random.Generator) -> str:
    """A valid TRON address (base58check, version 0x41)."""
    return _base58check(b"\x41" + rng.bytes(20))


def ton(rng: np.random.Generator) -> str:
    """A TON account in raw form, ``0:`` and 64 hex digits."""
    return "0:" + rng.bytes(32).hex()


def ton_friendly(raw: str, bounceable: bool) -> str:
    """The user-friendly form of a raw TON account: 48 base64url characters, ``EQ…`` bounceable, ``UQ…`` not."""
    body = bytes([0x11 if bounceable else 0x51, 0]) + bytes.fromhex(raw.removeprefix("0:"))
    return base64.urlsafe_b64encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "big")).decode()


def tox_key(rng: np.random.Generator) -> str:
    """The public key of a Tox ID, 64 upper-case hex digits: what stays when the rest of the ID changes."""
    return rng.bytes(32).hex().upper()


def tox_id(rng: np.random.Generator, key: str) -> str:
    """A valid Tox ID of a key, as it is painted: key, a random ``nospam``, and two bytes that are the XOR of the others."""
    body = bytes.fromhex(key) + rng.bytes(4)
    check = [0, 0]
    for i, byte in enumerate(body):
        check[i % 2] ^= byte
    return (body + bytes(check)).hex().upper()


def session(rng: np.random.Generator) -> str:
    """A Session ID: ``05`` and 64 hex digits."""
    return "05" + rng.bytes(32).hex()


def invite(rng: np.random.Generator) -> str:
    """A Telegram invite, ``+`` and its hash: 16 to 22 base64url characters, at least one of them a letter."""
    return "+" + choice(rng, list(BASE64URL[:52])) + string(rng, BASE64URL, weighted(rng, {15: 0.7, 17: 0.05, 19: 0.05, 21: 0.2}))


def phone(rng: np.random.Generator) -> str:
    """A phone number in E.164 whose code no plan assigns: of Kazakhstan mostly, sometimes of RU, KG or UZ."""
    country = weighted(rng, {"kz": 0.93, "ru": 0.03, "kg": 0.02, "uz": 0.02})
    if country == "kz":
        return "+7" + choice(rng, KZ_UNASSIGNED) + string(rng, _DIGITS, 7)
    if country == "ru":
        return "+7" + choice(rng, RU_UNASSIGNED) + string(rng, _DIGITS, 7)
    if country == "kg":
        return "+996" + choice(rng, KG_UNASSIGNED) + string(rng, _DIGITS, 6)
    return "+998" + choice(rng, UZ_UNASSIGNED) + string(rng, _DIGITS, 7)


def host(rng: np.random.Generator, base: str) -> str:
    """A host name of a stem; internationalised ones in ASCII form (``xn--…``)."""
    label = handle(rng, base).replace("_", "-" if chance(rng, 0.6) else "")
    if chance(rng, 0.07):
        return f"{to_cyrillic(label)}.{choice(rng, _IDN_TLDS)}".encode("idna").decode()
    if chance(rng, 0.06):
        label = f"{choice(rng, ('shop', 'my', 'go', 'kz', 'm', 'new'))}.{label}"
    return f"{label}.{weighted(rng, _TLDS)}"


def _mailbox(rng: np.random.Generator, base: str) -> str:
    name = handle(rng, base)
    return name.replace("_", ".") if chance(rng, 0.3) else name


def _service_host(rng: np.random.Generator, words: Sequence[str]) -> str:
    """An invented provider: nobody can be reached there by a name that is common at a real one."""
    tail = choice(rng, ("gram", "qala", "stan", "tau", "dala", "nomad", "orda", "kopter", "77", "24x7"))
    return f"{choice(rng, words)}{tail}.{choice(rng, ('im', 'org', 'net', 'chat', 'is', 'kz', 'com', 'li', 'cc'))}"


def _email(rng: np.random.Generator, base: str) -> str:
    if chance(rng, 0.3):
        return f"{choice(rng, ('info', 'shop', 'zakaz', 'rabota', 'job', 'order'))}@{host(rng, base)}"
    return f"{_mailbox(rng, base)}@{_service_host(rng, ('mail', 'post', 'inbox', 'secure', 'pochta', 'box'))}"


def _jabber(rng: np.random.Generator, base: str) -> str:
    return f"{_mailbox(rng, base)}@{_service_host(rng, ('jabber', 'xmpp', 'jab', 'chat', 'im'))}"


def _matrix(rng: np.random.Generator, base: str) -> str:
    return f"@{_mailbox(rng, base)}:{_service_host(rng, ('matrix', 'synapse', 'chat', 'home'))}"


def _threema(rng: np.random.Generator, base: str) -> str:
    return string(rng, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 8)


def _signal(rng: np.random.Generator, base: str) -> str:
    return f"{base[:20].strip('_')}.{string(rng, _DIGITS, 2)}"


def _instagram(rng: np.random.Generator, base: str) -> str:
    return (handle(rng, base).replace("_", ".") if chance(rng, 0.35) else handle(rng, base))[:30].rstrip("._")


def _i2p(rng: np.random.Generator, base: str) -> str:
    return string(rng, BASE32, 52) + ".b32.i2p" if chance(rng, 0.6) else base.replace("_", "-") + ".i2p"


def _telegram(rng: np.random.Generator, base: str) -> str:
    return random_handle(rng) if chance(rng, 0.04) else handle(rng, base)


MAKERS: Final[Mapping[IdentifierKind, Callable[[np.random.Generator, str], str]]] = MappingProxyType(
    {
        IdentifierKind.TELEGRAM: _telegram,
        IdentifierKind.TELEGRAM_INVITE: lambda rng, base: invite(rng),
        IdentifierKind.URL: host,
        IdentifierKind.ONION: lambda rng, base: onion(rng),
        IdentifierKind.I2P: _i2p,
        IdentifierKind.PHONE: lambda rng, base: phone(rng),
        IdentifierKind.WHATSAPP: lambda rng, base: phone(rng),
        IdentifierKind.INSTAGRAM: _instagram,
        IdentifierKind.VK: lambda rng, base: handle(rng, base),
        IdentifierKind.SIGNAL: _signal,
        IdentifierKind.SESSION: lambda rng, base: session(rng),
        IdentifierKind.THREEMA: _threema,
        IdentifierKind.MATRIX: _matrix,
        IdentifierKind.JABBER: _jabber,
        IdentifierKind.TOX: lambda rng, base: tox_key(rng),
        IdentifierKind.EMAIL: _email,
        IdentifierKind.BTC: lambda rng, base: btc(rng),
        IdentifierKind.TRON: lambda rng, base: tron(rng),
        IdentifierKind.TON: lambda rng, base: ton(rng),
    }
)
"""How to make a canonical value of each kind from a shop's stem."""


def make(rng: np.random.Generator, kind: IdentifierKind, base: str) -> str:
    """A canonical value of a kind for the shop whose stem is ``base``."""
    return MAKERS[kind](rng, base)
