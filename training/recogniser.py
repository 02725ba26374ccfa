"""Training of the recogniser: ``train(settings)`` reads line shards and leaves checkpoints, a log and the trained weights.

The network starts from PP-OCRv6 small (see ``recogniser_start``), learns with the CTC loss in ``float32`` while the convolutions
run in ``bfloat16`` (3 times as fast on a processor that has AVX-512 BF16), and keeps a moving average of its weights, which is
what is evaluated and exported. A run can be stopped at any time and goes on from its last checkpoint.
"""

from __future__ import annotations

import copy
import csv
import math
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from ..contract import TagtraceError
from ..datasets.lineshards import LineShards
from ..models.alphabet import ALPHABET
from ..models.linecrop import CropSettings
from .easyocr_format import export_easyocr
from .recogniser_augment import AugmentSettings
from .recogniser_data import Batch, BatchSettings, TrainBatches
from .recogniser_eval import Score, evaluate
from .recogniser_export import export_onnx
from .recogniser_net import Model
from .recogniser_start import load_ppocr, ppocr_file

CHECKPOINT = "last.pt"
LOG = "log.csv"
ONNX_FILE = "recogniser.onnx"
WEIGHTS_FILE = "recogniser.safetensors"
BATCHES_AHEAD = 6


@dataclass(frozen=True, slots=True)
class RecogniserSettings:
    """One training run. Written beside the weights; loadable from TOML with ``load_settings``."""

    data: tuple[str, ...] = ()
    """Folders of line shards to train on."""
    held_out: str = ""
    """Folder of line shards to evaluate on; fonts, walls and shops of its own."""
    out: str = "runs/recogniser"
    """Folder for checkpoints, log and results."""
    start: str = "ppocr"
    """``ppocr`` (PP-OCRv6 small of the rapidocr package), ``scratch``, or the path of a checkpoint of an earlier run."""
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
    threads: int = 1
    """Threads of the training process; a worker process for the pictures comes on top."""
    workers: int = 1
    bfloat16: bool = True
    seed: int = 1
    checkpoint_minutes: float = 4.0
    eval_minutes: float = 12.0
    eval_lines: int = 600
    """Held-out lines for the evaluations on the way; the last one takes all."""
    log_every: int = 50
    crop: CropSettings = field(default_factory=CropSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)


