"""Trained weights in the forms that run them: ONNX, OpenVINO, INT8; each checked against what it was made from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..contract import TagtraceError
from ..datasets.lineshards import LineShards
from ..models.detector import DetectionSettings, OnnxDetector, letterbox, plan_views
from ..models.geometry import warp
from ..models.linecrop import prepare
from ..models.recogniser import OnnxRecogniser
from ..models.registry import ModelFile, Task, from_file, resolve
from ..scoring.inputs import PICTURE_SUFFIXES
from .evaluate_parts import load_photo

_FINEST_PX = 8
"""Pixels of the detector's input, along and across, for a cell of its finest grid."""
MAX_BOX_PX, MAX_SCORE = 0.5, 0.01
"""Largest differences between a detector and its ONNX form: corners and sides in pixels, class scores in 0..1."""
_SEEN_SCORE = 1e-3
"""Boxes that no class scores above this are not compared: nothing looks at them."""
_SHAPES = ((320, 320), (320, 480), (640, 448))
KEEP_FLOAT = {Task.DETECTOR: ("/model.23/",), Task.RECOGNISER: ("/stem", "/head")}
"""Layers that stay in float32 in the INT8 form: those that look at the picture and those that give the answer."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far an exported network is from what it was made from: ``differences`` by name, all within their limits."""

    path: Path
    differences: dict[str, float]

    def describe(self) -> str:
        """One line."""
        return f"{self.path}: " + ", ".join(f"{name} within {value:.1e}" for name, value in self.differences.items())


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """How networks are written and calibrated."""

    input_px: int = 640
    """Long side of the picture that a detector is traced with; any multiple of 32 runs afterwards."""
    calibration: int = 200
    """Photos or lines that the ranges of an INT8 form are taken from at most, spread evenly."""
    crop_height_px: int = 48
    """Height of the line crops that are cut from calibration photos for a recogniser."""
    crop_max_width_px: int = 1920
    seed: int = 0


def task_of(path: Path) -> Task:
    """Whether a file of weights (``.pt``, ``.safetensors``, ``.onnx``) is a detector or a recogniser.

    Raises TagtraceError where it is neither.
    """
    if path.suffix == ".onnx":
        return task_of_onnx(path)
    if path.suffix == ".safetensors":
        return Task.RECOGNISER
    if not path.is_file():
        raise TagtraceError(f"{path}: no such file; name a checkpoint (.pt), weights (.safetensors) or a network (.onnx)")
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - a detector's checkpoint holds classes of ultralytics, which this refuses to load
        return Task.DETECTOR
    if "average" not in state:
        raise TagtraceError(f"{path}: neither a checkpoint of the recogniser nor of the detector")
    return Task.RECOGNISER


def task_of_onnx(path: Path) -> Task:
    """What an ONNX network of tagtrace does, from its metadata. Raises TagtraceError where it does not say."""
    import onnx

    try:
        names = {entry.key for entry in onnx.load(str(path), load_external_data=False).metadata_props}
    except Exception as error:  # onnx raises protobuf's own errors
        raise TagtraceError(f"{path}: cannot be read as an ONNX network ({error})") from error
    if "alphabet" in names:
        return Task.RECOGNISER
    if "names" in names:
        return Task.DETECTOR
    raise TagtraceError(f"{path}: does not say whether it is a detector or a recogniser; export it with `tagtrace export onnx`")


def find_model(name: str) -> ModelFile:
    """A model by its name in the registry, or an ONNX file of either task (its entry beside it counts)."""
    path = Path(name)
    if path.is_file() and not path.with_suffix(".toml").is_file():
        return from_file(path, task_of_onnx(path))
    return resolve(name)


