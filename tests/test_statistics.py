"""Every figure of the statistics against a story that was counted by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import service_desk
from sqlalchemy import insert, select, update

from tagtrace.contract import (
    Advert,
    Analysis,
    Band,
    Identifier,
    IdentifierKind,
    Line,
    Link,
    ModelInfo,
    Outcome,
    Reading,
    Resource,
)
from tagtrace.linking.life import ResourceState as S
from tagtrace.linking.sightings import Sighting
from tagtrace.linking.store import Store, reports, resources, reviews, shops, statistics
from tagtrace.linking.store.analyses import put_analysis
from tagtrace.linking.store.clusters import put_sightings
from tagtrace.linking.store.figures import Figures
from tagtrace.linking.store.report_tables import ReportEventRow, ReportPhotoRow, ReportRow, TrackEventRow, TrackRow
from tagtrace.linking.store.tables import DecisionRow, PhotoRow, ResourceEventRow, ResourceRow
from tagtrace.service.access import Role

T = IdentifierKind.TELEGRAM
MONDAY = datetime(2026, 6, 1, 9, tzinfo=UTC)
WEEK = timedelta(days=7)
BEGIN, END = MONDAY - timedelta(hours=9), MONDAY - timedelta(hours=9) + 2 * WEEK
NORTH, SOUTH = (51.2, 71.4), (51.0, 71.4)
LISTED = Resource(T, "tulpar_kz1", "S1", "Tulpar")


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def district(lat: float, lon: float) -> str:
    return "north" if lat > 51.1 else "south"


class Story:
    """Writes what happened, each at its time."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def photo(self, digit: str, place: tuple[float, float] | None, at: datetime, value: str, link: Link | None = None) -> str:
        quad = ((10.0, 10.0), (110.0, 10.0), (110.0, 40.0), (10.0, 40.0))
        item = Identifier(T, value, f"@{value}", 0.97, lines=(0,))
        seen = Advert(quad, (Line(quad, 0.9, Reading(f"@{value}", 0.97)),), (), (item,))
        lat, lon = place or (None, None)
        found = Analysis(f"{digit}.jpg", digit * 64, 200, 100, (seen,), models=(ModelInfo("r", "m", "0" * 64),), lat=lat, lon=lon)
        self.store.write(lambda s: put_analysis(s, found, [[link or Link(Outcome.NEW, 0.9)]]), "worker")
        put_sightings(self.store, [Sighting(found.sha256, 0, (item,), lat=lat, lon=lon)], at=at, actor="worker")
        self.store.write(lambda s: s.execute(update(PhotoRow).where(PhotoRow.sha256 == found.sha256).values(received_at=at)), "x")
        return found.sha256

    def report(self, number: int, at: datetime, place: tuple[float, float] | None, photos: list[str], read: float | None) -> None:
        lat, lon = place or (None, None)
        name = f"{number:028x}"
        row = {
            "id": name,
            "owner": "city",
            "source": "api",
            "received_at": at,
            "lat": lat,
            "lon": lon,
            "web": [],
            "state": "read",
        }
        row |= {"address": "", "text": "", "state_at": at, "failure": ""}

        def write(session: Any) -> None:
            session.execute(insert(ReportRow).values(row))
            for n, sha256 in enumerate(photos):
                file = {"report_id": name, "number": n, "kind": "photo", "sha256": sha256, "size": 1, "attempts": 1}
                session.execute(insert(ReportPhotoRow).values(file))
            if read is not None:
                event = {"report_id": name, "at": at + hours(read), "actor": "worker", "event": "read", "details": {}}
                session.execute(insert(ReportEventRow).values(event))

        self.store.write(write, "x")

    def life(self, value: str, *steps: tuple[S, datetime]) -> None:
        def write(session: Any) -> None:
            number = resources.register(session, [(T, value)], "test")[T, value]
            session.execute(update(ResourceEventRow).where(ResourceEventRow.resource_id == number).values(at=steps[0][1]))
            for (old, _), (new, at) in itertools.pairwise(steps):
                step = {"resource_id": number, "from_state": old, "to_state": new, "at": at, "actor": "x", "basis": ""}
                session.execute(insert(ResourceEventRow).values({**step, "order_number": ""}))
            session.execute(update(ResourceRow).where(ResourceRow.id == number).values(state=steps[-1][0]))

        self.store.write(write, "x")

    def track(self, photo: str, *steps: tuple[str, datetime]) -> None:
        def write(session: Any) -> None:
            row = {
                "photo": photo,
                "advert": 0,
                "track": "cleanup",
                "state": steps[-1][0],
                "since": steps[-1][1],
                "responsible": "",
            }
            number = session.execute(insert(TrackRow).values(row).returning(TrackRow.id)).scalar_one()
            before = None
            for state, at in steps:
                step = {"track_id": number, "from_state": before, "to_state": state, "at": at, "actor": "x", "note": ""}
                session.execute(insert(TrackEventRow).values(step))
                before = state

        self.store.write(write, "x")

    def say(self, at: datetime, do: Any) -> Any:
        """A word of an expert, at its time."""
        made = self.store.write(do, "person 1")
        with self.store.read() as session:
            last = session.scalars(select(DecisionRow.id).order_by(DecisionRow.id.desc())).first()
        self.store.write(lambda s: s.execute(update(DecisionRow).where(DecisionRow.id == last).values(at=at)), "x")
        return made


