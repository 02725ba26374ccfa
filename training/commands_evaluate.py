"""The command ``tagtrace evaluate``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Part(StrEnum):
    """What can be evaluated alone."""

    RECOGNISER = "recogniser"
    DETECTOR = "detector"


def evaluate(
    truth: Annotated[Path, typer.Argument(help="Truth file (truth.jsonl), or the folder that holds it.", show_default=False)],
    photos: Annotated[Path | None, typer.Option(help="Folder of the photos; if not given, `photos` beside the truth.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Measure this predictions.jsonl and score nothing.")] = None,
    reader: Annotated[str, typer.Option(help="Reader that scores the photos first: tagtrace, rapidocr, …")] = "tagtrace",
    only: Annotated[Part | None, typer.Option(help="Evaluate one model alone, the other steps taken from the truth.")] = None,
    model: Annotated[str | None, typer.Option(help="With --only: name of a registered model, or a model file.")] = None,
    shops: Annotated[Path | None, typer.Option(help="CSV of the known shops, to measure links.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the numbers, the report and the pictures.")] = Path("evaluation"),
    workers: Annotated[int, typer.Option(min=0, help="Processes that score; 0 is one per processor.")] = 0,
    limit: Annotated[int, typer.Option(min=0, help="Only the first so many photos of the truth; 0 for all.")] = 0,
) -> None:
    """Measure results against a truth file, slice by slice, with pictures of the worst misses.

    Example:

        tagtrace evaluate walls/truth.jsonl --photos walls/photos --shops shops.csv --out evaluation
    """
    from ..contract import TagtraceError
    from ..datasets.truth import read_truth
    from .evaluate import Plan, run, summary

    if predictions is not None and only is not None:
        raise TagtraceError("give --predictions or --only, not both: predictions are of the whole product")
    if model is not None and only is None:
        raise TagtraceError("--model says which model --only evaluates; give --only recogniser or --only detector with it")
    base = truth if truth.is_dir() else truth.parent
    folder = photos or (base / "photos" if (base / "photos").is_dir() else base)
    plan = Plan(folder, out, predictions, reader, only.value if only else None, model, shops, workers)
    evaluation = run(read_truth(truth)[: limit or None], plan, lambda message: typer.echo(message, err=True))
    typer.echo(summary(evaluation))
    typer.echo(f"Written to {out}", err=True)
