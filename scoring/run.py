"""A run: what is to be scored goes to the workers, what is done goes to the journal, and all of it to the writers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract import Analysis, ExitCode, Failure, TagtraceError
from ..linking.features import AdvertFeatures
from ..linking.shops import Shops, load_shops
from .build import check_reader
from .files import explained, locked, write_atomically
from .inputs import Item
from .large import placed_on_disk
from .local import LocalScoring
from .past import StorePast
from .placement import ToPlace, of_scores, place_in
from .placing import analysis_of, place_all
from .progress import ProgressView, SilentView
from .records import PhotoResult
from .request import (
    ENGINES,
    RAY,
    Folders,
    Interrupted,
    NothingFound,
    ScoreRequest,
    Scores,
    Scoring,
    available_cores,
    spec_of,
)
from .storing import KeptPhoto, check_place, keep, keep_photos, register_of
from .worker import Task, annotation_path, crop_path, derive, features_path
from .writers import ANNOTATED, FORMATS, WRITERS, Batch, Results

if TYPE_CHECKING:
    from ..linking.store import Store

__all__ = ["Interrupted", "NothingFound", "ScoreRequest", "Summary", "available_cores", "score_photos"]


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


def score_photos(request: ScoreRequest, progress: ProgressView | None = None) -> Summary:
    """Score photos and write the results below ``request.out``.

    Each finished photo is kept at once, in ``.tagtrace/records.jsonl``; with ``request.resume`` photos that were finished
    before, with the same models and settings, are not scored again. The files of all formats are written when all photos
    are done, each whole or not at all. The results do not depend on the order of the photos or the number of workers.

    Raises ``TagtraceError`` for what makes the run impossible (nothing is changed then), ``OutputError`` where results cannot be
    written, and ``Interrupted`` after Ctrl-C.
    """
    return _Run(request, progress or SilentView()).execute()


class _Run:
    def __init__(self, request: ScoreRequest, progress: ProgressView) -> None:
        self._request = request
        self._settings = request.settings
        self._progress = progress
        self._folders = Folders(request.out)
        self._spec = spec_of(request, threads=0)
        self._store: Store | None = None

    def execute(self) -> Summary:
        begin = time.perf_counter()
        with ExitStack() as opened:
            if self._request.store is not None:
                from ..linking.store import Store

                self._store = opened.enter_context(Store.open(self._request.store))
            return self._run(begin)

    def _run(self, begin: float) -> Summary:
        shops = self._prepare()
        scoring = _scoring(self._request, self._progress)
        scoring.prepare()
        if self._request.out.exists() and not self._request.out.is_dir():
            raise TagtraceError(f"{self._request.out}: is a file; name a folder with --out")
        with locked(self._folders.work):
            return self._execute(begin, shops, scoring)

    def _prepare(self) -> Shops:
        """Everything else that can be found wrong before anything is written."""
        unknown = [name for name in self._request.formats if name not in FORMATS]
        if unknown:
            raise TagtraceError(f"there is no format {', '.join(unknown)}; choose from: {', '.join(FORMATS)}")
        if not self._request.formats and self._request.store is None:
            raise TagtraceError("--format none wants --store: else nothing would be left of the run")
        check_reader(self._settings.reader)
        if self._request.shops is not None and self._store is not None:
            raise TagtraceError("give either --shops or --store; put a shop list into a store with `tagtrace shops import`")
        if self._request.keep_photos is not None:
            check_place(self._request.keep_photos, self._request.store, self._request.photos)
        shops = load_shops(self._request.shops) if self._request.shops is not None else Shops()
        if self._store is not None:
            shops = register_of(self._store)
        return shops

    def _execute(self, begin: float, shops: Shops, scoring: Scoring) -> Summary:
        with self._progress:
            scores = scoring.score()
            if self._store is not None and not self._request.formats:
                return self._archive(self._store, begin, scores)
            bounds = self._settings.run
            most = bounds.in_memory_photos if self._store is None else bounds.in_memory_photos_with_store
            if len(scores.items) > most:
                what = self._to_place(scores)
                with placed_on_disk(self._store, shops, scores, what, self._folders.work, self._progress) as filed:
                    files = self._write(scores, filed, shops)
                    return _summary(filed, scores.resumed, time.perf_counter() - begin, files)
            self._progress.say("writing")
            results = self._results(scores, shops)
            if self._store is not None:
                now, storing = datetime.now(UTC), self._request.storing
                kept = self._keep_photos(scores)
                clusters, features_of = self._settings.clusters, self._features_of
                results = keep(self._store, results, self._described(scores), clusters, features_of, now, kept, storing)
            files = self._write(scores, results, shops)
        return _summary(results, scores.resumed, time.perf_counter() - begin, files)

    def _to_place(self, scores: Scores) -> ToPlace:
        """What was scored, to be placed batch by batch without having all of it in memory."""
        identity, spool = of_scores(scores)
        return ToPlace(
            identity=identity,
            spool=spool,
            described=self._described(scores),
            features_of=self._features_of,
            settings=self._settings,
            storing=self._request.storing,
            photos=self._keep_photos(scores),
        )

    def _archive(self, store: Store, begin: float, scores: Scores) -> Summary:
        """Place what was scored, and write no files."""
        placed = place_in(store, self._to_place(scores), self._folders.work, self._progress)
        unread = tuple((scores.items[number].name, failure) for number, failure in scores.failures.items())
        return Summary(
            photos=len(scores.items),
            resumed=scores.resumed,
            adverts=placed.adverts,
            identifiers=placed.identifiers,
            clusters=placed.clusters,
            failures=(*placed.failures, *unread),
            seconds=time.perf_counter() - begin,
            files=(),
        )

    def _described(self, scores: Scores) -> Mapping[str, object]:
        return {**self._settings.to_json(), "engine": dict(scores.ready.settings)}

    def _keep_photos(self, scores: Scores) -> Mapping[str, KeptPhoto]:
        if self._request.keep_photos is None:
            return {}
        self._progress.say("keeping photos")
        wanted = {sha256: scores.items[number].path for number, sha256 in scores.hashes.items()}
        kept = keep_photos(self._request.keep_photos, wanted)
        if len(kept) < len(wanted):
            self._progress.say(f"{len(wanted) - len(kept)} photos are not kept: their files were changed or are gone")
        return kept

    def _results(self, scores: Scores, shops: Shops) -> list[PhotoResult]:
        analyses = []
        for number, item in enumerate(scores.items):
            record = scores.records.get(scores.hashes.get(number, ""))
            analyses.append(analysis_of(replace(item, failure=scores.failures.get(number)), record))
        # Files with the same bytes are one photo, with the facts of the last: none confirms what it shows itself.
        distinct = {analysis.sha256 or number: (analysis, found) for number, (analysis, found) in enumerate(analyses)}
        past = None
        if self._store is not None:
            photos = frozenset(analysis.sha256 for analysis, _ in analyses)
            past = StorePast(self._store, photos, self._settings.clusters)
        placed = place_all(
            list(distinct.values()),
            shops,
            self._settings.links,
            self._settings.clusters,
            replace(self._settings.placing, extract=self._settings.pipeline.extract),
            self._features_of,
            past,
        )
        by_photo = dict(zip(distinct, placed, strict=True))
        return [by_photo[analysis.sha256 or number].under(analysis) for number, (analysis, _) in enumerate(analyses)]

    def _features_of(self, sha256: str, advert: int) -> AdvertFeatures | None:
        """The picture features that a worker left; None where it could not."""
        try:
            return AdvertFeatures.from_bytes(features_path(self._folders.features, sha256, advert).read_bytes())
        except (OSError, ValueError, TagtraceError):
            return None

    def _write(self, scores: Scores, results: Results, shops: Shops) -> tuple[Path, ...]:
        """Make all files aside, and put them in place when all of them are whole."""
        for item, result in zip(scores.items, results, strict=True):
            self._complete_pictures(item, result.analysis, scores.scored)
        batch = Batch(results, shops, self._described(scores), self._settings.run, self._folders.crops)
        made: list[tuple[Path, Path]] = []
        for name, writer in WRITERS.items():
            if name in self._request.formats:
                aside = self._folders.work / "new" / writer.file
                write_atomically(aside, partial(writer.write, batch))
                made.append((aside, self._request.out / writer.file))
        for aside, place in made:
            with explained(place):
                aside.replace(place)
        return tuple(place for _, place in made) + ((self._folders.annotated,) if ANNOTATED in self._request.formats else ())

    def _complete_pictures(self, item: Item, analysis: Analysis, scored: Mapping[str, str]) -> None:
        """Derived pictures that no worker of this run made: of photos finished before, and of copies under another name."""
        if analysis.failure is not None or scored.get(analysis.sha256) == item.name:
            return
        wanted: list[Path] = []
        if self._spec.crops is not None:
            wanted += [crop_path(self._spec.crops, analysis.sha256, index) for index in range(len(analysis.adverts))]
        stale = analysis.sha256 in scored
        if self._spec.annotations is not None:
            wanted.append(annotation_path(self._spec.annotations, item.name))
        if stale or not all(path.is_file() for path in wanted):
            derive(Task(item.path, item.name, analysis.sha256), analysis, self._spec)


def _scoring(request: ScoreRequest, progress: ProgressView) -> Scoring:
    if request.engine not in ENGINES:
        raise TagtraceError(f"there is no engine {request.engine!r}; choose one of: {', '.join(ENGINES)}")
    if request.engine == RAY:
        from .ray_scoring import RayScoring

        return RayScoring(request, progress)
    if request.address is not None:
        raise TagtraceError("--address names a Ray cluster; give --engine ray with it")
    return LocalScoring(request, progress)


def _summary(results: Iterable[PhotoResult], resumed: int, seconds: float, files: tuple[Path, ...]) -> Summary:
    photos = adverts = identifiers = 0
    clusters: set[str] = set()
    failures: list[tuple[str, Failure]] = []
    for result in results:
        photos += 1
        adverts += len(result.adverts)
        identifiers += sum(len(advert.links) for advert in result.adverts)
        clusters.update(advert.placement.cluster for advert in result.adverts)
        if result.analysis.failure is not None:
            failures.append((result.analysis.name, result.analysis.failure))
    return Summary(photos, resumed, adverts, identifiers, len(clusters), tuple(failures), seconds, files)
