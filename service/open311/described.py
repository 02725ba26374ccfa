"""What the OpenAPI description says of GeoReport routes, and registering each one twice: with and without an extension."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from ..problems import ProblemError
from ..state import StateDep
from .forms import MEDIA_TYPES, PREFIX, Form

F = TypeVar("F", bound=Callable[..., Any])
LANGUAGES = ("kk", "ru", "en")
DEFAULT_LANGUAGE = "ru"


class ErrorView(BaseModel):
    """One error."""

    code: int = Field(description="The HTTP status that says most exactly what is wrong.")
    description: str


def _extension(form: Annotated[Form, Path(description="xml or json")]) -> Form:
    return form


def open311_router() -> APIRouter:
    """A router for GeoReport routes."""
    return APIRouter(prefix=PREFIX, tags=["open311"])


def both(
    router: APIRouter,
    path: str,
    method: str,
    *,
    summary: str,
    answers: Any,
    failures: tuple[int, ...],
    status: int = 200,
    **more: Any,
) -> Callable[[F], F]:
    """Register a route under ``path.xml`` and ``path.json``, and under ``path``, where ``Accept`` chooses.

    ``answers`` is the type of what it answers, as JSON; XML has the same elements.
    """

    def register(function: F) -> F:
        known = {"methods": [method], "summary": summary, "status_code": status, "response_model": None, **more}
        dependencies = known.pop("dependencies", [])
        for end, added in ((".{form}", [Depends(_extension)]), ("", [])):
            router.add_api_route(
                path + end,
                function,
                dependencies=[*dependencies, *added],
                responses=_responses(answers, status, failures),
                name=f"{function.__name__}{'_as' if end else ''}",
                **known,
            )
        return function

    return register


def jurisdiction(
    state: StateDep,
    jurisdiction_id: Annotated[str | None, Query(max_length=200, description="Of this endpoint, or left out.")] = None,
) -> None:
    """``ProblemError`` 404 for the jurisdiction of somebody else (a dependency)."""
    check_jurisdiction(jurisdiction_id, state.settings.open311_jurisdiction)


def check_jurisdiction(given: str | None, own: str) -> None:
    """``ProblemError`` 404 where a jurisdiction is given, and is not the one of this endpoint."""
    if given and own and given != own:
        raise ProblemError(404, f"The jurisdiction_id is not served here; this one is: {own}.", "jurisdiction-not-found")


def language_of(request: Request) -> str:
    """The language of texts in an answer, as ``Accept-Language`` asks: kk, ru or en (a dependency)."""
    wanted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "").split(","):
        name, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            weight = 0.0
        wanted.append((weight, name.partition("-")[0].lower()))
    best = max((item for item in wanted if item[1] in LANGUAGES and item[0] > 0), key=lambda item: item[0], default=None)
    return DEFAULT_LANGUAGE if best is None else best[1]


LanguageDep = Annotated[str, Depends(language_of)]


def _responses(answers: Any, status: int, failures: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, "model": answers, "content": {MEDIA_TYPES[Form.XML]: {}}},
    }
    for code in sorted({*failures, 500, 503}):
        described = {"description": HTTPStatus(code).phrase, "model": list[ErrorView]}
        found[code] = {**described, "content": {MEDIA_TYPES[Form.XML]: {}}}
    return found
