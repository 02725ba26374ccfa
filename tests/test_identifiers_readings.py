"""From readings with alternatives to identifiers: weights, confidence, thresholds, repair by checksum; and properties."""

from __future__ import annotations

import math
import random
import string
import time
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import Char, Code, Flag, Hypothesis, Identifier, IdentifierKind, Line, Quad, Reading, TagtraceError
from tagtrace.inference.identifiers import ExtractSettings, crypto, darknet, extract_advert, extract_payload, extract_text
from tagtrace.inference.identifiers.blobs import repair_onion
from tagtrace.inference.identifiers.evidence import char_product
from tagtrace.inference.identifiers.fold import clean, fold_char, latin_view, skeleton
from tagtrace.inference.identifiers.names import is_valid_name
from tagtrace.inference.identifiers.phones import parse_phone
from tagtrace.inference.identifiers.protected import ProtectedList, bundled
from tagtrace.inference.identifiers.repair import best_first, repair
from tagtrace.inference.identifiers.telegram import canonical_name
from tagtrace.inference.identifiers.web import canonical_email, canonical_url, to_ascii

ALL = ExtractSettings(min_confidence=0, min_telegram=0, min_invite=0, min_url=0, min_phone=0, min_onion=0, min_payment=0)
PICTURE = replace(ALL, usual_weight=0.0)
"""Names are weighed by the picture alone."""
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def quad(row: float, left: float = 0.0) -> Quad:
    top = 40.0 * row
    return ((left, top), (left + 300.0, top), (left + 300.0, top + 30.0), (left, top + 30.0))


def beam(*texts: tuple[str, float], confidence: float = 0.95) -> Reading:
    """A reading whose texts have the given probabilities."""
    return Reading(texts[0][0], confidence, tuple(Hypothesis(t, math.log(p)) for t, p in texts))


def advert(*readings: Reading, codes: tuple[str, ...] = (), limits: ExtractSettings = ALL) -> tuple[Identifier, ...]:
    lines = [Line(quad(i), 0.9, r) for i, r in enumerate(readings)]
    return extract_advert(lines, [Code(c, "QRCode", quad(30 + i)) for i, c in enumerate(codes)], limits)


def test_masses_of_a_value_add_up_over_its_spellings() -> None:
    (found,) = advert(beam(("@zhuldyz_k2", 0.4), ("@zhuldyz_kz", 0.25), ("@ZHULDYZ_KZ", 0.2), ("@zhuldуz_kz", 0.1)))
    assert found.value == "zhuldyz_kz"
    assert found.alternatives[0][0] == "zhuldyz_k2"
    assert found.confidence > found.alternatives[0][1]


def test_a_text_that_makes_sense_wins_over_one_that_does_not() -> None:
    (found,) = advert(beam(("azhuldyz_kz", 0.5), ("@zhuldyz_kz", 0.4)))
    assert found.value == "zhuldyz_kz"
    assert found.raw == "@zhuldyz_kz"


def test_confidence_falls_with_ambiguity_and_with_the_reading() -> None:
    sure = advert(beam(("@zhuldyz_kz1", 0.95), ("@zhuldyz_kzl", 0.01)), limits=PICTURE)[0].confidence
    unsure = advert(beam(("@zhuldyz_kz1", 0.5), ("@zhuldyz_kzl", 0.45)), limits=PICTURE)[0].confidence
    vague = advert(beam(("@zhuldyz_kz1", 0.95), ("@zhuldyz_kzl", 0.01), confidence=0.3), limits=PICTURE)[0].confidence
    assert sure > 0.85 > 0.6 > unsure
    assert vague < sure
    assert advert(Reading("@zhuldyz_kz1", 0.4))[0].confidence < advert(Reading("@zhuldyz_kz1", 0.9))[0].confidence < 0.9


def test_thresholds_are_settings() -> None:
    reading = beam(("@zhuldyz_kz1", 0.5), ("@zhuldyz_kzl", 0.45))
    assert advert(reading, limits=ExtractSettings(min_telegram=0.9)) == ()
    assert len(advert(reading, limits=ExtractSettings(min_telegram=0.1))) == 1


