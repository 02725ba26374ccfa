"""How long a page of the experts' queue takes, and a decision and its undoing, in milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TypeVar

from ..linking.store import Store, queue, reviews
from ..linking.store.queue import Chosen, Entry

T = TypeVar("T")
_Spent = tuple[float, float]
"""Milliseconds on the clock, and of processor time."""
_ACTOR = "person 1"


@dataclass(frozen=True, slots=True)
class Times:
    """One thing that was measured; 95 of 100 took at most ``slow_ms``."""

    name: str
    median_ms: float
    slow_ms: float
    most_ms: float
    process_ms: float
    """Processor time of this process, on the average; the rest is the database's, or waiting."""


def measure(store: Store, pages: int, decisions: int) -> list[Times]:
    """A page of each part of the queue as the review desk asks for it (counts, the next two, what was done in the last hour),
    then decisions and their undoing."""
    found = [_times(f"page: {part}", [_page(store, part)[0] for _ in range(pages)]) for part in Chosen]
    confirm, undo = [], []
    for _ in range(decisions):
        entries = _page(store, Chosen.ALL)[1]
        if not entries:
            break
        key = entries[0].key
        spent, made = _clock(lambda key=key: store.write(lambda s: reviews.confirm(s, key), _ACTOR))  # type: ignore[misc]
        confirm.append(spent)
        undo.append(_clock(lambda made=made: store.write(lambda s: reviews.undo(s, made.id), _ACTOR))[0])  # type: ignore[misc]
    return [*found, _times("decision", confirm), _times("decision taken back", undo)]


def _page(store: Store, part: Chosen) -> tuple[_Spent, list[Entry]]:
    def ask() -> list[Entry]:
        now = datetime.now(UTC)
        with store.read() as session:
            queue.count_open(session, _ACTOR, now - timedelta(hours=12))
            found = queue.next_entries(session, _ACTOR, now - timedelta(hours=12), chosen=part, limit=2)
            reviews.count_by(session, _ACTOR, now - timedelta(hours=1))
        return found

    return _clock(ask)


def _clock(do: Callable[[], T]) -> tuple[_Spent, T]:
    begin, used = time.perf_counter(), time.process_time()
    found = do()
    return (1000 * (time.perf_counter() - begin), 1000 * (time.process_time() - used)), found


def _times(name: str, spent: Sequence[_Spent]) -> Times:
    ordered = sorted(wall for wall, _ in spent)
    slow = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    used = sum(process for _, process in spent) / len(spent)
    return Times(name, round(median(ordered), 3), round(slow, 3), round(ordered[-1], 3), round(used, 3))
