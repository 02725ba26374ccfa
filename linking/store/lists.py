"""Lists of the register for people and systems: adverts, clusters, shops, resources, decisions, page by page.

A page begins after an item, not at a number of items, so that nothing is shown twice or left out while others write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, String, and_, cast, exists, func, or_, select
from sqlalchemy.orm import Session

from ...contract import IdentifierKind
from ...inference.identifiers.fold import latin_view
from ..life import ResourceState
from ..shelf import PaintState
from ..sightings import Key
from .cluster_tables import BundleRow, ClusterRow, SightingRow
from .report_tables import ReportPhotoRow
from .tables import (
    AdvertRow,
    AnalysisRow,
    CodeRow,
    DecisionRow,
    IdentifierRow,
    LinkRow,
    PhotoRow,
    ReadingRow,
    ResourceRow,
    ShopRow,
)


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the map, in degrees; west is smaller than east."""

    south: float
    west: float
    north: float
    east: float


@dataclass(frozen=True, slots=True)
class AdvertFilter:
    """What adverts are wanted; what is None does not matter."""

    photo: str | None = None
    report: str | None = None
    cluster: str | None = None
    shop: str | None = None
    kind: IdentifierKind | None = None
    value: str | None = None
    outcome: str | None = None
    reviewed: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    box: Box | None = None


@dataclass(slots=True)
class ListedContact:
    """A contact of a listed advert and how it is linked."""

    kind: str
    value: str
    confidence: float
    flags: list[str]
    outcome: str | None = None
    probability: float | None = None
    shop_id: str | None = None
    resource_id: int | None = None


@dataclass(slots=True)
class ListedAdvert:
    """One advert as a list shows it."""

    id: int
    key: Key
    received_at: datetime
    taken_at: datetime | None
    lat: float | None
    lon: float | None
    width: int
    height: int
    quad: list[Any]
    cluster: str | None
    texts: list[tuple[str, float]] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    contacts: list[ListedContact] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ListedResource:
    """One resource as a list shows it."""

    id: int
    kind: str
    value: str
    state: str
    shop_id: str | None
    shop_name: str
    status: str
    adverts: int


def adverts(session: Session, wanted: AdvertFilter, before: int | None, limit: int) -> list[ListedAdvert]:
    """Adverts of the latest analyses, the newest first."""
    rows: Any = select(AdvertRow, PhotoRow, BundleRow.cluster).join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id)
    rows = rows.join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
    rows = rows.outerjoin(SightingRow, and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number))
    rows = rows.outerjoin(BundleRow, BundleRow.id == SightingRow.bundle).where(AnalysisRow.latest)
    rows = _filtered(rows, wanted)
    if before is not None:
        rows = rows.where(AdvertRow.id < before)
    found = {}
    for row, photo, cluster in session.execute(rows.order_by(AdvertRow.id.desc()).limit(limit)):
        key = (photo.sha256, row.number)
        size = (photo.width, photo.height)
        found[row.id] = ListedAdvert(
            row.id, key, photo.received_at, photo.taken_at, photo.lat, photo.lon, *size, row.quad, cluster
        )
    _fill(session, found)
    return list(found.values())


def _filtered(rows: Select[Any], wanted: AdvertFilter) -> Select[Any]:
    if wanted.photo is not None:
        rows = rows.where(PhotoRow.sha256 == wanted.photo)
    if wanted.report is not None:
        rows = rows.where(exists().where(ReportPhotoRow.report_id == wanted.report, ReportPhotoRow.sha256 == PhotoRow.sha256))
    if wanted.cluster is not None:
        rows = rows.where(BundleRow.cluster == wanted.cluster)
    if wanted.since is not None:
        rows = rows.where(PhotoRow.received_at >= wanted.since)
    if wanted.until is not None:
        rows = rows.where(PhotoRow.received_at < wanted.until)
    if wanted.box is not None:
        rows = rows.where(*_inside(wanted.box))
    if wanted.reviewed is not None:
        rows = rows.where(AdvertRow.decision_id.is_not(None) if wanted.reviewed else AdvertRow.decision_id.is_(None))
    return _showing(rows, wanted)


