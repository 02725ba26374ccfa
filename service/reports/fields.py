"""The fields of a report as they are sent, in JSON or as a form, and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ...contract import TagtraceError
from ..problems import InvalidField, ProblemError
from ..settings import ServiceSettings
from ..webhooks.addresses import check_address

_EARLIEST_YEAR = 2000
_MOST_ADDRESS = 2_048
_LISTS = frozenset({"web"})


def _clean(text: str) -> str:
    """Text as the store can hold it: whole characters, no control characters but line ends."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("holds half a character") from error
    return "".join(char for char in text if char in "\n\t" or (ord(char) >= 32 and ord(char) != 127)).strip()


Words = Annotated[str, AfterValidator(_clean)]


class ReportFields(BaseModel):
    """What a report says beside its photos. All fields may be left out."""

    model_config = ConfigDict(extra="forbid")

    web: list[Annotated[Words, Field(max_length=_MOST_ADDRESS)]] = Field(
        default=[], max_length=100, description="Web addresses, Telegram links or names that were seen."
    )
    lat: float | None = Field(default=None, ge=-90, le=90, description="Latitude, WGS 84; with `lon` or not at all.")
    lon: float | None = Field(default=None, ge=-180, le=180)
    address: Words = Field(default="", max_length=500, description="Where it is, in words.")
    text: Words = Field(default="", max_length=20_000)
    taken_at: datetime | None = Field(default=None, description="When; without an offset it is local time.")
    external_id: Words | None = Field(default=None, max_length=200, description="The id of the report in your own system.")
    callback_url: str | None = Field(default=None, max_length=2_000, description="Where webhooks go.")
    priority: int = Field(default=0, ge=-9, le=9, description="Higher is read first.")
    reporter_name: Words | None = Field(default=None, max_length=200, description="Kept apart, encrypted.")
    reporter_phone: Words | None = Field(default=None, max_length=50)
    reporter_email: Words | None = Field(default=None, max_length=254)

    @field_validator("web")
    @classmethod
    def _some(cls, values: list[str]) -> list[str]:
        return list(dict.fromkeys(value for value in values if value))

    @field_validator("lat", "lon")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        if value is not None and not math.isfinite(value):
            raise ValueError("is no number")
        return value

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon come together")
        return self

    @property
    def reporter(self) -> dict[str, str]:
        """What is known of the reporter; empty for an anonymous report."""
        given = {"name": self.reporter_name, "phone": self.reporter_phone, "email": self.reporter_email}
        return {name: value for name, value in given.items() if value}


def read_fields(values: Mapping[str, Any], settings: ServiceSettings) -> ReportFields:
    """The fields of a report; ``ProblemError`` 422 that names every wrong one."""
    try:
        fields = ReportFields.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        wrong = [
            InvalidField(field=".".join(map(str, item["loc"])) or "report", message=item["msg"].removeprefix("Value error, "))
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise refused(wrong) from error
    wrong = []
    if len(fields.text) > settings.max_text_chars:
        wrong.append(InvalidField(field="text", message=f"is longer than {settings.max_text_chars} characters"))
    if len(fields.web) > settings.max_addresses:
        wrong.append(InvalidField(field="web", message=f"are more than {settings.max_addresses} addresses"))
    if fields.callback_url is not None:
        try:
            check_address(fields.callback_url, private=settings.webhook_private_addresses)
        except TagtraceError as error:
            wrong.append(InvalidField(field="callback_url", message=str(error)))
    if fields.taken_at is not None:
        try:
            fields.taken_at = in_utc(fields.taken_at, settings.local_timezone)
        except ValueError as error:
            wrong.append(InvalidField(field="taken_at", message=str(error)))
    if wrong:
        raise refused(wrong)
    return fields


def in_utc(moment: datetime, zone: str) -> datetime:
    """A time in UTC; one without an offset is a time of ``zone``. Raises ``ValueError`` for the future and for ages ago."""
    if not _EARLIEST_YEAR <= moment.year <= datetime.now(UTC).year + 1:
        raise ValueError(f"lies before {_EARLIEST_YEAR} or in the future")
    found = (moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    if found > datetime.now(UTC) + timedelta(days=1):
        raise ValueError("lies in the future")
    return found


def from_form(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Fields of a form: names of lists may come several times, or one value a line; empty values count as left out."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in _LISTS:
            values.setdefault(name, []).extend(value.splitlines())
        elif name in values:
            raise refused([InvalidField(field=name, message="comes twice")])
        elif value.strip():
            values[name] = value
    return values


def refused(wrong: list[InvalidField]) -> ProblemError:
    """The error for values that are wrong."""
    names = ", ".join(dict.fromkeys(item.field for item in wrong))
    return ProblemError(422, f"These values are wrong: {names}.", "invalid-values", errors=wrong)
