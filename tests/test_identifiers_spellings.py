"""Painted spellings, evasions and things that look like contacts and are none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tagtrace.contract import Code, Flag, Identifier, IdentifierKind, Line, Quad, Reading
from tagtrace.inference.identifiers import ExtractSettings, extract_advert, extract_payload, extract_text

Pairs = list[tuple[str, str]]
ONION = "a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dwc6ad"


def quad(row: int) -> Quad:
    top = 40.0 * row
    return ((0.0, top), (300.0, top), (300.0, top + 30.0), (0.0, top + 30.0))


def painted(*texts: str, codes: Sequence[str] = (), confidence: float = 0.97) -> tuple[Identifier, ...]:
    lines = [Line(quad(i), 0.9, Reading(text, confidence)) for i, text in enumerate(texts)]
    return extract_advert(lines, [Code(payload, "QRCode", quad(20 + i)) for i, payload in enumerate(codes)])


def pairs(found: Sequence[Identifier]) -> Pairs:
    return [(i.kind.value, i.value) for i in found]


@pytest.mark.parametrize(
    "text",
    [
        "@zhuldyz_kz7", "@ZHULDYZ_KZ7", "@zHuldyz_Kz7", "@ zhuldyz_kz7", "(@)zhuldyz_kz7", "©zhuldyz_kz7", "®zhuldyz_kz7",
        "ⓐzhuldyz_kz7", "тг: @zhuldyz_kz7", "ТГ @zhuldyz_kz7", "TG@zhuldyz_kz7", "tg: zhuldyz_kz7",
        "тг zhuldyz_kz7", "тгк zhuldyz_kz7", "telegram: zhuldyz_kz7", "ТЕЛЕГРАМ zhuldyz_kz7", "телега: zhuldyz_kz7",
        "telega zhuldyz_kz7", "t.me/zhuldyz_kz7", "https://t.me/zhuldyz_kz7", "HTTPS://T.ME/ZHULDYZ_KZ7", "t.rne/zhuldyz_kz7",
        "t,me/zhuldyz_kz7", "т.ме/zhuldyz_kz7", "tme/zhuldyz_kz7", "1.me/zhuldyz_kz7", "t.me|zhuldyz_kz7", "t me/zhuldyz_kz7",
        "t.me / zhuldyz_kz7", "telegram.me/zhuldyz_kz7", "telegram.dog/zhuldyz_kz7", "t.me/s/zhuldyz_kz7",
        "zhuldyz_kz7.t.me", "t.me/zhuldyz_kz7?start=12", "@z h u l d y z _ k z 7",
        "@z  h  u  l  d  y  z  _  k  z  7", "@zhuldyz_.kz7", "@z.huld.yz_kz7",
        "@zhuldyz_ kz7", "@zhuldyz __kz7", "@zhuldyz-kz7", "пиши @zhuldyz_kz7!", "@zhuldyz_kz7 (TG)", "@zhuldуz_кz7",
        "\u200b@zhuldyz_kz7", "@\uff5ahuldyz_kz7",
    ],
)  # fmt: skip
def test_spellings_of_one_handle(text: str) -> None:
    assert pairs(painted(text)) == [("telegram", "zhuldyz_kz7")]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("tt.me/zhuldyz_kz7", "telegram", "zhuldyz_kz7"),
        ("Tt.me/zhuldyz_kz7", "telegram", "zhuldyz_kz7"),
        ("TT.ME/ZHULDYZ_KZ7", "telegram", "zhuldyz_kz7"),
        ("тт.ме/zhuldyz_kz7", "telegram", "zhuldyz_kz7"),
        ("tt,me/zhuldyz_kz7", "telegram", "zhuldyz_kz7"),
        ("it.me/zhuldyz_kz7", "telegram", "zhuldyz_kz7"),
        ("lt.me/zhuldyz_kz7?start=12", "telegram", "zhuldyz_kz7"),
        ("tt.me/+AbCdEfGh12345678", "telegram_invite", "+AbCdEfGh12345678"),
        ("tt.me/joinchat/AbCdEfGh12345678", "telegram_invite", "+AbCdEfGh12345678"),
        ("ttg: zhuldyz_kz7", "telegram", "zhuldyz_kz7"),
        ("ттелеграм zhuldyz_kz7", "telegram", "zhuldyz_kz7"),
        ("@@zhuldyz_kz7", "telegram", "zhuldyz_kz7"),
        ("hhttps://zhuldyz-kz.store", "url", "zhuldyz-kz.store"),
        ("wwww.zhuldyz-kz.store", "url", "zhuldyz-kz.store"),
        # What may be a host of its own stays one.
        ("tt.me", "url", "tt.me"),
        ("tt.me/ab", "url", "tt.me"),
        ("tt.me/menu.html", "url", "tt.me"),
        ("tt.me/zhuldyz_kz7/12", "url", "tt.me"),
        ("https://tt.me/zhuldyz_kz7", "url", "tt.me"),
        ("att.me/zhuldyz_kz7", "url", "att.me"),
        ("chart.me/zhuldyz", "url", "chart.me"),
        ("oozon.kz/zhuldyz", "url", "oozon.kz"),
        ("wwww.kz", "url", "wwww.kz"),
    ],
)
def test_a_first_letter_seen_twice_is_left_out_before_a_contact_of_telegram(text: str, kind: str, value: str) -> None:
    assert pairs(painted(text)) == [(kind, value)]


def test_what_is_typed_is_taken_at_its_word() -> None:
    assert pairs(extract_text("tt.me/zhuldyz_kz7")) == [("url", "tt.me")]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("t.me/+AbCdEfGh12345678", "telegram_invite", "+AbCdEfGh12345678"),
        ("t.me/joinchat/AbCdEfGh12345678", "telegram_invite", "+AbCdEfGh12345678"),
        ("T.ME/+AbCdEfGh12345678", "telegram_invite", "+AbCdEfGh12345678"),
        ("https://zhuldyz-kz.store", "url", "zhuldyz-kz.store"),
        ("HTTPS://ZHULDYZ-KZ.STORE/", "url", "zhuldyz-kz.store"),
        ("https:/zhuldyz-kz,store", "url", "zhuldyz-kz.store"),
        ("telagram.me/zhuldyz_7", "telegram", "zhuldyz_7"),
        ("telegam.me/zhuldyz_7", "telegram", "zhuldyz_7"),
        ("www.zhuldyz-kz.store/Almaty", "url", "zhuldyz-kz.store"),
        ("telegra.ph/zhuldyz-7", "url", "telegra.ph/zhuldyz-7"),
        ("zhuldyz.k2", "url", "zhuldyz.kz"),
        ("http://lampa.biz", "url", "lampa.biz"),
        ("жұлдыз.қаз", "url", "xn--d1adeo5f33a.xn--80ao21a"),
        (f"http://{ONION}.onion/", "onion", f"{ONION}.onion"),
        (ONION.upper(), "onion", f"{ONION}.onion"),
        (f"http://{ONION[:52]}.b32.i2p", "i2p", f"{ONION[:52]}.b32.i2p"),
        ("zhuldyz.i2p", "i2p", "zhuldyz.i2p"),
        ("+7 749 555 00 11", "phone", "+77495550011"),
        ("8(749)555-00-11", "phone", "+77495550011"),
        ("8.749.555.00.11", "phone", "+77495550011"),
        ("+7 749 555 OO ll", "phone", "+77495550011"),
        ("+7 7Ч9 555 00 11", "phone", "+77495550011"),
        ("тел: 8 749 5550011", "phone", "+77495550011"),
        ("0555 123 456", "phone", "+996555123456"),
        ("wa.me/77495550011", "whatsapp", "+77495550011"),
        ("ватсап wa. тe/77495550011", "whatsapp", "+77495550011"),
        ("wа,rne/7 749 555 00 11", "whatsapp", "+77495550011"),
        ("instagram.com/zhuldyz.kz", "instagram", "zhuldyz.kz"),
        ("INSTAGRAM @zhuldyz.kz7", "instagram", "zhuldyz.kz7"),
        ("инста: zhuldyz_7", "instagram", "zhuldyz_7"),
        ("vk.com/zhuldyz_kz", "vk", "zhuldyz_kz"),
        ("signal: zhuldyz.42", "signal", "zhuldyz.42"),
        ("Threema: ABCD12EF", "threema", "ABCD12EF"),
        ("@zhuldyz:example.org", "matrix", "@zhuldyz:example.org"),
        ("jabber: zhuldyz@example.org", "jabber", "zhuldyz@example.org"),
        ("zhuldyz@jabber.example.com", "jabber", "zhuldyz@jabber.example.com"),
        ("почта: Zhuldyz.7@mail.ru", "email", "zhuldyz.7@mail.ru"),
    ],
)
def test_other_kinds(text: str, kind: str, value: str) -> None:
    assert pairs(painted(text)) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "РАБОТА", "ЗАРПЛАТА 500 000", "от 300 000 до 700 000 тг", "500000-1000000", "ДОСТАВКА 24/7", "МАГАЗИН №1", "49/1",
        "ул. Абая 12", "г.Алматы", "кв.м", "т.д.", "560 MTB 16", "12.05.2025", "102", "112", "БИН 990140000385",
        "ИИН 870112345678", "t.me", "t.me/", "www.t.me", "https://t.me", "@", "@@@", "@abc", "no@mention",
        "нет@mention", "@работа", "@зеркало",
        "@шоп_кз1", "BEST SHOP", "ИЩИ В ТГ", "ТЕЛЕГРАМ КАНАЛ", "telegram bot", "signal", "VK", "4400 4301 2345 6789",
        "+7", "8 800", "цена 87012345678 тг", "http://", "https:// t.me /", "1234567", "ТОО «СТРОЙ-КС»", "+1 2",
        "t.me/addstickers", "wa. me/7749555001", "wa. te/0011",
    ],
)  # fmt: skip
def test_what_is_no_contact(text: str) -> None:
    assert painted(text) == ()


def test_several_on_one_line_and_repeats() -> None:
    assert pairs(painted("@zhuldyz_kz1 @zhuldyz_kz2")) == [("telegram", "zhuldyz_kz1"), ("telegram", "zhuldyz_kz2")]
    (found,) = painted("@zhuldyz_kz1", "РАБОТА", "t.me/zhuldyz_kz1", codes=["https://t.me/zhuldyz_kz1"])
    assert found.lines == (0, 2)
    assert found.codes == (0,)
    assert found.confidence > 0.99


@pytest.mark.parametrize(
    ("lines", "kind", "value"),
    [
        (("@zhuldyz_", "kz7"), "telegram", "zhuldyz_kz7"),
        (("@zhuldyz", "_kz7"), "telegram", "zhuldyz_kz7"),
        (("@zhul", "dyz_kz7"), "telegram", "zhuldyz_kz7"),
        (("t.me/", "zhuldyz_kz7"), "telegram", "zhuldyz_kz7"),
        (("ТЕЛЕГРАМ:", "zhuldyz_kz7"), "telegram", "zhuldyz_kz7"),
        (("t.me/+AbCdEfGh", "12345678"), "telegram_invite", "+AbCdEfGh12345678"),
        (("t.me/joinch", "at/AbCdEfGh12345678"), "telegram_invite", "+AbCdEfGh12345678"),
        (("+7 749", "555 00 11"), "phone", "+77495550011"),
        (("zhuldyz-kz", ".store"), "url", "zhuldyz-kz.store"),
        ((ONION[:31], ONION[31:] + ".onion"), "onion", f"{ONION}.onion"),
        ((ONION[:20], ONION[20:38], ONION[38:]), "onion", f"{ONION}.onion"),
        ((ONION[31:] + ".onion", ONION[:31]), "onion", f"{ONION}.onion"),
    ],
)
def test_split_over_lines(lines: tuple[str, ...], kind: str, value: str) -> None:
    (found,) = painted(*lines)
    assert (found.kind.value, found.value) == (kind, value)
    assert found.lines == tuple(range(len(lines)))
    assert Flag.JOINED in found.flags or lines[0] == "ТЕЛЕГРАМ:"
    assert sorted(found.raw.split("\n")) == sorted(lines)


@pytest.mark.parametrize(
    "second", ["РАБОТА", "WORK", "SHOP", "24/7", "@zhuldyz_kz8", "ОПЛАТА 500000", "t.me/zhuldyz_kz8", "KOKTEM"]
)
def test_complete_names_are_not_joined(second: str) -> None:
    assert ("telegram", "zhuldyz_kz7") in pairs(painted("@zhuldyz_kz7", second))


def test_a_name_is_not_joined_with_a_web_address_below_it() -> None:
    assert pairs(painted("TG @zhuldyz_kz7", "zhuldyzdom.club")) == [("telegram", "zhuldyz_kz7"), ("url", "zhuldyzdom.club")]


def test_zero_between_letters_is_an_o_and_stays_an_alternative() -> None:
    (found,) = painted("@zh0l_kz20")
    assert found.value == "zhol_kz20"
    assert [value for value, _ in found.alternatives] == ["zh0l_kz20"]
    assert Flag.REPAIRED in found.flags
    (typed,) = extract_text("@zh0l_kz20")
    assert typed.value == "zh0l_kz20"


def test_bot_ending_is_repaired() -> None:
    (found,) = painted("@zhuldyz_b0t")
    assert found.value == "zhuldyz_bot"


def test_flags_of_phones_and_names() -> None:
    (phone,) = painted("+7 749 555 00 11")
    assert phone.flags == (Flag.UNASSIGNED,)
    (name,) = painted("@support_zhuldyz")
    assert Flag.NOT_REGISTRABLE in name.flags
    (old,) = painted("abcdefgh234567ab.onion")
    assert old.flags == (Flag.OBSOLETE,)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("@astanaikomek109_bot", IdentifierKind.TELEGRAM),
        ("@astanaikomek1O9_b0t", IdentifierKind.TELEGRAM),
        ("t.me/sko_narkohe1p_bot", IdentifierKind.TELEGRAM),
        ("+7(777)289-54-80", IdentifierKind.PHONE),
        ("https://egov.kz", IdentifierKind.URL),
        ("www.mvd.gov.kz/news", IdentifierKind.URL),
    ],
)
def test_protected_is_reported_and_flagged(text: str, kind: IdentifierKind) -> None:
    (found,) = painted(text)
    assert found.kind is kind
    assert Flag.PROTECTED in found.flags


def test_ordinary_values_are_not_protected() -> None:
    for found in (*painted("@zhuldyz_bot"), *painted("zhuldyz.kz"), *painted("+7 749 555 00 11"), *painted("t.me/zhuldyz_kz7")):
        assert Flag.PROTECTED not in found.flags


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("https://t.me/zhuldyz_kz7", [("telegram", "zhuldyz_kz7")]),
        ("HTTPS://T.ME/zhuldyz_kz7?start=ref_12", [("telegram", "zhuldyz_kz7")]),
        ("tg://resolve?domain=zhuldyz_kz7", [("telegram", "zhuldyz_kz7")]),
        ("tg://join?invite=AbCdEf", [("telegram_invite", "+AbCdEf")]),
        ("https://t.me/addlist/AbCdEf", [("url", "t.me/addlist/AbCdEf")]),
        ("tel:+77495550011", [("phone", "+77495550011")]),
        ("smsto:87495550011:hello", [("phone", "+77495550011")]),
        ("https://wa.me/77495550011?text=hi", [("whatsapp", "+77495550011")]),
        ("https://Zhuldyz.kz:443/A?b=1#c", [("url", "zhuldyz.kz")]),
        ("mailto:Zhuldyz@mail.ru?subject=x", [("email", "zhuldyz@mail.ru")]),
        ("xmpp:zhuldyz@example.org", [("jabber", "zhuldyz@example.org")]),
        ("bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa?amount=1", [("btc", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")]),
        (f"http://{ONION}.onion/x", [("onion", f"{ONION}.onion")]),
        ("https://matrix.to/#/@zhuldyz:example.org", [("matrix", "@zhuldyz:example.org")]),
        ("https://signal.me/#p/+77495550011", [("signal", "+77495550011")]),
        ("MECARD:N:x;TEL:87495550011;;", [("phone", "+77495550011")]),
        ("BEGIN:VCARD\nTEL;TYPE=CELL:+7 749 555 00 11\nURL:https://zhuldyz.kz\nEND:VCARD",
         [("phone", "+77495550011"), ("url", "zhuldyz.kz")]),
        ("@zhuldyz_kz7\nt.me/zhuldyz_kz8", [("telegram", "zhuldyz_kz7"), ("telegram", "zhuldyz_kz8")]),
        ("WIFI:T:WPA;S:x;P:y;;", [("qr", "WIFI:T:WPA;S:x;P:y;;")]),
        ("https://t.me", [("qr", "https://t.me")]),
        (" 4870001234567 ", [("qr", " 4870001234567 ")]),
        ("", []),
    ],
)  # fmt: skip
def test_payloads(payload: str, expected: Pairs) -> None:
    found = extract_payload(payload)
    assert pairs(found) == expected
    if len(found) == 1 and "\n" not in payload and not payload.startswith("MECARD"):
        assert found[0].raw == payload


def test_text_of_several_lines_keeps_line_numbers() -> None:
    found = extract_text("РАБОТА\n\nтг: @zhuldyz_kz7\nтел +7 749 555 00 11")
    assert [(i.kind.value, i.lines) for i in found] == [("telegram", (2,)), ("phone", (3,))]
    assert found[0].raw == "@zhuldyz_kz7"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".zelquar.club", [("url", "zelquar.club")]),
        ("-zelquar.club", [("url", "zelquar.club")]),
        ("..zelquar.club", []),
        ("a .zelquar.club", []),
        ("elega: zelquar_qala", [("telegram", "zelquar_qala")]),
        ("delega: zelquar_qala", []),
        ("elegant zelquar_qala", []),
    ],
)
def test_a_speck_or_a_lost_letter_at_the_start_of_a_line(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(i.kind.value, i.value) for i in extract_text(text)] == expected


def test_a_letter_painted_before_the_sign_is_no_part_of_the_name() -> None:
    assert pairs(painted("a@zhuldyz_kz7")) == [("telegram", "zhuldyz_kz7")]


def test_a_doubtful_spelling_is_understood_and_reported_only_when_asked_for() -> None:
    assert painted("749 555 00 11") == ()
    lower = ExtractSettings(min_phone=0.5)
    line = Line(quad(0), 0.9, Reading("749 555 00 11", 0.97))
    assert pairs(extract_advert([line], (), lower)) == [("phone", "+77495550011")]
