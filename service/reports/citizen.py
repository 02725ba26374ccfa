"""What a citizen may be told of a report, in Kazakh, Russian and English."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from datetime import datetime
from importlib import resources

from pydantic import BaseModel, Field

from ...linking.store.report_tables import ReportRow, TrackRow
from ...linking.store.reports import ReportState
from ...linking.store.tracks import Track

_OF_TRACK = {
    (Track.CLEANUP, "ordered"): "cleanup_ordered",
    (Track.CLEANUP, "painted"): "painted",
    (Track.CLEANUP, "back_again"): "back_again",
    (Track.BLOCKING, "sent"): "sent_for_blocking",
    (Track.BLOCKING, "blocked"): "blocked",
}
"""Investigations are never told of."""


class CitizenStatus(BaseModel):
    """One thing that the citizen may be told."""

    code: str
    at: datetime = Field(description="Since when, in UTC.")
    text: dict[str, str] = Field(description="By language: kk, ru, en.")


def citizen_status(report: ReportRow, tracks: Iterable[TrackRow], found: bool) -> list[CitizenStatus]:
    """What may be told, the oldest first; ``found``: whether any contact was found.

    Several things may hold at once: the wall is painted while the resource still waits to be blocked.
    """
    told: dict[str, datetime] = {}
    match report.state:
        case ReportState.FAILED:
            told["unreadable"] = report.state_at
        case ReportState.CANCELLED:
            told["cancelled"] = report.state_at
        case ReportState.READ:
            told["checking" if found else "nothing_found"] = report.state_at
        case _:
            told["received"] = report.received_at
    for row in tracks:
        code = _OF_TRACK.get((Track(row.track), row.state))
        if code is not None:
            told[code] = min(row.since, told.get(code, row.since))
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
