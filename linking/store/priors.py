"""Earlier sightings as the store knows them, brought in for many adverts at once: a few queries for any number of candidates.

Only what was read counts as a sighting, never a link: a link that earlier sightings helped to make would support itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Sequence
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session, aliased

from ...contract import Flag, IdentifierKind
from ..priors import Contact, EarlierSighting, Memory, PriorSettings
from .cluster_tables import BundleRow, SightingRow
from .tables import AdvertRow, AnalysisRow, CodeRow, IdentifierRow, PhotoRow
from .upserts import in_parts

_MOST_VALUES = 5000
"""Most values in one IN list."""
_LEFT_OUT = frozenset({Flag.PROTECTED.value, Flag.UNSURE.value})


def load_memory(
    session: Session,
    contacts: Collection[Contact],
    payloads: Collection[str],
    settings: PriorSettings,
    without: Container[str] = (),
) -> Memory:
    """What the latest analyses show of these contacts and codes; the photos ``without`` (SHA-256) are left out.

    A run leaves its own photos out, so that its results do not depend on which of them were stored first.
    """
    return Memory(_earlier(session, contacts, settings, without), _beside(session, payloads, settings, without), settings)


def _earlier(
    session: Session, contacts: Collection[Contact], settings: PriorSettings, without: Container[str]
) -> dict[Contact, tuple[EarlierSighting, ...]]:
    by_kind: dict[IdentifierKind, set[str]] = defaultdict(set)
    for kind, value in contacts:
        by_kind[kind].add(value)
    wanted = (
        select(
            IdentifierRow.value,
            IdentifierRow.flags,
            PhotoRow.sha256,
            PhotoRow.lat,
            PhotoRow.lon,
            PhotoRow.taken_at,
            BundleRow.cluster,
        )
        .join(AdvertRow, AdvertRow.id == IdentifierRow.advert_id)
        .join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id)
        .join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
        .outerjoin(SightingRow, and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number))
        .outerjoin(BundleRow, BundleRow.id == SightingRow.bundle)
        .where(AnalysisRow.latest, IdentifierRow.confidence >= settings.sure_from)
    )
    found: dict[Contact, set[EarlierSighting]] = defaultdict(set)
    for kind, values in sorted(by_kind.items()):
        for part in in_parts(sorted(values), _MOST_VALUES):
            rows = wanted.where(IdentifierRow.kind == kind, IdentifierRow.value.in_(part))
            for value, flags, photo, lat, lon, at, cluster in session.execute(rows):
                if photo not in without and not _LEFT_OUT & set(flags):
                    found[kind, value].add(EarlierSighting(photo, cluster or "", lat, lon, at))
    return {contact: tuple(sightings) for contact, sightings in found.items()}


def _beside(
    session: Session, payloads: Collection[str], settings: PriorSettings, without: Container[str]
) -> dict[str, dict[Contact, frozenset[str]]]:
    found: dict[str, dict[Contact, set[str]]] = defaultdict(lambda: defaultdict(set))
    for part in in_parts(sorted(set(payloads)), _MOST_VALUES):
        for payload, kind, value, flags, photo in session.execute(_shown_with(part, settings)):
            if photo not in without and not _LEFT_OUT & set(flags):
                found[payload][IdentifierKind(kind), value].add(photo)
    return {payload: {contact: frozenset(photos) for contact, photos in shown.items()} for payload, shown in found.items()}


def _shown_with(payloads: Sequence[str], settings: PriorSettings) -> Select[Any]:
    code = aliased(CodeRow)
    return (
        select(code.payload, IdentifierRow.kind, IdentifierRow.value, IdentifierRow.flags, PhotoRow.sha256)
        .join(IdentifierRow, IdentifierRow.advert_id == code.advert_id)
        .join(AdvertRow, AdvertRow.id == code.advert_id)
        .join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id)
        .join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
        .where(code.payload.in_(payloads), AnalysisRow.latest, IdentifierRow.confidence >= settings.sure_from)
    )
