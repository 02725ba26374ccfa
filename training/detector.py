"""Train the detector: an ultralytics YOLO with oriented boxes, fine-tuned from pretrained weights, and export it to ONNX.

Data lie in the YOLO-OBB layout: ``images/{train,val}`` and ``labels/{train,val}``, one text file per photo with one object per
line, ``class x1 y1 x2 y2 x3 y3 x4 y4``, corners as fractions of width and height. Classes: 0 line, 1 code,
2 other (text that is no advert: the network finds it, too, because stickers of both kinds look alike, and only words differ).

On a CPU the forward pass runs in bfloat16 with channels-last memory, which on processors with AVX512-BF16 is about 2.2 times as
fast as float32; the loss stays in float32, because a box edge in bfloat16 is only known to half a stride.
"""

from __future__ import annotations

import json
import math
import shutil
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..contract import TagtraceError
from ..datasets.formats.annotations import CLASS_NAMES as CLASSES
from .ultralytics_offline import offline_ultralytics

CLASS_NAMES: dict[int, str] = dict(enumerate(CLASSES))
"""Class numbers of the labels and of the trained network."""

_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
_BORDER_TOLERANCE = 0.01
"""Fraction of the picture by which a label may pass its border before ultralytics drops the photo."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How training photos are varied. Never mirrored, because mirrored text is no text; mosaic is off, because it cuts lines."""

    degrees: float = 12.0
    """Rotation, up to this many degrees either way."""
    scale: float = 0.5
    """Zoom, by up to this fraction in and out."""
    translate: float = 0.1
    """Shift, as a fraction of the picture."""
    shear: float = 3.0
    """Shear, in degrees."""
    perspective: float = 0.0002
    """Perspective coefficient per pixel."""
    hsv_h: float = 0.03
    """Hue, as a fraction of the circle."""
    hsv_s: float = 0.6
    """Saturation, as a fraction."""
    hsv_v: float = 0.45
    """Brightness, as a fraction."""
    mosaic: float = 0.0
    """Probability of putting four photos together."""


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Everything that a training run of the detector depends on.

    ``data`` is a folder in the YOLO-OBB layout and ``out`` the folder of the run, which holds ``weights/last.pt``,
    ``weights/best.pt``, ``results.csv`` and ``progress.jsonl`` afterwards. ``weights`` is the pretrained checkpoint (``.pt``) or
    the exported detector (``.onnx``) to start from; None starts from noise.
    """

    data: Path
    out: Path
    weights: Path | None = None
    architecture: str = "yolo11n-obb.yaml"
    input_px: int = 640
    """Long side of the training pictures, a multiple of 32."""
    epochs: int = 7
    hours: float | None = None
    """When given, train for this long instead: the number of epochs follows from the measured speed."""
    batch: int = 16
    optimizer: str = "AdamW"
    learning_rate: float = 1e-3
    final_rate_fraction: float = 0.02
    """The cosine schedule ends at this fraction of the learning rate."""
    weight_decay: float = 5e-4
    warmup_epochs: float = 0.3
    freeze: int = 0
    """How many of the first layers keep their pretrained weights."""
    device: str = "cpu"
    bfloat16: bool = True
    """Forward pass in bfloat16 (CPU); on a GPU it chooses automatic mixed precision."""
    threads: int = 1
    """Threads of torch on the CPU."""
    workers: int = 0
    """Processes that load photos; 0 loads them in the training process."""
    cache: str = "ram"
    """Keep decoded, shrunken photos in ``ram``, on ``disk``, or decode them each time (``none``)."""
    photos: int | None = None
    """Use only the first so many training photos; None takes all."""
    validate_each_epoch: bool = False
    """Measure mAP after every epoch, not only at the end."""
    seed: int = 1
    log_every: int = 20
    """Batches between two lines of ``progress.jsonl``."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.input_px < 64 or self.input_px % 32:
            raise TagtraceError(f"input_px is {self.input_px}: choose a multiple of 32 that is at least 64")
        if self.cache not in {"ram", "disk", "none"}:
            raise TagtraceError(f"cache is {self.cache!r}: choose ram, disk or none")
        for name in ("epochs", "batch", "threads", "log_every"):
            if getattr(self, name) < 1:
                raise TagtraceError(f"{name} is {getattr(self, name)}: it must be at least 1")


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run gave: the checkpoint to export, its quality on the validation photos, and how fast it went."""

    weights: Path
    map50: float
    """Mean average precision at IoU 0.5 over both classes."""
    map50_95: float
    seconds: float
    photos_per_second: float


def load_settings(path: Path, **overrides: Any) -> DetectorSettings:
    """Read ``DetectorSettings`` from a TOML file; ``overrides`` that are not None take precedence.

    Keys are the field names, with a table ``[augmentation]``. Relative paths are taken from the working directory. Raises
    ``TagtraceError`` that names the file and the key when one is unknown, missing or of the wrong type.
    """
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise TagtraceError(f"{path}: cannot be read as TOML settings: {error}") from error
    return settings_from(values | {key: value for key, value in overrides.items() if value is not None}, source=str(path))


def settings_from(values: Mapping[str, Any], source: str = "settings") -> DetectorSettings:
    """Build settings from plain values, paths as text; ``source`` names them in errors."""
    known = {entry.name: entry for entry in fields(DetectorSettings)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise TagtraceError(f"{source}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    missing = [name for name in ("data", "out") if name not in values]
    if missing:
        raise TagtraceError(f"{source}: {' and '.join(missing)} must be given")
    ready = dict(values)
    for name in ("data", "out", "weights"):
        if ready.get(name) is not None:
            ready[name] = Path(ready[name])
    try:
        if isinstance(ready.get("augmentation"), Mapping):
            ready["augmentation"] = Augmentation(**{key: float(value) for key, value in ready["augmentation"].items()})
        return DetectorSettings(**ready)
    except (TypeError, ValueError) as error:
        raise TagtraceError(f"{source}: {error}") from error


def check_layout(data: Path) -> dict[str, int]:
    """Check a data folder and count its photos per split.

    Raises ``TagtraceError`` naming file and line for a missing folder, an unlabelled split or a malformed label, so that a run
    does not lose photos silently: ultralytics would skip them with a warning. A photo without a label file counts as one with
    nothing in it.
    """
    counts = {}
    for split in ("train", "val"):
        images = data / "images" / split
        if not images.is_dir():
            raise TagtraceError(f"{images}: no such folder; detector data need images/{split} and labels/{split}")
        photos = [path for path in images.iterdir() if path.suffix.lower() in _IMAGE_SUFFIXES]
        if not photos:
            raise TagtraceError(f"{images}: holds no photos")
        labels = [data / "labels" / split / f"{path.stem}.txt" for path in photos]
        present = [path for path in labels if path.is_file()]
        if not present:
            raise TagtraceError(f"{data / 'labels' / split}: no label file matches a photo of {images}")
        for label in present:
            _check_label(label)
        counts[split] = len(photos)
    return counts


def _check_label(label: Path) -> None:
    for number, line in enumerate(label.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            cls, *corners = (float(value) for value in line.split())
        except ValueError as error:
            raise TagtraceError(f"{label}:{number}: not a row of numbers; expected 'class x1 y1 … x4 y4'") from error
        if cls not in CLASS_NAMES or len(corners) != 8:
            raise TagtraceError(f"{label}:{number}: expected a class of {sorted(CLASS_NAMES)} and 8 fractions, found {line!r}")
        if not all(-_BORDER_TOLERANCE <= value <= 1 + _BORDER_TOLERANCE for value in corners):
            raise TagtraceError(f"{label}:{number}: a corner lies outside of the picture; clip the quad to its border")


def train_detector(settings: DetectorSettings, *, resume: bool = False) -> TrainingResult:
    """Fine-tune the detector and return its best checkpoint.

    A checkpoint is written after every epoch; ``resume`` goes on from ``out/weights/last.pt`` of an interrupted run, with the
    settings of that run. Raises ``TagtraceError`` for missing or malformed data, weights or checkpoints.
    """
    last = settings.out / "weights" / "last.pt"
    if resume and not last.is_file():
        raise TagtraceError(f"{last}: there is no checkpoint to resume from; start the run without resume")
    if not resume and settings.weights is not None and not settings.weights.is_file():
        raise TagtraceError(f"{settings.weights}: no such weights; name a pretrained .pt or .onnx file")
    check_layout(settings.data)
    offline_ultralytics()
    import torch

    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    from .detector_run import OfflineTrainer

    overrides = _overrides(settings)
    if settings.weights is not None and settings.weights.suffix == ".onnx" and not resume:
        overrides["pretrained"] = str(_start(settings, settings.weights))
    if resume:
        overrides["resume"] = str(last)
    trainer = OfflineTrainer(overrides=overrides, settings=settings, log=_progress_log(settings.out, fresh=not resume))
    started = time.perf_counter()
    try:
        trainer.train()
    except AssertionError as error:  # how ultralytics says that a run is complete
        if resume and "nothing to resume" in str(error):
            raise TagtraceError(
                f"{last}: the run is complete, there is nothing to resume; start a new one in another folder"
            ) from error
        raise
    seconds = time.perf_counter() - started
    metrics = trainer.metrics or {}
    return TrainingResult(
        weights=Path(trainer.best if Path(trainer.best).is_file() else trainer.last),
        map50=float(metrics.get("metrics/mAP50(B)", math.nan)),
        map50_95=float(metrics.get("metrics/mAP50-95(B)", math.nan)),
        seconds=seconds,
        photos_per_second=trainer.photos_seen / max(trainer.train_seconds, 1e-9),
    )


def _start(settings: DetectorSettings, weights: Path) -> Path:
    """The checkpoint to start from that an exported detector gives."""
    from .detector_start import checkpoint_of

    photos = sorted(path for path in (settings.data / "images" / "train").iterdir() if path.suffix.lower() in _IMAGE_SUFFIXES)
    out = settings.out / "start.pt"
    return checkpoint_of(weights, settings.architecture, list(CLASS_NAMES.values()), photos, settings.input_px, out)


def _overrides(settings: DetectorSettings) -> dict[str, Any]:
    """The run as ultralytics' own arguments; the data description is written beside it with absolute paths."""
    description = settings.out / "data.yaml"
    names = "".join(f"  {number}: {name}\n" for number, name in CLASS_NAMES.items())
    description.write_text(
        f"path: {json.dumps(str(settings.data.resolve()))}\ntrain: images/train\nval: images/val\nnames:\n{names}",
        encoding="utf-8",
    )
    kept = {entry.name for entry in fields(Augmentation)}
    return {
        "model": settings.architecture,
        "pretrained": str(settings.weights) if settings.weights is not None else False,
        "data": str(description),
        "save_dir": str(settings.out.resolve()),
        "exist_ok": True,
        "imgsz": settings.input_px,
        "epochs": settings.epochs,
        "time": settings.hours,
        "patience": 0,
        "batch": settings.batch,
        "nbs": settings.batch,
        "optimizer": settings.optimizer,
        "lr0": settings.learning_rate,
        "lrf": settings.final_rate_fraction,
        "cos_lr": True,
        "momentum": 0.9,
        "weight_decay": settings.weight_decay,
        "warmup_epochs": settings.warmup_epochs,
        "warmup_bias_lr": 0.0,
        "freeze": settings.freeze or None,
        "device": settings.device,
        "amp": settings.bfloat16 and settings.device != "cpu",
        "cache": False if settings.cache == "none" else settings.cache,
        "fraction": settings.photos if settings.photos is not None else 1.0,
        "val": settings.validate_each_epoch,
        "plots": False,
        "deterministic": True,
        "seed": settings.seed,
        "close_mosaic": 0,
        "fliplr": 0.0,
        "flipud": 0.0,
        **{name: value for name, value in asdict(settings.augmentation).items() if name in kept},
    }


