"""Histograms that worker processes add to, for one place to show them: a process that dies takes nothing with it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from .report_tables import MeasureRow
from .upserts import insert_missing

INFINITE = 1e300
"""Stands for the bound of the last bucket."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured value: of which histogram, under which label, and the upper bounds of the buckets."""

    name: str
    label: str
    value: float
    bounds: tuple[float, ...]


def observe(session: Session, observations: Iterable[Observation]) -> None:
    """Add observations to the histograms. Rows are taken in one order, so that writers do not wait for each other in circles."""
    counts: Counter[tuple[str, str, float]] = Counter()
    sums: dict[tuple[str, str, float], float] = defaultdict(float)
    for item in observations:
        place = bisect_left(item.bounds, item.value)
        key = (item.name, item.label, item.bounds[place] if place < len(item.bounds) else INFINITE)
        counts[key] += 1
        sums[key] += item.value
    for name, label, bound in sorted(counts):
        key = (name, label, bound)
        mine = (MeasureRow.name == name, MeasureRow.label == label, MeasureRow.bound == bound)
        insert_missing(session, MeasureRow, [{"name": name, "label": label, "bound": bound, "count": 0, "total": 0.0}])
        values = {"count": MeasureRow.count + counts[key], "total": MeasureRow.total + sums[key]}
        session.execute(update(MeasureRow).where(*mine).values(**values))


def histograms(session: Session) -> dict[str, dict[str, list[tuple[float, int, float]]]]:
    """By name and label the buckets in order: upper bound, how many fell into it, and their sum."""
    found: dict[str, dict[str, list[tuple[float, int, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in session.scalars(select(MeasureRow).order_by(MeasureRow.name, MeasureRow.label, MeasureRow.bound)):
        found[row.name][row.label].append((row.bound, row.count, row.total))
    return {name: dict(labels) for name, labels in found.items()}
