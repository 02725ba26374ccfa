"""The queue of the experts in the store, and what they say: on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tagtrace.contract import (
    Advert,
    Analysis,
    Band,
    Char,
    Evidence,
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
from tagtrace.linking.store import Store, checks, decisions, queue, queue_rows, resources, reviews, shops, waiting
from tagtrace.linking.store.analyses import put_analysis
from tagtrace.linking.store.clusters import put_sightings
from tagtrace.linking.store.queue import Chosen, next_entries
from tagtrace.linking.store.tables import PhotoRow

TELEGRAM = IdentifierKind.TELEGRAM
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
BOX = ((10.0, 10.0), (110.0, 10.0), (110.0, 40.0), (10.0, 40.0))
LISTED = Resource(TELEGRAM, "tulpar_kz1", "S1", "Tulpar")


def advert(value: str, confidence: float = 0.97) -> Advert:
    text = f"@{value}"
    reading = Reading(text, confidence, chars=tuple(Char(c, confidence, (("x", 1 - confidence),)) for c in text))
    return Advert(BOX, (Line(BOX, 0.9, reading),), (), (Identifier(TELEGRAM, value, text, confidence, lines=(0,)),))


def link(outcome: Outcome, band: Band) -> Link:
    if outcome is Outcome.NEW:
        return Link(outcome, 0.9)
    return Link(outcome, 0.9, "S1", LISTED, evidence=(Evidence("listed", 3.0), Evidence("reading", -0.5)), band=band)


def put(store: Store, digit: str, value: str, outcome: Outcome, *, confidence: float = 0.97, band: Band = Band.REVIEW) -> Any:
    """A photo with one advert; its key."""
    found = Analysis(
        f"{digit}.jpg", digit * 64, 200, 100, (advert(value, confidence),), models=(ModelInfo("read", "m", "0" * 64),),
        taken_at=datetime(2026, 7, 1, tzinfo=UTC), lat=51.1, lon=71.4 + int(digit, 16) / 10,
    )  # fmt: skip
    store.write(lambda session: put_analysis(session, found, [[link(outcome, band)]]), "tests")
    seen = Sighting(digit * 64, 0, found.adverts[0].identifiers, lat=found.lat, lon=found.lon, taken_at=found.taken_at)
    put_sightings(store, [seen], at=datetime.now(UTC), actor="tests")
    return digit * 64, 0


@pytest.fixture
def filled(store: Store) -> Store:
    store.write(lambda session: shops.create(session, "S1", "Tulpar"), "tests")
    store.write(lambda session: resources.register(session, [(TELEGRAM, "tulpar_kz1")], "list"), "tests")
    store.write(lambda session: shops.assign(session, (TELEGRAM, "tulpar_kz1"), "S1", "list"), "tests")
    return store


def order(store: Store, actor: str = "person 1", part: Chosen = Chosen.ALL, since: datetime = LONG_AGO) -> list[str]:
    with store.read() as session:
        return [entry.key[0][0] for entry in next_entries(session, actor, since, chosen=part)]


def test_what_matters_comes_first(filled: Store) -> None:
    put(filled, "1", "tulpar_kz1", Outcome.SAME, band=Band.AUTOMATIC)
    put(filled, "2", "tulpar_kz2", Outcome.SIBLING, confidence=0.6)
    put(filled, "3", "sunkar_shop7", Outcome.NEW)
    empty = Analysis("4.jpg", "4" * 64, 200, 100, (Advert(BOX),))
    filled.write(lambda session: put_analysis(session, empty), "tests")
    assert order(filled) == ["3", "2", "1", "4"]
    assert order(filled, part=Chosen.NEW) == ["3"]
    assert order(filled, part=Chosen.DOUBTFUL) == ["2"]
    assert order(filled, part=Chosen.SILENT) == ["4"]
    with filled.read() as session:
        counts = queue.count_open(session, "person 1", LONG_AGO)
    assert (counts[Chosen.ALL], counts[Chosen.NEW], counts[Chosen.SILENT]) == (4, 1, 1)


def test_a_cluster_is_decided_once(filled: Store) -> None:
    """Three photos of one wall are one entry; a decision on one closes it."""
    same = [put(filled, digit, "sunkar_shop7", Outcome.NEW) for digit in "1"]
    for digit in "23":
        found = Analysis(f"{digit}.jpg", digit * 64, 200, 100, (advert("sunkar_shop7"),), lat=51.1, lon=71.5)
        filled.write(lambda session, f=found: put_analysis(session, f, [[link(Outcome.NEW, Band.NONE)]]), "tests")
        seen = Sighting(digit * 64, 0, found.adverts[0].identifiers, lat=found.lat, lon=found.lon)
        put_sightings(filled, [seen], at=datetime.now(UTC), actor="tests")
    with filled.read() as session:
        (entry,) = next_entries(session, "person 1", LONG_AGO)
    assert (entry.seen, entry.new) == (3, True)
    filled.write(lambda session: reviews.confirm(session, same[0]), "person 1")
    assert order(filled) == []


def test_confirming_verifies_and_can_be_taken_back(filled: Store) -> None:
    key = put(filled, "1", "tulpar_kz2", Outcome.SIBLING)
    made = filled.write(lambda session: reviews.confirm(session, key, verify=True), "person 1")
    assert made.details["verified"] == [["telegram", "tulpar_kz2"]]
    assert order(filled) == []
    with filled.read() as session:
        assert list(decisions.confirmed_siblings(session)) == [((TELEGRAM, "tulpar_kz1"), (TELEGRAM, "tulpar_kz2"))]
        states = {record.value: str(record.state) for record in resources.list_resources(session)}
    assert states == {"tulpar_kz1": "identified", "tulpar_kz2": "verified"}
    with pytest.raises(TagtraceError, match="only who decided"):
        filled.write(lambda session: reviews.undo(session, made.id), "person 2")
    filled.write(lambda session: reviews.undo(session, made.id), "person 1")
    with filled.read() as session:
        assert list(decisions.confirmed_siblings(session)) == []
        states = {record.value: str(record.state) for record in resources.list_resources(session)}
        assert reviews.last_by(session, "person 1") is None
        assert reviews.count_by(session, "person 1", LONG_AGO) == 0
    assert states["tulpar_kz2"] == "identified"
    assert order(filled) == ["1"]
    with pytest.raises(TagtraceError, match="decided after this"):
        filled.write(lambda session: reviews.undo(session, made.id), "person 1")


def test_correcting_makes_what_was_read_a_misread(filled: Store) -> None:
    key = put(filled, "1", "tulpor_kz1", Outcome.NEW)
    say = [(TELEGRAM, "tulpar_kz1")]
    made = filled.write(lambda session: reviews.correct(session, key, ["@tulpar_kz1"], say), "person 1")
    assert made.details["read"] == ["@tulpor_kz1"]
    with filled.read() as session:
        rows = reviews.reviews_of(session, [key])
    assert [row.word for row in rows] == [reviews.Word.CORRECTED]
    with pytest.raises(TagtraceError, match="1 lines, and 2 texts"):
        filled.write(lambda session: reviews.correct(session, key, ["a", "b"], say), "person 1")
    with pytest.raises(TagtraceError, match="holds no contact"):
        filled.write(lambda session: reviews.correct(session, key, ["nothing"], []), "person 1")


def test_what_is_skipped_comes_back_to_others_and_later(filled: Store) -> None:
    key = put(filled, "1", "sunkar_shop7", Outcome.NEW)
    filled.write(lambda session: reviews.record(session, key, reviews.Word.SKIPPED), "person 1")
    assert order(filled) == []
    assert order(filled, "person 2") == ["1"]
    assert order(filled, since=datetime.now(UTC) + timedelta(seconds=1)) == ["1"]


def test_one_that_waits_comes_back_with_another_photo(filled: Store) -> None:
    key = put(filled, "1", "sunkar_shop7", Outcome.NEW)
    filled.write(lambda session: reviews.record(session, key, reviews.Word.ANOTHER_PHOTO), "person 1")
    assert order(filled) == []
    found = Analysis("2.jpg", "2" * 64, 200, 100, (advert("sunkar_shop7"),), lat=51.1, lon=71.5)
    filled.write(lambda session: put_analysis(session, found, [[link(Outcome.NEW, Band.NONE)]]), "tests")
    seen = Sighting("2" * 64, 0, found.adverts[0].identifiers, lat=51.1, lon=71.5)
    put_sightings(filled, [seen], at=datetime.now(UTC), actor="tests")
    with filled.read() as session:
        (entry,) = next_entries(session, "person 2", LONG_AGO)
        assert (entry.back, entry.seen, entry.again) == (queue.Back.PHOTO, 2, False)
    filled.write(lambda session: reviews.record(session, key, reviews.Word.ANOTHER_PHOTO), "person 2")
    assert order(filled) == [], "asked for again, it waits for a third one"


def test_another_photo_that_was_received_before_it_was_asked_for_counts(filled: Store) -> None:
    """It lay in the queue of the workers: who asked had not seen it."""
    key = put(filled, "1", "sunkar_shop7", Outcome.NEW)
    filled.write(lambda session: reviews.record(session, key, reviews.Word.ANOTHER_PHOTO), "person 1")
    early = {"sha256": "2" * 64, "received_at": datetime.now(UTC) - timedelta(hours=1), "name": "", "place": ""}
    filled.write(lambda session: session.add(PhotoRow(**early)), "tests")
    found = Analysis("2.jpg", "2" * 64, 200, 100, (advert("sunkar_shop7"),), lat=51.1, lon=71.5)
    filled.write(lambda session: put_analysis(session, found, [[link(Outcome.NEW, Band.NONE)]]), "tests")
    put_sightings(filled, [Sighting("2" * 64, 0, found.adverts[0].identifiers, lat=51.1, lon=71.5)], at=LONG_AGO, actor="x")
    assert len(order(filled)) == 1


def test_one_that_waits_in_vain_comes_back_marked_and_once(filled: Store) -> None:
    """It is brought back when its time is over and not before; the same word again sets it aside again, any other decides."""
    key = put(filled, "1", "sunkar_shop7", Outcome.NEW)
    put(filled, "2", "berkut_zone", Outcome.NEW)
    filled.write(lambda session: reviews.record(session, key, reviews.Word.ANOTHER_PHOTO), "person 1")

    def bring_back(days: int) -> int:
        moment = datetime.now(UTC) + timedelta(days=days)
        with filled.read() as session:
            due = waiting.is_due(session, moment)
        count: int = filled.write(lambda session: waiting.bring_back(session, moment, 10), "desk")
        assert due == bool(count)
        return count

    def backs() -> dict[str, str]:
        with filled.read() as session:
            return {entry.key[0][0]: str(entry.back) for entry in next_entries(session, "person 1", LONG_AGO)}

    assert (bring_back(-1), backs()) == (0, {"2": ""})
    assert (bring_back(1), backs()) == (1, {"1": "waited", "2": ""})
    assert bring_back(1) == 0, "it waits no longer"
    with filled.read() as session:
        words = [(review.word, review.actor) for review in reviews.reviews_of(session, [key])]
        assert queue.count_open(session, "person 1", LONG_AGO)[Chosen.ALL] == 2
    assert words == [(reviews.Word.ANOTHER_PHOTO, "person 1"), (reviews.Word.WAITED, "desk")]
    before = backs()
    filled.write(queue_rows.fill, "tests")
    assert backs() == before and all(finding.sound for finding in checks.check_store(filled))
    filled.write(lambda session: reviews.record(session, key, reviews.Word.ANOTHER_PHOTO), "person 1")
    assert (backs(), bring_back(1)) == ({"2": ""}, 1)
    filled.write(lambda session: reviews.confirm(session, key), "person 1")
    assert (bring_back(1), backs()) == (0, {"2": ""})
