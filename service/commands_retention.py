"""The command ``tagtrace retention run``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from .commands import _STORE_HELP, _open


def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much would be erased.")] = False,
    photos: Annotated[str | None, typer.Option(help="Folder, or URL of fsspec, with the photos as received.")] = None,
    store: Annotated[str | None, typer.Option(help=_STORE_HELP, envvar="TAGTRACE_STORE")] = None,
) -> None:
    """Erase what has been kept as long as the settings TAGTRACE_KEEP_…_DAYS allow. Run it once a day.

    Photos of adverts that nobody has decided about are kept longer (TAGTRACE_KEEP_UNDECIDED_PHOTO_DAYS).

    Example: tagtrace retention run --store city.db --dry-run
    """
    from ..linking.store.photos import PhotoFiles
    from . import retention
    from .settings import load_settings

    settings = load_settings(**({"photos": photos} if photos else {}))
    with _open(store) as opened:
        done = retention.run(opened, PhotoFiles(settings.photos), settings, datetime.now(UTC), dry=dry_run)
    for name, setting in retention.SETTINGS.items():
        days = getattr(settings, setting)
        told = f"{done[name]} {'would be erased' if dry_run else 'erased'}" if days else "none erased"
        typer.echo(f"{name}: {told} (TAGTRACE_{setting.upper()}={days}{'' if days else ': kept without end'})")
