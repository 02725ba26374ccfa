"""The door of the desk: signing in and out, one's password, choosing a language, and the files that every page needs.

All of it works without scripts: forms are sent as forms.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Query, Response
from fastapi.responses import RedirectResponse

from ...contract import TagtraceError
from ...linking.store import people as rows
from ..access import PUBLIC, SIGN_IN, csrf, people, sessions
from ..problems import ProblemError
from . import assets
from .pages import LANGUAGE_COOKIE, READS, Desk, DeskDep, PersonDesk, ReaderDesk, desk_router, link, own_address
from .texts import LANGUAGES

router = desk_router()
_YEAR_S = 365 * 86_400
Next = Annotated[str, Query(max_length=2000)]
NextField = Annotated[str, Form(max_length=2000)]
Login = Annotated[str, Form(max_length=64)]
Password = Annotated[str, Form(max_length=people.MOST_PASSWORD)]
_REFUSED = {"sign-in-locked": "sign_in.locked", "first-password-ended": "sign_in.ended"}
_OLD_REFUSED = {"sign-in-locked": "sign_in.locked"}


@router.get("")
def start(desk: ReaderDesk) -> Response:
    """To the queue."""
    return RedirectResponse("/desk/queue", 303)


@router.get("/sign-in", dependencies=[PUBLIC])
def show_sign_in(desk: DeskDep, next: Next = "") -> Response:
    """The page for signing in."""
    return desk.page("sign_in.html", next=own_address(next), login="", said="")


@router.post("/sign-in", dependencies=[SIGN_IN])
def sign_in(desk: DeskDep, login: Login = "", password: Password = "", next: NextField = "") -> Response:
    """Begin a session and go on; a password that somebody else gave is changed first."""
    csrf.check_origin(desk.request, desk.state.settings)
    try:
        made = sessions.sign_in(desk.state, login, password)
    except ProblemError as problem:
        said = desk.texts(_REFUSED.get(problem.kind, "sign_in.wrong"))
        page = desk.page("sign_in.html", status=problem.status, next=own_address(next), login=login, said=said)
        page.headers.update({name: value for name, value in problem.headers.items() if name == "Retry-After"})
        return page
    target = own_address(next)
    if made.person.must_change:
        target = link("/desk/password", next=target)
    elif not READS & set(made.person.roles):
        target = "/desk/password"
    answer = RedirectResponse(target, 303)
    sessions.set_cookie(answer, desk.state.settings, made)
    return answer


@router.post("/sign-out")
def sign_out(desk: PersonDesk) -> Response:
    """End this session."""
    assert desk.principal is not None
    sessions.sign_out(desk.state, desk.request, desk.principal)
    answer = RedirectResponse("/desk/sign-in", 303)
    sessions.clear_cookie(answer, desk.state.settings)
    return answer


@router.get("/password")
def show_password(desk: PersonDesk, next: Next = "") -> Response:
    """The page for changing one's password."""
    return _password_page(desk, own_address(next))


@router.post("/password")
def change_password(
    desk: PersonDesk, old: Password = "", new: Password = "", again: Password = "", next: NextField = ""
) -> Response:
    """Change it, end all other sessions, and go on in a new one."""
    assert desk.principal is not None
    target, number = own_address(next), int(desk.principal.id)
    if new != again:
        return _password_page(desk, target, desk.texts("password.differ"), 422)
    try:
        people.change_own(desk.state.store, desk.state.settings, number, old, new, desk.actor)
        made = sessions.sign_in(desk.state, _person(desk).login, new)
    except ProblemError as problem:
        return _password_page(desk, target, desk.texts(_OLD_REFUSED.get(problem.kind, "password.wrong")), problem.status)
    except TagtraceError as error:
        return _password_page(desk, target, desk.texts.said(str(error)), 409)
    answer = RedirectResponse(target if READS & set(made.person.roles) else "/desk/password?done=1", 303)
    sessions.set_cookie(answer, desk.state.settings, made)
    return answer


def _password_page(desk: Desk, target: str, said: str = "", status: int = 200) -> Response:
    done = "done" in desk.request.query_params and status == 200
    values = {"given": _person(desk), "next": target, "said": said, "done": done, "least": people.LEAST_PASSWORD}
    return desk.page("password.html", status=status, **values)


def _person(desk: Desk) -> rows.Person:
    assert desk.principal is not None
    with desk.state.store.read() as session:
        return rows.get_person(session, int(desk.principal.id))


@router.get("/language/{code}", dependencies=[PUBLIC])
def choose_language(desk: DeskDep, code: str, next: Next = "") -> Response:
    """Remember a language and go on."""
    if code not in LANGUAGES:
        raise ProblemError(404, f"There is no language {code}; choose from: {', '.join(LANGUAGES)}.")
    answer = RedirectResponse(own_address(next), 303)
    secure = not desk.state.settings.development
    answer.set_cookie(LANGUAGE_COOKIE, code, max_age=_YEAR_S, path="/desk", secure=secure, httponly=True, samesite="lax")
    return answer


@router.get("/static/{name:path}", dependencies=[PUBLIC])
def static(name: str) -> Response:
    """A script, style or icon. Its address changes with its content."""
    data = assets.content(name)
    if data is None:
        raise ProblemError(404, "There is no such file.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type=assets.media_type(name), headers=headers)