def load_settings(path: str | Path) -> RecogniserSettings:
    """Settings from a TOML file; sections ``[crop]``, ``[batch]`` and ``[augment]`` hold theirs. Unknown names are refused."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise TagtraceError(f"{path}: cannot be read as TOML ({error})") from error
    settings: RecogniserSettings = _build(RecogniserSettings, table, str(path))
    return settings


def _build(kind: type[Any], table: dict[str, Any], where: str) -> Any:
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise TagtraceError(f"{where}: unknown setting {', '.join(unknown)}; known are {', '.join(known)}")
    values = {}
    for name, value in table.items():
        factory = known[name].default_factory
        nested = factory if isinstance(factory, type) and is_dataclass(factory) else None
        if nested is not None:
            values[name] = _build(nested, value, f"{where} [{name}]")
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


class Trainer:
    """The state of one run: network, moving average, optimiser, and how far it is."""

    def __init__(self, settings: RecogniserSettings) -> None:
        torch.manual_seed(settings.seed)
        torch.set_num_threads(settings.threads)
        self.settings = settings
        self.out = Path(settings.out)
        self.out.mkdir(parents=True, exist_ok=True)
        model = Model(1 + len(ALPHABET))
        # statistics from a pretrained start are kept: small batches of one width would only blur them
        self.freeze_norm = settings.start != "scratch"
        if settings.start == "ppocr":
            load_ppocr(model, ppocr_file(), ALPHABET)
        elif settings.start != "scratch":
            load_weights(model, settings.start)
        self.model: Model = model.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self._groups(), lr=settings.learning_rate, betas=(0.9, 0.98))
        self.step = 0
        self.epoch = 0
        self.seconds = 0.0
        if (self.out / CHECKPOINT).exists():
            self._resume()

    def _groups(self) -> list[dict[str, Any]]:
        head: list[Tensor] = []
        plain: list[Tensor] = []
        decayed: list[Tensor] = []
        for name, weight in self.model.named_parameters():
            (head if name.startswith("head.") else plain if weight.ndim == 1 else decayed).append(weight)
        return [
            {"params": decayed, "factor": 1.0, "weight_decay": self.settings.weight_decay},
            {"params": plain, "factor": 1.0, "weight_decay": 0.0},
            {"params": head, "factor": self.settings.head_factor, "weight_decay": 0.0},
        ]

    def _resume(self) -> None:
        state = torch.load(self.out / CHECKPOINT, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.epoch, self.seconds = state["step"], state["epoch"] + 1, state["seconds"]

    def save(self) -> None:
        """Write the checkpoint; an interrupted write leaves the one before."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "alphabet": ALPHABET,
            "crop": asdict(self.settings.crop),
        }
        part = self.out / f"{CHECKPOINT}.part"
        torch.save(state, part)
        part.replace(self.out / CHECKPOINT)

    @property
    def progress(self) -> float:
        """How much of the run is done, 0..1."""
        if self.settings.minutes > 0:
            return min(self.seconds / (60 * self.settings.minutes), 1.0)
        return min(self.step / self.settings.steps, 1.0)

    def learn(self, batch: Batch) -> float:
        """One step of the optimiser; returns the mean loss per line."""
        rate = self.settings.learning_rate * _shape(self.progress, self.settings.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        self.model.train()
        if self.freeze_norm:
            for part in self.model.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()
        loss = ctc_loss(self.model, batch, self.settings.bfloat16)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimiser.step()
        self.step += 1
        self._follow()
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights; early in a run it follows closely."""
        decay = min(self.settings.average, (1 + self.step) / (20 + self.step))
        mine: list[Tensor] = list(self.average.parameters())
        theirs: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for kept, new in zip(self.average.buffers(), self.model.buffers(), strict=True):
            kept.copy_(new)

    def batches(self) -> Iterator[Batch]:
        """Batches without end; each epoch looks for new shards, so that data may still be growing."""
        while True:
            shards = LineShards(self.settings.data)
            crops = self.settings.crop, self.settings.batch, self.settings.augment
            epoch = TrainBatches(shards, *crops, self.settings.seed, self.epoch)
            if not len(epoch):
                raise TagtraceError(f"{', '.join(self.settings.data)}: no crop there that can be trained on")
            ahead = BATCHES_AHEAD if self.settings.workers else None
            yield from DataLoader(epoch, batch_size=None, num_workers=self.settings.workers, prefetch_factor=ahead)
            self.epoch += 1


def _shape(progress: float, warm_up: float) -> float:
    """Learning rate over the run as a share of its peak: a linear rise, then a cosine down to 1 %."""
    if progress < warm_up:
        return max(progress / warm_up, 0.02)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def ctc_loss(model: nn.Module, batch: Batch, bfloat16: bool) -> Tensor:
    """Mean over lines of the CTC loss divided by the text's length; the loss itself is computed in ``float32``."""
    pictures = batch.pictures.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        logits = model(pictures)
    log_probs = logits.float().log_softmax(-1).transpose(0, 1)
    steps = torch.full((len(batch.lengths),), log_probs.shape[0], dtype=torch.int64)
    return functional.ctc_loss(log_probs, batch.targets, steps, batch.lengths, zero_infinity=True)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Fill ``model`` with the weights of a ``.safetensors`` file or the averaged ones of a checkpoint.

    Raises TagtraceError when the file is missing or does not fit.
    """
    try:
        if Path(path).suffix == ".safetensors":
            model.load_state_dict(load_file(path))
        else:
            model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise TagtraceError(f"{path}: not a checkpoint of this recogniser ({error})") from error


def train(settings: RecogniserSettings, say: Callable[[str], None] = print) -> Score:
    """Run, or go on with, one training; returns the final score on the held-out lines.

    Raises TagtraceError when data are missing. Progress goes to ``say`` and to ``log.csv`` in ``settings.out``.
    """
    held_out = LineShards(settings.held_out)
    trainer = Trainer(settings)
    (trainer.out / "settings.txt").write_text(f"{settings}\n", encoding="utf-8")
    run = _Run(trainer, held_out, say)
    try:
        for batch in trainer.batches():
            if trainer.progress >= 1.0:
                break
            run.advance(batch)
    finally:
        trainer.save()
    score = evaluate(trainer.average, held_out, settings.crop, 0, bfloat16=False)
    say(score.describe())
    (trainer.out / "score.txt").write_text(score.describe() + "\n", encoding="utf-8")
    difference = export(trainer.average, trainer.out, settings.crop)
    say(f"{trainer.out / ONNX_FILE}: within {difference:.1e} of the network")
    return score


def export(model: Model, folder: Path, crop: CropSettings) -> float:
    """Write ``recogniser.onnx``, ``recogniser.safetensors`` and the folder ``easyocr`` to ``folder``.

    Returns the largest difference of log-probabilities between the network and its ONNX form.
    """
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / WEIGHTS_FILE)
    difference = export_onnx(model, folder / ONNX_FILE, crop)
    export_easyocr(model, folder / "easyocr", crop.height)
    return difference


class _Run:
    """Keeps the clock of a run: what to log, save and evaluate after each batch."""

    def __init__(self, trainer: Trainer, held_out: LineShards, say: Callable[[str], None]) -> None:
        self.trainer = trainer
        self.say = say
        self.held_out = held_out
        self.loss = 0.0
        self.lines = 0
        self.busy = 0.0
        self.last = time.monotonic()
        self.saved = self.scored = trainer.seconds

    def advance(self, batch: Batch) -> None:
        trainer, settings = self.trainer, self.trainer.settings
        begun = time.monotonic()
        self.loss += trainer.learn(batch)
        now = time.monotonic()
        trainer.seconds += now - self.last
        self.busy += now - begun
        self.last = now
        self.lines += len(batch.lengths)
        if trainer.step % settings.log_every == 0:
            self._log()
        if trainer.seconds - self.saved > 60 * settings.checkpoint_minutes:
            trainer.save()
            self.saved = trainer.seconds
        if trainer.seconds - self.scored > 60 * settings.eval_minutes:
            score = evaluate(trainer.average, self.held_out, settings.crop, settings.eval_lines, settings.bfloat16)
            self.say(score.describe())
            self.scored = trainer.seconds

    def _log(self) -> None:
        trainer, every = self.trainer, self.trainer.settings.log_every
        path = trainer.out / LOG
        new = not path.exists()
        row = {
            "step": trainer.step,
            "minutes": round(trainer.seconds / 60, 2),
            "epoch": trainer.epoch,
            "loss": round(self.loss / every, 4),
            "learning_rate": f"{trainer.optimiser.param_groups[0]['lr']:.2e}",
            "lines_per_second": round(self.lines / max(self.busy, 1e-6), 1),
        }
        with path.open("a", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        self.say("  ".join(f"{name} {value}" for name, value in row.items()))
        self.loss, self.lines, self.busy = 0.0, 0, 0.0
