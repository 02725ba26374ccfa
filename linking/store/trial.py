"""A trial of a store's book: a copy in a file of its own, in which sightings are put to see where they would belong.

``clusters.foresee`` does the same in memory. An archive of millions wants a file: the trial takes sightings batch by batch, each
batch a transaction, and the store itself stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ..book import Book
from ..bundles import Groups
from ..sightings import ClusterSettings, Key, Sighting, Traced
from .cluster_rows import record_from
from .cluster_shelf import SqlShelf
from .cluster_tables import (
    BundleRow,
    ClusterHeadRow,
    ClusterRow,
    ClusterRuleRow,
    SightingBandRow,
    SightingFeaturesRow,
    SightingLookRow,
    SightingRow,
)
from .database import Store
from .upserts import in_parts, insert_many

_COPIED = 500
"""Rows copied at once."""
_SHELF = 1000
"""Sightings put with one look at the tables."""


def copy_book(store: Store, trial: Store) -> int:
    """Copy the sightings, clusters and rules of a store into an empty one; gives the number of sightings. The log is left out.

    A copy that is broken off leaves some of it: begin again with an empty one.
    """
    count = 0
    with store.read() as session:
        for made in (ClusterRow, BundleRow, SightingRow, SightingLookRow, SightingBandRow, SightingFeaturesRow, ClusterRuleRow):
            wanted: Any = select(*made.__table__.columns)
            if made is ClusterRow:
                # A merged cluster leads to an older one, which has to be there first.
                wanted = wanted.order_by(ClusterRow.number)
            for part in session.execute(wanted.execution_options(yield_per=_COPIED)).partitions():
                rows = [dict(row._mapping) for row in part]
                count += len(rows) if made is SightingRow else 0
                with trial.begin() as writing:
                    insert_many(writing, made, rows)
        head = session.execute(select(ClusterHeadRow)).scalar_one()
        numbers = {name: getattr(head, name) for name in ("sighting", "bundle", "cluster", "event")}
    with trial.begin() as writing:
        writing.execute(update(ClusterHeadRow).values(**numbers))
    return count


def put_on_trial(session: Session, sightings: Sequence[Sighting], settings: ClusterSettings) -> None:
    """Put sightings in the book of a trial; nobody's queue and no audit log is concerned."""
    for start in range(0, len(sightings), _SHELF):
        part = sightings[start : start + _SHELF]
        shelf = SqlShelf(session, settings)
        shelf.prepare(part)
        Book(shelf, settings, explained=False).put(part, at=datetime.now(UTC), actor="trial")
        shelf.save()
        session.flush()


def light_sightings(session: Session, photos: Container[str], settings: ClusterSettings) -> tuple[list[Traced], Groups]:
    """The sightings of some photos by key, without words, pictures and what contacts may be instead, and their clusters.

    A kilobyte or two for each: enough for ``clusters.placements``.
    """
    items, names = [], []
    wanted: Any = select(SightingRow, BundleRow.cluster).join(BundleRow, BundleRow.id == SightingRow.bundle)
    wanted = wanted.order_by(SightingRow.photo, SightingRow.advert).execution_options(yield_per=_COPIED)
    for row, cluster in session.execute(wanted):
        if row.photo in photos:
            seen = record_from(row, settings).traced
            contacts = tuple(replace(item, alternatives=(), raw="") for item in seen.sighting.identifiers)
            items.append(replace(seen, sighting=replace(seen.sighting, identifiers=contacts)))
            names.append(cluster)
    walls, first = Groups(len(names)), dict[str, int]()
    for number, name in enumerate(names):
        walls.join(number, first.setdefault(name, number))
    return items, walls


def members_of(session: Session, clusters: Collection[str]) -> dict[str, list[Key]]:
    """The sightings of living clusters, by key; clusters without any are left out."""
    found: dict[str, list[Key]] = defaultdict(list)
    wanted: Any = select(BundleRow.cluster, SightingRow.photo, SightingRow.advert)
    wanted = wanted.join(SightingRow, SightingRow.bundle == BundleRow.id)
    for names in in_parts(sorted(clusters)):
        for cluster, photo, advert in session.execute(wanted.where(BundleRow.cluster.in_(names))):
            found[cluster].append((photo, advert))
    return {cluster: sorted(keys) for cluster, keys in found.items()}
