"""What the queue of the experts is made of: one row per physical advert, kept up to date by whatever changes one.

Changes ``touch`` photos and clusters while a transaction goes on; at its end ``refresh`` makes the rows of those anew, all of
them from what the tables say then. So a page of the queue reads a few rows, however many adverts there are. A physical advert is
open until somebody has decided about it, and again when something new is seen on it: a contact that nobody who decided knew of.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Index, String, and_, delete, func, insert, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ...contract import Band, Flag, Outcome
from ...inference.identifiers.fold import skeleton
from ..sightings import Key
from .cluster_tables import BundleRow, SightingRow
from .tables import AdvertRow, AnalysisRow, Base, DecisionRow, IdentifierRow, LinkRow, Number, PhotoRow, ResourceRow
from .upserts import insert_missing
from .verdicts import CLOSING, Word

Contact = tuple[str, str]
_TOUCHED: Final = "tagtrace_queue"
_MOST_IN: Final = 400
_ALL_LOCK: Final = 0x7461677175657565
"""Key of the advisory lock that those share who change some rows (``tagqueue`` in ASCII)."""
_UNCOUNTED: Final = frozenset({Flag.PROTECTED.value, Flag.UNSURE.value, Flag.OBSOLETE.value})
ALONE: Final = "-"
"""Begins the name of an advert that is in no cluster; no cluster's id begins so."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What matters how much; the order is by the sum. The rows hold it: after a change here ``fill`` makes them anew."""

    new_weight: float = 4.0
    """For a contact that no listed shop has."""
    seen_weight: float = 2.0
    """For an advert that is seen ``seen_most`` times; in proportion for fewer."""
    seen_most: int = 10
    doubt_weight: float = 1.5
    """For a contact that was read with no confidence at all, or a link that a person has to look at."""
    silent_weight: float = -2.0
    """For an advert without any contact: there is little to decide."""
    known_weight: float = -1.0
    """For one whose every link is automatic."""
    doubtful_from: float = 0.2
    """Doubt (0..1) from which on an advert is in the part ``doubtful``."""
    often_from: int = 2
    """Photos from which on it is in the part ``often``."""
    news_from: float = 0.8
    """Confidence from which on a contact that nobody knew brings a decided advert back."""


SETTINGS: Final = QueueSettings()


class Chosen(StrEnum):
    """A part of the queue."""

    ALL = "all"
    NEW = "new"
    SEEN_OFTEN = "often"
    DOUBTFUL = "doubtful"
    SILENT = "silent"


class QueueRow(Base):
    """One physical advert that is open: a cluster, or an advert in none."""

    __tablename__ = "queue"

    wall: Mapped[str] = mapped_column(String(96), primary_key=True)
    """The id of the cluster, or the name of an advert that is in none."""
    photo: Mapped[str | None] = mapped_column(String(64), index=True)
    """Of an advert in no cluster: its photo."""
    first: Mapped[int] = mapped_column(Number)
    """Number of its first advert: what came first goes first."""
    seen: Mapped[int]
    new: Mapped[bool]
    doubt: Mapped[float]
    silent: Mapped[bool]
    again: Mapped[bool]
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


def wall_of(key: Key, cluster: str) -> str:
    """The name under which the queue knows a cluster, or an advert that is in none."""
    return cluster or f"{ALONE}{key[0]}-{key[1]}"


def touch(session: Session, *, photos: Iterable[str] = (), clusters: Iterable[str] = ()) -> None:
    """Note that adverts of these photos, or of these clusters, may stand otherwise in the queue after this transaction."""
    touched: tuple[set[str], set[str]] = session.info.setdefault(_TOUCHED, (set(), set()))
    touched[0].update(photos)
    touched[1].update(clusters)


def refresh(session: Session) -> None:
    """Make the rows of what was touched anew. Call it at the end of a transaction that writes, before the audit log."""
    photos, clusters = session.info.pop(_TOUCHED, (set(), set()))
    if not photos and not clusters:
        return
    clusters |= _clusters_of(session, photos)
    alone = _queue_up(session, {*photos, *clusters})
    # Somebody else may have merged them while this waited.
    moved = _clusters_of(session, photos) - clusters
    if moved and not alone:
        _lock(session, moved)
    _make(session, photos, clusters | moved)


def _make(session: Session, photos: Collection[str], clusters: Collection[str]) -> None:
    change: Counter[str] = Counter()
    for part in _parts(sorted(clusters)):
        _renew(session, QueueRow.wall.in_(part), _walls(session, _in_clusters(part)), change)
    for part in _parts(sorted(photos)):
        alone = and_(PhotoRow.sha256.in_(part), BundleRow.cluster.is_(None))
        _renew(session, QueueRow.photo.in_(part), _walls(session, alone), change)
    _count(session, change)


def _clusters_of(session: Session, photos: Collection[str]) -> set[str]:
    found: set[str] = set()
    for part in _parts(sorted(photos)):
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
    _count(session, Counter())


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


