"""The command ``tagtrace benchmark service``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..contract import TagtraceError


def service(
    measure: Annotated[str, typer.Argument(help="load, kills, memory or hostile.")],
    out: Annotated[Path, typer.Option(help="Folder for stores, photos and logs of the trial.")] = Path("runs/service"),
    clients: Annotated[int, typer.Option(help="load: clients that send at once.")] = 50,
    reports: Annotated[int, typer.Option(help="load, kills: reports sent.")] = 1000,
    side: Annotated[int, typer.Option(help="load: height of the photo in pixels.")] = 720,
    pause: Annotated[float, typer.Option(help="load: seconds that a client waits after an answer, on average.")] = 0.0,
    kills: Annotated[int, typer.Option(help="kills: how often everything is killed.")] = 20,
    workers: Annotated[int, typer.Option(help="load, kills: worker processes.")] = 0,
    first: Annotated[int, typer.Option(help="memory: photos before the first look.")] = 500,
    analyses: Annotated[int, typer.Option(help="memory: photos before the second look.")] = 5000,
    real: Annotated[bool, typer.Option(help="kills, memory: read with the real models.")] = False,
    seconds: Annotated[float, typer.Option(help="hostile: how long the service is attacked.")] = 30.0,
    photos: Annotated[
        list[Path] | None, typer.Option(help="memory: folder of JPEGs to send again and again; can be given several times.")
    ] = None,
) -> None:
    """Measure the service as it runs: acknowledgement under load, kill -9 again and again, growth of memory, hostile uploads.

    Example: tagtrace benchmark service load --clients 50 --reports 2000
    """
    from . import benchmark_service as trials

    reader = "tagtrace" if real else trials.LIGHT
    if measure == "load":
        found = trials.load(out, clients, reports, side, workers, pause)
    elif measure == "kills":
        found = trials.kills(out, reports, kills, max(1, workers), reader)
    elif measure == "memory":
        from .benchmark_service_memory import memory

        found = memory(out, first, analyses, reader, _photos(photos or []), lambda look: typer.echo(json.dumps(look), err=True))
    elif measure == "hostile":
        from .benchmark_service_hostile import hostile

        found = hostile(out, seconds)
    else:
        raise TagtraceError(f"there is no measure {measure}; choose from: load, kills, memory, hostile")
    typer.echo(json.dumps(found, indent=2))


def _photos(folders: list[Path]) -> list[Path]:
    """All JPEGs below some folders."""
    found = [path for folder in folders for path in sorted(folder.rglob("*.jpg"))]
    if folders and not found:
        raise TagtraceError(f"{folders[0]}: has no file *.jpg; name a folder of photos")
    return found
