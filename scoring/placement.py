"""Placing what was scored in a store, from the journal of a run or from the results of a finished one, with a work file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..linking.shops import Shops
from .archive import Archive, ArchiveSettings, Placed
from .files import explained
from .inputs import Item
from .placing import FeaturesOf
from .progress import ProgressView
from .records import Json, dump, time_to_json
from .request import Interrupted, Scores
from .settings import ScoreSettings
from .storing import KeptPhoto, StoringSettings, batches, register_of

if TYPE_CHECKING:
    from ..linking.store import Store
    from ..linking.store.workbook import Workbook

_WORK_FILE = "placing.db"
_SPOOLED = 500
"""Photos that one transaction takes into the work file."""


@dataclass(frozen=True, slots=True)
class ToPlace:
    """What is to be placed, and how.

    ``identity`` is told apart from any other archive, so that a work file is gone on with only for the very same one; ``spool``
    takes all photos into the work file.
    """

    identity: str
    spool: Callable[[Workbook], None]
    described: Mapping[str, object]
    """The settings that the photos were scored with."""
    features_of: FeaturesOf
    settings: ScoreSettings
    storing: StoringSettings
    photos: Mapping[str, KeptPhoto] = field(default_factory=dict)
    """Where bytes are kept, by SHA-256."""


def place_in(store: Store, what: ToPlace, folder: Path, progress: ProgressView) -> Placed:
    """Place an archive; the work file lies in ``folder`` until all is done. Raises ``Interrupted`` after Ctrl-C."""
    with opened_archive(store, register_of(store), what, folder, progress) as (archive, at):
        return archive.place(at)


@contextmanager
def opened_archive(
    store: Store | None, shops: Shops, what: ToPlace, folder: Path, progress: ProgressView
) -> Iterator[tuple[Archive, datetime]]:
    """What is to be placed, in a work file in ``folder``, with the time of the run; the file is removed when all went well.

    Raises ``Interrupted`` after Ctrl-C.
    """
    from ..linking.store.workbook import Workbook

    path = folder / _WORK_FILE
    identity = _identity(what, store.name if store is not None else "")
    if path.exists():
        with Workbook.opened(path) as book:
            known = book.get("identity") == identity
        if not known:
            _remove(path)
    settings = ArchiveSettings(
        what.settings.links,
        what.settings.clusters,
        replace(what.settings.placing, extract=what.settings.pipeline.extract),
        what.storing,
    )
    with Workbook.opened(path) as book:
        if not book.get("identity"):
            progress.say("placing: collecting what was found")
            try:
                what.spool(book)
            except KeyboardInterrupt as stop:
                raise Interrupted(0, 0, "collecting what was found") from stop
            with book.trial.begin() as session:
                book.note(session, "at", datetime.now(UTC).isoformat())
                book.note(session, "identity", identity)
        archive = Archive(store, book, shops, settings, what.described, what.features_of, progress, what.photos)
        yield archive, datetime.fromisoformat(book.get("at"))
    _remove(path)


def _identity(what: ToPlace, store: str) -> str:
    """Changes with the archive, with where it goes, and with every setting that decides what becomes of it."""
    parts = {
        "version": __version__,
        "archive": what.identity,
        "store": store,
        "scored": dict(what.described),
        "settings": what.settings.to_json(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with explained(path):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


# --- a run that was scored just now ---


def of_scores(scores: Scores) -> tuple[str, Callable[[Workbook], None]]:
    """Identity and spool of what a run scored: its photos by their bytes, what the manifest says of them, and who read them."""
    digest = hashlib.sha256(dump([asdict(model) for model in scores.ready.models]).encode())
    for number, item in enumerate(scores.items):
        sha256 = scores.hashes.get(number, "")
        # A photo that failed may have been tried again, by this run or one that it goes on from.
        failed = scores.records[sha256]["failure"] if sha256 in scores.records else None
        digest.update(dump([sha256, _facts(item), failed]).encode())
    return digest.hexdigest(), lambda book: spool(book, _spooled(scores))


def _spooled(scores: Scores) -> Iterator[tuple[Json, Json]]:
    for number, item in enumerate(scores.items):
        sha256 = scores.hashes.get(number)
        if sha256 is not None and sha256 in scores.records:
            yield scores.records[sha256], _facts(item)


def _facts(item: Item) -> Json:
    taken_at = None if item.taken_at is None else time_to_json(item.taken_at)
    facts = {"name": item.name, "lat": item.lat, "lon": item.lon, "taken_at": taken_at, "report_id": item.report_id}
    return {name: value for name, value in facts.items() if value is not None}


def spool(book: Workbook, photos: Iterator[tuple[Json, Json]]) -> None:
    """Take records, and what is said of their photos besides, into a work file."""
    from ..linking.store.workbook import Spooled

    models: set[str] = set()
    for part in batches(photos, _SPOOLED):
        models.update(model["name"] for record, _ in part for model in record["models"])
        book.spool([Spooled(record["sha256"], record, facts) for record, facts in part])
    note_models(book, models)


def note_models(book: Workbook, models: set[str]) -> None:
    """Remember which models found what is placed, for the logs of the store."""
    with book.trial.begin() as session:
        book.note(session, "models", dump(sorted(models)))


def facts_of_result(record: Mapping[str, Any]) -> Json:
    """What a line of ``results.jsonl`` says of its photo beside the analysis."""
    facts = {"name": record["file"], **{name: record[name] for name in ("lat", "lon", "taken_at", "report_id")}}
    return {name: value for name, value in facts.items() if value is not None}
