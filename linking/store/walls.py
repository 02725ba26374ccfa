"""What the adverts in the store show together: for the graph of a shop, and for proposing shops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from ...contract import Flag, IdentifierKind
from ..graph import SeenAdvert
from ..growth import Growth, GrowthSettings, propose_shops
from .cluster_tables import BundleRow, SightingRow
from .decisions import confirmed_siblings
from .protection import load_protection
from .stencils import stencils_of
from .tables import AdvertRow, AnalysisRow, IdentifierRow, LinkRow, PhotoRow, ResourceRow

Contact = tuple[IdentifierKind, str]
_LEFT_OUT = frozenset({Flag.PROTECTED.value, Flag.UNSURE.value})
_BATCH = 5000
_MOST_VALUES = 5000


def seen_adverts(session: Session, adverts: Collection[int] | None = None) -> Iterator[SeenAdvert]:
    """The adverts of the latest analyses (those with these numbers, or all), with what each shows; unsure and protected
    contacts are left out, and a misread counts as what it is a misread of."""
    protection = load_protection(session)
    rows = (
        select(
            AdvertRow.id,
            PhotoRow.sha256,
            AdvertRow.number,
            BundleRow.cluster,
            IdentifierRow.kind,
            IdentifierRow.value,
            IdentifierRow.flags,
            LinkRow.outcome,
            ResourceRow.kind,
            ResourceRow.value,
        )
        .join(AdvertRow, AdvertRow.id == IdentifierRow.advert_id)
        .join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id)
        .join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
        .outerjoin(SightingRow, and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number))
        .outerjoin(BundleRow, BundleRow.id == SightingRow.bundle)
        .outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
        .outerjoin(ResourceRow, ResourceRow.id == LinkRow.resource_id)
        .where(AnalysisRow.latest)
        .order_by(AdvertRow.id, IdentifierRow.number)
    )
    if adverts is not None:
        rows = rows.where(AdvertRow.id.in_(adverts))
    current, name, cluster, contacts = None, "", "", set[Contact]()
    for row in session.execute(rows.execution_options(yield_per=_BATCH)):
        number, sha256, place, found, kind, value, flags, outcome, other_kind, other = row
        if number != current:
            if current is not None:
                yield SeenAdvert(name, cluster, tuple(sorted(contacts)))
            current, name, cluster, contacts = number, f"{sha256}/{place}", found or "", set()
        misread = outcome == "misread" and other_kind is not None and other is not None
        contact = (IdentifierKind(other_kind), str(other)) if misread else (IdentifierKind(kind), value)
        if not _LEFT_OUT & set(map(str, flags)) and not protection.covers(*contact):
            contacts.add(contact)
    if current is not None:
        yield SeenAdvert(name, cluster, tuple(sorted(contacts)))


def adverts_of_shop(session: Session, shop_id: str, limit: int) -> list[SeenAdvert]:
    """The adverts that show a resource of a shop, or were linked to it, and those sprayed with the same stencils elsewhere: at
    most ``limit``, the newest first found."""
    numbers = (
        select(IdentifierRow.advert_id)
        .join(AdvertRow, AdvertRow.id == IdentifierRow.advert_id)
        .join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id)
        .outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
        .outerjoin(ResourceRow, and_(ResourceRow.kind == IdentifierRow.kind, ResourceRow.value == IdentifierRow.value))
        .where(AnalysisRow.latest, (LinkRow.shop_id == shop_id) | (ResourceRow.shop_id == shop_id))
        .distinct()
        .order_by(IdentifierRow.advert_id.desc())
        .limit(limit)
    )
    found = {advert.name: advert for advert in seen_adverts(session, list(session.scalars(numbers)))}
    stencils = stencils_of(session, {advert.cluster for advert in found.values()})
    beside = {cluster for held in stencils.values() for stencil in held for cluster in stencil.clusters} - set(stencils)
    if beside and len(found) < limit:
        others = select(AdvertRow.id).join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id)
        others = others.join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
        others = others.join(SightingRow, and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number))
        others = others.join(BundleRow, BundleRow.id == SightingRow.bundle)
        others = others.where(AnalysisRow.latest, BundleRow.cluster.in_(sorted(beside)[:_MOST_VALUES]))
        numbers = others.order_by(AdvertRow.id.desc()).limit(limit - len(found))
        found |= {advert.name: advert for advert in seen_adverts(session, list(session.scalars(numbers)))}
        stencils |= stencils_of(session, beside)
    return [
        replace(advert, stencil=stencils[advert.cluster][0].id) if advert.cluster in stencils else advert
        for advert in found.values()
    ]


def owners_of(session: Session, contacts: Collection[Contact]) -> dict[Contact, str]:
    """The shops of those contacts that are a shop's."""
    by_kind: dict[IdentifierKind, list[str]] = defaultdict(list)
    for kind, value in sorted(set(contacts)):
        by_kind[kind].append(value)
    found: dict[Contact, str] = {}
    for kind, values in by_kind.items():
        for start in range(0, len(values), _MOST_VALUES):
            rows = select(ResourceRow.value, ResourceRow.shop_id).where(
                ResourceRow.kind == kind,
                ResourceRow.value.in_(values[start : start + _MOST_VALUES]),
                ResourceRow.shop_id.is_not(None),
            )
            found |= {(kind, row.value): str(row.shop_id) for row in session.execute(rows)}
    return found


def grow(session: Session, settings: GrowthSettings | None = None) -> Growth:
    """What ``growth.propose_shops`` makes of the store: adverts of one cluster count once, confirmed siblings count too."""
    walls: dict[str, set[Contact]] = defaultdict(set)
    for advert in seen_adverts(session):
        walls[advert.cluster or advert.name].update(advert.contacts)
    siblings = list(confirmed_siblings(session))
    named = {contact for contacts in walls.values() for contact in contacts} | {c for pair in siblings for c in pair}
    return propose_shops([tuple(contacts) for contacts in walls.values()], owners_of(session, named), siblings, settings)
