"""Scoring by the machines of a Ray cluster: it begins while items are still being found, and the workers hash the photos.

What needs all items - their names, their order - is made up at the end. Until then a photo goes by its place.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract import BrokenInstallationError, Failure, FailureCode
from .arrivals import Arrivals
from .files import explained
from .inputs import Item
from .journal import Journal
from .places import Place
from .progress import ProgressView
from .ray_worker import Done, finished_array
from .request import Folders, Interrupted, NothingFound, ScoreRequest, Scores, spec_of
from .settings import fingerprint
from .worker import Task, annotation_path

if TYPE_CHECKING:
    from .ray_pool import RayPool


class RayScoring:
    """The engine ``ray``; see ``request.Scoring``."""

    def __init__(self, request: ScoreRequest, progress: ProgressView) -> None:
        self._request = request
        self._settings = request.settings
        self._progress = progress
        self._folders = Folders(request.out)
        self._spec = spec_of(request, threads=1, carry=True)
        self._arrivals = Arrivals(request)
        self._hashes: dict[str, str] = {}
        self._failures: dict[str, Failure] = {}
        """Photos whose bytes could not be read, by place; the message begins with the name in ``_names``."""
        self._names: dict[str, str] = {}
        self._total: int | None = None
        """Photos, when all have been found."""
        self._told = False
        self._missing: deque[Item] = deque()
        """Items that failed before anybody tried to read them, until they are counted."""

    def prepare(self) -> None:
        """See ``Scoring``."""
        self._pool = _pool()(self._spec, self._request.workers, self._request.address)
        if not self._arrivals.start():
            raise NothingFound(self._request.places)

    def score(self) -> Scores:
        """See ``Scoring``."""
        with self._pool as pool:
            ready = pool.start()
            key = fingerprint(self._settings, ready.models, ready.settings)
            with Journal(self._folders.journal, key, keep=self._request.resume) as journal:
                finished = self._recall(journal)
                self._arrivals.go_on()
                try:
                    self._progress.begin(None, 0)
                    for done in pool.run(self._tasks(), finished_array(finished), key):
                        self._take(done, journal)
                        self._count()
                except KeyboardInterrupt as stop:
                    raise Interrupted(len(self._hashes), self._arrivals.count) from stop
        items = self._arrivals.settled()
        self._count()
        hashes, failures = self._by_number(items)
        resumed = sum(1 for sha in hashes.values() if sha in finished)
        scored = self._put_pictures_in_place(items, hashes)
        return Scores(items, ready, journal.records, hashes, failures, scored, resumed)

    def _recall(self, journal: Journal) -> frozenset[str]:
        """What an earlier run finished; a fresh run starts with nothing."""
        if not self._request.resume:
            for folder in self._folders.cleared:
                with explained(folder):
                    shutil.rmtree(folder, ignore_errors=True)
            return frozenset()
        return journal.records.finished()

    def _tasks(self) -> Iterator[Task]:
        """Each place once. Runs in a thread of the pool."""
        seen: set[str] = set()
        for item in self._arrivals.items():
            place = _absolute(item.path)
            if str(place) in seen:
                continue
            seen.add(str(place))
            if item.failure is not None:
                self._missing.append(item)
                continue
            yield Task(place, item.name, "")
        self._total = len(seen)

    def _take(self, done: Done, journal: Journal) -> None:
        """Keep what came back of one photo: its pictures first, so that a finished photo has them."""
        place, sha256, scored = str(done.task.path), done.task.sha256, done.scored
        failure = scored.record["failure"] if scored is not None else None
        if sha256:
            if scored is not None:
                if scored.derived is not None:
                    scored.derived.save(sha256, self._drawn(sha256), self._spec)
                journal.add(scored.record)
            self._hashes[place] = sha256
        elif failure is not None:
            self._failures[place] = Failure(FailureCode(failure["code"]), failure["message"])
            self._names[place] = done.task.name
        self._progress.advance(failed=failure is not None)

    def _count(self) -> None:
        """Tell how many photos there are as soon as that is known, and which of them failed at once."""
        if self._total is not None and not self._told:
            self._told = True
            self._progress.expect(self._total)
        while self._missing:
            self._missing.popleft()
            self._progress.advance(failed=True)

    def _by_number(self, items: list[Item]) -> tuple[dict[int, str], dict[int, Failure]]:
        hashes: dict[int, str] = {}
        failures: dict[int, Failure] = {}
        for number, item in enumerate(items):
            place = str(_absolute(item.path))
            if item.failure is not None:
                failures[number] = item.failure
            elif place in self._hashes:
                hashes[number] = self._hashes[place]
            else:
                found = self._failures[place]
                failures[number] = replace(found, message=found.message.replace(self._names[place], item.name, 1))
        return hashes, failures

    def _put_pictures_in_place(self, items: list[Item], hashes: dict[int, str]) -> dict[str, str]:
        """Annotated photos go where their names say, now that these are known; gives the name for each SHA-256."""
        named: dict[str, str] = {}
        if self._spec.annotations is None:
            return named
        for number, sha256 in hashes.items():
            drawn, place = self._drawn(sha256), annotation_path(self._spec.annotations, items[number].name)
            if sha256 not in named and drawn.is_file():
                with explained(place):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    drawn.replace(place)
                named[sha256] = items[number].name
        return named

    def _drawn(self, sha256: str) -> Path:
        return self._folders.drawn / f"{sha256}.jpg"


def _absolute(place: Place) -> Place:
    """A place as the workers have to know it: they run in other folders."""
    return place.absolute() if isinstance(place, Path) else place


def _pool() -> type[RayPool]:
    try:
        from .ray_pool import RayPool
    except ImportError as error:
        raise BrokenInstallationError(
            f"--engine ray needs Ray Data ({error}); install it, on every machine of the cluster: pip install 'tagtrace[ray]'"
        ) from error
    return RayPool
