"""Enforces how long each kind of data is kept (``keep_…_days``): ``tagtrace retention run``, once a day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from ..linking.store import Store
from ..linking.store import retention as rows
from ..linking.store.photos import PhotoFiles
from ..linking.store.retention import PhotoKind
from .settings_data import DataSettings

ACTOR = "retention"
_BATCH = 200
SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "reporters": "keep_reporter_days",
        "words": "keep_words_days",
        "webhooks": "keep_webhook_days",
        "requests": "keep_request_days",
        "sessions": "keep_session_days",
        "empty photos": "keep_empty_photo_days",
        "photos": "keep_photo_days",
        "undecided photos": "keep_undecided_photo_days",
    }
)
"""The kinds of data, and the setting that says how long each is kept."""
_PHOTOS: Final = {"empty photos": PhotoKind.EMPTY, "photos": PhotoKind.DECIDED, "undecided photos": PhotoKind.UNDECIDED}


def run(store: Store, files: PhotoFiles, settings: DataSettings, now: datetime, *, dry: bool = False) -> dict[str, int]:
    """Erase what is older than its setting allows; gives how much of each kind, or with ``dry`` how much it would be.

    What it did goes into the audit log. Stopped in between, it goes on the next time.
    """
    done = {}
    for name, setting in SETTINGS.items():
        kept = getattr(settings, setting)
        if not kept:
            continue
        moment = now - timedelta(days=kept)
        if name in _PHOTOS:
            done[name] = _photos(store, files, moment, _PHOTOS[name], dry)
        elif dry:
            with store.read() as session:
                done[name] = rows.ROWS[name](session, moment, True)
        else:
            done[name] = store.write(lambda session, e=rows.ROWS[name], m=moment: e(session, m, False), ACTOR)  # type: ignore[misc]
    return done


def _photos(store: Store, files: PhotoFiles, moment: datetime, kind: PhotoKind, dry: bool) -> int:
    if dry:
        with store.read() as session:
            return rows.count_photos(session, moment, kind)
    count = 0
    while True:
        with store.read() as session:
            part = rows.photos(session, moment, kind, _BATCH)
        if not part:
            return count
        for sha256 in part:
            with store.read() as session:
                # Somebody may have taken a decision back meanwhile.
                if not rows.may_go(session, sha256, moment, kind):
                    continue
            # First the bytes: stopped in between, the next run finds the row and erases nothing twice.
            files.remove(sha256)
            store.write(lambda session, name=sha256: rows.release_photo(session, name), ACTOR)  # type: ignore[misc]
            count += 1
