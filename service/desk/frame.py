"""The door of the desk: signing in, choosing a language, and the files that every page needs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from ..access import PUBLIC
from ..problems import ProblemError
from . import assets
from .pages import LANGUAGE_COOKIE, DeskDep, ReaderDesk, desk_router, own_address
from .texts import LANGUAGES

router = desk_router()
_YEAR_S = 365 * 86_400
Next = Annotated[str, Query(max_length=2000)]


@router.get("")
def start(desk: ReaderDesk) -> Response:
    """To the queue."""
    return RedirectResponse("/desk/queue", 303)


@router.get("/sign-in", dependencies=[PUBLIC])
def sign_in(desk: DeskDep, next: Next = "") -> Response:
    """The page for signing in; its script sends name and password to ``/v1/session``."""
    return desk.page("sign_in.html", next=own_address(next))


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
