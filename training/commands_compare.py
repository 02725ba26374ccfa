"""The commands ``tagtrace compare`` and ``tagtrace promote``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_SIDE = "Model (name in the registry, or ONNX file), DETECTOR+RECOGNISER, or a predictions.jsonl."
_DATA = "Truth of photos (truth.jsonl, or its folder); may be repeated."
_PHOTOS = "Folder of the photos, when it is not `photos` beside the truth."


def compare(
    a: Annotated[str, typer.Argument(help=f"A: {_SIDE}", show_default=False)],
    b: Annotated[str, typer.Argument(help="B: the same; differences are B minus A.", show_default=False)],
    data: Annotated[list[Path], typer.Option(help=_DATA)],
    photos: Annotated[Path | None, typer.Option(help=_PHOTOS, show_default=False)] = None,
    shops: Annotated[Path | None, typer.Option(help="CSV of the known shops, to compare links.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Folder for JSON, Markdown, the plot and the predictions.")] = Path("comparison"),
    config: Annotated[Path | None, typer.Option(help="Settings as TOML; the options here come after it.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that score; 0 is one per processor core.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Only the first so many photos of each truth; 0 for all.")] = None,
) -> None:
    """Compare two models on the same photos: recall, precision, characters, clusters, speed, slice by slice.

    Every difference has an interval (paired bootstrap over groups of photos that share no wall) and a test.

    Example: tagtrace compare tagtrace-recogniser-6 runs/new/recogniser.onnx --data walls/val/truth.jsonl --out comparison
    """
    from .compare import CompareSettings, data_set
    from .compare import compare as run
    from .compare_text import measures_table
    from .settings_file import load_settings_file

    settings = load_settings_file(CompareSettings, config, {"workers": workers, "limit": limit})
    parts = [data_set(truth, photos, shops, settings.limit) for truth in data]
    result = run(a, b, parts, out, settings, lambda message: typer.echo(message, err=True))
    typer.echo(measures_table(result.measures, round(100 * settings.statistics.level)), nl=False)
    if result.speed is not None:
        typer.echo(f"Median ms per photo: A {1000 * result.speed.a:.1f}, B {1000 * result.speed.b:.1f}")
    typer.echo(f"Written to {out}", err=True)
