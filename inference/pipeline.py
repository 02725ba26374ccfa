"""One photo -> analysis: read its lines and codes, group them to adverts, extract their identifiers. No files, no database."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..contract import Advert, Analysis, Code, CodeReader, Failure, FailureCode, Flag, Line, LineReader, ModelInfo, Photo, Region
from ..models import geometry
from .grouping import GroupSettings, group
from .identifiers import ExtractSettings, extract_advert
from .relevance import RelevanceSettings, is_advert
from .stages import collect, stage

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What counts as an advert. Confidences are probabilities in 0..1."""

    photos_at_once: int = 1
    """Photos given to the models together; more pays on accelerators only."""
    min_line_confidence: float = 0.2
    """Least confidence of the detector in a text line."""
    min_reading_confidence: float = 0.15
    """Lines read with less confidence are unreadable: they are dropped."""
    group: GroupSettings = field(default_factory=GroupSettings)
    extract: ExtractSettings = field(default_factory=lambda: ExtractSettings(unsure_from=0.25))
    relevance: RelevanceSettings = field(default_factory=RelevanceSettings)


class Pipeline:
    """Analyses decoded photos with one line reader and, if given, one code reader. Immutable; options are settings.

    Identifiers with the flag ``unsure`` are not to be reported as they are: see ``Flag``.
    """

    def __init__(self, reader: LineReader, code_reader: CodeReader | None, settings: PipelineSettings | None = None) -> None:
        self._reader = reader
        self._code_reader = code_reader
        self._settings = settings or PipelineSettings()

    @property
    def infos(self) -> tuple[ModelInfo, ...]:
        """Provenance of the models that this pipeline runs."""
        return self._reader.infos

    def analyse(self, photos: Sequence[Photo]) -> list[Analysis]:
        """One analysis per photo, in order.

        What goes wrong inside one photo becomes its failure ``internal`` (with the traceback in the log) and leaves the others
        alone. ``seconds`` and ``stages`` are wall-clock seconds; photos analysed together share their time equally.
        """
        out: list[Analysis] = []
        step = max(1, self._settings.photos_at_once)
        for start in range(0, len(photos), step):
            out += self._chunk(photos[start : start + step])
        return out

    def _chunk(self, photos: Sequence[Photo]) -> list[Analysis]:
        begin = time.perf_counter()
        with collect() as stages:
            try:
                found = self._adverts(photos)
            except Exception as error:  # noqa: BLE001 - whatever it is, the batch goes on; it is logged below
                if len(photos) > 1:
                    # Find out which one it is.
                    return [analysis for photo in photos for analysis in self._chunk([photo])]
                _log.exception("%s: analysis failed", photos[0].name)
                return [self._failed(photos[0], error)]
        seconds = (time.perf_counter() - begin) / len(photos)
        shared = tuple((name, spent / len(photos)) for name, spent in stages.items())
        return [
            self._analysis(photo, adverts=adverts, seconds=seconds, stages=shared)
            for photo, adverts in zip(photos, found, strict=True)
        ]

    def _adverts(self, photos: Sequence[Photo]) -> list[tuple[Advert, ...]]:
        with stage("read"):
            read = self._reader.read_lines([photo.pixels for photo in photos])
        out = []
        for photo, (lines, regions) in zip(photos, read, strict=True):
            codes = self._codes(photo, regions)
            with stage("extract"):
                kept = [line for line in lines if self._is_readable(line)]
                adverts = [self._advert(*members) for members in group(kept, codes, self._settings.group)]
                out.append(tuple(advert for advert in adverts if self._is_advert(advert)))
        return out

    def _codes(self, photo: Photo, regions: Sequence[Region]) -> list[Code]:
        if self._code_reader is None:
            return []
        with stage("codes"):
            return self._code_reader.decode(photo.pixels, regions)

    def _is_readable(self, line: Line) -> bool:
        return (
            line.confidence >= self._settings.min_line_confidence
            and line.reading.confidence >= self._settings.min_reading_confidence
            and bool(line.reading.text.strip())
        )

    def _advert(self, lines: tuple[Line, ...], codes: tuple[Code, ...]) -> Advert:
        quad = geometry.around([*(line.quad for line in lines), *(code.quad for code in codes)])
        return Advert(quad, lines, codes, extract_advert(lines, codes, self._settings.extract))

    def _is_advert(self, advert: Advert) -> bool:
        sure = tuple(item for item in advert.identifiers if Flag.UNSURE not in item.flags)
        return is_advert(advert.lines, advert.codes, sure, self._settings.relevance)

    def _failed(self, photo: Photo, error: Exception) -> Analysis:
        message = f"{photo.name}: the analysis broke off ({type(error).__name__}: {error}); the log has the details"
        return self._analysis(photo, failure=Failure(FailureCode.INTERNAL, message))

    def _analysis(
        self,
        photo: Photo,
        *,
        adverts: tuple[Advert, ...] = (),
        failure: Failure | None = None,
        seconds: float = 0.0,
        stages: tuple[tuple[str, float], ...] = (),
    ) -> Analysis:
        return Analysis(
            name=photo.name,
            sha256=photo.sha256,
            width=photo.width,
            height=photo.height,
            adverts=adverts,
            failure=failure,
            models=self.infos,
            taken_at=photo.taken_at,
            lat=photo.lat,
            lon=photo.lon,
            report_id=photo.report_id,
            seconds=seconds,
            stages=stages,
        )
