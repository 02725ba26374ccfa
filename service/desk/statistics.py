"""Statistics: the funnel, median times, duplicates saved, quality of the reading, per week and district."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import h3
from fastapi import Query, Response

from ...linking.store.statistics import STAGES, statistics
from ..districts import district_of
from . import assets
from .pages import ReaderDesk, desk_router
from .plots import Bar, bars, funnel

router = desk_router()
_FUNNEL = ("reported", "read", "verified", "sent", "blocked", "restored")
_PER_WEEK = ("reported", "read", "verified", "blocked", "painted")
_MOST_DISTRICTS = 40
_LEAST_WEEKS = 12
"""Weeks in a plot at least: one alone would look like a wall."""
_MOST_WEEKS = 104
_NEAR_KM = 40.0
"""So near to the middle of a city a cell is called by its name."""


@router.get("/statistics")
def show_statistics(desk: ReaderDesk, days: Annotated[int, Query(ge=1, le=3650)] = 90) -> Response:
    """The numbers of some days up to now, as plots and as tables that say the same."""
    now = datetime.now(UTC)
    with desk.state.store.read() as session:
        zone = ZoneInfo(desk.state.settings.local_timezone)
        found = statistics(session, now - timedelta(days=days), now, district_of(desk.state.settings), zone)
    counts = {date.fromisoformat(week.begin): week.counts for week in found.weeks}
    t = desk.texts
    steps = [Bar(t(f"stage.{name}"), found.funnel[name]) for name in _FUNNEL]
    weeks = {
        name: bars(
            [Bar(f"{monday:%d.%m}", counts[monday][name] if monday in counts else 0) for monday in _mondays(now, list(counts))],
            f"{t(f'stage.{name}')}: {t('statistics.per_week')}",
        )
        for name in _PER_WEEK
    }
    return desk.page(
        "statistics.html",
        days=days,
        found=found,
        stages=STAGES,
        funnel=funnel(steps, t("statistics.funnel")),
        weeks=weeks,
        districts=found.districts[:_MOST_DISTRICTS],
        named=lambda name: district_name(name, t.language),
    )


def district_name(name: str, language: str) -> str:
    """A district as people know it: h3 cells are called by the city nearby, if any, and the middle of the cell."""
    if not h3.is_valid_cell(name):
        return name
    lat, lon = h3.cell_to_latlng(name)
    near = min(places(), key=lambda place: h3.great_circle_distance((lat, lon), place["at"], unit="km"))
    city = h3.great_circle_distance((lat, lon), near["at"], unit="km") <= _NEAR_KM
    middle = f"{lat:.3f}, {lon:.3f}"
    return f"{near[language]} · {middle}" if city else middle


@lru_cache(maxsize=1)
def places() -> list[dict[str, Any]]:
    """The cities of the map: their names by language, and ``at`` as latitude and longitude."""
    found = json.loads(assets.content("ground.json") or b"")["places"]
    return [{**place, "at": tuple(place["at"])} for place in found]


def _mondays(now: datetime, told: list[date]) -> list[date]:
    """Every Monday from the first week with numbers to this one."""
    last = now.date() - timedelta(days=now.weekday())
    count = max([_LEAST_WEEKS, *((last - monday).days // 7 + 1 for monday in told)])
    return [last - timedelta(weeks=back) for back in range(min(count, _MOST_WEEKS) - 1, -1, -1)]
