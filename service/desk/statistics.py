"""Statistics: the funnel, median times, duplicates saved, quality of the reading, per week and district."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Query, Response

from ...linking.store.statistics import STAGES, statistics
from ..districts import district_of
from .pages import ReaderDesk, desk_router
from .plots import Bar, bars, funnel

router = desk_router()
_FUNNEL = ("reported", "read", "verified", "sent", "blocked", "restored")
_PER_WEEK = ("reported", "read", "verified", "blocked", "painted")
_MOST_DISTRICTS = 40
_LEAST_WEEKS = 12
"""Weeks in a plot at least: one alone would look like a wall."""
_MOST_WEEKS = 104


@router.get("/statistics")
def show_statistics(desk: ReaderDesk, days: Annotated[int, Query(ge=1, le=3650)] = 90) -> Response:
    """The numbers of some days up to now, as plots and as tables that say the same."""
    now = datetime.now(UTC)
    with desk.state.store.read() as session:
        found = statistics(session, now - timedelta(days=days), now, district_of(desk.state.settings))
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
    )


def _mondays(now: datetime, told: list[date]) -> list[date]:
    """Every Monday from the first week with numbers to this one."""
    last = now.date() - timedelta(days=now.weekday())
    count = max([_LEAST_WEEKS, *((last - monday).days // 7 + 1 for monday in told)])
    return [last - timedelta(weeks=back) for back in range(min(count, _MOST_WEEKS) - 1, -1, -1)]