def test_character_alternatives_of_a_reader_without_a_beam() -> None:
    text = "@zhuldyz_kz1"
    chars = [Char(c, 0.99) for c in text[:-1]] + [Char("1", 0.6, (("l", 0.35),))]
    (found,) = advert(Reading(text, 0.95, (), tuple(chars)), limits=PICTURE)
    assert found.value == "zhuldyz_kz1"
    assert [v for v, _ in found.alternatives] == ["zhuldyz_kzl"]
    assert 0.35 < found.confidence < 0.7


def test_look_alike_alternatives_do_not_lower_the_confidence() -> None:
    same = (Char("o", 0.5, (("о", 0.3), ("O", 0.19))),)
    assert char_product(IdentifierKind.TELEGRAM, same) == pytest.approx(0.99)
    assert char_product(IdentifierKind.TELEGRAM_INVITE, same) == pytest.approx(0.5)


def test_a_code_beside_the_line_settles_a_doubt_but_not_a_difference() -> None:
    doubtful = beam(("@zhuldyz_k2", 0.5), ("@zhuldyz_kz", 0.3))
    (found,) = advert(doubtful, codes=("https://t.me/zhuldyz_kz",))
    assert (found.value, found.lines, found.codes) == ("zhuldyz_kz", (0,), (0,))
    clear = beam(("@zhuldyz_kz2", 0.97), ("@zhuldyz_kz1", 0.005))
    assert {i.value for i in advert(clear, codes=("https://t.me/zhuldyz_kz1",))} == {"zhuldyz_kz1", "zhuldyz_kz2"}


def test_two_boxes_on_one_line_give_one_value() -> None:
    lines = [
        Line(quad(0), 0.9, Reading("@zhuldyz_kz1", 0.95)),
        Line(quad(0.1), 0.5, Reading("@zhuldyz_kz7", 0.7)),
        Line(quad(3), 0.9, Reading("@zhuldyz_kz8", 0.95)),
    ]
    assert [i.value for i in extract_advert(lines, [], ALL)] == ["zhuldyz_kz1", "zhuldyz_kz8"]


def test_invites_keep_case_and_distrust_odd_lengths() -> None:
    (whole,) = advert(Reading("t.me/+AbCdEfGh12345678", 0.95))
    (short,) = advert(Reading("t.me/+AbCdEfGh1234567", 0.95))
    assert whole.value == "+AbCdEfGh12345678"
    assert short.confidence < 0.5 < whole.confidence


def test_results_do_not_depend_on_a_second_call() -> None:
    reading = beam(("@zhuldyz_k2", 0.4), ("@zhuldyz_kz", 0.25))
    assert advert(reading, Reading("+7 749 555 00 11", 0.9)) == advert(reading, Reading("+7 749 555 00 11", 0.9))


# --- repair by checksum ------------------------------------------------------------------------------------------------------


def test_best_first_is_in_order_and_complete() -> None:
    lattice = [(("a", 0.6), ("b", 0.3), ("c", 0.1)), (("d", 0.7), ("e", 0.3)), (("f", 1.0),)]
    texts = list(best_first(lattice))
    assert len(texts) == len({t for t, _, _ in texts}) == 6
    assert [p for _, p, _ in texts] == sorted((p for _, p, _ in texts), reverse=True)
    assert sum(p for _, p, _ in texts) == pytest.approx(1.0)


def test_repair_distrusts_what_a_weak_checksum_accepts_late() -> None:
    lattice = [tuple((c, 1 / 26) for c in string.ascii_lowercase)] * 6
    weak = repair(lattice, lambda text: zlib.crc32(text.encode()) % 512 == 0, 9, 5000)
    strong = repair([(("a", 0.6), ("b", 0.3), ("c", 0.1))] * 6, lambda text: text == "aabaca", 32, 5000)
    assert weak is None or weak.probability < 0.01
    assert strong is not None
    assert strong.probability > 0.99


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.randoms(use_true_random=False), st.integers(1, 2))
def test_onion_with_wrong_characters_is_recovered_from_the_alternatives(key: bytes, rng: random.Random, wrong: int) -> None:
    name = darknet.encode_onion(key)
    chars = [Char(c, 0.95) for c in name]
    for place in rng.sample(range(56), wrong):
        other = rng.choice([c for c in BASE32 if c != name[place]])
        chars[place] = Char(other, 0.55, ((name[place], 0.4),))
    found = repair_onion(chars, 3000)
    assert found is not None
    assert found.text == name
    text = "".join(c.text for c in chars)
    (item,) = advert(Reading(text[:30], 0.9, (), tuple(chars[:30])), Reading(text[30:], 0.9, (), tuple(chars[30:])))
    assert item.value == f"{name}.onion"
    assert Flag.REPAIRED in item.flags
    assert Flag.JOINED in item.flags


