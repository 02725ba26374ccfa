"""The commands ``tagtrace export …``: trained weights in the forms that other programs load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def easyocr(
    out: Annotated[Path, typer.Option("--out", help="Folder for the three files that EasyOCR loads.")],
    weights: Annotated[
        Path | None, typer.Option(help="Weights (.safetensors) or checkpoint; else those that tagtrace ships.")
    ] = None,
) -> None:
    """Write the recogniser in EasyOCR's custom-network form.

    Example: tagtrace export easyocr --out easyocr-models
    """
    from dataclasses import asdict

    from ..models.registry import Task, resolve
    from .easyocr_format import NETWORK, export_easyocr
    from .recogniser_trainer import model_of

    if weights is None:
        weights = next(path for path, _ in resolve(Task.RECOGNISER).files if path.suffix == ".safetensors")
    model, network, crop = model_of(weights)
    export_easyocr(model, out, crop.height, asdict(network))
    typer.echo(f"{out}: easyocr.Reader([...], recog_network={NETWORK!r}) loads it; see training/easyocr_format.py")
