"""Sightings for people: where and when adverts were seen, what they show, and which others may be the same. Read only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import h3
from sqlalchemy import Select, and_, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session

from ...contract import IdentifierKind
from ...inference.identifiers.fold import latin_view
from ..features import AdvertFeatures
from ..sightings import Key, Sighting
from .cluster_rows import with_features
from .cluster_tables import BundleRow, ClusterRow, SightingFeaturesRow, SightingRow
from .tables import AdvertRow, AnalysisRow, DecisionRow, IdentifierRow, LinkRow, PhotoRow, ReadingRow, ResourceRow

Contact = tuple[IdentifierKind, str]
_MOST_IN = 400


@dataclass(frozen=True, slots=True)
class Sight:
    """One advert in one photo. ``at`` is when the photo was taken, or received where that is unknown."""

    advert_id: int
    key: Key
    name: str
    cluster: str
    state: str
    """What has become of its cluster (``shelf.PaintState``); "" outside of clusters."""
    at: datetime
    lat: float | None
    lon: float | None
    report_id: str | None = None
    contacts: tuple[Contact, ...] = ()
    shops: tuple[str, ...] = ()


def find_sights(
    session: Session,
    *,
    keys: Collection[Key] | None = None,
    shop_id: str | None = None,
    cluster: str | None = None,
    contact: Contact | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    placed: bool = False,
    limit: int = 1000,
) -> list[Sight]:
    """Sightings that fit, the newest first. With ``shop_id`` those that show it by a link, a resource, or an expert's word."""
    at = func.coalesce(PhotoRow.taken_at, PhotoRow.received_at)
    rows = _adverts(AdvertRow.id, PhotoRow, AdvertRow.number, BundleRow.cluster, ClusterRow.state, at.label("seen_at"))
    if keys is not None:
        rows = rows.where(tuple_(PhotoRow.sha256, AdvertRow.number).in_(sorted(set(keys))[:_MOST_IN]))
    if shop_id is not None:
        rows = rows.where(_of_shop(shop_id))
    if cluster is not None:
        rows = rows.where(BundleRow.cluster == cluster)
    if contact is not None:
        rows = rows.where(_shows(contact))
    if since is not None:
        rows = rows.where(at >= since)
    if until is not None:
        rows = rows.where(at < until)
    if placed:
        rows = rows.where(PhotoRow.lat.is_not(None), PhotoRow.lon.is_not(None))
    rows = rows.order_by(at.desc(), AdvertRow.id).limit(limit)
    found = [
        Sight(advert, (photo.sha256, number), photo.name, cluster or "", state or "", photo.taken_at or photo.received_at,
              photo.lat, photo.lon, photo.report_id)
        for advert, photo, number, cluster, state, _ in session.execute(rows)
    ]  # fmt: skip
    return _with_contacts(session, found)


