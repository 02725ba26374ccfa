"""``POST /v1/reports/import``: many reports as one CSV."""

from __future__ import annotations

import asyncio
import csv
import io
from collections import Counter
from collections.abc import Awaitable, Iterator
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ..access import Principal
from ..problems import InvalidField, ProblemError, problems
from ..state import ServiceState, StateDep
from .fields import ReportFields, read_fields
from .routes import Beside, Sender, intake
from .uploads import digest

router = APIRouter(prefix="/v1/reports", tags=["reports"])
_DELIMITERS = (",", ";", "\t")
_TOGETHER = 64
"""Rows that are written in one transaction, so that thousands do not wait for the disk one after the other."""
_BODY = {"required": True, "content": {"text/csv": {"schema": {"type": "string", "minLength": 1}}}}


class RowResult(BaseModel):
    """What became of one row."""

    row: int = Field(description="Number of the record in the file, as a spreadsheet counts: the header is 1.")
    id: str | None = Field(default=None, description="The id of the report; none for a row that was refused.")
    repeated: bool = False
    errors: list[InvalidField] = []


class ImportResult(BaseModel):
    """Good rows are taken in, every bad one is named with its reasons."""

    taken: int
    refused: int
    rows: list[RowResult]


@router.post(
    "/import",
    summary="Send many reports as CSV",
    responses=problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
    openapi_extra={"requestBody": _BODY},
)
async def import_csv(request: Request, state: StateDep, sender: Sender) -> ImportResult:
    """UTF-8 with a header of the fields of a report; commas, semicolons or tabs between cells, spaces between addresses in `web`.

    Rows have no photos: they have web addresses, or words in `text`, whose addresses are followed. A row is known by its
    `external_id`, else by what it says: the same file sent again makes nothing new.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/csv":
        raise ProblemError(415, "Send text/csv.", "media-type")
    state.writer.check_room()
    done: list[RowResult] = []
    same: Counter[str] = Counter()
    batch: list[Awaitable[RowResult]] = []
    for number, values in _rows(await request.body(), state.settings.max_csv_rows):
        batch.append(_take(state, sender, number, values, same))
        if len(batch) == _TOGETHER:
            done += await _all(batch)
            batch = []
    done += await _all(batch)
    taken = sum(row.id is not None for row in done)
    return ImportResult(taken=taken, refused=len(done) - taken, rows=done)


async def _all(batch: list[Awaitable[RowResult]]) -> list[RowResult]:
    """The results of some rows, which are written together; the first error that ends the request is raised when all are done."""
    found = await asyncio.gather(*batch, return_exceptions=True)
    for result in found:
        if isinstance(result, BaseException):
            raise result
    return [result for result in found if isinstance(result, RowResult)]


async def _take(state: ServiceState, sender: Principal, number: int, values: dict[str, Any], same: Counter[str]) -> RowResult:
    """One row. Raises ``ProblemError`` 503 where no more can be taken in at the moment."""
    try:
        fields = read_fields(values, state.settings)
        if fields.external_id:
            key = f"csv:{fields.external_id}"
        else:
            said = digest(state.settings, sorted(values.items()))
            same[said] += 1
            key = f"csv:{same[said]}:{said}"
        accepted = await intake(state, sender, fields, (), key, Beside(source="csv", words_alone=True))
        return RowResult(row=number, id=accepted.id, repeated=accepted.repeated)
    except ProblemError as problem:
        if problem.status == 503:
            raise
        wrong = problem.errors or [InvalidField(field="row", message=problem.detail)]
        if problem.status == 409:
            wrong = [InvalidField(field="external_id", message="was used for a report that says something else")]
        return RowResult(row=number, errors=wrong)


def _rows(data: bytes, most: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of a CSV as fields of reports, with their numbers; empty ones and empty cells count as left out."""
    names, records = _records(data)
    unknown = sorted({name[:40] for name in names} - set(ReportFields.model_fields))
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names:
        raise ProblemError(422, "The CSV is empty.", "bad-csv")
    if unknown:
        raise ProblemError(422, f"The CSV has columns that no report has: {', '.join(unknown)}.", "bad-csv")
    if twice:
        raise ProblemError(422, f"The CSV has columns twice: {', '.join(twice)}.", "bad-csv")
    if len(records) > most:
        raise ProblemError(413, f"The CSV has more than {most} rows; send it in parts.", "too-many-rows")
    for number, cells in enumerate(records, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        values: dict[str, Any] = {name: cell for name, cell in zip(names, cells, strict=False) if cell.strip()}
        if any(cell.strip() for cell in cells[len(names) :]):
            values["(more cells than columns)"] = "x"
        if "web" in values:
            values["web"] = values["web"].split()
        yield number, values


def _records(data: bytes) -> tuple[list[str], list[list[str]]]:
    """The names in the header of a CSV, and the records below it. ``ProblemError`` 400 where it cannot be read."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        detail = f"The CSV cannot be read: line {line} is not in UTF-8. Save it as `CSV UTF-8` and send it again."
        raise ProblemError(400, detail, "bad-csv") from error
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=head.count), strict=True)
    try:
        records = list(reader)
    except csv.Error as error:
        raise ProblemError(400, f"The CSV cannot be read: line {reader.line_num}: {error}.", "bad-csv") from error
    return ([name.strip() for name in records[0]], records[1:]) if records else ([], [])
