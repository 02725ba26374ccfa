"""The book of sightings in a store: put sightings in, ask for clusters, merge and split them, and check the log.

One writer at a time adds to the book: the log has one order. A writer locks the row of ``cluster_head`` first (in SQLite the
whole file), so whatever two processes put in at once, nothing is lost and no cluster is made twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ...contract import TagtraceError
from ..book import Book
from ..ledger import Event, LedgerState, pair, replay
from ..shelf import Cluster, PaintState
from ..sightings import ClusterSettings, Key, Sighting
from . import audit
from . import cluster_rows as rows
from .cluster_shelf import SqlShelf
from .cluster_tables import BundleRow, ClusterEventRow, ClusterRow, ClusterRuleRow, SightingRow
from .database import Store
from .queue_rows import touch

BATCH = 200
"""Sightings put in with one transaction: enough that the database is asked seldom, few enough that others wait only shortly."""
_READ = 1000


@contextmanager
def open_book(session: Session, settings: ClusterSettings | None = None) -> Iterator[Book]:
    """The book of the store in a transaction that writes (``Store.begin``); saved when the block ends well.

    Other writers of the book wait until the transaction ends.
    """
    settings = settings or ClusterSettings()
    shelf = SqlShelf(session, settings)
    yield Book(shelf, settings)
    _touch_queue(shelf)
    shelf.save()


def _touch_queue(shelf: SqlShelf) -> None:
    """Clusters that sightings come into, or leave, stand otherwise in the queue of the experts."""
    held = {number: str(row["cluster"]) for number, row in shelf.stored_bundles.items()}
    moved = [r for r in shelf.records.values() if r.key not in shelf.stored or shelf.stored[r.key][1] != r.bundle]
    clusters = {held[shelf.stored[r.key][1]] for r in moved if r.key in shelf.stored}
    clusters |= {held[number] for number in held if number not in shelf.bundles}
    for number, bundle in shelf.bundles.items():
        if held.get(number, bundle.cluster) != bundle.cluster:
            clusters |= {held[number], bundle.cluster}
    clusters |= {shelf.bundles[record.bundle].cluster for record in moved}
    # Those that were in none until now stood by themselves.
    touch(shelf.session, photos={r.key[0] for r in moved if r.key not in shelf.stored}, clusters=clusters)


def read_book(session: Session, settings: ClusterSettings | None = None) -> Book:
    """The book of the store to ask, or to try changes on that are never saved."""
    settings = settings or ClusterSettings()
    return Book(SqlShelf(session, settings, lock=False), settings)


def put_sightings(
    store: Store, sightings: Sequence[Sighting], *, at: datetime, actor: str, settings: ClusterSettings | None = None
) -> list[Event]:
    """Put sightings in the book, in batches of one transaction each, and return what happened."""
    done: list[Event] = []
    for start in range(0, len(sightings), BATCH):
        batch = sightings[start : start + BATCH]
        done += store.write(lambda session, batch=batch: put_in(session, batch, at=at, actor=actor, settings=settings), actor)  # type: ignore[misc]
    return done


def put_in(
    session: Session, sightings: Sequence[Sighting], *, at: datetime, actor: str, settings: ClusterSettings | None = None
) -> list[Event]:
    """``put_sightings`` in a transaction that does more: other writers of the book wait until it ends."""
    settings = settings or ClusterSettings()
    done: list[Event] = []
    for start in range(0, len(sightings), BATCH):
        batch = sightings[start : start + BATCH]
        shelf = SqlShelf(session, settings)
        shelf.prepare(batch)
        events = Book(shelf, settings).put(batch, at=at, actor=actor)
        _touch_queue(shelf)
        shelf.save()
        if events:
            found = dict(sorted(Counter(str(event.kind) for event in events).items()))
            audit.note(session, "clusters.put", f"events {events[0].number}-{events[-1].number}", found)
        done += events
    return done


def preview_sightings(
    store: Store, sightings: Sequence[Sighting], *, at: datetime, actor: str, settings: ClusterSettings | None = None
) -> list[Event]:
    """What ``put_sightings`` would do, without doing it."""
    with store.read() as session:
        return read_book(session, settings).put(sightings, at=at, actor=actor)


def clusters_of(session: Session, keys: Collection[Key]) -> dict[Key, str]:
    """The clusters of those sightings that the book has."""
    photos = sorted({photo for photo, _ in keys})
    found: dict[Key, str] = {}
    for start in range(0, len(photos), _READ):
        wanted = select(SightingRow.photo, SightingRow.advert, BundleRow.cluster)
        wanted = wanted.join(BundleRow, BundleRow.id == SightingRow.bundle)
        wanted = wanted.where(SightingRow.photo.in_(photos[start : start + _READ]))
        found |= {(photo, advert): cluster for photo, advert, cluster in session.execute(wanted)}
    return {key: found[key] for key in keys if key in found}


def foresee(
    session: Session, sightings: Sequence[Sighting], settings: ClusterSettings | None = None
) -> tuple[dict[Key, str], dict[str, list[Key]]]:
    """The cluster that each sighting would be in if they were put in the book, and all sightings of those clusters.

    Nothing is changed. Memory grows with the number of sightings and with the clusters that they join.
    """
    settings = settings or ClusterSettings()
    shelf = SqlShelf(session, settings, lock=False)
    book = Book(shelf, settings)
    for start in range(0, len(sightings), BATCH):
        batch = sightings[start : start + BATCH]
        shelf.prepare(batch)
        book.put(batch, at=datetime.now(UTC), actor="nobody")
    names = {sighting.key: book.cluster_of(sighting.key) or "" for sighting in sightings}
    members = {name: [sighting.key for sighting in book.sightings(name)] for name in sorted(set(names.values()))}
    return names, members


class _By(TypedDict):
    at: datetime
    actor: str
    why: Sequence[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decides on clusters, when, and why."""

    at: datetime
    by: str
    why: str

    def __post_init__(self) -> None:
        if not self.by.strip() or not self.why.strip():
            raise TagtraceError("a merge or split needs who decided it and why; give both")


