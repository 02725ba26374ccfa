"""One process of a run: loads the models once, then takes photo after photo."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
from threadpoolctl import threadpool_limits

from ..contract import Analysis, ExitCode, Failure, FailureCode, ModelInfo, Photo, TagtraceError
from ..inference.decode import decode
from ..linking.features import extract_features
from ..linking.pictures import picture_hash
from . import annotate
from .build import Engine, build_engine
from .files import write_atomically
from .heap import keep_heap
from .inputs import read_failure
from .places import Place
from .records import Json, analysis_to_json
from .settings import ScoreSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker needs to know. ``crops``, ``annotations`` and ``features`` are folders to write derived data to, or None.

    With ``carry`` nothing is written: what belongs there goes back with the record (``Derived``).
    """

    settings: ScoreSettings
    device: str = "cpu"
    threads: int = 0
    crops: Path | None = None
    annotations: Path | None = None
    features: Path | None = None
    carry: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One photo to analyse. ``sha256`` is empty until somebody has read the bytes; ``data`` are they, where they are at hand."""

    path: Place
    name: str
    sha256: str
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """What is made from the pixels of one photo: per advert its picture features and its crop (JPEG), and the annotated photo."""

    features: tuple[bytes, ...] = ()
    crops: tuple[bytes, ...] = ()
    annotated: bytes | None = None

    def save(self, sha256: str, annotated: Path | None, spec: WorkerSpec) -> None:
        """Write it: below the folders of ``spec``, and the annotated photo to ``annotated``. Raises ``OutputError``."""
        if spec.features is not None:
            for index, data in enumerate(self.features):
                # To wait for the disk takes two milliseconds, and an empty file counts as none.
                _write(features_path(spec.features, sha256, index), data, durable=False)
        if spec.crops is not None:
            for index, data in enumerate(self.crops):
                _write(crop_path(spec.crops, sha256, index), data)
        if annotated is not None and self.annotated is not None:
            _write(annotated, self.annotated)


@dataclass(frozen=True, slots=True)
class Ready:
    """The models of a worker are loaded."""

    models: tuple[ModelInfo, ...]
    settings: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Broken:
    """A worker cannot go on, and no other would: the models cannot be loaded, or the disk is full."""

    message: str
    exit_code: ExitCode


@dataclass(frozen=True, slots=True)
class Scored:
    """One photo is done: its record (``records.analysis_to_json``), and what it carries back besides."""

    record: Json
    derived: Derived | None = None


class PhotoScorer:
    """Scores one file after the other with one engine."""

    def __init__(self, engine: Engine, spec: WorkerSpec) -> None:
        self._engine = engine
        self._spec = spec

    def score(self, task: Task) -> Scored:
        """The record of one photo; its derived pictures are written where ``spec`` wants them, or carried.

        What is wrong with the photo is in the record; only output that cannot be written raises (``OutputError``).
        """
        begin = time.perf_counter()
        photo = load(task, self._spec.settings)
        if isinstance(photo, Failure):
            return Scored(analysis_to_json(failed(task, photo), None))
        decoded = time.perf_counter() - begin
        try:
            found = self._engine.pipeline.analyse([photo])[0]
            shape = picture_hash(photo.pixels)
            analysis = replace(found, seconds=decoded + found.seconds, stages=(("decode", decoded), *found.stages))
        except Exception as error:  # noqa: BLE001 - whatever it is, the batch goes on
            _log.exception("%s: analysis failed", task.name)
            message = f"{task.name}: the analysis broke off ({type(error).__name__}: {error}); the log has the details"
            return Scored(analysis_to_json(failed(task, Failure(FailureCode.INTERNAL, message)), None))
        derived = _derived(photo, analysis, self._spec) if analysis.failure is None else None
        if derived is not None and not self._spec.carry:
            derived.save(analysis.sha256, _annotated_at(task.name, self._spec), self._spec)
            derived = None
        return Scored(analysis_to_json(analysis, shape, evidence=True), derived)


def derive(task: Task, analysis: Analysis, spec: WorkerSpec) -> None:
    """Write the derived pictures of a photo that was analysed before; one that can no longer be read has none."""
    photo = load(task, spec.settings)
    if isinstance(photo, Photo):
        _derived(photo, analysis, spec).save(photo.sha256, _annotated_at(task.name, spec), spec)


def load(task: Task, settings: ScoreSettings) -> Photo | Failure:
    """Read and decode one file."""
    try:
        data = task.data if task.data is not None else task.path.read_bytes()
    except OSError as error:
        return read_failure(task.name, error)
    return decode(data, task.name, settings.decode)


def _derived(photo: Photo, analysis: Analysis, spec: WorkerSpec) -> Derived:
    """What ``spec`` has a folder for."""
    run, pixels, quads = spec.settings.run, photo.pixels, [advert.quad for advert in analysis.adverts]
    features: tuple[bytes, ...] = ()
    crops: tuple[bytes, ...] = ()
    drawn = None
    if spec.features is not None:
        features = tuple(extract_features(pixels, quad).to_bytes() for quad in quads)
    if spec.crops is not None:
        small = (annotate.crop(pixels, quad, run.crop_side_px, run.crop_margin_share) for quad in quads)
        crops = tuple(annotate.jpeg(picture, run.crop_jpeg_quality) for picture in small)
    if spec.annotations is not None:
        drawn = annotate.jpeg(annotate.annotated(pixels, analysis.adverts, run.annotated_side_px), run.jpeg_quality)
    return Derived(features, crops, drawn)


def _annotated_at(name: str, spec: WorkerSpec) -> Path | None:
    return None if spec.annotations is None else annotation_path(spec.annotations, name)


def _write(path: Path, data: bytes, durable: bool = True) -> None:
    write_atomically(path, lambda file: file.write(data), durable=durable)


def crop_path(folder: Path, sha256: str, advert: int) -> Path:
    """Where the crop of one advert is kept for the report."""
    return folder / f"{sha256}-{advert}.jpg"


def features_path(folder: Path, sha256: str, advert: int) -> Path:
    """Where the picture features of one advert are kept, for clustering at the end of the run."""
    return folder / f"{sha256}-{advert}.bin"


def annotation_path(folder: Path, name: str) -> Path:
    """Where the annotated picture of one photo is: below ``folder`` by the photo's name, with ``.jpg`` behind it."""
    return folder / f"{name}.jpg"


