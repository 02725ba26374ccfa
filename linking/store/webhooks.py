"""Messages to intake systems in the store: taken under leases, sent in order, tried again, dead after too many attempts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session, aliased

from ...contract import TagtraceError
from .audit import note
from .jobs import RetryRule
from .report_tables import ReportRow, WebhookRow

WAITING, SENDING, DELIVERED, DEAD = "waiting", "sending", "delivered", "dead"
OPEN = (WAITING, SENDING)


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was taken, to be sent now. ``number`` grows with every message: receivers tell the order by it."""

    number: int
    message: str
    url: str
    event: dict[str, Any]
    token: str
    attempts: int


def _next(now: datetime) -> Select[WebhookRow]:
    earlier = aliased(WebhookRow)
    before = select(earlier.id).where(
        earlier.report_id == WebhookRow.report_id, earlier.id < WebhookRow.id, earlier.state.in_(OPEN)
    )
    # ``run_after`` of a message that is being sent is the end of its lease.
    ready = select(WebhookRow).where(WebhookRow.state.in_(OPEN), WebhookRow.run_after <= now, ~before.exists())
    return ready.order_by(WebhookRow.run_after, WebhookRow.id).limit(1)


def has_message(session: Session, now: datetime) -> bool:
    """Whether ``take`` would find something; only reads."""
    return session.scalars(_next(now)).first() is not None


def take(session: Session, now: datetime, lease: timedelta) -> Message | None:
    """Take the next message, or None."""
    row = session.scalars(_next(now).with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    row.state, row.token, row.run_after, row.attempts = SENDING, secrets.token_hex(16), now + lease, row.attempts + 1
    session.flush()
    return Message(row.id, row.message, row.url, dict(row.event), row.token, row.attempts)


def delivered(session: Session, message: Message, status: int, now: datetime) -> None:
    """Note that a message was received."""
    values = {"state": DELIVERED, "token": None, "status": status, "error": "", "ended_at": now}
    session.execute(update(WebhookRow).where(*_mine(message)).values(**values))


def not_delivered(session: Session, message: Message, status: int | None, error: str, now: datetime, rule: RetryRule) -> bool:
    """Note that an attempt failed: the message waits for its next one, or is dead. Gives whether it is dead."""
    dead = message.attempts >= rule.attempts
    values: dict[str, Any] = {"token": None, "status": status, "error": error[:1000]}
    values |= {"state": DEAD, "ended_at": now} if dead else {"state": WAITING, "run_after": now + rule.wait(message.attempts)}
    done = session.execute(update(WebhookRow).where(*_mine(message)).values(**values))
    assert isinstance(done, CursorResult)
    if dead and done.rowcount:
        note(session, "webhook.dead", f"webhook {message.number}", {"attempts": message.attempts, "status": status})
    return dead


def _mine(message: Message) -> tuple[Any, ...]:
    return WebhookRow.id == message.number, WebhookRow.token == message.token


def send_again(session: Session, number: int, owner: str | None, now: datetime) -> WebhookRow:
    """Put a dead message back into the queue. Raises ``TagtraceError`` for one that is not dead, or belongs to another owner."""
    row = session.get(WebhookRow, number, with_for_update=True)
    report = None if row is None else session.get(ReportRow, row.report_id)
    if row is None or report is None or row.state != DEAD or (owner is not None and report.owner != owner):
        raise TagtraceError(f"webhook {number}: there is no such dead letter")
    row.state, row.attempts, row.run_after, row.ended_at = WAITING, 0, now, None
    note(session, "webhook.again", f"webhook {number}")
    return row


def list_webhooks(session: Session, *, state: str | None, owner: str | None, after: int, limit: int) -> list[WebhookRow]:
    """Messages with higher numbers than ``after``."""
    rows = select(WebhookRow).join(ReportRow, ReportRow.id == WebhookRow.report_id).where(WebhookRow.id > after)
    if state is not None:
        rows = rows.where(WebhookRow.state == state)
    if owner is not None:
        rows = rows.where(ReportRow.owner == owner)
    return list(session.scalars(rows.order_by(WebhookRow.id).limit(limit)))


def count_webhooks(session: Session) -> dict[str, int]:
    """How many messages stand where."""
    rows = session.execute(select(WebhookRow.state, func.count()).group_by(WebhookRow.state))
    return {str(state): int(count) for state, count in rows}
