"""The command ``tagtrace sample``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..contract import TagtraceError

if TYPE_CHECKING:
    from .sample import Member

_TOLD_EVERY = 12
"""Reports between two lines of progress."""


def sample(
    store: Annotated[str, typer.Option(help="Path of a new SQLite file, or an empty PostgreSQL database.")] = "sample.db",
    photos: Annotated[str, typer.Option(help="Folder, or URL of fsspec, that keeps the photos.")] = "photos",
    people: Annotated[
        Path | None, typer.Option(help="File for the names and passwords to sign in with, readable by you alone.")
    ] = None,
) -> None:
    """Fill a new store with the sample: a register, 48 photos as reports that are read, people. Only to try things out.

    Example: tagtrace sample --store try.db && tagtrace serve --store try.db --development
    """
    from . import logs
    from .sample import fill
    from .settings import load_settings

    logs.configure("WARNING", pretty=True)
    settings = load_settings(environment="development", store=store, photos=photos)

    def tell(done: int, total: int) -> None:
        if done % _TOLD_EVERY == 0 or done == total:
            typer.echo(f"{done} of {total} sample reports read", err=True)

    lines = table(fill(settings, tell))
    if people is None:
        typer.echo(lines)
        return
    try:
        handle = os.open(people, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(lines + "\n")
    except OSError as error:
        raise TagtraceError(f"{people}: cannot be written ({error}); check the folder and its free space") from error


def table(members: list[Member]) -> str:
    """Name, password and roles of each, in columns."""
    return "\n".join(f"{member.login:<10}{member.password:<24}{', '.join(member.roles)}" for member in members)
