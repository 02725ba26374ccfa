"""What experts say of adverts goes into identifiers, links, tracks and exports at once, and outlives linking and models."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import rulings_story as story
from sqlalchemy import select

from tagtrace.contract import (
    Band,
    Flag,
    Identifier,
    Link,
    Outcome,
    TagtraceError,
)
from tagtrace.linking.store import (
    Store,
    audit,
    decisions,
    exporting,
    lists,
    resources,
    reviews,
    shops,
    tracks,
)
from tagtrace.linking.store.loading import latest_with_links
from tagtrace.linking.store.tables import AuditRow, ReadIdentifierRow
from tagtrace.scoring.storing import link_again
from tagtrace.service.deciding import links_of, take_back
from tagtrace.service.register import Register

T, ME, LISTED, NEW = story.T, story.ME, story.LISTED, story.NEW
advert, analysis, put, misread = story.advert, story.analysis, story.put, story.misread
open_keys, shown, state, sound = story.open_keys, story.shown, story.state, story.sound


@pytest.fixture
def city(store: Store) -> Store:
    found: Store = story.city_of(store)
    return found


def test_undoing_brings_back_the_decision_before(city: Store) -> None:
    """Confirmed with a look at the resource, then corrected, then rejected: each undo restores what stood before, and the history
    keeps all of it."""
    key = put(city, analysis("a", advert("tu1par_kz1")), misread)
    first = city.write(lambda s: reviews.confirm(s, key, verify=True, why="clear"), ME)
    as_confirmed = shown(city, key)
    assert as_confirmed == [("tu1par_kz1", "misread", "S1")] and state(city, "tulpar_kz1") == "verified"
    second = city.write(lambda s: reviews.correct(s, key, ["@berkut_zone"], [(T, "berkut_zone")], verify=True, why="B"), ME)
    assert shown(city, key) == [("berkut_zone", "new", None)] and state(city, "berkut_zone") == "verified"
    third = city.write(lambda s: reviews.record(s, key, reviews.Word.REJECTED, "blurred"), ME)
    assert open_keys(city) == []
    with pytest.raises(TagtraceError, match="decided after"):
        city.write(lambda s: reviews.undo(s, second.id), ME)

    city.write(lambda s: reviews.undo(s, third.id), ME)
    assert shown(city, key) == [("berkut_zone", "new", None)], "the correction stands again"
    assert state(city, "berkut_zone") == "verified" and open_keys(city) == []
    city.write(lambda s: reviews.undo(s, second.id), ME)
    assert shown(city, key) == as_confirmed and open_keys(city) == [], "what was confirmed stands again"
    assert (state(city, "berkut_zone"), state(city, "tulpar_kz1")) == ("identified", "verified")
    with city.read() as session:
        assert [row.id for row in [reviews.last_by(session, ME)] if row] == [first.id]
    city.write(lambda s: reviews.undo(s, first.id), ME)
    assert shown(city, key) == [("tu1par_kz1", "misread", "S1")] and state(city, "tulpar_kz1") == "identified"
    assert open_keys(city) == [("a", False)], "nobody's word stands any more"
    with city.read() as session:
        words = [str(review.word) for review in reviews.reviews_of(session, [key])]
        assert words == ["confirmed", "corrected", "rejected", "undone", "undone", "undone"]
        assert not list(session.scalars(select(ReadIdentifierRow))) and audit.verify_audit(session) is None
    with pytest.raises(TagtraceError, match="taken back already"):
        city.write(lambda s: reviews.undo(s, third.id), ME)
    sound(city)


def test_a_colleague_may_skip_and_only_who_decided_takes_back(city: Store) -> None:
    key = put(city, analysis("a", advert("sunkar_shop7")))
    made = city.write(lambda s: reviews.confirm(s, key), ME)
    city.write(lambda s: reviews.record(s, key, reviews.Word.SKIPPED), "person 2")
    with pytest.raises(TagtraceError, match="only who decided"):
        city.write(lambda s: reviews.undo(s, made.id), "person 2")
    city.write(lambda s: reviews.undo(s, made.id), ME)
    assert open_keys(city) == [("a", False)]


def test_a_resource_stays_verified_by_the_other_word(city: Store) -> None:
    """Two people looked at one resource with two adverts: one taking it back leaves the other's word."""
    here, there = put(city, analysis("a", advert("sunkar_shop7"))), put(city, analysis("b", advert("sunkar_shop7")), place=0.3)
    first = city.write(lambda s: reviews.confirm(s, here, verify=True), ME)
    second = city.write(lambda s: reviews.confirm(s, there, verify=True), "person 2")
    city.write(lambda s: reviews.undo(s, first.id), ME)
    assert state(city, "sunkar_shop7") == "verified"
    with city.read() as session:
        (out,) = exporting.exported(session)
        assert out.verified_by == "person 2"
    city.write(lambda s: reviews.undo(s, second.id), "person 2")
    assert state(city, "sunkar_shop7") == "verified", "who did not take the step does not take it back"


