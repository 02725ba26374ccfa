"""Commands ``tagtrace dataset …`` that need models or a store: the gap between data sets, corrections to labels, what to
label."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ..contract import TagtraceError
from ..datasets.formats.convert import Format


def gap(
    a: Annotated[Path, typer.Argument(help="The first data set (A), of any format.", metavar="A", show_default=False)],
    b: Annotated[Path, typer.Argument(help="The second data set (B).", metavar="B", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder for the report, the numbers and the pictures.")],
    seed: Annotated[int, typer.Option("--seed", help="The same seed draws the same samples and folds.")] = 1,
    resamples: Annotated[int, typer.Option("--resamples", min=20, help="Draws for each interval.")] = 300,
) -> None:
    """Measure how far two data sets are apart, and in what: distance of features, a classifier, statistics, pictures.

    Features are the input of the recogniser's last layer (lines) and the end of the detector's backbone (photos). Samples of one
    wall are never divided between folds or draws.

    Example: tagtrace dataset gap data/walls/val datasets/sample --out build/gap
    """
    from ..datasets.manifest import names_of_sets
    from .gap import GapSettings, measure_gap
    from .gap_report import report_text, write_gap

    name_a, name_b = names_of_sets([a, b])
    settings = GapSettings(seed=seed, resamples=resamples)
    report = measure_gap(a, b, settings)
    written = write_gap(report, out, name_a, name_b)
    typer.echo(report_text(report, name_a, name_b))
    typer.echo(f"Written to {out}: {', '.join(path.name for path in written)}", err=True)


def convert(
    source: Annotated[Path, typer.Argument(help="Data set: its file, or the folder that holds it.", metavar="SET")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    to: Annotated[Format, typer.Option("--to", help="Format to write.", case_sensitive=False)],
    source_format: Annotated[
        Format | None, typer.Option("--from", help="Format to read; by its content if not given.", case_sensitive=False)
    ] = None,
    photos: Annotated[Path | None, typer.Option("--photos", help="Folder of the photos; if not given, beside the set.")] = None,
    copy: Annotated[bool, typer.Option("--copy/--no-copy", help="Put the photos beside (links where it can).")] = True,
    address: Annotated[
        str, typer.Option("--address", help="For Label Studio: what stands before the name of each photo.")
    ] = "/data/local-files/?d=photos/",
) -> None:
    """Convert a data set to another annotation format, and tell what that format cannot hold.

    Texts that were typed in a tool get their kinds and canonical values from the grammar that scoring uses.

    Example: tagtrace dataset convert data/corrections --to label-studio --out build/label-studio
    """
    from ..datasets.formats.convert import find_set, photos_of, read_set, write_set
    from .kinds import with_kinds

    form, file = (source_format, source) if source_format is not None else find_set(source)
    listed = with_kinds(read_set(file, form, photos))
    folder = photos_of(file, form, photos) if copy or to is Format.YOLO else None
    done = write_set(listed, to, out, folder, address)
    typer.echo(f"{done.photos} photos as {to}: {done.file}")
    for name, count in done.lost.items():
        typer.echo(f"not kept: {name} ({count} times)")


def suspicious(
    truth: Annotated[Path, typer.Argument(help="Data set of any format.", metavar="SET", show_default=False)],
    predictions: Annotated[Path, typer.Option("--predictions", help="predictions.jsonl of `tagtrace score` on its photos.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for suspicious.csv and the contact sheets.")],
    photos: Annotated[Path | None, typer.Option("--photos", help="Folder of the photos; if not given, beside the truth.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Labels listed on the screen.")] = 20,
) -> None:
    """Rank labels that are probably wrong: where the models surely say something else, the most suspicious first.

    Example: tagtrace dataset suspicious data/walls/val --predictions results/predictions.jsonl --out build/suspicious
    """
    import csv
    from dataclasses import asdict, fields

    from ..datasets.files import atomic_text
    from ..datasets.formats.convert import find_set, photos_of, read_set
    from .predictions import read_predictions
    from .suspicious import Suspicion, write_suspicion_sheets
    from .suspicious import suspicious as rank

    form, file = find_set(truth)
    found = rank(read_set(file, form, photos), read_predictions(predictions))
    _make(out)
    with atomic_text(out / "suspicious.csv") as csv_file:
        writer = csv.DictWriter(csv_file, [field.name for field in fields(Suspicion)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(item) for item in found)
    write_suspicion_sheets(found, photos_of(file, form, photos), out)
    for item in found[:most]:
        typer.echo(f"{item.suspicion:.2f} {item.doubt} {item.photo}: labelled {item.labelled!r}, read {item.read!r}")
    typer.echo(f"{len(found)} suspicious labels: {out / 'suspicious.csv'}", err=True)


def from_store(
    out: Annotated[Path, typer.Option("--out", help="New folder for the data set.")],
    store: Annotated[
        str, typer.Option("--store", envvar="TAGTRACE_STORE", help="Store: a path, or postgresql://user@host/name.")
    ],
    since: Annotated[datetime | None, typer.Option("--since", help="Only photos decided about since this moment (UTC).")] = None,
    rejected: Annotated[
        bool, typer.Option("--rejected-as-negatives", help="Also take adverts that were rejected for text that is no advert.")
    ] = False,
) -> None:
    """Make labels from what people decided at the review desk: corrected and confirmed adverts, and what is no advert.

    Photos are copied without EXIF. A photo with an advert that nobody decided about is left out, and counted.

    Example: tagtrace dataset from-store --store city.db --out data/corrections
    """
    from ..linking.store import Store
    from .from_store import FromStoreSettings, write_labels_of

    moment = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    with Store.open(store) as opened:
        done = write_labels_of(opened, out, FromStoreSettings(rejected, moment))
    typer.echo(f"{done.photos} photos, {done.adverts} adverts, {done.others} texts that are no advert: {out}")
    for why, count in done.left_out.items():
        typer.echo(f"left out: {count} photos, because {why}")


def pick(
    out: Annotated[Path, typer.Option("--out", help="Folder for pick.csv, the photos and the tasks for Label Studio.")],
    store: Annotated[
        str | None, typer.Option("--store", help="Store whose undecided photos are looked at; else TAGTRACE_STORE.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Instead of a store: predictions.jsonl of `tagtrace score`.")
    ] = None,
    photos: Annotated[Path | None, typer.Option("--photos", help="With --predictions: folder of the photos.")] = None,
    other: Annotated[
        Path | None, typer.Option("--other", help="Predictions of another model on the same photos: where do they disagree?")
    ] = None,
    labelled: Annotated[
        list[Path] | None, typer.Option("--labelled", help="Data set that is labelled already; may be given several times.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Photos to pick.")] = 50,
) -> None:
    """Pick the photos to label next: doubtful, differently read, or unlike all that is labelled; each with its reason.

    The photos are copied without EXIF, with tasks for Label Studio that begin with what was read.

    Example: tagtrace dataset pick --store city.db --labelled data/corrections --count 50 --out data/next
    """
    from .pick_run import PickPlan, run_pick

    if store is None and predictions is None:
        store = os.environ.get("TAGTRACE_STORE")
    picks = run_pick(PickPlan(out, store, predictions, photos, other, tuple(labelled or ()), count))
    for item in picks:
        typer.echo(f"{item.rank:>4} {item.score:.2f} {item.name[:40]}: {item.reason}")
    typer.echo(f"{len(picks)} photos are in {out}: pick.csv, photos/, label-studio.json", err=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as bad:
        raise TagtraceError(f"{folder}: cannot be made: {bad.strerror or bad}") from bad
