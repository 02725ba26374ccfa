"""The training loop of the detector: ultralytics' trainer for oriented boxes, made fast on a CPU and quiet.

Imported only when a run starts, because it needs torch and ultralytics.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from ultralytics.models.yolo.obb import OBBTrainer

if TYPE_CHECKING:
    from .detector import DetectorSettings


class OfflineTrainer(OBBTrainer):  # type: ignore[misc]  # ultralytics has no types
    """Trains with a bfloat16 forward pass and channels-last memory on a CPU, and reports progress in plain rows.

    ``photos_seen`` and ``train_seconds`` count what went through the network in this process and how long that took.
    """

    def __init__(self, *, overrides: dict[str, Any], settings: DetectorSettings, log: Callable[[dict[str, float]], None]) -> None:
        self.run_settings = settings
        self.log_row = log
        self.photos_seen = 0
        self.train_seconds = 0.0
        self._batch_started = 0.0
        self._batches = 0
        self._batch_of_epoch = 0
        super().__init__(overrides=overrides)
        # The trainer sets the number of loader processes to 0 on a CPU; with spare cores they are worth having.
        self.args.workers = settings.workers
        self.add_callback("on_train_start", OfflineTrainer._prepare)
        self.add_callback("on_train_batch_end", OfflineTrainer._count_batch)
        self.add_callback("on_train_epoch_start", OfflineTrainer._start_epoch)
        self.add_callback("on_train_batch_start", OfflineTrainer._set_learning_rate)

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
        self._batch_started = time.perf_counter()
        self._batch_of_epoch = 0

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
        self._batches += 1
        self._batch_of_epoch += 1
        if self._batches % self.run_settings.log_every == 0:
            losses = {name: round(float(value), 4) for name, value in (self.tloss or {}).items()}
            rate = {f"lr{i}": group["lr"] for i, group in enumerate(self.optimizer.param_groups[:1])}
            speed = round(self.photos_seen / self.train_seconds, 2)
            self.log_row({"epoch": self.epoch + 1, "batch": self._batches, "photos_per_second": speed, **losses, **rate})

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
