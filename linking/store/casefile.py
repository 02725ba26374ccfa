"""Everything that the store knows of a resource or a cluster, for an evidence pack. Nothing in it is about reporters."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ...contract import IdentifierKind, TagtraceError
from ..sightings import Key
from . import lists
from .audit import verify_audit
from .cluster_tables import ClusterEventRow, ClusterRow
from .proposals import ProposalRow
from .report_tables import ReportPhotoRow, ReportRow
from .resources import events
from .tables import (
    AdvertRow,
    AnalysisRow,
    AuditHeadRow,
    AuditRow,
    DecisionRow,
    IdentifierRow,
    LinkRow,
    PhotoRow,
    ReadIdentifierRow,
    ResourceRow,
)

MOST_ADVERTS = 300
"""Adverts in one pack: the newest so many."""
AUDIT_FIELDS = ("number", "at", "actor", "action", "object", "details", "previous", "hash")
_MOST_EVENTS = 1000
"""What happened to one cluster, in one pack: the last so many."""
_PERSONAL = "reporter."
_MOST_IN = 400


def of_resource(session: Session, number: int) -> dict[str, Any]:
    """The case of a resource. Raises ``TagtraceError`` for an unknown number."""
    row = session.get(ResourceRow, number)
    if row is None:
        raise TagtraceError(f"{number}: there is no such resource")
    shown = select(PhotoRow.sha256, AdvertRow.number).join(AnalysisRow, AnalysisRow.photo_id == PhotoRow.id)
    shown = shown.join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id)
    shown = shown.join(IdentifierRow, IdentifierRow.advert_id == AdvertRow.id)
    shown = shown.outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id).where(AnalysisRow.latest)
    own = (IdentifierRow.kind == row.kind) & (IdentifierRow.value == row.value)
    linked = (LinkRow.resource_id == number) & LinkRow.outcome.in_(("same", "misread"))
    shown = shown.where(or_(own, linked)).order_by(AdvertRow.id.desc())
    keys = list(dict.fromkeys((sha256, n) for sha256, n in session.execute(shown)))
    return _case(session, {"resource": f"{row.kind} {row.value}"}, keys, [(row.kind, row.value)])


def of_cluster(session: Session, cluster: str, keys: Collection[Key]) -> dict[str, Any]:
    """The case of a cluster with these sightings."""
    found = _adverts(session, list(keys)[:MOST_ADVERTS])
    contacts = sorted({(c.kind, c.value) for item in found for c in item.contacts if c.resource_id is not None})
    return _case(session, {"cluster": cluster}, list(keys), contacts, {cluster})


def _case(
    session: Session, subject: dict[str, str], keys: list[Key], contacts: list[tuple[str, str]], own: Collection[str] = ()
) -> dict[str, Any]:
    chosen = keys[:MOST_ADVERTS]
    listed = _adverts(session, chosen)
    adverts = [_advert(session, item) for item in listed]
    families = _families(session, {item.cluster for item in listed if item.cluster} | set(own))
    objects = [f"{kind} {value}" for kind, value in contacts]
    # A merge is about two ids; whichever of them was named is in the log.
    objects += [name for ids in families.values() for name in ids]
    objects += [f"{gone} -> {kept}" for ids in families.values() for gone in ids for kept in ids if gone != kept]
    objects += [
        text for sha256, n in chosen for text in (f"photo {sha256}", f"photo {sha256} advert {n}", f"advert {sha256}-{n}")
    ]
    objects += [f"report {number}" for number in _reports(session, chosen)]
    broken = verify_audit(session)
    head = session.execute(select(AuditHeadRow.number, AuditHeadRow.hash)).one()
    return {
        "subject": subject,
        "adverts": adverts,
        "adverts_in_all": len(keys),
        "clusters": [_cluster(session, name, ids) for name, ids in sorted(families.items())],
        "resources": [_resource(session, kind, value) for kind, value in contacts],
        "decisions": _decisions(session, chosen, contacts),
        "proposals": _proposals(session, contacts),
        "audit": _audit(session, objects),
        "audit_head": {"number": head.number, "hash": head.hash, "intact": broken is None},
    }


def _adverts(session: Session, keys: list[Key]) -> list[lists.ListedAdvert]:
    found = []
    for photo in dict.fromkeys(photo for photo, _ in keys):
        wanted = {key for key in keys if key[0] == photo}
        found += [a for a in lists.adverts(session, lists.AdvertFilter(photo=photo), None, 10_000) if a.key in wanted]
    return found


def _advert(session: Session, item: lists.ListedAdvert) -> dict[str, Any]:
    rows = select(AnalysisRow).join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
    analysis = session.scalars(rows.where(PhotoRow.sha256 == item.key[0], AnalysisRow.latest)).one()
    photo = session.scalars(select(PhotoRow).where(PhotoRow.sha256 == item.key[0])).one()
    return {
        "photo": {
            "sha256": photo.sha256,
            "bytes": photo.size,
            "width": photo.width,
            "height": photo.height,
            "received_at": photo.received_at,
            "taken_at": photo.taken_at,
            "lat": photo.lat,
            "lon": photo.lon,
        },
        "number": item.key[1],
        "quad": item.quad,
        "cluster": item.cluster,
        "readings": [{"text": text, "confidence": confidence} for text, confidence in item.texts],
        "codes": item.codes,
        "contacts": [asdict(contact) for contact in item.contacts],
        "contacts_read": _set_aside(session, item.id),
        "read": {"at": analysis.at, "models": analysis.models, "schema_version": analysis.schema_version},
    }


def _set_aside(session: Session, advert: int) -> list[dict[str, Any]]:
    """The contacts as the machine read them, where a person's word has taken their place."""
    rows = select(ReadIdentifierRow.content, ReadIdentifierRow.link).where(ReadIdentifierRow.advert_id == advert)
    return [
        {name: content[name] for name in ("kind", "value", "raw", "confidence", "flags")} | {"outcome": link.get("outcome")}
        for content, link in session.execute(rows.order_by(ReadIdentifierRow.number))
    ]


