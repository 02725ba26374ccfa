"""One process of a run: loads the models once, then takes photo after photo. Also used without a process, by ``show``."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from ..contract import Analysis, ExitCode, Failure, FailureCode, Image, ModelInfo, Photo, TagtraceError
from ..inference.decode import decode
from ..linking.features import extract_features
from ..linking.pictures import picture_hash
from . import annotate
from .build import Engine, build_engine
from .files import write_atomically
from .inputs import read_failure
from .records import Json, analysis_to_json
from .settings import ScoreSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker needs to know. ``crops``, ``annotations`` and ``features`` are folders to write derived data to, or None."""

    settings: ScoreSettings
    device: str = "cpu"
    threads: int = 0
    crops: Path | None = None
    annotations: Path | None = None
    features: Path | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One photo to analyse."""

    path: Path
    name: str
    sha256: str


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
    """One photo is done: its record (``records.analysis_to_json``)."""

    record: Json


class PhotoScorer:
    """Scores one file after the other with one engine."""

    def __init__(self, engine: Engine, spec: WorkerSpec) -> None:
        self._engine = engine
        self._spec = spec

    def score(self, task: Task) -> Json:
        """The record of one photo, and its derived pictures written where ``spec`` wants them.

        What is wrong with the photo is in the record; only output that cannot be written raises (``OutputError``).
        """
        begin = time.perf_counter()
        photo = load(task, self._spec.settings)
        if isinstance(photo, Failure):
            return analysis_to_json(failed(task, photo), None)
        decoded = time.perf_counter() - begin
        try:
            found = self._engine.pipeline.analyse([photo])[0]
            shape = picture_hash(photo.pixels)
            analysis = replace(found, seconds=decoded + found.seconds, stages=(("decode", decoded), *found.stages))
        except Exception as error:  # noqa: BLE001 - whatever it is, the batch goes on
            _log.exception("%s: analysis failed", task.name)
            message = f"{task.name}: the analysis broke off ({type(error).__name__}: {error}); the log has the details"
            return analysis_to_json(failed(task, Failure(FailureCode.INTERNAL, message)), None)
        if analysis.failure is None:
            _write_pictures(photo, analysis, task.name, self._spec)
        return analysis_to_json(analysis, shape, evidence=True)


def derive(task: Task, analysis: Analysis, spec: WorkerSpec) -> None:
    """Write the derived pictures of a photo that was analysed before; one that can no longer be read has none."""
    photo = load(task, spec.settings)
    if isinstance(photo, Photo):
        _write_pictures(photo, analysis, task.name, spec)


def load(task: Task, settings: ScoreSettings) -> Photo | Failure:
    """Read and decode one file."""
    try:
        data = task.path.read_bytes()
    except OSError as error:
        return read_failure(task.name, error)
    return decode(data, task.name, settings.decode)


def _write_pictures(photo: Photo, analysis: Analysis, name: str, spec: WorkerSpec) -> None:
    run = spec.settings.run
    if spec.features is not None:
        for index, advert in enumerate(analysis.adverts):
            _write(features_path(spec.features, photo.sha256, index), extract_features(photo.pixels, advert.quad).to_bytes())
    if spec.crops is not None:
        for index, advert in enumerate(analysis.adverts):
            small = annotate.crop(photo.pixels, advert.quad, run.crop_side_px, run.crop_margin_share)
            _write_jpeg(crop_path(spec.crops, photo.sha256, index), small, run.crop_jpeg_quality)
    if spec.annotations is not None:
        drawn = annotate.annotated(photo.pixels, analysis.adverts, run.annotated_side_px)
        _write_jpeg(annotation_path(spec.annotations, name), drawn, run.jpeg_quality)


def _write_jpeg(path: Path, pixels: Image, quality: int) -> None:
    _write(path, annotate.jpeg(pixels, quality))


def _write(path: Path, data: bytes) -> None:
    write_atomically(path, lambda file: file.write(data))


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
    """The main function of a worker process: ``Ready`` or ``Broken``, then a ``Scored`` for every ``Task`` until the end."""
    # Ctrl-C goes to the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_threads(spec.threads)
    try:
        engine = build_engine(spec.settings, spec.device, spec.threads)
        scorer = PhotoScorer(engine, spec)
        connection.send(Ready(engine.models, engine.settings))
        while True:
            task = connection.recv()
            if task is None:
                return
            connection.send(Scored(scorer.score(task)))
    except TagtraceError as error:
        connection.send(Broken(str(error), error.exit_code))
    except (EOFError, BrokenPipeError):
        # The parent is gone: nobody wants the rest.
        return


def limit_threads(threads: int) -> None:
    """Bound the processor threads of this process's libraries; 0 leaves them as they are."""
    if threads > 0:
        import cv2

        cv2.setNumThreads(threads)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, str(threads))
