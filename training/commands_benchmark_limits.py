"""The command ``tagtrace benchmark limits``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SAMPLE = Path("datasets/sample/photos")
"""Where the sample photos are in a checkout."""


def limits(
    photos: Annotated[list[Path] | None, typer.Option(help="Photos or a folder of photos; can be given several times.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="What counts as all processors; 0: those of this machine.")] = 0,
    limit: Annotated[int, typer.Option(min=0, help="Only the first so many photos; 0 for all.")] = 0,
    decoded: Annotated[int, typer.Option(min=1, help="How many of them are decoded again and again.")] = 16,
    seconds: Annotated[float, typer.Option(min=0.01, help="Least time of each measurement.")] = 0.5,
    detector: Annotated[str, typer.Option(help="Another detector (name or file, INT8 too) than the one in use.")] = "",
    recogniser: Annotated[str, typer.Option(help="Another recogniser (name or file, INT8 too).")] = "",
    out: Annotated[Path | None, typer.Option(help="Also write the numbers to this JSON file.", show_default=False)] = None,
) -> None:
    """Measure what this machine can do (decoding, memory, arithmetic) and the least time that a photo can take on it.

    Example: tagtrace benchmark limits --photos datasets/sample/photos --out limits.json
    """
    import json

    from ..datasets.files import atomic_text
    from ..scoring.settings import ScoreSettings
    from .benchmark import photo_files
    from .benchmark_limits import LimitSettings, measure_limits
    from .benchmark_limits_text import show_limits
    from .benchmark_probe import ProbeSettings
    from .tables import console

    found = photo_files(photos or [SAMPLE])[: limit or None]
    settings = LimitSettings(threads, decoded, ProbeSettings(seconds=seconds))
    scoring = ScoreSettings(detector=detector, recogniser=recogniser)
    result = measure_limits(found, settings, scoring, lambda message: typer.echo(message, err=True))
    show_limits(result, console())
    if out is not None:
        with atomic_text(out) as file:
            json.dump(result.to_json(), file, indent=1)
