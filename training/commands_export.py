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
    from ..models.alphabet import ALPHABET
    from ..models.linecrop import CropSettings
    from ..models.registry import Task, resolve
    from .easyocr_format import NETWORK, export_easyocr
    from .recogniser import load_weights
    from .recogniser_net import Model

    if weights is None:
        weights = next(path for path, _ in resolve(Task.RECOGNISER).files if path.suffix == ".safetensors")
    model = Model(1 + len(ALPHABET))
    load_weights(model, weights)
    export_easyocr(model.eval(), out, CropSettings().height)
    typer.echo(f"{out}: easyocr.Reader([...], recog_network={NETWORK!r}) loads it; see training/easyocr_format.py")
