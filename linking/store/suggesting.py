"""Which known adverts something may be a duplicate of: near a place, showing a contact, or in a picture that looks alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...contract import IdentifierKind
from ...inference.identifiers.fold import skeleton
from ..pictures import distance, near_bands
from ..sightings import Key
from . import lists
from .cluster_rows import band_number, unsigned
from .cluster_tables import BundleRow, SightingBandRow, SightingRow
from .tables import PhotoRow

_METRES = 6_371_000.0
_MOST_ROWS = 2_000
_DEGREE_M = 111_000.0


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An advert that may be the same: why it is thought so, metres away (None: not asked), and its cluster."""

    key: Key
    cluster: str
    reason: str
    metres: float | None = None
    bits: int | None = None
    """Bits in which the pictures' hashes differ."""


def near(session: Session, lat: float, lon: float, within_m: float, limit: int) -> list[Suggestion]:
    """Sightings within so many metres, the nearest of each cluster, nearest first."""
    tall = within_m / _DEGREE_M
    wide = tall / max(0.01, cos(radians(lat)))
    box = lists.Box(lat - tall, lon - wide, lat + tall, lon + wide)
    rows = _rows().where(SightingRow.lat.between(box.south, box.north), SightingRow.lon.between(box.west, box.east))
    found = []
    for photo, advert, cluster, other_lat, other_lon in session.execute(rows.limit(_MOST_ROWS)):
        away = _metres(lat, lon, other_lat, other_lon)
        if away <= within_m:
            found.append(Suggestion((photo, advert), cluster, "near", round(away, 1)))
    return _first(sorted(found, key=lambda item: (item.metres or 0.0, item.key)), limit)


def showing(session: Session, kind: IdentifierKind, value: str, limit: int) -> list[Suggestion]:
    """Adverts that show a contact, then those that show one that looks like it."""
    listed = lists.adverts(session, lists.AdvertFilter(kind=kind, value=value), None, limit)
    found = [Suggestion(item.key, item.cluster or "", "same contact") for item in listed]
    look = skeleton(value)
    alike = [
        row
        for row in lists.resources(session, states=(), kind=kind, shop=None, text=value[:4], after=None, limit=_MOST_ROWS)
        if row.value != value and skeleton(row.value) == look
    ]
    for row in alike:
        listed = lists.adverts(session, lists.AdvertFilter(kind=kind, value=row.value), None, limit)
        found += [Suggestion(item.key, item.cluster or "", f"looks like {row.value}") for item in listed]
    return _first(found, limit)


def picture_of(session: Session, sha256: str) -> tuple[int | None, float | None, float | None] | None:
    """The hash of a stored photo's picture and its place; None for an unknown photo."""
    rows = select(PhotoRow.picture_hash, PhotoRow.lat, PhotoRow.lon).where(PhotoRow.sha256 == sha256)
    row = session.execute(rows).one_or_none()
    return None if row is None else (None if row.picture_hash is None else int(row.picture_hash, 16), row.lat, row.lon)


def looking_like(session: Session, picture_hash: int, bits: int, limit: int) -> list[Suggestion]:
    """Sightings in pictures whose hashes differ in at most ``bits`` bits, the most alike first."""
    bands = sorted({band_number(*band) for band in near_bands(picture_hash, bits)})
    found: list[Suggestion] = []
    for start in range(0, len(bands), 500):
        rows = select(SightingRow.photo, SightingRow.advert, BundleRow.cluster, SightingBandRow.hash)
        rows = rows.join(SightingBandRow, SightingBandRow.sighting == SightingRow.id)
        rows = rows.join(BundleRow, BundleRow.id == SightingRow.bundle)
        rows = rows.where(SightingBandRow.band.in_(bands[start : start + 500])).limit(_MOST_ROWS)
        for photo, advert, cluster, value in session.execute(rows):
            apart = distance(unsigned(value), picture_hash)
            if apart <= bits:
                found.append(Suggestion((photo, advert), cluster, "picture looks alike", bits=apart))
    return _first(sorted(found, key=lambda item: (item.bits or 0, item.key)), limit)


def _rows() -> Any:
    rows = select(SightingRow.photo, SightingRow.advert, BundleRow.cluster, SightingRow.lat, SightingRow.lon)
    rows = rows.join(BundleRow, BundleRow.id == SightingRow.bundle)
    return rows.where(SightingRow.lat.is_not(None), SightingRow.lon.is_not(None)).order_by(SightingRow.id.desc())


def _first(found: Sequence[Suggestion], limit: int) -> list[Suggestion]:
    """One of each cluster."""
    best: dict[str, Suggestion] = {}
    for item in found:
        best.setdefault(item.cluster or f"{item.key[0]}-{item.key[1]}", item)
    return list(best.values())[:limit]


def _metres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    a, b = radians(lat), radians(other_lat)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(other_lon - lon) / 2) ** 2
    return 2 * _METRES * asin(sqrt(min(1.0, half)))
