"""Loading many settled sightings at once, as a copy of a book or a benchmark does; nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from ...contract import TagtraceError
from ..ledger import Event
from ..shelf import Bundle, Cluster, Record
from . import cluster_rows as rows
from .cluster_tables import (
    BundleRow,
    ClusterEventRow,
    ClusterHeadRow,
    ClusterRow,
    SightingBandRow,
    SightingFeaturesRow,
    SightingLookRow,
    SightingRow,
)
from .database import Store
from .upserts import insert_many


@dataclass(slots=True)
class Settled:
    """Sightings with the bundles, clusters and events that a book would have made of them, numbered on from the store's last."""

    records: list[Record] = field(default_factory=list)
    bundles: list[Bundle] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def last_numbers(session: Session) -> dict[str, int]:
    """The last numbers given out in the store, of ``sighting``, ``bundle``, ``cluster`` and ``event``."""
    head = session.execute(select(ClusterHeadRow)).scalar_one()
    return {name: getattr(head, name) for name in ("sighting", "bundle", "cluster", "event")}


def load_settled(store: Store, part: Settled) -> None:
    """Add settled sightings in one transaction (PostgreSQL: COPY). ``TagtraceError`` where their numbers do not go on."""
    with store.begin() as session:
        session.execute(select(ClusterHeadRow).with_for_update())
        last = last_numbers(session)
        if part.records and part.records[0].number != last["sighting"] + 1:
            raise TagtraceError(f"{store.name}: other sightings came in meanwhile; load into a store that nobody else writes to")
        looks = [row for record in part.records for row in rows.look_rows(record)]
        bands = [row for record in part.records for row in rows.band_rows(record)]
        features = [row for record in part.records for row in rows.feature_rows(record)]
        for made, added in (
            (ClusterRow, [rows.cluster_row(cluster) for cluster in part.clusters]),
            (BundleRow, [rows.bundle_row(bundle) for bundle in part.bundles]),
            (SightingRow, [rows.sighting_row(record) for record in part.records]),
            (SightingLookRow, looks),
            (SightingBandRow, bands),
            (SightingFeaturesRow, features),
            (ClusterEventRow, [rows.event_row(event) for event in part.events]),
        ):
            insert_many(session, made, added)
        counts = {
            "sighting": len(part.records),
            "bundle": len(part.bundles),
            "cluster": len(part.clusters),
            "event": len(part.events),
        }
        session.execute(update(ClusterHeadRow).values({name: last[name] + added for name, added in counts.items()}))


def tidy(store: Store) -> None:
    """Let the database do now what it owes after a bulk load: count its rows, which it plans by, and PostgreSQL its vacuum."""
    if not store.is_postgresql:
        with store.begin() as session:
            session.execute(text("ANALYZE"))
        return
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE)"))


def bytes_held(store: Store) -> int:
    """What the store takes on the disk, with its indexes; in SQLite what is in use of its file."""
    with store.read() as session:
        if store.is_postgresql:
            return int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)
        pages, free = (int(session.scalar(text(f"PRAGMA {name}")) or 0) for name in ("page_count", "freelist_count"))
        return (pages - free) * int(session.scalar(text("PRAGMA page_size")) or 0)


def count_sightings(session: Session) -> int:
    """The number of sightings in the book."""
    return session.scalar(select(func.count()).select_from(SightingRow)) or 0
