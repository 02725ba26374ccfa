"""The commands ``tagtrace models list``, ``verify``, ``card`` and ``rollback``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..contract import ExitCode, TagtraceError
from .registry import ModelFile, Registry, Task, default_folder, load_registry, resolve, verify

_FOLDER_HELP = "Folder with weights.toml, weights/ and cards/ (default: $TAGTRACE_MODELS, else the installed one)."
Folder = Annotated[Path | None, typer.Option("--folder", help=_FOLDER_HELP, show_default=False)]


def list_models(
    folder: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on standard output.")] = False,
) -> None:
    """List the models with their task, licence, size and checksum.

    Example: tagtrace models list --json
    """
    registry = load_registry(folder)
    if as_json:
        records = [{**_record(model), "in_use": _in_use(model, registry)} for model in registry.models]
        typer.echo(json.dumps(records, ensure_ascii=False, indent=2))
        return
    if not registry.models:
        typer.echo(f"{registry.path}: no models yet")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "task", "in use", "file", "MB", "SHA-256", "licence", "card")
    for model in registry.models:
        card = model.card.name if model.card else ""
        used = "yes" if _in_use(model, registry) else ""
        sha256 = model.sha256[:16] + "…"
        table.add_row(model.name, model.task, used, model.path.name, _megabytes(model), sha256, model.licence, card)
    Console().print(table)


def verify_models(folder: Folder = None) -> ExitCode:
    """Check every model file against its checksum; exit code 4 where one is missing or differs.

    Example: tagtrace models verify
    """
    registry = load_registry(folder)
    broken = [message for model in registry.models if (message := _problem(model, registry))]
    for message in broken:
        typer.secho(message, fg=typer.colors.RED, err=True)
    if not registry.models:
        typer.secho(f"{registry.path}: no models to check", fg=typer.colors.RED, err=True)
        return ExitCode.BROKEN_INSTALLATION
    typer.echo(f"{len(registry.models) - len(broken)} of {len(registry.models)} models are as registered")
    return ExitCode.BROKEN_INSTALLATION if broken else ExitCode.OK


def show_card(
    name: Annotated[str, typer.Argument(help="Name of a model, or its task for the one in use.", show_default=False)],
    folder: Folder = None,
) -> None:
    """Show the card of a model: what it was made from, what it measures, what it gets wrong.

    Example: tagtrace models card tagtrace-recogniser-6
    """
    model = resolve(name, folder=folder)
    if model.card is None or not model.card.is_file():
        raise TagtraceError(f"the model {model.name} has no card; write one and name it in its entry")
    typer.echo(model.card.read_text(encoding="utf-8"), nl=False)


def rollback(
    task: Annotated[Task, typer.Argument(help="Which model: detector or recogniser.", show_default=False)],
    folder: Folder = None,
) -> None:
    """Use the model again that the last promotion replaced. Nothing is deleted: promote the newer one again when it is mended.

    Example: tagtrace models rollback recogniser
    """
    from .library import roll_back

    before, now = roll_back(folder or default_folder(), task)
    typer.echo(f"{now} is in use again, and {before} is kept")


def _in_use(model: ModelFile, registry: Registry) -> bool:
    return model.name == next(other.name for other in registry.models if other.task == model.task)


def _problem(model: ModelFile, registry: Registry) -> str:
    try:
        verify(model)
    except TagtraceError as error:
        return str(error)
    if model.card is None or not model.card.is_file():
        return f"{registry.path}: the model {model.name} has no card; write cards/{model.name}.md and name it in its entry"
    return ""


def _megabytes(model: ModelFile) -> str:
    return f"{model.path.stat().st_size / 1e6:.1f}" if model.path.is_file() else "missing"


def _record(model: ModelFile) -> dict[str, object]:
    return {
        "name": model.name,
        "task": model.task,
        "file": str(model.path),
        "sha256": model.sha256,
        "licence": model.licence,
        "input": model.input,
        "classes": list(model.classes),
        "alphabet": model.alphabet,
        "card": str(model.card) if model.card else None,
        "source": model.source,
        "settings": dict(model.settings),
    }
