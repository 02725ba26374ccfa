"""Enforces how long each kind of data is kept (``keep_…_days``): ``tagtrace retention run``, once a day."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..linking.store import Store
from ..linking.store import retention as rows
from ..linking.store.photos import PhotoFiles
from .settings_data import DataSettings

ACTOR = "retention"
_BATCH = 200


def run(store: Store, files: PhotoFiles, settings: DataSettings, now: datetime, *, dry: bool = False) -> dict[str, int]:
    """Erase what is older than its setting allows; gives how much of each kind, or with ``dry`` how much it would be.

    What it did goes into the audit log. Stopped in between, it goes on the next time.
    """
    done = {}
    days = {
        "reporters": settings.keep_reporter_days,
        "words": settings.keep_words_days,
        "webhooks": settings.keep_webhook_days,
        "requests": settings.keep_request_days,
        "sessions": settings.keep_session_days,
    }
    for name, kept in days.items():
        erase, moment = rows.ROWS[name], now - timedelta(days=kept)
        if kept:
            if dry:
                with store.read() as session:
                    done[name] = erase(session, moment, True)
            else:
                done[name] = store.write(lambda session, e=erase, m=moment: e(session, m, False), ACTOR)  # type: ignore[misc]
    for name, kept, empty in (
        ("empty photos", settings.keep_empty_photo_days, True),
        ("photos", settings.keep_photo_days, False),
    ):
        if kept:
            done[name] = _photos(store, files, now - timedelta(days=kept), empty, dry)
    return done


def _photos(store: Store, files: PhotoFiles, moment: datetime, empty: bool, dry: bool) -> int:
    if dry:
        with store.read() as session:
            return rows.count_photos(session, moment, empty=empty)
    count = 0
    while True:
        with store.read() as session:
            part = rows.photos(session, moment, empty=empty, limit=_BATCH)
        if not part:
            return count
        for sha256 in part:
            # First the bytes: stopped in between, the next run finds the row and erases nothing twice.
            files.remove(sha256)
            store.write(lambda session, name=sha256: rows.release_photo(session, name), ACTOR)  # type: ignore[misc]
            count += 1