def export_to_onnx(weights: Path, out: Path, settings: ExportSettings | None = None) -> Parity:
    """Write a checkpoint or weights as ONNX and compare with torch. Raises TagtraceError where they differ too much."""
    settings = settings or ExportSettings()
    if task_of(weights) is Task.RECOGNISER:
        from .recogniser_export import export_onnx
        from .recogniser_trainer import model_of

        model, _, crop = model_of(weights)
        return Parity(out, {"log-probabilities": export_onnx(model, out, crop)})
    from .detector import export_detector

    export_detector(weights, out, input_px=settings.input_px)
    boxes, scores = compare_detector(weights, out, settings.seed)
    if boxes > MAX_BOX_PX or scores > MAX_SCORE:
        raise TagtraceError(f"{out}: differs from the trained network by {boxes:.3g} px and {scores:.3g} in score; do not use it")
    return Parity(out, {"boxes (px)": boxes, "scores": scores})


def compare_detector(weights: Path, path: Path, seed: int = 0) -> tuple[float, float]:
    """Largest differences between what the ONNX form gives and the same cells of a checkpoint of ultralytics, on pictures of
    several shapes: of boxes in pixels (where a class scores at all), and of class scores."""
    import torch

    from ..models.adapters.onnxruntime_offline import offline_onnxruntime
    from .ultralytics_offline import offline_ultralytics

    network = offline_ultralytics().YOLO(str(weights)).model.float().eval()
    from .detector_head import CELLS

    session = offline_onnxruntime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    boxes = scores = 0.0
    for height, width in _SHAPES:
        # blocks of colour at random: noise alone is nothing that a detector knows
        blocks = rng.uniform(0, 1, (height // 16, width // 16, 3)).astype(np.float32)
        picture = cv2.resize(blocks, (width, height)).transpose(2, 0, 1)[None]
        with torch.no_grad():
            given = network(torch.from_numpy(np.ascontiguousarray(picture)))
        wanted = (given[0] if isinstance(given, tuple | list) else given).numpy()[0]
        found = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(picture)})[0][0]
        # the export has the most promising cells of the finest grid only, in another order: none of the best may be missing,
        if found.shape[1] != wanted.shape[1] - height * width // _FINEST_PX**2 + CELLS:
            return math.inf, math.inf
        best, theirs = (np.sort(part[4:-1].max(0))[::-1][:CELLS] for part in (wanted, found))
        scores = max(scores, float(np.abs(best - theirs).max()))
        # and each has to be one of the network's
        for one in found[:, found[4:-1].max(0) > 0].T:
            away, aside = np.abs(wanted - one[:, None])[:4].max(0), np.abs(wanted[4:-1] - one[4:-1, None]).max(0)
            same = int(np.argmin(away / MAX_BOX_PX + aside / MAX_SCORE))
            scores = max(scores, float(aside[same]))
            if one[4:-1].max() > _SEEN_SCORE:
                boxes = max(boxes, float(away[same]))
    return boxes, scores


def export_to_openvino(model: ModelFile, out: Path, half: bool = False) -> Parity:
    """Write a model as OpenVINO's ``.xml`` and ``.bin``, and compare it with its ONNX form."""
    from ..models.adapters.openvino_form import compare_openvino, write_openvino

    written, _ = write_openvino(model.path, out, half)
    rng = np.random.default_rng(0)
    if model.task is Task.DETECTOR:
        inputs = [rng.uniform(0, 1, (1, 3, h, w)).astype(np.float32) for h, w in _SHAPES]
    else:
        height = OnnxRecogniser(model.path).crop.height
        inputs = [rng.uniform(-1, 1, (n, 1, height, w)).astype(np.float32) for n, w in ((1, 96), (3, 320))]
    return Parity(written, {"output": compare_openvino(model.path, written, inputs)})


@dataclass(frozen=True, slots=True)
class Quantised:
    """An INT8 form: what it was calibrated with, its size and its time against those of the model it was made from."""

    path: Path
    inputs: int
    bytes_before: int
    bytes_after: int
    ms_before: float
    """Median time per input, on this machine, the two taken in turn."""
    ms_after: float

    def describe(self) -> str:
        """One line."""
        size = f"{self.bytes_before / 1e6:.1f} -> {self.bytes_after / 1e6:.1f} MB"
        speed = f"{self.ms_before:.1f} -> {self.ms_after:.1f} ms per input"
        return f"{self.path}: calibrated with {self.inputs} inputs, {size}, {speed}"


