"""A run: what is to be scored goes to the workers, what is done goes to the journal, and all of it to the writers."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

from ..contract import Analysis, ExitCode, Failure, TagtraceError
from ..linking.features import AdvertFeatures
from ..linking.shops import Shops, load_shops
from ..linking.store import Store
from .build import check_reader
from .files import explained, locked, write_atomically
from .inputs import Item, collect, digest
from .journal import Journal
from .past import StorePast
from .placing import analysis_of, place_all
from .pool import WorkerPool
from .progress import ProgressView, SilentView
from .records import PhotoResult
from .settings import ScoreSettings, fingerprint
from .storing import KeptPhoto, check_place, keep, keep_photos, register_of
from .worker import Ready, Task, WorkerSpec, annotation_path, crop_path, derive, features_path
from .writers import ANNOTATED, FORMATS, WRITERS, Batch

WORK_FOLDER = ".tagtrace"
ANNOTATED_FOLDER = "annotated"


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What to score, where to, and how. ``workers`` 0 is one per processor core."""

    photos: tuple[Path, ...]
    out: Path
    manifest: Path | None = None
    shops: Path | None = None
    store: str | None = None
    """Path or URL of a store: its register is what is linked to, and the results are kept there."""
    keep_photos: str | None = None
    """Folder or URL of fsspec that keeps the bytes of the photos; wants a store."""
    formats: tuple[str, ...] = FORMATS
    workers: int = 0
    device: str = "cpu"
    resume: bool = False
    settings: ScoreSettings = field(default_factory=ScoreSettings)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a finished run did. ``failures`` are the photos that failed, by name."""

    photos: int
    resumed: int
    adverts: int
    identifiers: int
    clusters: int
    failures: tuple[tuple[str, Failure], ...]
    seconds: float
    files: tuple[Path, ...]

    @property
    def exit_code(self) -> ExitCode:
        """How the command ends."""
        if len(self.failures) == self.photos:
            return ExitCode.NOTHING_SCORED
        return ExitCode.SOME_FAILED if self.failures else ExitCode.OK


class Interrupted(Exception):
    """A run was stopped by Ctrl-C. ``done`` of ``total`` photos are finished and kept in the journal."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"stopped: {done} of {total} photos are done and kept")
        self.done = done
        self.total = total


def score_photos(request: ScoreRequest, progress: ProgressView | None = None) -> Summary:
    """Score photos and write the results below ``request.out``.

    Each finished photo is kept at once, in ``.tagtrace/records.jsonl``; with ``request.resume`` photos that were finished
    before, with the same models and settings, are not scored again. The files of all formats are written when all photos
    are done, each whole or not at all. The results do not depend on the order of the photos or the number of workers.

    Raises ``TagtraceError`` for what makes the run impossible (nothing is changed then), ``OutputError`` where results cannot be
    written, and ``Interrupted`` after Ctrl-C.
    """
    return _Run(request, progress or SilentView()).execute()


