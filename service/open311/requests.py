"""GeoReport requests: sent in by the way that all reports go, listed, and followed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from ...linking.store import open311 as rows
from ...linking.store.media import media_of
from ...linking.store.reports import ReportState, now_utc
from ...linking.store.standing import Standing, standings
from ..access import Principal, Scope
from ..api.pictures import covered
from ..api.register import moment
from ..pictures import jpeg, shrink
from ..problems import ProblemError
from ..reports.routes import Beside, ReportId, intake, owner_seen
from ..reports.uploads import read_form, take_files
from ..state import ServiceState, StateDep
from . import status
from .access import allow_key
from .described import ErrorView, LanguageDep, both, jurisdiction, open311_router
from .discovery import known_service
from .forms import Document, write
from .incoming import BODY, read_request
from .services import catalogue

router = open311_router()
Sender = Annotated[Principal, allow_key(Scope.REPORTS_WRITE)]
Reader = Annotated[Principal, allow_key(Scope.REPORTS_READ, Scope.REPORTS_READ_ALL)]
IdempotencyKey = Annotated[str | None, Header(pattern=r"^[\x21-\x7e]{1,255}$", description="Any name of this request.")]
Names = Annotated[str | None, Query(max_length=40_000, pattern=r"^[^\x00]*$")]
_MOST_PAGE = 1000
_Empty = BeforeValidator(lambda value: value or None)
"""An empty value is as good as none."""
When = Annotated[
    datetime | None,
    _Empty,
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "maxLength": 0}]}),
    Query(description="As 2026-01-31T00:00:00Z."),
]
Size = Annotated[
    Annotated[int, Field(ge=1, le=_MOST_PAGE)] | None,
    _Empty,
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MOST_PAGE}, {"type": "string", "maxLength": 0}]}),
    Query(description="Requests in the answer."),
]
Extensions = Annotated[bool, Query(description="Also attributes, tracks, pictures and notes, beside what GeoReport has.")]
_READS = (400, 403, 404, 429)
_CLOSED_AND_OPEN = frozenset({status.OPEN, status.CLOSED})
_BATCH = 200
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture.", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
    **{code: {"model": list[ErrorView], "content": {"text/xml": {}}} for code in (*_READS, 500, 503)},
}


class CreatedView(BaseModel):
    """A request that is safe: it and its files are on the disk."""

    service_request_id: str
    service_notice: str | None
    account_id: str | None


class TokenView(BaseModel):
    """The request that a token stands for."""

    service_request_id: str
    token: str


@both(
    router, "/requests", "POST", summary="Report something", answers=list[CreatedView], status=201,
    failures=(400, 403, 404, 408, 429, 503), openapi_extra={"requestBody": BODY},
)  # fmt: skip
async def send(
    request: Request, state: StateDep, sender: Sender, language: LanguageDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """A form as GeoReport has it; photos may come with it as files of any name (multipart), or as `media_url`.

    The id comes when the request is on the disk; it is read afterwards. The same words and files sent again within a day are the
    same request. Who reports is kept apart, encrypted, and never given back.
    """
    state.writer.check_room()
    form = await read_form(request, state.settings)
    try:
        found = await read_request(request, form, state.settings)
        files = await take_files(found.photos, found.videos, state.photos, state.settings, state.gate)
        beside = Beside("open311", found.media, found.facts, found.marks, words_alone=True, known_by_words=True)
        accepted = await intake(state, sender, found.fields, files, idempotency_key, beside)
    finally:
        await form.close()
    made = {"service_request_id": accepted.id, "service_notice": catalogue().notice[language], "account_id": None}
    return write(request, Document("service_requests", [made], 201))


@both(
    router, "/requests", "GET", summary="List requests", answers=list[status.RequestView], failures=_READS,
    dependencies=[Depends(jurisdiction)],
)  # fmt: skip
def list_requests(
    request: Request,
    state: StateDep,
    reader: Reader,
    language: LanguageDep,
    service_request_id: Names = None,
    service_code: Names = None,
    start_date: When = None,
    end_date: When = None,
    wanted: Annotated[Names, Query(alias="status")] = None,
    page: Annotated[int, Query(ge=1, le=_MOST_PAGE)] = 1,
    page_size: Size = None,
    extensions: Extensions = False,
) -> Response:
    """The newest first: those of the last 90 days, or of a span of at most 90 days; at most 1,000 (then `page=2`).

    Several ids, codes or states are separated by commas; ids overrule everything else.
    """
    size = min(page_size or state.settings.open311_page, state.settings.open311_page)
    ids, codes, states = _list(service_request_id), _list(service_code), frozenset(_list(wanted))
    if states - _CLOSED_AND_OPEN:
        raise ProblemError(400, "status is open, closed, or both with a comma between them.", "bad-status")
    for code in codes:
        known_service(code)
    if len(ids) > size:
        raise ProblemError(400, f"These are {len(ids)} ids; ask for at most {size} at once.", "too-many-ids")
    since, until = _span(start_date, end_date, state.settings.open311_span_days)
    owner = owner_seen(reader)
    with state.store.read() as session:
        if ids:
            found: Iterator[rows.ServiceRequest] = iter(rows.by_ids(session, ids, owner))
            chosen = list(_standing(session, found, frozenset()))
        else:
            others = catalogue().default.code in codes
            found = rows.between(session, owner, since, until, codes, others=others)
            chosen = _page(_standing(session, found, states), page, size)
        listed = _values(session, state, chosen, language, extensions)
    return write(request, Document("service_requests", listed))


@both(
    router, "/requests/{report_id}", "GET", summary="Follow a request", answers=list[status.RequestView], failures=_READS,
    dependencies=[Depends(jurisdiction)],
)  # fmt: skip
def follow(
    request: Request,
    state: StateDep,
    reader: Reader,
    report_id: ReportId,
    language: LanguageDep,
    extensions: Extensions = False,
) -> Response:
    """Open or closed, with what the citizen may be told in `status_notes`."""
    with state.store.read() as session:
        found = _standing(session, iter([_own(session, report_id, reader)]), frozenset())
        listed = _values(session, state, list(found), language, extensions)
    return write(request, Document("service_requests", listed))


@both(
    router, "/tokens/{report_id}", "GET", summary="The request of a token", answers=list[TokenView], failures=_READS,
    dependencies=[Depends(jurisdiction)],
)  # fmt: skip
def exchange_token(request: Request, state: StateDep, reader: Reader, report_id: ReportId) -> Response:
    """Requests have their id at once here; it stands for itself, for clients that ask always."""
    with state.store.read() as session:
        own = _own(session, report_id, reader).report
    return write(request, Document("service_requests", [{"service_request_id": own.id, "token": own.id}]))


@router.get(
    "/media/{report_id}/{number}.jpg", summary="A picture of a request", responses=_JPEG, response_class=Response
)  # fmt: skip
def picture(state: StateDep, reader: Reader, report_id: ReportId, number: Annotated[int, Path(ge=0, lt=10_000)]) -> Response:
    """Without EXIF, faces and number plates blurred, made smaller."""
    with state.store.read() as session:
        own = _own(session, report_id, reader).report
        row = next((row for row in rows.pictures(session, [own.id]).get(own.id, ()) if row.number == number), None)
    if row is None:
        raise ProblemError(404, "There is no such picture.", "no-picture")
    pixels = shrink(covered(state, row.sha256, []), state.settings.picture_px)
    return Response(jpeg(pixels), media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})


def _own(session: Any, report_id: str, reader: Principal) -> rows.ServiceRequest:
    found = rows.by_ids(session, [report_id], owner_seen(reader))
    if not found:
        raise ProblemError(404, "There is no such request.", "request-not-found")
    return found[0]


def _list(text: str | None) -> list[str]:
    return [part for part in (part.strip() for part in (text or "").split(",")) if part]


def _span(start: datetime | None, end: datetime | None, days: int) -> tuple[datetime, datetime]:
    """From when to when requests are looked for. ``ProblemError`` 400 for too long a span."""
    since, until, most = moment(start), moment(end), timedelta(days=days)
    try:
        if since is None:
            until = until or now_utc()
            since = until - most
        elif until is None:
            until = since + most
    except OverflowError:
        raise ProblemError(400, "The dates lie too far away.", "bad-span") from None
    if not timedelta() <= until - since <= most:
        raise ProblemError(400, f"end_date is after start_date, by at most {days} days.", "bad-span")
    return since, until


Found = tuple[rows.ServiceRequest, Standing]


def _standing(session: Any, found: Iterator[rows.ServiceRequest], states: frozenset[str]) -> Iterator[Found]:
    """Requests with where they stand, some at a time; only those in one of ``states`` where any are named."""
    while part := [item for item, _ in zip(found, range(_BATCH), strict=False)]:
        held = standings(session, [item.report.id for item in part])
        for item in part:
            standing = held[item.report.id]
            closed = status.is_closed(ReportState(item.report.state), standing)
            if not states or (status.CLOSED if closed else status.OPEN) in states:
                yield item, standing


def _page(found: Iterator[Found], page: int, size: int) -> list[Found]:
    for _ in zip(range((page - 1) * size), found, strict=False):
        pass
    return [item for _, item in zip(range(size), found, strict=False)]


def _values(session: Any, state: ServiceState, chosen: list[Found], language: str, extended: bool) -> list[dict[str, Any]]:
    ids, url, agency = [item.report.id for item, _ in chosen], state.settings.public_url, state.settings.open311_agency
    pictures, listed = rows.pictures(session, ids), []
    media = media_of(session, ids) if extended else []
    for item, standing in chosen:
        shown = pictures.get(item.report.id, [])
        values = status.request_values(item, standing, shown, language, agency, url)
        if extended:
            named = [row for row in media if row.report_id == item.report.id]
            values |= status.extended_values(item, standing, shown, named, language, url)
        listed.append(values)
    return listed
