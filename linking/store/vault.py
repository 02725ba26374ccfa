"""Reporters' data, encrypted, apart from reports: nothing else in the store leads from a case to a person.

The store sees only what is encrypted (``service.vault``). Every read, change and erasure is in the audit log, without content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import LargeBinary, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .audit import note
from .tables import Base


class ReporterRow(Base):
    """What is known of the reporter of one report. ``sealed``: nonce and ciphertext under the key named ``key_name``."""

    __tablename__ = "reporters"

    report_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key_name: Mapped[str] = mapped_column(String(32), index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    kept_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class Sealed:
    """Encrypted data, and the name of the key that opens it."""

    report_id: str
    key_name: str
    data: bytes


def put(session: Session, item: Sealed, now: datetime) -> None:
    """Keep the reporter's data of a new report, or the same data under another key."""
    row = session.get(ReporterRow, item.report_id)
    if row is None:
        session.add(ReporterRow(report_id=item.report_id, key_name=item.key_name, sealed=item.data, kept_at=now))
        note(session, "reporter.keep", f"report {item.report_id}", {"key": item.key_name})
    else:
        row.key_name, row.sealed = item.key_name, item.data
        note(session, "reporter.rekey", f"report {item.report_id}", {"key": item.key_name})
    session.flush()


def take(session: Session, report_id: str, why: str) -> Sealed | None:
    """The reporter's data of a report, or None; that somebody asked, who and why, goes into the audit log."""
    row = session.get(ReporterRow, report_id)
    note(session, "reporter.read", f"report {report_id}", {"why": why, "found": row is not None})
    return None if row is None else Sealed(row.report_id, row.key_name, row.sealed)


def has(session: Session, report_id: str) -> bool:
    """Whether something is known of the reporter; says nothing of what, and is not logged."""
    return session.scalar(select(ReporterRow.report_id).where(ReporterRow.report_id == report_id)) is not None


def erase(session: Session, report_id: str, why: str) -> bool:
    """Erase the reporter's data of a report; gives whether there was any."""
    row = session.get(ReporterRow, report_id)
    if row is None:
        return False
    session.delete(row)
    note(session, "reporter.erase", f"report {report_id}", {"why": why})
    return True


def kept_before(session: Session, moment: datetime) -> list[str]:
    """The reports whose reporters' data was kept before a moment."""
    return list(
        session.scalars(select(ReporterRow.report_id).where(ReporterRow.kept_at < moment).order_by(ReporterRow.report_id))
    )


def under_other_keys(session: Session, key_name: str) -> Iterator[Sealed]:
    """What is encrypted under another key than this one."""
    rows = select(ReporterRow).where(ReporterRow.key_name != key_name).order_by(ReporterRow.report_id)
    for row in session.scalars(rows):
        yield Sealed(row.report_id, row.key_name, row.sealed)


def erase_all_before(session: Session, moment: datetime, why: str) -> int:
    """Erase all reporters' data that was kept before a moment; gives how many reports it was of."""
    reports = kept_before(session, moment)
    session.execute(delete(ReporterRow).where(ReporterRow.kept_at < moment))
    for report_id in reports:
        note(session, "reporter.erase", f"report {report_id}", {"why": why})
    return len(reports)
