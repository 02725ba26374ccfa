"""What a citizen may be told of a report, in Kazakh, Russian and English."""

from __future__ import annotations

import functools
import tomllib
from datetime import datetime
from importlib import resources

from pydantic import BaseModel, Field

from ...linking.life import ResourceState
from ...linking.store.report_tables import ReportRow
from ...linking.store.reports import ReportState
from ...linking.store.standing import Standing
from ...linking.store.tracks import Track

_OF_TRACK = {
    (Track.CLEANUP, "ordered"): "cleanup_ordered",
    (Track.CLEANUP, "painted"): "painted",
    (Track.CLEANUP, "back_again"): "back_again",
    (Track.BLOCKING, "sent"): "sent_for_blocking",
    (Track.BLOCKING, "blocked"): "blocked",
}
"""Investigations are never told of."""
_OF_CONTACT = {ResourceState.SENT: "sent_for_blocking", ResourceState.BLOCKED: "blocked"}


class CitizenStatus(BaseModel):
    """One thing that the citizen may be told."""

    code: str
    at: datetime = Field(description="Since when, in UTC.")
    text: dict[str, str] = Field(description="By language: kk, ru, en.")


def citizen_status(report: ReportRow, standing: Standing) -> list[CitizenStatus]:
    """What may be told, the oldest first.

    Several things may hold at once: the wall is painted while the resource still waits to be blocked.
    """
    told: dict[str, datetime] = {}

    def tell(code: str | None, since: datetime) -> None:
        if code is not None:
            told[code] = min(since, told.get(code, since))

    match report.state:
        case ReportState.FAILED:
            told["unreadable"] = report.state_at
        case ReportState.CANCELLED:
            told["cancelled"] = report.state_at
        case ReportState.READ if standing.found:
            told["checking"] = report.state_at
        case ReportState.READ:
            told["nothing_found" if standing.pictures else "nothing_named"] = report.state_at
        case _:
            told["received"] = report.received_at
    for row in standing.tracks:
        tell(_OF_TRACK.get((Track(row.track), row.state)), row.since)
    for contact in standing.contacts:
        tell(_OF_CONTACT.get(contact.state), contact.since)
    if len(told) > 1:
        told.pop("checking", None)
    return [
        CitizenStatus(code=code, at=at, text=_texts()[code])
        for code, at in sorted(told.items(), key=lambda item: (item[1], item[0]))
    ]


@functools.cache
def _texts() -> dict[str, dict[str, str]]:
    text = (resources.files(__package__ or "") / "citizen.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
