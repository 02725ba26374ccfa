"""What the OpenAPI description says of all routes alike, in one place: who may call, and errors that no route raises itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from .access import Allow
from .access.csrf import HEADER
from .access.sessions import cookie_name
from .open311.forms import PREFIX
from .problems import problems
from .settings import ServiceSettings

_BODY = (400, 408, 413)
"""A body can be damaged, too slow, or too large."""
_ANY = (503,)
"""The store can be away."""
_KEY = (429,)
"""Requests of a key are bounded."""
_SESSION, _API_KEY = "Session", "ApiKey"
_FIRST = "$response.body#/items/0"
_LINKS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "post /v1/reports",
        "report_id",
        "$response.body#/id",
        ("get /v1/reports/{report_id}", "post /v1/reports/{report_id}/cancel"),
    ),
    ("get /v1/reports", "report_id", f"{_FIRST}/id", ("get /v1/reports/{report_id}", "get /open311/v2/requests/{report_id}")),
    ("get /v1/adverts", "key", f"{_FIRST}/key", ("get /v1/adverts/{key}", "get /v1/adverts/{key}/crop")),
    ("get /v1/adverts", "advert", f"{_FIRST}/key", ("get /v1/adverts/{advert}/tracks",)),
    ("get /v1/adverts", "sha256", f"{_FIRST}/photo", ("get /v1/photos/{sha256}/picture",)),
    ("get /v1/clusters", "cluster", f"{_FIRST}/id", ("get /v1/clusters/{cluster}", "get /v1/clusters/{cluster}/evidence")),
    ("get /v1/shops", "shop", f"{_FIRST}/id", ("get /v1/shops/{shop}",)),
    ("get /v1/resources", "resource", f"{_FIRST}/id", ("get /v1/resources/{resource}", "get /v1/resources/{resource}/evidence")),
    ("post /v1/proposals", "proposal", "$response.body#/id", ("post /v1/proposals/{proposal}/approve",)),
)
"""What an answer names and other operations take: operation, parameter, where in the answer, the operations that take it."""


def complete(app: FastAPI, routers: Iterable[APIRouter], settings: ServiceSettings) -> None:
    """Complete the description of an application whose routes are all there."""
    made, marks = app.openapi, dict(_marks(routers))
    session = {
        "type": "apiKey",
        "in": "cookie",
        "name": cookie_name(settings),
        "description": f"Begun with `POST /v1/session`. What changes something needs `{HEADER}`, too.",
    }

    def openapi() -> dict[str, Any]:
        new = app.openapi_schema is None
        schema = made()
        if new:
            schema["components"]["securitySchemes"][_SESSION] = session
            for path, item in schema["paths"].items():
                for method, operation in item.items():
                    _add_errors(path, operation)
                    _add_access(path, operation, marks.get((path, method)))
            _add_links(schema["paths"])
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _marks(routers: Iterable[APIRouter]) -> Iterator[tuple[tuple[str, str], Allow]]:
    """Who may call, by path and method."""
    for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
        for mark in _allowed(route.dependant):
            yield from (((route.path_format, method.lower()), mark) for method in route.methods or ())


def _allowed(dependant: Any) -> Iterator[Allow]:
    for part in dependant.dependencies:
        if isinstance(part.call, Allow):
            yield part.call
        yield from _allowed(part)


def _add_errors(path: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if path.startswith(f"{PREFIX}/"):
        # Wrong values have the form of the standard there, and the status 400.
        answers.pop("422", None)
        return
    statuses = {*_ANY, *(_BODY if "requestBody" in operation else ()), *(_KEY if "security" in operation else ())}
    for status, described in problems(*statuses).items():
        answers.setdefault(str(status), {name: value for name, value in described.items() if name != "model"})


def _add_access(path: str, operation: dict[str, Any], mark: Allow | None) -> None:
    if mark is None or path.startswith(f"{PREFIX}/"):
        return
    known = ([_API_KEY] if mark.scopes else []) + ([_SESSION] if mark.roles else [])
    operation["security"] = [{name: []} for name in known]
    roles, scopes = (", ".join(f"`{item}`" for item in sorted(group)) for group in (mark.roles, mark.scopes))
    who = [f"people with the role {roles}"] if roles else []
    who += [f"keys with the scope {scopes}"] if scopes else []
    operation["description"] = f"{operation.get('description', '')}\n\nFor {'; '.join(who)}.".strip()


def _add_links(paths: dict[str, Any]) -> None:
    def operation(name: str) -> dict[str, Any]:
        method, _, path = name.partition(" ")
        found: dict[str, Any] = paths[path][method]
        return found

    for source, parameter, place, targets in _LINKS:
        answers = operation(source)["responses"]
        links = answers[next(status for status in answers if status.startswith("2"))].setdefault("links", {})
        for target in targets:
            named = operation(target)
            links[f"{named['operationId']}_{parameter}"] = {
                "operationId": named["operationId"],
                "parameters": {parameter: place},
            }
