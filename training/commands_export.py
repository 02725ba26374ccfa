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


def onnx(
    weights: Annotated[Path, typer.Argument(help="Checkpoint (.pt) or weights (.safetensors).", show_default=False)],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")],
    input_px: Annotated[int, typer.Option(min=64, help="Long side that a detector is traced with, a multiple of 32.")] = 640,
) -> None:
    """Write trained weights as ONNX, and check that it gives what torch gives.

    Example: tagtrace export onnx runs/detector/weights/best.pt --out detector.onnx
    """
    from .export import ExportSettings, export_to_onnx

    typer.echo(export_to_onnx(weights, out, ExportSettings(input_px=input_px)).describe())


def openvino(
    model: Annotated[str, typer.Argument(help="Name of a registered model, or an ONNX file.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File to write, ending in .xml; the weights lie beside it as .bin.")],
    half: Annotated[bool, typer.Option("--half", help="Keep the weights in float16: half the size.")] = False,
) -> None:
    """Write a model in OpenVINO's own form, for programs that load that, and check that it gives the same.

    tagtrace itself runs ONNX files, with OpenVINO where that is installed.

    Example: tagtrace export openvino tagtrace-detector-3 --out detector.xml
    """
    from .export import export_to_openvino, find_model

    typer.echo(export_to_openvino(find_model(model), out, half).describe())


def int8(
    model: Annotated[str, typer.Argument(help="Name of a registered model, or an ONNX file.", show_default=False)],
    data: Annotated[
        list[Path], typer.Option(help="Photos, a folder of photos, or of line shards, to calibrate with; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")],
    truth: Annotated[
        Path | None, typer.Option(help="Truth of other photos: also measure what is lost.", show_default=False)
    ] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder of the photos of --truth, else `photos` beside it.")] = None,
    calibration: Annotated[int, typer.Option(min=1, help="Use at most so many photos or lines of --data.")] = 200,
    limit: Annotated[int, typer.Option(min=0, help="Only the first so many photos of --truth; 0 for all.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help="Processor threads while measuring; 0 leaves it to the runtime.")] = 1,
) -> None:
    """Write the INT8 form of a model, and measure what it gains and loses.

    `tagtrace compare` then says whether the difference is more than chance.

    Example: tagtrace export int8 tagtrace-detector-3 --data walls/train/photos --truth walls/val --out int8.onnx
    """
    from ..datasets.truth import read_truth
    from ..models.registry import Task
    from .evaluate import summary
    from .evaluate_parts import evaluate_model
    from .export import ExportSettings, export_to_int8, find_model

    known = find_model(model)
    typer.echo(export_to_int8(known, data, out, ExportSettings(calibration=calibration), threads).describe())
    if truth is None:
        return
    base = truth if truth.is_dir() else truth.parent
    shown = read_truth(truth)[: limit or None]
    for name in (model, str(out)):
        evaluation, _ = evaluate_model(shown, photos or base / "photos", known.task, name, lambda message: None)
        rows = summary(evaluation).splitlines()
        # a detector alone reads nothing
        told = [row for row in rows if known.task is not Task.DETECTOR or not row.startswith(("identifiers", "links"))]
        typer.echo("\n".join((f"{name}, alone on the same photos:", *told)))
