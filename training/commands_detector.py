"""The command ``tagtrace train detector``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def detector(
    config: Annotated[Path | None, typer.Option(help="TOML file of settings; options given here take precedence.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder in the YOLO-OBB layout, as `tagtrace synth` writes it.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run: checkpoints, results and progress.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Checkpoint (.pt) or exported detector (.onnx) to start from.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Train for so many batches instead of a number of epochs.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training photos.")] = None,
    hours: Annotated[float | None, typer.Option(min=0.001, help="Train for this long instead of a number of epochs.")] = None,
    input_px: Annotated[int | None, typer.Option(min=64, help="Long side of the training pictures, a multiple of 32.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Photos per step.")] = None,
    photos: Annotated[int | None, typer.Option(min=1, help="Use only the first so many training photos.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to train: cpu, cuda, cuda:N or mps.")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs that were no better; 0: never.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")] = False,
    export: Annotated[Path | None, typer.Option(help="Write the best checkpoint as ONNX to this file afterwards.")] = None,
) -> None:
    """Fine-tune the detector of text lines and codes.

    Every setting of `training/detector_settings.py` can stand in --config.

    Example:

        tagtrace train detector --data walls/yolo --weights yolo11n.pt --out runs/detector --epochs 6 --export detector.onnx
    """
    from ..contract import TagtraceError
    from .detector import export_detector, train_detector
    from .detector_settings import DetectorSettings
    from .settings_file import load_settings_file

    given = {
        "data": data,
        "out": out,
        "weights": weights,
        "steps": steps,
        "epochs": epochs,
        "hours": hours,
        "input_px": input_px,
        "batch": batch,
        "photos": photos,
        "threads": threads,
        "device": device,
        "patience": patience,
        "seed": seed,
    }
    if config is None and (data is None or out is None):
        raise TagtraceError("give --data and --out, or a --config file that names them")
    settings = load_settings_file(DetectorSettings, config, given)
    result = train_detector(settings, resume=resume)
    typer.echo(
        f"{result.weights}: mAP50 {result.map50:.3f}, mAP50-95 {result.map50_95:.3f}, "
        f"{result.seconds / 60:.1f} min, {result.photos_per_second:.1f} photos/s"
    )
    if export is not None:
        typer.echo(f"{export_detector(result.weights, export, input_px=settings.input_px)}: exported")