@pytest.mark.parametrize(("right", "wrong"), [("o", "0"), ("l", "1"), ("i", "1"), ("b", "8"), ("g", "9"), ("o", "О")])
def test_impossible_characters_of_an_onion_address_are_repaired_without_alternatives(right: str, wrong: str) -> None:
    rng = random.Random(5)
    name = next(n for n in iter(lambda: darknet.encode_onion(rng.randbytes(32)), "") if right in n[:50])
    (found,) = advert(Reading(name.replace(right, wrong, 1) + ".onion", 0.9))
    assert found.value == f"{name}.onion"
    assert found.confidence > 0.9


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.randoms(use_true_random=False), st.integers(0, 12))
def test_noise_never_gives_an_invalid_onion_address(key: bytes, rng: random.Random, wrong: int) -> None:
    text = list(darknet.encode_onion(key))
    for _ in range(wrong):
        text[rng.randrange(len(text))] = rng.choice(string.ascii_letters + string.digits + "О")
    for item in advert(Reading("".join(text) + rng.choice(["", ".onion", ",0nion"]), 0.9)):
        if item.kind is IdentifierKind.ONION:
            assert darknet.is_onion(item.value.removesuffix(".onion"))


def test_a_doubled_character_that_was_lost_is_found() -> None:
    rng = random.Random(1)
    name = next(n for n in iter(lambda: darknet.encode_onion(rng.randbytes(32)), "") if "aa" in n[:50])
    (found,) = advert(Reading(name.replace("aa", "a", 1) + ".onion", 0.9))
    assert found.value == f"{name}.onion"


def test_payment_addresses_are_repaired_and_wrong_ones_are_not_reported() -> None:
    address = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
    for wrong in (address.replace("o", "O"), address.replace("z", "Z"), address.replace("8o", "Bo"), address):
        (found,) = advert(Reading(wrong, 0.9))
        assert (found.kind, found.value) == (IdentifierKind.TRON, address)
    assert advert(Reading(address.replace("QxG", "WvR"), 0.9)) == ()
    (segwit,) = advert(Reading("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq".replace("l", "I", 1), 0.9))
    assert segwit.value == "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"


# --- properties --------------------------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="@t.me/+_ tгТГo0О1lI|38бЗЧkz:-()№", max_size=60),
    st.builds(
        lambda a, b: a + b, st.sampled_from(["@", "t.me/", "тг: ", "https://", "+7", "tox ", "signal: "]), st.text(max_size=40)
    ),
)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_no_text_raises_and_every_value_is_canonical(text: str) -> None:
    for item in (*extract_text(text), *extract_payload(text), *advert(Reading(text, 0.9), Reading(text[::-1], 0.8))):
        assert 0.0 <= item.confidence <= 1.0
        assert item.value
        if item.kind is IdentifierKind.TELEGRAM:
            assert is_valid_name(item.value)
            assert canonical_name(item.value) == item.value == item.value.lower()
        elif item.kind is IdentifierKind.URL:
            assert canonical_url(item.value) == item.value
        elif item.kind is IdentifierKind.PHONE:
            assert item.value[0] == "+"
            assert item.value[1:].isdigit()
        elif item.kind in (IdentifierKind.EMAIL, IdentifierKind.JABBER):
            assert canonical_email(item.value) == item.value


@given(st.text(max_size=60))
def test_folding_keeps_length_and_is_idempotent(text: str) -> None:
    plain, index = clean(text)
    assert len(plain) == len(index)
    assert list(index) == sorted(index)
    assert clean(plain)[0] == plain
    folded = latin_view(plain)
    assert len(folded) == len(plain)
    assert latin_view(folded) == folded
    assert skeleton(skeleton(plain)) == skeleton(plain)


