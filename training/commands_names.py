"""The command ``tagtrace train names``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def names(
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("names.tsv.gz"),
    count: Annotated[int, typer.Option(min=1, help="Invented names to count.")] = 80_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.")] = 7,
) -> None:
    """Count which letters follow each other in invented names, to choose between readings of a name.

    Example: tagtrace train names --out inference/identifiers/names.tsv.gz
    """
    from .names import invented_names, train_names

    model = train_names(out, count, seed)
    unknown = invented_names(2000, seed + 1, "val")
    nats = sum(model.log_prob(name) for name in unknown) / sum(len(name) + 1 for name in unknown)
    typer.echo(f"{out}: {-nats:.2f} nats a letter on names of other words")
