"""What reports bring beside their files and fields: addresses of pictures, and what Open311 requests say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from .report_tables import Open311Row, ReportMediaRow


class MediaState(StrEnum):
    """Where a picture stands that a report names by its address."""

    WAITING = "waiting"
    FETCHED = "fetched"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewMedia:
    """The address of a picture of a new report. ``refused`` says why it is not going to be fetched; empty: it is."""

    url: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Open311Facts:
    """What an Open311 request says beside what every report says; ``attributes`` are lists of texts by their codes."""

    service_code: str
    address_id: str = ""
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def keep_beside(session: Session, fresh: Sequence[tuple[str, Sequence[NewMedia], Open311Facts | None]]) -> None:
    """Keep it for new reports, by their ids."""
    media = [row for report_id, listed, _ in fresh for row in _media(report_id, listed)]
    if media:
        session.execute(insert(ReportMediaRow), media)
    asked = [_open311(report_id, facts) for report_id, _, facts in fresh if facts is not None]
    if asked:
        session.execute(insert(Open311Row), asked)


def _media(report_id: str, media: Sequence[NewMedia]) -> Iterator[dict[str, Any]]:
    yield from (
        {"report_id": report_id, "number": n, "url": item.url, "attempts": 0, "error": item.refused}
        | {"state": MediaState.FAILED if item.refused else MediaState.WAITING}
        for n, item in enumerate(media)
    )


def _open311(report_id: str, facts: Open311Facts) -> dict[str, Any]:
    attributes = {code: list(values) for code, values in facts.attributes.items()}
    return {
        "report_id": report_id,
        "service_code": facts.service_code,
        "address_id": facts.address_id,
        "attributes": attributes,
    }
