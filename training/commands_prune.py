"""The command ``tagtrace train prune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def prune(
    weights: Annotated[Path, typer.Argument(help="recogniser.safetensors, or a checkpoint of a run.", show_default=False)],
    data: Annotated[list[Path], typer.Option(help="Folder of line shards to measure on; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    share: Annotated[float | None, typer.Option(help="Arithmetic that stays, as a share of all.  [default: 0.55]")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings as TOML; the options here come after it.")] = None,
) -> None:
    """Make a narrower, faster recogniser from a trained one, to be trained on with the whole one as its teacher.

    Every setting of `PruneSettings` in `training/recogniser_prune.py` can stand in --config.

    Example: tagtrace train prune models/weights/recogniser.safetensors --data lines/train --out runs/narrow --share 0.5
    """
    from .recogniser_prune import PruneSettings, write_pruned
    from .settings_file import load_settings_file

    settings = load_settings_file(PruneSettings, config, {"share": share})
    pruned = write_pruned(weights, [str(folder) for folder in data], out, settings)
    share_left, start = pruned.after / pruned.before, out / "recogniser.safetensors"
    typer.echo(f"channels inside the blocks: {', '.join(map(str, pruned.network.hidden))}")
    typer.echo(
        f"{share_left:.3f} of the arithmetic: {pruned.before / 1e6:.0f} to {pruned.after / 1e6:.0f} million multiplications"
    )
    typer.echo(f"next: tagtrace train recogniser --start {start} --teacher {weights}, with --data, --held-out and --out")
