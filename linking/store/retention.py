"""What is erased when its time is over: one function per kind of data, each in the caller's transaction and in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from ..life import ResourceState
from . import vault
from .audit import note
from .cluster_tables import BundleRow, SightingRow
from .people import PersonSessionRow, SignInLockRow
from .queue_rows import QueueRow
from .report_tables import Open311Row, ReportMediaRow, ReportRequestRow, ReportRow, WebhookRow
from .tables import AdvertRow, AnalysisRow, IdentifierRow, LinkRow, PhotoRow, ResourceRow

HELD: Final = (ResourceState.VERIFIED, ResourceState.SENT, ResourceState.BLOCKED)
"""A photo that shows a resource in one of these states is evidence and is kept."""
_WHY: Final = "kept as long as it may be"


class PhotoKind(StrEnum):
    """A kind of photos with a time of its own."""

    EMPTY = "empty"
    """There is no advert in it."""
    DECIDED = "decided"
    UNDECIDED = "undecided"
    """It shows an advert that somebody has to decide about, now or once there is another photo."""


def count_photos(session: Session, moment: datetime, kind: PhotoKind) -> int:
    """How many photos ``photos`` would give."""
    return session.scalar(select(func.count()).select_from(_photos(moment, kind).subquery())) or 0


def photos(session: Session, moment: datetime, kind: PhotoKind, limit: int) -> list[str]:
    """SHA-256 of photos of a kind that were received before a moment, whose bytes are kept and may go."""
    return list(session.scalars(_photos(moment, kind).limit(limit)))


def may_go(session: Session, sha256: str, moment: datetime, kind: PhotoKind) -> bool:
    """Whether a photo is still one that ``photos`` gives."""
    return session.scalar(_photos(moment, kind).where(PhotoRow.sha256 == sha256)) is not None


def release_photo(session: Session, sha256: str) -> None:
    """Write down that the bytes of a photo are erased; its hash and what was read in it stay."""
    session.execute(update(PhotoRow).where(PhotoRow.sha256 == sha256).values(place="", name=""))
    note(session, "photo.erase", f"photo {sha256}", {"why": _WHY})


def reporters(session: Session, moment: datetime, dry: bool) -> int:
    """Erase reporters' data that was kept before a moment."""
    return len(vault.kept_before(session, moment)) if dry else vault.erase_all_before(session, moment, _WHY)


def words(session: Session, moment: datetime, dry: bool) -> int:
    """Erase what citizens wrote, and addresses, of reports received before a moment; place and time stay."""
    old = and_(ReportRow.received_at < moment, or_(ReportRow.text != "", ReportRow.address != ""))
    reports = select(ReportRow.id).where(ReportRow.received_at < moment)
    # Addresses of pictures may name whoever put them there, and answers to questions are words, too.
    named = and_(ReportMediaRow.url != "", ReportMediaRow.report_id.in_(reports))
    said = and_(or_(Open311Row.attributes != {}, Open311Row.address_id != ""), Open311Row.report_id.in_(reports))
    _change(session, dry, ReportMediaRow, named, "report.words", {"url": ""})
    _change(session, dry, Open311Row, said, "report.words", {"attributes": {}, "address_id": ""})
    return _change(session, dry, ReportRow, old, "report.words", {"text": "", "address": ""})


def webhooks(session: Session, moment: datetime, dry: bool) -> int:
    """Erase messages to intake systems that ended before a moment."""
    return _change(session, dry, WebhookRow, WebhookRow.ended_at < moment, "webhook.erase", None)


def requests(session: Session, moment: datetime, dry: bool) -> int:
    """Erase idempotency keys from before a moment."""
    return _change(session, dry, ReportRequestRow, ReportRequestRow.at < moment, "request.erase", None)


def sessions(session: Session, moment: datetime, dry: bool) -> int:
    """Erase sessions that ran out, and locks whose last wrong password was given, before a moment."""
    ended = _change(session, dry, PersonSessionRow, PersonSessionRow.expires_at < moment, "session.erase", None)
    return ended + _change(session, dry, SignInLockRow, SignInLockRow.last_at < moment, "lock.erase", None)


ROWS: Final[Mapping[str, Callable[[Session, datetime, bool], int]]] = MappingProxyType(
    {"reporters": reporters, "words": words, "webhooks": webhooks, "requests": requests, "sessions": sessions}
)
"""The kinds of data that are rows of the store."""


def _change(session: Session, dry: bool, table: Any, old: Any, action: str, values: Mapping[str, Any] | None) -> int:
    if dry:
        return session.scalar(select(func.count()).select_from(table).where(old)) or 0
    statement = delete(table).where(old) if values is None else update(table).where(old).values(**values)
    done = session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(done, CursorResult)
    if done.rowcount:
        note(session, action, "retention", {"rows": done.rowcount, "why": _WHY})
    return done.rowcount


def _photos(moment: datetime, kind: PhotoKind) -> Any:
    shown = select(AdvertRow.id).join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id)
    shown = shown.where(AnalysisRow.photo_id == PhotoRow.id, AnalysisRow.latest).correlate(PhotoRow)
    own = and_(ResourceRow.kind == IdentifierRow.kind, ResourceRow.value == IdentifierRow.value)
    held = shown.join(IdentifierRow, IdentifierRow.advert_id == AdvertRow.id)
    held = held.outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
    held = held.join(ResourceRow, or_(own, ResourceRow.id == LinkRow.resource_id)).where(ResourceRow.state.in_(HELD))
    rows = select(PhotoRow.sha256).where(PhotoRow.received_at < moment, PhotoRow.place != "")
    rows = rows.where(~shown.exists() if kind is PhotoKind.EMPTY else shown.exists(), ~held.exists())
    if kind is not PhotoKind.EMPTY:
        rows = rows.where(_undecided() if kind is PhotoKind.UNDECIDED else ~_undecided())
    return rows.order_by(PhotoRow.id)


def _undecided() -> Any:
    """Photos of the physical adverts in the queue, those among them that wait for another photo."""
    alone = select(QueueRow.wall).where(QueueRow.photo == PhotoRow.sha256).correlate(PhotoRow)
    inside = select(QueueRow.wall).join(BundleRow, BundleRow.cluster == QueueRow.wall)
    inside = inside.join(SightingRow, SightingRow.bundle == BundleRow.id).where(SightingRow.photo == PhotoRow.sha256)
    return or_(alone.exists(), inside.correlate(PhotoRow).exists())