def merge_clusters(store: Store, into: str, other: str, decision: Decision, *, dry_run: bool = False) -> list[Event]:
    """Make two clusters one by a person's word; with ``dry_run`` only tell what would happen."""
    return _decide(store, lambda book, by: book.merge(into, other, **by), decision, f"{other} -> {into}", "merge", dry_run)


def split_cluster(store: Store, cluster: str, keys: Collection[Key], decision: Decision, *, dry_run: bool = False) -> list[Event]:
    """Take sightings out of a cluster by a person's word; with ``dry_run`` only tell what would happen."""
    return _decide(store, lambda book, by: book.split(cluster, keys, **by), decision, cluster, "split", dry_run)


def _decide(
    store: Store, do: Callable[[Book, _By], list[Event]], decision: Decision, what: str, action: str, dry_run: bool
) -> list[Event]:
    by: _By = {"at": decision.at, "actor": decision.by, "why": (decision.why,)}

    def change(session: Session) -> list[Event]:
        with open_book(session) as book:
            events = do(book, by)
        audit.note(session, f"clusters.{action}", what, {"why": decision.why, "events": [event.number for event in events]})
        return events

    if dry_run:
        with store.read() as session:
            return do(read_book(session), by)
    return store.write(change, decision.by)


def list_clusters(
    session: Session, *, least: int = 1, state: PaintState | None = None, limit: int | None = None
) -> list[Cluster]:
    """Living clusters of at least so many sightings, the largest first, then the oldest."""
    wanted = select(ClusterRow).where(ClusterRow.into.is_(None), ClusterRow.size >= least)
    if state is not None:
        wanted = wanted.where(ClusterRow.state == str(state))
    wanted = wanted.order_by(ClusterRow.size.desc(), ClusterRow.number).limit(limit)
    return [rows.cluster_from(row) for row in session.scalars(wanted)]


def cluster_events(session: Session, cluster: str | None = None) -> Iterator[Event]:
    """The log, or what it says of one cluster id, the oldest first."""
    wanted = select(ClusterEventRow.__table__).order_by(ClusterEventRow.number)
    if cluster is not None:
        wanted = wanted.where(or_(ClusterEventRow.cluster == cluster, ClusterEventRow.other == cluster))
    for row in session.execute(wanted.execution_options(yield_per=_READ)):
        yield rows.event_from(row)


def last_event(session: Session) -> int:
    """The number of the last event of the log, 0 for an empty one."""
    return session.scalar(select(func.max(ClusterEventRow.number))) or 0


def stored_state(session: Session) -> LedgerState:
    """What the tables say, in the form that replaying the log gives."""
    state = LedgerState(last=last_event(session))
    clusters: dict[str, set[Key]] = defaultdict(set)
    members = select(SightingRow.photo, SightingRow.advert, BundleRow.cluster).join(BundleRow, BundleRow.id == SightingRow.bundle)
    for photo, advert, cluster in session.execute(members.execution_options(yield_per=_READ)):
        clusters[cluster].add((photo, advert))
    state.clusters = dict(clusters)
    for name, into, paint in session.execute(select(ClusterRow.id, ClusterRow.into, ClusterRow.state)):
        if into is not None:
            state.into[name] = into
        elif paint != PaintState.FRESH:
            state.states[name] = paint
    for row in session.execute(select(ClusterRuleRow.__table__)):
        rule = rows.rule_from(row)
        state.rules[pair(rule.a, rule.b)] = rule.same
    return state


def check_log(session: Session) -> list[str]:
    """Replay the log and say in which clusters the tables differ from it; empty when they agree. Memory grows with the log."""
    log, tables = replay(cluster_events(session)), stored_state(session)
    found = []
    for words, ours, theirs in (
        ("sightings", log.clusters, tables.clusters),
        ("where it points", log.into, tables.into),
        ("paint state", log.states, tables.states),
    ):
        names = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
        found += [f"{name}: the log and the tables differ in its {words}" for name in names]
    if log.rules != tables.rules:
        found.append("the log and the tables differ in people's rules")
    living = select(ClusterRow.id, ClusterRow.size).where(ClusterRow.into.is_(None))
    sizes = {name: size for name, size in session.execute(living)}  # noqa: C416 (rows are no pairs to dict)
    wrong = sorted(name for name, keys in tables.clusters.items() if sizes.get(name) != len(keys))
    return found + [f"{name}: its size is not the number of its sightings" for name in wrong]
