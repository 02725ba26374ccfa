"""Every vector of ``vectors.json``: rules of tdlib, Tor, libphonenumber, BIP-173/350, TRON, TON, Tox, IDNA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tagtrace.contract import Flag, IdentifierKind
from tagtrace.inference.identifiers import crypto, darknet, names, phones, protected, telegram, web
from tagtrace.inference.identifiers.extract import extract_payload, extract_text

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
NAMES = VECTORS["telegram_username"]
ONION, CRYPTO = VECTORS["onion_v3"], VECTORS["crypto"]
KINDS = {"username": IdentifierKind.TELEGRAM, "invite": IdentifierKind.TELEGRAM_INVITE, "phone": IdentifierKind.PHONE}


@pytest.mark.parametrize("name", NAMES["registrable"])
def test_registrable_name(name: str) -> None:
    assert names.is_valid_name(name)
    assert telegram.is_registrable(name)


@pytest.mark.parametrize("name", NAMES["valid_not_registrable"])
def test_valid_name_that_cannot_be_registered(name: str) -> None:
    assert names.is_valid_name(name)
    assert not telegram.is_registrable(name)
    assert telegram.name_flags(name) == (Flag.NOT_REGISTRABLE,)


@pytest.mark.parametrize("name", NAMES["invalid"])
def test_invalid_name(name: str) -> None:
    assert not names.is_valid_name(name)


@pytest.mark.parametrize(("spelling", "name"), NAMES["normalise"])
def test_spellings_of_a_name(spelling: str, name: str) -> None:
    assert telegram.canonical_name(spelling) == name
    assert telegram.canonical_name(name) == name


def test_look_alike_name_is_flagged() -> None:
    (found,) = extract_text("@shоp_kz1")
    assert found.value == "shop_kz1"
    assert Flag.MIXED_SCRIPT in found.flags


@pytest.mark.parametrize(("text", "expected"), VECTORS["telegram_mentions"])
def test_mention(text: str, expected: list[str]) -> None:
    assert [i.value for i in extract_text(text)] == expected


@pytest.mark.parametrize(("link", "expected"), VECTORS["telegram_links"])
def test_link(link: str, expected: str | None) -> None:
    target = telegram.parse_link(link)
    if expected is None:
        assert target is None
        assert all(i.kind is IdentifierKind.URL or i.kind is IdentifierKind.QR for i in extract_payload(link))
        return
    kind, _, value = expected.partition(":")
    assert target is not None
    assert target.kind is KINDS[kind]
    assert target.value == (value if kind == "username" else "+" + value)


def test_reserved_labels() -> None:
    assert set(VECTORS["reserved_t_me_subdomains"]) == telegram.RESERVED_LABELS
    for label in VECTORS["reserved_t_me_subdomains"]:
        assert telegram.parse_link(f"{label}.t.me") is None
    for prefix in VECTORS["reserved_username_prefixes"]:
        assert not telegram.is_registrable(prefix + "_kz")


@pytest.mark.parametrize("name", ONION["valid"])
def test_onion(name: str) -> None:
    assert darknet.is_onion(name)
    assert name[-2:] in ONION["last_two"]
    assert darknet.canonical_onion(f"www.{name.upper()}.onion") == f"{name}.onion"


@pytest.mark.parametrize("name", ONION["invalid"])
def test_wrong_onion(name: str) -> None:
    assert not darknet.is_onion(name)


def test_kz_mobile_codes_are_assigned() -> None:
    for code in VECTORS["phone_kz_mobile_codes"]:
        phone = phones.parse_phone(f"8{code}2345678")
        assert phone == phones.Phone(f"+7{code}2345678", True, "KZ")


@pytest.mark.parametrize(("text", "e164", "assigned", "region"), VECTORS["phone"])
def test_phone(text: str, e164: str, assigned: bool, region: str) -> None:
    assert phones.parse_phone(text) == phones.Phone(e164, assigned, region)
    (found,) = extract_text(text)
    assert found.value == e164
    assert (Flag.UNASSIGNED in found.flags) is not assigned


@pytest.mark.parametrize("text", CRYPTO["btc_valid"])
def test_btc(text: str) -> None:
    value = crypto.canonical_btc(text)
    assert value == (text.lower() if text[:3].lower() == "bc1" else text)


@pytest.mark.parametrize("text", CRYPTO["btc_invalid"])
def test_wrong_btc(text: str) -> None:
    assert crypto.canonical_btc(text) is None


def test_tron_and_ton() -> None:
    for text in CRYPTO["tron_valid"]:
        assert crypto.canonical_tron(text) == text
    for text in CRYPTO["tron_invalid"]:
        assert crypto.canonical_tron(text) is None
    assert {crypto.canonical_ton(text) for text in CRYPTO["ton_same_account"]} == {CRYPTO["ton_same_account"][-1]}
    for text in CRYPTO["ton_invalid"]:
        assert crypto.canonical_ton(text) is None


def test_tox_and_session() -> None:
    for text in VECTORS["tox_valid"]:
        assert crypto.canonical_tox(text) == text[:64]
        assert crypto.canonical_tox(text[:-1] + "7") is None
    for text in VECTORS["session_valid"]:
        assert crypto.canonical_session(text) == text
    for text in VECTORS["session_invalid"]:
        assert crypto.canonical_session(text) is None


@pytest.mark.parametrize(("host", "ascii_host"), VECTORS["idn"])
def test_international_names(host: str, ascii_host: str) -> None:
    assert web.to_ascii(host) == ascii_host
    assert web.to_ascii(ascii_host) == ascii_host


@pytest.mark.parametrize("host", VECTORS["never_block_host"])
def test_shared_hosts_are_protected_and_pages_on_them_are_not(host: str) -> None:
    assert protected.is_protected(IdentifierKind.URL, host)
    assert not protected.is_protected(IdentifierKind.URL, f"{host}/somebody")
    assert all(Flag.PROTECTED in i.flags for i in extract_text(f"https://{host}"))


@pytest.mark.parametrize(
    ("kind", "group"),
    [(IdentifierKind.BTC, "btc_valid"), (IdentifierKind.TRON, "tron_valid"), (IdentifierKind.TON, "ton_same_account")],
)
def test_addresses_are_found_in_text_and_codes(kind: IdentifierKind, group: str) -> None:
    for text in CRYPTO[group]:
        assert [i.kind for i in extract_payload(text)] == [kind]
        assert [i.kind for i in extract_text(f"оплата: {text}")] == [kind]