@pytest.fixture
def told(store: Store) -> Store:
    """Two weeks in two districts; what lies before and after them must not count."""
    story = Story(store)

    def listed(session: Any) -> None:
        shops.create(session, "S1", "Tulpar")
        resources.register(session, [(T, "tulpar_kz1")], "list")
        shops.assign(session, (T, "tulpar_kz1"), "S1", "list")

    store.write(listed, "x")
    misread = Link(Outcome.MISREAD, 0.8, "S1", LISTED, band=Band.REVIEW)
    # A wall in the north: seen before the span, twice in the first week, once in the second. One in the south, and one nowhere.
    old = story.photo("0", NORTH, BEGIN - hours(50), "sunkar_shop7")
    first = story.photo("1", NORTH, MONDAY, "sunkar_shop7")
    again = story.photo("2", NORTH, MONDAY + hours(5), "sunkar_shop7")
    later = story.photo("3", NORTH, MONDAY + WEEK, "sunkar_shop7")
    south = story.photo("4", SOUTH, MONDAY + hours(30), "tulpar_kzl", misread)
    south2 = story.photo("5", SOUTH, MONDAY + hours(31), "tulpar_kzl", misread)
    nowhere = story.photo("6", None, MONDAY + WEEK, "dala_shop_kz")
    none = story.photo("7", SOUTH, MONDAY + hours(40), "kofe_na_vynos")
    story.photo("8", SOUTH, END + hours(1), "after_all_kz")
    # Four reports in the span, the third of which sends a photo again; one without a place takes that of its photo.
    story.report(1, BEGIN - hours(50), NORTH, [old], 1)
    story.report(2, MONDAY, NORTH, [first, again], 2)
    story.report(3, MONDAY + hours(30), None, [south], 4)
    story.report(4, MONDAY + WEEK, SOUTH, [south, later], 12)
    story.report(5, MONDAY + WEEK + hours(2), None, [nowhere], None)
    story.report(6, END, NORTH, [old], 1)
    # One resource all the way, seen in the north; one of the south taken back; one that nobody has seen; one rejected.
    day = hours(24)
    story.life(
        "sunkar_shop7",
        (S.IDENTIFIED, MONDAY),
        (S.VERIFIED, MONDAY + day),
        (S.SENT, MONDAY + 3 * day),
        (S.BLOCKED, MONDAY + WEEK),
        (S.RESTORED, MONDAY + WEEK + day),
    )
    story.life("tulpar_kz1", (S.IDENTIFIED, MONDAY), (S.VERIFIED, MONDAY + day), (S.IDENTIFIED, MONDAY + 2 * day))
    story.life("unseen_shop", (S.IDENTIFIED, MONDAY - 30 * day), (S.VERIFIED, MONDAY + 10 * day))
    story.life("dala_shop_kz", (S.IDENTIFIED, MONDAY + WEEK), (S.REJECTED, MONDAY + WEEK + hours(3)))
    story.life("after_all_kz", (S.IDENTIFIED, MONDAY), (S.VERIFIED, END + hours(1)))
    # The northern wall is painted, with all its photos at once; it is back, and is painted again a week later.
    for photo in (first, again):
        story.track(
            photo,
            ("open", MONDAY + (hours(5) if photo == again else hours(0))),
            ("ordered", MONDAY + hours(20)),
            ("painted", MONDAY + hours(48)),
            ("back_again", MONDAY + hours(100)),
            ("painted", MONDAY + WEEK + hours(10)),
        )
    story.track(south, ("open", MONDAY + hours(30)), ("painted", END + hours(5)))
    # Words: the northern wall confirmed, the southern corrected, one photo of it rejected, one no advert; one taken back.
    story.say(MONDAY + hours(6), lambda s: reviews.confirm(s, (first, 0)))
    story.say(MONDAY + hours(33), lambda s: reviews.record(s, (south, 0), reviews.Word.REJECTED, "blurred"))
    story.say(MONDAY + hours(34), lambda s: reviews.correct(s, (south, 0), ["@tulpar_kz_1"], [(T, "tulpar_kz_1")]))
    story.say(MONDAY + hours(35), lambda s: reviews.record(s, (south2, 0), reviews.Word.SKIPPED))
    story.say(MONDAY + hours(41), lambda s: reviews.record(s, (none, 0), reviews.Word.NOT_ADVERT, "coffee"))
    made = story.say(MONDAY + WEEK, lambda s: reviews.confirm(s, (nowhere, 0)))
    story.say(MONDAY + WEEK + hours(1), lambda s: reviews.undo(s, made.id))
    story.say(MONDAY + WEEK + hours(2), lambda s: reviews.confirm(s, (south2, 0)))
    return store