def near_clusters(session: Session, key: Key, limit: int) -> list[Sight]:
    """Sightings of other clusters that may show the same advert: the same contact or shop, then nearby; one per cluster."""
    own = next(iter(find_sights(session, keys=[key])), None)
    if own is None:
        return []
    wanted = [_shows(contact) for contact in own.contacts] + [_of_shop(shop) for shop in own.shops]
    rows = _adverts(PhotoRow.sha256, AdvertRow.number).where(or_(BundleRow.cluster.is_(None), BundleRow.cluster != own.cluster))
    keys: list[Key] = []
    if wanted:
        keys += [(sha256, number) for sha256, number in session.execute(rows.where(or_(*wanted)).limit(_MOST_IN // 2))]
    if own.lat is not None and own.lon is not None:
        degrees = 0.003
        box = and_(
            PhotoRow.lat.between(own.lat - degrees, own.lat + degrees),
            PhotoRow.lon.between(own.lon - 2 * degrees, own.lon + 2 * degrees),
        )
        keys += [(sha256, number) for sha256, number in session.execute(rows.where(box).limit(_MOST_IN // 2))]
    best: dict[str, Sight] = {}
    for sight in find_sights(session, keys=keys) if keys else []:
        if sight.key != key:
            best.setdefault(sight.cluster or f"{sight.key}", sight)
    return sorted(best.values(), key=lambda sight: _rank(own, sight))[:limit]


def _rank(own: Sight, other: Sight) -> tuple[int, float, str]:
    shared = len(set(own.contacts) & set(other.contacts)) + 0.5 * len(set(own.shops) & set(other.shops))
    return (-int(2 * shared), metres_between(own, other) or 1e9, other.cluster)


def metres_between(a: Sight, b: Sight) -> float | None:
    """Distance of two sightings, or None where a place is unknown."""
    if a.lat is None or a.lon is None or b.lat is None or b.lon is None:
        return None
    return float(h3.great_circle_distance((a.lat, a.lon), (b.lat, b.lon), unit="m"))


def find_text(session: Session, text: str, limit: int) -> list[Key]:
    """Adverts whose texts have a part that is, or looks like, ``text``; upper and lower case do not count."""
    looks = {text, text.lower(), text.upper(), latin_view(text), latin_view(text).upper()}
    rows = _adverts(PhotoRow.sha256, AdvertRow.number).join(ReadingRow, ReadingRow.advert_id == AdvertRow.id)
    has = or_(*(ReadingRow.text.contains(look, autoescape=True) for look in sorted(looks) if look))
    return [(sha256, number) for sha256, number in session.execute(rows.where(has).distinct().limit(limit))]


def features_of(session: Session, key: Key) -> AdvertFeatures | None:
    """The picture features of a sighting, where the store has them."""
    rows = select(SightingFeaturesRow.features).join(SightingRow, SightingRow.id == SightingFeaturesRow.sighting)
    data = session.scalar(rows.where(SightingRow.photo == key[0], SightingRow.advert == key[1]))
    try:
        return None if data is None else with_features(Sighting(*key, ()), bytes(data)).features
    except ValueError:
        # Taken by another version of tagtrace: these cannot be compared with today's.
        return None


def resource_facts(session: Session, contacts: Collection[Contact]) -> dict[Contact, tuple[str, str | None]]:
    """State and shop of those contacts that are resources."""
    wanted = sorted(set(contacts))
    found: dict[Contact, tuple[str, str | None]] = {}
    for start in range(0, len(wanted), _MOST_IN):
        part = tuple_(ResourceRow.kind, ResourceRow.value).in_(wanted[start : start + _MOST_IN])
        rows = select(ResourceRow.kind, ResourceRow.value, ResourceRow.state, ResourceRow.shop_id).where(part)
        found |= {(IdentifierKind(kind), value): (state, shop) for kind, value, state, shop in session.execute(rows)}
    return found


def _adverts(*columns: Any) -> Select[Any]:
    rows = select(*columns).select_from(AdvertRow).join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id)
    rows = rows.join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
    rows = rows.outerjoin(SightingRow, and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number))
    rows = rows.outerjoin(BundleRow, BundleRow.id == SightingRow.bundle)
    return rows.outerjoin(ClusterRow, ClusterRow.id == BundleRow.cluster).where(AnalysisRow.latest)


def _of_shop(shop_id: str) -> Any:
    links = select(IdentifierRow.id).outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
    own = and_(ResourceRow.kind == IdentifierRow.kind, ResourceRow.value == IdentifierRow.value)
    links = links.outerjoin(ResourceRow, own).where(IdentifierRow.advert_id == AdvertRow.id)
    said = select(DecisionRow.id).where(
        DecisionRow.subject == "link",
        DecisionRow.photo_sha256 == PhotoRow.sha256,
        DecisionRow.advert == AdvertRow.number,
        DecisionRow.shop_id == shop_id,
        DecisionRow.verdict.in_(("same", "misread", "sibling")),
    )
    return or_(exists(links.where(or_(LinkRow.shop_id == shop_id, ResourceRow.shop_id == shop_id))), exists(said))


def _shows(contact: Contact) -> Any:
    kind, value = contact
    read = select(IdentifierRow.id).outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
    meant = and_(ResourceRow.id == LinkRow.resource_id, LinkRow.outcome.in_(("same", "misread")))
    read = read.outerjoin(ResourceRow, meant).where(IdentifierRow.advert_id == AdvertRow.id)
    same = and_(IdentifierRow.kind == kind, IdentifierRow.value == value)
    return exists(read.where(or_(same, and_(ResourceRow.kind == kind, ResourceRow.value == value))))


def _with_contacts(session: Session, sights: Sequence[Sight]) -> list[Sight]:
    contacts: dict[int, list[Contact]] = {}
    shops: dict[int, set[str]] = {}
    ids = [sight.advert_id for sight in sights]
    for start in range(0, len(ids), _MOST_IN):
        rows = select(IdentifierRow.advert_id, IdentifierRow.kind, IdentifierRow.value, LinkRow.shop_id)
        rows = rows.outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
        rows = rows.where(IdentifierRow.advert_id.in_(ids[start : start + _MOST_IN])).order_by(IdentifierRow.number)
        for advert, kind, value, shop in session.execute(rows):
            contacts.setdefault(advert, []).append((IdentifierKind(kind), value))
            if shop:
                shops.setdefault(advert, set()).add(shop)
    return [
        replace(sight, contacts=tuple(contacts.get(sight.advert_id, ())), shops=tuple(sorted(shops.get(sight.advert_id, ()))))
        for sight in sights
    ]