@given(st.characters())
def test_folded_characters_are_latin(char: str) -> None:
    folded = fold_char(char)
    assert folded is None or (len(folded[0]) == 1 and folded[0].isascii() and folded[0] == folded[0].lower())


@given(st.text(max_size=60))
def test_canonical_forms_are_idempotent(text: str) -> None:
    for canonical in (canonical_name, canonical_url, canonical_email, to_ascii, crypto.canonical_btc):
        value = canonical(text)
        assert value is None or canonical(value) == value
    phone = parse_phone(text)
    assert phone is None or parse_phone(phone.e164) == phone


LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = st.builds(
    lambda a, b, c: f"{a}_{b}{c}",
    st.text(alphabet=LETTERS, min_size=5, max_size=12),
    st.text(alphabet=LETTERS, min_size=2, max_size=6),
    st.sampled_from(["", "1", "27", "_kz", "bot"]),
)
CYRILLIC = dict(zip("aceopxy", "асеорху", strict=True))


@settings(max_examples=200, deadline=None)
@given(NAMES, st.randoms(use_true_random=False))
def test_every_spelling_of_a_name_gives_the_name(name: str, rng: random.Random) -> None:
    dotted = name[:3] + "." + name[3:]
    look_alike = "".join(CYRILLIC.get(c, c) if rng.random() < 0.5 else c for c in name)
    spellings = [
        f"@{name}", f"t.me/{name}", f"https://t.me/{name}", f"telegram.me/{name}", f"ТГ: @{name}", f"tg: {name}",
        f"@{name.upper()}", "@" + " ".join(name), f"@{dotted}", f"t.me/{dotted}", f"{name}.t.me",
        "@" + "".join(rng.choice([c, c.upper()]) for c in name),
    ]  # fmt: skip
    if any(c.isascii() and c.isalpha() for c in look_alike):
        spellings.append(f"@{look_alike}")
    for spelling in spellings:
        found = advert(Reading(spelling, 0.95))
        assert [(i.kind, i.value) for i in found] == [(IdentifierKind.TELEGRAM, name)], spelling


@given(st.sampled_from(["701", "747", "777", "749", "709"]), st.integers(0, 9_999_999), st.integers(0, 5))
def test_every_spelling_of_a_phone_gives_the_phone(code: str, number: int, form: int) -> None:
    d = f"{code}{number:07d}"
    text = (
        f"+7 {d[:3]} {d[3:6]} {d[6:8]} {d[8:]}", f"8{d}", f"8({d[:3]}){d[3:6]}-{d[6:8]}-{d[8:]}", f"+7{d}", f"8-{d[:3]}-{d[3:]}",
        f"тел. 8 {d[:3]} {d[3:6]} {d[6:]}",
    )[form]  # fmt: skip
    assert [(i.kind, i.value) for i in advert(Reading(text, 0.95))] == [(IdentifierKind.PHONE, f"+7{d}")]


def test_an_advert_takes_milliseconds() -> None:
    rng = random.Random(3)
    lines = []
    for i in range(5):
        name = "".join(rng.choice(LETTERS) for _ in range(14))
        texts = [(f"тг: @{name[:k]}_{name[k + 1 :]}", 0.9 / (k + 1)) for k in range(12)]
        lines.append(Line(quad(i), 0.9, beam(*texts)))
    extract_text("warm.kz up +77012345678")
    begin = time.perf_counter()
    assert extract_advert(lines, [], ALL)
    assert time.perf_counter() - begin < 0.25


# --- the protected list ------------------------------------------------------------------------------------------------------


def test_protected_list_names_its_sources(tmp_path: object) -> None:
    from pathlib import Path

    known = bundled()
    assert {"102", "109", "112", "77772895480"} <= known.phones
    broken = Path(str(tmp_path)) / "protected.toml"
    broken.write_text("[[telegram]]\nvalu = 'x'\n", encoding="utf-8")
    with pytest.raises(TagtraceError, match=r"protected\.toml"):
        ProtectedList.load(broken)