def counts(found: Figures) -> dict[str, int]:
    return {name: count for name, count in found.counts.items() if count}


def read(store: Store, **values: Any) -> statistics.Statistics:
    with store.read() as session:
        return statistics.statistics(session, BEGIN, END, district, **values)


def test_the_whole_span(told: Store) -> None:
    found = read(told)
    assert found.funnel == {
        "reported": 4, "read": 3, "verified": 2, "sent": 1, "blocked": 1, "restored": 1, "rejected": 1, "painted": 2,
    }  # fmt: skip
    # Photos 1 to 6: the northern wall was known before, the southern and the third are first seen in the span; 7 is no advert.
    assert (found.adverts, found.clusters, found.duplicates, found.counts["files_again"]) == (6, 2, 4, 1)
    assert found.hours == {
        "reported_to_read": 4.0,
        "identified_to_verified": 492.0,
        "verified_to_sent": 48.0,
        "sent_to_blocked": 96.0,
        "blocked_to_restored": 24.0,
        "seen_to_painted": (48 + 78) / 2,
    }


def test_weeks(told: Store) -> None:
    first, second = read(told).weeks
    assert (first.begin, second.begin) == ("2026-06-01", "2026-06-08")
    assert counts(first) == {
        "reported": 2, "read": 2, "verified": 1, "sent": 1, "painted": 1, "adverts": 4, "clusters": 1, "duplicates": 3,
    }  # fmt: skip
    assert counts(second) == {
        "reported": 2, "read": 1, "verified": 1, "blocked": 1, "restored": 1, "rejected": 1, "painted": 1,
        "adverts": 2, "clusters": 1, "duplicates": 1, "files_again": 1,
    }  # fmt: skip
    assert (first.hours["identified_to_verified"], first.hours["reported_to_read"], first.hours["sent_to_blocked"]) == (
        24.0,
        3.0,
        None,
    )
    assert (second.hours["sent_to_blocked"], second.hours["seen_to_painted"]) == (96.0, 78.0)


def test_districts_and_their_weeks(told: Store) -> None:
    found = read(told)
    by_name = {item.name: item for item in found.districts}
    assert [item.name for item in found.districts] == ["north", "south", ""]
    assert counts(by_name["north"]) == {
        "reported": 1, "read": 1, "verified": 1, "sent": 1, "blocked": 1, "restored": 1, "painted": 2,
        "adverts": 3, "duplicates": 3,
    }  # fmt: skip
    assert counts(by_name["south"]) == {
        "reported": 2, "read": 2, "adverts": 2, "clusters": 1, "duplicates": 1, "files_again": 1,
    }  # fmt: skip
    assert counts(by_name[""]) == {"reported": 1, "verified": 1, "rejected": 1, "adverts": 1, "clusters": 1}
    assert by_name["north"].hours["seen_to_painted"] == 63.0 and by_name["south"].hours["reported_to_read"] == 8.0
    cells = {(item.name, item.begin): counts(item) for item in found.cells}
    assert set(cells) == {(name, begin) for name in ("north", "south", "") for begin in ("2026-06-01", "2026-06-08")} - {
        ("", "2026-06-01")
    }
    assert cells["north", "2026-06-08"] == {"blocked": 1, "restored": 1, "painted": 1, "adverts": 1, "duplicates": 1}
    for name in statistics.COUNTS:
        assert sum(item.counts[name] for item in found.weeks) == found.counts[name]
        assert sum(item.counts[name] for item in found.districts) == found.counts[name], "nothing here was seen in two districts"
        assert sum(item.counts[name] for item in found.cells) == found.counts[name]


