"""The training loop of the detector: ultralytics' trainer for oriented boxes, made fast on a CPU, quiet, and repeatable.

The checkpoints of ultralytics keep the average of the weights in float16 only, from which no run goes on to the same result. So
the whole state is kept beside them after every epoch, and the chance of an epoch depends on the seed and the epoch alone.

Imported only when a run starts, because it needs torch and ultralytics.
"""

from __future__ import annotations

import math
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics.models.yolo.obb import OBBTrainer

from ..contract import TagtraceError
from .detector_settings import DetectorSettings
from .runs import RunRecord

_MEASURED = {"metrics/mAP50(B)": "map50", "metrics/mAP50-95(B)": "map50_95", "metrics/precision(B)": "precision"}
_MEASURED |= {"metrics/recall(B)": "recall"}
_SEED_STEP = 1_000_003
"""Between the seeds of two runs, so that their epochs share none."""


class OfflineTrainer(OBBTrainer):  # type: ignore[misc]  # ultralytics has no types
    """Trains with a bfloat16 forward pass and channels-last memory on a CPU, and records progress.

    ``photos_seen`` and ``train_seconds`` count what went through the network in this process and how long that took, ``batches``
    all batches of the run. ``state`` is the file that a run goes on from; with ``resume`` it must be there.
    """

    def __init__(
        self, *, overrides: dict[str, Any], settings: DetectorSettings, record: RunRecord, state: Path, resume: bool = False
    ) -> None:
        self.run_settings = settings
        self.record = record
        self.state_file = state
        self.goes_on = resume
        self.photos_seen = 0
        self.train_seconds = 0.0
        self.batches = 0
        self._batch_started = 0.0
        self._batch_of_epoch = 0
        results = settings.out / "results.csv"
        # ultralytics begins the table anew
        self._rows = results.read_text(encoding="utf-8").splitlines() if resume and results.is_file() else []
        super().__init__(overrides=overrides)
        # The trainer sets the number of loader processes to 0 on a CPU; with spare cores they are worth having.
        self.args.workers = settings.workers
        self.add_callback("on_train_start", OfflineTrainer._prepare)
        self.add_callback("on_train_batch_end", OfflineTrainer._count_batch)
        self.add_callback("on_train_epoch_start", OfflineTrainer._start_epoch)
        self.add_callback("on_train_batch_start", OfflineTrainer._set_learning_rate)
        self.add_callback("on_fit_epoch_end", OfflineTrainer._log_quality)

    @property
    def on_cpu(self) -> bool:
        return bool(self.device.type == "cpu")

    def _prepare(self) -> None:
        """Switch to channels-last and bfloat16 after the average of weights was set up, so that checkpoints stay plain."""
        if not self.on_cpu:
            return
        self.model.to(memory_format=torch.channels_last)
        if self.run_settings.bfloat16:
            self.amp = True  # ultralytics' own check allows it on GPUs only; its autocast takes the device's type
        criterion = getattr(self.model, "criterion", None) or self.model.init_criterion()
        self.model.criterion = _Float32Loss(criterion)

    def _start_epoch(self) -> None:
        """Begin the chance of an epoch anew: order and changes of its photos do not depend on what was drawn before."""
        seed = self.run_settings.seed * _SEED_STEP + self.epoch
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - the generator that ultralytics draws from
        torch.manual_seed(seed)
        self.train_loader.generator.manual_seed(seed)
        self.train_loader.reset()
        self._batch_started = time.perf_counter()
        self._batch_of_epoch = 0

    def _setup_scheduler(self) -> None:
        """As ultralytics does it, with a cosine that ends at the last batch also where batches are counted and not epochs."""
        super()._setup_scheduler()
        steps = self.run_settings.steps
        if steps is not None:
            length, final = steps / len(self.train_loader), self.run_settings.final_rate_fraction

            def factor(epoch: float) -> float:
                return final + (1 - final) * (1 + math.cos(math.pi * min(epoch / length, 1.0))) / 2

            self.lf: Any = factor
            self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lr_lambda=self.lf)

    def save_model(self) -> bool:
        """Write ultralytics' checkpoints, and the state to go on from; of the last epoch there is nothing to go on from."""
        saved = bool(super().save_model())
        if not self.stop:
            state = {
                "epoch": self.epoch,
                "batches": self.batches,
                "model": self.model.state_dict(),
                "average": self.ema.ema.state_dict(),
                "updates": self.ema.updates,
                "optimiser": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "best_fitness": None if self.best_fitness is None else float(self.best_fitness),
                "stopper": [float(self.stopper.best_fitness), int(self.stopper.best_epoch), bool(self.stopper.possible_stop)],
            }
            part = self.state_file.with_suffix(".part")
            torch.save(state, part)
            part.replace(self.state_file)
        return saved

    def resume_training(self, ckpt: Any) -> None:
        """Take the state of the run that is gone on with; ``ckpt`` (ultralytics' own) is not used."""
        if not self.goes_on:
            return
        try:
            state = torch.load(self.state_file, map_location="cpu", weights_only=True)
            self.model.load_state_dict(state["model"])
            self.ema.ema.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimiser"])
            if state["scaler"]:
                self.scaler.load_state_dict(state["scaler"])
            self.ema.updates, self.best_fitness = state["updates"], state["best_fitness"]
            self.stopper.best_fitness, self.stopper.best_epoch, self.stopper.possible_stop = state["stopper"]
            self.start_epoch, self.batches = state["epoch"] + 1, state["batches"]
        except Exception as error:  # a damaged file raises many types
            raise TagtraceError(f"{self.state_file}: cannot be gone on with ({error}); begin a new run without resume") from error
        kept = [row for row in self._rows if not row[:1].isdigit() or float(row.split(",")[0]) <= self.start_epoch]
        self.csv.write_text("".join(f"{row}\n" for row in kept), encoding="utf-8")
        self.record.forget_after(self.batches)

    def _set_learning_rate(self) -> None:
        """Follow the schedule batch by batch: ultralytics moves it once per epoch, too coarse for a run of a few epochs.

        It runs before the warm-up of the first batches, which overrides it.
        """
        factor = self.lf(self.epoch + self._batch_of_epoch / len(self.train_loader))
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def _count_batch(self) -> None:
        now = time.perf_counter()
        self.train_seconds += now - self._batch_started
        self._batch_started = now
        self.photos_seen += self.batch_size
        self.batches += 1
        self._batch_of_epoch += 1
        if self.batches % self.run_settings.log_every == 0:
            losses = {name: round(float(value), 4) for name, value in (self.tloss or {}).items()}
            rate = {f"lr{i}": group["lr"] for i, group in enumerate(self.optimizer.param_groups[:1])}
            speed = round(self.photos_seen / self.train_seconds, 2)
            self.record.log(self.batches, {"epoch": self.epoch + 1, "photos_per_second": speed, **losses, **rate})
        if self.run_settings.steps is not None and self.batches >= self.run_settings.steps:
            self.stop = True

    def _log_quality(self) -> None:
        """Record what the validation measured, where there was one."""
        measured = {name: float(self.metrics[key]) for key, name in _MEASURED.items() if self.metrics and key in self.metrics}
        if self.epoch < self.epochs and self.fitness is not None and (self.args.val or self.stop):
            self.record.log(self.batches, {"epoch": self.epoch + 1, **measured})

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """As ultralytics does it, with the memory layout that convolutions on a CPU are fastest with."""
        ready: dict[str, Any] = super().preprocess_batch(batch)
        if self.on_cpu:
            ready["img"] = ready["img"].to(memory_format=torch.channels_last)
        return ready


class _Float32Loss:
    """Computes a loss in float32 whatever precision the network ran in: bfloat16 knows a box edge to half a stride only."""

    def __init__(self, criterion: Any) -> None:
        self._criterion = criterion

    def __call__(self, preds: Any, batch: dict[str, Any]) -> Any:
        with torch.autocast("cpu", enabled=False):
            return self._criterion(_to_float32(preds), batch)

    def __getattr__(self, name: str) -> Any:
        if name == "_criterion":  # not there yet while the object is being copied
            raise AttributeError(name)
        return getattr(self._criterion, name)


def _to_float32(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _to_float32(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_to_float32(entry) for entry in value)
    return value