def _showing(rows: Select[Any], wanted: AdvertFilter) -> Select[Any]:
    """Those with a contact that is as wanted in every respect."""
    inner = [IdentifierRow.advert_id == AdvertRow.id]
    if wanted.kind is not None:
        inner.append(IdentifierRow.kind == wanted.kind)
    if wanted.value is not None:
        inner.append(or_(IdentifierRow.value == wanted.value, ResourceRow.value == wanted.value))
    if wanted.shop is not None:
        inner.append(or_(LinkRow.shop_id == wanted.shop, ResourceRow.shop_id == wanted.shop))
    if wanted.outcome is not None:
        inner.append(LinkRow.outcome == wanted.outcome)
    if len(inner) > 1:
        shown = select(IdentifierRow.id).outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
        shown = shown.outerjoin(ResourceRow, ResourceRow.id == LinkRow.resource_id).where(*inner).correlate(AdvertRow)
        rows = rows.where(shown.exists())
    return rows


def _inside(box: Box) -> tuple[Any, ...]:
    return (PhotoRow.lat.between(box.south, box.north), PhotoRow.lon.between(box.west, box.east))


def _fill(session: Session, found: dict[int, ListedAdvert]) -> None:
    """Texts, codes and contacts of listed adverts."""
    ids = list(found)
    texts = select(ReadingRow.advert_id, ReadingRow.text, ReadingRow.confidence).where(ReadingRow.advert_id.in_(ids))
    for number, text, confidence in session.execute(texts.order_by(ReadingRow.advert_id, ReadingRow.number)):
        found[number].texts.append((text, confidence))
    codes = select(CodeRow.advert_id, CodeRow.payload).where(CodeRow.advert_id.in_(ids))
    for number, payload in session.execute(codes.order_by(CodeRow.advert_id, CodeRow.number)):
        found[number].codes.append(payload)
    contacts = select(IdentifierRow, LinkRow, ResourceRow.id).outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
    own = and_(ResourceRow.kind == IdentifierRow.kind, ResourceRow.value == IdentifierRow.value)
    contacts = contacts.outerjoin(ResourceRow, own).where(IdentifierRow.advert_id.in_(ids))
    for item, link, resource in session.execute(contacts.order_by(IdentifierRow.advert_id, IdentifierRow.number)):
        shown = ListedContact(item.kind, item.value, item.confidence, list(item.flags), resource_id=resource)
        if link is not None:
            shown.outcome, shown.probability, shown.shop_id = link.outcome, link.probability, link.shop_id
            shown.resource_id = link.resource_id or resource
        found[item.advert_id].contacts.append(shown)


def clusters(
    session: Session,
    *,
    state: PaintState | None,
    least: int,
    since: datetime | None,
    box: Box | None,
    after: int | None,
    limit: int,
) -> list[ClusterRow]:
    """Living clusters by age. ``since``: seen since then; ``box``: with a sighting there."""
    rows = select(ClusterRow).where(ClusterRow.into.is_(None), ClusterRow.size >= least)
    if state is not None:
        rows = rows.where(ClusterRow.state == str(state))
    if since is not None:
        rows = rows.where(ClusterRow.last_seen >= since)
    if box is not None:
        there = (
            select(SightingRow.id).join(BundleRow, BundleRow.id == SightingRow.bundle).where(BundleRow.cluster == ClusterRow.id)
        )
        there = there.where(SightingRow.lat.between(box.south, box.north), SightingRow.lon.between(box.west, box.east))
        rows = rows.where(there.correlate(ClusterRow).exists())
    if after is not None:
        rows = rows.where(ClusterRow.number > after)
    return list(session.scalars(rows.order_by(ClusterRow.number).limit(limit)))


