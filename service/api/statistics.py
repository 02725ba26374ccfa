"""The funnel, per week and district, and how good the reading is by what experts say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from ...linking.store import statistics as rows
from ..districts import district_of
from ..problems import InvalidField, ProblemError, problems
from ..state import StateDep
from .register import Reader, moment

router = APIRouter(prefix="/v1/statistics", tags=["statistics"])
_SPAN_DAYS = 90
_MOST_DAYS = 3660


class Funnel(BaseModel):
    """How much reached each stage: reports for the first two, then resources, then adverts painted over."""

    reported: int = 0
    read: int = 0
    verified: int = 0
    sent: int = 0
    blocked: int = 0
    restored: int = 0
    rejected: int = 0
    painted: int = 0


class WeekView(Funnel):
    """The funnel of one week."""

    week: str = Field(description="Its Monday.")


class DistrictView(BaseModel):
    """What was reported and seen in one district."""

    district: str = Field(description="Name, or h3 cell; empty: place not known, or outside of all.")
    reports: int
    adverts: int
    clusters: int
    painted: int


class QualityView(BaseModel):
    """How experts found what was read."""

    confirmed: int
    corrected: int
    rejected: int
    not_advert: int
    right: float | None = Field(description="Confirmed, of confirmed and corrected.")


class StatisticsView(BaseModel):
    """Numbers of a span of time; hours are medians, null where nothing went that way."""

    since: datetime
    until: datetime
    funnel: Funnel
    adverts: int
    clusters: int
    duplicates: int = Field(description="Adverts that had been seen before: nobody reads them again.")
    hours: dict[str, float | None]
    quality: QualityView
    weeks: list[WeekView]
    districts: list[DistrictView]


@router.get("", summary="The funnel", responses=problems(401, 403, 409, 422, 429))
def show(
    state: StateDep,
    _: Reader,
    since: Annotated[datetime | None, Query(description="90 days before `until` where left out.")] = None,
    until: Annotated[datetime | None, Query(description="Now where left out.")] = None,
) -> StatisticsView:
    """Reported, read, verified, sent, blocked, restored, painted; median times; duplicates saved; quality of reading."""
    end = moment(until) or datetime.now(UTC)
    begin = moment(since) or max(end, datetime(1971, 1, 1, tzinfo=UTC)) - timedelta(days=_SPAN_DAYS)
    if not timedelta() < end - begin <= timedelta(days=_MOST_DAYS):
        wrong = InvalidField(field="query.since", message=f"has to be before until, by at most {_MOST_DAYS} days")
        raise ProblemError(422, "These values are wrong: query.since.", "invalid-values", errors=[wrong])
    with state.store.read() as session:
        found = rows.statistics(session, begin, end, district_of(state.settings))
    quality = found.quality
    return StatisticsView(
        since=begin,
        until=end,
        funnel=Funnel(**{name: found.funnel[name] for name in rows.STAGES}),
        adverts=found.adverts,
        clusters=found.clusters,
        duplicates=found.duplicates,
        hours=found.hours,
        quality=QualityView(
            confirmed=quality.confirmed,
            corrected=quality.corrected,
            rejected=quality.rejected,
            not_advert=quality.not_advert,
            right=quality.right,
        ),
        weeks=[WeekView(week=week.begin, **{name: week.counts[name] for name in rows.STAGES}) for week in found.weeks],
        districts=[
            DistrictView(
                district=item.name, reports=item.reports, adverts=item.adverts, clusters=item.clusters, painted=item.painted
            )
            for item in found.districts
        ],
    )