def export_to_int8(
    model: ModelFile, data: Sequence[Path], out: Path, settings: ExportSettings | None = None, threads: int = 1
) -> Quantised:
    """Write the INT8 form of a model, calibrated with photos (or folders of line shards) of ``data``.

    Use pictures as they come to the model in service, and none that it is measured on. Raises TagtraceError when there are none.
    """
    from ..models.adapters.quantise import quantise

    settings = settings or ExportSettings()
    inputs = list(calibration_inputs(model, data, settings))
    if not inputs:
        raise TagtraceError(f"{', '.join(map(str, data))}: no photos and no line shards there to calibrate with")
    quantise(model.path, out, iter(inputs), KEEP_FLOAT[model.task])
    before, after = _times((model.path, out), inputs[:: max(1, len(inputs) // 40)], threads)
    return Quantised(out, len(inputs), model.path.stat().st_size, out.stat().st_size, before, after)


def calibration_inputs(model: ModelFile, data: Sequence[Path], settings: ExportSettings) -> Iterator[NDArray[np.float32]]:
    """What a model sees of photos or lines, ready for its network; at most ``settings.calibration``, spread evenly."""
    shards = [folder for folder in data if folder.is_dir() and any(folder.glob("shard-*.jsonl"))]
    photos = [path for place in data if place not in shards for path in _pictures(place)]
    if model.task is Task.DETECTOR:
        if shards:
            raise TagtraceError(f"{shards[0]}: holds line crops; a detector is calibrated with whole photos")
        for path in _spread(photos, settings.calibration):
            yield _detector_input(path, model)
        return
    crop = OnnxRecogniser(model.path).crop
    lines = LineShards(shards) if shards else None
    if lines is not None:
        for index in _spread(range(len(lines)), settings.calibration):
            yield prepare(lines[index][0], crop)[None, None]
    if photos:
        seen = resolve(Task.DETECTOR)
        detector = OnnxDetector(seen.path)
        for path in _spread(photos, settings.calibration):
            image = load_photo(path).pixels
            for region in detector.detect([image])[0][:2]:
                cut = warp(image, region.quad, settings.crop_height_px, settings.crop_max_width_px)
                yield prepare(cut, crop)[None, None]


def _detector_input(path: Path, model: ModelFile) -> NDArray[np.float32]:
    wanted = model.settings.get("input_px")
    chosen = DetectionSettings(input_px=int(wanted)) if wanted is not None else DetectionSettings()
    image = load_photo(path).pixels
    view = plan_views(image.shape[1], image.shape[0], chosen)[0]
    return letterbox(image, view.width, view.height)[0]


def _pictures(place: Path) -> list[Path]:
    if not place.exists():
        raise TagtraceError(f"{place}: there is no such file or folder")
    return sorted(p for p in place.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES) if place.is_dir() else [place]


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    if len(items) <= most:
        return list(items)
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, most)]


def _times(models: tuple[Path, Path], inputs: Sequence[NDArray[np.float32]], threads: int) -> tuple[float, float]:
    """Median milliseconds per input of two networks that take turns, each run once before the clock starts."""
    from ..models.runtime import load_network

    networks = [load_network(path, threads)[0] for path in models]
    spent: list[list[float]] = [[], []]
    for network in networks:
        network.run(inputs[0])
    for number, blob in enumerate(inputs):
        for which in (0, 1) if number % 2 else (1, 0):
            begin = time.perf_counter()
            networks[which].run(blob)
            spent[which].append(1000 * (time.perf_counter() - begin))
    before, after = (float(np.median(times)) for times in spent)
    return before, after
