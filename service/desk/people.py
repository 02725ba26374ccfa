"""People who sign in, for administrators: add them, change their roles, lock and unlock them, reset passwords, end sessions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from fastapi import Form, Path, Response
from fastapi.responses import RedirectResponse

from ...contract import TagtraceError
from ...linking.store import people as rows
from ..access import Role, people, sessions
from ..problems import ProblemError
from .pages import AdministratorDesk, Desk, desk_router, link

router = desk_router()
PAGE = 100
Number = Annotated[int, Path(ge=1, lt=1 << 31)]
Roles = Annotated[list[Role] | None, Form(max_length=len(Role))]


class Act(StrEnum):
    """What can be done with somebody."""

    ROLES = "roles"
    LOCK = "lock"
    UNLOCK = "unlock"
    RESET = "reset"
    SIGN_OUT = "sign_out"


@router.get("/people")
def show_people(desk: AdministratorDesk, after: int = 0, done: str = "", number: int = 0) -> Response:
    """Everybody who signs in, by number; ``done`` is what was just done with the person ``number``."""
    said = ""
    if done in set(Act) and number:
        said = desk.texts(f"people.done_{done}", login=_known(desk, number).login)
    return _page(desk, after, said=said)


@router.post("/people")
def add_person(
    desk: AdministratorDesk,
    login: Annotated[str, Form(max_length=200)] = "",
    name: Annotated[str, Form(max_length=200)] = "",
    role: Roles = None,
) -> Response:
    """Add somebody; the page shows the first password, once."""
    password, roles = people.new_password(), frozenset(role or ())
    try:
        number = people.add(desk.state.store, login, name, roles, password, desk.actor, must_change=True)
    except TagtraceError as error:
        given = {"login": login, "name": name, "roles": roles}
        return _page(desk, 0, wrong=desk.texts.said(str(error)), given=given, status=409)
    return _page(desk, number - 1, shown=(_known(desk, number), password))


@router.post("/people/{number}")
def change_person(
    desk: AdministratorDesk, number: Number, act: Annotated[Act, Form()], role: Roles = None, after: Annotated[int, Form()] = 0
) -> Response:
    """Do one thing with somebody. A password that was reset is on the page, once."""
    person, password = _known(desk, number), people.new_password()
    try:
        _do(desk, number, act, frozenset(role or ()), password)
    except TagtraceError as error:
        return _page(desk, after, wrong=desk.texts.said(str(error)), status=409)
    if act is Act.RESET:
        return _page(desk, after, shown=(person, password))
    return RedirectResponse(link("/desk/people", after=after or "", done=act, number=number) + f"#person-{number}", 303)


def _do(desk: Desk, number: int, act: Act, roles: frozenset[Role], password: str) -> None:
    store, now = desk.state.store, datetime.now(UTC)
    if act is Act.ROLES:
        if not roles:
            raise TagtraceError(f"a person needs at least one role; choose from: {', '.join(Role)}")
        store.write(lambda session: rows.change_person(session, number, now, roles=roles), desk.actor)
    elif act is Act.LOCK:
        store.write(lambda session: rows.change_person(session, number, now, active=False), desk.actor)
    elif act is Act.UNLOCK:
        people.unlock(store, number, desk.actor)
    elif act is Act.RESET:
        people.set_password(store, number, password, desk.actor)
    else:
        sessions.sign_out_everywhere(desk.state, number, desk.actor)


def _page(
    desk: Desk,
    after: int,
    *,
    said: str = "",
    wrong: str = "",
    shown: tuple[rows.Person, str] | None = None,
    given: Mapping[str, object] | None = None,
    status: int = 200,
) -> Response:
    now = datetime.now(UTC)
    with desk.state.store.read() as session:
        found = rows.list_people(session, after, PAGE + 1)
        signed_in, locks = rows.count_sessions(session, now), rows.list_locks(session, now)
    assert desk.principal is not None
    page = desk.page(
        "people.html",
        status=status,
        found=found[:PAGE],
        after=after,
        more=link("/desk/people", after=found[PAGE - 1].id) if len(found) > PAGE else "",
        signed_in=signed_in,
        locked={person.id: people.locked_until(locks, person.login) for person in found},
        me=int(desk.principal.id),
        roles=list(Role),
        given=given or {"login": "", "name": "", "roles": frozenset()},
        said=said,
        wrong=wrong,
        shown=shown,
    )
    page.headers["Cache-Control"] = "no-store"
    return page


def _known(desk: Desk, number: int) -> rows.Person:
    with desk.state.store.read() as session:
        try:
            return rows.get_person(session, number)
        except TagtraceError as error:
            raise ProblemError(404, desk.texts.said(str(error)), "person-not-found") from error
