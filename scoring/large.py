"""The end of a large run: placed on the disk, and its results in a file, so that memory holds one batch of photos.

What comes out is what a run gives that is placed in memory; only sightings that a store has from earlier runs decide here, too,
which of this run are of one advert.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract import Advert, Analysis
from ..linking.clusters import Key
from ..linking.shops import Shops
from .archive import Archive
from .files import explained
from .placement import ToPlace, opened_archive
from .placing import analysis_of
from .progress import ProgressView
from .records import AdvertResult, PhotoResult
from .request import Scores
from .storing import batches

if TYPE_CHECKING:
    from ..linking.store import Store

_RESULTS_FILE = "results.part"


class FiledResults:
    """Results in a file of this run, to be gone over as often as is wanted, one in memory at a time.

    What the recogniser saw of each line is left out: links and clusters are made, and no file tells it.
    """

    def __init__(self, path: Path, results: Iterable[PhotoResult]) -> None:
        self._path = path
        self._count = 0
        with explained(path), path.open("wb") as file:
            for result in results:
                pickle.dump(_light(result), file, pickle.HIGHEST_PROTOCOL)
                self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[PhotoResult]:
        with explained(self._path), self._path.open("rb") as file:
            for _ in range(self._count):
                yield pickle.load(file)


@contextmanager
def placed_on_disk(
    store: Store | None, shops: Shops, scores: Scores, what: ToPlace, folder: Path, progress: ProgressView
) -> Iterator[FiledResults]:
    """The results of a run in the order of its items; what was worked out lies in ``folder`` until the block ends well.

    With a store the run is placed in it. Raises ``Interrupted`` after Ctrl-C; a run that was stopped goes on where it was.
    """
    path = folder / _RESULTS_FILE
    with opened_archive(store, shops, what, folder, progress) as (archive, at):
        if store is None:
            archive.work_out()
        else:
            archive.place(at)
        progress.say("writing")
        try:
            yield FiledResults(path, _results(store, scores, archive, what.storing.batch_photos))
        finally:
            path.unlink(missing_ok=True)


def _results(store: Store | None, scores: Scores, archive: Archive, size: int) -> Iterator[PhotoResult]:
    placements = archive.placements()
    for part in batches(iter(enumerate(scores.items)), size):
        hashes = {number: scores.hashes.get(number, "") for number, _ in part}
        found = archive.found([sha256 for sha256 in hashes.values() if sha256])
        names: Mapping[Key, str] = {}
        if store is not None:
            names = _names(store, [(sha256, n) for sha256, adverts in found.items() for n in range(len(adverts))])
        for number, item in part:
            sha256 = hashes[number]
            record = scores.records.get(sha256)
            analysis, picture_hash = analysis_of(replace(item, failure=scores.failures.get(number)), record)
            adverts = []
            for n, (identifiers, links) in enumerate(found.get(sha256, ())):
                placement = placements[sha256, n]
                placement = replace(placement, cluster=names.get((sha256, n), placement.cluster))
                adverts.append(AdvertResult(replace(analysis.adverts[n], identifiers=identifiers), links, placement))
            yield PhotoResult(replace(analysis, adverts=tuple(a.advert for a in adverts)), picture_hash, tuple(adverts))


def _names(store: Store, keys: list[Key]) -> dict[Key, str]:
    from ..linking.store.clusters import clusters_of

    with store.read() as session:
        return clusters_of(session, keys)


def _light(result: PhotoResult) -> PhotoResult:
    adverts = tuple(replace(found, advert=_without_tables(found.advert)) for found in result.adverts)
    analysis: Analysis = replace(result.analysis, adverts=tuple(found.advert for found in adverts))
    return PhotoResult(analysis, result.picture_hash, adverts)


def _without_tables(advert: Advert) -> Advert:
    lines = tuple(replace(line, reading=replace(line.reading, log_probs=None)) for line in advert.lines)
    return replace(advert, lines=lines)
