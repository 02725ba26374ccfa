"""The command ``tagtrace train recogniser``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def recogniser(
    data: Annotated[list[Path] | None, typer.Option(help="Folder of line shards to train on; may be repeated.")] = None,
    held_out: Annotated[Path | None, typer.Option(help="Folder of line shards to evaluate on.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for checkpoints, record, results; a run there goes on.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings as TOML; the options here come after it.")] = None,
    start: Annotated[str | None, typer.Option(help="'ppocr', 'scratch' or a checkpoint of an earlier run.")] = None,
    teacher: Annotated[str | None, typer.Option(help="A trained recogniser to be like, beside the texts.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length of the run in minutes, in place of --steps.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in batches.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the training process.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to train: cpu, cuda, cuda:N or mps.")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many evaluations that were no better; 0: never.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and changes.")] = None,
) -> None:
    """Train the line recogniser and export it to ONNX and to EasyOCR's format. Stopped or killed, it goes on where it was.

    Every setting of `training/recogniser_settings.py` can stand in --config.

    Example: tagtrace train recogniser --data lines/train --held-out lines/val --out runs/recogniser --minutes 75
    """
    from typing import Any

    from ..contract import TagtraceError
    from .recogniser import train
    from .recogniser_settings import RecogniserSettings
    from .settings_file import load_settings_file

    given: dict[str, Any] = {
        "data": [str(folder) for folder in data] if data else None,
        "held_out": str(held_out) if held_out else None,
        "out": str(out) if out else None,
        "start": start,
        "teacher": teacher,
        "minutes": minutes,
        "steps": steps,
        "threads": threads,
        "device": device,
        "patience": patience,
        "seed": seed,
    }
    settings = load_settings_file(RecogniserSettings, config, given)
    if not settings.data or not settings.held_out:
        raise TagtraceError("name the folders of line shards: --data for training and --held-out for evaluation")
    train(settings, typer.echo)
