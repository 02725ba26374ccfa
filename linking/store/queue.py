"""The queue of the experts: one entry per cluster, or contact that reports name, until somebody decides; what matters first.

A cluster is all sightings of one physical advert, so nobody reads the same advert twice. What matters is a shop that nobody
knows yet, an advert that is seen often, and a reading in doubt; what is known and clear comes last. The rows of the queue are
kept up to date by what changes them (``queue_rows``): a page reads those that it shows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..sightings import Key
from .queue_rows import QueueCountRow, QueuePartRow, QueueRow, names_in
from .queue_walls import ALONE, Back, Chosen, QueueSettings, wall_named, wall_of
from .report_tables import NAMED, named_as
from .tables import DecisionRow, IdentifierRow, ReadingRow
from .verdicts import SUBJECTS, Word, review_of

_MOST_IN = 400


@dataclass(frozen=True, slots=True)
class Entry:
    """A cluster to decide about, and its clearest advert. ``cluster`` is "" for an advert that is in none."""

    key: Key
    cluster: str
    seen: int
    new: bool
    doubt: float
    """0 for read and linked surely, 1 for not at all."""
    silent: bool
    again: bool
    """It was decided about, and something new is seen on it; ``key`` shows that."""
    score: float
    back: Back = Back.NO
    """Why it is open again though nobody has decided about it."""
    wall: str = ""
    """The name of the entry."""

    @property
    def named(self) -> bool:
        """Whether it is a contact that reports name: it has no advert, and its key is ``("", 0)``."""
        return self.wall.startswith(NAMED)


def next_entries(
    session: Session,
    actor: str,
    since: datetime,
    *,
    chosen: Chosen = Chosen.ALL,
    without: Collection[str] = (),
    limit: int = 10,
) -> list[Entry]:
    """The next entries for a person: without what they skipped after ``since`` and without the clusters ``without``."""
    left_out = _skipped(session, actor, since) | set(without)
    rows = select(QueueRow).join(QueuePartRow, QueuePartRow.wall == QueueRow.wall).where(QueuePartRow.part == str(chosen))
    # What is left out is little, and is mostly at the front: read past it instead of giving the database a long list.
    rows = rows.order_by(QueuePartRow.rank, QueuePartRow.first, QueuePartRow.wall).limit(limit + len(left_out))
    found = [row for row in session.scalars(rows) if row.wall not in left_out][:limit]
    return [_entry(row, ("", 0) if row.wall.startswith(NAMED) else _clearest(session, row)) for row in found]


def _entry(row: QueueRow, key: Key) -> Entry:
    cluster = "" if row.wall.startswith((ALONE, NAMED)) else row.wall
    return Entry(key, cluster, row.seen, row.new, row.doubt, row.silent, row.again, row.score, Back(row.back), row.wall)


def count_open(session: Session, actor: str, since: datetime) -> dict[Chosen, int]:
    """How many entries each part of the queue has for a person."""
    held = {part: walls for part, walls in session.execute(select(QueueCountRow.part, QueueCountRow.walls))}  # noqa: C416
    counts = {part: int(held.get(part, 0)) for part in Chosen}
    skipped = sorted(_skipped(session, actor, since))
    for start in range(0, len(skipped), _MOST_IN):
        rows = select(QueuePartRow.part, func.count()).where(QueuePartRow.wall.in_(skipped[start : start + _MOST_IN]))
        for part, count in session.execute(rows.group_by(QueuePartRow.part)):
            counts[Chosen(part)] -= count
    return counts


def _skipped(session: Session, actor: str, since: datetime) -> set[str]:
    """The names of what a person has skipped since a moment, and not come back to."""
    rows = select(DecisionRow).where(DecisionRow.subject.in_(SUBJECTS), DecisionRow.actor == actor, DecisionRow.at >= since)
    said = map(review_of, session.scalars(rows.order_by(DecisionRow.id)))
    last = {(review.key, review.contact): review.word for review in said}
    skipped = [which for which, word in last.items() if word is Word.SKIPPED]
    named = {named_as(*contact) for _, contact in skipped if contact is not None}
    return named | names_in(session, [key for key, contact in skipped if contact is None])


def _clearest(session: Session, row: QueueRow) -> Key:
    """The advert of a cluster that shows most, most surely: the most contacts, then the surest text; of one that comes again only
    those with something new."""
    wall = wall_named(session, row.wall)
    assert wall is not None, "its row is made of it"
    news = set(wall.news()) if row.again else set()
    numbers = [number for number, key in wall.adverts.items() if not news or key in news]
    contacts, texts = _sums(session, IdentifierRow, numbers), _sums(session, ReadingRow, numbers)
    ranked = sorted((-contacts.get(n, 0.0), -texts.get(n, 0.0), wall.adverts[n]) for n in numbers)
    return ranked[0][2]


def _sums(session: Session, table: type[IdentifierRow] | type[ReadingRow], numbers: list[int]) -> dict[int, float]:
    """Of each advert the sum of the confidences of its contacts, or of its texts."""
    found: dict[int, float] = {}
    for start in range(0, len(numbers), _MOST_IN):
        rows = select(table.advert_id, func.sum(table.confidence)).where(table.advert_id.in_(numbers[start : start + _MOST_IN]))
        found |= {number: float(total) for number, total in session.execute(rows.group_by(table.advert_id))}
    return found


__all__ = ["Back", "Chosen", "Entry", "QueueSettings", "count_open", "next_entries", "wall_of"]
