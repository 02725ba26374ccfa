"""The command ``tagtrace train mean``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def mean(
    weights: Annotated[list[Path], typer.Argument(help="Two or more recogniser.safetensors.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    share: Annotated[list[float] | None, typer.Option(help="How much each counts, in order; all alike if left out.")] = None,
) -> None:
    """Take the mean of the weights of recognisers that were trained one from the other.

    Example: tagtrace train mean runs/a/recogniser.safetensors runs/b/recogniser.safetensors --out runs/mean
    """
    from .mean import write_mean

    difference = write_mean(weights, out, share or ())
    typer.echo(f"{out / 'recogniser.onnx'}: within {difference:.1e} of the network")
