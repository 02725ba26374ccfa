"""Misreads of one contact at one place are one advert, two names are two, and pictures tell where words do not. All invented."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import sightings as worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import Identifier, IdentifierKind
from tagtrace.linking import joining
from tagtrace.linking.clusters import ClusterSettings, Sighting, place, trace
from tagtrace.linking.features import AdvertFeatures, Match, match
from tagtrace.linking.joining import compare, is_pictured_again, is_spelt_again, joins
from tagtrace.linking.wording import Spelt, common, from_bytes, spelt, to_bytes, told_apart

ALMATY, east, reading, pictured = worlds.ALMATY, worlds.east, worlds.reading, worlds.pictured
SETTINGS = ClusterSettings()


def words(text: str, doubts: dict[int, dict[str, float]] | None = None) -> tuple[Spelt, ...]:
    return spelt([reading(text, doubts)])


def seen(
    photo: str, value: str, confidence: float, shown: tuple[Spelt, ...] = (), at: object = ALMATY, **more: object
) -> Sighting:
    read = (Identifier(IdentifierKind.TELEGRAM, value, f"@{value}", confidence),) if value else ()
    made: Sighting = worlds.sighting(photo, at=at, identifiers=read, words=shown, **more)
    return made


def together(*sightings: Sighting) -> bool:
    return len({placement.cluster for placement in place(sightings)}) == 1


HUB = words("@kerege_hub")
NUB = words("@kerege_nub", {8: {"h": 0.3}, 10: {"8": 0.2}})
"""Read ``nub``, where ``hub`` is nearly as probable."""


def test_what_is_said_of_a_common_text_tells_a_misread_from_another_name() -> None:
    blurred, clear = common(HUB, NUB), common(HUB, words("@kerege_nub"))
    assert blurred is not None and clear is not None
    assert blurred.value == "kerege_hub" and -3 < blurred.nats < 0
    assert clear.nats < -20
    assert common(HUB, words("@other_name")) is not None and common(HUB, words("8 701 234 56 78")) is None


def test_misreads_of_one_contact_near_each_other_are_one_advert() -> None:
    hub, nub = seen("a", "kerege_hub", 0.9, HUB), seen("b", "kerege_nub", 0.4, NUB, east(20))
    assert together(hub, nub)
    assert not together(hub, replace(nub, lon=east(500)[1]))
    assert not together(hub, replace(nub, words=words("@kerege_nub")))
    found = compare(trace(hub, SETTINGS), trace(nub, SETTINGS), SETTINGS)
    assert found.log_odds > 5 and "misread telegram kerege_hub" in found.steps[0].text
    assert found == compare(trace(nub, SETTINGS), trace(hub, SETTINGS), SETTINGS)


def test_two_names_that_are_read_clearly_stay_two_whatever_else_agrees() -> None:
    same_wall = {"features": pictured(1)}
    for ours, theirs in (("tulpar_kz1", "tulpar_kz2"), ("kerege_hub", "kerege_nub"), ("berkut_one", "umit_snow")):
        a = seen("a", ours, 0.9, words(f"@{ours}"), **same_wall)
        assert not together(a, seen("b", theirs, 0.9, words(f"@{theirs}"), **same_wall))
    # A digit that both read surely parts them, even where the name as a whole is unsure.
    one, two = words("@tulpar_kz1"), words("@tulpar_kz2")
    assert told_apart(one, two, 0.9) and not told_apart(one, words("@tulpar_kz2", {10: {"1": 0.2}}), 0.9)
    assert not together(seen("a", "tulpar_kz1", 0.4, one, **same_wall), seen("b", "tulpar_kz2", 0.4, two, **same_wall))


def test_a_blurred_digit_joins_no_siblings() -> None:
    blurred = words("@tulpar_kz1", {10: {"2": 0.45}})
    first, second = seen("a", "tulpar_kz1", 0.9, words("@tulpar_kz1")), seen("b", "tulpar_kz2", 0.9, words("@tulpar_kz2"))
    between = seen("c", "", 0.0, blurred)
    found = [placement.cluster for placement in place([first, second, between])]
    assert found[0] == found[2] != found[1]


def test_another_contact_beside_it_makes_no_sibling_a_misread() -> None:
    blurred = spelt([reading("@umit_snow1", {10: {"2": 0.45}}), reading("@berkut")])
    a, b = seen("a", "umit_snow2", 0.9, words("@umit_snow2")), seen("b", "", 0.0, blurred)
    assert not joins(trace(a, SETTINGS), trace(b, SETTINGS), SETTINGS)
    assert not joins(trace(b, SETTINGS), trace(a, SETTINGS), SETTINGS)


def test_a_short_or_wholly_blurred_text_joins_nothing() -> None:
    assert not together(seen("a", "abcd", 0.4, words("@abcd")), seen("b", "abce", 0.4, words("@abce", {4: {"d": 0.4}})))


def test_pictures_join_what_words_leave_open() -> None:
    a, b = seen("a", "kerege_hub", 0.9, HUB, features=pictured(1)), seen("b", "xyzzq", 0.4, words("@xyzzq"), features=pictured(1))
    assert together(a, b)
    assert not together(a, replace(b, features=pictured(2)))
    assert not together(a, replace(b, lon=east(500)[1]))


def test_a_contact_that_is_cut_off_is_joined_by_pictures_only() -> None:
    whole, cut = seen("a", "kerege_hub", 0.9, HUB), seen("b", "kerege_hu", 0.9, words("@kerege_hu"))
    assert not together(whole, cut)
    assert together(replace(whole, features=pictured(1)), replace(cut, features=pictured(1)))


def test_without_a_place_pictures_tell_which_of_two_walls_it_is() -> None:
    here = seen("a", "kerege_hub", 0.9, features=pictured(1))
    there = seen("b", "kerege_hub", 0.9, at=east(5000), features=pictured(2))
    lost = seen("c", "kerege_hub", 0.9, at=None, features=pictured(2))
    found = [placement.cluster for placement in place([here, there, lost])]
    assert found[2] == found[1] != found[0]
    found = [placement.cluster for placement in place([here, there, replace(lost, features=pictured(3))])]
    assert len(set(found)) == 3
    # Nothing in common but the picture is not enough where the place is unknown.
    assert not together(there, seen("d", "", 0.0, at=None, features=pictured(2)))


@settings(max_examples=300, deadline=None)
@given(worlds.RANDOMS)
def test_joining_is_symmetric(rng: random.Random) -> None:
    world = [trace(item, SETTINGS) for item in worlds.random_world(rng, 6)]
    for a in world:
        for b in world:
            assert joins(a, b, SETTINGS) == joins(b, a, SETTINGS)
            assert is_spelt_again(a, b, SETTINGS) == is_spelt_again(b, a, SETTINGS)
            assert is_pictured_again(a, b, SETTINGS) == is_pictured_again(b, a, SETTINGS)
            assert common(a.sighting.words, b.sighting.words) == common(b.sighting.words, a.sighting.words)


@given(st.lists(st.sampled_from(worlds.VALUES), max_size=3), st.booleans())
def test_bytes_keep_words(values: list[str], blurred: bool) -> None:
    found = tuple(word for value in values for word in worlds.words(value, blurred))
    assert from_bytes(to_bytes(found)) == found


@pytest.mark.parametrize("data", [b"", b"no", b"[1]", b'[["telegram"]]', b'[["no such kind",[],"","",[],[],""]]', b"\xff"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        from_bytes(data)


def test_pictures_that_were_compared_are_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[AdvertFeatures, AdvertFeatures]] = []

    def counted(a: AdvertFeatures, b: AdvertFeatures) -> Match:
        asked.append((a, b))
        return match(a, b)

    monkeypatch.setattr(joining, "match", counted)
    compared = joining._Compared(2)
    one, two, other = pictured(1), pictured(2), pictured(3)
    # read back from a store: other objects, the same features
    again = AdvertFeatures.from_bytes(one.to_bytes())
    assert AdvertFeatures.from_bytes(again.to_bytes()).fingerprint() == again.fingerprint() != two.fingerprint()
    assert compared.match(one, two) is compared.match(one, two)
    assert compared.match(one, two).inliers == match(one, two).inliers
    assert len(asked) == 1
    # the other way round may differ a little, so it is a comparison of its own; the oldest one is forgotten
    compared.match(two, one)
    compared.match(one, two)
    compared.match(one, other)
    assert len(asked) == 3
    compared.match(two, one)
    assert len(asked) == 4
    compared.match(one, other)
    assert len(asked) == 4
