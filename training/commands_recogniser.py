"""The command ``tagtrace train recogniser``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def recogniser(
    data: Annotated[list[Path] | None, typer.Option(help="Folder of line shards to train on; may be repeated.")] = None,
    held_out: Annotated[Path | None, typer.Option(help="Folder of line shards to evaluate on.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for checkpoints, log and results; a run there is continued.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings as TOML; the options here come after it.")] = None,
    start: Annotated[str | None, typer.Option(help="'ppocr', 'scratch' or a checkpoint of an earlier run.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length of the run in minutes, in place of --steps.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in batches.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the training process.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and changes.")] = None,
) -> None:
    """Train the line recogniser and export it to ONNX and to EasyOCR's format.

    Example: tagtrace train recogniser --data lines/train --held-out lines/val --out runs/recogniser --minutes 75
    """
    from dataclasses import replace
    from typing import Any

    from ..contract import TagtraceError
    from .recogniser import RecogniserSettings, load_settings, train

    settings = load_settings(config) if config else RecogniserSettings()
    given: dict[str, Any] = {
        "data": tuple(str(folder) for folder in data) if data else None,
        "held_out": str(held_out) if held_out else None,
        "out": str(out) if out else None,
        "start": start,
        "minutes": minutes,
        "steps": steps,
        "threads": threads,
        "seed": seed,
    }
    settings = replace(settings, **{name: value for name, value in given.items() if value is not None})
    if not settings.data or not settings.held_out:
        raise TagtraceError("name the folders of line shards: --data for training and --held-out for evaluation")
    train(settings, typer.echo)
