"""What the notebooks share: how large they run, where they keep things, and the settings that follow from it.

One variable sets it all, ``TAGTRACE_NOTEBOOK``: ``tiny`` (minutes on any machine, to see that everything works), ``laptop`` (an
evening, a model worth looking at), ``gpu`` (a night on a GPU, a model worth promoting).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .. import datasets
from ..contract import TagtraceError
from ..datasets.datacard import write_data_card
from ..datasets.formats.yolo import export_yolo
from ..datasets.synth.compose import SynthSettings
from ..datasets.synth.lines import LineSettings
from ..datasets.synth.run import Job, synthesise
from ..datasets.truth import read_truth
from ..models.registry import Task, resolve
from .compare import CompareSettings
from .compare_speed import SpeedSettings
from .compare_stats import StatisticsSettings
from .detector_settings import DetectorSettings
from .promote import Limits, PromoteSettings
from .recogniser_data import BatchSettings
from .recogniser_settings import RecogniserSettings

SCALE_VARIABLE, FOLDER_VARIABLE = "TAGTRACE_NOTEBOOK", "TAGTRACE_NOTEBOOK_FOLDER"
FOLDER = Path("data") / "notebooks"
"""Where notebooks keep things, below the folder that holds ``notebooks``, unless ``TAGTRACE_NOTEBOOK_FOLDER`` names a place."""
DETECTOR, RECOGNISER = "detector", "recogniser"
"""The folders of the runs of the notebooks on training."""
_MADE = "made.json"


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the notebooks run."""

    name: str
    train_photos: int
    val_photos: int
    report_photos: int
    """Photos that stand for what citizens sent in, and experts decide about."""
    train_lines: int
    val_lines: int
    detector_px: int
    detector_batch: int
    detector_epochs: int
    recogniser_steps: int
    recogniser_batch: int
    """Lines in a batch at most."""
    evaluations: int
    """Looks at the held-out data on the way of a training."""
    draws: int
    """Bootstrap draws of a comparison."""
    calibration: int
    """Photos that the ranges of an INT8 form are taken from at most."""
    workers: int
    """Processes that make data, load pictures and score."""
    device: str = "cpu"
    seed: int = 7


SCALES = {
    "tiny": Scale("tiny", 16, 12, 12, 240, 60, 320, 4, 4, 16, 8, 2, 200, 16, 1),
    "laptop": Scale("laptop", 400, 160, 100, 12_000, 600, 640, 8, 6, 1500, 32, 5, 2000, 100, 2),
    "gpu": Scale("gpu", 5000, 400, 400, 60_000, 2000, 800, 32, 40, 20_000, 64, 10, 2000, 200, 8, "cuda"),
}


def scale_of(name: str = "") -> Scale:
    """The scale of that name; without one that of ``TAGTRACE_NOTEBOOK``, else ``tiny``. Raises TagtraceError for another."""
    wanted = name or os.environ.get(SCALE_VARIABLE) or "tiny"
    if wanted not in SCALES:
        raise TagtraceError(f"{SCALE_VARIABLE} is {wanted!r}; choose one of {', '.join(SCALES)}")
    return SCALES[wanted]


def folder_of(scale: Scale) -> Path:
    """The folder of all notebooks of one scale, made where it is not there."""
    here = Path.cwd()
    base = here.parent if here.name == "notebooks" else here
    folder = Path(os.environ.get(FOLDER_VARIABLE) or base / FOLDER) / scale.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as bad:
        raise TagtraceError(f"{folder}: cannot be made ({bad.strerror or bad}); name another with {FOLDER_VARIABLE}") from bad
    return folder


def sample_set() -> Path:
    """The sample photos that are installed with tagtrace: for measuring only, nothing is learned or chosen from them."""
    return Path(str(datasets.__path__[0])) / "sample"


@dataclass(frozen=True, slots=True)
class Walls:
    """The data that the notebooks make: folders with ``photos`` and ``truth.jsonl``, line shards, and YOLO labels.

    ``reports`` are photos of other walls and shops, which stand for what comes in from the streets.
    """

    train: Path
    val: Path
    train_lines: Path
    val_lines: Path
    yolo: Path
    reports: Path


def make_walls(folder: Path, scale: Scale, tell: Callable[[str], None] = lambda message: None) -> Walls:
    """Generate the data of a scale below ``folder``; what an earlier notebook made with the same numbers is taken as it is."""
    made = folder / _MADE
    wanted = json.dumps(asdict(scale), sort_keys=True)
    base, other = folder / "walls", folder / "reports"
    if not (made.is_file() and made.read_text(encoding="utf-8") == wanted):
        parts = [
            (base, "train", scale.train_photos, scale.train_lines, scale.seed),
            (base, "val", scale.val_photos, scale.val_lines, scale.seed),
            (other, "train", scale.report_photos, 0, scale.seed + 1),
        ]
        for out, split, photos, lines, seed in parts:
            tell(f"making {photos} photos and {lines} lines: {out.name}/{split}")
            _make(out, split, photos, lines, seed, scale.workers)
        made.write_text(wanted, encoding="utf-8")
    train, val = base / "train", base / "val"
    return Walls(train, val, train / "lines", val / "lines", base / "yolo", other / "train")


