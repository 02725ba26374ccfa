"""Scoring by processes of this machine: all items are known before the first is scored, and hashed here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from ..contract import Failure
from .files import explained
from .inputs import Item, collect, digest
from .journal import Journal
from .pool import WorkerPool
from .progress import ProgressView
from .request import Folders, Interrupted, NothingFound, ScoreRequest, Scores, available_cores, spec_of
from .settings import fingerprint
from .worker import Task


class LocalScoring:
    """The engine ``local``; see ``request.Scoring``."""

    def __init__(self, request: ScoreRequest, progress: ProgressView) -> None:
        self._request = request
        self._settings = request.settings
        self._progress = progress
        self._folders = Folders(request.out)
        self._items: list[Item] = []
        self._hashes: dict[int, str] = {}
        self._failures: dict[int, Failure] = {}
        self._finished: frozenset[str] = frozenset()
        self._scored: dict[str, str] = {}

    def prepare(self) -> None:
        """See ``Scoring``."""
        request = self._request
        offset = self._settings.decode.local_utc_offset_hours
        self._items = collect(request.photos, request.manifest, offset, skip=request.out)
        if not self._items:
            raise NothingFound(request.places)

    def score(self) -> Scores:
        """See ``Scoring``."""
        items = self._items
        workers = max(1, min(self._request.workers or available_cores(), len(items)))
        spec = spec_of(self._request, threads=max(1, available_cores() // workers))
        with WorkerPool(spec, workers, first=self._request.early) as pool:
            ready = pool.start()
            key = fingerprint(self._settings, ready.models, ready.settings)
            with Journal(self._folders.journal, key, keep=self._request.resume) as journal:
                try:
                    resumed = self._recall(journal)
                    self._progress.begin(len(items), resumed)
                    for task, scored in pool.run(self._tasks()):
                        journal.add(scored.record)
                        self._rename(task.sha256, scored.record["sha256"])
                        self._progress.advance(failed=scored.record["failure"] is not None)
                except KeyboardInterrupt as stop:
                    done = sum(1 for sha in self._hashes.values() if sha in journal.records)
                    raise Interrupted(done, len(items)) from stop
        return Scores(items, ready, journal.records, self._hashes, self._failures, self._scored, resumed)

    def _recall(self, journal: Journal) -> int:
        """Find out which photos an earlier run finished; a fresh run starts with nothing."""
        if not self._request.resume:
            for folder in self._folders.cleared:
                with explained(folder):
                    shutil.rmtree(folder, ignore_errors=True)
            return 0
        self._finished = journal.records.finished()
        return sum(1 for number, item in enumerate(self._items) if self._hash(number, item) in self._finished)

    def _tasks(self) -> Iterator[Task]:
        """Each photo that is to be scored, once: copies of one file share its analysis."""
        for number, item in enumerate(self._items):
            sha = self._hash(number, item)
            if sha in self._finished:
                continue
            if sha is None or sha in self._scored:
                self._progress.advance(failed=sha is None)
                continue
            self._scored[sha] = item.name
            yield Task(item.path, item.name, sha)

    def _hash(self, number: int, item: Item) -> str | None:
        """The SHA-256 of an item, or None where it has none (then its failure is noted)."""
        if number not in self._hashes and number not in self._failures:
            found = item.failure or digest(item, self._settings.run.max_file_bytes)
            if isinstance(found, Failure):
                self._failures[number] = found
            else:
                self._hashes[number] = found
        return self._hashes.get(number)

    def _rename(self, expected: str, found: str) -> None:
        """Follow a file that was changed between its hash and its analysis."""
        if expected != found:
            self._hashes.update({number: found for number, sha in self._hashes.items() if sha == expected})
            self._scored[found] = self._scored.pop(expected)
