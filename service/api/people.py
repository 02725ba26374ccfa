"""Signing in and out, and managing people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from ...contract import TagtraceError
from ...linking.store import people as rows
from ..access import SIGN_IN, Principal, Role, allow, csrf, people, sessions
from ..problems import ProblemError, problems
from ..state import ServiceState, StateDep
from . import paging

router = APIRouter(prefix="/v1", tags=["people"])
Person = Annotated[Principal, allow(*Role, first_password=True)]
"""Anybody who is signed in, also with a password that has to be changed first."""
Administrator = Annotated[Principal, allow(Role.ADMINISTRATOR)]
PersonId = Annotated[int, Path(ge=1, lt=1 << 31)]
_Password = Annotated[str, Field(min_length=1, max_length=people.MOST_PASSWORD)]


class Credentials(BaseModel):
    """Who wants to sign in."""

    login: str = Field(min_length=1, max_length=64)
    password: _Password


class SessionView(BaseModel):
    """A person's session."""

    person: int
    login: str
    name: str
    roles: list[str]
    expires_at: datetime
    must_change_password: bool = Field(description="True: the password was given by somebody else; change it first.")
    csrf_token: str = Field(description="Send it as `X-CSRF-Token` with everything that changes something.")


class PasswordChange(BaseModel):
    """A new password for oneself."""

    old: _Password
    new: _Password


class NewPerson(BaseModel):
    """Somebody who will sign in."""

    login: str = Field(min_length=2, max_length=64)
    name: str = Field(default="", max_length=200)
    roles: list[Role] = Field(min_length=1, max_length=4)


class PersonChange(BaseModel):
    """What changes about somebody; what is left out stays."""

    roles: list[Role] | None = Field(default=None, min_length=1, max_length=4)
    active: bool | None = Field(default=None, description="False: may not sign in, and is signed out everywhere.")


class PersonView(BaseModel):
    """A person."""

    id: int
    login: str
    name: str
    roles: list[str]
    created_at: datetime
    password_at: datetime
    active: bool
    must_change_password: bool


class PasswordView(PersonView):
    """A person with a password that was just made."""

    password: str = Field(description="Shown once.")


@router.post("/session", dependencies=[SIGN_IN], summary="Sign in", responses=problems(401, 403, 413, 422, 429))
def sign_in(request: Request, response: Response, state: StateDep, given: Credentials) -> SessionView:
    """Sets the session's cookie. After several wrong passwords the login is locked for a while that grows (429).

    With a password that an administrator gave, `must_change_password` is true and everything but changing it is refused (403).
    """
    csrf.check_origin(request, state.settings)
    made = sessions.sign_in(state, given.login, given.password)
    sessions.set_cookie(response, state.settings, made)
    return _session(state, made.person, made.digest, made.expires_at)


@router.get("/session", summary="Who is signed in", responses=problems(401, 403))
def show_session(request: Request, state: StateDep, person: Person) -> SessionView:
    """Also gives the CSRF token."""
    digest = str(request.scope[sessions.SESSION_DIGEST])
    with state.store.read() as session:
        held = rows.find_session(session, digest)
    if held is None:
        raise ProblemError(401, "You were signed out meanwhile; sign in again.", "unauthenticated")
    return _session(state, held.person, digest, held.expires_at)


@router.delete("/session", status_code=204, summary="Sign out", responses=problems(401, 403))
def sign_out(request: Request, response: Response, state: StateDep, person: Person) -> None:
    """Ends this session."""
    sessions.sign_out(state, request, person)
    sessions.clear_cookie(response, state.settings)


@router.delete("/sessions", status_code=204, summary="Sign out everywhere", responses=problems(401, 403))
def sign_out_everywhere(response: Response, state: StateDep, person: Person) -> None:
    """Ends all of one's own sessions."""
    sessions.sign_out_everywhere(state, int(person.id), person.actor)
    sessions.clear_cookie(response, state.settings)


