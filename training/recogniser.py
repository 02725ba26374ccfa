"""Training of the recogniser: ``train(settings)`` reads line shards and leaves checkpoints, a record and the trained weights.

The network starts from PP-OCRv6 small (see ``recogniser_start``), learns with the CTC loss in ``float32`` while the convolutions
run in ``bfloat16`` (3 times as fast on a processor that has AVX-512 BF16), and keeps a moving average of its weights, which is
what is evaluated and exported. A run can be stopped at any time and goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from safetensors.torch import save_file

from ..datasets.lineshards import LineShards
from ..models.linecrop import CropSettings
from .easyocr_format import export_easyocr
from .recogniser_data import Batch
from .recogniser_eval import Score, evaluate
from .recogniser_export import export_onnx
from .recogniser_net import Model
from .recogniser_settings import MAY_CHANGE, NetworkSettings, RecogniserSettings
from .recogniser_trainer import BEST, CHECKPOINT, Trainer, described, load_weights
from .runs import RunRecord, begin_run

ONNX_FILE = "recogniser.onnx"
WEIGHTS_FILE = "recogniser.safetensors"


def train(settings: RecogniserSettings, say: Callable[[str], None] = print) -> Score:
    """Run, or go on with, one training; returns the final score on the held-out lines.

    The same data, settings and machine give the same weights (``minutes`` 0, ``threads`` 1, on a CPU), also when the run was
    killed after a checkpoint and went on. Raises TagtraceError when data are missing, or a run in ``settings.out`` was begun with
    other settings. Progress goes to ``say`` and to the files of ``runs`` in ``settings.out``.
    """
    settings = _as_started(settings)
    held_out = LineShards(settings.held_out)
    out = Path(settings.out)
    data = [*map(Path, settings.data), Path(settings.held_out)]
    goes_on = (out / CHECKPOINT).exists()
    if not goes_on:
        (out / BEST).unlink(missing_ok=True)
    record = begin_run(out, "recogniser", settings, data, settings.tracking, resume=goes_on, may_change=MAY_CHANGE)
    trainer = Trainer(settings)
    record.forget_after(trainer.step)
    run = _Run(trainer, held_out, record, say)
    try:
        batches = trainer.batches()
        while trainer.progress < 1.0 and not run.stop:
            run.advance(next(batches))
    finally:
        if trainer.whole:  # else the last checkpoint is what a run goes on from
            trainer.save()
    if settings.patience and (out / BEST).exists():
        load_weights(trainer.average, out / BEST)
    score = evaluate(trainer.average, held_out, settings.crop, 0, bfloat16=False)
    say(score.describe())
    (out / "score.txt").write_text(score.describe() + "\n", encoding="utf-8")
    difference = export(trainer.average.to("cpu"), out, settings.crop, settings.network)
    say(f"{out / ONNX_FILE}: within {difference:.1e} of the network")
    whole = score.whole
    result = {"cer": score.cer, "exact": whole.exact / max(whole.lines, 1), "lines": whole.lines, "steps": trainer.step}
    record.finish({**result, "minutes": trainer.seconds / 60, "onnx_difference": difference, "stopped_early": run.stop})
    return score


def export(model: Model, folder: Path, crop: CropSettings, network: NetworkSettings | None = None) -> float:
    """Write ``recogniser.onnx``, ``recogniser.safetensors`` and the folder ``easyocr`` to ``folder``.

    Returns the largest difference of log-probabilities between the network and its ONNX form.
    """
    sizes = asdict(network or NetworkSettings())
    described = {"network": json.dumps(sizes), "crop": json.dumps(asdict(crop))}
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / WEIGHTS_FILE, described)
    difference = export_onnx(model, folder / ONNX_FILE, crop)
    export_easyocr(model, folder / "easyocr", crop.height, sizes)
    return difference


def _as_started(settings: RecogniserSettings) -> RecogniserSettings:
    """``settings`` with the sizes of the network that the run starts from, and its crops, where they give none."""
    if settings.start in ("ppocr", "scratch"):
        return settings
    network, crop = described(settings.start)
    return replace(
        settings,
        network=network if settings.network == NetworkSettings() else settings.network,
        crop=crop if settings.crop == CropSettings() else settings.crop,
    )


class _Run:
    """Keeps the clock of a run: what to log, save and evaluate after each batch, and when to stop."""

    def __init__(self, trainer: Trainer, held_out: LineShards, record: RunRecord, say: Callable[[str], None]) -> None:
        self.trainer = trainer
        self.say = say
        self.held_out = held_out
        self.record = record
        self.loss = 0.0
        self.lines = 0
        self.busy = 0.0
        self.since = trainer.step
        self.last = time.monotonic()
        self.saved = self.scored = trainer.seconds

    @property
    def stop(self) -> bool:
        """Whether the evaluations say that more would not help."""
        patience = self.trainer.settings.patience
        return bool(patience) and self.trainer.waited >= patience

    def advance(self, batch: Batch) -> None:
        """One step, and what is due after it."""
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
        evaluated = self._due(settings.eval_steps, settings.eval_minutes, self.scored)
        if evaluated:
            self._evaluate()
        if evaluated or self._due(settings.checkpoint_steps, settings.checkpoint_minutes, self.saved):
            trainer.save()
            self.saved = trainer.seconds

    def _due(self, steps: int, minutes: float, since: float) -> bool:
        return self.trainer.step % steps == 0 if steps else self.trainer.seconds - since > 60 * minutes

    def _evaluate(self) -> None:
        trainer, settings = self.trainer, self.trainer.settings
        score = evaluate(trainer.average, self.held_out, settings.crop, settings.eval_lines, settings.bfloat16)
        self.scored = trainer.seconds
        self.say(score.describe())
        self._tell({"held_out_cer": score.cer, "held_out_exact": score.whole.exact / max(score.whole.lines, 1)})
        if score.cer < trainer.best_cer:
            trainer.best_cer, trainer.waited = score.cer, 0
            trainer.save_best()
        else:
            trainer.waited += 1
            if self.stop:
                self.say(f"stopping early: no better in {trainer.waited} evaluations than CER {trainer.best_cer:.4f}")

    def _log(self) -> None:
        trainer = self.trainer
        done = trainer.step - self.since
        row = {
            "minutes": round(trainer.seconds / 60, 2),
            "epoch": trainer.epoch,
            "loss": round(self.loss / max(done, 1), 4),
            "learning_rate": trainer.optimiser.param_groups[0]["lr"],
            "lines_per_second": round(self.lines / max(self.busy, 1e-6), 1),
            "progress": round(trainer.progress, 4),
        }
        self._tell(row)
        self.loss, self.lines, self.busy, self.since = 0.0, 0, 0.0, trainer.step

    def _tell(self, row: Mapping[str, float | int]) -> None:
        self.record.log(self.trainer.step, row)
        self.say("  ".join((f"step {self.trainer.step}", *(f"{name} {value:.4g}" for name, value in row.items()))))
