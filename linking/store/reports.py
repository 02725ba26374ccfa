"""Reports in the store: taking them in once, whatever is sent twice, and following them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, func, insert, select, text, tuple_, update
from sqlalchemy.orm import Session

from ...contract import TagtraceError
from .audit import ACTOR, actor_of, note
from .beside import NewMedia, Open311Facts, keep_beside
from .cluster_tables import BundleRow, SightingRow
from .jobs import JobKind, add_jobs
from .queue_rows import touch
from .report_tables import (
    ReportContactRow,
    ReportEventRow,
    ReportPhotoRow,
    ReportRequestRow,
    ReportRow,
    WebhookRow,
    named_as,
)
from .tables import PhotoRow
from .upserts import insert_missing

_MOST_DUPLICATES = 200


class ReportState(StrEnum):
    """Where a report stands; what becomes of its adverts are their tracks."""

    RECEIVED = "received"
    READING = "reading"
    READ = "read"
    FAILED = "failed"
    """None of it could be read."""
    CANCELLED = "cancelled"


class FileKind(StrEnum):
    """What a file of a report is."""

    PHOTO = "photo"
    VIDEO = "video"
    FRAME = "frame"


@dataclass(frozen=True, slots=True)
class NewFile:
    """One file of a new report; its bytes are in ``PhotoFiles`` already."""

    sha256: str
    size: int
    kind: FileKind = FileKind.PHOTO


@dataclass(frozen=True, slots=True)
class NewReport:
    """What was sent in. A repeated request is known by its ``idempotency_key`` or by ``digest``, a SHA-256 over its content."""

    owner: str
    source: str
    files: tuple[NewFile, ...] = ()
    web: tuple[str, ...] = ()
    external_id: str | None = None
    lat: float | None = None
    lon: float | None = None
    address: str = ""
    text: str = ""
    taken_at: datetime | None = None
    callback_url: str | None = None
    idempotency_key: str | None = None
    digest: str = ""
    priority: int = 0
    photo_place: str = ""
    """Where the bytes of its files lie (``PhotoFiles.url``)."""
    actor: str = ""
    media: tuple[NewMedia, ...] = ()
    open311: Open311Facts | None = None
    known_by_words: bool = False
    """Whether the same words are a request sent again also where no file came with them."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The report that a request made, or had made before. ``conflict``: its idempotency key was used for another content."""

    id: str
    new: bool
    conflict: bool = False


def new_id(now: datetime | None = None) -> str:
    """An id that nobody can guess, and that sorts by time."""
    milliseconds = int((now.timestamp() if now else time.time()) * 1000)
    return f"{milliseconds:012x}{secrets.token_hex(8)}"


def accept(session: Session, report: NewReport, now: datetime, retry_window: timedelta) -> Accepted:
    """``accept_all`` for one report."""
    return accept_all(session, [report], now, retry_window)[0]


def accept_all(session: Session, reports: Sequence[NewReport], now: datetime, retry_window: timedelta) -> list[Accepted]:
    """Keep reports and their jobs, or give those that the same requests made before; one answer per report, in order.

    The same key of an owner always means the same report. The same files with the same words from one owner within
    ``retry_window`` are a request sent again.
    """
    wanted = {(report.owner, key) for report in reports for key in _keys(report)}
    _queue_up(session, sorted(wanted))
    rows = select(ReportRequestRow).where(tuple_(ReportRequestRow.owner, ReportRequestRow.key).in_(sorted(wanted)))
    held = {(row.owner, row.key): row for row in session.scalars(rows)} if wanted else {}
    known = {pair: (row.report_id, row.digest) for pair, row in held.items() if _counts(row, now, retry_window)}
    for owner, key in sorted(held.keys() - known.keys()):
        session.execute(delete(ReportRequestRow).where(ReportRequestRow.owner == owner, ReportRequestRow.key == key))
    answers, fresh = [], []
    for report in reports:
        pairs = [(report.owner, key) for key in _keys(report)]
        found = next((pair for pair in pairs if pair in known), None)
        if found is not None:
            answers.append(Accepted(known[found][0], False, conflict=known[found][1] != report.digest))
            continue
        made = new_id(now)
        fresh.append((made, report))
        known |= dict.fromkeys(pairs, (made, report.digest))
        answers.append(Accepted(made, True))
    _keep(session, fresh, now)
    return answers


def _counts(row: ReportRequestRow, now: datetime, retry_window: timedelta) -> bool:
    return row.key.startswith("key:") or now - row.at <= retry_window


