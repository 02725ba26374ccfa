"""The state of a training of the recogniser: the network, its moving average, the optimiser, and how far it is.

A checkpoint holds all of it, with the place in the order of batches. Since a batch depends on (seed, epoch, number) alone, a run
that was killed and goes on takes the same steps as one that was not.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from ..contract import TagtraceError
from ..datasets.lineshards import LineShards
from ..models.alphabet import ALPHABET
from ..models.linecrop import CropSettings
from .devices import device_of
from .recogniser_data import Batch, TrainBatches
from .recogniser_net import Model
from .recogniser_settings import NetworkSettings, RecogniserSettings
from .recogniser_start import load_ppocr, ppocr_file

CHECKPOINT, BEST = "last.pt", "best.pt"
BATCHES_AHEAD = 6


class Trainer:
    """The state of one run. Made from a checkpoint in ``settings.out`` where there is one."""

    def __init__(self, settings: RecogniserSettings) -> None:
        self.device = device_of(settings.device)
        torch.manual_seed(settings.seed)
        torch.set_num_threads(settings.threads)
        self.settings = settings
        self.out = Path(settings.out)
        model = Model(1 + len(ALPHABET), **asdict(settings.network))
        # statistics from a pretrained start are kept: small batches of one width would only blur them
        self.freeze_norm = settings.start != "scratch"
        if settings.start == "ppocr":
            load_ppocr(model, ppocr_file(), ALPHABET)
        elif settings.start != "scratch":
            load_weights(model, settings.start)
        self.teacher: Model | None = None
        if settings.teacher:
            teacher, _, _ = model_of(settings.teacher)
            self.teacher = teacher.requires_grad_(False).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model: Model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self._groups(), lr=settings.learning_rate, betas=(0.9, 0.98))
        self.step = 0
        self.epoch = 0
        self.taken = 0
        """Batches of the epoch that are done."""
        self.crops = 0
        """Crops in the data of the epoch: where more have come, its order is another."""
        self.seconds = 0.0
        self.best_cer = math.inf
        self.waited = 0
        """Evaluations since the best one."""
        self.whole = True
        """Whether no step is half done."""
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
        path = self.out / CHECKPOINT
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds = state["step"], state["seconds"]
            # a checkpoint of an earlier version does not tell its place in the epoch: it goes on with the next one
            self.epoch = state["epoch"] if "taken" in state else state["epoch"] + 1
            self.taken, self.crops = state.get("taken", 0), state.get("crops", 0)
            self.best_cer, self.waited = state.get("best_cer", math.inf), state.get("waited", 0)
            if "random" in state:
                torch.set_rng_state(state["random"])
        except Exception as error:  # a damaged file raises many types
            raise TagtraceError(
                f"{path}: cannot be gone on with ({error}); begin a new run in another folder, with --start for its weights"
            ) from error

    def save(self) -> None:
        """Write the checkpoint; an interrupted write leaves the one before."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "epoch": self.epoch,
            "taken": self.taken,
            "crops": self.crops,
            "seconds": self.seconds,
            "best_cer": self.best_cer,
            "waited": self.waited,
            "random": torch.get_rng_state(),
            "alphabet": ALPHABET,
            "crop": asdict(self.settings.crop),
            "network": asdict(self.settings.network),
        }
        write_whole(state, self.out / CHECKPOINT)

    def save_best(self) -> None:
        """Keep the averaged weights as the best so far."""
        network, crop = asdict(self.settings.network), asdict(self.settings.crop)
        write_whole({"average": self.average.state_dict(), "network": network, "crop": crop}, self.out / BEST)

    @property
    def progress(self) -> float:
        """How much of the run is done, 0..1."""
        if self.settings.minutes > 0:
            return min(self.seconds / (60 * self.settings.minutes), 1.0)
        return min(self.step / self.settings.steps, 1.0)

    def learn(self, batch: Batch) -> float:
        """One step of the optimiser; returns the mean loss per line."""
        self.whole = False
        rate = self.settings.learning_rate * _shape(self.progress, self.settings.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        self.model.train()
        if self.freeze_norm:
            for part in self.model.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()
        loss = self._loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimiser.step()
        self.step += 1
        self._follow()
        self.taken += 1
        self.whole = True
        return float(loss.detach())

    def _loss(self, batch: Batch) -> Tensor:
        log_probs = log_probs_of(self.model, batch, self.settings.bfloat16)
        loss = ctc_loss(log_probs, batch)
        if self.teacher is None:
            return loss
        with torch.no_grad():
            wanted = log_probs_of(self.teacher, batch, self.settings.bfloat16)
        share = self.settings.teacher_share
        return (1 - share) * loss + share * teacher_loss(log_probs, wanted, batch)

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
        """Batches without end, from where the run is; each epoch looks for new shards, so that data may still be growing."""
        while True:
            shards = LineShards(self.settings.data)
            crops = self.settings.crop, self.settings.batch, self.settings.augment
            if self.taken and len(shards) != self.crops:  # the order that was begun is no more
                self.epoch, self.taken = self.epoch + 1, 0
            self.crops = len(shards)
            epoch = TrainBatches(shards, *crops, self.settings.seed, self.epoch)
            if not len(epoch):
                raise TagtraceError(f"{', '.join(self.settings.data)}: no crop there that can be trained on")
            ahead = BATCHES_AHEAD if self.settings.workers else None
            order = range(self.taken, len(epoch))
            yield from DataLoader(epoch, batch_size=None, sampler=order, num_workers=self.settings.workers, prefetch_factor=ahead)
            self.epoch, self.taken = self.epoch + 1, 0


def _shape(progress: float, warm_up: float) -> float:
    """Learning rate over the run as a share of its peak: a linear rise, then a cosine down to 1 %."""
    if progress < warm_up:
        return max(progress / warm_up, 0.02)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def log_probs_of(model: nn.Module, batch: Batch, bfloat16: bool) -> Tensor:
    """Log-probabilities (n, steps, classes) of a batch, in ``float32``, on the device of ``model``."""
    device = next(model.parameters()).device
    pictures = batch.pictures.to(device).contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        logits = model(pictures)
    found: Tensor = logits.float().log_softmax(-1)
    return found


def ctc_loss(log_probs: Tensor, batch: Batch) -> Tensor:
    """Mean over lines of the CTC loss divided by the text's length; ``log_probs`` is (n, steps, classes)."""
    log_probs = log_probs.transpose(0, 1)
    if log_probs.device.type == "mps":  # torch has no CTC loss there
        log_probs = log_probs.cpu()
    steps = torch.full((len(batch.lengths),), log_probs.shape[0], dtype=torch.int64)
    return functional.ctc_loss(log_probs, batch.targets.to(log_probs.device), steps, batch.lengths, zero_infinity=True)


def teacher_loss(log_probs: Tensor, wanted: Tensor, batch: Batch) -> Tensor:
    """Mean over lines of the Kullback-Leibler divergence from ``wanted``, the teacher's log-probabilities, to ``log_probs``, both
    (n, steps, classes): summed over the steps and divided by the text's length, so that it weighs as the CTC loss does."""
    apart = functional.kl_div(log_probs, wanted, reduction="none", log_target=True).sum((1, 2))
    return (apart / batch.lengths.clamp(min=1).to(apart.device)).mean()


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Fill ``model`` with the weights of a ``.safetensors`` file or the averaged ones of a checkpoint.

    Raises TagtraceError when the file is missing or does not fit.
    """
    try:
        if Path(path).suffix == ".safetensors":
            model.load_state_dict(load_file(path))
        else:
            model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    except Exception as error:  # missing, damaged, another network: many types
        raise TagtraceError(f"{path}: not a checkpoint of this recogniser ({error})") from error


def described(path: str | Path) -> tuple[NetworkSettings, CropSettings]:
    """Sizes of the network in a ``.safetensors`` file or a checkpoint, and how its crops are prepared.

    A file of an earlier version does not tell: it has the defaults. Raises TagtraceError where it cannot be read.
    """
    try:
        if Path(path).suffix == ".safetensors":
            with safe_open(path, "pt") as opened:
                told = {name: json.loads(text) for name, text in (opened.metadata() or {}).items() if name in _DESCRIBED}
        else:
            told = torch.load(path, map_location="cpu", weights_only=True)
        told_sizes: dict[str, Any] = told.get("network") or {}
        sizes: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in told_sizes.items()}
        return NetworkSettings(**sizes), CropSettings(**told.get("crop") or {})
    except Exception as error:  # missing, damaged, something else: many types
        raise TagtraceError(f"{path}: not a checkpoint of this recogniser ({error})") from error


_DESCRIBED = ("network", "crop")


def model_of(path: str | Path) -> tuple[Model, NetworkSettings, CropSettings]:
    """The network that a ``.safetensors`` file or a checkpoint holds, ready to be exported, with what ``described`` tells."""
    network, crop = described(path)
    model = Model(1 + len(ALPHABET), **asdict(network))
    load_weights(model, path)
    return model.eval(), network, crop


def write_whole(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint so that whoever opens ``path`` sees the old one or the whole new one."""
    part = path.with_name(f"{path.name}.part")
    torch.save(state, part)
    part.replace(path)
