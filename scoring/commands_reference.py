"""The command ``tagtrace models reference``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..contract import Analysis, Failure, TagtraceError


def reference(
    photos: Annotated[list[Path], typer.Argument(help="Folders of photos that are as those will be that come in.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("reference.json"),
    source: Annotated[str, typer.Option(help="What photos these are, for whoever reads the file.")] = "",
    threads: Annotated[int, typer.Option(help="Processor threads of the models; 0: as many as there are.")] = 0,
) -> None:
    """Write what the models see in photos, for the service to tell when those that come in look otherwise.

    Name the file in TAGTRACE_DRIFT_REFERENCE; the installed one was made from the generator's validation photos.

    Example: tagtrace models reference data/walls/val/photos --out reference.json --source "validation photos, seed 42"
    """
    from ..inference.decode import decode
    from .build import build_engine
    from .drift import Reference, count, write_reference
    from .settings import ScoreSettings

    paths = [path for folder in photos for path in sorted(folder.rglob("*.jpg"))]
    if not paths:
        raise TagtraceError(f"{photos[0]}: has no file *.jpg; name a folder of photos")
    settings = ScoreSettings()
    engine = build_engine(settings, threads=threads)
    analyses: list[Analysis] = []
    for path in paths:
        photo = decode(path.read_bytes(), path.name, settings.decode)
        if isinstance(photo, Failure):
            typer.echo(photo.message, err=True)
            continue
        analyses += engine.pipeline.analyse([photo])
    models = {info.name: info.sha256 for info in engine.models}
    write_reference(out, Reference(source or str(photos[0].name), len(analyses), models, count(analyses)))
    typer.echo(f"{out}: {len(analyses)} photos")
