"""A report as a GeoReport request: open or closed, what the citizen may be told, and nothing about who reported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from ...linking.life import ResourceState
from ...linking.store.open311 import ServiceRequest
from ...linking.store.report_tables import ReportMediaRow, ReportPhotoRow, TrackRow
from ...linking.store.reports import ReportState
from ...linking.store.standing import Standing
from ...linking.store.tracks import Track
from ..reports.citizen import citizen_status
from .forms import PREFIX, w3
from .services import catalogue

OPEN, CLOSED = "open", "closed"
_CLEAN = frozenset({"painted", "not_needed"})
_BLOCKING_ENDED = frozenset({"blocked", "rejected", "restored"})
_RESOURCE_ENDED = frozenset({ResourceState.BLOCKED, ResourceState.REJECTED, ResourceState.RESTORED})


class RequestView(BaseModel):
    """A request and where it stands."""

    service_request_id: str
    status: str = Field(description="open or closed.")
    status_notes: str | None
    service_name: str
    service_code: str
    description: str | None
    agency_responsible: str | None
    service_notice: str | None
    requested_datetime: str
    updated_datetime: str
    expected_datetime: str | None
    address: str | None
    address_id: str | None
    zipcode: str | None
    lat: float | None
    long: float | None
    media_url: str | None = Field(description="The first picture, faces and number plates blurred; needs the api_key.")
    attributes: list[dict[str, Any]] | None = Field(default=None, description="With `extensions=true`.")
    extended_attributes: dict[str, Any] | None = Field(default=None, description="With `extensions=true`.")
    notes: list[dict[str, Any]] | None = Field(default=None, description="With `extensions=true`.")


def request_values(
    request: ServiceRequest, standing: Standing, pictures: Sequence[ReportPhotoRow], language: str, agency: str, public_url: str
) -> dict[str, Any]:
    """The values of a request as GeoReport names them."""
    report = request.report
    service = catalogue().services.get(request.service_code, catalogue().default)
    told = citizen_status(report, standing)
    shown = picture_urls(public_url, report.id, pictures)
    return {
        "service_request_id": report.id,
        "status": CLOSED if is_closed(ReportState(report.state), standing) else OPEN,
        "status_notes": " ".join(item.text[language] for item in told) or None,
        "service_name": service.name[language],
        "service_code": service.code,
        "description": report.text or None,
        "agency_responsible": agency or None,
        "service_notice": catalogue().notice[language],
        "requested_datetime": w3(report.received_at),
        "updated_datetime": w3(max([report.state_at, *(item.at for item in told), *_moments(standing)])),
        "expected_datetime": w3(_expected(standing.tracks)),
        "address": report.address or None,
        "address_id": request.address_id or None,
        "zipcode": None,
        "lat": report.lat,
        "long": report.lon,
        "media_url": shown[0] if shown else None,
    }


def extended_values(
    request: ServiceRequest,
    standing: Standing,
    pictures: Sequence[ReportPhotoRow],
    media: Sequence[ReportMediaRow],
    language: str,
    public_url: str,
) -> dict[str, Any]:
    """What is added for clients that ask for extensions: answers, tracks, pictures, and the steps that the citizen may know."""
    told = citizen_status(request.report, standing)
    urls = picture_urls(public_url, request.report.id, pictures)
    return {
        "attributes": [{"code": code, "values": list(values)} for code, values in request.attributes.items()],
        "extended_attributes": {
            "state": request.report.state,
            "photos": [{"media_url": url, "title": row.kind} for url, row in zip(urls, pictures, strict=True)],
            "media": [{"media_url": row.url, "state": row.state, "error": row.error} for row in media],
            "tracks": [{"track": row.track, "state": row.state, "since": w3(row.since)} for row in standing.tracks],
        },
        "notes": [{"datetime": w3(item.at), "description": item.text[language], "type": item.code} for item in told],
    }


def picture_urls(public_url: str, report_id: str, pictures: Sequence[ReportPhotoRow]) -> list[str]:
    """Where the pictures of a report are shown."""
    return [f"{public_url}{PREFIX}/media/{report_id}/{row.number}.jpg" for row in pictures]


def is_closed(state: ReportState, standing: Standing) -> bool:
    """Whether nothing more is to be done: every wall is clean, and every contact that may be blocked is settled.

    What is investigated closes nothing and opens nothing.
    """
    if state in (ReportState.FAILED, ReportState.CANCELLED):
        return True
    if state is not ReportState.READ:
        return False
    states = {(row.photo, row.advert, row.track): row.state for row in standing.tracks}
    clean = all(states.get((*key, Track.CLEANUP)) in _CLEAN for key in standing.adverts)
    settled = all(states.get((*key, Track.BLOCKING)) in _BLOCKING_ENDED for key in standing.blockable)
    return clean and settled and all(contact.state in _RESOURCE_ENDED for contact in standing.contacts)


def _moments(standing: Standing) -> list[datetime]:
    return [*(row.since for row in standing.tracks), *(contact.since for contact in standing.contacts)]


def _expected(tracks: Sequence[TrackRow]) -> datetime | None:
    """When the last of the walls that are to be painted is due."""
    due = [row.due for row in tracks if row.track == Track.CLEANUP and row.state not in _CLEAN and row.due is not None]
    return max(due, default=None)
