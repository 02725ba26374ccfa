"""The command ``tagtrace place``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..contract import ExitCode

_WORK_HELP = "Folder for the work file, about as large as the results; else beside them, or for a URL in ./placing."


def place(
    results: Annotated[str, typer.Argument(help="Folder of a finished run, or its results.jsonl: a path or a URL (s3://…).")],
    store: Annotated[
        str, typer.Option("--store", envvar="TAGTRACE_STORE", help="The store: a path (SQLite) or a PostgreSQL URL.")
    ] = "tagtrace.db",
    batch: Annotated[int, typer.Option(min=1, help="Photos that go into the store with one transaction.")] = 100,
    work: Annotated[Path | None, typer.Option(help=_WORK_HELP, show_default=False)] = None,
) -> ExitCode:
    """Place the results of a finished run in a store: linked, clustered, kept as `score --store` does. No photo is read again.

    Example: tagtrace place s3://city/june --store postgresql://me@db/city

    Memory does not grow with the results. What was stopped, or killed, goes on with the same command; nothing is there twice.
    Exit codes: 0 all placed, 1 placed but some photos had failed, 130 interrupted.
    """
    from rich.console import Console

    from ..linking.store import Store
    from .files import locked
    from .finished import FinishedRun
    from .placement import ToPlace, place_in
    from .places import RemoteFile, place_of
    from .progress import progress_view
    from .request import WORK_FOLDER, Interrupted
    from .settings import ScoreSettings
    from .storing import StoringSettings

    run = FinishedRun.at(place_of(results))
    settings = ScoreSettings()
    beside = Path("placing") if isinstance(run.folder, RemoteFile) else run.folder / WORK_FOLDER
    told = Console(stderr=True)
    what = ToPlace(run.identity, run.spool, run.settings, run.features(), settings, StoringSettings(batch))
    if not run.journal.exists():
        told.print(f"{run.journal}: is not there, so each photo is read by itself", markup=False, soft_wrap=True)
    with Store.open(store) as opened, locked(work or beside), progress_view(told, settings.run.plain_progress_s) as progress:
        try:
            placed = place_in(opened, what, work or beside, progress)
        except Interrupted as stop:
            told.print(f"{stop}; go on with the same command", markup=False, highlight=False, soft_wrap=True)
            return ExitCode.INTERRUPTED
    typer.echo(
        f"{placed.photos} photos placed: {placed.adverts} adverts, {placed.identifiers} identifiers, {placed.clusters} clusters, "
        f"{len(placed.failures)} had failed"
    )
    return ExitCode.SOME_FAILED if placed.failures else ExitCode.OK
