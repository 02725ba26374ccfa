"""``POST /v1/reports/import``: many reports as one CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ..problems import InvalidField, ProblemError, problems
from ..state import StateDep
from .fields import ReportFields, read_fields
from .routes import Sender, intake

router = APIRouter(prefix="/v1/reports", tags=["reports"])
_BODY = {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}


class RowResult(BaseModel):
    """What became of one row."""

    row: int = Field(description="Line of the file's records, from 2 on: the first one has the names.")
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
    """UTF-8 with a header of the fields of a report; several web addresses in `web` are separated by spaces.

    A row with an `external_id` is known by it: the same file sent again makes nothing new.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/csv":
        raise ProblemError(415, "Send text/csv.", "media-type")
    state.writer.check_room()
    done: list[RowResult] = []
    for number, values in enumerate(_rows(await request.body(), state.settings.max_csv_rows), start=2):
        try:
            fields = read_fields(values, state.settings)
            key = f"csv:{fields.external_id}" if fields.external_id else None
            accepted = await intake(state, sender, fields, (), key, "csv")
            done.append(RowResult(row=number, id=accepted.id, repeated=accepted.repeated))
        except ProblemError as problem:
            if problem.status == 503:
                raise
            wrong = problem.errors or [InvalidField(field="row", message=problem.detail)]
            done.append(RowResult(row=number, errors=wrong))
    taken = sum(row.id is not None for row in done)
    return ImportResult(taken=taken, refused=len(done) - taken, rows=done)


def _rows(data: bytes, most: int) -> Iterator[dict[str, Any]]:
    """The rows as fields of reports; empty cells count as left out."""
    try:
        text = data.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        names = list(reader.fieldnames or [])
        listed = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ProblemError(400, f"The CSV cannot be read: {error}.", "bad-csv") from error
    unknown = sorted({str(name)[:40] for name in names} - set(ReportFields.model_fields))
    if unknown or not names:
        detail = f"The CSV has columns that no report has: {', '.join(unknown)}." if unknown else "The CSV is empty."
        raise ProblemError(422, detail, "bad-csv")
    if len(listed) > most:
        raise ProblemError(413, f"The CSV has more than {most} rows; send it in parts.", "too-many-rows")
    for row in listed:
        values: dict[str, Any] = {str(name): value for name, value in row.items() if value and name is not None}
        if None in row:
            values["(more cells than columns)"] = "x"
        if "web" in values:
            values["web"] = values["web"].split()
        yield values
