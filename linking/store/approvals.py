"""The rule of two people, in the one place that every way to it goes through.

Sending a resource for blocking, and overriding a protection, need a proposal by one person and the approval of another. Both are
people of this store who may sign in: a name that a command line is given proves nothing, so it does not count here. The rest of
the store asks ``check_approval`` before it believes that somebody approved.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ...contract import IdentifierKind, TagtraceError
from .audit import actor_of
from .people import PersonRow
from .tables import Base, Number, ResourceEventRow

_PERSON = re.compile(r"person ([1-9][0-9]{0,17})")


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


def person_of(session: Session) -> str:
    """Who makes the changes of this transaction, if that is a person of this store who may sign in (``person 3``).

    Raises ``TagtraceError`` for anybody else: a key, a command line, a worker, or somebody who left.
    """
    actor = actor_of(session)
    found = _PERSON.fullmatch(actor)
    here = found and session.scalar(select(PersonRow.id).where(PersonRow.id == int(found[1]), PersonRow.ended_at.is_(None)))
    if not here:
        raise TagtraceError(
            f"{actor}: this takes two people who sign in; one proposes it at the review desk or with POST /v1/proposals, "
            "and another one approves it there"
        )
    return actor


def check_approval(session: Session, number: int | None, action: Action, kind: IdentifierKind, value: str) -> None:
    """Raise ``TagtraceError`` unless a proposal says exactly this, two people stand behind it, and it has not been used yet."""
    what = f"{kind} {value}"
    row = None if number is None else session.get(ProposalRow, number)
    if row is None:
        person_of(session)
        raise TagtraceError(
            f"{what}: this takes two people; propose it at the review desk or with POST /v1/proposals, and another approves it"
        )
    said = (row.action, row.kind, row.value, row.state)
    if said != (action, kind, value, ProposalState.APPROVED) or row.decided_by is None or row.decided_by == row.actor:
        raise TagtraceError(f"{what}: proposal {row.id} does not say that two people agreed to this; propose it anew")
    if session.scalar(select(ResourceEventRow.id).where(ResourceEventRow.proposal_id == row.id)) is not None:
        raise TagtraceError(f"{what}: proposal {row.id} was carried out already; propose it anew")
