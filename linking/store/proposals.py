"""What takes two people: one proposes to send a resource for blocking, or to override a protection; another approves.

That they are two, and people who sign in, is checked here and in ``approvals``, under the lock of the proposal, and not only
where the request comes in.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ...contract import IdentifierKind, TagtraceError
from ..life import ResourceState, check_step
from .approvals import Action, ProposalRow, ProposalState, check_approval, person_of
from .audit import actor_of, note
from .protection import UnprotectedRow, is_shared_host, load_protection
from .resources import set_state
from .tables import ResourceRow


def propose(session: Session, action: Action, kind: IdentifierKind, value: str, basis: str, now: datetime) -> ProposalRow:
    """Propose a step. Raises ``TagtraceError`` where it could never be approved, where the same one is open already, and for
    somebody who is no person of this store."""
    what, actor = f"{kind} {value}", person_of(session)
    if not basis.strip():
        raise TagtraceError(f"{what}: a proposal needs a basis; say on what grounds")
    _check(session, action, kind, value, basis)
    rows = select(ProposalRow.id).where(ProposalRow.kind == kind, ProposalRow.value == value, ProposalRow.action == action)
    if session.scalar(rows.where(ProposalRow.state == ProposalState.OPEN)) is not None:
        raise TagtraceError(f"{what}: this is proposed already; somebody else approves or declines it")
    row = ProposalRow(action=action, kind=kind, value=value, basis=basis.strip(), state=ProposalState.OPEN, at=now, actor=actor)
    session.add(row)
    session.flush()
    note(session, f"proposal.{action}", what, {"proposal": row.id, "basis": row.basis})
    return row


def approve(session: Session, number: int, now: datetime) -> ProposalRow:
    """Approve a proposal and do what it says. Raises ``TagtraceError`` for one's own, and where it can no longer be done."""
    row = _open(session, number)
    if row.actor == person_of(session):
        raise TagtraceError("this was proposed by yourself; another person approves it")
    kind = IdentifierKind(row.kind)
    _check(session, Action(row.action), kind, row.value, row.basis)
    _decide(session, row, ProposalState.APPROVED, now, "")
    if row.action == Action.SEND:
        set_state(session, kind, row.value, ResourceState.SENT, row.basis, proposal=row.id)
    else:
        check_approval(session, row.id, Action.UNPROTECT, kind, row.value)
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


__all__ = [
    "Action",
    "ProposalRow",
    "ProposalState",
    "approve",
    "decline",
    "list_proposals",
    "propose",
    "protect_again",
]