def test_a_sibling_confirmed_on_two_walls_outlives_one_undo(city: Store) -> None:
    def sibling(item: Identifier) -> Link:
        return Link(Outcome.SIBLING, 0.9, "S1", LISTED, band=Band.REVIEW)

    keys = [put(city, analysis(d, advert("tulpar_kz2")), sibling, place=n / 5) for n, d in enumerate("ab")]
    made = [city.write(lambda s, k=key: reviews.confirm(s, k), ME) for key in keys]
    pair = ((T, "tulpar_kz1"), (T, "tulpar_kz2"))
    for review in made:
        with city.read() as session:
            assert list(decisions.confirmed_siblings(session)) == [pair]
        city.write(lambda s, r=review: reviews.undo(s, r.id), ME)
    with city.read() as session:
        assert list(decisions.confirmed_siblings(session)) == []


def test_a_correction_is_followed_at_once(city: Store) -> None:
    """Identifiers, links, tracks, lists and exports say what the expert read; the machine's reading lies beside it."""
    key = put(city, analysis("a", advert("berkut_zon3", "rubbish_text")))
    other = put(city, analysis("b", advert("berkut_zon3")), place=0.4)
    say = [(T, "berkut_zone"), (T, "tulpar_kz2")]
    links = links_of(Register(city, 0.0), say)
    texts = ["@berkut_zone", "@tulpar_kz2"]
    city.write(lambda s: reviews.correct(s, key, texts, say, verify=True, why="seen on the wall", links=links), ME)
    assert shown(city, key) == [("berkut_zone", "new", None), ("tulpar_kz2", "sibling", "S1")], "linked to the register at once"
    assert shown(city, other) == [("berkut_zon3", "new", None)], "another advert is another advert"
    with city.read() as session:
        listed = lists.adverts(session, lists.AdvertFilter(value="berkut_zone"), None, 10)
        assert [item.key for item in listed] == [key]
        assert [item.key for item in lists.adverts(session, lists.AdvertFilter(shop="S1"), None, 10)] == [key]
        assert lists.adverts(session, lists.AdvertFilter(value="rubbish_text"), None, 10) == []
        assert [(i.value, i.flags, i.lines, i.raw) for i in latest_with_links(session, key[0])[0].adverts[0].identifiers] == [  # type: ignore[index]
            ("berkut_zone", (Flag.CORRECTED,), (0,), "@berkut_zone"),
            ("tulpar_kz2", (Flag.CORRECTED,), (1,), "@tulpar_kz2"),
        ]
        (track,) = [row for row in tracks.tracks_of(session, [key])[key] if row.track == "blocking"]
        assert track.state == "verified"
        out = {item.target.value: item for item in exporting.exported(session)}
        assert set(out) == {"berkut_zone", "tulpar_kz2"} and out["berkut_zone"].adverts == 1
        assert [place.resource_id for place in exporting.places(session, [out["berkut_zone"].id])] == [out["berkut_zone"].id]
        aside = [row.content["value"] for row in session.scalars(select(ReadIdentifierRow))]
        assert aside == ["berkut_zon3", "rubbish_text"]
        assert latest_with_links(session, key[0])[0].adverts[0].lines[0].reading.text == "@berkut_zon3"  # type: ignore[index]
        entry = session.scalars(select(AuditRow).where(AuditRow.action == "advert.corrected")).one()
        assert entry.actor == ME and "seen on the wall" in entry.details and "berkut_zon3" in entry.details
    city.write(lambda s: reviews.undo(s, reviews.last_by(s, ME).id), ME)  # type: ignore[union-attr]
    assert [value for value, _, _ in shown(city, key)] == ["berkut_zon3", "rubbish_text"]
    with city.read() as session:
        (track,) = [row for row in tracks.tracks_of(session, [key])[key] if row.track == "blocking"]
        assert track.state == "open" and list(exporting.exported(session)) == []
    sound(city)


