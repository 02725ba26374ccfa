"""The funnel and how fast things go through it: counts for a span of time, per week and per district."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from ..life import ResourceState
from .cluster_tables import BundleRow, SightingRow
from .report_tables import ReportEventRow, ReportRow, TrackEventRow, TrackRow
from .tables import AdvertRow, AnalysisRow, DecisionRow, PhotoRow, ResourceEventRow

STAGES = ("reported", "read", "verified", "sent", "blocked", "restored", "rejected", "painted")
_LIFE = tuple(
    str(state)
    for state in (
        ResourceState.VERIFIED,
        ResourceState.SENT,
        ResourceState.BLOCKED,
        ResourceState.RESTORED,
        ResourceState.REJECTED,
    )
)
_BATCH = 5000
DistrictOf = Callable[[float, float], str]
"""The name of the district of a place, by latitude and longitude in degrees; "" for none."""


@dataclass(slots=True)
class Week:
    """What happened in one week; ``begin`` is its Monday, ``YYYY-MM-DD``."""

    begin: str
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class District:
    """What was reported and seen in one district."""

    name: str
    reports: int = 0
    adverts: int = 0
    clusters: int = 0
    painted: int = 0


@dataclass(slots=True)
class Quality:
    """How experts found what was read, by their last word on each advert."""

    confirmed: int = 0
    corrected: int = 0
    rejected: int = 0
    not_advert: int = 0

    @property
    def right(self) -> float | None:
        """The share of adverts that were read rightly, of those that are adverts and were read."""
        told = self.confirmed + self.corrected
        return self.confirmed / told if told else None


@dataclass(slots=True)
class Statistics:
    """All numbers of a span of time. Hours are medians; None where nothing went that way."""

    funnel: Counter[str]
    adverts: int
    clusters: int
    duplicates: int
    """Sightings of adverts that had been seen before: nobody has to read them again."""
    hours: dict[str, float | None]
    quality: Quality
    weeks: list[Week]
    districts: list[District]


def statistics(session: Session, since: datetime, until: datetime, district_of: DistrictOf) -> Statistics:
    """The numbers of what happened from ``since`` up to ``until``."""
    weeks: dict[str, Week] = {}
    funnel: Counter[str] = Counter()
    for stage, at in _moments(session, since, until):
        funnel[stage] += 1
        begin = (at - timedelta(days=at.weekday())).date().isoformat()
        weeks.setdefault(begin, Week(begin)).counts[stage] += 1
    adverts, clusters, districts = _seen(session, since, until, district_of)
    _reports_and_paint(session, since, until, district_of, districts)
    return Statistics(
        funnel,
        adverts,
        clusters[0],
        clusters[1],
        _hours(session, since, until),
        _quality(session, since, until),
        [weeks[name] for name in sorted(weeks)],
        sorted(districts.values(), key=lambda item: (-item.adverts, item.name)),
    )


def _moments(session: Session, since: datetime, until: datetime) -> Iterable[tuple[str, datetime]]:
    """Every step of the funnel: a resource counts when it first reached a state in this span."""
    received = select(ReportRow.received_at).where(ReportRow.received_at >= since, ReportRow.received_at < until)
    yield from (("reported", at) for at in session.scalars(received))
    read = select(ReportEventRow.at).where(ReportEventRow.event == "read", ReportEventRow.at >= since, ReportEventRow.at < until)
    yield from (("read", at) for at in session.scalars(read))
    steps = select(ResourceEventRow.to_state, func.min(ResourceEventRow.at)).where(ResourceEventRow.to_state.in_(_LIFE))
    steps = steps.where(ResourceEventRow.at >= since, ResourceEventRow.at < until)
    first = session.execute(steps.group_by(ResourceEventRow.resource_id, ResourceEventRow.to_state))
    yield from ((state, at) for state, at in first)
    painted = select(TrackEventRow.at).where(
        TrackEventRow.to_state == "painted", TrackEventRow.at >= since, TrackEventRow.at < until
    )
    yield from (("painted", at) for at in session.scalars(painted))


def _seen(
    session: Session, since: datetime, until: datetime, district_of: DistrictOf
) -> tuple[int, tuple[int, int], dict[str, District]]:
    rows = select(PhotoRow.lat, PhotoRow.lon, BundleRow.cluster).join(AnalysisRow, AnalysisRow.photo_id == PhotoRow.id)
    rows = rows.join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id)
    here = and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number)
    rows = rows.outerjoin(SightingRow, here).outerjoin(BundleRow, BundleRow.id == SightingRow.bundle)
    rows = rows.where(AnalysisRow.latest, PhotoRow.received_at >= since, PhotoRow.received_at < until)
    adverts, placed, clusters = 0, 0, set()
    found: dict[str, District] = {}
    inside: dict[str, set[str]] = defaultdict(set)
    for lat, lon, cluster in session.execute(rows.execution_options(yield_per=_BATCH)):
        adverts += 1
        if cluster is not None:
            placed += 1
            clusters.add(cluster)
        name = district_of(lat, lon) if lat is not None and lon is not None else ""
        district = found.setdefault(name, District(name))
        district.adverts += 1
        if cluster is not None:
            inside[name].add(cluster)
            district.clusters = len(inside[name])
    return adverts, (len(clusters), placed - len(clusters)), found


def _reports_and_paint(
    session: Session, since: datetime, until: datetime, district_of: DistrictOf, found: dict[str, District]
) -> None:
    rows = select(ReportRow.lat, ReportRow.lon).where(ReportRow.received_at >= since, ReportRow.received_at < until)
    for lat, lon in session.execute(rows.execution_options(yield_per=_BATCH)):
        name = district_of(lat, lon) if lat is not None and lon is not None else ""
        found.setdefault(name, District(name)).reports += 1
    painted = select(PhotoRow.lat, PhotoRow.lon).select_from(TrackEventRow)
    painted = painted.join(TrackRow, TrackRow.id == TrackEventRow.track_id).join(PhotoRow, PhotoRow.sha256 == TrackRow.photo)
    painted = painted.where(TrackEventRow.to_state == "painted", TrackEventRow.at >= since, TrackEventRow.at < until)
    for lat, lon in session.execute(painted):
        name = district_of(lat, lon) if lat is not None and lon is not None else ""
        found.setdefault(name, District(name)).painted += 1


def _hours(session: Session, since: datetime, until: datetime) -> dict[str, float | None]:
    """Median hours of what ended in this span."""
    spans: dict[str, list[float]] = defaultdict(list)
    rows = select(ReportRow.received_at, ReportEventRow.at).join(ReportEventRow, ReportEventRow.report_id == ReportRow.id)
    rows = rows.where(ReportEventRow.event == "read", ReportEventRow.at >= since, ReportEventRow.at < until)
    for begin, end in session.execute(rows):
        spans["reported_to_read"].append((end - begin).total_seconds() / 3600)
    track = select(TrackEventRow.track_id, TrackEventRow.to_state, TrackEventRow.at).order_by(
        TrackEventRow.track_id, TrackEventRow.id
    )
    begun: dict[int, datetime] = {}
    for number, state, at in session.execute(track.execution_options(yield_per=_BATCH)):
        begun.setdefault(number, at)
        if state == "painted" and since <= at < until:
            spans["seen_to_painted"].append((at - begun[number]).total_seconds() / 3600)
    life = select(ResourceEventRow.resource_id, ResourceEventRow.from_state, ResourceEventRow.to_state, ResourceEventRow.at)
    last: dict[int, datetime] = {}
    for number, old, new, at in session.execute(
        life.order_by(ResourceEventRow.resource_id, ResourceEventRow.id).execution_options(yield_per=_BATCH)
    ):
        if old is not None and number in last and since <= at < until:
            spans[f"{old}_to_{new}"].append((at - last[number]).total_seconds() / 3600)
        last[number] = at
    wanted = ("reported_to_read", "identified_to_verified", "verified_to_sent", "sent_to_blocked", "blocked_to_restored")
    return {name: median(spans[name]) if spans[name] else None for name in (*wanted, "seen_to_painted")}


def _quality(session: Session, since: datetime, until: datetime) -> Quality:
    rows = select(DecisionRow.photo_sha256, DecisionRow.advert, DecisionRow.verdict).where(DecisionRow.subject == "advert")
    rows = rows.where(DecisionRow.at >= since, DecisionRow.at < until).order_by(DecisionRow.id)
    last = {(photo, advert): verdict for photo, advert, verdict in session.execute(rows) if verdict != "skipped"}
    told = Counter(last.values())
    return Quality(told["confirmed"], told["corrected"], told["rejected"], told["not_advert"])
