"""The commands ``tagtrace score`` and ``tagtrace show``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..contract import ExitCode, TagtraceError

if TYPE_CHECKING:
    from rich.console import Console

    from ..contract import Analysis, Photo
    from .run import Summary
    from .settings import ScoreSettings

_READER_HELP = "tagtrace, easyocr, rapidocr, faster-paddle, tesseract, or your own as module:function."
_FORMAT_HELP = (
    "Comma list of predictions, results, identifiers, adverts, clusters, geojson, annotated, report; or none, with --store: "
    "then memory does not grow with the results, as an archive of millions wants it."
)
_BATCH_HELP = "With --store: photos that go into it with one transaction."
_SHOPS_HELP = "CSV of known shops: shop_id, shop_name, kind, value, first_seen, status."
_MODEL_HELP = "Name of a registered model, or a model file, in place of the one in use; for the reader tagtrace."
_RUNTIME_HELP = "What runs the models of the reader tagtrace: onnxruntime, openvino, or auto (openvino where it is installed)."
_MOST_FAILURES = 20


def score(
    photos: Annotated[
        list[str] | None, typer.Argument(help="Photos, and folders that are searched to the bottom: paths or URLs (s3://…).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("results"),
    manifest: Annotated[
        str | None, typer.Option(help="CSV with path, lat, lon, taken_at, report_id; a path or a URL.", show_default=False)
    ] = None,
    shops: Annotated[
        Path | None,
        typer.Option(help=_SHOPS_HELP, show_default=False),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Store to link to and to keep the results in: a path (SQLite) or a PostgreSQL URL.", show_default=False
        ),
    ] = None,
    keep_photos: Annotated[
        str | None,
        typer.Option(
            help="With --store: also keep the photos' bytes in this folder (or URL of fsspec), where the service has its photos.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help=_BATCH_HELP)] = 100,
    reader: Annotated[str, typer.Option(help=_READER_HELP)] = "tagtrace",
    detector: Annotated[str, typer.Option(help=_MODEL_HELP, show_default=False)] = "",
    recogniser: Annotated[str, typer.Option(help=_MODEL_HELP, show_default=False)] = "",
    runtime: Annotated[str, typer.Option(help=_RUNTIME_HELP)] = "auto",
    formats: Annotated[str, typer.Option("--format", help=_FORMAT_HELP, show_default="all of them")] = "",
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is one per processor core.")] = 0,
    engine: Annotated[str, typer.Option(help="Who scores: local, or ray (Ray Data; extra `ray`).")] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="With --engine ray: the cluster, as auto, host:port or ray://host:port. Without it this machine.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Where the models run: cpu.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Score only what is missing or failed in --out.")] = False,
) -> ExitCode:
    """Score photos: find adverts, read them, extract identifiers, link them to shops, put duplicates together.

    Example: tagtrace score photos/ --shops shops.csv --out results --format report,identifiers

    Example, an archive: tagtrace score s3://archive --engine ray --address auto --store postgresql://me@db/city --format none

    Example, many machines: tagtrace score s3://city/photos --engine ray --address auto --out results

    Exit codes: 0 all done, 1 done but some photos failed, 2 wrong use, 3 nothing scored or written, 4 a model is missing,
    130 interrupted (what was finished is kept: go on with --resume).
    """
    if not photos and manifest is None:
        raise TagtraceError("nothing to score: name photos, folders, or a manifest with --manifest")
    from .early import started

    # A worker's imports take as long as those that follow here.
    with started(engine == "local") as early:
        from rich.console import Console

        from .build import OWN_READER, runtime_named
        from .places import place_of
        from .progress import progress_view
        from .run import Interrupted, ScoreRequest, score_photos
        from .settings import ScoreSettings
        from .storing import StoringSettings

        if (detector or recogniser) and reader != OWN_READER:
            raise TagtraceError(f"--detector and --recogniser are for the reader {OWN_READER}; {reader} brings its own models")
        settings = ScoreSettings(reader=reader, detector=detector, recogniser=recogniser, runtime=runtime_named(runtime))
        request = ScoreRequest(
            photos=tuple(map(place_of, photos or ())),
            out=out,
            manifest=None if manifest is None else place_of(manifest),
            shops=shops,
            store=store,
            keep_photos=keep_photos,
            storing=StoringSettings(batch),
            formats=_formats(formats),
            workers=workers,
            device=device,
            resume=resume,
            settings=settings,
            engine=engine,
            early=early,
            address=address,
        )
        told = Console(stderr=True)
        try:
            summary = score_photos(request, progress_view(told, settings.run.plain_progress_s))
        except Interrupted as stop:
            told.print(f"{stop}; go on with --resume", markup=False, highlight=False, soft_wrap=True)
            return ExitCode.INTERRUPTED
        _tell(summary, told)
        return summary.exit_code


def _formats(text: str) -> tuple[str, ...]:
    from .writers import FORMATS

    named = tuple(name.strip() for name in text.split(",") if name.strip())
    return () if named == ("none",) else named or FORMATS


def link(
    store: Annotated[
        str, typer.Option("--store", envvar="TAGTRACE_STORE", help="The store: a path (SQLite) or a PostgreSQL URL.")
    ] = "tagtrace.db",
    batch: Annotated[int, typer.Option(min=1, help="Photos that one transaction links.")] = 100,
) -> None:
    """Link everything in a store again: after new shops, or after a new calibration. No photo is read again.

    Example: tagtrace link --store city.db
    """
    from ..linking.store import Store
    from .storing import StoringSettings, link_again

    with Store.open(store) as opened:
        done = link_again(opened, storing=StoringSettings(batch))
    links = ", ".join(f"{count} {outcome}" for outcome, count in done.outcomes.items())
    typer.echo(f"{done.photos} photos linked again, {done.changed} changed: {links}")


def show(
    photo: Annotated[Path, typer.Argument(help="One photo.")],
    annotated: Annotated[
        Path | None, typer.Option(help="Also write the photo with what was found drawn into it (JPEG).", show_default=False)
    ] = None,
    shops: Annotated[Path | None, typer.Option(help=_SHOPS_HELP, show_default=False)] = None,
    reader: Annotated[str, typer.Option(help=_READER_HELP)] = "tagtrace",
    as_json: Annotated[bool, typer.Option("--json", help="The record of results.jsonl instead of tables.")] = False,
) -> ExitCode:
    """Show what tagtrace finds in one photo.

    Example: tagtrace show wall.jpg --annotated seen.jpg
    """
    from rich.console import Console

    from ..linking.shops import Shops, load_shops
    from .build import build_engine
    from .records import dump, result_to_json
    from .run import available_cores
    from .settings import ScoreSettings
    from .show import look, tables

    settings = ScoreSettings(reader=reader)
    known = load_shops(shops) if shops is not None else Shops()
    engine = build_engine(settings, threads=available_cores())
    result, decoded = look(photo, engine, known, settings)
    if as_json:
        typer.echo(dump(result_to_json(result, {**settings.to_json(), "engine": dict(engine.settings)})))
    else:
        console = Console()
        for table in tables(result, known):
            console.print(table)
    if annotated is not None and decoded is not None:
        _write_annotated(annotated, decoded, result.analysis, settings)
    return ExitCode.OK if result.analysis.failure is None else ExitCode.NOTHING_SCORED


def _write_annotated(path: Path, photo: Photo, analysis: Analysis, settings: ScoreSettings) -> None:
    from .annotate import annotated, jpeg
    from .files import write_atomically

    picture = annotated(photo.pixels, analysis.adverts, settings.run.annotated_side_px)
    data = jpeg(picture, settings.run.jpeg_quality)
    write_atomically(path, lambda file: file.write(data))


def _tell(summary: Summary, console: Console) -> None:
    def say(words: str) -> None:
        console.print(words, markup=False, highlight=False, soft_wrap=True)

    for _, failure in summary.failures[:_MOST_FAILURES]:
        say(f"failed ({failure.code}): {failure.message}")
    if len(summary.failures) > _MOST_FAILURES:
        say(f"… and {len(summary.failures) - _MOST_FAILURES} more, see the results")
    new = summary.photos - summary.resumed
    rate = f", {new / summary.seconds:.2f} photos/s" if new and summary.seconds > 0 else ""
    before = f" ({summary.resumed} done before)" if summary.resumed else ""
    say(
        f"{summary.photos} photos{before} in {summary.seconds:.1f} s{rate}: {summary.adverts} adverts, "
        f"{summary.identifiers} identifiers, {summary.clusters} clusters, {len(summary.failures)} failed"
    )
    for path in summary.files:
        say(f"wrote {path}")
