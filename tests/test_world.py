"""The text world: valid identifiers, disguises that keep the meaning, splits that share nothing, one text per seed."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections import Counter
from hashlib import sha3_256, sha256

import numpy as np
import phonenumbers
import pytest

from tagtrace.contract import IdentifierKind as Kind
from tagtrace.contract import Resource, TagtraceError
from tagtrace.datasets.world import (
    DISTRACTORS,
    STYLES,
    WORD,
    AdvertText,
    LineText,
    World,
    codes,
    disguise,
    identifiers,
    names,
    paint,
    spelling,
)
from tagtrace.models.alphabet import to_alphabet

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
FOLD = str.maketrans("асеорхуікмтвнзчб0", "aceopxyikmtbh346o")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def unbase58(text: str) -> bytes:
    number = 0
    for char in text:
        number = number * 58 + BASE58.index(char)
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return b"\0" * (len(text) - len(text.lstrip("1"))) + body


def bech32_residue(address: str) -> int:
    """The polymod of BIP-173: 1 for bech32, 0x2BC830A3 for bech32m."""
    check = 1
    for value in [ord(c) >> 5 for c in "bc"] + [0] + [ord(c) & 31 for c in "bc"] + [BECH32.index(c) for c in address[3:]]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if (top >> i) & 1 else 0
    return check


@pytest.fixture(scope="module")
def world() -> World:
    return World(7, "train")


@pytest.fixture(scope="module")
def adverts(world: World) -> list[tuple[str, AdvertText]]:
    draw = rng(1)
    return [(style, world.advert(draw, style)) for _ in range(400) for style in STYLES]


@pytest.fixture(scope="module")
def free_lines(world: World) -> list[LineText]:
    draw = rng(2)
    return [world.free_line(draw) for _ in range(4000)]


def test_onion_addresses_carry_a_right_checksum() -> None:
    draw = rng()
    for _ in range(50):
        raw = base64.b32decode(identifiers.onion(draw).removesuffix(".onion").upper())
        key, checksum, version = raw[:32], raw[32:34], raw[34:]
        assert version == b"\x03"
        assert checksum == sha3_256(b".onion checksum" + key + version).digest()[:2]


def test_bitcoin_addresses_carry_a_right_checksum() -> None:
    draw, seen = rng(), Counter[str]()
    for _ in range(120):
        address = identifiers.btc(draw)
        seen[address[:1] if address[0] in "13" else address[:4]] += 1
        if address.startswith("bc1"):
            assert bech32_residue(address) == (1 if address[3] == "q" else 0x2BC830A3)
            assert len(address) == (42 if address[3] == "q" else 62)
        else:
            data = unbase58(address)
            assert len(data) == 25
            assert data[0] in (0, 5)
            assert sha256(sha256(data[:-4]).digest()).digest()[:4] == data[-4:]
    assert set(seen) == {"1", "3", "bc1q", "bc1p"}


def test_tron_tox_and_ton_are_valid() -> None:
    draw = rng()
    for _ in range(20):
        data = unbase58(identifiers.tron(draw))
        assert data[0] == 0x41
        assert sha256(sha256(data[:-4]).digest()).digest()[:4] == data[-4:]
        tox = bytes.fromhex(identifiers.tox_id(draw, identifiers.tox_key(draw)))
        assert len(tox) == 38
        assert [int(np.bitwise_xor.reduce(list(tox[i::2]))) for i in (0, 1)] == [0, 0]


def test_the_friendly_forms_of_a_ton_account_are_those_of_the_documentation() -> None:
    raw = "0:ca6e321c7cce9ecedf0a8ca2492ec8592494aa5fb5ce0387dff96ef6af982a3e"
    assert identifiers.ton_friendly(raw, bounceable=True) == "EQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPrHF"
    assert identifiers.ton_friendly(raw, bounceable=False) == "UQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPuwA"


def test_no_phone_can_be_anybodys() -> None:
    draw, countries = rng(), Counter[int | None]()
    for _ in range(800):
        number = phonenumbers.parse(identifiers.phone(draw))
        countries[number.country_code] += 1
        assert phonenumbers.is_possible_number(number)
        assert not phonenumbers.is_valid_number(number), number
    assert set(countries) == {7, 996, 998}


def test_posters_and_adverts_show_no_phone_that_is_assigned(world: World, adverts: list[tuple[str, AdvertText]]) -> None:
    draw = rng(3)
    texts = [line for _ in range(500) for line in world.distractor(draw, "poster").lines]
    texts += [line.text for _, advert in adverts for line in advert.lines if line.kind == Kind.PHONE and line.part == (1, 1)]
    found = 0
    for text in texts:
        digits = re.sub(r"\D", "", text)
        if len(digits) in (10, 11) and not text.lstrip().startswith(("+99", "99")):
            found += 1
            assert not phonenumbers.is_valid_number(phonenumbers.parse("+7" + digits[-10:]))
    assert found > 300


def test_handles_are_valid_and_from_a_huge_space() -> None:
    draw = rng()
    handles = [names.handle(draw, names.stem(draw, "train")) for _ in range(3000)]
    assert all(re.fullmatch(r"(?!.*__)[a-z][a-z0-9_]{3,30}[a-z0-9]", handle) for handle in handles)
    assert all(names.valid_handle(handle) for handle in handles)
    assert len(set(handles)) > 2900
    used = Counter("".join(handles))
    assert all(used[char] > 20 for char in "abcdefghijklmnopqrstuvwxyz0123456789_")


@pytest.mark.parametrize(
    ("text", "valid"), [("shop_kz1", True), ("abcd", False), ("shop__kz", False), ("shop_", False), ("1shop1", False)]
)
def test_what_telegram_registers(text: str, valid: bool) -> None:
    assert names.valid_handle(text) is valid


def test_siblings_differ_from_the_known_handle_and_are_valid() -> None:
    draw = rng()
    for _ in range(300):
        base = names.stem(draw, "train")
        known = names.handle(draw, base)
        other = names.sibling(draw, known, base)
        assert other != known
        assert names.valid_handle(other)


def test_splits_share_no_stem_and_no_word() -> None:
    worlds = {split: World(7, split) for split in names.SPLITS}
    stems = {split: {shop.stem for shop in world.shops} for split, world in worlds.items()}
    for split, found in stems.items():
        assert all(names.split_of(stem) == split for stem in found)
    assert not stems["train"] & stems["test"]
    assert not stems["train"] & stems["val"]
    assert not stems["val"] & stems["test"]
    words = {split: {word for group in names.words_of(split) for word in group} for split in names.SPLITS}
    assert not words["train"] & words["test"]
    assert all(len(group) >= 8 for split in names.SPLITS for group in names.words_of(split))


def test_shops_have_resources_of_their_own(world: World) -> None:
    assert len({shop.shop_id for shop in world.shops}) == len(world.shops)
    assert {len(shop.resources) for shop in world.shops} == {1, 2, 3, 4, 5, 6}
    assert all(resource.shop_id == shop.shop_id for shop in world.shops for resource in shop.resources)
    kinds = Counter(resource.kind for shop in world.shops for resource in shop.resources)
    assert set(kinds) == set(Kind) - {Kind.QR}
    assert kinds[Kind.TELEGRAM] > sum(kinds.values()) / 3
    assert 0.6 < np.mean([shop.registered for shop in world.shops]) < 0.9


def test_some_shops_have_sibling_handles(world: World) -> None:
    pairs = 0
    for shop in world.shops:
        handles = [resource.value for resource in shop.resources if resource.kind is Kind.TELEGRAM]
        pairs += any(a != b and a[:4] == b[:4] for a in handles for b in handles)
    assert pairs > len(world.shops) / 10


def meaning(line: LineText) -> str:
    """What a patient person reads: case, look-alikes, zeros, dots and spaces undone."""
    return re.sub(r"[\s.]", "", line.text.lower()).translate(FOLD)


@pytest.mark.parametrize("evasion", [name for name in spelling.EVASIONS if name != "split"])
def test_a_disguise_changes_the_writing_and_not_the_meaning(evasion: str) -> None:
    draw, changed = rng(), 0
    for _ in range(200):
        value = names.handle(draw, names.stem(draw, "train"))
        plain = paint(draw, Kind.TELEGRAM, value, plain=True)
        (line,) = disguise(draw, plain, evasion)
        assert line.canonical == value
        assert line.evasion == (evasion if line.text != plain.text else "")
        changed += line.text != plain.text
        assert value.translate(FOLD) in meaning(line)
    assert changed > 100


def test_split_lines_join_to_the_identifier() -> None:
    draw = rng()
    for count in (2, 3):
        for _ in range(100):
            value = identifiers.onion(draw)
            plain = paint(draw, Kind.ONION, value)
            lines = disguise(draw, plain, "split")
            assert len(lines) in (2, 3)
            assert "".join(line.text for line in lines) == plain.text
            assert [line.part for line in lines] == [(i + 1, len(lines)) for i in range(len(lines))]
            assert {line.canonical for line in lines} == {value}
            assert all(len(line.text) >= 4 for line in lines), count


def test_a_short_line_is_not_split() -> None:
    line = LineText("@abcde", "abcde", Kind.TELEGRAM.value)
    assert disguise(rng(), line, "split") == (line,)


def test_codes_cannot_be_painted_as_text() -> None:
    with pytest.raises(TagtraceError, match="payload"):
        paint(rng(), Kind.QR, "anything")


def test_hosts_are_canonical_and_painted_in_their_own_letters() -> None:
    draw, international = rng(), 0
    for _ in range(600):
        value = identifiers.host(draw, names.stem(draw, "train"))
        assert value == value.lower()
        assert value.isascii()
        if "xn--" in value:
            international += value.encode().decode("idna") in paint(draw, Kind.URL, value).text.lower()
    assert international > 10


def test_adverts_are_complete(world: World, adverts: list[tuple[str, AdvertText]]) -> None:
    shops = {shop.shop_id for shop in world.shops}
    for style, advert in adverts:
        assert advert.shop_id in shops
        assert 1 <= len(advert.lines) <= 5
        assert all(line.text.strip() == line.text and line.text for line in advert.lines)
        assert any(line.kind != WORD for line in advert.lines) or advert.code_payload
        assert (advert.code_payload is None) == (advert.code_canonical is None)
        assert advert.code_payload is None or style in ("sticker", "poster")
        for line in advert.lines:
            same = [other for other in advert.lines if (other.kind, other.canonical) == (line.kind, line.canonical)]
            assert line.kind == WORD or len(same) >= line.part[1], "every part of a split identifier is there"


def test_adverts_are_as_often_disguised_and_coded_as_real_ones(adverts: list[tuple[str, AdvertText]]) -> None:
    hidden = [any(line.evasion not in ("", "split") for line in advert.lines) for _, advert in adverts]
    assert 0.1 < np.mean(hidden) < 0.25
    coded = [advert.code_payload is not None for style, advert in adverts if style in ("sticker", "poster")]
    assert 0.7 < np.mean(coded) < 0.9
    evasions = {line.evasion for _, advert in adverts for line in advert.lines}
    assert evasions == {"", *spelling.EVASIONS}


def test_a_code_holds_the_identifier_it_stands_for() -> None:
    draw = rng()
    for kind in set(Kind) - {Kind.QR, Kind.TON}:
        for _ in range(12):
            value = identifiers.make(draw, kind, names.stem(draw, "train"))
            code = codes.payload(draw, Resource(kind, value, "S"))
            assert value.removeprefix("+").lower() in code.payload.lower()
            assert (code.kind, code.canonical) == (kind, value)


@pytest.mark.parametrize("kind", list(DISTRACTORS))
def test_distractors_are_texts_without_contacts(world: World, kind: str) -> None:
    draw = rng()
    texts = [world.distractor(draw, kind) for _ in range(150)]
    assert all(text.kind == kind and text.lines and all(line.strip() for line in text.lines) for text in texts)
    assert len({text.lines for text in texts}) > 15
    with_handle = [line for text in texts for line in text.lines if "@" in line or "t.me" in line.lower()]
    assert not with_handle or kind == "slogan"
    assert all(re.search("narko|police|drugs", line) for line in with_handle)


def test_unknown_words_are_refused_by_name(world: World) -> None:
    with pytest.raises(TagtraceError, match="graffito"):
        world.distractor(rng(), "graffito")
    with pytest.raises(TagtraceError, match="fresco"):
        world.advert(rng(), "fresco")
    with pytest.raises(TagtraceError, match="holdout"):
        World(1, "holdout")


def test_free_lines_are_mixed_and_writable_in_the_alphabet(free_lines: list[LineText]) -> None:
    assert all(line.text for line in free_lines)
    assert all(to_alphabet(line.text) is not None for line in free_lines)
    kinds = Counter(line.kind for line in free_lines)
    share = {kind: number / len(free_lines) for kind, number in kinds.items()}
    assert 0.38 < share[Kind.TELEGRAM] < 0.48
    assert 0.05 < share[Kind.TELEGRAM_INVITE] < 0.1
    assert 0.08 < share[Kind.PHONE] < 0.12
    assert set(kinds) == {kind.value for kind in set(Kind) - {Kind.QR}} | {WORD}


def test_every_character_is_seen_in_training(free_lines: list[LineText]) -> None:
    seen = Counter("".join(to_alphabet(line.text) or "" for line in free_lines))
    rare = [char for char in "ӘҒҚҢӨҰҮҺІәғқңөұүһіЁёЪъЩщЭэЦцQqXxZz0123456789@_./:-+()№#!?" if seen[char] < 15]
    assert not rare


def test_lines_hardly_repeat(free_lines: list[LineText]) -> None:
    assert len({line.text for line in free_lines}) > 0.9 * len(free_lines)


def test_the_same_seed_gives_the_same_texts_in_another_process() -> None:
    program = (
        "import numpy as np; from tagtrace.datasets.world import World; r = np.random.default_rng(5); w = World(3, 'val');"
        "print(ascii([w.shops[9], *[w.advert(r, 'sticker') for _ in range(9)], *[w.free_line(r) for _ in range(40)]]))"
    )
    draw, world = rng(5), World(3, "val")
    here = [world.shops[9], *[world.advert(draw, "sticker") for _ in range(9)], *[world.free_line(draw) for _ in range(40)]]
    there = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "77"}
    )
    assert there.stdout.strip() == ascii(here)


def test_another_seed_gives_other_shops() -> None:
    assert not {shop.stem for shop in World(1, "val").shops} >= {shop.stem for shop in World(2, "val").shops}