def _progress_log(folder: Path, *, fresh: bool) -> Callable[[dict[str, float]], None]:
    """A function that appends one JSON object per call to ``progress.jsonl`` of the run."""
    path = folder / "progress.jsonl"
    if fresh:
        path.unlink(missing_ok=True)

    def write(row: dict[str, float]) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    return write


def export_detector(weights: Path, out: Path, *, input_px: int = 640, opset: int = 17) -> Path:
    """Export a checkpoint to ONNX with dynamic batch, height and width, simplified, class names in its metadata.

    Input ``images``: float32 (batch, 3, height, width), RGB, 0..1, height and width multiples of 32. Output ``output0``: float32
    (batch, 4 + classes + 1, candidates): centre x, centre y, width, height in pixels, class scores in 0..1, angle in radians.
    """
    if not weights.is_file():
        raise TagtraceError(f"{weights}: no such checkpoint to export")
    yolo = offline_ultralytics().YOLO(str(weights))
    written = Path(
        yolo.export(
            format="onnx", imgsz=input_px, dynamic=True, simplify=True, opset=opset, nms=None, device="cpu", verbose=False
        )
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(written, out)
    return out


def measure_detector(weights: Path, data: Path, *, input_px: int = 640, threads: int = 1) -> dict[str, float]:
    """Quality of a checkpoint on the validation photos of ``data``: ``map50``, ``map50_95``, ``precision``, ``recall``."""
    check_layout(data)
    if not weights.is_file():
        raise TagtraceError(f"{weights}: no such checkpoint to measure")
    ultralytics = offline_ultralytics()
    import tempfile

    import torch

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        overrides = _overrides(replace(DetectorSettings(data=data, out=Path(folder)), input_px=input_px))
        box = (
            ultralytics.YOLO(str(weights))
            .val(data=overrides["data"], imgsz=input_px, plots=False, device="cpu", workers=0, project=folder, verbose=False)
            .box
        )
        return {"map50": float(box.map50), "map50_95": float(box.map), "precision": float(box.mp), "recall": float(box.mr)}
