"""People: their names and passwords (argon2), and signing in, with a lock that grows after wrong passwords."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ...contract import TagtraceError
from ...linking.store import Store
from ...linking.store import people as rows
from ..problems import ProblemError
from ..settings_data import DataSettings
from .roles import Role

LEAST_PASSWORD = 12
"""Characters that a password has at least."""
MOST_PASSWORD = 256
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
_HASHER = PasswordHasher()
_room: dict[int, threading.BoundedSemaphore] = {}


def clean_login(text: str) -> str:
    """A login as it is kept. Raises ``TagtraceError`` for one that cannot be one."""
    login = text.strip().lower()
    if not _LOGIN.fullmatch(login):
        raise TagtraceError(f"{text[:64]!r}: a login has 2 to 64 letters a-z, digits and . _ @ -")
    return login


def check_password(password: str, login: str) -> None:
    """Raise ``TagtraceError`` for a password that is too short, too long, or the login itself."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise TagtraceError(f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters")
    if login in password.lower() or len(set(password)) < 5:
        raise TagtraceError("this password is easily guessed; take several words that nobody else would put together")


def new_password() -> str:
    """A random password of 120 bits."""
    return secrets.token_urlsafe(15)


def add(
    store: Store,
    login: str,
    name: str,
    roles: frozenset[Role],
    password: str,
    actor: str = "",
    *,
    must_change: bool = False,
) -> int:
    """Keep a new person and give the number. Raises ``TagtraceError`` for wrong values and for a login that is taken.

    ``must_change``: the password was not chosen by the person, who has to change it after signing in, before anything else.
    """
    login = clean_login(login)
    check_password(password, login)
    if not roles:
        raise TagtraceError(f"{login}: a person needs at least one role; choose from: {', '.join(Role)}")
    hashed, now = _HASHER.hash(password), datetime.now(UTC)
    return store.write(
        lambda session: rows.add_person(session, login, name.strip(), hashed, roles, now, must_change=must_change), actor
    )


def set_password(store: Store, number: int, password: str, actor: str, *, why: str = rows.RESET) -> None:
    """Give somebody a new password: they are signed out everywhere, and a lock on their name ends.

    One that somebody else gave (``why`` is ``reset``) has to be changed after signing in, before anything else is done.
    """
    with store.read() as session:
        login = rows.get_person(session, number).login
    check_password(password, login)
    hashed, now = _HASHER.hash(password), datetime.now(UTC)

    def change(session: Any) -> None:
        rows.set_password(session, number, hashed, now, why=why)
        rows.clear_failures(session, _digest(login))

    store.write(change, actor)


def change_own(store: Store, settings: DataSettings, number: int, old: str, new: str, actor: str) -> None:
    """Change one's own password. ``ProblemError`` as from ``verify`` for a wrong old one, ``TagtraceError`` for a bad new one."""
    with store.read() as session:
        login = rows.get_person(session, number).login
    verify(store, settings, login, old)
    if new == old:
        raise TagtraceError("the new password is the old one; take another one")
    set_password(store, number, new, actor, why="change")


def unlock(store: Store, number: int, actor: str) -> None:
    """Let somebody sign in again, whoever or whatever locked them."""
    now = datetime.now(UTC)

    def change(session: Any) -> None:
        person = rows.change_person(session, number, now, active=True)
        rows.clear_failures(session, _digest(person.login))

    store.write(change, actor)


def locked_until(locks: Mapping[str, datetime], login: str) -> datetime | None:
    """Until when a name is locked after wrong passwords; ``locks`` as ``list_locks`` of the store gives them."""
    return locks.get(_digest(login))


def verify(store: Store, settings: DataSettings, login: str, password: str) -> rows.Person:
    """The person whose login and password these are.

    ``ProblemError`` 401 for anything wrong, in the same words and time whoever exists, and for a first password that was not
    used in time; 429 while the name is locked.
    """
    login, now = login.strip().lower(), datetime.now(UTC)
    digest = _digest(login)
    with store.read() as session:
        lock = rows.get_lock(session, digest)
        found = rows.find_person(session, login)
    if lock is not None and lock[1] > now:
        wait = str(max(1, int((lock[1] - now).total_seconds()) + 1))
        raise ProblemError(429, f"Too many wrong passwords; try again in {wait} s.", "sign-in-locked", {"Retry-After": wait})
    hashed = found[1] if found is not None else _nobody()
    with _semaphore(settings.hashes_at_once):
        right = _matches(hashed, password)
    if found is None or not right or found[0].ended_at is not None:
        locks = _locks(settings, now)
        store.write(lambda session: rows.count_failure(session, digest, now, locks), "sign-in")
        raise ProblemError(
            401, "Login or password is wrong.", "sign-in-refused", {"WWW-Authenticate": 'Session realm="tagtrace"'}
        )
    person = found[0]
    if person.must_change and now - person.password_at > timedelta(days=settings.first_password_days):
        raise ProblemError(401, "This first password has run out; ask for a new one.", "first-password-ended")

    def welcome(session: Any) -> None:
        rows.clear_failures(session, digest)
        if stronger is not None:
            rows.rehash(session, person.id, stronger)

    stronger = _HASHER.hash(password) if _HASHER.check_needs_rehash(hashed) else None
    if lock is not None or stronger is not None:
        store.write(welcome, f"person {person.id}")
    return person


def _matches(hashed: str, password: str) -> bool:
    if len(password) > MOST_PASSWORD:
        return False
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _locks(settings: DataSettings, now: datetime) -> list[datetime]:
    """The ends of the locks after 1, 2, … wrong passwords; the first few lock nothing."""
    ends, wait = [now] * (settings.sign_in_attempts - 1), settings.lock_s
    while wait < settings.lock_most_s:
        ends.append(now + timedelta(seconds=wait))
        wait *= 2
    return [*ends, now + timedelta(seconds=settings.lock_most_s)]


@lru_cache(maxsize=1)
def _nobody() -> str:
    """The hash of a password that nobody has, so that unknown logins take as long as known ones."""
    return _HASHER.hash(secrets.token_urlsafe(32))


def _semaphore(size: int) -> threading.BoundedSemaphore:
    return _room.setdefault(size, threading.BoundedSemaphore(size))


def _digest(login: str) -> str:
    return hashlib.sha256(login.encode("utf-8")).hexdigest()
