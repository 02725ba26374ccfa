"""The command ``tagtrace benchmark readers``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PEERS = "rapidocr,faster-paddle,easyocr,tesseract"


def readers(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.", show_default=False)],
    truth: Annotated[Path | None, typer.Option(help="Truth file of the photos: also measure what each engine finds.")] = None,
    peers: Annotated[str, typer.Option(help="Other readers, with commas between them; empty for none.")] = PEERS,
    out: Annotated[Path, typer.Option(help="Folder for the numbers, the report and the predictions.")] = Path("benchmark"),
    own: Annotated[bool, typer.Option("--own/--peers-only", help="Measure tagtrace itself too.")] = True,
    workers: Annotated[int, typer.Option(min=1, help="Processes per engine.")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="Threads per process; 0 shares all processors.")] = 0,
    warm_up: Annotated[int, typer.Option(min=0, help="Photos read before the clock starts.")] = 2,
    repeats: Annotated[int, typer.Option(min=1, help="How often all photos are read.")] = 1,
    limit: Annotated[int, typer.Option(min=0, help="Only the first so many photos; 0 for all.")] = 0,
) -> int:
    """Measure speed, memory and peers: each engine alone, on the same photos, through the same extraction.

    Example:

        tagtrace benchmark readers photos/ --truth truth.jsonl --peers rapidocr,faster-paddle,easyocr,tesseract --out benchmark
    """
    from ..contract import ExitCode
    from ..datasets.truth import read_truth
    from .benchmark import OWN_READER, BenchmarkSettings, photo_files, write_benchmark
    from .benchmark import benchmark as run
    from .benchmark_text import benchmark_report

    names = [name.strip() for name in peers.split(",") if name.strip()]
    engines = list(dict.fromkeys([OWN_READER, *names] if own else names))
    settings = BenchmarkSettings(workers, threads, warm_up, repeats)
    known = read_truth(truth) if truth is not None else []
    found = photo_files(photos, known)
    result = run(found[: limit or None], engines, known, settings, lambda message: typer.echo(message, err=True))
    text = benchmark_report(result)
    write_benchmark(result, text, out)
    typer.echo(text)
    typer.echo(f"Written to {out}", err=True)
    return ExitCode.OK if all(not engine.error for engine in result.engines) else ExitCode.SOME_FAILED
