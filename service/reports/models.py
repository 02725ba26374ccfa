"""The forms of answers about reports."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from .citizen import CitizenStatus


class ReportAccepted(BaseModel):
    """A report that is safe: it and its photos are on the disk."""

    id: str
    state: str
    status_url: str
    repeated: bool = Field(description="Whether the same request was taken in before; then this is its report.")


class LinkView(BaseModel):
    """How an identifier stands to the register of known shops."""

    outcome: str = Field(description="same, misread, sibling or new.")
    probability: float
    band: str = Field(description="automatic, review or none.")
    shop_id: str | None
    shop_name: str = ""
    kind: str | None = Field(default=None, description="The listed resource that is meant.")
    value: str | None = None
    reasons: list[str]
    evidence: list[dict[str, Any]]


class IdentifierView(BaseModel):
    """A contact that was read, by a machine: a person has to check it."""

    kind: str
    value: str
    raw: str
    confidence: float
    alternatives: list[dict[str, Any]]
    flags: list[str]
    link: LinkView | None


class TrackView(BaseModel):
    """Where an advert stands on one track."""

    track: str
    state: str
    since: datetime
    responsible: str
    due: datetime | None


class AdvertView(BaseModel):
    """One inscription in one photo."""

    photo: str
    number: int
    quad: list[list[float]] = Field(description="Four corners, pixels of the upright photo.")
    lines: list[dict[str, Any]]
    codes: list[dict[str, Any]]
    identifiers: list[IdentifierView]
    cluster: str | None
    tracks: list[TrackView]


class FileView(BaseModel):
    """One file of a report."""

    number: int
    kind: str
    sha256: str
    size: int
    at_s: float | None = Field(description="For a frame of a video: seconds from its beginning.")
    failure_code: str | None
    failure_message: str | None


class MediaView(BaseModel):
    """A picture that the report names by its address."""

    url: str
    state: str = Field(description="waiting, fetched or failed.")
    error: str = Field(description="Why it was not fetched.")
    sha256: str | None


class DuplicateView(BaseModel):
    """Another report that shows the same."""

    report_id: str
    by: str = Field(description="photo: the same file; cluster: the same advert.")


class ReportView(BaseModel):
    """A report and what became of it. Nothing about the reporter is in it."""

    id: str
    external_id: str | None
    source: str
    state: str
    state_at: datetime
    failure: str
    received_at: datetime
    taken_at: datetime | None
    lat: float | None
    lon: float | None
    address: str
    text: str
    web: list[str]
    files: list[FileView]
    media: list[MediaView]
    adverts: list[AdvertView]
    contacts: list[IdentifierView] = Field(description="What the web addresses of the report are.")
    duplicates: list[DuplicateView]
    citizen: list[CitizenStatus]


class ReportLine(BaseModel):
    """A report in a list."""

    id: str
    external_id: str | None
    state: str
    state_at: datetime
    received_at: datetime
    lat: float | None
    lon: float | None


class ReportPage(BaseModel):
    """Some reports, the newest first."""

    items: list[ReportLine]
    next: str | None = Field(description="Give it as `cursor` for the page after this one.")
