"""Reports as Open311 requests: what they said in that form, and lists of them by time and service."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from .report_tables import Open311Row, ReportPhotoRow, ReportRow
from .reports import FileKind

_BATCH = 200


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """A report with what it said as an Open311 request; ``service_code`` is empty for one that came in another way."""

    report: ReportRow
    service_code: str = ""
    address_id: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


def by_ids(session: Session, ids: Sequence[str], owner: str | None) -> list[ServiceRequest]:
    """The requests with these ids that belong to ``owner`` (None: to anybody), in the order of the ids, without unknown ones."""
    rows = _rows(owner).where(ReportRow.id.in_(ids))
    found = {request.report.id: request for request in map(_request, session.execute(rows))}
    return [found[name] for name in dict.fromkeys(ids) if name in found]


def between(
    session: Session, owner: str | None, since: datetime, until: datetime, codes: Collection[str], *, others: bool
) -> Iterator[ServiceRequest]:
    """Requests received from ``since`` to ``until``, the newest first, in batches of queries as they are asked for.

    ``codes``: only of these services (empty: of all); ``others``: also those that came in another way and name none.
    """
    rows = _rows(owner).where(ReportRow.received_at >= since, ReportRow.received_at <= until)
    if codes:
        named = Open311Row.service_code.in_(sorted(codes))
        rows = rows.where(or_(named, Open311Row.service_code.is_(None)) if others else named)
    rows = rows.order_by(ReportRow.id.desc()).limit(_BATCH)
    last: str | None = None
    while True:
        part = list(map(_request, session.execute(rows if last is None else rows.where(ReportRow.id < last))))
        yield from part
        if len(part) < _BATCH:
            return
        last = part[-1].report.id


def pictures(session: Session, report_ids: Sequence[str]) -> dict[str, list[ReportPhotoRow]]:
    """The photos and frames of some reports that could be read, by report, in their order."""
    rows = select(ReportPhotoRow).where(ReportPhotoRow.report_id.in_(report_ids), ReportPhotoRow.kind != FileKind.VIDEO)
    rows = rows.where(ReportPhotoRow.failure_code.is_(None)).order_by(ReportPhotoRow.report_id, ReportPhotoRow.number)
    found: dict[str, list[ReportPhotoRow]] = {}
    for row in session.scalars(rows):
        found.setdefault(row.report_id, []).append(row)
    return found


def _rows(owner: str | None) -> Select[ReportRow, Open311Row]:
    rows = select(ReportRow, Open311Row).outerjoin(Open311Row, Open311Row.report_id == ReportRow.id)
    return rows if owner is None else rows.where(ReportRow.owner == owner)


def _request(row: Any) -> ServiceRequest:
    report, said = row
    return ServiceRequest(report) if said is None else ServiceRequest(report, said.service_code, said.address_id, said.attributes)
