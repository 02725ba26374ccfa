"""Statistics: the funnel, median times, duplicates saved, quality of the reading, per week and district."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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


@router.get("/statistics")
def show_statistics(desk: ReaderDesk, days: Annotated[int, Query(ge=1, le=3650)] = 90) -> Response:
    """The numbers of some days up to now, as plots and as tables that say the same."""
    now = datetime.now(UTC)
    with desk.state.store.read() as session:
        found = statistics(session, now - timedelta(days=days), now, district_of(desk.state.settings))
    t = desk.texts
    steps = [Bar(t(f"stage.{name}"), found.funnel[name]) for name in _FUNNEL]
    weeks = {
        name: bars(
            [Bar(f"{week.begin[8:10]}.{week.begin[5:7]}", week.counts[name]) for week in found.weeks],
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
