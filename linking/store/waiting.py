"""Adverts that wait for another photo: those that have waited long enough come back to the queue without one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from .queue_rows import QueueRow
from .queue_walls import wall_named
from .reviews import record
from .verdicts import Word


def is_due(session: Session, moment: datetime) -> bool:
    """Whether an advert has waited since a moment, or longer."""
    return session.scalar(_due(moment).limit(1)) is not None


def bring_back(session: Session, moment: datetime, limit: int) -> int:
    """Bring adverts back that have waited since a moment, or longer; gives how many. It stands in their history."""
    # Another process may do the same now: each takes what the other has not.
    names = list(session.scalars(_due(moment).limit(limit).with_for_update(skip_locked=True)))
    for name in names:
        wall = wall_named(session, name)
        if wall is None or wall.asked() is None:
            continue
        for number, (word, _, _) in sorted(wall.said.items()):
            if word == Word.ANOTHER_PHOTO:
                record(session, wall.adverts[number], Word.WAITED)
    return len(names)


def _due(moment: datetime) -> Any:
    return select(QueueRow.wall).where(QueueRow.asked <= moment).order_by(QueueRow.asked, QueueRow.wall)
