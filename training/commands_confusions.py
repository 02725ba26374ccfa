"""The command ``tagtrace train confusions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def confusions(
    lines: Annotated[list[Path], typer.Argument(help="Folders of line shards of the split val.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("confusions.toml"),
    model: Annotated[str, typer.Option(help="Name of a registered recogniser, or its file; the first registered if empty.")] = "",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the recogniser.")] = 1,
) -> None:
    """Count what the recogniser takes for what, for the look-up of known contacts (linking/confusions.toml).

    Example: tagtrace train confusions lines/val/lines --out linking/confusions.toml
    """
    from .confusions import CountSettings, measure

    measure(lines, out, model, CountSettings(threads=threads), typer.echo)
