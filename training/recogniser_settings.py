"""The settings of a training of the recogniser."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..contract import TagtraceError
from ..models.linecrop import CropSettings
from .recogniser_augment import AugmentSettings
from .recogniser_data import BatchSettings
from .runs import TrackingSettings
from .settings_file import load_settings_file


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Sizes of the network, as ``recogniser_net.Model`` takes them. The start weights ``ppocr`` fit the defaults only; a run that
    starts from a file has the sizes of that network where none are given."""

    stem: int = 48
    dims: tuple[int, ...] = (96, 192, 384)
    depths: tuple[int, ...] = (3, 6, 2)
    neck: int = 120
    layers: int = 2
    heads: int = 8
    hidden: tuple[int, ...] = ()
    """Channels inside each block, first to last, as ``tagtrace train prune`` chooses them; empty: twice those that come in."""

    def __post_init__(self) -> None:
        blocks = sum(self.depths) + len(self.dims) - 1
        if self.hidden and len(self.hidden) != blocks:
            raise TagtraceError(f"hidden has {len(self.hidden)} numbers of channels: it must have {blocks}, one for each block")
        if any(width < 1 for width in self.hidden):
            raise TagtraceError(f"hidden is {', '.join(map(str, self.hidden))}: every block needs at least 1 channel")


@dataclass(frozen=True, slots=True)
class RecogniserSettings:
    """One training run. Written to ``run.json`` beside the weights; loadable from TOML with ``load_settings``."""

    data: tuple[str, ...] = ()
    """Folders of line shards to train on."""
    held_out: str = ""
    """Folder of line shards to evaluate on; fonts, walls and shops of its own."""
    out: str = "runs/recogniser"
    """Folder for checkpoints, record and results."""
    start: str = "ppocr"
    """``ppocr`` (PP-OCRv6 small of the rapidocr package), ``scratch``, or the path of a checkpoint of an earlier run."""
    teacher: str = ""
    """Path of a trained recogniser (``.safetensors`` or checkpoint) that the network learns to be like, beside the texts; empty:
    from the texts alone."""
    teacher_share: float = 0.5
    """How much of the loss is the difference from the teacher, 0..1; the rest is the CTC loss. Counts with a ``teacher`` only."""
    minutes: float = 0.0
    """Length of the run; 0: count ``steps`` instead. With minutes, two runs differ by the speed of the machine."""
    steps: int = 10_000
    """Batches of the run when ``minutes`` is 0."""
    learning_rate: float = 6e-4
    """Peak learning rate."""
    head_factor: float = 3.0
    """The head learns this many times as fast: half of its characters are new."""
    warm_up: float = 0.04
    """Share of the run in which the learning rate rises to its peak; it falls along a cosine after."""
    weight_decay: float = 0.01
    clip: float = 2.0
    """Largest norm of the gradient."""
    average: float = 0.999
    """Decay per step of the moving average of the weights."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    threads: int = 1
    """Threads of the training process on the CPU; a worker process for the pictures comes on top. Only with 1 the same seed gives
    the same weights to the last bit on any processor."""
    workers: int = 1
    bfloat16: bool = True
    """Mixed precision: convolutions in bfloat16, weights and loss in float32."""
    seed: int = 1
    checkpoint_minutes: float = 4.0
    checkpoint_steps: int = 0
    """When given, write a checkpoint every so many batches, whatever the clock says."""
    eval_minutes: float = 12.0
    eval_steps: int = 0
    """When given, evaluate every so many batches, whatever the clock says."""
    eval_lines: int = 600
    """Held-out lines for the evaluations on the way; the last one takes all."""
    patience: int = 0
    """Stop early when the character error rate was not less in so many evaluations on the way, and take the best weights; 0:
    never stop early, and take the last weights."""
    log_every: int = 50
    """Batches between two rows of ``metrics.jsonl``."""
    crop: CropSettings = field(default_factory=CropSettings)
    """How crops are prepared; a run that starts from a file does as that one did where these are the defaults."""
    batch: BatchSettings = field(default_factory=BatchSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)

    def __post_init__(self) -> None:
        for name in ("threads", "log_every"):
            if getattr(self, name) < 1:
                raise TagtraceError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("minutes", "workers", "checkpoint_steps", "eval_steps", "patience", "checkpoint_minutes", "eval_minutes"):
            if getattr(self, name) < 0:
                raise TagtraceError(f"{name} is {getattr(self, name)}: it cannot be negative")
        if not 0 <= self.teacher_share <= 1:
            raise TagtraceError(f"teacher_share is {self.teacher_share}: it must be between 0 and 1")
        if not self.minutes and self.steps < 1:
            raise TagtraceError("give the length of the run: minutes above 0, or steps of at least 1")


MAY_CHANGE = frozenset(
    "out minutes steps device threads workers checkpoint_minutes checkpoint_steps eval_minutes eval_steps eval_lines patience "
    "log_every tracking".split()
)
"""Settings that a run which goes on may have otherwise: they do not decide what one step does."""


def load_settings(path: str | Path) -> RecogniserSettings:
    """Settings from a TOML file; its tables have the names of the nested settings. Unknown names are refused."""
    return load_settings_file(RecogniserSettings, path)
