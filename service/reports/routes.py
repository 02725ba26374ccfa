"""``/v1/reports``: take reports in, follow them, withdraw them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response

from ...linking.store import jobs as job_rows
from ...linking.store import reports as rows
from ...linking.store.beside import NewMedia, Open311Facts
from ...linking.store.reports import NewReport, ReportState
from ..access import Principal, Role, Scope, allow
from ..problems import InvalidField, ProblemError, problems
from ..state import ServiceState, StateDep
from .fields import ReportFields, from_form, read_fields, refused
from .models import ReportAccepted, ReportPage, ReportView
from .uploads import digest, read_form, take_files
from .view import line, own_report, report_view

router = APIRouter(prefix="/v1/reports", tags=["reports"])

Sender = Annotated[Principal, allow(Role.INTAKE, Scope.REPORTS_WRITE)]
Reader = Annotated[
    Principal, allow(Role.INTAKE, Role.ANALYST, Role.EXPERT, Role.ADMINISTRATOR, Scope.REPORTS_READ, Scope.REPORTS_READ_ALL)
]
ReportId = Annotated[str, Path(pattern=r"^[0-9a-f]{28}$", description="The id that the service gave.")]
IdempotencyKey = Annotated[
    str | None,
    Header(pattern=r"^[\x21-\x7e]{1,255}$", description="Any name of this request; sent again with it, nothing is doubled."),
]
_FILES = {
    "photo": {"type": "array", "maxItems": 10, "items": {"type": "string", "format": "binary"}},
    "video": {"type": "string", "format": "binary"},
}


def _body() -> dict[str, Any]:
    """The description of the request's body: the same fields in three forms."""
    schema = ReportFields.model_json_schema()
    with_files = {**schema, "properties": {**schema["properties"], **_FILES}}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": with_files},
            "application/json": {"schema": schema},
            "application/x-www-form-urlencoded": {"schema": schema},
        },
    }


@router.post(
    "",
    status_code=202,
    summary="Send a report",
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
    openapi_extra={"requestBody": _body()},
)
async def send(
    request: Request, response: Response, state: StateDep, sender: Sender, idempotency_key: IdempotencyKey = None
) -> ReportAccepted:
    """Photos (fields named `photo`, 1 to 10), one `video`, or only web addresses (`web`).

    The answer comes when the report and its files are on the disk; they are read afterwards. A request that is sent again, with
    the same `Idempotency-Key` or with the same files and words, gives the report that it made before.
    """
    state.writer.check_room()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        accepted = await _multipart(request, state, sender, idempotency_key)
    elif kind == "application/x-www-form-urlencoded":
        form = await read_form(request, state.settings)
        values = from_form([(name, value) for name, value in form.multi_items() if isinstance(value, str)])
        accepted = await intake(state, sender, read_fields(values, state.settings), (), idempotency_key)
    elif kind == "application/json":
        accepted = await intake(state, sender, read_fields(await read_json(request), state.settings), (), idempotency_key)
    else:
        raise ProblemError(415, "Send multipart/form-data, application/x-www-form-urlencoded or application/json.", "media-type")
    response.headers["Location"] = accepted.status_url
    return accepted


async def _multipart(request: Request, state: ServiceState, sender: Principal, key: str | None) -> ReportAccepted:
    form = await read_form(request, state.settings)
    try:
        items = form.multi_items()
        fields = read_fields(from_form([(name, value) for name, value in items if isinstance(value, str)]), state.settings)
        uploads = [(name.removesuffix("s"), value) for name, value in items if not isinstance(value, str)]
        strange = sorted({name for name, _ in uploads} - set(_FILES))
        if strange:
            raise refused([InvalidField(field=name[:40], message="no file is wanted here") for name in strange])
        photos, videos = ([file for name, file in uploads if name == kind] for kind in ("photo", "video"))
        files = await take_files(photos, videos, state.photos, state.settings, state.gate)
        return await intake(state, sender, fields, files, key)
    finally:
        await form.close()


async def read_json(request: Request) -> Mapping[str, Any]:
    """The JSON object that a request brings; ``ProblemError`` 400 for anything else."""
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, f"The body is no JSON: {error}.", "bad-json") from error
    if not isinstance(found, dict):
        raise ProblemError(400, "The body has to be a JSON object.", "bad-json")
    return found


