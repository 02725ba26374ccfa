"""GeoReport answers in XML and JSON: one document, written as the client asks for it.

JSON follows the Spark convention: a list of equal elements becomes an array, and the name of the element is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from xml.etree import ElementTree as Xml

from fastapi import Request, Response

from ..problems import ProblemError

PREFIX = "/open311/v2"
_ELEMENTS: Mapping[str, str] = {
    "services": "service",
    "attributes": "attribute",
    "values": "value",
    "service_requests": "request",
    "errors": "error",
    "endpoints": "endpoint",
    "formats": "format",
    "notes": "note",
    "photos": "photo",
    "tracks": "track",
    "media": "picture",
}
"""The name of the elements of each list."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEPT = frozenset({403, 404, 405, 429, 500, 503})
"""Statuses that GeoReport names, or that say when to come back; every other error is 400."""


class Form(StrEnum):
    """How an answer is written."""

    XML = "xml"
    JSON = "json"


MEDIA_TYPES = {Form.XML: "text/xml", Form.JSON: "application/json"}


@dataclass(frozen=True, slots=True)
class Document:
    """An answer: the name of its root in XML, and what is in it."""

    root: str
    content: Sequence[Any] | Mapping[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def form_of(request: Request) -> Form:
    """As the end of the path says, else as ``Accept`` does; XML, which every client understands, where neither does."""
    end = request.url.path.rpartition("/")[2].rpartition(".")[2]
    if end in (Form.XML, Form.JSON):
        return Form(end)
    best: tuple[float, Form] = (0.0, Form.XML)
    for part in request.headers.get("accept", "").split(","):
        kind, *rest = (item.strip().lower() for item in part.split(";"))
        weight = next((_weight(item) for item in rest if item.startswith("q=")), 1.0)
        found = {"text/xml": Form.XML, "application/xml": Form.XML, "application/json": Form.JSON}.get(kind)
        if found is not None and weight > best[0]:
            best = (weight, found)
    return best[1]


def write(request: Request, document: Document) -> Response:
    """A document as response, in the form that the request asks for."""
    form = form_of(request)
    text = _json(document.content) if form is Form.JSON else _xml(document)
    media_type = f"{MEDIA_TYPES[form]}; charset=utf-8"
    return Response(text, document.status, headers={**document.headers, "Vary": "Accept"}, media_type=media_type)


def errors(request: Request, problem: ProblemError) -> Response:
    """An error as GeoReport clients know it: a list of codes and descriptions; the code is the more exact HTTP status."""
    code = 403 if problem.status == 401 else problem.status
    status = code if code in _KEPT else 400
    named = [f"{item.field}: {item.message}" for item in problem.errors or ()]
    listed = [{"code": code, "description": text} for text in named or [problem.detail]]
    headers = {name: value for name, value in problem.headers.items() if name.lower() != "www-authenticate"}
    return write(request, Document("errors", listed, status, headers))


def w3(moment: datetime | None) -> str | None:
    """A moment as GeoReport writes it."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _weight(text: str) -> float:
    try:
        return float(text.removeprefix("q="))
    except ValueError:
        return 0.0


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8")


def _xml(document: Document) -> bytes:
    body = Xml.tostring(_element(document.root, document.content), encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}'.encode()


def _element(name: str, value: Any) -> Xml.Element:
    made = Xml.Element(name)
    if isinstance(value, Mapping):
        made.extend(_element(_name(key), item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        made.extend(_element(_ELEMENTS.get(name, "value"), item) for item in value)
    elif isinstance(value, bool):
        made.text = "true" if value else "false"
    elif value is not None:
        made.text = _NOT_XML.sub("", str(value))
    return made


def _name(key: str) -> str:
    """A name that XML allows."""
    clean = re.sub(r"[^A-Za-z0-9_.-]", "_", key)
    return clean if clean[:1].isalpha() or clean[:1] == "_" else f"_{clean}"
