"""The samples that two data sets are compared by: line crops and whole photos, with features of the shipped models.

Features are the mean and the spread over positions of an inner layer: for lines the input of the recogniser's last layer, for
photos the end of the detector's backbone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from ..contract import BrokenInstallationError, Image, TagtraceError
from ..datasets.formats.convert import find_set, photos_of, read_set
from ..datasets.photos import inside, load_photo
from ..datasets.truth import CODE_KIND, LineTruth, PhotoTruth
from ..models.detector import letterbox
from ..models.geometry import area, expand, size, warp
from ..models.inner import InnerLayer
from ..models.linecrop import CropSettings, prepare
from ..models.recogniser import OnnxRecogniser
from ..models.registry import Task, resolve
from .gap_statistics import measure_line, measure_photo

Array = NDArray[np.float64]
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """Which lines and photos are looked at, and how."""

    least_height_px: float = 8.0
    """Lines that are less high are left out."""
    least_in_frame: float = 0.8
    """Share of a line that must lie in the picture, where the truth tells."""
    margin_share: float = 0.1
    """What is cut out around a line, as a share of its height."""
    most_height_px: int = 96
    """Crops of higher lines are shrunk to this height; lower ones keep their pixels."""
    most_width_px: int = 1920
    photo_px: int = 640
    """Long side of a photo as the detector sees it."""
    thumbnail_px: int = 320
    """Long side of the small copy that is shown in sheets."""
    most: int = 1500
    """Lines of a data set at most, drawn at random by the seed."""
    most_photos: int = 1000
    """Photos of a data set at most, drawn in the same way."""
    seed: int = 1
    detector_part: str = "/model.10/"
    """The part of the detector's graph whose last output is taken (the end of the backbone of a YOLO11)."""
    batch: int = 16


DEFAULT = SampleSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A crop, or a small copy of a photo: its pixels, where it is from, the wall it is of (samples of one wall stay together in
    every division), and its statistics (``gap_statistics``). ``line`` is None for photos."""

    pixels: Image
    photo: PhotoTruth
    wall: str
    values: Mapping[str, float]
    line: LineTruth | None = None

    @property
    def name(self) -> str:
        """What it is called in sheets."""
        return f"{self.photo.file}: {self.line.text}" if self.line is not None else self.photo.file


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples of one data set with their features, shape (samples, features)."""

    samples: tuple[Sample, ...]
    features: Array

    @property
    def walls(self) -> list[str]:
        """The wall of each sample."""
        return [sample.wall for sample in self.samples]


def open_layer(model: Path, find: Callable[[onnx.GraphProto], str], threads: int = 0) -> InnerLayer:
    """A model with one inner tensor as a further output; ``find`` names it. Raises BrokenInstallationError without one."""
    network = onnx.load(str(model))
    name = find(network.graph)
    network.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return InnerLayer(network.SerializeToString(), name, threads)


def head_input(graph: onnx.GraphProto) -> str:
    """The tensor that goes into the last layer: the first input of the last matrix product."""
    products = [node for node in graph.node if node.op_type in ("MatMul", "Gemm")]
    if not products:
        raise BrokenInstallationError("the recogniser's graph has no matrix product: its last layer cannot be found")
    return str(products[-1].input[0])


def last_of(part: str) -> Callable[[onnx.GraphProto], str]:
    """Finds the last output of the nodes whose names begin with ``part``."""

    def find(graph: onnx.GraphProto) -> str:
        named = [node for node in graph.node if node.name.startswith(part)]
        if not named:
            raise BrokenInstallationError(f"the detector's graph has no part {part}: set SampleSettings.detector_part")
        return str(named[-1].output[0])

    return find


def read_samples(path: Path, settings: SampleSettings = DEFAULT, progress: Progress | None = None) -> tuple[Samples, Samples]:
    """The line crops and the photos of a data set of any format, with features; each photo is decoded once.

    Raises TagtraceError when the set cannot be read or a photo is missing.
    """
    form, file = find_set(path)
    photos = _some(read_set(file, form), settings)
    folder = photos_of(file, form)
    wanted = _chosen(photos, settings)
    reader = resolve(Task.RECOGNISER).path
    recogniser, crops = open_layer(reader, head_input), OnnxRecogniser(reader).crop
    detector = open_layer(resolve(Task.DETECTOR).path, last_of(settings.detector_part))
    lines: list[Sample] = []
    shots: list[Sample] = []
    seen: list[Array] = []
    for number, photo in enumerate(photos, 1):
        place = inside(folder, photo.file)
        pixels = load_photo(place)
        wall = photo.ads[0].wall_id if photo.ads and photo.ads[0].wall_id else photo.file
        seen.append(photo_features(pixels, detector, settings))
        shots.append(Sample(_thumbnail(pixels, settings), photo, wall, measure_photo(pixels, photo, place)))
        for whose, line in wanted.get(photo.file, ()):
            crop = cut(pixels, line, settings)
            lines.append(Sample(crop, photo, whose or wall, measure_line(crop, line), line))
        if progress is not None:
            progress("photos", number)
    return Samples(tuple(lines), line_features([s.pixels for s in lines], recogniser, crops, settings)), Samples(
        tuple(shots), np.array(seen)
    )


