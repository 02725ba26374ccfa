"""The command ``tagtrace promote``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..contract import ExitCode
from ..models.registry import Task


def promote(
    candidate: Annotated[str, typer.Argument(help="Model file (.onnx), or the name of a registered model.", show_default=False)],
    task: Annotated[Task, typer.Option(help="What it is: detector or recogniser.")],
    data: Annotated[list[Path], typer.Option(help="Truth of photos to judge on; may be repeated. Not what was tuned on.")],
    photos: Annotated[Path | None, typer.Option(help="Folder of the photos, when not `photos` beside the truth.")] = None,
    shops: Annotated[Path | None, typer.Option(help="CSV of the known shops, to compare links.", show_default=False)] = None,
    config: Annotated[Path | None, typer.Option(help="Limits and settings as TOML: [limits], [compare].")] = None,
    folder: Annotated[Path | None, typer.Option(help="Folder of models, made where it is new; else the one in use.")] = None,
    name: Annotated[str, typer.Option(help="Name of the model in the registry.", show_default=False)] = "",
    source: Annotated[str, typer.Option(help="How it was made, in a few words.", show_default=False)] = "",
    out: Annotated[Path, typer.Option(help="Folder for the comparison.")] = Path("promotion"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge only; nothing is changed.")] = False,
) -> ExitCode:
    """Put a model into use if it keeps every limit against the one in use; else refuse it, and name the limits (exit code 5).

    Its file, entry and card go into the folder of models; the one before is kept: `tagtrace models rollback`.

    Example: tagtrace promote runs/new/recogniser.onnx --task recogniser --data walls/val/truth.jsonl --name recogniser-6
    """
    from ..models.registry import MODELS_VARIABLE, default_folder
    from .compare import data_set
    from .promote import Candidate, PromoteSettings
    from .promote import promote as run
    from .settings_file import load_settings_file

    settings = load_settings_file(PromoteSettings, config)
    parts = [data_set(truth, photos, shops, settings.compare.limit) for truth in data]
    wanted = Candidate(candidate, task, name, folder, source)
    done = run(wanted, parts, out, settings, dry_run=dry_run, progress=lambda message: typer.echo(message, err=True))
    for verdict in done.verdicts:
        typer.secho(verdict.describe(), fg=None if verdict.kept else typer.colors.RED)
    if done.failed:
        limits = ", ".join(verdict.limit for verdict in done.failed)
        typer.secho(f"tagtrace: {candidate} is refused: {limits}; see {out}", fg=typer.colors.RED, err=True)
        return ExitCode.REFUSED
    if done.model is None:
        typer.echo("every limit is kept; nothing was changed")
        return ExitCode.OK
    typer.echo(f"{done.model.name} is in use: {done.model.path}; complete its card {done.model.card}")
    if folder is not None and folder.resolve() != default_folder().resolve():
        typer.echo(f"use this folder with {MODELS_VARIABLE}={folder}")
    if task is Task.RECOGNISER:
        typer.echo("its probabilities are others: run `tagtrace train calibration` and `tagtrace train confusions` again")
    return ExitCode.OK
