"""What goes out for blocking: verified resources, each checked again, in one place for every format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from ...contract import IdentifierKind, TagtraceError
from ..life import ResourceState
from ..targets import Target, target_of
from .cluster_tables import BundleRow, SightingRow
from .protection import load_protection
from .tables import AdvertRow, AnalysisRow, IdentifierRow, LinkRow, PhotoRow, ResourceEventRow, ResourceRow

EXPORTABLE = (ResourceState.VERIFIED, ResourceState.SENT, ResourceState.BLOCKED)
"""States of resources that an expert has verified and that nobody has taken back."""
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Exported:
    """One resource for the blocking system. Nothing in it is about a reporter or a report."""

    id: int
    target: Target
    state: str
    shop_id: str | None
    verified_at: datetime
    verified_by: str
    state_at: datetime
    basis: str
    order_number: str
    adverts: int
    first_seen: datetime | None
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an exported resource was seen."""

    resource_id: int
    cluster: str
    lat: float
    lon: float
    first_seen: datetime | None
    last_seen: datetime | None
    sightings: int


def exported(session: Session, states: Collection[ResourceState] = (ResourceState.VERIFIED,)) -> Iterator[Exported]:
    """The resources of these states, by number. Left out: what is protected, and what has no exact target.

    Raises ``TagtraceError`` for a state that resources are never exported in.
    """
    wrong = sorted(set(states) - set(EXPORTABLE))
    if wrong or not states:
        raise TagtraceError(f"{', '.join(wrong) or 'no state'}: only {', '.join(EXPORTABLE)} resources are exported")
    protection, last = load_protection(session), 0
    while True:
        rows = select(ResourceRow).where(ResourceRow.state.in_(sorted(states)), ResourceRow.id > last)
        part = list(session.scalars(rows.order_by(ResourceRow.id).limit(_BATCH)))
        if not part:
            return
        last = part[-1].id
        kept = []
        for row in part:
            kind = IdentifierKind(row.kind)
            target = target_of(kind, row.value)
            if target is not None and not protection.covers(kind, row.value):
                kept.append((row, target))
        yield from _with_facts(session, kept)


def places(session: Session, resources: Collection[int]) -> Iterator[Place]:
    """Where these resources were seen: one place for each cluster, or for each advert that is in none."""
    numbers = sorted(resources)
    for start in range(0, len(numbers), 500):
        part = numbers[start : start + 500]
        shown = _shown(part)
        rows = select(
            shown.c.resource_id,
            BundleRow.cluster,
            func.avg(PhotoRow.lat),
            func.avg(PhotoRow.lon),
            func.min(func.coalesce(PhotoRow.taken_at, PhotoRow.received_at)),
            func.max(func.coalesce(PhotoRow.taken_at, PhotoRow.received_at)),
            func.count(func.distinct(AdvertRow.id)),
        )
        rows = rows.select_from(shown).join(AdvertRow, AdvertRow.id == shown.c.advert_id)
        rows = rows.join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id).join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
        here = and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number)
        rows = rows.outerjoin(SightingRow, here).outerjoin(BundleRow, BundleRow.id == SightingRow.bundle)
        rows = rows.where(AnalysisRow.latest, PhotoRow.lat.is_not(None), PhotoRow.lon.is_not(None))
        alone = func.coalesce(BundleRow.cluster, PhotoRow.sha256)
        rows = rows.group_by(shown.c.resource_id, BundleRow.cluster, alone).order_by(shown.c.resource_id, alone)
        for number, cluster, lat, lon, first, final, count in session.execute(rows):
            yield Place(number, cluster or "", float(lat), float(lon), first, final, count)


def _with_facts(session: Session, kept: list[tuple[ResourceRow, Target]]) -> Iterator[Exported]:
    numbers = [row.id for row, _ in kept]
    steps: dict[int, list[ResourceEventRow]] = defaultdict(list)
    rows = select(ResourceEventRow).where(ResourceEventRow.resource_id.in_(numbers)).order_by(ResourceEventRow.id)
    for event in session.scalars(rows):
        steps[event.resource_id].append(event)
    seen = _seen(session, numbers)
    for row, target in kept:
        verified = next((e for e in reversed(steps[row.id]) if e.to_state == ResourceState.VERIFIED), None)
        if verified is None:
            # Says verified without anybody having said so: not ours to send.
            continue
        last = steps[row.id][-1]
        adverts, first, final = seen.get(row.id, (0, None, None))
        yield Exported(
            row.id,
            target,
            row.state,
            row.shop_id,
            verified.at,
            verified.actor,
            last.at,
            last.basis,
            last.order_number,
            adverts,
            first,
            final,
        )


def _seen(session: Session, numbers: list[int]) -> Mapping[int, tuple[int, datetime | None, datetime | None]]:
    found: dict[int, tuple[int, datetime | None, datetime | None]] = {}
    for start in range(0, len(numbers), 500):
        shown = _shown(numbers[start : start + 500])
        at = func.coalesce(PhotoRow.taken_at, PhotoRow.received_at)
        rows = select(shown.c.resource_id, func.count(func.distinct(AdvertRow.id)), func.min(at), func.max(at))
        rows = rows.select_from(shown).join(AdvertRow, AdvertRow.id == shown.c.advert_id)
        rows = rows.join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id).join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
        rows = rows.where(AnalysisRow.latest).group_by(shown.c.resource_id)
        found |= {number: (count, first, last) for number, count, first, last in session.execute(rows)}
    return found


def _shown(numbers: list[int]):  # type: ignore[no-untyped-def]
    """Which adverts show which of these resources, by their value or by a link that says so."""
    own = and_(ResourceRow.kind == IdentifierRow.kind, ResourceRow.value == IdentifierRow.value)
    linked = and_(LinkRow.resource_id == ResourceRow.id, LinkRow.outcome.in_(("same", "misread")))
    rows = select(ResourceRow.id.label("resource_id"), IdentifierRow.advert_id).select_from(IdentifierRow)
    rows = rows.outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id).join(ResourceRow, or_(own, linked))
    return rows.where(ResourceRow.id.in_(numbers)).distinct().subquery()
