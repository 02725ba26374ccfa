"""Fetching the pictures that a report names by their addresses, before it is read; the report is read in any case."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...linking.store import Store
from ...linking.store import media as rows
from ...linking.store.jobs import RetryRule
from ...linking.store.photos import PhotoFiles
from ...linking.store.report_tables import ReportMediaRow
from ...linking.store.reports import NewFile, now_utc
from ..media import NotFetched, fetch_picture
from ..settings import ServiceSettings


class Postponed(Exception):
    """A picture may be had later: the report waits until then."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"waits until {until.isoformat()}")
        self.until = until


def fetch_media(report_id: str, store: Store, files: PhotoFiles, settings: ServiceSettings, actor: str) -> None:
    """Make the pictures that a report names files of it. Raises ``Postponed`` while some may still be had later.

    A picture that cannot be had is noted with its reason, and the report is read without it.
    """
    with store.read() as session:
        wanted = rows.waiting(session, report_id)
    waits = [until for row in wanted if (until := _fetch(row, store, files, settings, actor)) is not None]
    if waits:
        raise Postponed(min(waits))


def _fetch(row: ReportMediaRow, store: Store, files: PhotoFiles, settings: ServiceSettings, actor: str) -> datetime | None:
    """Fetch one picture; gives when to try again, or None when that is settled."""
    report_id, number = row.report_id, row.number
    attempts = store.write(lambda session: rows.begin(session, report_id, number), actor)
    try:
        data = fetch_picture(row.url, settings)
    except NotFetched as error:
        why, final = str(error), not error.later or attempts >= settings.media_attempts
        store.write(lambda session: rows.failed(session, report_id, number, why, final=final), actor)
        rule = RetryRule(settings.media_attempts, timedelta(seconds=settings.media_backoff_s), timedelta(hours=1))
        return None if final else now_utc() + rule.wait(attempts)
    file = NewFile(files.put(data), len(data))
    store.write(lambda session: rows.fetched(session, report_id, number, file, files.url), actor)
    return None
