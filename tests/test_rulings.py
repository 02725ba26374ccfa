"""What experts say of adverts goes into identifiers, links, tracks and exports at once, and outlives linking and models."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tagtrace.contract import (
    Advert,
    Analysis,
    Band,
    Flag,
    Identifier,
    IdentifierKind,
    Line,
    Link,
    ModelInfo,
    Outcome,
    Reading,
    Resource,
    TagtraceError,
)
from tagtrace.linking.sightings import Sighting
from tagtrace.linking.store import (
    Store,
    audit,
    checks,
    decisions,
    exporting,
    lists,
    queue,
    resources,
    reviews,
    shops,
    tracks,
)
from tagtrace.linking.store.analyses import put_analysis
from tagtrace.linking.store.clusters import Decision, clusters_of, merge_clusters, put_sightings, split_cluster
from tagtrace.linking.store.loading import latest_with_links
from tagtrace.linking.store.tables import AuditRow, ReadIdentifierRow
from tagtrace.scoring.storing import link_again
from tagtrace.service.deciding import links_of, take_back
from tagtrace.service.register import Register

T = IdentifierKind.TELEGRAM
LISTED = Resource(T, "tulpar_kz1", "S1", "Tulpar")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = ModelInfo("recogniser", "old", "0" * 64), ModelInfo("recogniser", "new", "1" * 64)
ME = "person 1"


def box(left: float, top: float = 10.0) -> Any:
    return ((left, top), (left + 100, top), (left + 100, top + 30), (left, top + 30))


def advert(*values: str, left: float = 10.0, confidence: float = 0.97, top: float = 10.0) -> Advert:
    lines = tuple(Line(box(left, top), 0.9, Reading(f"@{value}", confidence)) for value in values)
    items = tuple(Identifier(T, value, f"@{value}", confidence, lines=(n,)) for n, value in enumerate(values))
    return Advert(box(left, top), lines, (), items)


def analysis(digit: str, *adverts: Advert, model: ModelInfo = OLD) -> Analysis:
    sha256 = digit * 64
    return Analysis(f"{digit}.jpg", sha256, 400, 300, adverts, models=(model,), lat=51.1, lon=71.4)


def new(item: Identifier) -> Link:
    return Link(Outcome.NEW, 0.9)


def misread(item: Identifier) -> Link:
    return Link(Outcome.MISREAD, 0.8, "S1", LISTED, ("looks like it",), band=Band.REVIEW)


def put(store: Store, found: Analysis, link: Any = new, *, place: float = 0.0) -> tuple[str, int]:
    """Put a photo with its sightings into the store, as scoring does."""
    found = replace(found, lon=71.4 + place)
    links = [[link(item) for item in each.identifiers] for each in found.adverts]

    def write(session: Any) -> None:
        put_analysis(session, found, links)
        for number in range(len(found.adverts)):
            tracks.begin(session, (found.sha256, number), datetime.now(UTC))

    store.write(write, "worker")
    seen = [Sighting(found.sha256, n, each.identifiers, lat=found.lat, lon=found.lon) for n, each in enumerate(found.adverts)]
    put_sightings(store, seen, at=datetime.now(UTC), actor="worker")
    return found.sha256, 0


@pytest.fixture
def city(store: Store) -> Store:
    def fill(session: Any) -> None:
        shops.create(session, "S1", "Tulpar")
        resources.register(session, [(T, "tulpar_kz1")], "list")
        shops.assign(session, (T, "tulpar_kz1"), "S1", "list")

    store.write(fill, "tests")
    return store


def shown(store: Store, key: tuple[str, int]) -> list[tuple[str, str, str | None]]:
    """Value, outcome and shop of each contact of an advert, as everything else in the store sees it."""
    with store.read() as session:
        found = latest_with_links(session, key[0])
        assert found is not None
        pairs = zip(found[0].adverts[key[1]].identifiers, found[1][key[1]], strict=True)
        return [(item.value, "" if link is None else link.outcome.value, link.shop_id if link else None) for item, link in pairs]


def state(store: Store, value: str) -> str:
    with store.read() as session:
        return next(str(record.state) for record in resources.list_resources(session) if record.value == value)


def open_keys(store: Store, actor: str = ME) -> list[tuple[str, bool]]:
    with store.read() as session:
        return [(entry.key[0][0], entry.again) for entry in queue.next_entries(session, actor, LONG_AGO, limit=50)]


def sound(store: Store) -> None:
    wrong = [finding.text for finding in checks.check_store(store) if not finding.sound]
    assert wrong == []


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


def test_a_new_sighting_of_a_decided_advert_is_not_shown_again(city: Store) -> None:
    """Three more photos of a decided wall, one of them misread, one too unsure: nobody reads it again."""
    key = put(city, analysis("a", advert("sunkar_shop7")))
    city.write(lambda s: reviews.confirm(s, key), ME)
    for digit, confidence in (("b", 0.97), ("c", 0.5), ("d", 0.97)):
        put(city, analysis(digit, advert("sunkar_shop7", confidence=confidence)))
    assert open_keys(city) == []
    with city.read() as session:
        assert set(queue.count_open(session, ME, LONG_AGO).values()) == {0}
    sound(city)


def test_something_new_on_a_decided_advert_comes_back(city: Store) -> None:
    """The same wall with a second contact: it comes again, shown where the new contact is; decided once more, it is gone."""
    key = put(city, analysis("a", advert("sunkar_shop7")))
    city.write(lambda s: reviews.confirm(s, key), ME)
    second = put(city, analysis("b", advert("sunkar_shop7", "dala_new_bot")))
    put(city, analysis("c", advert("sunkar_shop7")))
    assert open_keys(city) == [("b", True)]
    city.write(lambda s: reviews.confirm(s, second), "person 2")
    assert open_keys(city) == []
    put(city, analysis("d", advert("sunkar_shop7", "dala_new_bot")))
    assert open_keys(city) == [], "known by now"
    sound(city)


@pytest.mark.parametrize("word", [reviews.Word.NOT_ADVERT, reviews.Word.REJECTED])
def test_what_was_refused_comes_back_with_something_new_only(city: Store, word: reviews.Word) -> None:
    key = put(city, analysis("a", advert("sunkar_shop7")))
    city.write(lambda s: reviews.record(s, key, word, "why"), ME)
    put(city, analysis("b", advert("sunkar_shop7")))
    assert open_keys(city) == []
    put(city, analysis("c", advert("sunkar_shop7", "dala_new_bot")))
    assert open_keys(city) == [("c", True)]


def test_merging_hides_nothing_that_nobody_has_read(city: Store) -> None:
    """A decided cluster takes in one that nobody has decided about: what is new in that is shown. Parted again, it is open."""
    done, fresh = put(city, analysis("a", advert("sunkar_shop7"))), put(city, analysis("b", advert("dala_new_bot")), place=0.4)
    alike = put(city, analysis("c", advert("sunkar_shop7")), place=0.8)
    city.write(lambda s: reviews.confirm(s, done), ME)
    assert sorted(open_keys(city)) == [("b", False), ("c", False)]
    with city.read() as session:
        names = clusters_of(session, [done, fresh, alike])
    merge_clusters(city, names[done], names[alike], Decision(datetime.now(UTC), ME, "one wall"))
    assert open_keys(city) == [("b", False)], "nothing new in it"
    merge_clusters(city, names[done], names[fresh], Decision(datetime.now(UTC), ME, "one wall"))
    assert open_keys(city) == [("b", True)]
    split_cluster(city, names[done], [fresh, alike], Decision(datetime.now(UTC), ME, "not one wall"))
    assert sorted(open_keys(city)) in ([("b", False)], [("c", False)]), "taken out together they are one advert, undecided"
    sound(city)


def test_taking_back_through_the_service_tells_the_reports(city: Store) -> None:
    key = put(city, analysis("a", advert("sunkar_shop7")))
    made = city.write(lambda s: reviews.record(s, key, reviews.Word.ANOTHER_PHOTO), ME)
    assert open_keys(city) == []
    city.write(lambda s: take_back(s, made.id, datetime.now(UTC)), ME)
    assert open_keys(city) == [("a", False)]


def test_an_older_store_gets_its_queue_and_its_words_when_it_is_upgraded(city: Store, store_url: str) -> None:
    from sqlalchemy import delete, update

    from tagtrace.linking.store.queue_rows import QueueCountRow, QueuePartRow, QueueRow
    from tagtrace.linking.store.tables import AdvertRow

    done, left = put(city, analysis("a", advert("sunkar_shop7"))), put(city, analysis("b", advert("dala_new_bot")), place=0.3)
    city.write(lambda s: reviews.confirm(s, done), ME)
    with city.read() as session:
        before = queue.next_entries(session, ME, LONG_AGO), queue.count_open(session, ME, LONG_AGO)

    def forget(session: Any) -> None:
        for table in (QueuePartRow, QueueRow, QueueCountRow):
            session.execute(delete(table))
        session.execute(update(AdvertRow).values(decision_id=None))

    city.write(forget, "tests")
    city.upgrade()
    with city.read() as session:
        assert (queue.next_entries(session, ME, LONG_AGO), queue.count_open(session, ME, LONG_AGO)) == before
    assert [digit for digit, _ in open_keys(city)] == [left[0][0]]
    assert timedelta(0) < datetime.now(UTC) - LONG_AGO
    sound(city)