@dataclass(slots=True)
class _Contact:
    """A contact of an advert: as it was read and as what it is meant to be."""

    own: Contact
    meant: Contact
    confidence: float
    counts: bool


@dataclass(slots=True)
class Wall:
    """All that the tables say of one physical advert."""

    name: str
    photo: str | None = None
    adverts: dict[int, Key] = field(default_factory=dict)
    contacts: dict[int, list[_Contact]] = field(default_factory=lambda: defaultdict(list))
    said: dict[int, tuple[str, datetime, dict[str, Any]]] = field(default_factory=dict)
    newest: datetime | None = None
    new: bool = False
    doubt: float = 0.0
    unknown: bool = False

    @property
    def silent(self) -> bool:
        """Whether nobody read a contact on it."""
        return not any(self.contacts.values())

    def known(self) -> set[Contact]:
        """The contacts that it shows, as they were read and as what they mean."""
        return {contact for items in self.contacts.values() for item in items for contact in (item.own, item.meant)}

    def news(self) -> list[Key]:
        """Its adverts with a contact that nobody who decided about it knew of; none where nobody decided."""
        known: set[Contact] = set()
        decided = [number for number, (word, _, _) in self.said.items() if word != Word.ANOTHER_PHOTO]
        for number in decided:
            details = self.said[number][2]
            known |= {(str(kind), str(value)) for kind, value in details.get("known", details.get("contacts", ()))}
            known |= {contact for item in self.contacts[number] for contact in (item.own, item.meant)}
        looks = {(kind, skeleton(value)) for kind, value in known}

        def is_news(item: _Contact) -> bool:
            sure = item.counts and item.confidence >= SETTINGS.news_from
            return sure and not {item.own, item.meant} & known and (item.own[0], skeleton(item.own[1])) not in looks

        if not decided:
            return []
        return [key for number, key in self.adverts.items() if any(map(is_news, self.contacts[number]))]

    def is_open(self) -> bool:
        """Whether somebody has to decide about it."""
        if any(word != Word.ANOTHER_PHOTO for word, _, _ in self.said.values()):
            return bool(self.news())
        asked = max((at for _, at, _ in self.said.values()), default=None)
        return asked is None or self.newest is None or self.newest > asked

    def score(self) -> float:
        """How much it matters."""
        often = min(len(self.adverts), SETTINGS.seen_most)
        return (
            SETTINGS.new_weight * self.new
            + SETTINGS.seen_weight * often / SETTINGS.seen_most
            + SETTINGS.doubt_weight * self.doubt
            + SETTINGS.silent_weight * self.silent
            + SETTINGS.known_weight * (not self.unknown)
        )

    def parts(self) -> list[Chosen]:
        """The parts of the queue that it is in."""
        doubtful = not self.silent and self.doubt >= SETTINGS.doubtful_from
        often = len(self.adverts) >= SETTINGS.often_from
        held = {Chosen.NEW: self.new, Chosen.SEEN_OFTEN: often, Chosen.DOUBTFUL: doubtful, Chosen.SILENT: self.silent}
        return [Chosen.ALL, *(part for part, inside in held.items() if inside)]


def wall_at(session: Session, key: Key) -> Wall | None:
    """The physical advert that an advert is a sighting of, as the tables have it now."""
    inside = select(BundleRow.cluster).join(SightingRow, SightingRow.bundle == BundleRow.id)
    cluster = session.scalar(inside.where(SightingRow.photo == key[0], SightingRow.advert == key[1]))
    alone = and_(PhotoRow.sha256 == key[0], AdvertRow.number == key[1])
    found = _walls(session, _in_clusters([cluster]) if cluster is not None else alone)
    return next(iter(found), None)


def walls_of_clusters(session: Session, clusters: Sequence[str]) -> list[Wall]:
    """Clusters as the tables have them now."""
    return [wall for part in _parts(clusters) for wall in _walls(session, _in_clusters(part))]


def _in_clusters(names: Sequence[str]) -> Any:
    """Adverts in these clusters, said so that the database begins with the clusters and not with all adverts."""
    shown = select(SightingRow.photo).join(BundleRow, BundleRow.id == SightingRow.bundle).where(BundleRow.cluster.in_(names))
    return and_(PhotoRow.sha256.in_(shown), BundleRow.cluster.in_(names))


