"""People who sign in, their sessions, and locks after wrong passwords. Passwords and tokens are in the store as hashes only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, delete, false, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ...contract import TagtraceError
from .audit import actor_of, note
from .tables import Base, Number
from .upserts import hold, insert_missing

ADMINISTRATOR = "administrator"
RESET = "reset"
"""Why a password is new: somebody else gave it."""


class PersonRow(Base):
    """One person. ``login`` is in lower case; ``ended_at`` is set when the person may not sign in any more; ``must_change`` while
    the password is one that somebody else gave."""

    __tablename__ = "people"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    login: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(Text, default="")
    password_hash: Mapped[str] = mapped_column(Text)
    roles: Mapped[list[Any]]
    created_at: Mapped[datetime]
    password_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    must_change: Mapped[bool] = mapped_column(default=False, server_default=false())


class PersonSessionRow(Base):
    """One sign-in. ``digest`` is the SHA-256 of the token in the cookie."""

    __tablename__ = "person_sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class SignInLockRow(Base):
    """Wrong passwords for one name, whether somebody has it or not. ``digest`` is the SHA-256 of the name."""

    __tablename__ = "sign_in_locks"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    failed: Mapped[int]
    last_at: Mapped[datetime]
    until: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the store has it, without the password's hash."""

    id: int
    login: str
    name: str
    roles: tuple[str, ...]
    created_at: datetime
    password_at: datetime
    ended_at: datetime | None
    must_change: bool = False
    """Whether the password was given by somebody else and has to be changed first."""


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session that is in the store, and whose it is."""

    digest: str
    person: Person
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


def add_person(
    session: Session,
    login: str,
    name: str,
    password_hash: str,
    roles: Collection[str],
    now: datetime,
    *,
    must_change: bool = False,
) -> int:
    """Keep a new person and give the number. Raises ``TagtraceError`` where the login is taken."""
    if session.scalar(select(PersonRow.id).where(PersonRow.login == login)) is not None:
        raise TagtraceError(f"{login}: there is somebody with this name already; `tagtrace people set` changes them")
    row = PersonRow(
        login=login,
        name=name,
        password_hash=password_hash,
        roles=sorted(roles),
        created_at=now,
        password_at=now,
        must_change=must_change,
    )
    session.add(row)
    session.flush()
    note(session, "person.add", f"person {row.id}", {"roles": sorted(roles)})
    return row.id


def list_people(session: Session, after: int = 0, limit: int | None = None) -> list[Person]:
    """People with higher numbers than ``after``, in the order of their numbers."""
    return [
        _person(row) for row in session.scalars(select(PersonRow).where(PersonRow.id > after).order_by(PersonRow.id).limit(limit))
    ]


def get_person(session: Session, number: int) -> Person:
    """A person by number. Raises ``TagtraceError`` for an unknown one."""
    return _person(_row(session, number))


def find_person(session: Session, login: str) -> tuple[Person, str] | None:
    """A person by login, with the hash of the password."""
    row = session.scalars(select(PersonRow).where(PersonRow.login == login)).one_or_none()
    return None if row is None else (_person(row), row.password_hash)


def change_person(
    session: Session, number: int, now: datetime, *, roles: Collection[str] | None = None, active: bool | None = None
) -> Person:
    """Change roles, or whether somebody may sign in; who may not is signed out everywhere.

    Raises ``TagtraceError`` when nobody would be left who manages people, and for a role that somebody gives to themselves.
    """
    hold(session, PersonRow)
    row = _row(session, number)
    if roles is not None:
        if actor_of(session) == f"person {number}" and set(roles) - set(row.roles):
            raise TagtraceError("nobody gives a role to themselves; another administrator does it")
        row.roles = sorted(roles)
    if active is not None:
        row.ended_at = None if active else (row.ended_at or now)
    session.flush()
    others = [p for p in list_people(session) if p.ended_at is None and ADMINISTRATOR in p.roles]
    if not others:
        raise TagtraceError("nobody would be left who manages people; make somebody else an administrator first")
    if active is False:
        end_sessions(session, number)
    note(session, "person.set", f"person {number}", {"roles": row.roles, "active": row.ended_at is None})
    return _person(row)


def set_password(session: Session, number: int, password_hash: str, now: datetime, *, why: str) -> None:
    """Give somebody a new password; they are signed out everywhere. ``why``: ``reset`` (by somebody else) or ``change``."""
    row = _row(session, number)
    row.password_hash, row.password_at, row.must_change = password_hash, now, why == RESET
    end_sessions(session, number)
    note(session, f"person.password.{why}", f"person {number}")


def rehash(session: Session, number: int, password_hash: str) -> None:
    """Keep the same password under a stronger hash."""
    session.execute(update(PersonRow).where(PersonRow.id == number).values(password_hash=password_hash))


def begin_session(session: Session, digest: str, person_id: int, now: datetime, expires_at: datetime) -> None:
    """Keep a new session."""
    session.add(PersonSessionRow(digest=digest, person_id=person_id, created_at=now, seen_at=now, expires_at=expires_at))
    session.flush()
    note(session, "session.begin", f"person {person_id}")


def find_session(session: Session, digest: str) -> HeldSession | None:
    """A session by the digest of its token, also one that has expired."""
    rows = select(PersonSessionRow, PersonRow).join(PersonRow, PersonRow.id == PersonSessionRow.person_id)
    found = session.execute(rows.where(PersonSessionRow.digest == digest)).one_or_none()
    if found is None:
        return None
    held, person = found
    return HeldSession(held.digest, _person(person), held.created_at, held.seen_at, held.expires_at)


def mark_seen(session: Session, digest: str, now: datetime) -> None:
    """Remember when a session was last used."""
    session.execute(update(PersonSessionRow).where(PersonSessionRow.digest == digest).values(seen_at=now))


def end_session(session: Session, digest: str) -> None:
    """Sign somebody out here."""
    held = session.get(PersonSessionRow, digest)
    if held is not None:
        note(session, "session.end", f"person {held.person_id}")
        session.delete(held)


def end_sessions(session: Session, person_id: int) -> None:
    """Sign somebody out everywhere."""
    session.execute(delete(PersonSessionRow).where(PersonSessionRow.person_id == person_id))
    note(session, "session.end-all", f"person {person_id}")


def count_sessions(session: Session, now: datetime) -> dict[int, int]:
    """How many sessions of each person have not run out, by the number of the person; nobody without one is in it."""
    rows = select(PersonSessionRow.person_id, func.count()).where(PersonSessionRow.expires_at > now)
    return {row[0]: row[1] for row in session.execute(rows.group_by(PersonSessionRow.person_id))}


def list_locks(session: Session, now: datetime) -> dict[str, datetime]:
    """The names that are locked after wrong passwords, by the SHA-256 of the name, and until when."""
    rows = select(SignInLockRow.digest, SignInLockRow.until).where(SignInLockRow.until > now)
    return {row[0]: row[1] for row in session.execute(rows)}


def get_lock(session: Session, digest: str) -> tuple[int, datetime] | None:
    """Wrong passwords so far, and until when nobody may try."""
    row = session.get(SignInLockRow, digest)
    return None if row is None else (row.failed, row.until)


def count_failure(session: Session, digest: str, now: datetime, until: Sequence[datetime]) -> int:
    """Count a wrong password; ``until[n]`` is the end of the lock after ``n + 1`` of them (the last for all further)."""
    insert_missing(session, SignInLockRow, [{"digest": digest, "failed": 0, "last_at": now, "until": now}])
    row = session.get_one(SignInLockRow, digest, with_for_update=True)
    row.failed, row.last_at = row.failed + 1, now
    row.until = until[min(row.failed, len(until)) - 1]
    session.flush()
    if row.until > now:
        note(session, "sign-in.lock", "sign-in", {"failed": row.failed, "until": row.until.isoformat()})
    return row.failed


def clear_failures(session: Session, digest: str) -> None:
    """Forget the wrong passwords for a name."""
    session.execute(delete(SignInLockRow).where(SignInLockRow.digest == digest))


def _row(session: Session, number: int) -> PersonRow:
    row = session.get(PersonRow, number)
    if row is None:
        raise TagtraceError(f"person {number}: there is nobody with this number; `tagtrace people list` shows them")
    return row


def _person(row: PersonRow) -> Person:
    roles = tuple(map(str, row.roles))
    times = (row.created_at, row.password_at, row.ended_at)
    return Person(row.id, row.login, row.name, roles, *times, must_change=row.must_change)