def _families(session: Session, names: Collection[str]) -> dict[str, list[str]]:
    """Living clusters with all ids that lead to them, their own first."""
    found = {}
    for name in sorted(names):
        ids, fresh = [name], [name]
        while fresh:
            fresh = list(session.scalars(select(ClusterRow.id).where(ClusterRow.into.in_(fresh)).order_by(ClusterRow.number)))
            ids += fresh
        found[name] = ids
    return found


def _cluster(session: Session, name: str, ids: list[str]) -> dict[str, Any]:
    """What happened to a cluster and to those that became part of it."""
    rows = select(ClusterEventRow).where(or_(ClusterEventRow.cluster.in_(ids), ClusterEventRow.other.in_(ids)))
    names = ("number", "at", "actor", "kind", "cluster", "other", "sightings", "why")
    events = [{field: getattr(row, field) for field in names} for row in session.scalars(rows.order_by(ClusterEventRow.number))]
    return {"id": name, "former_ids": ids[1:], "events": events[-_MOST_EVENTS:], "events_in_all": len(events)}


def _resource(session: Session, kind: str, value: str) -> dict[str, Any]:
    state, shop = session.execute(
        select(ResourceRow.state, ResourceRow.shop_id).where(ResourceRow.kind == kind, ResourceRow.value == value)
    ).one()
    life = [asdict(event) for event in events(session, IdentifierKind(kind), value)]
    return {"kind": kind, "value": value, "state": state, "shop": shop, "life": life}


def _decisions(session: Session, keys: list[Key], contacts: list[tuple[str, str]]) -> list[dict[str, Any]]:
    photos = sorted({photo for photo, _ in keys})
    wanted = set(keys)
    found: dict[int, DecisionRow] = {}
    for start in range(0, len(photos), _MOST_IN):
        rows = select(DecisionRow).where(DecisionRow.photo_sha256.in_(photos[start : start + _MOST_IN]))
        found |= {row.id: row for row in session.scalars(rows) if (row.photo_sha256, row.advert) in wanted}
    for kind, value in contacts:
        rows = select(DecisionRow).outerjoin(ResourceRow, ResourceRow.id == DecisionRow.resource_id)
        same = (DecisionRow.identifier_kind == kind) & (DecisionRow.identifier_value == value)
        rows = rows.where(same | ((ResourceRow.kind == kind) & (ResourceRow.value == value)))
        found |= {row.id: row for row in session.scalars(rows)}
    names = ("id", "at", "actor", "subject", "verdict", "why", "photo_sha256", "advert", "identifier_kind", "identifier_value")
    return [{name: getattr(row, name) for name in names} | {"details": row.details} for _, row in sorted(found.items())]


def _proposals(session: Session, contacts: list[tuple[str, str]]) -> list[dict[str, Any]]:
    names = ("id", "action", "kind", "value", "basis", "state", "at", "actor", "decided_at", "decided_by", "why")
    found = []
    for kind, value in contacts:
        rows = select(ProposalRow).where(ProposalRow.kind == kind, ProposalRow.value == value).order_by(ProposalRow.id)
        found += [{name: getattr(row, name) for name in names} for row in session.scalars(rows)]
    return found


def _reports(session: Session, keys: list[Key]) -> list[str]:
    photos = sorted({photo for photo, _ in keys})
    rows = select(ReportRow.id).join(ReportPhotoRow, ReportPhotoRow.report_id == ReportRow.id)
    found: set[str] = set()
    for start in range(0, len(photos), _MOST_IN):
        found |= set(session.scalars(rows.where(ReportPhotoRow.sha256.in_(photos[start : start + _MOST_IN]))))
    return sorted(found)


def _audit(session: Session, objects: Iterable[str]) -> list[dict[str, Any]]:
    """The entries about these things, each with its hash and that of the entry before it."""
    names, found = sorted(set(objects)), {}
    for start in range(0, len(names), _MOST_IN):
        for row in session.scalars(select(AuditRow).where(AuditRow.object.in_(names[start : start + _MOST_IN]))):
            if not row.action.startswith(_PERSONAL):
                found[row.number] = {name: getattr(row, name) for name in AUDIT_FIELDS}
    return [found[number] for number in sorted(found)]


def holds(session: Session, entry: dict[str, Any]) -> bool:
    """Whether the store's audit log has exactly this entry."""
    row = session.get(AuditRow, int(entry["number"]))
    return row is not None and all(getattr(row, name) == entry[name] for name in AUDIT_FIELDS)


def pack_of(session: Session, digest: str) -> int | None:
    """The number of the audit entry that says that a pack with this digest was made, or None."""
    rows = select(AuditRow.number, AuditRow.details).where(
        AuditRow.object == f"pack {digest}", AuditRow.action == "evidence.pack"
    )
    found = session.execute(rows).first()
    return None if found is None or json.loads(found.details).get("manifest") != digest else int(found.number)
