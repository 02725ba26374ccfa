"""The funnel, per week and district, and how good the reading is by what experts say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

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
    """How much reached each stage: reports for the first two, then resources, then physical adverts painted over."""

    reported: int = 0
    read: int = 0
    verified: int = 0
    sent: int = 0
    blocked: int = 0
    restored: int = 0
    rejected: int = 0
    painted: int = 0


class QualityView(BaseModel):
    """How experts found what was read, by their last word on each advert that was not taken back."""

    confirmed: int
    corrected: int
    rejected: int
    not_advert: int
    right: float | None = Field(description="Confirmed, of confirmed and corrected.")
    characters: int = Field(description="Characters of the lines, as experts say that they are.")
    character_errors: float | None = Field(description="Edits from the lines as read to those, per character.")
    contacts: int = Field(description="Contacts that experts say are there.")
    contact_precision: float | None = Field(description="Of the contacts read, the share that is there, exactly.")
    contact_recall: float | None = Field(description="Of the contacts that are there, the share that was read, exactly.")
    links: int = Field(description="Known contacts that were proposed for what was read.")
    link_precision: float | None = Field(description="The share of them that experts agreed to.")


class FiguresView(Funnel):
    """The funnel with what else is counted; hours are medians, null where nothing went that way."""

    adverts: int = Field(description="Adverts in photos, without those that somebody says are none.")
    clusters: int = Field(description="Physical adverts that were first seen.")
    duplicates: int = Field(description="Adverts that had been seen before: nobody reads them again.")
    files_again: int = Field(description="Photos that had come with an earlier report.")
    hours: dict[str, float | None]
    quality: QualityView


class WeekView(FiguresView):
    """The figures of one week."""

    week: str = Field(description="Its Monday.")


class DistrictView(FiguresView):
    """The figures of one district. A resource that was seen in several counts in each."""

    district: str = Field(description="Name, or h3 cell; empty: place not known, or outside of all.")
    reports: int


class DistrictWeekView(DistrictView):
    """The figures of one district in one week."""

    week: str = Field(description="Its Monday.")


class StatisticsView(BaseModel):
    """Figures of a span of time; hours are medians, null where nothing went that way."""

    since: datetime
    until: datetime
    funnel: Funnel
    adverts: int
    clusters: int
    duplicates: int = Field(description="Adverts that had been seen before: nobody reads them again.")
    files_again: int = Field(description="Photos that had come with an earlier report.")
    hours: dict[str, float | None]
    quality: QualityView
    weeks: list[WeekView] = Field(description="Weeks begin on Monday in the time zone of the service.")
    districts: list[DistrictView]
    district_weeks: list[DistrictWeekView] = Field(description="By district, then by week.")


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
        found = rows.statistics(session, begin, end, district_of(state.settings), ZoneInfo(state.settings.local_timezone))
    return StatisticsView(
        since=begin,
        until=end,
        funnel=Funnel(**found.funnel),
        adverts=found.adverts,
        clusters=found.clusters,
        duplicates=found.duplicates,
        files_again=found.counts["files_again"],
        hours=found.hours,
        quality=_quality(found.quality),
        weeks=[WeekView(week=week.begin, **_figures(week)) for week in found.weeks],
        districts=[DistrictView(district=item.name, reports=item.reports, **_figures(item)) for item in found.districts],
        district_weeks=[
            DistrictWeekView(district=item.name, week=item.begin, reports=item.reports, **_figures(item)) for item in found.cells
        ],
    )


def _figures(item: rows.Figures) -> dict[str, Any]:
    return {name: item.counts[name] for name in rows.COUNTS} | {"hours": item.hours, "quality": _quality(item.quality)}


def _quality(item: rows.Quality) -> QualityView:
    return QualityView(**{name: getattr(item, name) for name in QualityView.model_fields})