def failed(task: Task, failure: Failure) -> Analysis:
    """The analysis of a photo that could not be analysed."""
    return Analysis(name=task.name, sha256=task.sha256, width=0, height=0, failure=failure)


def work(connection: Connection, spec: WorkerSpec) -> None:
    """The work of a worker process: ``Ready`` or ``Broken``, then a ``Scored`` for every ``Task`` until the end."""
    keep_heap()
    try:
        engine = build_engine(spec.settings, spec.device, spec.threads)
        # what the engine has loaded is bound with the rest
        limit_threads(spec.threads)
        scorer = PhotoScorer(engine, spec)
        connection.send(Ready(engine.models, engine.settings))
        while True:
            task = connection.recv()
            if task is None:
                return
            connection.send(scorer.score(task))
    except TagtraceError as error:
        connection.send(Broken(str(error), error.exit_code))
    except (EOFError, BrokenPipeError):
        # The parent is gone: nobody wants the rest.
        return


def limit_threads(threads: int) -> None:
    """Bound the processor threads of this process's libraries; 0 leaves OpenCV's as they are.

    Matrix products always get one: the ones here are small, and further threads wait for the next by turning round and round,
    on a processor that another worker needs.
    """
    threadpool_limits(1, user_api="blas")
    if threads > 0:
        cv2.setNumThreads(threads)
