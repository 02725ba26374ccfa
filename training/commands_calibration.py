"""The command ``tagtrace train calibration``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibration(
    out: Annotated[Path, typer.Option(help="Folder for the crops, the calibration, its card and the plot.")],
    config: Annotated[Path | None, typer.Option(help="Settings as TOML; the options here come after it.")] = None,
    crops: Annotated[
        int | None, typer.Option(min=20, help="Line crops per split, 600 if not given; those in --out are used again.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same crops and registers; 41 if not given.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Recogniser: a name in the registry or a model file; if not given, the first one.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the recogniser.")] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Put the calibration and its card in place of the package's.")
    ] = False,
) -> None:
    """Fit the probabilities of links to synthetic contacts of known truth, and measure them on other shops.

    Run it again when the recogniser has changed. Every setting of `training/calibration.py` can stand in --config.

    Example: tagtrace train calibration --out runs/calibration --install
    """
    from dataclasses import replace

    from ..contract import TagtraceError
    from . import calibration as room
    from .calibration_report import summary
    from .settings_file import load_settings_file

    given = {"seed": seed, "model": model, "threads": threads}
    settings = load_settings_file(room.CalibrationSettings, config, given)
    if crops is not None:
        settings = replace(settings, draw=replace(settings.draw, crops=crops))
    try:
        out.mkdir(parents=True, exist_ok=True)
        result = room.calibrate(out, settings, lambda message: typer.echo(message, err=True))
        if install:
            room.install(out)
    except OSError as error:
        raise TagtraceError(f"{out}: cannot be written ({error}); choose another folder with --out") from error
    typer.echo(summary(result))
    typer.echo(f"Written to {out}" + (" and put in place" if install else ""), err=True)
