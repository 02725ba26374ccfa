"""Pictures that reports name by their addresses: which wait to be fetched, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from .audit import note
from .beside import MediaState
from .report_tables import ReportMediaRow, ReportPhotoRow, ReportRow
from .reports import NewFile
from .tables import PhotoRow
from .upserts import insert_missing


def waiting(session: Session, report_id: str) -> list[ReportMediaRow]:
    """The addresses of a report whose pictures are still to be fetched, in their order."""
    return [row for row in media_of(session, [report_id]) if row.state == MediaState.WAITING]


def media_of(session: Session, report_ids: Sequence[str]) -> list[ReportMediaRow]:
    """All addresses of pictures of some reports."""
    rows = select(ReportMediaRow).where(ReportMediaRow.report_id.in_(report_ids))
    return list(session.scalars(rows.order_by(ReportMediaRow.report_id, ReportMediaRow.number)))


def begin(session: Session, report_id: str, number: int) -> int:
    """Note that a picture is about to be fetched, and give how often that was begun, this time included."""
    row = session.get_one(ReportMediaRow, (report_id, number))
    row.attempts += 1
    return row.attempts


def fetched(session: Session, report_id: str, number: int, file: NewFile, place: str) -> None:
    """Make a picture that was fetched a file of its report; ``place`` is where its bytes lie. Done twice it changes nothing."""
    row = session.get_one(ReportMediaRow, (report_id, number))
    if row.state != MediaState.WAITING:
        return
    row.state, row.sha256, row.error = MediaState.FETCHED, file.sha256, ""
    report = session.get_one(ReportRow, report_id)
    held = select(ReportPhotoRow.number).where(ReportPhotoRow.report_id == report_id)
    if session.scalar(held.where(ReportPhotoRow.sha256 == file.sha256)) is None:
        last = session.scalar(select(func.max(ReportPhotoRow.number)).where(ReportPhotoRow.report_id == report_id))
        at = 0 if last is None else last + 1
        kept = {"kind": file.kind, "sha256": file.sha256, "size": file.size, "attempts": 0}
        session.execute(insert(ReportPhotoRow), [{"report_id": report_id, "number": at, **kept}])
        photo = {"sha256": file.sha256, "name": f"{report_id}/{at}", "place": place, "size": file.size, "width": 0, "height": 0}
        seen = {"taken_at": report.taken_at, "received_at": report.received_at, "lat": report.lat, "lon": report.lon}
        insert_missing(session, PhotoRow, [{**photo, **seen, "report_id": report_id}])
    note(session, "report.media", f"report {report_id}", {"number": number, "sha256": file.sha256})


def failed(session: Session, report_id: str, number: int, why: str, *, final: bool) -> None:
    """Note why a picture could not be fetched; ``final``: it is not tried again."""
    row = session.get_one(ReportMediaRow, (report_id, number))
    if row.state != MediaState.WAITING:
        return
    row.error = why[:500]
    if final:
        row.state = MediaState.FAILED
        note(session, "report.media", f"report {report_id}", {"number": number, "failed": row.error})