def _make(out: Path, split: str, photos: int, lines: int, seed: int, workers: int) -> None:
    job = Job(str(out), seed, split, (), (), SynthSettings(), LineSettings())
    for shard in (out / split / "lines").glob("shard-*"):  # of another number of lines
        shard.unlink()
    synthesise(job, photos, lines, workers)
    truth = read_truth(out / split)
    export_yolo(truth, out / split / "photos", out / "yolo", split)
    write_data_card(truth, out / split / "DATACARD.md")


def detector_run(scale: Scale, data: Path, out: Path) -> DetectorSettings:
    """The settings of a training of the detector at this scale, from the shipped weights."""
    return DetectorSettings(
        data=data,
        out=out,
        weights=resolve(Task.DETECTOR).path,
        input_px=scale.detector_px,
        epochs=scale.detector_epochs,
        batch=scale.detector_batch,
        learning_rate=1e-4 if scale.name == "tiny" else 3e-4,
        warmup_epochs=0.0 if scale.name == "tiny" else 0.3,
        device=scale.device,
        workers=0 if scale.workers == 1 else scale.workers - 1,
        cache="none" if scale.name == "gpu" else "ram",
        validate_each_epoch=scale.name != "tiny",
        seed=scale.seed,
        log_every=1 if scale.name == "tiny" else 10,
    )


def recogniser_run(scale: Scale, data: tuple[Path, ...], held_out: Path, out: Path) -> RecogniserSettings:
    """The settings of a training of the recogniser at this scale, from the shipped weights."""
    start = next(path for path, _ in resolve(Task.RECOGNISER).files if path.suffix == ".safetensors")
    looks = max(1, scale.recogniser_steps // scale.evaluations)
    batch = BatchSettings()
    return RecogniserSettings(
        data=tuple(map(str, data)),
        held_out=str(held_out),
        out=str(out),
        start=str(start),
        steps=scale.recogniser_steps,
        learning_rate=1e-4,
        device=scale.device,
        workers=scale.workers - 1,
        eval_steps=looks,
        checkpoint_steps=max(1, looks // 2),
        eval_lines=min(scale.val_lines, 600),
        log_every=1 if scale.name == "tiny" else 10,
        seed=scale.seed,
        batch=replace(batch, max_batch=scale.recogniser_batch, batch_px=min(batch.batch_px, 300 * scale.recogniser_batch)),
    )


def comparison(scale: Scale) -> CompareSettings:
    """How two models are compared at this scale."""
    speed = SpeedSettings(photos=4, repeats=1) if scale.name == "tiny" else SpeedSettings(photos=min(40, scale.val_photos))
    return CompareSettings(statistics=StatisticsSettings(draws=scale.draws), speed=speed, workers=scale.workers)


def gate(scale: Scale) -> PromoteSettings:
    """The limits that a new model has to keep. At ``tiny`` they are loose, because a dozen photos prove nothing: there the way is
    tried out, and what goes through is for no street."""
    if scale.name != "tiny":
        return PromoteSettings(compare=comparison(scale))
    loose = Limits(
        least_photos=8,
        least_empty_photos=0,
        least_identifiers=3,
        recall_fall=0.25,
        recall_fall_sure=1.0,
        precision_fall=0.25,
        precision_fall_sure=1.0,
        cer_rise=0.25,
        false_adverts_rise=1.0,
        cluster_fall=1.0,
        slower=3.0,
    )
    return PromoteSettings(loose, comparison(scale))


def quiet_ultralytics() -> None:
    """Have ultralytics tell nothing but its mistakes: the curves tell the rest. Call it before anything is trained."""
    os.environ["YOLO_VERBOSE"] = "false"


def trained_detector(scale: Scale, walls: Walls, folder: Path) -> Path:
    """The ONNX file of the detector that the notebook on it left in ``folder``; where there is none, it is trained now."""
    out = folder / DETECTOR
    if not (out / "detector.onnx").is_file():
        quiet_ultralytics()
        from .detector import train_detector
        from .export import ExportSettings, export_to_onnx

        best = train_detector(detector_run(scale, walls.yolo, out)).weights
        export_to_onnx(best, out / "detector.onnx", ExportSettings(input_px=scale.detector_px))
    return out / "detector.onnx"


def trained_recogniser(scale: Scale, walls: Walls, folder: Path, tell: Callable[[str], None] = lambda message: None) -> Path:
    """The ONNX file of the recogniser that the notebook on it left in ``folder``; where there is none, it is trained now."""
    out = folder / RECOGNISER
    if not (out / "recogniser.onnx").is_file():
        from .recogniser import train

        train(recogniser_run(scale, (walls.train_lines,), walls.val_lines, out), tell)
    return out / "recogniser.onnx"


def worse_recogniser(out: Path, seed: int = 1) -> Path:
    """A recogniser that has learned nothing, as ONNX in ``out``: to see that a gate refuses it."""
    import torch

    from ..models.alphabet import ALPHABET
    from ..models.linecrop import CropSettings
    from .recogniser import ONNX_FILE, export
    from .recogniser_net import Model

    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    export(Model(1 + len(ALPHABET)), out, CropSettings())
    return out / ONNX_FILE
