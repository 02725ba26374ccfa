"""Jobs: work that waits in the store and is taken by worker processes under leases.

A worker takes a job for some time and renews the lease while it works. Where it dies, the lease runs out and another worker takes
the job again; the first can no longer finish it, because the lease's token has changed. A job that killed or failed too many
attempts is set aside. In PostgreSQL workers pass over what others are just taking (SKIP LOCKED); in SQLite a writer is alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Select, and_, func, insert, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from ...contract import TagtraceError
from .audit import note
from .report_tables import JobRow


class JobKind(StrEnum):
    """What is to be done."""

    REPORT = "report"
    """Read the photos of a report."""


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    ASIDE = "aside"
    """Failed too often; a person looks at it."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How often a job is tried (``attempts``), and how long it waits in between: ``first``, then twice as long each time."""

    attempts: int
    first: timedelta
    most: timedelta

    def wait(self, attempts: int) -> timedelta:
        """The wait after so many attempts."""
        return min(self.most, self.first * (1 << min(max(0, attempts - 1), 30)))


@dataclass(frozen=True, slots=True)
class Lease:
    """A job that was taken."""

    job_id: int
    kind: JobKind
    report_id: str
    token: str
    attempts: int
    """This one included."""


def add_jobs(session: Session, kind: JobKind, reports: Sequence[tuple[str, int]], now: datetime) -> None:
    """Put jobs for reports (id and priority) into the queue; a report has one of each kind."""
    values = {
        "kind": kind,
        "state": JobState.WAITING,
        "attempts": 0,
        "run_after": now,
        "worker": "",
        "error": "",
        "created_at": now,
    }
    session.execute(insert(JobRow), [{**values, "report_id": name, "priority": priority} for name, priority in reports])


def _ready(now: datetime) -> Select[JobRow]:
    free = and_(JobRow.state == JobState.WAITING, JobRow.run_after <= now)
    lost = and_(JobRow.state == JobState.RUNNING, JobRow.lease_until < now)
    return select(JobRow).where(or_(free, lost)).order_by(JobRow.priority.desc(), JobRow.id).limit(1)


def has_work(session: Session, now: datetime) -> bool:
    """Whether ``claim`` would find something; only reads."""
    return session.scalars(_ready(now)).first() is not None


def claim(session: Session, worker: str, now: datetime, lease: timedelta) -> Lease | None:
    """Take the next job, or None when there is none. The caller sets aside one whose ``attempts`` are too many."""
    row = session.scalars(_ready(now).with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    row.state, row.worker, row.token = JobState.RUNNING, worker, secrets.token_hex(16)
    row.lease_until, row.attempts, row.started_at = now + lease, row.attempts + 1, now
    session.flush()
    return Lease(row.id, JobKind(row.kind), row.report_id, row.token, row.attempts)


def renew(session: Session, lease: Lease, until: datetime) -> bool:
    """Keep a job for longer; False when it is no longer ours (cancelled, or given to another worker)."""
    return _change(session, lease, {"lease_until": until})


def finish(session: Session, lease: Lease, now: datetime) -> bool:
    """End a job that is done; False when it is no longer ours: then nothing of it may be written."""
    return _change(session, lease, {"state": JobState.DONE, "token": None, "lease_until": None, "ended_at": now, "error": ""})


def give_back(session: Session, lease: Lease, now: datetime) -> bool:
    """Put a job back untried: the worker has to stop."""
    values = {"state": JobState.WAITING, "token": None, "lease_until": None, "run_after": now}
    return _change(session, lease, {**values, "attempts": lease.attempts - 1})


def postpone(session: Session, lease: Lease, until: datetime) -> bool:
    """Put a job back until a moment, as if it had not been tried: it waits for something outside."""
    values = {"state": JobState.WAITING, "token": None, "lease_until": None, "run_after": until}
    return _change(session, lease, {**values, "attempts": lease.attempts - 1})


def fail(session: Session, lease: Lease, error: str, now: datetime, rule: RetryRule) -> bool:
    """End an attempt that failed: the job waits for its next one, or is set aside. Gives whether it was set aside."""
    if lease.attempts >= rule.attempts:
        return set_aside(session, lease, error, now)
    values = {"state": JobState.WAITING, "token": None, "lease_until": None, "run_after": now + rule.wait(lease.attempts)}
    _change(session, lease, {**values, "error": error[:2000]})
    return False


def set_aside(session: Session, lease: Lease, error: str, now: datetime) -> bool:
    """Take a job out of the queue for a person to look at; False when it is no longer ours."""
    values = {"state": JobState.ASIDE, "token": None, "lease_until": None, "ended_at": now, "error": error[:2000]}
    if not _change(session, lease, values):
        return False
    note(session, "job.aside", f"job {lease.job_id}", {"report": lease.report_id, "attempts": lease.attempts})
    return True


def _change(session: Session, lease: Lease, values: Mapping[str, object]) -> bool:
    mine = (JobRow.id == lease.job_id, JobRow.token == lease.token, JobRow.state == JobState.RUNNING)
    done = session.execute(update(JobRow).where(*mine).values(**values))
    assert isinstance(done, CursorResult)
    return done.rowcount == 1


def cancel(session: Session, report_id: str, now: datetime) -> bool:
    """Take the job of a report out of the queue, or out of the hands of its worker; False when it has ended already."""
    open_states = (JobState.WAITING, JobState.RUNNING, JobState.ASIDE)
    row = session.scalars(select(JobRow).where(JobRow.report_id == report_id).with_for_update()).one_or_none()
    if row is None or row.state not in open_states:
        return False
    row.state, row.token, row.lease_until, row.ended_at = JobState.CANCELLED, None, None, now
    note(session, "job.cancel", f"job {row.id}", {"report": report_id})
    return True


def try_again(session: Session, job_id: int, now: datetime) -> str:
    """Put a job that was set aside back into the queue; gives its report. Raises ``TagtraceError`` for any other."""
    row = session.get(JobRow, job_id, with_for_update=True)
    if row is None or row.state != JobState.ASIDE:
        raise TagtraceError(f"job {job_id}: there is no such job that was set aside")
    row.state, row.attempts, row.run_after, row.ended_at = JobState.WAITING, 0, now, None
    note(session, "job.again", f"job {job_id}", {"report": row.report_id})
    return row.report_id


def get_job(session: Session, report_id: str) -> JobRow | None:
    """The job of a report."""
    return session.scalars(select(JobRow).where(JobRow.report_id == report_id)).one_or_none()


def list_jobs(session: Session, state: JobState | None, after: int, limit: int) -> list[JobRow]:
    """Jobs with higher numbers than ``after``."""
    rows = select(JobRow).where(JobRow.id > after)
    if state is not None:
        rows = rows.where(JobRow.state == state)
    return list(session.scalars(rows.order_by(JobRow.id).limit(limit)))


def count_jobs(session: Session) -> dict[str, int]:
    """How many jobs stand where."""
    rows = session.execute(select(JobRow.state, func.count()).group_by(JobRow.state))
    return {str(state): int(count) for state, count in rows}


def count_waiting(session: Session) -> int:
    """How many jobs wait."""
    return session.scalar(select(func.count()).select_from(JobRow).where(JobRow.state == JobState.WAITING)) or 0


def oldest_waiting(session: Session) -> datetime | None:
    """Since when the job that waits longest has been waiting."""
    return session.scalar(select(func.min(JobRow.created_at)).where(JobRow.state == JobState.WAITING))
