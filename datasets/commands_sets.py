"""Commands ``tagtrace dataset …`` for data sets as files: check, count, divide, merge, and take doubles out."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..contract import ExitCode, TagtraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .doubles import DoubleSettings
    from .truth import PhotoTruth

SetPath = Annotated[
    Path, typer.Argument(help="Data set of any format: its file, or the folder that holds it.", metavar="SET", show_default=False)
]
Photos = Annotated[Path | None, typer.Option("--photos", help="Folder of the photos; if not given, `photos` beside the truth.")]


def validate(
    sets: Annotated[
        list[Path], typer.Argument(help="Data sets of any format; several are checked for leaks between them.", metavar="SET…")
    ],
    photos: Photos = None,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Decode every photo and look for doubles.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per problem on standard output.")] = False,
) -> ExitCode:
    """Check data sets and name every problem by file and line: broken entries, photos, quads, texts, doubles, leaks.

    A manifest that lies beside a set is checked, too. Ends with 0 when there is no error, with 1 when there is one.

    Example: tagtrace dataset validate data/walls/train data/walls/val
    """
    from .checks import ERROR, Problem, check_between, check_set, summary
    from .manifest import MANIFEST, changed_files, names_of_sets

    checked = {}
    problems: list[Problem] = []
    for path, name in zip(sets, names_of_sets(sets), strict=True):
        with _bar(f"photos of {name}") as progress:
            checked[name] = check_set(path, photos, pictures=pictures, progress=progress)
        problems += checked[name].problems
        if path.is_dir() and (path / MANIFEST).is_file():
            problems += [Problem(ERROR, "manifest", str(path / MANIFEST), change) for change in changed_files(path)]
    if len(checked) > 1:
        problems += check_between(checked)
    for problem in problems:
        typer.echo(json.dumps(_plain(problem), ensure_ascii=False) if as_json else str(problem))
    errors = sum(problem.severity is ERROR for problem in problems)
    read = sum(len(found.photos) for found in checked.values())
    typer.echo(f"{read} photos read: {errors} errors, {len(problems) - errors} warnings", err=True)
    for what, count in summary(problems).items():
        typer.echo(f"  {what}: {count}", err=True)
    return ExitCode.SOME_FAILED if errors or (strict and problems) else ExitCode.OK


def _plain(problem: object) -> object:
    from dataclasses import asdict

    return asdict(problem)  # type: ignore[call-overload]


def stats(
    path: SetPath,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for stats.json, DATACARD.md and the plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The counts as JSON on standard output.")] = False,
    title: Annotated[str, typer.Option("--title", help="Title of the data card.")] = "Data card",
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="With --out: also draw the counts (PNG).")] = True,
) -> None:
    """Count what a data set holds by size, angle, script, kind, place and more.

    Example: tagtrace dataset stats data/walls/val --out build/stats
    """
    from .datacard import write_data_card
    from .files import atomic_text
    from .formats.convert import read_set
    from .overview import overview, table, write_plots

    photos = read_set(path)
    found = overview(photos)
    typer.echo(json.dumps(found.to_json(), ensure_ascii=False) if as_json else table(found))
    if out is None:
        return
    _make(out)
    with atomic_text(out / "stats.json") as file:
        json.dump(found.to_json(), file, ensure_ascii=False, indent=1)
    write_data_card(photos, out / "DATACARD.md", title)
    drawn = write_plots(found, out / "plots") if plots else []
    typer.echo(f"Written to {out}: stats.json, DATACARD.md, {len(drawn)} plots", err=True)


def split(
    path: SetPath,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to: one folder per split, with photos and truth.")],
    photos: Photos = None,
    shares: Annotated[
        str, typer.Option("--shares", help="Splits with their shares, which add up to 1.")
    ] = "train=0.8,val=0.1,test=0.1",
    seed: Annotated[int, typer.Option("--seed", help="The same seed divides the same way.")] = 1,
    before: Annotated[
        Path | None, typer.Option("--before", help="Data set that was divided earlier: its photos keep their split.")
    ] = None,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Keep near-equal pictures together.")] = True,
) -> ExitCode:
    """Divide a data set so that no wall, shop, contact or picture is in two splits, and show that it holds.

    What belongs together follows a hash, so photos added later do not move the others. Ends with 1 when something leaks
    (because --before had divided it so).

    Example: tagtrace dataset split data/merged --out data/divided --shares train=0.8,val=0.2 --seed 7
    """
    from .doubles import find_doubles, prints_of
    from .formats.convert import find_set, photos_of, read_set
    from .photos import inside
    from .splitting import SplitSettings, find_leaks, split_photos, write_splits

    settings = SplitSettings(_shares(shares), seed)
    form, file = find_set(path)
    listed = read_set(file, form, photos)
    folder = photos_of(file, form, photos)
    doubles = []
    if pictures:
        with _bar("photos") as progress:
            prints, failed = prints_of({p.file: inside(folder, p.file) for p in listed}, progress=progress)
        if failed:
            raise TagtraceError(next(iter(failed.values())))
        doubles = find_doubles(prints)
    held = {photo.file: photo.split for photo in read_set(before) if photo.split} if before is not None else {}
    found = split_photos(listed, doubles, settings, held)
    write_splits(listed, found.of, folder, out)
    typer.echo(f"{len(found.groups)} groups; the largest holds {len(found.groups[0]) if found.groups else 0} photos")
    for name, wanted in settings.shares:
        count = found.counts().get(name, 0)
        typer.echo(f"{name}: {count} photos, {100 * count / max(1, len(listed)):.1f} % (wanted {100 * wanted:.1f} %)")
    for name, (old, new) in sorted(found.moved.items()):
        typer.echo(f"{name}: was in {old}, and a new photo ties it to {new}: it moved there", err=True)
    leaks = find_leaks(listed, found.of, doubles)
    for leak in leaks:
        typer.echo(f"leak: {leak}", err=True)
    typer.echo("nothing is in two splits" if not leaks else f"{len(leaks)} leaks")
    return ExitCode.SOME_FAILED if leaks else ExitCode.OK


def _shares(text: str) -> tuple[tuple[str, float], ...]:
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return tuple((name.strip(), float(share)) for name, share in pairs)
    except ValueError as bad:
        raise TagtraceError(f"--shares {text}: write splits as name=share, with commas between them") from bad


def merge(
    sets: Annotated[list[Path], typer.Argument(help="Data sets of any format.", metavar="SET…")],
    out: Annotated[Path, typer.Option("--out", help="New folder for photos, truth, data card and manifest.")],
    same_ids: Annotated[
        bool, typer.Option("--same-ids", help="Equal ids of walls and shops in several sets mean the same wall and shop.")
    ] = False,
    title: Annotated[str, typer.Option("--title", help="Title of the data card.")] = "Merged data set",
) -> None:
    """Merge data sets: colliding names are told apart, equal files taken once, and each photo says where it is from.

    Example: tagtrace dataset merge data/walls/train data/corrections --out data/merged
    """
    from .merging import merge_sets

    with _bar("photos") as progress:
        done = merge_sets(sets, out, same_ids=same_ids, title=title, progress=progress)
    typer.echo(f"{done.photos} photos are in {out}; {done.doubles} equal files were left out")
    for old, new in done.renamed.items():
        typer.echo(f"{old} is called {new}")
    if done.prefixed:
        typer.echo(
            f"walls and shops of {', '.join(done.prefixed)} have the name of their set before them: the same ids stood there"
        )


def lines(
    path: SetPath,
    out: Annotated[Path, typer.Option("--out", help="New folder for the line shards.")],
    photos: Photos = None,
) -> None:
    """Cut the legible lines out of a data set's photos, for `tagtrace train recogniser --data`.

    Lines that give nothing to learn from are counted with their reason.

    Example: tagtrace dataset lines data/corrections --out data/corrections-lines
    """
    from .linecrops import write_line_crops

    with _bar("photos") as progress:
        done = write_line_crops(path, out, photos, progress=progress)
    typer.echo(f"{done.crops} lines of {done.photos} photos: {out}")
    for why, count in done.left_out.items():
        typer.echo(f"left out: {count} lines, because {why}")


def dedup(
    path: Annotated[
        Path, typer.Argument(help="Data set of any format, or a folder of photos.", metavar="SET", show_default=False)
    ],
    photos: Photos = None,
    bits: Annotated[int, typer.Option("--bits", min=0, max=16, help="Bits in which picture hashes differ at most.")] = 6,
    remove: Annotated[
        Path | None, typer.Option("--remove", help="Write the photos to take out, so that one of each remains, to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per pair on standard output.")] = False,
) -> ExitCode:
    """Find photos that are there twice: byte for byte, or scaled, recompressed or forwarded. Nothing is deleted.

    Ends with 1 when a photo could not be read.

    Example: tagtrace dataset dedup data/photos --remove build/twice.txt
    """
    from dataclasses import asdict

    from .doubles import find_doubles, groups_of, prints_of, to_remove
    from .files import atomic_text

    settings = _doubles(bits)
    names, truth = _named_photos(path, photos)
    with _bar("photos") as progress:
        prints, failed = prints_of(names, settings, progress)
    doubles = find_doubles(prints, settings)
    for double in doubles:
        how = "same bytes" if double.exact else f"{double.bits} bits apart"
        typer.echo(json.dumps(asdict(double)) if as_json else f"{double.first} = {double.second} ({how})")
    groups = groups_of(doubles)
    if remove is not None:
        with atomic_text(remove) as file:
            file.writelines(f"{name}\n" for name in to_remove(groups, prints, truth))
    typer.echo(f"{len(prints)} photos: {len(groups)} pictures are there more than once, {len(doubles)} pairs", err=True)
    for why in failed.values():
        typer.echo(why, err=True)
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


def _doubles(bits: int) -> DoubleSettings:
    from .doubles import DoubleSettings

    return DoubleSettings(most_bits=bits)


def _named_photos(path: Path, photos: Path | None) -> tuple[dict[str, Path], dict[str, PhotoTruth]]:
    """The photos of a data set, or of a bare folder, by name."""
    from .formats.convert import FILES, find_set, photos_of, read_set
    from .formats.yolo import PHOTO_SUFFIXES
    from .photos import inside

    if path.is_dir() and not any((path / name).is_file() for name in FILES.values()):
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES)
        if not found:
            raise TagtraceError(f"{path}: holds neither photos nor a data set")
        return {p.relative_to(path).as_posix(): p for p in found}, {}
    form, file = find_set(path)
    listed = read_set(file, form, photos)
    folder = photos_of(file, form, photos)
    return {p.file: inside(folder, p.file) for p in listed}, {p.file: p for p in listed}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as bad:
        raise TagtraceError(f"{folder}: cannot be made: {bad.strerror or bad}") from bad


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int], None]]:
    """A bar of progress on standard error; gives a function that is told how many are done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done: bars.update(task, completed=done)
