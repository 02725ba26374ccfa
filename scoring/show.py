"""One photo looked at closely, for the command ``show``: no files, no processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from rich.text import Text

from ..contract import Analysis, Failure, Photo
from ..linking.shops import Shops
from .build import Engine
from .inputs import read_failure
from .placing import place_all
from .records import PhotoResult
from .settings import ScoreSettings
from .worker import Task, failed, load


def look(path: Path, engine: Engine, shops: Shops, settings: ScoreSettings) -> tuple[PhotoResult, Photo | None]:
    """The result of one photo, and the photo itself unless it could not be decoded (then the result holds the failure)."""
    task = Task(path, str(path), "")
    photo: Photo | Failure
    try:
        photo = load(task, settings)
    except OSError as error:
        photo = read_failure(task.name, error)
    analysis: Analysis = failed(task, photo) if isinstance(photo, Failure) else engine.pipeline.analyse([photo])[0]
    result = place_all([(analysis, None)], shops, settings.links, settings.clusters)[0]
    return result, None if isinstance(photo, Failure) else photo


def tables(result: PhotoResult, shops: Shops) -> Iterator[Table | Text]:
    """What a terminal is shown: per advert its lines and codes, then its identifiers. Texts are never taken as markup."""
    analysis = result.analysis
    if analysis.failure is not None:
        yield Text(f"{analysis.failure.code}: {analysis.failure.message}", style="red")
        return
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in analysis.stages)
    yield Text(f"{analysis.name}: {analysis.width} x {analysis.height} px, {len(result.adverts)} adverts, seconds: {stages}")
    if result.adverts:
        yield _readings(result)
        yield _identifiers(result, shops)


def _readings(result: PhotoResult) -> Table:
    table = _table("What it says", "advert", "line", "text", "found", "read", "corner x, y")
    for number, advert in enumerate(result.adverts):
        for index, line in enumerate(advert.advert.lines):
            x, y = line.quad[0]
            sure = (f"{line.confidence:.2f}", f"{line.reading.confidence:.2f}")
            table.add_row(str(number), str(index), Text(plain(line.reading.text)), *sure, f"{x:.0f}, {y:.0f}")
        for code in advert.advert.codes:
            x, y = code.quad[0]
            table.add_row(str(number), code.format, Text(plain(code.payload)), "", "", f"{x:.0f}, {y:.0f}")
    return table


def _identifiers(result: PhotoResult, shops: Shops) -> Table:
    table = _table("Identifiers", "advert", "kind", "value", "sure", "flags", "link", "shop", "may also be")
    for number, advert in enumerate(result.adverts):
        for identifier, link in zip(advert.advert.identifiers, advert.links, strict=True):
            name = shops.names.get(link.shop_id or "", "")
            others = ", ".join(f"{value} {share:.2f}" for value, share in identifier.alternatives[:3])
            table.add_row(
                *(str(number), identifier.kind.value, Text(plain(identifier.value)), f"{identifier.confidence:.2f}"),
                *(" ".join(identifier.flags), f"{link.outcome} {link.probability:.2f}"),
                *(Text(plain(f"{name} ({link.shop_id})" if link.shop_id else "")), Text(plain(others))),
            )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for column in columns:
        # A value that is cut off cannot be checked.
        table.add_column(column, overflow="fold")
    return table


def plain(text: str) -> str:
    """A text that cannot steer the terminal: what stands on walls and in codes is written by strangers."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
