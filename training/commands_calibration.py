"""The command ``tagtrace train calibration``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibration(
    out: Annotated[Path, typer.Option(help="Folder for the crops, the calibration, its card and the plot.")],
    crops: Annotated[int, typer.Option(min=20, help="Line crops per split; those that lie in --out are used again.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed gives the same crops and registers.")] = 41,
    model: Annotated[
        str, typer.Option(help="Recogniser: a name in the registry or a model file; if not given, the first one.")
    ] = "",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the recogniser.")] = 1,
    install: Annotated[
        bool, typer.Option("--install", help="Put the calibration and its card in place of the package's.")
    ] = False,
) -> None:
    """Fit the probabilities of links to synthetic contacts of known truth, and measure them on other shops.

    Run it again when the recogniser has changed.

    Example: tagtrace train calibration --out runs/calibration --install
    """
    from ..contract import TagtraceError
    from . import calibration as room
    from .calibration_data import DrawSettings
    from .calibration_report import summary

    settings = room.CalibrationSettings(seed=seed, draw=DrawSettings(crops=crops), model=model, threads=threads)
    try:
        out.mkdir(parents=True, exist_ok=True)
        result = room.calibrate(out, settings, lambda message: typer.echo(message, err=True))
        if install:
            room.install(out)
    except OSError as error:
        raise TagtraceError(f"{out}: cannot be written ({error}); choose another folder with --out") from error
    typer.echo(summary(result))
    typer.echo(f"Written to {out}" + (" and put in place" if install else ""), err=True)
