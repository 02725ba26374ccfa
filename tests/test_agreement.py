"""What other photos and other walls lend to a reading in doubt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagtrace.contract import Advert, Analysis, Flag, Hypothesis, Identifier, IdentifierKind, Line, Outcome, Reading, Resource
from tagtrace.linking.agreement import AgreementSettings, agree
from tagtrace.linking.clusters import ClusterSettings
from tagtrace.linking.shops import LinkSettings, Shops
from tagtrace.scoring.placing import PlacingSettings, _shared, place_all
from tagtrace.scoring.writers.batch import advert_confidence, meant

QUAD = ((100.0, 100.0), (300.0, 100.0), (300.0, 140.0), (100.0, 140.0))
TELEGRAM = IdentifierKind.TELEGRAM


def handle(value: str, confidence: float, *flags: Flag) -> Identifier:
    return Identifier(TELEGRAM, value, f"@{value}", confidence, flags=flags, lines=(0,))


def photo(number: int, item: Identifier, place: tuple[float, float] | None = None) -> tuple[Analysis, int | None]:
    advert = Advert(QUAD, (Line(QUAD, 0.9, Reading(item.raw, item.confidence)),), (), (item,))
    lat, lon = place if place is not None else (None, None)
    return Analysis(f"{number}.jpg", f"{number:x}" * 64, 640, 480, (advert,), lat=lat, lon=lon), None


def reported(*photos: tuple[Analysis, int | None], shops: Shops | None = None) -> list[list[Identifier]]:
    results = place_all(photos, shops or Shops(), LinkSettings(), ClusterSettings())
    return [[item for advert in result.adverts for item in advert.advert.identifiers] for result in results]


@given(st.lists(st.floats(0.2, 0.99), min_size=2, max_size=6))
def test_agreement_only_adds(shares: list[float]) -> None:
    found = agree([[handle("tulpar_kz1", share)] for share in shares])[TELEGRAM, "tulpar_kz1"]
    assert max(shares) <= found <= 1.0
    fewer = agree([[handle("tulpar_kz1", share)] for share in shares[:-1]]).get((TELEGRAM, "tulpar_kz1"), shares[0])
    assert found >= fewer or shares[-1] < AgreementSettings().same_misreading


def test_one_wall_and_weak_readings_agree_with_nobody() -> None:
    assert agree([[handle("tulpar_kz1", 0.6), handle("tulpar_kz1", 0.6)]]) == {}
    assert agree([[handle("tulpar_kz1", 0.6)], [handle("tulpar_kz1", 0.1)]]) == {}


def test_a_reading_in_doubt_is_dropped_unless_another_wall_says_the_same() -> None:
    astana, almaty = (51.1, 71.4), (43.2, 76.9)
    doubted = handle("tulpar_kz1", 0.6, Flag.UNSURE)
    assert reported(photo(1, doubted, astana)) == [[]]
    assert reported(photo(1, doubted, astana), photo(2, handle("tulpar_kz2", 0.6, Flag.UNSURE), almaty)) == [[], []]
    (first,), (second,) = reported(photo(1, doubted, astana), photo(2, doubted, almaty))
    assert first.value == second.value == "tulpar_kz1"
    assert first.confidence == pytest.approx(1.5**2 / 0.2 / (1 + 1.5**2 / 0.2))
    assert Flag.TOGETHER in first.flags and Flag.UNSURE not in first.flags


def seen(number: int, item: Identifier, text: str, place: tuple[float, float]) -> tuple[Analysis, int | None]:
    """A photo whose reading carries log-probabilities, so that it is read together with others."""
    alphabet = "@_abcdefghijklmnopqrstuvwxyz0123456789"
    steps = 2 * len(text) + 1
    table = np.full((steps, 1 + len(alphabet)), np.log(0.01 / len(alphabet)), np.float32)
    for step in range(steps):
        column = 0 if step % 2 == 0 else 1 + alphabet.index(text[step // 2])
        table[step, column] = np.log(0.99)
    reading = Reading(text, item.confidence, (Hypothesis(text, -0.5),), (), table, alphabet)
    advert = Advert(QUAD, (Line(QUAD, 0.9, reading),), (), (item,))
    return Analysis(f"{number}.jpg", f"{number:x}" * 64, 640, 480, (advert,), lat=place[0], lon=place[1]), None


def test_photos_of_one_advert_lend_each_other_what_they_read() -> None:
    astana = (51.1, 71.4)
    sure, doubted = handle("tulpar_kz1", 0.95), handle("tulpar_kz1", 0.5, Flag.UNSURE)
    (first,), (second,) = reported(seen(1, sure, "@tulpar_kz1", astana), seen(2, doubted, "@tulpar_kz1", astana))
    assert first.value == second.value == "tulpar_kz1"
    assert Flag.TOGETHER in second.flags and Flag.TOGETHER not in first.flags and Flag.UNSURE not in second.flags


def test_what_one_photo_shows_surely_stays_when_the_others_leave_it_in_doubt() -> None:
    clear, fair = handle("tulpar_kz1", 0.95), handle("tulpar_kz1", 0.8)
    doubts = [handle("tulpar_kz1", 0.5, Flag.UNSURE)]
    assert _shared([clear], doubts, PlacingSettings()) == (clear,)
    (kept,) = _shared([fair], doubts, PlacingSettings())
    assert Flag.UNSURE in kept.flags and kept.confidence == 0.5


def test_the_register_confirms_a_reading_in_doubt() -> None:
    shops = Shops([Resource(TELEGRAM, "tulpar_kz1", "A")])
    (item,) = reported(photo(1, handle("tulpar_kz1", 0.6, Flag.UNSURE)), shops=shops)[0]
    assert item.value == "tulpar_kz1" and item.confidence >= 0.9 and Flag.UNSURE not in item.flags
    (result,) = place_all([photo(1, handle("tulpar_kz1", 0.6, Flag.UNSURE))], shops, LinkSettings(), ClusterSettings())
    assert result.adverts[0].links[0].outcome is Outcome.SAME


def test_a_reading_in_doubt_that_may_be_a_listed_contact_stays_as_a_proposal_and_counts_for_nothing() -> None:
    shops = Shops([Resource(TELEGRAM, "tulpar_hub", "A")])
    alternatives = (("tulpar_hub", 0.4),)
    item = replace(handle("tulpar_hu8", 0.5, Flag.UNSURE), alternatives=alternatives)
    (result,) = place_all([photo(1, item)], shops, LinkSettings(), ClusterSettings())
    (advert,) = result.adverts
    (kept,), (link,) = advert.advert.identifiers, advert.links
    assert (kept.value, kept.confidence, Flag.UNSURE in kept.flags) == ("tulpar_hu8", 0.5, True)
    assert (link.outcome, link.shop_id) == (Outcome.MISREAD, "A") and link.probability >= PlacingSettings().proposed_from
    assert meant(kept, link) == (TELEGRAM, "tulpar_hub", link.probability)
    assert advert_confidence(advert) < link.probability
    # Without a listed contact that it may be, and where digits were read that differ, it is dropped.
    assert reported(photo(1, item)) == [[]]
    sibling = replace(handle("tulpar_kz2", 0.5, Flag.UNSURE), alternatives=(("tulpar_kz1", 0.02),))
    assert reported(photo(1, sibling), shops=Shops([Resource(TELEGRAM, "tulpar_kz1", "A")])) == [[]]


def test_a_proposal_needs_a_link_but_not_a_sure_one() -> None:
    shops = Shops([Resource(TELEGRAM, "tulpar_hub", "A")])
    item = replace(handle("tulpar_hab", 0.5, Flag.UNSURE), alternatives=(("tulpar_hub", 0.005),))
    (result,) = place_all([photo(1, item)], shops, LinkSettings(), ClusterSettings())
    (link,) = result.adverts[0].links
    assert link.outcome is Outcome.MISREAD and 0.5 <= link.probability < 0.9
    (strict,) = place_all([photo(1, item)], shops, LinkSettings(), ClusterSettings(), PlacingSettings(proposed_from=0.9))
    assert strict.adverts[0].links == ()