def shops(session: Session, text: str | None, after: str | None, limit: int) -> list[tuple[str, str, int]]:
    """Living shops by id: id, name, number of resources. ``text`` is a part of the id, the name or a resource."""
    held = select(func.count()).select_from(ResourceRow).where(ResourceRow.shop_id == ShopRow.id).scalar_subquery()
    rows = select(ShopRow.id, ShopRow.name, held).where(ShopRow.redirect.is_(None))
    if text:
        has = select(ResourceRow.id).where(ResourceRow.shop_id == ShopRow.id, _contains(text)).correlate(ShopRow).exists()
        rows = rows.where(or_(ShopRow.id.contains(text, autoescape=True), ShopRow.name.icontains(text, autoescape=True), has))
    if after is not None:
        rows = rows.where(ShopRow.id > after)
    return [(number, name, count) for number, name, count in session.execute(rows.order_by(ShopRow.id).limit(limit))]


def resources(
    session: Session,
    *,
    states: Sequence[ResourceState],
    kind: IdentifierKind | None,
    shop: str | None,
    text: str | None,
    number: int | None = None,
    after: int | None,
    limit: int,
) -> list[ListedResource]:
    """Resources by number, each with the number of adverts of latest analyses that show or mean it."""
    shown = select(func.count(func.distinct(IdentifierRow.advert_id))).select_from(IdentifierRow)
    shown = shown.join(AdvertRow, AdvertRow.id == IdentifierRow.advert_id).join(
        AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id
    )
    shown = shown.where(
        AnalysisRow.latest, IdentifierRow.kind == ResourceRow.kind, IdentifierRow.value == ResourceRow.value
    ).correlate(ResourceRow)
    rows = select(ResourceRow, ShopRow.name, shown.scalar_subquery()).outerjoin(ShopRow, ShopRow.id == ResourceRow.shop_id)
    if states:
        rows = rows.where(ResourceRow.state.in_(states))
    if kind is not None:
        rows = rows.where(ResourceRow.kind == kind)
    if shop is not None:
        rows = rows.where(ResourceRow.shop_id == shop)
    if text:
        rows = rows.where(_contains(text))
    if number is not None:
        rows = rows.where(ResourceRow.id == number)
    if after is not None:
        rows = rows.where(ResourceRow.id > after)
    return [
        ListedResource(row.id, row.kind, row.value, row.state, row.shop_id, name or "", row.status, count)
        for row, name, count in session.execute(rows.order_by(ResourceRow.id).limit(limit))
    ]


def decisions(
    session: Session,
    *,
    subject: str | None,
    verdict: str | None,
    actor: str | None,
    photo: str | None,
    before: int | None,
    limit: int,
) -> list[DecisionRow]:
    """Decisions, the newest first."""
    rows = select(DecisionRow)
    given = (
        (DecisionRow.subject, subject),
        (DecisionRow.verdict, verdict),
        (DecisionRow.actor, actor),
        (DecisionRow.photo_sha256, photo),
    )
    for column, value in given:
        if value is not None:
            rows = rows.where(column == value)
    if before is not None:
        rows = rows.where(DecisionRow.id < before)
    return list(session.scalars(rows.order_by(DecisionRow.id.desc()).limit(limit)))


def find_resource(session: Session, number: int) -> ResourceRow | None:
    """A resource by its number."""
    return session.get(ResourceRow, number)


def photo(session: Session, sha256: str) -> PhotoRow | None:
    """A photo by its SHA-256."""
    return session.scalars(select(PhotoRow).where(PhotoRow.sha256 == sha256)).one_or_none()


def _contains(text: str) -> Any:
    """Whether a resource's value has a part that is or looks like ``text``: Cyrillic look-alikes count as Latin."""
    value = func.lower(cast(ResourceRow.value, String))
    looks = {text.lower(), text.strip().lower().lstrip("@"), latin_view(text)}
    return or_(*(value.contains(look, autoescape=True) for look in sorted(looks) if look))