def available_cores() -> int:
    """Processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class _Run:
    def __init__(self, request: ScoreRequest, progress: ProgressView) -> None:
        self._request = request
        self._settings = request.settings
        self._progress = progress
        self._work = request.out / WORK_FOLDER
        self._crops = self._work / "crops"
        self._features = self._work / "features"
        self._annotations = request.out / ANNOTATED_FOLDER
        self._store: Store | None = None
        self._hashes: dict[int, str] = {}
        self._failures: dict[int, Failure] = {}
        self._finished: set[str] = set()
        self._scored: dict[str, str] = {}
        """Name under which a photo was given to a worker in this run, by SHA-256."""

    def execute(self) -> Summary:
        begin = time.perf_counter()
        with ExitStack() as opened:
            if self._request.store is not None:
                self._store = opened.enter_context(Store.open(self._request.store))
            return self._run(begin)

    def _run(self, begin: float) -> Summary:
        shops, items = self._prepare()
        self._workers = max(1, min(self._request.workers or available_cores(), len(items)))
        self._spec = WorkerSpec(
            settings=self._settings,
            device=self._request.device,
            threads=max(1, available_cores() // self._workers),
            crops=self._crops if "report" in self._request.formats else None,
            annotations=self._annotations if ANNOTATED in self._request.formats else None,
            features=self._features,
        )
        with locked(self._work):
            return self._execute(begin, shops, items)

    def _prepare(self) -> tuple[Shops, list[Item]]:
        """Everything that can be found wrong before anything is written."""
        unknown = [name for name in self._request.formats if name not in FORMATS]
        if unknown:
            raise TagtraceError(f"there is no format {', '.join(unknown)}; choose from: {', '.join(FORMATS)}")
        check_reader(self._settings.reader)
        if self._request.shops is not None and self._store is not None:
            raise TagtraceError("give either --shops or --store; put a shop list into a store with `tagtrace shops import`")
        if self._request.keep_photos is not None:
            check_place(self._request.keep_photos, self._request.store, self._request.photos)
        shops = load_shops(self._request.shops) if self._request.shops is not None else Shops()
        if self._store is not None:
            shops = register_of(self._store)
        items = collect(
            self._request.photos, self._request.manifest, self._settings.decode.local_utc_offset_hours, skip=self._request.out
        )
        if not items:
            places = ", ".join(str(path) for path in self._request.photos) or str(self._request.manifest)
            raise NothingFound(f"{places}: no photos found; give picture files, folders that hold some, or a manifest")
        if self._request.out.exists() and not self._request.out.is_dir():
            raise TagtraceError(f"{self._request.out}: is a file; name a folder with --out")
        return shops, items

    def _execute(self, begin: float, shops: Shops, items: list[Item]) -> Summary:
        with self._progress:
            ready, journal, resumed = self._score(items)
            self._progress.say("writing")
            results = self._results(items, journal, shops)
            if self._store is not None:
                described = {**self._settings.to_json(), "engine": dict(ready.settings)}
                now = datetime.now(UTC)
                kept = self._keep_photos(items, results)
                results = keep(self._store, results, described, self._settings.clusters, self._features_of, now, kept)
            files = self._write(items, results, shops, ready)
        return _summary(results, resumed, time.perf_counter() - begin, files)

    def _keep_photos(self, items: Sequence[Item], results: Sequence[PhotoResult]) -> Mapping[str, KeptPhoto]:
        if self._request.keep_photos is None:
            return {}
        self._progress.say("keeping photos")
        wanted = {r.analysis.sha256: item.path for item, r in zip(items, results, strict=True) if r.analysis.sha256}
        kept = keep_photos(self._request.keep_photos, wanted)
        if len(kept) < len(wanted):
            self._progress.say(f"{len(wanted) - len(kept)} photos are not kept: their files were changed or are gone")
        return kept

    def _score(self, items: Sequence[Item]) -> tuple[Ready, Journal, int]:
        """Score what is not finished yet: the models used, the journal with all records, and how many photos were finished."""
        with WorkerPool(self._spec, self._workers) as pool:
            ready = pool.start()
            key = fingerprint(self._settings, ready.models, ready.settings)
            with Journal(self._work / "records.jsonl", key, keep=self._request.resume) as journal:
                try:
                    resumed = self._recall(items, journal)
                    self._progress.begin(len(items), resumed)
                    for task, record in pool.run(self._tasks(items)):
                        journal.add(record)
                        self._rename(task.sha256, record["sha256"])
                        self._progress.advance(failed=record["failure"] is not None)
                except KeyboardInterrupt as stop:
                    done = sum(1 for sha in self._hashes.values() if sha in journal.records)
                    raise Interrupted(done, len(items)) from stop
        return ready, journal, resumed

    def _recall(self, items: Sequence[Item], journal: Journal) -> int:
        """Find out which photos an earlier run finished; a fresh run starts with nothing."""
        if not self._request.resume:
            with explained(self._crops):
                shutil.rmtree(self._crops, ignore_errors=True)
                shutil.rmtree(self._features, ignore_errors=True)
            return 0
        self._finished = {sha for sha, record in journal.records.items() if record["failure"] is None}
        return sum(1 for number, item in enumerate(items) if self._hash(number, item) in self._finished)

    def _tasks(self, items: Sequence[Item]) -> Iterator[Task]:
        """Each photo that is to be scored, once: copies of one file share its analysis."""
        for number, item in enumerate(items):
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

    def _results(self, items: Sequence[Item], journal: Journal, shops: Shops) -> list[PhotoResult]:
        analyses = []
        for number, item in enumerate(items):
            record = journal.records.get(self._hashes.get(number, ""))
            analyses.append(analysis_of(replace(item, failure=self._failures.get(number)), record))
        past = None
        if self._store is not None:
            photos = frozenset(analysis.sha256 for analysis, _ in analyses)
            past = StorePast(self._store, photos, self._settings.clusters)
        return place_all(
            analyses,
            shops,
            self._settings.links,
            self._settings.clusters,
            replace(self._settings.placing, extract=self._settings.pipeline.extract),
            self._features_of,
            past,
        )

    def _features_of(self, sha256: str, advert: int) -> AdvertFeatures | None:
        """The picture features that a worker left; None where it could not."""
        try:
            return AdvertFeatures.from_bytes(features_path(self._features, sha256, advert).read_bytes())
        except (OSError, ValueError, TagtraceError):
            return None

    def _write(self, items: Sequence[Item], results: Sequence[PhotoResult], shops: Shops, ready: Ready) -> tuple[Path, ...]:
        """Make all files aside, and put them in place when all of them are whole."""
        for item, result in zip(items, results, strict=True):
            self._complete_pictures(item, result.analysis)
        settings: Mapping[str, object] = {**self._settings.to_json(), "engine": dict(ready.settings)}
        batch = Batch(tuple(results), shops, settings, self._settings.run, self._crops)
        made: list[tuple[Path, Path]] = []
        for name, writer in WRITERS.items():
            if name in self._request.formats:
                aside = self._work / "new" / writer.file
                write_atomically(aside, partial(writer.write, batch))
                made.append((aside, self._request.out / writer.file))
        for aside, place in made:
            with explained(place):
                aside.replace(place)
        return tuple(place for _, place in made) + ((self._annotations,) if ANNOTATED in self._request.formats else ())

    def _complete_pictures(self, item: Item, analysis: Analysis) -> None:
        """Derived pictures that no worker of this run made: of photos finished before, and of copies under another name."""
        if analysis.failure is not None or self._scored.get(analysis.sha256) == item.name:
            return
        wanted: list[Path] = []
        if self._spec.crops is not None:
            wanted += [crop_path(self._spec.crops, analysis.sha256, index) for index in range(len(analysis.adverts))]
        stale = analysis.sha256 in self._scored
        if self._spec.annotations is not None:
            wanted.append(annotation_path(self._spec.annotations, item.name))
        if stale or not all(path.is_file() for path in wanted):
            derive(Task(item.path, item.name, analysis.sha256), analysis, self._spec)


class NothingFound(TagtraceError):
    """There is no photo to score."""

    exit_code: ClassVar[ExitCode] = ExitCode.NOTHING_SCORED


def _summary(results: Sequence[PhotoResult], resumed: int, seconds: float, files: tuple[Path, ...]) -> Summary:
    adverts = [advert for result in results for advert in result.adverts]
    return Summary(
        photos=len(results),
        resumed=resumed,
        adverts=len(adverts),
        identifiers=sum(len(advert.links) for advert in adverts),
        clusters=len({advert.placement.cluster for advert in adverts}),
        failures=tuple((r.analysis.name, r.analysis.failure) for r in results if r.analysis.failure is not None),
        seconds=seconds,
        files=files,
    )
