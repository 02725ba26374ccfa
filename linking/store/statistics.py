"""The funnel and how fast things go through it: figures for a span of time, per week, per district, and per both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from ..life import ResourceState
from .cluster_tables import BundleRow, SightingRow
from .figures import COUNTS, STAGES, WAYS, District, DistrictWeek, Fact, Figures, Quality, Week, quality_of, week_of
from .report_tables import ReportContactRow, ReportEventRow, ReportPhotoRow, ReportRow, TrackEventRow, TrackRow
from .tables import (
    AdvertRow,
    AnalysisRow,
    DecisionRow,
    IdentifierRow,
    LinkRow,
    PhotoRow,
    ResourceEventRow,
    ResourceRow,
)
from .verdicts import SUBJECT, Word, not_taken_back, review_of

_S = ResourceState
_LIFE = frozenset({_S.VERIFIED, _S.SENT, _S.BLOCKED, _S.RESTORED, _S.REJECTED})
_BATCH = 5000
_MOST_IN = 400
DistrictOf = Callable[[float, float], str]
"""The name of the district of a place, by latitude and longitude in degrees; "" for none."""


@dataclass(slots=True)
class Statistics(Figures):
    """All figures of a span of time."""

    weeks: tuple[Week, ...] = ()
    districts: tuple[District, ...] = ()
    cells: tuple[DistrictWeek, ...] = ()
    """District by district, week by week."""

    @property
    def funnel(self) -> dict[str, int]:
        """How much reached each stage."""
        return {name: self.counts[name] for name in STAGES}


def statistics(session: Session, since: datetime, until: datetime, district_of: DistrictOf, zone: tzinfo = UTC) -> Statistics:
    """The figures of what happened from ``since`` up to ``until``; weeks begin on Monday in the time zone."""
    whole, weeks, districts, cells = Statistics(), dict[str, Week](), dict[str, District](), dict[tuple[str, str], DistrictWeek]()
    for fact in _Facts(session, since, until, district_of).all():
        begin = week_of(fact.at, zone)
        whole.add(fact)
        weeks.setdefault(begin, Week(begin=begin)).add(fact)
        for name in fact.districts:
            districts.setdefault(name, District(name=name)).add(fact)
            cells.setdefault((name, begin), DistrictWeek(name=name, begin=begin)).add(fact)
    whole.weeks = tuple(weeks[name] for name in sorted(weeks))
    whole.districts = tuple(sorted(districts.values(), key=lambda item: (-item.adverts, item.name)))
    whole.cells = tuple(cells[name] for name in sorted(cells))
    return whole


class _Facts:
    """Everything that happened in a span of time."""

    def __init__(self, session: Session, since: datetime, until: datetime, district_of: DistrictOf) -> None:
        self._session, self._since, self._until, self._district_of = session, since, until, district_of
        self._names: dict[tuple[float, float], str] = {}

    def all(self) -> Iterator[Fact]:
        """In no order."""
        yield from self._reports()
        yield from self._files_again()
        yield from self._adverts()
        yield from self._resources()
        yield from self._painted()
        yield from self._words()

    def _district(self, lat: float | None, lon: float | None) -> str:
        if lat is None or lon is None:
            return ""
        if (lat, lon) not in self._names:
            self._names[lat, lon] = self._district_of(lat, lon)
        return self._names[lat, lon]

    def _at(self, lat: float | None, lon: float | None) -> frozenset[str]:
        return frozenset({self._district(lat, lon)})

    def _within(self, column: Any) -> Any:
        return and_(column >= self._since, column < self._until)

    def _reports(self) -> Iterator[Fact]:
        """Reports that came in, and that were read. One without a place has that of its first photo that has one."""
        lat, lon = _place_of_report()
        rows = select(ReportRow.received_at, lat, lon).where(self._within(ReportRow.received_at))
        for at, north, east in self._session.execute(rows.execution_options(yield_per=_BATCH)):
            yield Fact(at, self._at(north, east), ("reported",))
        read = select(ReportEventRow.at, ReportRow.received_at, lat, lon).join(
            ReportRow, ReportRow.id == ReportEventRow.report_id
        )
        read = read.where(ReportEventRow.event == "read", self._within(ReportEventRow.at))
        for at, begin, north, east in self._session.execute(read.execution_options(yield_per=_BATCH)):
            yield Fact(at, self._at(north, east), ("read",), ("reported_to_read", _hours(begin, at)))

    def _files_again(self) -> Iterator[Fact]:
        """Files that had come with an earlier report: they are read once."""
        other = aliased(ReportPhotoRow)
        lat, lon = _place_of_report()
        # Ids of reports sort by the time of receipt.
        earlier = select(other.number).where(other.sha256 == ReportPhotoRow.sha256, other.report_id < ReportPhotoRow.report_id)
        rows = select(ReportRow.received_at, lat, lon).join(ReportPhotoRow, ReportPhotoRow.report_id == ReportRow.id)
        rows = rows.where(self._within(ReportRow.received_at), ReportPhotoRow.kind == "photo", earlier.exists())
        for at, north, east in self._session.execute(rows.execution_options(yield_per=_BATCH)):
            yield Fact(at, self._at(north, east), ("files_again",))

    def _adverts(self) -> Iterator[Fact]:
        """Adverts in photos that came in: each is the first of its physical advert, or a duplicate of what is known."""
        columns = (PhotoRow.received_at, PhotoRow.lat, PhotoRow.lon, BundleRow.cluster)
        rows = _clustered(select(*columns)).where(self._within(PhotoRow.received_at)).order_by(PhotoRow.received_at, AdvertRow.id)
        known = self._seen_before()
        for at, lat, lon, cluster in self._session.execute(rows.execution_options(yield_per=_BATCH)):
            first = cluster is None or cluster not in known
            known.add(cluster)
            yield Fact(at, self._at(lat, lon), ("adverts", "clusters" if first else "duplicates"))

    def _seen_before(self) -> set[str | None]:
        """The clusters that are seen in the span, and were seen before it."""
        inside = _clustered(select(BundleRow.cluster)).where(self._within(PhotoRow.received_at)).distinct()
        before = _clustered(select(BundleRow.cluster)).where(PhotoRow.received_at < self._since, BundleRow.cluster.in_(inside))
        return set(self._session.scalars(before.distinct()))

    def _resources(self) -> Iterator[Fact]:
        """Steps of resources: each counts when the resource first came to a state in this span, unless that was taken back."""
        moved = select(ResourceEventRow.resource_id).where(self._within(ResourceEventRow.at))
        columns = (ResourceEventRow.resource_id, ResourceEventRow.from_state, ResourceEventRow.to_state, ResourceEventRow.at)
        rows = select(*columns).where(ResourceEventRow.resource_id.in_(moved), ResourceEventRow.at < self._until)
        lives: dict[int, list[tuple[str | None, str, datetime]]] = defaultdict(list)
        for number, old, new, at in self._session.execute(rows.order_by(ResourceEventRow.resource_id, ResourceEventRow.id)):
            lives[number].append((old, new, at))
        places = self._places_of_resources(sorted(lives))
        for number, life in lives.items():
            seen: set[str] = set()
            for state, way, at in _steps(life):
                if at >= self._since:
                    counts = (state,) if state in _LIFE and state not in seen else ()
                    seen.add(state)
                    yield Fact(at, places.get(number) or frozenset({""}), counts, way)

    def _places_of_resources(self, numbers: list[int]) -> dict[int, frozenset[str]]:
        """The districts that resources were seen in: on adverts, or named by reports."""
        found: dict[int, set[str]] = defaultdict(set)
        for start in range(0, len(numbers), _MOST_IN):
            part = numbers[start : start + _MOST_IN]
            own = and_(ResourceRow.kind == IdentifierRow.kind, ResourceRow.value == IdentifierRow.value)
            linked = and_(LinkRow.resource_id == ResourceRow.id, LinkRow.outcome.in_(("same", "misread")))
            shown = _latest(select(ResourceRow.id, PhotoRow.lat, PhotoRow.lon))
            shown = shown.join(IdentifierRow, IdentifierRow.advert_id == AdvertRow.id)
            direct = shown.join(ResourceRow, own)
            by_link = shown.join(LinkRow, LinkRow.identifier_id == IdentifierRow.id).join(ResourceRow, linked)
            named = and_(ReportContactRow.kind == ResourceRow.kind, ReportContactRow.value == ResourceRow.value)
            told = select(ResourceRow.id, *_place_of_report()).join(ReportContactRow, named)
            told = told.join(ReportRow, ReportRow.id == ReportContactRow.report_id)
            for rows in (direct, by_link, told):
                for number, lat, lon in self._session.execute(rows.where(ResourceRow.id.in_(part)).distinct()):
                    if lat is not None and lon is not None:
                        found[number].add(self._district(lat, lon))
        return {number: frozenset(names) for number, names in found.items()}

    def _painted(self) -> Iterator[Fact]:
        """Physical adverts that were painted over: all their photos are one. Hours run from when it was seen, or back again."""
        done = select(TrackEventRow.track_id).where(TrackEventRow.to_state == "painted", self._within(TrackEventRow.at))
        columns = (TrackEventRow.track_id, TrackEventRow.to_state, TrackEventRow.at, TrackRow.photo, TrackRow.advert)
        place = (PhotoRow.lat, PhotoRow.lon, BundleRow.cluster)
        rows = select(*columns, *place).join(TrackRow, TrackRow.id == TrackEventRow.track_id)
        rows = rows.outerjoin(PhotoRow, PhotoRow.sha256 == TrackRow.photo)
        rows = rows.outerjoin(SightingRow, and_(SightingRow.photo == TrackRow.photo, SightingRow.advert == TrackRow.advert))
        rows = rows.outerjoin(BundleRow, BundleRow.id == SightingRow.bundle).where(TrackEventRow.track_id.in_(done))
        begun: dict[int, datetime] = {}
        walls: dict[tuple[str, datetime], tuple[datetime, frozenset[str]]] = {}
        for track, state, at, photo, number, lat, lon, cluster in self._session.execute(
            rows.order_by(TrackEventRow.track_id, TrackEventRow.id)
        ):
            if state in ("open", "back_again"):
                begun.setdefault(track, at)
            if state != "painted":
                continue
            begin = begun.pop(track, at)
            if self._since <= at < self._until:
                # One person's step on all photos of a cluster has one time.
                wall = (cluster or f"{photo}-{number}", at)
                before = walls.get(wall, (begin, frozenset()))
                walls[wall] = (min(begin, before[0]), before[1] or self._at(lat, lon))
        for (_, at), (begin, districts) in walls.items():
            yield Fact(at, districts, ("painted",), ("seen_to_painted", _hours(begin, at)))

    def _words(self) -> Iterator[Fact]:
        """What experts' last words on adverts say of the reading."""
        rows = select(DecisionRow).where(DecisionRow.subject == SUBJECT, self._within(DecisionRow.at)).order_by(DecisionRow.id)
        said = not_taken_back(map(review_of, self._session.scalars(rows)))
        last = {review.key: review for review in said if review.word not in (Word.SKIPPED, Word.SAME_AS)}
        places = self._places_of_photos({photo for photo, _ in last})
        for key, review in last.items():
            yield Fact(review.at, places.get(key[0]) or frozenset({""}), quality=quality_of(review))

    def _places_of_photos(self, photos: Collection[str]) -> dict[str, frozenset[str]]:
        wanted = sorted(photos)
        found: dict[str, frozenset[str]] = {}
        for start in range(0, len(wanted), _MOST_IN):
            rows = select(PhotoRow.sha256, PhotoRow.lat, PhotoRow.lon)
            rows = rows.where(PhotoRow.sha256.in_(wanted[start : start + _MOST_IN]))
            found |= {sha256: self._at(lat, lon) for sha256, lat, lon in self._session.execute(rows)}
        return found


