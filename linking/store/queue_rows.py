"""What the queue of the experts is made of: a row per physical advert and per contact that reports name.

Changes ``touch`` photos and clusters while a transaction goes on; at its end ``refresh`` makes the rows of those anew, all of
them from what the tables say then. So a page of the queue reads a few rows, however many adverts there are. A physical advert is
open until somebody has decided about it, and again when something new is seen on it: a contact that nobody who decided knew of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, String, and_, delete, func, insert, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ..sightings import Key
from .cluster_tables import BundleRow, SightingRow
from .queue_named import Named, load_named
from .queue_walls import Chosen, Wall, in_clusters, load_walls, wall_of
from .report_tables import ReportContactRow
from .tables import Base, Number, PhotoRow
from .upserts import in_parts, insert_missing

_TOUCHED: Final = "tagtrace_queue"
_MOST_IN: Final = 400
_ALL_LOCK: Final = 0x7461677175657565
"""Key of the advisory lock that those share who change some rows (``tagqueue`` in ASCII)."""


class QueueRow(Base):
    """One physical advert that is open, or set aside until there is another photo: a cluster, or an advert in none."""

    __tablename__ = "queue"

    wall: Mapped[str] = mapped_column(String(96), primary_key=True)
    """The id of the cluster, or the name of an advert that is in none, or of a contact that reports name."""
    photo: Mapped[str | None] = mapped_column(String(64), index=True)
    """Of an advert in no cluster: its photo."""
    first: Mapped[int] = mapped_column(Number)
    """Number of its first advert: what came first goes first. Of a contact the number of its resource."""
    seen: Mapped[int]
    new: Mapped[bool]
    doubt: Mapped[float]
    silent: Mapped[bool]
    again: Mapped[bool]
    back: Mapped[str] = mapped_column(String(8), default="", server_default=text("''"))
    """Why it is open again though nobody has decided about it (``Back``)."""
    asked: Mapped[datetime | None] = mapped_column(index=True)
    """Since when it waits for another photo. One that waits is in no part of the queue."""
    score: Mapped[float]


class QueuePartRow(Base):
    """An open advert in a part of the queue, in the order of ``rank`` (the score, negative) and ``first``."""

    __tablename__ = "queue_parts"
    __table_args__ = (Index("ix_queue_parts_next", "part", "rank", "first", "wall"),)

    wall: Mapped[str] = mapped_column(String(96), primary_key=True)
    part: Mapped[str] = mapped_column(String(16), primary_key=True)
    rank: Mapped[float]
    first: Mapped[int] = mapped_column(Number)


class QueueCountRow(Base):
    """How many adverts a part of the queue has."""

    __tablename__ = "queue_counts"

    part: Mapped[str] = mapped_column(String(16), primary_key=True)
    walls: Mapped[int] = mapped_column(Number)


def touch(session: Session, *, photos: Iterable[str] = (), clusters: Iterable[str] = (), named: Iterable[str] = ()) -> None:
    """Note that adverts of these photos, or of these clusters, or contacts with these names (``named_as``) may stand otherwise in
    the queue after this transaction."""
    touched: tuple[set[str], set[str], set[str]] = session.info.setdefault(_TOUCHED, (set(), set(), set()))
    touched[0].update(photos)
    touched[1].update(clusters)
    touched[2].update(named)


def refresh(session: Session) -> None:
    """Make the rows of what was touched anew. Call it at the end of a transaction that writes, before the audit log."""
    photos, clusters, named = session.info.pop(_TOUCHED, (set(), set(), set()))
    if not photos and not clusters and not named:
        return
    clusters |= _clusters_of(session, photos)
    alone = _queue_up(session, {*photos, *clusters, *named})
    # Somebody else may have merged them while this waited.
    moved = _clusters_of(session, photos) - clusters
    if moved and not alone:
        _lock(session, moved)
    _make(session, photos, clusters | moved, named)


def _make(session: Session, photos: Collection[str], clusters: Collection[str], named: Collection[str] = ()) -> None:
    change: Counter[str] = Counter()
    for part in in_parts(sorted(clusters)):
        _renew(session, QueueRow.wall.in_(part), load_walls(session, in_clusters(part)), change)
    for part in in_parts(sorted(photos)):
        alone = and_(PhotoRow.sha256.in_(part), BundleRow.cluster.is_(None))
        _renew(session, QueueRow.photo.in_(part), load_walls(session, alone), change)
    for part in in_parts(sorted(named)):
        _renew(session, QueueRow.wall.in_(part), load_named(session, part), change)
    _count(session, change)


def _clusters_of(session: Session, photos: Collection[str]) -> set[str]:
    found: set[str] = set()
    for part in in_parts(sorted(photos)):
        inside = (
            select(BundleRow.cluster).join(SightingRow, SightingRow.bundle == BundleRow.id).where(SightingRow.photo.in_(part))
        )
        found |= set(session.scalars(inside.distinct()))
    return found


def fill(session: Session) -> None:
    """Make all rows anew."""
    _lock_all(session)
    for table in (QueuePartRow, QueueRow, QueueCountRow):
        session.execute(delete(table))
    last = 0
    while True:
        page = select(PhotoRow.id, PhotoRow.sha256).where(PhotoRow.id > last).order_by(PhotoRow.id).limit(_MOST_IN)
        rows = session.execute(page).all()
        if not rows:
            break
        last = rows[-1].id
        photos = [row.sha256 for row in rows]
        _make(session, photos, _clusters_of(session, photos))
    _fill_named(session)
    _count(session, Counter())


def _fill_named(session: Session) -> None:
    last = ""
    names = select(ReportContactRow.named).distinct().order_by(ReportContactRow.named).limit(_MOST_IN)
    while part := session.scalars(names.where(ReportContactRow.named > last)).all():
        last = part[-1]
        _make(session, (), (), part)


def is_filled(session: Session) -> bool:
    """Whether the rows were ever made: a store of an older tagtrace has none."""
    return session.scalar(select(func.count()).select_from(QueueCountRow)) == len(Chosen)


def _queue_up(session: Session, names: Collection[str]) -> bool:
    """Two transactions that change one physical advert make its row one after the other, so that the second sees both changes.
    Gives whether this one is alone: with very many names it waits for all others. In SQLite a writer is alone anyway."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    if len(names) > _MOST_IN:
        _lock_all(session)
        return True
    session.execute(select(func.pg_advisory_xact_lock_shared(_ALL_LOCK)))
    _lock(session, names)
    return False


