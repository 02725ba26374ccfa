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
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..contract import TagtraceError
from ..datasets.formats.annotations import CLASS_NAMES as CLASSES
from .detector_settings import MAY_CHANGE, Augmentation, DetectorSettings
from .runs import begin_run
from .ultralytics_offline import offline_ultralytics

CLASS_NAMES: dict[int, str] = dict(enumerate(CLASSES))
"""Class numbers of the labels and of the trained network."""

STATE = "state.pt"
"""What a run goes on from, in the folder of its weights; gone when it is complete."""
_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
_BORDER_TOLERANCE = 0.01
"""Fraction of the picture by which a label may pass its border before ultralytics drops the photo."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run gave: the checkpoint to export, its quality on the validation photos, and how fast it went."""

    weights: Path
    map50: float
    """Mean average precision at IoU 0.5 over both classes."""
    map50_95: float
    seconds: float
    photos_per_second: float


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


def can_resume(settings: DetectorSettings) -> bool:
    """Whether a run in ``settings.out`` was broken off and can go on: it keeps its state until it is complete."""
    return (settings.out / "weights" / STATE).is_file()


def train_detector(settings: DetectorSettings, *, resume: bool = False) -> TrainingResult:
    """Fine-tune the detector and return its best checkpoint.

    The same data, settings and machine give the same weights (``hours`` None, ``threads`` 1, on a CPU). After every epoch the
    whole state is kept in ``out/weights/state.pt``; ``resume`` goes on from it, with the settings of that run, to the same
    result. Raises ``TagtraceError`` for missing or malformed data, weights or checkpoints, and for a device that is not there.
    """
    state = settings.out / "weights" / STATE
    if resume and not state.is_file():
        complete = (settings.out / "weights" / "last.pt").is_file()
        why = "the run is complete, there is nothing to resume; start a new one in another folder"
        raise TagtraceError(f"{state}: {why if complete else 'no checkpoint to resume from; start the run without resume'}")
    if settings.weights is not None and not settings.weights.is_file():
        raise TagtraceError(f"{settings.weights}: no such weights; name a pretrained .pt or .onnx file")
    counts = check_layout(settings.data)
    offline_ultralytics()
    import torch

    torch.set_num_threads(settings.threads)
    data = [settings.data / kind / split for split in ("train", "val") for kind in ("images", "labels")]
    files = [*data, *([settings.weights] if settings.weights is not None else [])]
    overrides = _overrides(settings, counts["train"])
    record = begin_run(settings.out, "detector", settings, files, settings.tracking, resume=resume, may_change=MAY_CHANGE)
    if not resume:
        state.unlink(missing_ok=True)
    if settings.weights is not None and settings.weights.suffix == ".onnx":
        overrides["pretrained"] = str(_start(settings, settings.weights))
    from .detector_run import OfflineTrainer

    trainer = OfflineTrainer(overrides=overrides, settings=settings, record=record, state=state, resume=resume)
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    state.unlink(missing_ok=True)
    metrics = trainer.metrics or {}
    result = TrainingResult(
        weights=Path(trainer.best if Path(trainer.best).is_file() else trainer.last),
        map50=float(metrics.get("metrics/mAP50(B)", math.nan)),
        map50_95=float(metrics.get("metrics/mAP50-95(B)", math.nan)),
        seconds=seconds,
        photos_per_second=trainer.photos_seen / max(trainer.train_seconds, 1e-9),
    )
    record.finish({**asdict(result), "weights": result.weights.name, "steps": trainer.batches})
    return result


def _start(settings: DetectorSettings, weights: Path) -> Path:
    """The checkpoint to start from that an exported detector gives."""
    from .detector_start import checkpoint_of

    photos = sorted(path for path in (settings.data / "images" / "train").iterdir() if path.suffix.lower() in _IMAGE_SUFFIXES)
    out = settings.out / "start.pt"
    return checkpoint_of(weights, settings.architecture, list(CLASS_NAMES.values()), photos, settings.input_px, out)


def _overrides(settings: DetectorSettings, photos: int) -> dict[str, Any]:
    """The run on so many photos as ultralytics' own arguments; the data description is written beside it, with absolute paths."""
    from .devices import device_of

    device = device_of(settings.device)
    epochs = settings.epochs
    if settings.steps is not None:
        epochs = math.ceil(settings.steps / math.ceil(min(settings.photos or photos, photos) / settings.batch))
    settings.out.mkdir(parents=True, exist_ok=True)
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
        "epochs": epochs,
        "time": settings.hours,
        "patience": settings.patience,
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
        "device": str(device.index or 0) if device.type == "cuda" else device.type,
        # its own check of mixed precision wants to download a network; "bf16" does without
        "amp": "bf16" if settings.bfloat16 and device.type == "cuda" else False,
        "cache": False if settings.cache == "none" else settings.cache,
        "fraction": settings.photos if settings.photos is not None else 1.0,
        "val": settings.validate_each_epoch or settings.patience > 0,
        "plots": False,
        "deterministic": True,
        "seed": settings.seed,
        "close_mosaic": 0,
        "fliplr": 0.0,
        "flipud": 0.0,
        **{name: value for name, value in asdict(settings.augmentation).items() if name in kept},
    }


def export_detector(weights: Path, out: Path, *, input_px: int = 640, opset: int = 17) -> Path:
    """Export a checkpoint to ONNX with dynamic batch, height and width, simplified, class names in its metadata.

    Input ``images``: float32 (batch, 3, height, width), RGB, 0..1, height and width multiples of 32. Output ``output0``: float32
    (batch, 4 + classes + 1, candidates): centre x, centre y, width, height in pixels, class scores in 0..1, angle in radians. The
    finest grid's candidates are its most promising cells (``detector_head``).
    """
    if not weights.is_file():
        raise TagtraceError(f"{weights}: no such checkpoint to export")
    yolo = offline_ultralytics().YOLO(str(weights))
    from .detector_head import choose_cells

    choose_cells(yolo.model)
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
        overrides = _overrides(replace(DetectorSettings(data=data, out=Path(folder)), input_px=input_px), 1)
        box = (
            ultralytics.YOLO(str(weights))
            .val(data=overrides["data"], imgsz=input_px, plots=False, device="cpu", workers=0, project=folder, verbose=False)
            .box
        )
        return {"map50": float(box.map50), "map50_95": float(box.map), "precision": float(box.mp), "recall": float(box.mr)}