def _walls(session: Session, which: Any) -> list[Wall]:
    """The physical adverts that fit, each with all of its adverts in the latest analyses."""
    here = and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number)
    columns = (AdvertRow.id, AdvertRow.number, PhotoRow.sha256, PhotoRow.received_at, BundleRow.cluster, DecisionRow)
    rows = select(*columns).select_from(PhotoRow).join(AnalysisRow, and_(AnalysisRow.photo_id == PhotoRow.id, AnalysisRow.latest))
    rows = rows.join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id).outerjoin(SightingRow, here)
    rows = rows.outerjoin(BundleRow, BundleRow.id == SightingRow.bundle)
    rows = rows.outerjoin(DecisionRow, DecisionRow.id == AdvertRow.decision_id).where(which)
    walls: dict[str, Wall] = {}
    owners: dict[int, Wall] = {}
    # Sorted here: asked to, SQLite would go through all adverts in their order.
    for number, advert, sha256, received, cluster, decision in sorted(session.execute(rows), key=lambda row: row[0]):
        name = wall_of((sha256, advert), cluster or "")
        wall = walls.setdefault(name, Wall(name, None if cluster else sha256))
        wall.adverts[number], owners[number] = (sha256, advert), wall
        wall.newest = received if wall.newest is None else max(wall.newest, received)
        if decision is not None and decision.verdict in CLOSING:
            wall.said[number] = (decision.verdict, decision.at, decision.details)
    for part in _parts(sorted(owners)):
        _add_contacts(session, part, owners)
    for wall in walls.values():
        wall.unknown = wall.unknown or wall.silent or any(not wall.contacts[number] for number in wall.adverts)
    return list(walls.values())


def _add_contacts(session: Session, adverts: Sequence[int], owners: dict[int, Wall]) -> None:
    columns = (IdentifierRow.advert_id, IdentifierRow.kind, IdentifierRow.value, IdentifierRow.confidence, IdentifierRow.flags)
    linked = (LinkRow.outcome, LinkRow.band, ResourceRow.kind.label("named_kind"), ResourceRow.value.label("named"))
    rows = select(*columns, *linked).outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
    rows = rows.outerjoin(ResourceRow, ResourceRow.id == LinkRow.resource_id).where(IdentifierRow.advert_id.in_(adverts))
    for row in session.execute(rows.order_by(IdentifierRow.advert_id, IdentifierRow.number)):
        wall = owners[row.advert_id]
        own = (row.kind, row.value)
        meant = (row.named_kind, row.named) if row.outcome == Outcome.MISREAD and row.named is not None else own
        wall.contacts[row.advert_id].append(_Contact(own, meant, row.confidence, not _UNCOUNTED & set(row.flags)))
        wall.new = wall.new or row.outcome == Outcome.NEW
        wall.doubt = max(wall.doubt, 1.0 if row.band == Band.REVIEW else 1.0 - row.confidence)
        wall.unknown = wall.unknown or row.band != Band.AUTOMATIC


def _renew(session: Session, old: Any, walls: Sequence[Wall], change: Counter[str]) -> None:
    """Put the rows of these physical adverts in the place of those that fit ``old``."""
    names = select(QueueRow.wall).where(old)
    gone = select(QueuePartRow.part, func.count()).where(QueuePartRow.wall.in_(names)).group_by(QueuePartRow.part)
    for part, count in session.execute(gone):
        change[part] -= count
    session.execute(delete(QueuePartRow).where(QueuePartRow.wall.in_(names)).execution_options(synchronize_session=False))
    session.execute(delete(QueueRow).where(old).execution_options(synchronize_session=False))
    waiting = [wall for wall in walls if wall.is_open()]
    if not waiting:
        return
    session.execute(insert(QueueRow), [_row(wall) for wall in waiting])
    parts = [_part_row(wall, part) for wall in waiting for part in wall.parts()]
    session.execute(insert(QueuePartRow), parts)
    change.update(row["part"] for row in parts)


def _row(wall: Wall) -> dict[str, Any]:
    seen = {"first": min(wall.adverts), "seen": len(wall.adverts), "new": wall.new, "doubt": wall.doubt, "silent": wall.silent}
    return {"wall": wall.name, "photo": wall.photo, "score": wall.score(), "again": bool(wall.news()), **seen}


def _part_row(wall: Wall, part: Chosen) -> dict[str, Any]:
    return {"wall": wall.name, "part": str(part), "rank": -wall.score(), "first": min(wall.adverts)}


def _count(session: Session, change: Counter[str]) -> None:
    """Add to the counts; in one order, as two transactions may do it at once."""
    insert_missing(session, QueueCountRow, [{"part": str(part), "walls": 0} for part in sorted(Chosen)])
    for part in sorted(change):
        if change[part]:
            more = QueueCountRow.walls + change[part]
            session.execute(update(QueueCountRow).where(QueueCountRow.part == part).values(walls=more))


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + _MOST_IN] for start in range(0, len(values), _MOST_IN))


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
    for part in _parts(photos):
        rows = select(SightingRow.photo, SightingRow.advert, BundleRow.cluster).join(
            BundleRow, BundleRow.id == SightingRow.bundle
        )
        found |= {(p, n): cluster for p, n, cluster in session.execute(rows.where(SightingRow.photo.in_(part)))}
    return {wall_of(key, found.get(key, "")) for key in keys}