def test_quality_is_what_experts_say(told: Store) -> None:
    found = read(told).quality
    # Confirmed: 1 (@sunkar_shop7) and 5 (@tulpar_kzl, a misread of the listed one). Corrected: 4 (@tulpar_kzl to @tulpar_kz_1).
    assert (found.confirmed, found.corrected, found.rejected, found.not_advert) == (2, 1, 0, 1)
    assert found.right == pytest.approx(2 / 3)
    assert (found.characters, found.characters_wrong) == (13 + 11 + 12, 2)
    assert found.character_errors == pytest.approx(2 / 36)
    # Contacts read: sunkar_shop7, tulpar_kzl twice; there are sunkar_shop7, tulpar_kz1, tulpar_kz_1: one is exactly right.
    assert (found.contacts, found.contacts_read, found.contacts_right) == (3, 3, 1)
    assert found.contact_precision == found.contact_recall == pytest.approx(1 / 3)
    assert (found.links, found.links_right, found.link_precision) == (2, 1, 0.5)
    assert statistics.Quality().right is None and statistics.Quality().character_errors is None


def test_weeks_are_those_of_the_clocks_of_the_city(told: Store) -> None:
    """Half past eleven on Sunday evening in UTC is Monday in Astana."""
    story = Story(told)
    story.report(9, BEGIN + WEEK - hours(0.5), NORTH, [], None)
    assert [week.counts["reported"] for week in read(told).weeks] == [3, 2]
    assert [week.counts["reported"] for week in read(told, zone=ZoneInfo("Asia/Almaty")).weeks] == [2, 3]


def test_a_resource_counts_in_every_district_that_it_was_seen_in(told: Store) -> None:
    Story(told).photo("9", SOUTH, MONDAY + hours(2), "sunkar_shop7")
    found = read(told)
    assert found.funnel["sent"] == 1
    assert {item.name: item.counts["sent"] for item in found.districts} == {"north": 1, "south": 1, "": 0}


def test_the_service_tells_them_all(told: Store, store_url: str, tmp_path: Path) -> None:
    span = {"since": BEGIN.isoformat(), "until": END.isoformat()}
    with service_desk.desk(store_url, tmp_path / "photos", local_timezone="UTC") as desk:
        analyst = desk.person("marat", Role.ANALYST)
        answer = analyst.get("/v1/statistics", params=span)
        page = analyst.get("/desk/statistics", params={"days": 3650})
    assert answer.status_code == 200, answer.text
    shown, found = answer.json(), read(told)
    assert shown["funnel"] == found.funnel and shown["hours"] == found.hours and shown["files_again"] == 1
    assert shown["quality"]["character_errors"] == pytest.approx(2 / 36) and shown["quality"]["link_precision"] == 0.5
    assert [(w["week"], w["blocked"], w["duplicates"], w["quality"]["corrected"]) for w in shown["weeks"]] == [
        ("2026-06-01", 0, 3, 1),
        ("2026-06-08", 1, 1, 0),
    ]
    assert sum(item["sent"] for item in shown["districts"]) == 1 and len(shown["district_weeks"]) == 5
    assert {(c["week"], c["verified"]) for c in shown["district_weeks"]} >= {("2026-06-01", 1), ("2026-06-08", 1)}
    assert page.status_code == 200
    assert replace(found.quality) == found.quality


def test_a_report_without_a_place_has_that_of_its_first_photo_that_has_one(store: Store) -> None:
    """Both numbers of one photo, and the contacts that it names are seen there, too."""
    story = Story(store)
    places = (None, (51.0, 72.0), (51.2, 71.0))
    photos = [story.photo(digit, place, MONDAY, f"sunkar_{digit}") for digit, place in zip("abc", places, strict=True)]
    story.report(1, MONDAY, None, photos, 1)
    content = {"confidence": 1.0, "flags": [], "link": None}
    named = [("telegram", "named_shop_kz", content)]
    store.write(lambda session: reports.put_contacts(session, f"{1:028x}", named), "worker")
    story.life("named_shop_kz", (S.IDENTIFIED, MONDAY), (S.VERIFIED, MONDAY + hours(1)))
    with store.read() as session:
        found = statistics.statistics(session, BEGIN, END, lambda lat, lon: f"{lat} {lon}")
    there = next(item for item in found.districts if item.counts["reported"])
    assert (there.name, there.counts["read"], there.counts["verified"]) == ("51.0 72.0", 1, 1)
