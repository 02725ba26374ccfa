"""Who has which advert of the queue before them, for a while: no two experts the same, whatever process serves them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CursorResult, Text, delete, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .tables import Base
from .upserts import insert_missing


class HoldRow(Base):
    """One entry of the queue that somebody has before them until a moment; after it, it is free whoever had it."""

    __tablename__ = "holds"

    wall: Mapped[str] = mapped_column(Text, primary_key=True)
    """As the queue names it (``wall_of``)."""
    actor: Mapped[str] = mapped_column(Text, index=True)
    until: Mapped[datetime] = mapped_column(index=True)


def held_by_others(session: Session, actor: str, now: datetime) -> list[str]:
    """What others have before them."""
    return list(session.scalars(select(HoldRow.wall).where(HoldRow.actor != actor, HoldRow.until > now)))


def hold(session: Session, wall: str, actor: str, now: datetime, until: datetime) -> bool:
    """Give an entry to somebody, in place of what they had; False where somebody else has it: then nothing is changed."""
    insert_missing(session, HoldRow, [{"wall": wall, "actor": actor, "until": until}])
    free = or_(HoldRow.actor == actor, HoldRow.until <= now)
    taken = session.execute(update(HoldRow).where(HoldRow.wall == wall, free).values(actor=actor, until=until))
    assert isinstance(taken, CursorResult)
    if taken.rowcount != 1:
        return False
    session.execute(delete(HoldRow).where(HoldRow.wall != wall, or_(HoldRow.actor == actor, HoldRow.until <= now)))
    return True
