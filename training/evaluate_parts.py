"""The parts of the product evaluated alone, with the measures of the whole, so that the three can be compared.

The recogniser alone reads the true quads of legible lines; of the detector alone only its quads count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..contract import (
    CodeReader,
    Detector,
    Image,
    Line,
    ModelInfo,
    Photo,
    Quad,
    Recogniser,
    Region,
    RegionKind,
    TagtraceError,
)
from ..datasets.truth import CODE_KIND, PhotoTruth
from ..inference.decode import DecodeSettings, decode
from ..inference.pipeline import Pipeline
from ..models.geometry import area, turn, warp
from .evaluate import DEFAULT_SETTINGS, Evaluation, EvaluationSettings, evaluate
from .matching import MATCH_IOU, overlap
from .metrics import PrecisionRecall, precision_recall
from .predictions import FoundLine, Prediction, prediction_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)

PROGRESS_PHOTOS = 25
"""Photos between two words about progress."""


def load_photo(path: Path, decoding: DecodeSettings | None = None) -> Photo:
    """Decode one photo. Raises TagtraceError when it is missing or damaged: what is measured must be there."""
    try:
        photo = decode(path.read_bytes(), path.name, decoding)
    except OSError as error:
        raise TagtraceError(f"{path}: cannot be read ({error.strerror or error}); check the folder of the photos") from error
    if not isinstance(photo, Photo):
        raise TagtraceError(f"{path}: {photo.message}")
    return photo


def load_true_photo(photos_dir: Path, truth: PhotoTruth) -> Photo:
    """The photo of a truth entry. Raises TagtraceError also when its size is not that of the truth."""
    photo = load_photo(photos_dir / truth.file)
    if (photo.width, photo.height) != (truth.width, truth.height):
        raise TagtraceError(
            f"{photos_dir / truth.file}: is {photo.width} × {photo.height} pixels, but the truth says "
            f"{truth.width} × {truth.height}: these are not the photos of this truth"
        )
    return photo


@dataclass(frozen=True, slots=True, eq=False)
class _TrueLines:
    """A ``LineReader`` for one photo that finds exactly the lines and codes that are there."""

    recogniser: Recogniser
    quads: tuple[Quad, ...]
    codes: tuple[Quad, ...]
    settings: EvaluationSettings

    @property
    def infos(self) -> tuple[ModelInfo, ...]:
        return (self.recogniser.info,)

    def read_lines(self, images: Sequence[Image]) -> list[tuple[list[Line], list[Region]]]:
        (image,) = images
        height, width = self.settings.crop_height_px, self.settings.crop_max_width_px
        readings = self.recogniser.read([warp(image, quad, height, width) for quad in self.quads]) if self.quads else []
        lines = [
            Line(turn(quad, 180) if reading.flipped else quad, 1.0, reading)
            for quad, reading in zip(self.quads, readings, strict=True)
        ]
        return [(lines, [Region(RegionKind.CODE, quad, 1.0) for quad in self.codes])]


def _legible_quads(truth: PhotoTruth, codes: bool) -> tuple[Quad, ...]:
    lines = (line for advert in truth.ads for line in advert.lines)
    return tuple(x.quad for x in lines if x.legible and (x.kind == CODE_KIND) is codes and area(x.quad) > 0)


def read_true_lines(
    truth: PhotoTruth,
    photo: Photo,
    recogniser: Recogniser,
    code_reader: CodeReader | None,
    settings: EvaluationSettings = DEFAULT_SETTINGS,
) -> Prediction:
    """The prediction for a photo whose legible lines and codes are found perfectly: what is wrong in it, the recogniser did.

    ``lines`` are all true lines as read, also those that the extraction would have dropped.
    """
    reader = _TrueLines(recogniser, _legible_quads(truth, codes=False), _legible_quads(truth, codes=True), settings)
    ((lines, _),) = reader.read_lines([photo.pixels])
    (analysis,) = Pipeline(reader, code_reader).analyse([photo])
    if analysis.failure is not None:
        raise TagtraceError(analysis.failure.message)
    found = tuple(FoundLine(line.quad, line.reading.text, line.reading.confidence) for line in lines)
    return replace(prediction_of(analysis), file=Path(truth.file).name, lines=found)


def evaluate_recogniser(
    photos: Sequence[PhotoTruth],
    photos_dir: Path,
    recogniser: Recogniser,
    code_reader: CodeReader | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    settings: EvaluationSettings = DEFAULT_SETTINGS,
) -> Evaluation:
    """The recogniser alone: it reads the true quads of legible lines. ``progress`` is told (photos done, photos)."""
    predictions = {}
    for i, truth in enumerate(photos):
        prediction = read_true_lines(truth, load_true_photo(photos_dir, truth), recogniser, code_reader, settings)
        predictions[prediction.file] = prediction
        progress(i + 1, len(photos))
    return evaluate(photos, predictions, settings=settings)


@dataclass(frozen=True, slots=True, eq=False)
class DetectorEvaluation:
    """The detector alone: lines as in every evaluation (without texts), and legible codes (IoU 0.5)."""

    lines: Evaluation
    codes: PrecisionRecall


def evaluate_detector(
    photos: Sequence[PhotoTruth],
    photos_dir: Path,
    detector: Detector,
    progress: Callable[[int, int], None] = lambda done, total: None,
    settings: EvaluationSettings = DEFAULT_SETTINGS,
) -> DetectorEvaluation:
    """The detector alone; what it finds is all that counts. ``progress`` is told (photos done, photos)."""
    predictions: dict[str, Prediction] = {}
    tp = fp = fn = 0
    for i, truth in enumerate(photos):
        (regions,) = detector.detect([load_true_photo(photos_dir, truth).pixels])
        lines = tuple(FoundLine(r.quad, "", r.confidence) for r in regions if r.kind is RegionKind.LINE)
        name = Path(truth.file).name
        predictions[name] = Prediction(name, lines)
        right, false, missed = _match_codes(truth, [r for r in regions if r.kind is RegionKind.CODE])
        tp, fp, fn = tp + right, fp + false, fn + missed
        progress(i + 1, len(photos))
    return DetectorEvaluation(evaluate(photos, predictions, settings=settings), precision_recall(tp, fp, fn))


def _match_codes(truth: PhotoTruth, found: Sequence[Region]) -> tuple[int, int, int]:
    """Right, false and missed code regions; one on an illegible code is neither right nor false."""
    codes = [line for advert in truth.ads for line in advert.lines if line.kind == CODE_KIND]
    free = {i for i, code in enumerate(codes) if code.legible}
    wanted = len(free)
    false = 0
    for region in sorted(found, key=lambda r: -r.confidence):
        hits = [i for i, code in enumerate(codes) if overlap(region.quad, code.quad)[0] >= MATCH_IOU]
        taken = next((i for i in hits if i in free), None)
        if taken is not None:
            free.discard(taken)
        elif not any(not codes[i].legible for i in hits):
            false += 1
    return wanted - len(free), false, len(free)


def evaluate_model(
    photos: Sequence[PhotoTruth],
    photos_dir: Path,
    part: str,
    name: str | None,
    progress: Callable[[str], None],
    settings: EvaluationSettings = DEFAULT_SETTINGS,
) -> tuple[Evaluation, str]:
    """Evaluate the ``recogniser`` or the ``detector`` alone, by the name of a registered model, a file, or None for the default.

    The sentence returned says what was evaluated, and for a detector how it finds codes.
    """
    from ..models.registry import Task, resolve, verify

    task = Task(part)
    model = resolve(name or task, task=task)
    verify(model)

    def told(done: int, total: int) -> None:
        if done % PROGRESS_PHOTOS == 0 or done == total:
            progress(f"{done} of {total} photos")

    if task is Task.DETECTOR:
        from ..models.detector import DetectionSettings, OnnxDetector

        detector = OnnxDetector(model.path, _adjusted(DetectionSettings(), model.settings), model.info)
        result = evaluate_detector(photos, photos_dir, detector, told, settings)
        c = result.codes
        note = f"{model.name}: codes found with precision {c.p:.3f}, recall {c.r:.3f} ({c.tp + c.fn} legible codes)"
        return result.lines, note
    from ..models.codes import ZxingReader
    from ..models.recogniser import OnnxRecogniser, ReadSettings

    recogniser = OnnxRecogniser(model.path, _adjusted(ReadSettings(), model.settings), model.info)
    return evaluate_recogniser(
        photos, photos_dir, recogniser, ZxingReader(), told, settings
    ), f"{model.name}: read the true lines"


def _adjusted(settings: S, values: Mapping[str, Any]) -> S:
    """The settings with those values that belong to the weights."""
    known = {item.name for item in fields(settings)}
    return replace(settings, **{key: value for key, value in values.items() if key in known})