@dataclass(frozen=True, slots=True)
class Beside:
    """What some ways in bring beside files and fields."""

    source: str = "api"
    media: tuple[NewMedia, ...] = ()
    open311: Open311Facts | None = None
    marks: tuple[str, ...] = ()
    """What tells two reports of the same words apart, and is not kept."""
    words_alone: bool = False
    """Whether words are enough: no photo, and no web address."""
    known_by_words: bool = False
    """Whether the same words without a file are a request sent again."""


async def intake(
    state: ServiceState,
    sender: Principal,
    fields: ReportFields,
    files: tuple[rows.NewFile, ...],
    key: str | None,
    beside: Beside = Beside(),
) -> ReportAccepted:
    """Take a report in; every way in ends here. ``ProblemError`` 422 for an empty one, 409 for a key used for another."""
    if not (files or fields.web or beside.media or (beside.words_alone and fields.text)):
        words = ", or words" if beside.words_alone else ""
        raise refused([InvalidField(field="photo", message=f"a report has photos, a video, or web addresses{words}")])
    said = fields.model_dump(exclude={"callback_url", "priority"}, mode="json")
    content: list[object] = [sorted(file.sha256 for file in files), sorted(said.items(), key=lambda item: item[0])]
    if beside.media or beside.marks:
        content += [[item.url for item in beside.media], beside.marks]
    report = NewReport(
        owner=sender.owner,
        source=beside.source,
        files=files,
        web=tuple(fields.web),
        idempotency_key=key,
        digest=digest(state.settings, *content),
        photo_place=state.photos.url,
        actor=sender.actor,
        media=beside.media,
        open311=beside.open311,
        known_by_words=beside.known_by_words,
        **{
            name: getattr(fields, name)
            for name in ("external_id", "lat", "lon", "address", "text", "taken_at", "callback_url", "priority")
        },
    )
    accepted = await asyncio.wrap_future(state.writer.submit(report, fields.reporter))
    if accepted.conflict:
        raise ProblemError(409, "This Idempotency-Key was used for another report; take a new one.", "idempotency-key-reused")
    url = f"{state.settings.public_url}/v1/reports/{accepted.id}"
    return ReportAccepted(id=accepted.id, state=str(ReportState.RECEIVED), status_url=url, repeated=not accepted.new)


@router.get("", summary="List reports", responses=problems(401, 403, 422, 429))
def list_reports(
    state: StateDep,
    reader: Reader,
    report_state: Annotated[ReportState | None, Query(alias="state")] = None,
    external_id: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9a-f]{28}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ReportPage:
    """The newest first; those of one's own system, or all with the scope `reports:read-all` or a role."""
    owner = owner_seen(reader)
    with state.store.read() as session:
        if external_id is not None:
            ids = rows.find_by_external_id(session, owner or reader.owner, external_id)
            found = [report for name in ids[:limit] if (report := rows.get_report(session, name)) is not None]
            return ReportPage(items=[line(report) for report in found], next=None)
        found = rows.list_reports(session, owner=owner, state=report_state, before=cursor, limit=limit + 1)
        page = found[:limit]
        return ReportPage(items=[line(report) for report in page], next=page[-1].id if len(found) > limit else None)


@router.get("/{report_id}", summary="Follow a report", responses=problems(401, 403, 404, 422, 429))
def follow(report_id: ReportId, state: StateDep, reader: Reader) -> ReportView:
    """State, adverts, contacts with alternatives and links with reasons, duplicates, and what the citizen may be told."""
    return report_view(state.store, report_id, owner_seen(reader))


@router.post("/{report_id}/cancel", summary="Withdraw a report", responses=problems(401, 403, 404, 409, 422, 429))
def cancel(report_id: ReportId, state: StateDep, sender: Sender) -> ReportView:
    """A report that was not read yet is not read any more; one that was read stays (409)."""

    def change(session: Any) -> bool:
        own_report(session, report_id, owner_seen(sender))
        now = rows.now_utc()
        done = job_rows.cancel(session, report_id, now)
        if done:
            rows.set_report_state(session, report_id, ReportState.CANCELLED, now)
        return done

    if not state.store.write(change, sender.actor):
        raise ProblemError(409, "The report was read or withdrawn already.", "report-ended")
    return report_view(state.store, report_id, owner_seen(sender))


def owner_seen(principal: Principal) -> str | None:
    """Whose reports a caller sees: None for everybody's."""
    return None if principal.roles or Scope.REPORTS_READ_ALL in principal.scopes else principal.owner
