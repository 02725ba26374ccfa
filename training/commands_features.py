"""The command that fits what agreeing picture features are worth."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer


def matching(
    walls: Annotated[Path, typer.Argument(help="Folder with truth.jsonl and photos/ of repeated walls, to fit on.")],
    held_out: Annotated[Path, typer.Option("--held-out", help="The same of another split, to measure on.")],
) -> None:
    """Fit the weights with which picture features tell that two photos show the same advert, and measure them.

    Prints the settings for linking/features.py (MatchSettings) and how well they do on walls that were not fitted.

    Example: tagtrace train matching walls/val --held-out walls/test
    """
    from ..linking.features import MATCH
    from .features_fit import compare, describe, fit, quality

    typer.echo(f"describing the adverts of {walls}", err=True)
    fitted = fit(compare(describe(walls, walls / "photos")))
    for name in ("bias", "per_log_inliers", "per_coverage", "per_log_wall", "no_match"):
        typer.echo(f"{name} = {getattr(fitted, name)}   # in force: {getattr(MATCH, name)}")
    typer.echo(f"measuring on {held_out}", err=True)
    described = describe(held_out, held_out / "photos")
    for label, settings in (("in force", MATCH), ("fitted", fitted)):
        pairs = compare(described, how=settings)
        typer.echo(f"{label}: {quality(pairs)}")
        for (sort, kind), count in sorted(Counter((p.sort, p.match.kind) for p in pairs).items()):
            typer.echo(f"  {sort} is called {kind}: {count}")
