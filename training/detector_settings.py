"""The settings of a training of the detector."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..contract import TagtraceError
from .runs import TrackingSettings
from .settings_file import load_settings_file


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
    ``weights/best.pt``, ``results.csv`` and the files of ``runs`` afterwards. ``weights`` is the pretrained checkpoint (``.pt``)
    or the exported detector (``.onnx``) to start from; None starts from noise.
    """

    data: Path
    out: Path
    weights: Path | None = None
    architecture: str = "yolo11n-obb.yaml"
    input_px: int = 640
    """Long side of the training pictures, a multiple of 32."""
    epochs: int = 7
    steps: int | None = None
    """When given, train for so many batches instead."""
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
    """``cpu``, ``cuda``, ``cuda:N`` (or ``N``) or ``mps``."""
    bfloat16: bool = True
    """Mixed precision: the forward pass in bfloat16, weights and loss in float32 (on ``mps`` in float32 anyway)."""
    threads: int = 1
    """Threads of torch on the CPU. Only with 1 the same seed gives the same weights to the last bit."""
    workers: int = 0
    """Processes that load photos; 0 loads them in the training process."""
    cache: str = "ram"
    """Keep decoded, shrunken photos in ``ram``, on ``disk``, or decode them each time (``none``)."""
    photos: int | None = None
    """Use only the first so many training photos; None takes all."""
    validate_each_epoch: bool = False
    """Measure mAP after every epoch, not only at the end."""
    patience: int = 0
    """Stop early when mAP was not higher in so many epochs, measured after each, and take the best checkpoint; 0: never."""
    seed: int = 1
    log_every: int = 20
    """Batches between two lines of ``metrics.jsonl``."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)

    def __post_init__(self) -> None:
        if self.input_px < 64 or self.input_px % 32:
            raise TagtraceError(f"input_px is {self.input_px}: choose a multiple of 32 that is at least 64")
        if self.cache not in {"ram", "disk", "none"}:
            raise TagtraceError(f"cache is {self.cache!r}: choose ram, disk or none")
        for name in ("epochs", "batch", "threads", "log_every", "steps"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise TagtraceError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if self.steps is not None and self.hours is not None:
            raise TagtraceError("give steps or hours, not both: each says how long to train")


MAY_CHANGE = frozenset("out device threads workers cache validate_each_epoch log_every tracking".split())
"""Settings that a run which goes on may have otherwise: they do not decide what one step does."""


def load_settings(path: Path, **overrides: Any) -> DetectorSettings:
    """Settings from a TOML file, with a table ``[augmentation]``; ``overrides`` that are not None take precedence."""
    return load_settings_file(DetectorSettings, path, overrides)