def _keep(session: Session, fresh: Sequence[tuple[str, NewReport]], now: datetime) -> None:
    """Write new reports down, with a few statements for all of them."""
    if not fresh:
        return
    session.execute(insert(ReportRow), [_row(made, report, now) for made, report in fresh])
    files = [row for made, report in fresh for row in _files(made, report.files, 0)]
    if files:
        session.execute(insert(ReportPhotoRow), files)
        photos = [_photo(made, n, file, report, now) for made, report in fresh for n, file in enumerate(report.files)]
        insert_missing(session, PhotoRow, photos)
    keep_beside(session, [(made, report.media, report.open311) for made, report in fresh])
    requests = [
        {"owner": report.owner, "key": key, "digest": report.digest, "report_id": made, "at": now}
        for made, report in fresh
        for key in _keys(report)
    ]
    if requests:
        session.execute(insert(ReportRequestRow), requests)
    add_jobs(session, JobKind.REPORT, [(made, report.priority) for made, report in fresh], now)
    events = []
    for made, report in fresh:
        if report.actor:
            session.info[ACTOR] = report.actor
        told = {"files": len(report.files), "web": len(report.web), "source": report.source}
        events.append(_event(session, made, "received", told, now))
        hashes = [file.sha256 for file in report.files]
        note(session, "report.receive", f"report {made}", {"owner": report.owner, "files": hashes, "web": len(report.web)})
    session.execute(insert(ReportEventRow), events)


def _keys(report: NewReport) -> list[str]:
    keys = [f"key:{report.idempotency_key}"] if report.idempotency_key else []
    return [*keys, f"content:{report.digest}"] if report.files or report.known_by_words else keys


def _queue_up(session: Session, pairs: Sequence[tuple[str, str]]) -> None:
    """Two processes that take in the same request follow each other. In SQLite a writer is alone anyway."""
    if session.get_bind().dialect.name == "postgresql":
        for owner, key in pairs:
            session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"{owner}\n{key}"})


def _row(made: str, report: NewReport, now: datetime) -> dict[str, Any]:
    return {
        "id": made,
        "owner": report.owner,
        "source": report.source,
        "external_id": report.external_id,
        "received_at": now,
        "taken_at": report.taken_at,
        "lat": report.lat,
        "lon": report.lon,
        "address": report.address,
        "text": report.text,
        "web": list(report.web),
        "callback_url": report.callback_url,
        "state": ReportState.RECEIVED,
        "state_at": now,
        "failure": "",
    }


def _files(report_id: str, files: Sequence[NewFile], start: int, at: Sequence[float | None] = ()) -> list[dict[str, Any]]:
    times = list(at) or [None] * len(files)
    return [
        {"report_id": report_id, "number": start + n, "kind": f.kind, "sha256": f.sha256, "size": f.size, "attempts": 0}
        | {"at_s": times[n]}
        for n, f in enumerate(files)
    ]


def _photo(made: str, number: int, file: NewFile, report: NewReport, now: datetime) -> dict[str, Any]:
    place = {"lat": report.lat, "lon": report.lon, "taken_at": report.taken_at}
    kept = {"name": f"{made}/{number}", "place": report.photo_place, "size": file.size, "width": 0, "height": 0}
    return {"sha256": file.sha256, "received_at": now, "report_id": made, **kept, **place}


def add_frames(session: Session, report_id: str, frames: Sequence[tuple[NewFile, float]]) -> None:
    """Add the frames that were taken out of a report's video (with their seconds); those that are there already stay."""
    rows = select(ReportPhotoRow.sha256, ReportPhotoRow.number).where(ReportPhotoRow.report_id == report_id)
    held = {sha256: number for sha256, number in session.execute(rows)}  # noqa: C416 (rows are no pairs to dict)
    new = [(file, at) for file, at in frames if file.sha256 not in held]
    if new:
        start = max(held.values(), default=-1) + 1
        session.execute(insert(ReportPhotoRow), _files(report_id, [f for f, _ in new], start, [at for _, at in new]))


def get_report(session: Session, report_id: str) -> ReportRow | None:
    """A report, or None."""
    return session.get(ReportRow, report_id)


def find_by_external_id(session: Session, owner: str, external_id: str) -> list[str]:
    """The ids of an owner's reports with an id of its own, the newest first."""
    rows = select(ReportRow.id).where(ReportRow.owner == owner, ReportRow.external_id == external_id)
    return list(session.scalars(rows.order_by(ReportRow.id.desc())))


def list_reports(
    session: Session, *, owner: str | None, state: ReportState | None, before: str | None, limit: int
) -> list[ReportRow]:
    """Reports, the newest first, that are older than the one with the id ``before``."""
    rows = select(ReportRow)
    if owner is not None:
        rows = rows.where(ReportRow.owner == owner)
    if state is not None:
        rows = rows.where(ReportRow.state == state)
    if before is not None:
        rows = rows.where(ReportRow.id < before)
    return list(session.scalars(rows.order_by(ReportRow.id.desc()).limit(limit)))


def files_of(session: Session, report_id: str) -> list[ReportPhotoRow]:
    """The files of a report in their order."""
    rows = select(ReportPhotoRow).where(ReportPhotoRow.report_id == report_id).order_by(ReportPhotoRow.number)
    return list(session.scalars(rows))


def begin_file(session: Session, report_id: str, number: int) -> int:
    """Note that a file is about to be read, and give how often that was begun, this time included."""
    row = session.get_one(ReportPhotoRow, (report_id, number))
    row.attempts += 1
    return row.attempts


def fail_file(session: Session, report_id: str, number: int, code: str, message: str) -> None:
    """Note that a file cannot be read."""
    row = session.get_one(ReportPhotoRow, (report_id, number))
    row.failure_code, row.failure_message = code, message


