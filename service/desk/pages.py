"""What all pages of the desk share: templates, language, headers, and errors as pages.

A page has no script and no style of its own: the policy in its headers allows only files of the desk.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import jinja2
from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from ...contract import BrokenInstallationError, TagtraceError
from ..access import MUST_CHANGE, PRINCIPAL, Principal, Role, allow, csrf
from ..problems import ProblemError
from ..settings import ServiceSettings
from ..state import ServiceState, state_of
from . import assets
from .texts import NAMES, Texts, choose

PREFIX = "/desk"
LANGUAGE_COOKIE = "tagtrace_language"
Reader = Annotated[Principal, allow(Role.ANALYST, Role.EXPERT, Role.ADMINISTRATOR)]
"""May look at the desk."""
Expert = Annotated[Principal, allow(Role.EXPERT)]
"""May decide."""
Administrator = Annotated[Principal, allow(Role.ADMINISTRATOR)]
"""Manages people and keys."""
Person = Annotated[Principal, allow(*Role, first_password=True)]
"""Anybody who is signed in."""
_PAGES = frozenset({"queue", "register", "shops", "people", "keys", "password", "sign-in"})
READS = frozenset({Role.ANALYST, Role.EXPERT, Role.ADMINISTRATOR})


@dataclass(frozen=True, slots=True)
class Desk:
    """What a page needs of its request."""

    request: Request
    state: ServiceState
    texts: Texts
    principal: Principal | None = None

    @property
    def actor(self) -> str:
        """Who is named in the audit log."""
        return self.principal.actor if self.principal is not None else ""

    @property
    def may_decide(self) -> bool:
        """Whether it is an expert who looks."""
        return self.principal is not None and Role.EXPERT in self.principal.roles

    def page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A page, or a part of one for HTMX."""
        body = _environment().get_template(template).render(**self._shared(), **values)
        return HTMLResponse(body, status, headers=_headers(self.state.settings))

    def _shared(self) -> dict[str, object]:
        principal = self.principal
        return {
            "t": self.texts,
            "lang": self.texts.language,
            "languages": NAMES,
            "asset": assets.address,
            "csrf": csrf.token_of(self.request, self.state.settings),
            "path": self.request.url.path,
            "here": _here(self.request),
            "person": principal,
            "may_read": principal is not None and bool(READS & principal.roles) and not principal.must_change_password,
            "may_decide": self.may_decide,
            "may_manage": principal is not None and Role.ADMINISTRATOR in principal.roles,
            "link": link,
            "tiles": self.state.settings.desk_tiles_url,
            "tiles_words": self.state.settings.desk_tiles_attribution,
        }


def _here(request: Request) -> str:
    """Where a choice of language goes back to: this page, or the one that a form was on."""
    if request.method == "GET":
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    part = request.url.path.removeprefix(f"{PREFIX}/").partition("/")[0]
    return f"{PREFIX}/{part if part in _PAGES else 'queue'}"


def desk_of(request: Request) -> Desk:
    """The desk of a request (a dependency)."""
    state = state_of(request)
    language = choose(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))
    return Desk(request, state, Texts(language, ZoneInfo(state.settings.local_timezone)))


def _for_reader(request: Request, principal: Reader) -> Desk:
    return replace(desk_of(request), principal=principal)


def _for_expert(request: Request, principal: Expert) -> Desk:
    return replace(desk_of(request), principal=principal)


def _for_administrator(request: Request, principal: Administrator) -> Desk:
    return replace(desk_of(request), principal=principal)


def _for_person(request: Request, principal: Person) -> Desk:
    return replace(desk_of(request), principal=principal)


DeskDep = Annotated[Desk, Depends(desk_of)]
"""The desk for anybody; the route has to be ``PUBLIC``."""
ReaderDesk = Annotated[Desk, Depends(_for_reader)]
ExpertDesk = Annotated[Desk, Depends(_for_expert)]
AdministratorDesk = Annotated[Desk, Depends(_for_administrator)]
PersonDesk = Annotated[Desk, Depends(_for_person)]


def link(path: str, **values: object) -> str:
    """An address on the desk with a query of those values that are not empty."""
    given = {name: value for name, value in values.items() if value not in (None, "")}
    return quote(path, safe="/:@+-_.~") + (f"?{urlencode(given)}" if given else "")


def own_address(address: str) -> str:
    """An address to go on to, when it is one of the desk's; else the queue."""
    parts = urlsplit(address)
    plain = not parts.scheme and not parts.netloc and "\\" not in address and address.isprintable()
    return address if plain and (parts.path == PREFIX or parts.path.startswith(f"{PREFIX}/")) else f"{PREFIX}/queue"


class DeskRoute(APIRoute):
    """A route whose errors are pages for people; without a session it leads to the page for signing in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with errors caught."""
        handle = super().get_route_handler()

        async def handling(request: Request) -> Response:
            try:
                return await handle(request)
            except ProblemError as problem:
                return _failed(request, problem)
            except HTTPException as error:
                return _failed(request, ProblemError(error.status_code, str(error.detail)))
            except RequestValidationError as error:
                names = ", ".join(dict.fromkeys(str(item["loc"][-1]) for item in error.errors()))
                return _failed(request, ProblemError(422, f"These values are wrong: {names}."))
            except BrokenInstallationError:
                raise
            except TagtraceError as error:
                return _failed(request, ProblemError(409, str(error)))

        return handling


def desk_router() -> APIRouter:
    """A router for pages: they are no part of the API's description."""
    return APIRouter(prefix=PREFIX, route_class=DeskRoute, include_in_schema=False)


def _failed(request: Request, problem: ProblemError) -> Response:
    desk = replace(desk_of(request), principal=request.scope.get(PRINCIPAL))
    htmx = request.headers.get("hx-request") == "true"
    led = "sign-in" if problem.status == 401 else "password" if problem.kind == MUST_CHANGE else ""
    if led:
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        target = link(f"{PREFIX}/{led}", next=here if request.method == "GET" and not htmx else "")
        return Response(status_code=problem.status, headers={"HX-Redirect": target}) if htmx else RedirectResponse(target, 303)
    values: dict[str, object] = {
        "code": problem.status,
        "detail": desk.texts.said(problem.detail),
        "title": desk.texts.either(f"error.s{problem.status}", desk.texts("error.other")),
        "request_id": request.scope.get("tagtrace.request_id", ""),
    }
    page = desk.page("part_error.html" if htmx else "error.html", status=problem.status, **values)
    page.headers.update(problem.headers)
    if htmx:
        # The message is shown where the page keeps its messages, and nothing else changes.
        page.headers.update({"HX-Retarget": "#messages", "HX-Reswap": "innerHTML"})
    return page


def _headers(settings: ServiceSettings) -> dict[str, str]:
    images = "'self' data:"
    if settings.desk_tiles_url:
        parts = urlsplit(settings.desk_tiles_url.replace("{s}", "*"))
        images += f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    rules = (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", f"img-src {images}", "connect-src 'self'",
        "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'",
    )  # fmt: skip
    return {
        "Content-Security-Policy": "; ".join(rules),
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Vary": "Accept-Language, Cookie, HX-Request",
    }


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["short"] = lambda text: text[:12]
    return made


def _template(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")
