"""Commands of the room ``datasets``: make synthetic photos and line crops, and unpack textures of walls for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..contract import TagtraceError


def synth(
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    count: Annotated[int, typer.Option("--count", min=0, help="Photos to make.")] = 100,
    lines: Annotated[int, typer.Option("--lines", min=0, help="Line crops for the recogniser to make as well.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same data.")] = 1,
    split: Annotated[str, typer.Option("--split", help="train, val or test: each has its own fonts, walls and shops.")] = "train",
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes to use.")] = 1,
    backgrounds: Annotated[
        list[Path] | None,
        typer.Option("--backgrounds", help="Folder with pictures of walls; may be given several times. See `tagtrace textures`."),
    ] = None,
    fonts: Annotated[
        list[Path] | None, typer.Option("--fonts", help="Folder with further fonts; may be given several times.")
    ] = None,
    sightings: Annotated[
        int, typer.Option("--sightings", min=0, help="Photograph every wall so many times (a multiple gives --count); 0: once.")
    ] = 0,
    worn: Annotated[
        bool, typer.Option("--worn", help="With --sightings: old paint and small letters, so that readings in doubt are common.")
    ] = False,
    listed: Annotated[
        int,
        typer.Option(
            "--listed", min=0, help="With --sightings: contacts in registry.csv, like ones among them; 0: those of known shops."
        ),
    ] = 0,
    yolo: Annotated[bool, typer.Option("--yolo/--no-yolo", help="Also write YOLO-OBB labels beside the photos.")] = True,
) -> None:
    """Make photos of fictional adverts on walls, with exact truth, for training and tests.

    With --sightings 4 the same walls are photographed four times, from other places, in other light and older each time; some
    adverts stand on other walls too. walls.csv and registry.csv then lie beside the truth.

    Example: tagtrace synth --out data/walls --count 200 --lines 2000 --seed 7 --workers 2
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from .datacard import write_data_card
    from .formats.yolo import export_yolo
    from .synth.compose import SynthSettings
    from .synth.lines import LineSettings
    from .synth.revisits import WORN, RevisitSettings
    from .synth.revisits_run import revisit
    from .synth.run import SPLITS, Job, split_backgrounds, synthesise
    from .synth.textures import background_credits, copy_terms
    from .truth import read_truth

    if split not in SPLITS:
        raise TagtraceError(f"--split {split}: choose one of {', '.join(SPLITS)}")
    if (worn or listed) and not sightings:
        raise TagtraceError("--worn and --listed are for walls that are photographed several times: give --sightings with them")
    folders = backgrounds or []
    credits = background_credits(folders, split_backgrounds(folders, split))
    job = Job(str(out), seed, split, tuple(map(str, folders)), tuple(map(str, fonts or ())), SynthSettings(), LineSettings())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bars = {
            "photos": progress.add_task("photos", total=count, visible=count > 0),
            "lines": progress.add_task("lines", total=lines, visible=lines > 0),
        }

        def report(what: str, done: int) -> None:
            progress.update(bars[what], completed=done)

        synthesise(job, 0 if sightings else count, lines, workers, report)
        if sightings:
            chosen = replace(WORN if worn else RevisitSettings(), photos=sightings)
            revisit(job, -(-count // sightings), chosen, workers, report, listed)
    if count:
        truth = read_truth(out / split / "truth.jsonl")
        if yolo:
            export_yolo(truth, out / split / "photos", out / "yolo", split)
        write_data_card(truth, out / split / "DATACARD.md", credits=credits)
        copy_terms(folders, out / split)
    typer.echo(f"{count} photos and {lines} line crops are in {out / split}")


def textures(out: Annotated[Path, typer.Option("--out", help="Folder to write the pictures to.")]) -> None:
    """Unpack the wall textures of Debian's free game packages, as backgrounds for `tagtrace synth`.

    Wants one of the packages ufoai-textures and openarena-081-textures (apt install …). Licences are written beside the pictures.

    Example: tagtrace textures --out data/textures
    """
    from .synth.textures import ATTRIBUTION, PACKS, unpack_debian_textures

    paths = unpack_debian_textures(out, PACKS)
    typer.echo(f"{len(paths)} pictures are in {out}, and where each is from in {out / ATTRIBUTION}")
