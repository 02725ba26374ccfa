"""The command that measures what is gained by reading the photos of one advert together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate_together(
    truth: Annotated[Path, typer.Argument(help="Truth of photos that show the same adverts several times: truth.jsonl.")],
    photos: Annotated[Path | None, typer.Option(help="Folder with the photos; by default `photos` beside the truth.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the table, the numbers and the plot.")] = Path("together"),
    least: Annotated[int, typer.Option(min=1, help="Leave out adverts with fewer photos than this.")] = 3,
    most: Annotated[int, typer.Option(min=1, help="Read at most so many photos together.")] = 5,
    threads: Annotated[int, typer.Option(min=0, help="Processor threads of the models; 0 leaves it to them.")] = 0,
) -> None:
    """Measure recall and precision of identifiers by the number of photos that are read together.

    Photos for it: tagtrace synth --out walls --count 160 --sightings 4 --split test

    Example: tagtrace evaluate-together walls/test/truth.jsonl --out together
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ..datasets.truth import read_truth
    from ..scoring.build import build_engine
    from ..scoring.settings import ScoreSettings
    from .together import TogetherEvaluation, look_at, measure, table, write

    base = truth if truth.is_dir() else truth.parent
    settings = TogetherEvaluation(least_photos=least, most_photos=most)
    shown = read_truth(truth)
    pipeline = build_engine(ScoreSettings(), threads=threads).pipeline
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        reading = progress.add_task("photos", total=len(shown))
        walls = look_at(shown, photos or base / "photos", pipeline, settings, lambda n: progress.update(reading, completed=n))
        joining = progress.add_task("together", total=most)
        rows = measure(walls, settings, lambda n: progress.update(joining, completed=n))
    write(rows, out)
    typer.echo(table(rows), nl=False)
    typer.echo(f"Written to {out}", err=True)
