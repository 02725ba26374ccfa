"""Linking identifiers to shops, and pictures to their copies. All shops are invented."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import Advert, Flag, Identifier, IdentifierKind, Outcome, Resource, TagtraceError
from tagtrace.inference.identifiers.fold import skeleton
from tagtrace.linking.pictures import close_pairs, distance, picture_hash
from tagtrace.linking.shops import Shops, advert_shop, differ_in_digits, link, link_advert, load_shops
from tagtrace.linking.stems import has_stem, stem

K = IdentifierKind
SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))


def identifier(value: str, confidence: float = 0.9, kind: K = K.TELEGRAM, **more: object) -> Identifier:
    return Identifier(kind, value, value, confidence, **more)


def registry() -> Shops:
    rows = [
        ("A", "Tulpar", K.TELEGRAM, "tulpar_kz1", "active"),
        ("A", "Tulpar", K.TELEGRAM, "tulpar_kz2", "active"),
        ("A", "Tulpar", K.PHONE, "+77495550001", "active"),
        ("B", "Umit", K.TELEGRAM, "umitsnow", "active"),
        ("B", "Umit", K.URL, "umit-snow.top", "active"),
        ("C", "Shop", K.TELEGRAM, "shop1", "active"),
        ("D", "Almaty", K.TELEGRAM, "almaty_market", "active"),
        ("E", "Berkut", K.TELEGRAM, "berkut_zone", "dead"),
        ("F", "Berkut 2", K.TELEGRAM, "berkut_zone_bot", "active"),
    ]
    return Shops(Resource(kind, value, shop, name, status) for shop, name, kind, value, status in rows)


def test_same_value_is_the_same_resource() -> None:
    found = link(identifier("tulpar_kz1"), registry())
    assert (found.outcome, found.shop_id) == (Outcome.SAME, "A")
    assert found.resource is not None and found.resource.value == "tulpar_kz1"
    assert found.probability > 0.95 and "tulpar_kz1" in found.reasons[0] and "Tulpar (A)" in found.reasons[0]


def test_the_kind_counts() -> None:
    assert link(identifier("umitsnow", kind=K.INSTAGRAM), registry()).outcome is Outcome.SIBLING
    assert link(identifier("+77495550001", kind=K.WHATSAPP), registry()).outcome is Outcome.NEW


def test_look_alike_is_proposed_as_a_misread() -> None:
    found = link(identifier("um1tsn0w"), registry())
    assert (found.outcome, found.shop_id) == (Outcome.MISREAD, "B")
    assert 0.5 <= found.probability < 0.95


def test_a_clear_other_digit_is_a_sibling_and_never_a_misread() -> None:
    found = link(identifier("tulpar_kz7", 0.97, alternatives=(("tulpar_kz1", 0.02),)), registry())
    assert (found.outcome, found.shop_id) == (Outcome.SIBLING, "A")


def test_an_uncertain_digit_may_be_a_misread() -> None:
    found = link(identifier("tulpar_kz7", 0.5, alternatives=(("tulpar_kz1", 0.45),)), registry())
    assert found.outcome is Outcome.MISREAD and found.resource is not None and found.resource.value == "tulpar_kz1"


def test_alternative_of_the_reading_leads_to_the_known_value() -> None:
    read = identifier("umitsmow", 0.6, alternatives=(("umitsnow", 0.3),))
    found = link(read, registry())
    assert (found.outcome, found.shop_id) == (Outcome.MISREAD, "B")
    assert link(identifier("umitsmow", 0.95, alternatives=(("umitsnow", 0.001),)), registry()).outcome is Outcome.NEW


def test_siblings_come_across_kinds_and_endings() -> None:
    assert link(identifier("tulpar-kz.store", kind=K.URL), registry()).shop_id == "A"
    found = link(identifier("umit_snow_ast", 0.95), registry())
    assert (found.outcome, found.shop_id) == (Outcome.SIBLING, "B")


def test_one_added_word_is_a_weaker_sign() -> None:
    added, numbered = link(identifier("tulpar_kz_hub", 1.0), registry()), link(identifier("tulpar_kz5", 1.0), registry())
    assert (added.outcome, added.shop_id) == (Outcome.SIBLING, "A")
    assert added.probability < numbered.probability
    shops = Shops([*registry().resources, Resource(K.TELEGRAM, "tulpar_kz_line", "G")])
    assert link(identifier("tulpar_kz_line5", 1.0), shops).shop_id == "G"


@pytest.mark.parametrize("value", ["shop7", "almaty_market2", "market", "kz_shop_24"])
def test_generic_words_do_not_link(value: str) -> None:
    assert link(identifier(value), registry()).outcome is Outcome.NEW


def test_a_name_of_two_shops_links_to_neither() -> None:
    assert link(identifier("berkut_zone3"), registry()).outcome is Outcome.NEW


def test_random_values_have_no_siblings() -> None:
    assert link(identifier("+77495550002", kind=K.PHONE), registry()).outcome is Outcome.NEW


def test_protected_is_never_linked() -> None:
    shops = Shops([Resource(K.TELEGRAM, "help_line_bot", "A")])
    assert link(identifier("help_line_bot", flags=(Flag.PROTECTED,)), shops).outcome is Outcome.NEW


def test_resource_of_two_shops_prefers_the_living_one_and_halves_the_probability() -> None:
    shops = Shops([Resource(K.TELEGRAM, "umitsnow", "A", status="dead"), Resource(K.TELEGRAM, "umitsnow", "B")])
    found = link(identifier("umitsnow", 1.0), shops)
    assert (found.shop_id, found.probability) == ("B", pytest.approx(0.5, abs=0.01))
    assert "A, B" in found.reasons[1]


def test_contacts_painted_together_belong_together() -> None:
    advert = Advert(SQUARE, identifiers=(identifier("tulpar_kz1"), identifier("+77495559999", kind=K.PHONE)))
    links = link_advert(advert, registry())
    assert [found.outcome for found in links] == [Outcome.SAME, Outcome.SIBLING]
    assert links[1].shop_id == "A" and advert_shop(links) == "A"
    mixed = Advert(SQUARE, identifiers=(*advert.identifiers, identifier("umitsnow")))
    assert link_advert(mixed, registry())[1].outcome is Outcome.NEW


def test_no_shops_no_links() -> None:
    found = link(identifier("tulpar_kz1"), Shops())
    assert found.outcome is Outcome.NEW and found.probability == 1.0 and found.shop_id is None


@settings(max_examples=50)
@given(st.randoms(use_true_random=False), st.sampled_from(["tulpar_kz9", "um1tsnow", "tulpar_kz1", "berkut_zone"]))
def test_order_of_the_list_does_not_matter(rng: random.Random, value: str) -> None:
    resources = list(registry().resources)
    rng.shuffle(resources)
    assert link(identifier(value), Shops(resources)) == link(identifier(value), registry())


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (K.TELEGRAM, "tulpar_kz1", "tulpar_kz"),
        (K.TELEGRAM, "tulpar_kz_2_bot", "tulpar_kz"),
        (K.TELEGRAM, "tulparbot", "tulpar"),
        (K.URL, "tulpar-kz.com.kz", "tulpar_kz"),
        (K.URL, "https://tulpar-kz.store/a?b", "tulpar_kz"),
        (K.TELEGRAM, "777", "777"),
        (K.PHONE, "+77495550001", ""),
    ],
)
def test_stems(kind: K, value: str, expected: str) -> None:
    assert stem(kind, value) == expected


def test_digits_against_digits() -> None:
    assert differ_in_digits("tulpar_kz1", "tulpar_kz7") and differ_in_digits("tulpar", "tulpar2")
    assert not differ_in_digits("tulpar", "tu1par") and not differ_in_digits("tul_par", "tulpar")


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.sampled_from(list(K)[:4]), st.text("aob01l_", min_size=1, max_size=4)), max_size=12
    )
)
def test_the_register_finds_what_looking_at_every_row_finds(rows: list[tuple[str, K, str]]) -> None:
    shops = Shops(Resource(kind, value, shop) for shop, kind, value in rows)
    listed = shops.resources
    for kind, value in {(r.kind, r.value) for r in listed} | {(K.TELEGRAM, "ab"), (K.URL, "o1")}:
        assert list(shops.exact(kind, value)) == [r for r in listed if (r.kind, r.value) == (kind, value)]
        look = [r for r in listed if r.kind is kind and r.value != value and skeleton(r.value) == skeleton(value)]
        assert list(shops.alike(kind, value)) == [r for r in look if not differ_in_digits(r.value, value)]
        text = stem(kind, value)
        kin = [r for r in listed if has_stem(r.kind) and stem(r.kind, r.value) == text] if text else []
        assert list(shops.of_stem(text)) == (kin if len({r.shop_id for r in kin}) == 1 else []) or not text


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_texts_have_the_skeleton_that_any_text_has(text: str) -> None:
    assert skeleton(f"{text}\N{MIDDLE DOT}") == f"{skeleton(text)}\N{MIDDLE DOT}"


HEADER = "shop_id,shop_name,kind,value,first_seen,status\n"


def test_load_shops(tmp_path: Path) -> None:
    path = tmp_path / "shops.csv"
    path.write_text("\ufeff" + HEADER + "A,Тұлпар,telegram,@Tulpar_KZ1,2025-01-01,active\nA,,phone,+77495550001,,\n", "utf-8")
    shops = load_shops(path)
    assert shops.names == {"A": "Тұлпар"}
    assert link(identifier("tulpar_kz1"), shops).outcome is Outcome.SAME
    path.write_text("shop_id;kind;value\nA;url;umit-snow.top\n", "utf-8")
    assert load_shops(path).exact(K.URL, "umit-snow.top")[0].shop_id == "A"


def test_bad_shop_lists_are_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "shops.csv"
    with pytest.raises(TagtraceError, match=r"shops.csv: no such shop list"):
        load_shops(path)
    path.write_text("id,value\n1,2\n", "utf-8")
    with pytest.raises(TagtraceError, match=r"shops.csv: .*missing: shop_id, kind"):
        load_shops(path)
    path.write_text(HEADER + "A,x,telegram,ok_kz,,\nA,x,pigeon,abc,,\n,x,url,abc.kz,,\nA,x,url,b.kz,,,9\n", "utf-8")
    with pytest.raises(TagtraceError) as caught:
        load_shops(path)
    assert "shops.csv:3: unknown kind 'pigeon'" in str(caught.value)
    assert "shops.csv:4: shop_id is empty" in str(caught.value)
    assert "shops.csv:5: more fields" in str(caught.value)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TagtraceError, match="UTF-8"):
        load_shops(path)


# --- pictures ---


def scene(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC)


def test_copies_hash_alike_and_others_do_not() -> None:
    picture = scene(1)
    base = picture_hash(picture)
    ok, jpeg = cv2.imencode(".jpg", cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, 40])
    copy = picture_hash(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))
    other = picture_hash(scene(2))
    assert ok and base is not None and copy is not None and other is not None
    assert distance(base, copy) <= 4 < 15 < distance(base, other)


def test_bare_surfaces_have_no_hash() -> None:
    noise = np.random.default_rng(0).normal(120, 3, (480, 640, 3)).clip(0, 255).astype(np.uint8)
    assert picture_hash(np.full((480, 640, 3), 130, np.uint8)) is None
    assert picture_hash(noise) is None


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.integers(0, 8), st.randoms(use_true_random=False))
def test_close_pairs_against_all_pairs(hashes: list[int], most: int, rng: random.Random) -> None:
    hashes = hashes + [h ^ (1 << rng.randrange(64)) ^ (1 << rng.randrange(64)) for h in hashes]
    expected = {(i, j) for i, j in itertools.combinations(range(len(hashes)), 2) if distance(hashes[i], hashes[j]) <= most}
    found = list(close_pairs(hashes, most))
    assert set(found) == expected and len(found) == len(expected)
