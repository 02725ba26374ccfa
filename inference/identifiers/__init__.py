"""From what was read to contacts: one grammar per kind, fed by the alternatives of the reading.

Canonical values (``Identifier.value``):

| kind | value |
|---|---|
| telegram | lower-case ASCII name, without ``@`` and dots |
| telegram_invite | ``+`` and the hash, verbatim |
| url | host in lower-case ASCII (punycode), without scheme and ``www.``; path and query only on hosts that many share |
| onion | ``<56 characters>.onion`` (16 for the retired version 2, flag ``obsolete``) |
| i2p | host in lower case, with ``.i2p`` |
| phone | E.164 |
| whatsapp | E.164, ``chat/<code>`` or ``message/<code>`` |
| instagram, vk | lower-case name |
| signal | ``name.NN``, E.164, ``eu/<code>`` or ``group/<code>`` |
| session, threema | 66 lower-case hex digits; 8 capitals |
| matrix, jabber, email | ``@name:server``; ``name@server``, lower case |
| tox | the key: 64 hex digits, upper case (the nospam and checksum of an address change, the key stays) |
| btc, tron, ton | verbatim (bech32 in lower case); verbatim; ``workchain:64 hex`` |
| qr | the payload, verbatim |
"""

from .extract import DEFAULT, TYPED, extract_advert, extract_payload, extract_text
from .settings import ExtractSettings

__all__ = ["DEFAULT", "TYPED", "ExtractSettings", "extract_advert", "extract_payload", "extract_text"]