def photo_features(pixels: Image, detector: InnerLayer, settings: SampleSettings = DEFAULT) -> Array:
    """Features of a whole photo (2 x channels): the mean and the spread of the detector's layer over its positions."""
    values = detector.run(_photo_blob(pixels, settings))[0]
    return _pooled(values.reshape(len(values), -1).T)


def _some(photos: list[PhotoTruth], settings: SampleSettings) -> list[PhotoTruth]:
    if len(photos) <= settings.most_photos:
        return photos
    kept = np.random.default_rng(settings.seed).choice(len(photos), settings.most_photos, replace=False)
    return [photos[i] for i in sorted(kept.tolist())]


def _chosen(photos: Sequence[PhotoTruth], settings: SampleSettings) -> dict[str, list[tuple[str, LineTruth]]]:
    """The lines to look at by photo, each with its wall."""
    good = [
        (photo.file, advert.wall_id, line)
        for photo in photos
        for advert in photo.ads
        for line in advert.lines
        if line.legible and line.kind != CODE_KIND and size(line.quad)[1] >= settings.least_height_px
        if (line.in_frame is None or line.in_frame >= settings.least_in_frame) and area(line.quad) > 0
    ]
    if len(good) > settings.most:
        kept = np.random.default_rng(settings.seed).choice(len(good), settings.most, replace=False)
        good = [good[i] for i in sorted(kept.tolist())]
    found: dict[str, list[tuple[str, LineTruth]]] = defaultdict(list)
    for file, wall, line in good:
        found[file].append((wall, line))
    return found


def cut(pixels: Image, line: LineTruth, settings: SampleSettings = DEFAULT) -> Image:
    """The crop of a line with a margin, at the size that it has in the photo, or smaller where it is very high."""
    high = size(line.quad)[1]
    quad = expand(line.quad, settings.margin_share * high)
    height = int(min(max(round(size(quad)[1]), 8), settings.most_height_px))
    return warp(pixels, quad, height, settings.most_width_px)


def line_features(crops: Sequence[Image], recogniser: InnerLayer, how: CropSettings, settings: SampleSettings = DEFAULT) -> Array:
    """Features of line crops, shape (crops, 2 x channels), brought to the recogniser as ``how`` says: those of one width are
    looked at together."""
    by_width: dict[int, list[int]] = defaultdict(list)
    prepared = [prepare(crop, how) for crop in crops]
    for number, picture in enumerate(prepared):
        by_width[picture.shape[1]].append(number)
    found: dict[int, Array] = {}
    for _, members in sorted(by_width.items()):
        for start in range(0, len(members), settings.batch):
            part = members[start : start + settings.batch]
            values = recogniser.run(np.stack([prepared[i] for i in part])[:, None])
            for number, steps in zip(part, values, strict=True):
                found[number] = _pooled(steps)
    return np.array([found[number] for number in range(len(crops))])


def _pooled(values: NDArray[np.float32]) -> Array:
    """Mean and standard deviation over positions of values (positions, channels)."""
    return np.concatenate([values.mean(axis=0), values.std(axis=0)]).astype(np.float64)


def _photo_blob(pixels: Image, settings: SampleSettings) -> NDArray[np.float32]:
    scale = min(1.0, settings.photo_px / max(pixels.shape[:2]))
    blob, _, _ = letterbox(pixels, max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return blob


def _thumbnail(pixels: Image, settings: SampleSettings) -> Image:
    scale = min(1.0, settings.thumbnail_px / max(pixels.shape[:2]))
    target = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, target, interpolation=cv2.INTER_AREA), np.uint8)


def check_enough(samples: Samples, what: str, path: Path, least: int = 10) -> None:
    """Raise TagtraceError where there is too little to compare."""
    walls = len(set(samples.walls))
    if walls < least:
        raise TagtraceError(f"{path}: has {what} of {walls} walls; at least {least} are needed to compare data sets")
