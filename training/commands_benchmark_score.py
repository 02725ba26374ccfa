"""The commands ``tagtrace benchmark score``, ``growth`` and ``workers``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..contract import ExitCode, TagtraceError
from .commands_benchmark_limits import SAMPLE

if TYPE_CHECKING:
    from rich.table import Table

    from .benchmark_limits import LimitSettings

PEERS = "rapidocr,faster-paddle-tiny,faster-paddle,easyocr,tesseract"
_PHOTOS_HELP = "Photos or a folder of photos (JPEG); can be given several times."
_OUT_HELP = "Also write the numbers to this JSON file."
_ENGINE_HELP = "The engine of tagtrace score, if not its own default: local, ray."


def score(
    photos: Annotated[list[Path] | None, typer.Option(help=_PHOTOS_HELP)] = None,
    truth: Annotated[Path | None, typer.Option(help="Truth file of the photos: also measure what each reader finds.")] = None,
    peers: Annotated[str, typer.Option(help="Other readers, with commas between them; empty for none.")] = PEERS,
    rounds: Annotated[int, typer.Option(min=1, help="How often the readers take turns.")] = 5,
    copies: Annotated[int, typer.Option(min=1, help="Copies of each photo that tagtrace scores in a round.")] = 6,
    peer_copies: Annotated[int, typer.Option(min=1, help="Copies of each photo that another reader scores in a round.")] = 2,
    limit: Annotated[int, typer.Option(min=0, help="Only the first so many photos; 0 for all.")] = 0,
    limits: Annotated[bool, typer.Option("--limits/--no-limits", help="Measure the least time of a photo in each round.")] = True,
    out: Annotated[Path | None, typer.Option(help=_OUT_HELP, show_default=False)] = None,
) -> int:
    """Measure scoring as it runs, in rounds with other readers: photos per second, stages, and the least time of a photo.

    Example: tagtrace benchmark score --photos datasets/sample/photos --truth datasets/sample/truth.jsonl --out score.json
    """
    from ..datasets.truth import read_truth
    from .benchmark import photo_files
    from .benchmark_score import RoundSettings, benchmark_score
    from .benchmark_score_text import missing, score_tables

    known = read_truth(truth) if truth is not None else []
    found = photo_files(photos or [SAMPLE], known)[: limit or None]
    names = [name.strip() for name in peers.split(",") if name.strip()]
    settings = RoundSettings(rounds, copies, peer_copies)
    result = benchmark_score(found, list(dict.fromkeys(names)), known, settings, _limits() if limits else None, _say)
    _show(score_tables(result), result.to_json(), out)
    for line in missing(result):
        typer.echo(line, err=True)
    return ExitCode.SOME_FAILED if missing(result) else ExitCode.OK


def _limits() -> LimitSettings | None:
    """How limits are measured; None, with a word why, where arithmetic cannot be counted."""
    try:
        from .benchmark_limits import LimitSettings
    except ImportError as error:
        _say(f"without limits: the library {error.name!r} is missing; install it with: pip install 'tagtrace[train]'")
        return None
    return LimitSettings()


def growth(
    photos: Annotated[list[Path] | None, typer.Option(help=_PHOTOS_HELP)] = None,
    counts: Annotated[str, typer.Option(help="Photos of each run, with commas; copies that differ in a comment.")] = "500,20000",
    window: Annotated[int, typer.Option(min=1, help="Photos over which the cost of one is taken.")] = 500,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: as many as scoring chooses.")] = 0,
    engine: Annotated[str, typer.Option(help=_ENGINE_HELP)] = "",
    folder: Annotated[Path, typer.Option(help="Where copies and results lie meanwhile (some GB).")] = Path("runs/growth"),
    out: Annotated[Path | None, typer.Option(help=_OUT_HELP, show_default=False)] = None,
) -> None:
    """Measure whether memory and the cost of a photo grow with the number of photos in a run.

    Example: tagtrace benchmark growth --photos datasets/sample/photos --counts 500,20000 --out growth.json
    """
    from .benchmark import photo_files
    from .benchmark_growth import GrowthSettings, benchmark_growth
    from .benchmark_score_text import growth_tables

    settings = GrowthSettings(_numbers(counts, "--counts"), window, workers, _engine(engine))
    result = benchmark_growth(photo_files(photos or [SAMPLE]), folder, settings, _say)
    _show(growth_tables(result), result.to_json(), out)


def workers(
    photos: Annotated[list[Path] | None, typer.Option(help=_PHOTOS_HELP)] = None,
    counts: Annotated[str, typer.Option(help="Worker processes of each run, with commas.")] = "1,2",
    rounds: Annotated[int, typer.Option(min=1, help="How often they take turns.")] = 5,
    copies: Annotated[int, typer.Option(min=1, help="Copies of each photo in a run.")] = 4,
    engine: Annotated[str, typer.Option(help=_ENGINE_HELP)] = "",
    out: Annotated[Path | None, typer.Option(help=_OUT_HELP, show_default=False)] = None,
) -> None:
    """Measure photos per second with one worker process on one processor, two on two, and so on.

    Example: tagtrace benchmark workers --photos datasets/sample/photos --counts 1,2 --out workers.json
    """
    from .benchmark import photo_files
    from .benchmark_score_text import workers_table
    from .benchmark_workers import WorkersSettings, benchmark_workers

    settings = WorkersSettings(_numbers(counts, "--counts"), rounds, copies, _engine(engine))
    result = benchmark_workers(photo_files(photos or [SAMPLE]), settings, _say)
    _show([workers_table(result)], result.to_json(), out)


def _say(message: str) -> None:
    typer.echo(message, err=True)


def _numbers(text: str, option: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise TagtraceError(f"{option} {text}: give whole numbers with commas between them") from error
    if min(found) < 1:
        raise TagtraceError(f"{option} {text}: the least is 1")
    return found


def _engine(name: str) -> tuple[str, ...]:
    return ("--engine", name) if name else ()


def _show(tables: Iterable[Table], numbers: dict[str, Any], out: Path | None) -> None:
    """Print the tables, and write the numbers where they are wanted."""
    from ..datasets.files import atomic_text
    from .tables import console

    printed = console()
    for table in tables:
        printed.print(table)
    if out is not None:
        with atomic_text(out) as file:
            json.dump(numbers, file, indent=1, allow_nan=False)