@router.post(
    "/session/password", status_code=204, summary="Change one's password", responses=problems(401, 403, 409, 413, 422, 429)
)
def change_password(response: Response, state: StateDep, person: Person, given: PasswordChange) -> None:
    """Ends all of one's own sessions: sign in again with the new password."""
    people.change_own(state.store, state.settings, int(person.id), given.old, given.new, person.actor)
    sessions.clear_cookie(response, state.settings)


@router.get("/people", summary="List people", responses=problems(401, 403, 422))
def list_people(
    state: StateDep, _: Administrator, cursor: paging.Cursor = None, limit: paging.Limit = 50
) -> paging.Page[PersonView]:
    """In the order of their numbers."""
    with state.store.read() as session:
        found = rows.list_people(session, paging.number(cursor) or 0, limit + 1)
    following = paging.encode(found[limit - 1].id) if len(found) > limit else None
    return paging.Page[PersonView](items=[_view(person) for person in found[:limit]], next=following)


@router.post("/people", status_code=201, summary="Add a person", responses=problems(401, 403, 409, 413, 422))
def add_person(state: StateDep, administrator: Administrator, given: NewPerson) -> PasswordView:
    """The answer has a password that is shown once; the person has to change it after signing in."""
    password = people.new_password()
    roles = frozenset(given.roles)
    number = people.add(state.store, given.login, given.name, roles, password, administrator.actor, must_change=True)
    with state.store.read() as session:
        return PasswordView(**_view(rows.get_person(session, number)).model_dump(), password=password)


@router.patch("/people/{person_id}", summary="Change a person", responses=problems(401, 403, 404, 409, 413, 422))
def change_person(state: StateDep, administrator: Administrator, person_id: PersonId, given: PersonChange) -> PersonView:
    """Roles, and whether somebody may sign in. Somebody who manages people is always left; nobody raises themselves (409)."""
    _known(state, person_id)
    roles, now = None if given.roles is None else frozenset(given.roles), datetime.now(UTC)
    change = state.store.write(
        lambda session: rows.change_person(session, person_id, now, roles=roles, active=given.active), administrator.actor
    )
    return _view(change)


@router.post("/people/{person_id}/password", summary="Reset a password", responses=problems(401, 403, 404, 409, 422))
def reset_password(state: StateDep, administrator: Administrator, person_id: PersonId) -> PasswordView:
    """Makes a new one, shown once, that the person has to change, and signs the person out everywhere."""
    _known(state, person_id)
    password = people.new_password()
    people.set_password(state.store, person_id, password, administrator.actor)
    return PasswordView(**_view(_known(state, person_id)).model_dump(), password=password)


@router.delete(
    "/people/{person_id}/sessions", status_code=204, summary="Sign somebody out", responses=problems(401, 403, 404, 422)
)
def end_sessions(state: StateDep, administrator: Administrator, person_id: PersonId) -> None:
    """Everywhere."""
    _known(state, person_id)
    sessions.sign_out_everywhere(state, person_id, administrator.actor)


def _known(state: ServiceState, number: int) -> rows.Person:
    with state.store.read() as session:
        try:
            return rows.get_person(session, number)
        except TagtraceError as error:
            raise ProblemError(404, f"There is no person {number}.", "person-not-found") from error


def _session(state: ServiceState, person: rows.Person, digest: str, expires_at: datetime) -> SessionView:
    return SessionView(
        person=person.id,
        login=person.login,
        name=person.name,
        roles=list(person.roles),
        expires_at=expires_at,
        must_change_password=person.must_change,
        csrf_token=csrf.token_for(state.settings, digest),
    )


def _view(person: rows.Person) -> PersonView:
    return PersonView(
        id=person.id,
        login=person.login,
        name=person.name,
        roles=list(person.roles),
        created_at=person.created_at,
        password_at=person.password_at,
        active=person.ended_at is None,
        must_change_password=person.must_change,
    )
