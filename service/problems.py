"""Errors as ``application/problem+json`` (RFC 9457): what went wrong, what to do, and the id of the request to ask about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ..contract import BrokenInstallationError, TagtraceError
from ..linking.store.failures import StoreError

MEDIA_TYPE = "application/problem+json"
Form = Callable[[Request, "ProblemError"], Response]
"""Writes an error in another form, for clients of a standard that has its own."""
_STORE_RETRY_S = "10"
_log = structlog.get_logger(__name__)


class InvalidField(BaseModel):
    """One value of a request that is wrong."""

    field: str
    message: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="What kind of error: `about:blank`, or a name that does not change.")
    title: str
    status: int
    detail: str = Field(description="What went wrong and what to do.")
    id: str = Field(description="The id of this request; name it when you ask about the error.")
    errors: list[InvalidField] | None = Field(default=None, description="The values that are wrong.")


class ProblemError(Exception):
    """Ends a request with an error. ``kind`` is a short name that clients can rely on, as ``report-not-found``."""

    def __init__(
        self,
        status: int,
        detail: str,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
        errors: list[InvalidField] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = dict(headers or {})
        self.errors = errors


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of a route: the errors it can end with."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "model": Problem,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*statuses, 500})
    }


def answer(request: Request, problem: ProblemError) -> Response:
    """An error as response, in the form of the part of the service that was asked. The server leaves out bodies for HEAD."""
    forms: Mapping[str, Form] = getattr(request.app.state, "problem_forms", {})
    for prefix, write in forms.items():
        if request.url.path.startswith(f"{prefix}/"):
            return write(request, problem)
    body = Problem(
        type=f"urn:tagtrace:problem:{problem.kind}" if problem.kind else "about:blank",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        id=request.scope.get("tagtrace.request_id", ""),
        errors=problem.errors,
    )
    content = body.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, status_code=problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI, forms: Mapping[str, Form] | None = None) -> None:
    """Make every error of an application a problem; ``forms`` write those below some paths in another form."""
    app.state.problem_forms = dict(forms or {})

    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        wrong = [InvalidField(field=".".join(str(part) for part in item["loc"]), message=item["msg"]) for item in error.errors()]
        names = ", ".join(dict.fromkeys(item.field for item in wrong))
        return answer(request, ProblemError(422, f"These values are wrong: {names}.", "invalid-values", errors=wrong))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
        return answer(request, ProblemError(error.status_code, str(error.detail), headers=headers))

    @app.exception_handler(TagtraceError)
    async def _tagtrace(request: Request, error: TagtraceError) -> Response:
        if isinstance(error, BrokenInstallationError):
            return await _unexpected(request, error)
        if isinstance(error, StoreError):
            # Its words name the database and are for the operator.
            _log.error("store not usable", why=str(error), path=request.scope.get("path"))
            detail = "The store cannot be used at the moment; try again later."
            return answer(request, ProblemError(503, detail, "store", {"Retry-After": _STORE_RETRY_S}))
        return answer(request, ProblemError(409, str(error), "refused"))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        _log.error("request failed", exc_info=error, path=request.scope.get("path"))
        detail = "Something went wrong in the service. Try again; if it stays so, tell the operator the id of this error."
        return answer(request, ProblemError(500, detail, "internal"))


def _allowed(request: Request) -> str:
    """The methods of all routes that a path leads to; the router names those of the first one only."""
    found: set[str] = set()
    for route in request.app.routes:
        methods = getattr(route, "methods", None)
        if methods and route.matches(request.scope)[0] is not Match.NONE:
            found |= methods
    return ", ".join(sorted(found))