def _lock(session: Session, names: Collection[str]) -> None:
    ask = text("SELECT pg_advisory_xact_lock(hashtextextended(name, 1)) FROM unnest(CAST(:names AS text[])) AS name")
    session.execute(ask, {"names": sorted(names)})


def _lock_all(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_ALL_LOCK)))


def _renew(session: Session, old: Any, entries: Sequence[Wall | Named], change: Counter[str]) -> None:
    """Put the rows of these physical adverts in the place of those that fit ``old``."""
    names = select(QueueRow.wall).where(old)
    gone = select(QueuePartRow.part, func.count()).where(QueuePartRow.wall.in_(names)).group_by(QueuePartRow.part)
    for part, count in session.execute(gone):
        change[part] -= count
    session.execute(delete(QueuePartRow).where(QueuePartRow.wall.in_(names)).execution_options(synchronize_session=False))
    session.execute(delete(QueueRow).where(old).execution_options(synchronize_session=False))
    left = [(entry, entry.row()) for entry in entries if entry.is_left()]
    if left:
        session.execute(insert(QueueRow), [row for _, row in left])
    parts = [_part_row(row, part) for entry, row in left if entry.is_open() for part in entry.parts()]
    if parts:
        session.execute(insert(QueuePartRow), parts)
    change.update(row["part"] for row in parts)


def _part_row(row: Mapping[str, Any], part: Chosen) -> dict[str, Any]:
    return {"wall": row["wall"], "part": str(part), "rank": -row["score"], "first": row["first"]}


def _count(session: Session, change: Counter[str]) -> None:
    """Add to the counts; in one order, as two transactions may do it at once."""
    insert_missing(session, QueueCountRow, [{"part": str(part), "walls": 0} for part in sorted(Chosen)])
    for part in sorted(change):
        if change[part]:
            more = QueueCountRow.walls + change[part]
            session.execute(update(QueueCountRow).where(QueueCountRow.part == part).values(walls=more))


def wrong_counts(session: Session) -> list[str]:
    """The parts whose count differs from their rows."""
    rows = select(QueuePartRow.part, func.count()).group_by(QueuePartRow.part)
    held: dict[str, int] = {part: count for part, count in session.execute(rows)}  # noqa: C416 (rows are no pairs to dict)
    told = session.execute(select(QueueCountRow.part, QueueCountRow.walls)).all()
    return [row.part for row in told if row.walls != held.get(row.part, 0)]


def names_in(session: Session, keys: Collection[Key]) -> set[str]:
    """The names of the physical adverts that adverts are sightings of."""
    photos = sorted({photo for photo, _ in keys})
    found: dict[Key, str] = {}
    for part in in_parts(photos):
        rows = select(SightingRow.photo, SightingRow.advert, BundleRow.cluster).join(
            BundleRow, BundleRow.id == SightingRow.bundle
        )
        found |= {(p, n): cluster for p, n, cluster in session.execute(rows.where(SightingRow.photo.in_(part)))}
    return {wall_of(key, found.get(key, "")) for key in keys}
