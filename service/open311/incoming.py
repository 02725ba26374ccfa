"""The form of a GeoReport request, as the fields of a report: place, words, answers, pictures, and who reports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from ...linking.store.beside import NewMedia, Open311Facts
from ..media import refusal
from ..problems import InvalidField, ProblemError
from ..reports.fields import ReportFields, read_fields
from ..reports.uploads import looks_like_video
from ..settings import ServiceSettings
from .described import check_jurisdiction
from .discovery import known_service
from .services import Service

_ATTRIBUTE = re.compile(r"attribute\[([^\[\]\x00]{1,64})\](?:\[\d*\])?")
_FIELDS = {
    "lat": "lat",
    "long": "lon",
    "address_string": "address",
    "description": "text",
    "phone": "reporter_phone",
    "email": "reporter_email",
}
"""Our fields of theirs."""
_THEIRS = {ours: theirs for theirs, ours in _FIELDS.items()} | {"web": "attribute[web]", "taken_at": "attribute[taken_at]"}
_MARKS = ("account_id", "device_id")
"""What tells two reporters apart; neither is kept, nor asked for by anything that is done with a report."""
_MOST_ADDRESS_ID = 200
_HEAD = 32
_TEXT = {"type": "string"}
_PROPERTIES: dict[str, Any] = {
    "service_code": {"type": "string", "minLength": 1},
    "jurisdiction_id": _TEXT,
    "api_key": _TEXT,
    "lat": {"type": "number"},
    "long": {"type": "number"},
    "address_string": _TEXT,
    "address_id": _TEXT,
    "email": _TEXT,
    "device_id": _TEXT,
    "account_id": _TEXT,
    "first_name": _TEXT,
    "last_name": _TEXT,
    "phone": _TEXT,
    "description": {"type": "string", "maxLength": 4000},
    "media_url": _TEXT,
    "attribute[web]": {"type": "string", "description": "Links or Telegram names, one a line."},
    "attribute[taken_at]": {"type": "string", "description": "When the photo was taken; without an offset it is local time."},
}
_SCHEMA = {"type": "object", "required": ["service_code"], "properties": _PROPERTIES}
_FILES = {"media": {"type": "array", "items": {"type": "string", "format": "binary"}}}
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {"schema": _SCHEMA},
        "multipart/form-data": {"schema": {**_SCHEMA, "properties": {**_PROPERTIES, **_FILES}}},
    },
}
"""The description of the form."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a form says."""

    fields: ReportFields
    facts: Open311Facts
    photos: tuple[UploadFile, ...]
    videos: tuple[UploadFile, ...]
    media: tuple[NewMedia, ...]
    marks: tuple[str, ...]


async def read_request(request: Request, form: FormData, settings: ServiceSettings) -> Incoming:
    """What a form says. ``ProblemError`` 400 or 404 that names, in the words of GeoReport, all that is wrong.

    Fields that GeoReport does not know are passed over, as other servers do.
    """
    items = form.multi_items()
    texts: dict[str, list[str]] = {}
    for name, value in (*request.query_params.multi_items(), *items):
        if isinstance(value, str) and value.strip():
            texts.setdefault(name, []).append(value)
    first = {name: values[0] for name, values in texts.items()}
    check_jurisdiction(first.get("jurisdiction_id"), settings.open311_jurisdiction)
    if "service_code" not in first:
        raise ProblemError(400, "service_code was not provided.", "no-service")
    service = known_service(first["service_code"])
    answers = _answers(texts)
    media = _media(texts, settings)
    fields = _fields(first, answers, settings)
    _check_complete(service, first, answers)
    uploads = [value for _, value in items if not isinstance(value, str)]
    videos = tuple([upload for upload in uploads if await _is_video(upload)])
    return Incoming(
        fields,
        Open311Facts(service.code, first.get("address_id", "")[:_MOST_ADDRESS_ID], answers),
        tuple(upload for upload in uploads if upload not in videos),
        videos,
        media,
        (service.code, *(first.get(name, "") for name in ("address_id", *_MARKS))),
    )


def _answers(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    answers: dict[str, list[str]] = {}
    for name, values in texts.items():
        found = _ATTRIBUTE.fullmatch(name)
        if found is not None:
            answers.setdefault(found[1], []).extend(values)
    return answers


def _media(texts: dict[str, list[str]], settings: ServiceSettings) -> tuple[NewMedia, ...]:
    """The pictures that are named by their addresses; one that is never going to be fetched is kept with its reason."""
    urls = list(dict.fromkeys(url.strip() for name in ("media_url", "media_url[]") for url in texts.get(name, ())))
    if len(urls) > settings.max_media:
        raise ProblemError(400, f"These are {len(urls)} addresses in media_url; at most {settings.max_media}.", "too-many-media")
    long = next((url for url in urls if len(url) > 2_000), None)
    if long is not None:
        raise ProblemError(400, f"media_url: {long[:60]}… is longer than 2000 characters.", "invalid-values")
    return tuple(NewMedia(_plain(url), refusal(url, settings)) for url in urls)


def _plain(url: str) -> str:
    """An address as the store can hold it."""
    return url.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


def _fields(first: dict[str, str], answers: dict[str, list[str]], settings: ServiceSettings) -> ReportFields:
    values: dict[str, Any] = {ours: first[theirs] for theirs, ours in _FIELDS.items() if theirs in first}
    names = [first[name].strip() for name in ("first_name", "last_name") if name in first]
    if names:
        values["reporter_name"] = " ".join(names)
    if "web" in answers:
        values["web"] = [line for value in answers["web"] for line in value.splitlines()]
    if "taken_at" in answers:
        values["taken_at"] = answers["taken_at"][0]
    try:
        return read_fields(values, settings)
    except ProblemError as problem:
        wrong = [InvalidField(field=_theirs(item.field), message=item.message) for item in problem.errors or ()]
        raise ProblemError(400, problem.detail, problem.kind, errors=wrong or None) from problem


def _theirs(field: str) -> str:
    return _THEIRS.get(field.partition(".")[0], "first_name, last_name" if field == "reporter_name" else field)


def _check_complete(service: Service, first: dict[str, str], answers: dict[str, list[str]]) -> None:
    wrong: list[InvalidField] = []
    if service.place and not ({"lat", "address_string", "address_id"} & first.keys()):
        wrong.append(InvalidField(field="lat, long", message="give lat and long, address_string, or address_id"))
    missing: Iterable[str] = (item.code for item in service.attributes if item.required and item.code not in answers)
    wrong += [InvalidField(field=f"attribute[{code}]", message="is required for this service") for code in missing]
    if wrong:
        raise ProblemError(400, "Something is missing.", "incomplete", errors=wrong)


async def _is_video(upload: UploadFile) -> bool:
    head = await upload.read(_HEAD)
    await upload.seek(0)
    return looks_like_video(head)
