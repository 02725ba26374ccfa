"""What takes two people: one proposes to send a resource for blocking, or to override a protection; another approves.

That they are two is checked here, under the lock of the proposal, and not only where the request comes in.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String, Text, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ...contract import IdentifierKind, TagtraceError
from ..life import ResourceState, check_step
from .audit import actor_of, note
from .protection import UnprotectedRow, is_shared_host, load_protection
from .resources import set_state
from .tables import Base, Number, ResourceRow


class Action(StrEnum):
    """What can be proposed."""

    SEND = "send"
    """Send a verified resource to the body that orders blocking."""
    UNPROTECT = "unprotect"
    """Treat one exact value as not protected, although the list or a look-alike on it says so."""


class ProposalState(StrEnum):
    """Where a proposal stands."""

    OPEN = "open"
    APPROVED = "approved"
    DECLINED = "declined"
    """Also when who proposed it takes it back."""


class ProposalRow(Base):
    """One proposal, and what became of it."""

    __tablename__ = "proposals"
    __table_args__ = (Index(None, "kind", "value"),)

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    action: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(32))
    value: Mapped[str] = mapped_column(Text)
    basis: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), index=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text, default="")


def propose(session: Session, action: Action, kind: IdentifierKind, value: str, basis: str, now: datetime) -> ProposalRow:
    """Propose a step. Raises ``TagtraceError`` where it could never be approved, and where the same one is open already."""
    what = f"{kind} {value}"
    if not basis.strip():
        raise TagtraceError(f"{what}: a proposal needs a basis; say on what grounds")
    _check(session, action, kind, value, basis)
    rows = select(ProposalRow.id).where(ProposalRow.kind == kind, ProposalRow.value == value, ProposalRow.action == action)
    if session.scalar(rows.where(ProposalRow.state == ProposalState.OPEN)) is not None:
        raise TagtraceError(f"{what}: this is proposed already; somebody else approves or declines it")
    row = ProposalRow(
        action=action, kind=kind, value=value, basis=basis.strip(), state=ProposalState.OPEN, at=now, actor=actor_of(session)
    )
    session.add(row)
    session.flush()
    note(session, f"proposal.{action}", what, {"proposal": row.id, "basis": row.basis})
    return row


def approve(session: Session, number: int, now: datetime) -> ProposalRow:
    """Approve a proposal and do what it says. Raises ``TagtraceError`` for one's own, and where it can no longer be done."""
    row = _open(session, number)
    if row.actor == actor_of(session):
        raise TagtraceError("this was proposed by yourself; another person approves it")
    kind = IdentifierKind(row.kind)
    _check(session, Action(row.action), kind, row.value, row.basis)
    _decide(session, row, ProposalState.APPROVED, now, "")
    if row.action == Action.SEND:
        set_state(session, kind, row.value, ResourceState.SENT, row.basis)
    else:
        session.add(UnprotectedRow(kind=row.kind, value=row.value, proposal_id=row.id, at=now))
        session.flush()
        note(session, "protected.override", f"{row.kind} {row.value}", {"proposal": row.id, "basis": row.basis})
    return row


def decline(session: Session, number: int, why: str, now: datetime) -> ProposalRow:
    """Decline a proposal, or take one's own back. Raises ``TagtraceError`` without a reason."""
    if not why.strip():
        raise TagtraceError("say why it is declined")
    row = _open(session, number)
    _decide(session, row, ProposalState.DECLINED, now, why.strip())
    return row


def protect_again(session: Session, kind: IdentifierKind, value: str, why: str) -> bool:
    """End the override of a protection: one person is enough for that. Gives whether there was one."""
    row = session.get(UnprotectedRow, (kind, value))
    if row is None:
        return False
    session.execute(delete(UnprotectedRow).where(UnprotectedRow.kind == kind, UnprotectedRow.value == value))
    note(session, "protected.again", f"{kind} {value}", {"why": why})
    return True


def list_proposals(session: Session, state: ProposalState | None, before: int | None, limit: int) -> list[ProposalRow]:
    """Proposals, the newest first."""
    rows = select(ProposalRow)
    if state is not None:
        rows = rows.where(ProposalRow.state == state)
    if before is not None:
        rows = rows.where(ProposalRow.id < before)
    return list(session.scalars(rows.order_by(ProposalRow.id.desc()).limit(limit)))


def _check(session: Session, action: Action, kind: IdentifierKind, value: str, basis: str) -> None:
    what, protected = f"{kind} {value}", load_protection(session).covers(kind, value)
    if action is Action.UNPROTECT:
        if is_shared_host(kind, value):
            raise TagtraceError(f"{what}: is a host that many share and can never be a target")
        if not protected:
            raise TagtraceError(f"{what}: is not protected; there is nothing to override")
        return
    state = session.scalar(select(ResourceRow.state).where(ResourceRow.kind == kind, ResourceRow.value == value))
    if state is None:
        raise TagtraceError(f"{what}: there is no such resource")
    check_step(what, ResourceState(state), ResourceState.SENT, basis=basis, order_number="", protected=protected)


def _open(session: Session, number: int) -> ProposalRow:
    row = session.get(ProposalRow, number, with_for_update=True, populate_existing=True)
    if row is None:
        raise TagtraceError(f"there is no proposal {number}")
    if row.state != ProposalState.OPEN:
        raise TagtraceError(f"proposal {number} is {row.state} already")
    return row


def _decide(session: Session, row: ProposalRow, state: ProposalState, now: datetime, why: str) -> None:
    row.state, row.decided_at, row.decided_by, row.why = state, now, actor_of(session), why
    session.flush()
    details = {"proposal": row.id, "action": row.action, "by": row.actor, "why": why}
    note(session, f"proposal.{state}", f"{row.kind} {row.value}", details)
