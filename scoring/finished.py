"""The results of a finished run, wherever they lie, ready to be placed in a store: no photo is read again.

``results.jsonl`` says what was found and under which name, place and time. The journal beside it (``.tagtrace/records.jsonl``)
has what was left out there: how probable every character is, and readings too unsure to be reported. With it, photos of one
advert are read together as in the run; without it, each photo stands for itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..contract import TagtraceError
from ..linking.features import AdvertFeatures
from .placement import facts_of_result, note_models
from .places import Place, RemoteFile
from .placing import FeaturesOf
from .records import Json, analysis_from_json
from .request import Folders
from .storing import batches
from .worker import features_path

if TYPE_CHECKING:
    from ..linking.store.workbook import Workbook

RESULTS = "results.jsonl"
_SPOOLED = 500
_BELOW = Folders(Path())
"""Where things lie below the folder of a run."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """Results in a folder or behind a URL, with what lies beside them."""

    results: Place
    folder: Place
    settings: Json = field(repr=False)
    """Those that all lines were made with."""

    @staticmethod
    def at(place: Place) -> FinishedRun:
        """The run whose folder, or whose ``results.jsonl``, is at a place. Raises ``TagtraceError`` where there is none."""
        try:
            results = place / RESULTS if place.is_dir() else place
            with _open(results) as file:
                first = next(iter(_lines(file, results)), None)
        except OSError as error:
            raise TagtraceError(f"{place}: holds no {RESULTS} that can be read ({error}); name the folder of a run") from error
        if first is None:
            raise TagtraceError(f"{results}: is empty; there is nothing to place")
        return FinishedRun(results, results.parent, first[1]["settings"])

    @property
    def identity(self) -> str:
        """Changes when the file of results is another one."""
        if isinstance(self.results, RemoteFile):
            return self.results.version()
        held = self.results.stat()
        return f"{self.results.resolve()} {held.st_size} {held.st_mtime_ns}"

    def spool(self, book: Workbook) -> None:
        """Take all photos into a work file: what the journal has of them, and what the results say."""
        from ..linking.store.workbook import Spooled

        models: set[str] = set()
        for records in batches(self._journal(), _SPOOLED):
            book.spool([Spooled(record["sha256"], record) for record in records], wanted=False)
        with _open(self.results) as file:
            for part in batches(self._results(file), _SPOOLED):
                models.update(model["name"] for record in part for model in record["models"])
                held = book.records({record["sha256"] for record in part})
                same = [r for r in part if r["sha256"] in held and _is_of(held[r["sha256"]].record, r)]
                book.tell({record["sha256"]: facts_of_result(record) for record in same})
                others = [record for record in part if record not in same]
                book.spool([Spooled(record["sha256"], record, facts_of_result(record)) for record in others])
        book.drop_unwanted()
        note_models(book, models)

    def features(self) -> FeaturesOf:
        """The picture features that the run left."""
        folder = self.folder / _BELOW.features.as_posix()
        if not folder.is_dir():
            return lambda sha256, advert: None

        def features_of(sha256: str, advert: int) -> AdvertFeatures | None:
            try:
                return AdvertFeatures.from_bytes((folder / features_path(_BELOW.features, sha256, advert).name).read_bytes())
            except (OSError, ValueError, TagtraceError):
                return None

        return features_of

    @property
    def journal(self) -> Place:
        """Where the journal lies, if there is one."""
        return self.folder / _BELOW.journal.as_posix()

    def _journal(self) -> Iterator[Json]:
        if not self.journal.exists():
            return
        with _open(self.journal) as file:
            for line in file:
                try:
                    record: Json = json.loads(line)["record"]
                    analysis_from_json(record)
                except (ValueError, TypeError, LookupError):
                    # A line that a crash cut off.
                    continue
                yield record

    def _results(self, file: IO[str]) -> Iterator[Json]:
        for number, record in _lines(file, self.results):
            if record.pop("settings") != self.settings:
                raise TagtraceError(f"{self.results}:{number}: was scored with other settings than line 1; place runs one by one")
            if record["sha256"]:
                yield record


def _lines(file: IO[str], place: Place) -> Iterator[tuple[int, Json]]:
    for number, line in enumerate(file, 1):
        try:
            record: Json = json.loads(line)
            analysis_from_json(record)
            record["settings"]
        except (ValueError, TypeError, LookupError) as error:
            raise TagtraceError(
                f"{place}:{number}: is no line of {RESULTS} ({error}); give the results of this version of tagtrace"
            ) from error
        yield number, record


def _is_of(held: Any, result: Json) -> bool:
    """Whether a record of the journal is the analysis that a result was made from."""
    return held["models"] == result["models"] and (held["failure"] is None) == (result["failure"] is None)


def _open(place: Place) -> IO[str]:
    return place.open_text() if isinstance(place, RemoteFile) else place.open(encoding="utf-8")
