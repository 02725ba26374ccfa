"""Stencils in the store: found as sightings come, kept under ids that stay, shown with the clusters that they were sprayed in.

Pictures are compared outside of any transaction that writes, so that nobody waits for them. A match of two pictures is a fact
about them and is kept; which clusters have the stencil follows from where their sightings are, whatever people merge or split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session

from ..sightings import ClusterSettings, Contact, Key
from ..stencils import StencilSettings, same_lettering
from . import audit
from . import cluster_rows as rows
from .cluster_shelf import SqlShelf
from .cluster_tables import (
    BundleRow,
    ClusterHeadRow,
    SightingFeaturesRow,
    SightingLookRow,
    SightingRow,
    SightingStencilRow,
    StencilRow,
)
from .database import Store
from .upserts import in_parts, insert_missing

T = TypeVar("T")
_BATCH = 50
_NOWHERE = 0
"""Stands for the place of a sighting that has none (``cluster_rows.slot``)."""


@dataclass(frozen=True, slots=True)
class Stencil:
    """One lettering and the living clusters that it was sprayed in: two at least."""

    id: str
    clusters: tuple[str, ...]


def keep_stencils(
    store: Store,
    keys: Collection[Key],
    settings: StencilSettings | None = None,
    clusters: ClusterSettings | None = None,
    actor: str = "",
) -> int:
    """Compare sightings that are in the book with those of other clusters that show a contact which looks the same, and write
    down what was sprayed with one stencil; gives the number of matches.

    The order of ``keys`` does not matter. Of every cluster the sighting with the largest picture features speaks.
    """
    settings, clusters = settings or StencilSettings(), clusters or ClusterSettings()
    wanted, count = sorted(set(keys)), 0
    for start in range(0, len(wanted), _BATCH):
        with store.read() as session:
            look = _Look(session, settings, clusters)
            pairs = [pair for key in wanted[start : start + _BATCH] for pair in look.matches(key)]
        if pairs:
            store.write(lambda session, found=pairs: _write(session, found), actor)  # type: ignore[misc]
        count += len(pairs)
    return count


def pictured_keys(session: Session) -> list[Key]:
    """Every sighting of the book that has picture features."""
    found = select(SightingRow.photo, SightingRow.advert).where(SightingRow.pictured > 0).order_by(SightingRow.id)
    return [(photo, advert) for photo, advert in session.execute(found)]


def stencils_of(session: Session, clusters: Collection[str]) -> dict[str, list[Stencil]]:
    """The stencils of some living clusters, with all clusters that each was sprayed in; clusters without one are left out."""
    names: set[str] = set()
    for part in in_parts(sorted(clusters)):
        names.update(session.scalars(_labels(SightingStencilRow.stencil).where(BundleRow.cluster.in_(part)).distinct()))
    found: dict[str, list[Stencil]] = defaultdict(list)
    for stencil in list_stencils(session, names):
        for cluster in stencil.clusters:
            if cluster in clusters:
                found[cluster].append(stencil)
    return dict(found)


def list_stencils(session: Session, names: Collection[str] | None = None) -> list[Stencil]:
    """The stencils of several living clusters (those with these ids, or all), the oldest first."""
    sprayed: dict[str, set[str]] = defaultdict(set)
    order: dict[str, int] = {}
    wanted = _labels(SightingStencilRow.stencil, BundleRow.cluster, StencilRow.number).distinct()
    wanted = wanted.join(StencilRow, StencilRow.id == SightingStencilRow.stencil)
    parts = [wanted] if names is None else [wanted.where(SightingStencilRow.stencil.in_(p)) for p in in_parts(sorted(names))]
    for stencil, cluster, number in (row for part in parts for row in session.execute(part)):
        sprayed[stencil].add(cluster)
        order[stencil] = number
    return [
        Stencil(name, tuple(sorted(sprayed[name]))) for name in sorted(sprayed, key=order.__getitem__) if len(sprayed[name]) > 1
    ]


def _labels(*columns: Any) -> Select[Any]:
    """The sightings that have a stencil, with their bundles."""
    found = select(*columns).select_from(SightingStencilRow).join(SightingRow, SightingRow.id == SightingStencilRow.sighting)
    return found.join(BundleRow, BundleRow.id == SightingRow.bundle)


class _Look:
    """Finds what to compare a sighting with, in one transaction that only reads."""

    def __init__(self, session: Session, settings: StencilSettings, clusters: ClusterSettings) -> None:
        self.session = session
        self.settings = settings
        self.shelf = SqlShelf(session, clusters, lock=False)
        self._compared: set[frozenset[int]] = set()

    def matches(self, key: Key) -> Iterator[tuple[int, int]]:
        """Numbers of sightings (this one first) that show one lettering."""
        record = self.shelf.record(key)
        if record is None or not record.evidence.looks:
            return
        own = self.shelf.bundle(record.bundle).cluster
        speakers = self._speakers([own, *self._clusters(record.evidence.looks, own)])
        if speakers.get(own) != key:
            return
        found = [self.shelf.record(other) for _, other in sorted(speakers.items())]
        records = [other for other in found if other is not None]
        self.shelf.complete(records)
        features = record.traced.sighting.features
        for other in records:
            pair = frozenset((record.number, other.number))
            theirs = other.traced.sighting.features if other is not record and pair not in self._compared else None
            self._compared.add(pair)
            if features is not None and theirs is not None and same_lettering(features, theirs):
                yield record.number, other.number

    def _clusters(self, looks: Collection[Contact], own: str) -> list[str]:
        """Other clusters that show one of the looks: one of each known stencil, and the newest without one."""
        walls = [rows.wall(look) for look in looks]
        slots = [rows.slot(look, _NOWHERE) for look in looks]
        shown = select(BundleRow.cluster, func.max(SightingRow.id)).select_from(SightingLookRow)
        shown = shown.join(SightingRow, SightingRow.id == SightingLookRow.sighting).join(
            BundleRow, BundleRow.id == SightingRow.bundle
        )
        shown = shown.where(or_(SightingLookRow.wall.in_(walls), SightingLookRow.slot.in_(slots)), BundleRow.cluster != own)
        newest = {cluster: number for cluster, number in self.session.execute(shown.group_by(BundleRow.cluster))}  # noqa: C416
        first: dict[str, str] = {}
        known: set[str] = set()
        for part in in_parts(sorted(newest)):
            labels = _labels(BundleRow.cluster, SightingStencilRow.stencil).where(BundleRow.cluster.in_(part)).distinct()
            for cluster, stencil in self.session.execute(labels):
                known.add(cluster)
                first[stencil] = min(first.get(stencil, cluster), cluster, key=lambda name: (newest[name], name))
        fresh = sorted((name for name in newest if name not in known), key=lambda name: (-newest[name], name))
        return [*sorted(set(first.values())), *fresh][: self.settings.most_compared]

    def _speakers(self, clusters: Sequence[str]) -> dict[str, Key]:
        """Of each cluster the sighting with the largest picture features."""
        size = func.length(SightingFeaturesRow.features)
        wanted = select(BundleRow.cluster, SightingRow.photo, SightingRow.advert, size)
        wanted = wanted.join(SightingRow, SightingRow.bundle == BundleRow.id)
        wanted = wanted.join(SightingFeaturesRow, SightingFeaturesRow.sighting == SightingRow.id)
        best: dict[str, tuple[int, Key]] = {}
        for cluster, photo, advert, length in self.session.execute(wanted.where(BundleRow.cluster.in_(clusters))):
            best[cluster] = min(best.get(cluster, (0, (photo, advert))), (-length, (photo, advert)))
        return {cluster: key for cluster, (_, key) in best.items()}


def _write(session: Session, pairs: Sequence[tuple[int, int]]) -> None:
    """Give the sightings of each pair one stencil: a new one, that of either, or the older of two, to which the other leads."""
    # One writer at a time: two of them would make two stencils of one.
    session.execute(select(ClusterHeadRow.id).with_for_update())
    numbers = sorted({number for pair in pairs for number in pair})
    held: dict[int, str] = {}
    for part in in_parts(numbers):
        labels = select(SightingStencilRow.sighting, SightingStencilRow.stencil).where(SightingStencilRow.sighting.in_(part))
        held |= {sighting: stencil for sighting, stencil in session.execute(labels)}  # noqa: C416
    made = []
    for a, b in pairs:
        known = {held[number] for number in (a, b) if number in held}
        if not known:
            name = _new_stencil(session, min(a, b))
            made.append(name)
        elif len(known) == 1:
            name = next(iter(known))
        else:
            name = _merge(session, sorted(known))
            held = {number: name if stencil in known else stencil for number, stencil in held.items()}
        insert_missing(session, SightingStencilRow, [{"sighting": number, "stencil": name} for number in sorted((a, b))])
        held |= {a: name, b: name}
    audit.note(session, "stencils.put", f"{len(numbers)} sightings", {"new": made, "matches": len(pairs)})


def _new_stencil(session: Session, sighting: int) -> str:
    photo, advert = session.execute(select(SightingRow.photo, SightingRow.advert).where(SightingRow.id == sighting)).one()
    name = f"t{photo[:12]}-{advert}"
    session.add(StencilRow(id=name, number=sighting, made_at=datetime.now(UTC)))
    session.flush()
    return name


def _merge(session: Session, names: Sequence[str]) -> str:
    """Make stencils one; the oldest id stays and the others lead to it."""
    order = select(StencilRow.id).where(StencilRow.id.in_(names)).order_by(StencilRow.number)
    kept, *gone = session.scalars(order)
    session.execute(update(SightingStencilRow).where(SightingStencilRow.stencil.in_(gone)).values(stencil=kept))
    session.execute(update(StencilRow).where(or_(StencilRow.id.in_(gone), StencilRow.into.in_(gone))).values(into=kept))
    session.expire_all()
    return kept
