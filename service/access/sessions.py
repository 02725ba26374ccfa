"""Sessions of people: a random token in a cookie that scripts cannot read, its hash in the store."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Request, Response

from ...linking.store import people as rows
from ..settings import ServiceSettings
from ..state import ServiceState
from . import people
from .roles import Caller, Principal, Role

_SEEN_EVERY_S = 60.0
"""The time of a session's last use is written down at most so often."""
SESSION_DIGEST = "tagtrace.session"
"""Key of ``request.scope``: the digest of the session that a request came with."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just begun; ``token`` goes into the cookie and nowhere else."""

    token: str
    digest: str
    person: rows.Person
    expires_at: datetime


def cookie_name(settings: ServiceSettings) -> str:
    """The cookie's name; outside development browsers hold it to HTTPS, this host and the path ``/``."""
    return "tagtrace_session" if settings.development else "__Host-tagtrace"


def sign_in(state: ServiceState, login: str, password: str) -> NewSession:
    """Begin a session. Raises ``ProblemError`` as ``people.verify`` does."""
    person = people.verify(state.store, state.settings, login, password)
    token, now = secrets.token_urlsafe(32), datetime.now(UTC)
    digest, expires = _digest(token), now + timedelta(seconds=state.settings.session_s)
    actor = f"{Caller.PERSON} {person.id}"
    state.store.write(lambda session: rows.begin_session(session, digest, person.id, now, expires), actor)
    return NewSession(token, digest, person, expires)


def set_cookie(response: Response, settings: ServiceSettings, session: NewSession) -> None:
    """Give the browser its cookie."""
    response.set_cookie(
        cookie_name(settings),
        session.token,
        max_age=int(settings.session_s),
        path="/",
        secure=not settings.development,
        httponly=True,
        samesite="strict",
    )


def clear_cookie(response: Response, settings: ServiceSettings) -> None:
    """Take the cookie away."""
    response.delete_cookie(cookie_name(settings), path="/", secure=not settings.development, httponly=True, samesite="strict")


def authenticate(state: ServiceState, request: Request, bearer: str | None) -> Principal | None:
    """The person whose cookie came with a request; None without one, or with one that has run out."""
    token = request.cookies.get(cookie_name(state.settings))
    if bearer is not None or not token:
        return None
    digest, now = _digest(token), datetime.now(UTC)
    with state.store.read() as session:
        held = rows.find_session(session, digest)
    idle = timedelta(seconds=state.settings.session_idle_s)
    if held is None or held.person.ended_at is not None or held.expires_at <= now or held.seen_at + idle <= now:
        return None
    if (now - held.seen_at).total_seconds() > min(_SEEN_EVERY_S, state.settings.session_idle_s / 4):
        state.store.write(lambda session: rows.mark_seen(session, digest, now), f"{Caller.PERSON} {held.person.id}")
    request.scope[SESSION_DIGEST] = digest
    known = {str(role) for role in Role}
    roles = frozenset(Role(name) for name in held.person.roles if name in known)
    number = str(held.person.id)
    return Principal(Caller.PERSON, number, f"person {number}", roles=roles, must_change_password=held.person.must_change)


def sign_out(state: ServiceState, request: Request, principal: Principal) -> None:
    """End the session that a request came with."""
    digest = request.scope[SESSION_DIGEST]
    state.store.write(lambda session: rows.end_session(session, digest), principal.actor)


def sign_out_everywhere(state: ServiceState, person_id: int, actor: str) -> None:
    """End all sessions of somebody."""

    def change(session: Any) -> None:
        rows.get_person(session, person_id)
        rows.end_sessions(session, person_id)

    state.store.write(change, actor)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8")).hexdigest()