def test_a_corrected_advert_can_be_corrected_and_confirmed_again(city: Store) -> None:
    key = put(city, analysis("a", advert("tulpor_kz1")), misread)
    city.write(lambda s: reviews.correct(s, key, ["@berkut_zone"], [(T, "berkut_zone")]), ME)
    city.write(lambda s: reviews.correct(s, key, ["@tulpar_kz1"], [(T, "tulpar_kz1")]), "person 2")
    assert shown(city, key) == [("tulpar_kz1", "same", "S1")]
    made = city.write(lambda s: reviews.confirm(s, key), ME)
    assert shown(city, key) == [("tulpar_kz1", "same", "S1")], "what is shown is what is confirmed"
    assert made.details["texts"] == ["@tulpar_kz1"] and made.details["read"] == ["@tulpor_kz1"]
    city.write(lambda s: reviews.correct(s, key, ["@tulpor_kz1"], [(T, "tulpor_kz1")]), ME)
    assert shown(city, key) == [("tulpor_kz1", "new", None)], "read rightly after all, and no misread"


def test_linking_again_keeps_the_word(city: Store) -> None:
    """The register learns of a resource that the advert could be a misread of: what people said stays."""
    corrected = put(city, analysis("a", advert("berkut_z0ne")))
    confirmed = put(city, analysis("b", advert("sunkar_shop7")), place=0.2)
    said = put(city, analysis("c", advert("tulpar_kz7")), misread, place=0.4)
    undecided = put(city, analysis("d", advert("tulpar_kz1")), place=0.6)
    city.write(lambda s: reviews.correct(s, corrected, ["@berkut_zonne"], [(T, "berkut_zonne")]), ME)
    city.write(lambda s: reviews.confirm(s, confirmed), ME)
    city.write(lambda s: reviews.confirm(s, said), ME)

    def learn(session: Any) -> None:
        for value in ("berkut_zone", "sunkar_shop"):
            resources.register(session, [(T, value)], "list")
            shops.assign(session, (T, value), "S1", "list")

    city.write(learn, "tests")
    link_again(city)
    assert shown(city, said) == [("tulpar_kz7", "misread", "S1")], "the confirmed link"
    for key, value in ((corrected, "berkut_zonne"), (confirmed, "sunkar_shop7")):
        assert [(item[0], item[1] != "misread") for item in shown(city, key)] == [(value, True)]
    assert shown(city, undecided) == [("tulpar_kz1", "same", "S1")], "the others are linked anew"
    sound(city)


def test_new_models_keep_the_word_where_the_advert_lies(city: Store) -> None:
    """Other models number the adverts of the photo otherwise and misread again: the word stands on the advert at its place."""
    key = put(city, analysis("a", advert("berkut_z0ne", left=10), advert("sunkar_shop7", left=200)))
    city.write(lambda s: reviews.correct(s, key, ["@berkut_zone"], [(T, "berkut_zone")]), ME)
    city.write(lambda s: reviews.confirm(s, (key[0], 1)), ME)
    again = analysis("a", advert("sunkar_sh0p7", left=203), advert("berkut_zome", left=12), model=NEW)
    put(city, again)
    assert shown(city, (key[0], 1)) == [("berkut_zone", "new", None)]
    assert shown(city, (key[0], 0)) == [("sunkar_shop7", "new", None)]
    put(city, again, misread)
    assert shown(city, (key[0], 1)) == [("berkut_zone", "new", None)], "put again, it stays"
    third = analysis("a", advert("berkut_zone", left=10), advert("dala_shop", left=10, top=200), model=replace(NEW, name="third"))
    put(city, third)
    assert shown(city, (key[0], 0)) == [("berkut_zone", "new", None)]
    assert shown(city, (key[0], 1)) == [("dala_shop", "new", None)], "nobody has said anything of what lies elsewhere"
    sound(city)


def test_taking_back_through_the_service_tells_the_reports(city: Store) -> None:
    key = put(city, analysis("a", advert("sunkar_shop7")))
    made = city.write(lambda s: reviews.record(s, key, reviews.Word.ANOTHER_PHOTO), ME)
    assert open_keys(city) == []
    city.write(lambda s: take_back(s, made.id, datetime.now(UTC)), ME)
    assert open_keys(city) == [("a", False)]