def _steps(life: Iterable[tuple[str | None, str, datetime]]) -> Iterator[tuple[str, tuple[str, float] | None, datetime]]:
    """The states that a resource came to, each with the way there and its hours; a verification taken back is left out."""
    steps = [step for step in life if step[0] != step[1]]
    before: datetime | None = None
    for place, (old, new, at) in enumerate(steps):
        back = place + 1 < len(steps) and (new, steps[place + 1][1]) == (_S.VERIFIED, _S.IDENTIFIED)
        if not back:
            way = f"{old}_to_{new}"
            yield new, ((way, _hours(before, at)) if before is not None and way in WAYS else None), at
        before = at


def _place_of_report() -> tuple[Any, Any]:
    """Latitude and longitude of a report: its own, else those of its first photo that has a place."""

    def first(column: Any) -> Any:
        rows = select(column).join(ReportPhotoRow, ReportPhotoRow.sha256 == PhotoRow.sha256)
        rows = rows.where(ReportPhotoRow.report_id == ReportRow.id, PhotoRow.lat.is_not(None), PhotoRow.lon.is_not(None))
        return rows.order_by(ReportPhotoRow.number).limit(1).correlate(ReportRow).scalar_subquery()

    return func.coalesce(ReportRow.lat, first(PhotoRow.lat)), func.coalesce(ReportRow.lon, first(PhotoRow.lon))


def _latest(rows: Any) -> Any:
    """Adverts of latest analyses that nobody says are none, with their photos."""
    rows = rows.select_from(PhotoRow).join(AnalysisRow, and_(AnalysisRow.photo_id == PhotoRow.id, AnalysisRow.latest))
    rows = rows.join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id)
    rows = rows.outerjoin(DecisionRow, DecisionRow.id == AdvertRow.decision_id)
    return rows.where(or_(DecisionRow.id.is_(None), DecisionRow.verdict != Word.NOT_ADVERT))


def _clustered(rows: Any) -> Any:
    """``_latest`` with the clusters of the adverts."""
    here = and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number)
    return _latest(rows).outerjoin(SightingRow, here).outerjoin(BundleRow, BundleRow.id == SightingRow.bundle)


def _hours(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds() / 3600


__all__ = ["COUNTS", "STAGES", "District", "DistrictWeek", "Figures", "Quality", "Statistics", "Week", "statistics"]