def put_contacts(session: Session, report_id: str, contacts: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
    """Keep the contacts of a report's web addresses: kind, value, and identifier with link as JSON. Replaces earlier ones."""
    before = session.scalars(select(ReportContactRow.named).where(ReportContactRow.report_id == report_id)).all()
    session.execute(delete(ReportContactRow).where(ReportContactRow.report_id == report_id))
    rows = [
        {"report_id": report_id, "number": n, "kind": kind, "value": value, "content": dict(content)}
        | {"named": named_as(kind, value)}
        for n, (kind, value, content) in enumerate(contacts)
    ]
    if rows:
        session.execute(insert(ReportContactRow), rows)
    touch(session, named=[*before, *(str(row["named"]) for row in rows)])


def contacts_of(session: Session, report_id: str) -> list[ReportContactRow]:
    """The contacts of a report's web addresses."""
    rows = select(ReportContactRow).where(ReportContactRow.report_id == report_id).order_by(ReportContactRow.number)
    return list(session.scalars(rows))


def set_report_state(session: Session, report_id: str, state: ReportState, now: datetime, failure: str = "") -> None:
    """Take a report to a state, note it, and tell the intake system. Does nothing where it stands there already."""
    row = session.get(ReportRow, report_id, with_for_update=True)
    if row is None:
        raise TagtraceError(f"{report_id}: there is no such report")
    if row.state == state:
        return
    old, row.state, row.state_at, row.failure = row.state, state, now, failure
    add_event(session, report_id, str(state), {"from": old, "failure": failure}, now)
    note(session, "report.state", f"report {report_id}", {"from": old, "to": state})
    announce(session, row, {"event": "report.state", "state": str(state)}, now)


def add_event(session: Session, report_id: str, event: str, details: Mapping[str, Any], now: datetime) -> None:
    """Write down a step of a report."""
    session.execute(insert(ReportEventRow), [_event(session, report_id, event, details, now)])


def _event(session: Session, report_id: str, event: str, details: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {"report_id": report_id, "at": now, "actor": actor_of(session), "event": event, "details": dict(details)}


def events_of(session: Session, report_id: str) -> list[ReportEventRow]:
    """The steps of a report, the oldest first."""
    rows = select(ReportEventRow).where(ReportEventRow.report_id == report_id).order_by(ReportEventRow.id)
    return list(session.scalars(rows))


def announce(session: Session, report: ReportRow, event: Mapping[str, Any], now: datetime) -> None:
    """Queue a message to the system that sent a report, where it gave an address."""
    if report.callback_url is None:
        return
    whole = {"report_id": report.id, "external_id": report.external_id, "at": now.isoformat(), **event}
    values = {"message": new_id(now), "report_id": report.id, "url": report.callback_url, "event": whole, "state": "waiting"}
    session.execute(insert(WebhookRow), [{**values, "attempts": 0, "run_after": now, "error": "", "created_at": now}])


def duplicates_of(session: Session, report_id: str) -> list[tuple[str, str]]:
    """Other reports that show the same: their ids, and ``photo`` for the same file or ``cluster`` for the same advert."""
    own = select(ReportPhotoRow.sha256).where(ReportPhotoRow.report_id == report_id)
    same = select(ReportPhotoRow.report_id).where(ReportPhotoRow.sha256.in_(own), ReportPhotoRow.report_id != report_id)
    found = dict.fromkeys(session.scalars(same.distinct().limit(_MOST_DUPLICATES)), "photo")
    clusters = select(BundleRow.cluster).join(SightingRow, SightingRow.bundle == BundleRow.id).where(SightingRow.photo.in_(own))
    members = select(ReportPhotoRow.report_id).join(SightingRow, SightingRow.photo == ReportPhotoRow.sha256)
    members = members.join(BundleRow, BundleRow.id == SightingRow.bundle).where(BundleRow.cluster.in_(clusters))
    members = members.where(ReportPhotoRow.report_id != report_id).distinct().limit(_MOST_DUPLICATES)
    for other in session.scalars(members):
        found.setdefault(other, "cluster")
    return sorted(found.items())


def reports_showing(session: Session, photo: str) -> list[ReportRow]:
    """The reports that a photo belongs to."""
    rows = select(ReportRow).join(ReportPhotoRow, ReportPhotoRow.report_id == ReportRow.id).where(ReportPhotoRow.sha256 == photo)
    return list(session.scalars(rows.distinct().order_by(ReportRow.id)))


def place_photos(session: Session, report_id: str, size_of: Mapping[str, tuple[str, int]]) -> None:
    """Remember where the frames of a report lie: SHA-256 to place and bytes."""
    for sha256, (place, size) in size_of.items():
        session.execute(update(PhotoRow).where(PhotoRow.sha256 == sha256).values(place=place, size=size, report_id=report_id))


def count_reports(session: Session) -> dict[str, int]:
    """How many reports stand where."""
    rows = session.execute(select(ReportRow.state, func.count()).group_by(ReportRow.state))
    return {str(state): int(count) for state, count in rows}


def now_utc() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)
