"""The command ``tagtrace benchmark register``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(
    size: Annotated[
        int, typer.Option(min=100, help="Resources of the largest register; a tenth and a hundredth, too.")
    ] = 1_000_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same registers and misreads.")] = 1,
    lookups: Annotated[int, typer.Option(min=1, help="Look-ups of misreads with the errors that were measured.")] = 5000,
    per_error: Annotated[int, typer.Option(min=1, help="Look-ups of misreads with one kind of error each.")] = 1000,
    confusions: Annotated[
        Path | None, typer.Option(help="Table of `tagtrace train confusions`, in place of the bundled.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the numbers and the report.")] = Path("benchmark"),
) -> None:
    """Measure the look-up of known contacts in generated registers: time, memory, and what is found after misreads.

    Example: tagtrace benchmark register --size 1000000 --seed 1 --lookups 5000 --out benchmark
    """
    from ..linking.confusions import read_confusions
    from .benchmark_register import RegisterBenchmarkSettings, benchmark_register, register_report, write_register

    settings = RegisterBenchmarkSettings(size, seed, lookups, per_error)
    given = read_confusions(confusions) if confusions is not None else None
    results = benchmark_register(settings, given, lambda message: typer.echo(message, err=True))
    text = register_report(results, settings)
    write_register(results, settings, text, out)
    typer.echo(text)
    typer.echo(f"Written to {out}", err=True)
