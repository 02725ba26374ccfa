"""What is to be scored: files, folders and a manifest become one list of items, in a definite order.

What is found comes piece by piece (``found_in``, ``manifest_rows``), so that scoring can begin before the end is seen; names
and order need all of it (``settle``).
"""

from __future__ import annotations

import csv
import hashlib
import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import IO

from ..contract import Failure, FailureCode, TagtraceError
from ..inference.decode import looks_like_picture
from .places import Place, RemoteFile, place_of

PICTURE_SUFFIXES = frozenset(".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .gif .heic .heif .hif".split())
"""Files in folders with these endings are taken whatever is in them; others when they begin like a picture."""
_HEAD_BYTES = 32
_CHUNK_BYTES = 1 << 20
_MOST_ERRORS = 10


@dataclass(frozen=True, slots=True)
class Item:
    """One photo to be scored, or a place where none could be found (then ``failure`` says why).

    ``name`` is how results call it: the path relative to the folder given, with ``/`` between its parts. Position, time and
    report come from the manifest and count more than what EXIF says.
    """

    path: Place
    name: str
    lat: float | None = None
    lon: float | None = None
    taken_at: datetime | None = None
    report_id: str | None = None
    failure: Failure | None = None


def collect(
    photos: Sequence[Place], manifest: Place | None, local_utc_offset_hours: float, skip: Path | None = None
) -> list[Item]:
    """Every photo below ``photos`` (files and folders) and in the manifest, each once, sorted by name.

    Folders are searched to the bottom; hidden folders, links to folders, and the folder ``skip`` (the output) are left out.
    What is missing or cannot be opened becomes an item with a failure. A manifest row for a photo that is also in ``photos``
    adds its facts to it. Raises ``TagtraceError`` for a manifest that cannot be used, with each bad line.
    """
    rows = list(manifest_rows(manifest, local_utc_offset_hours)) if manifest is not None else []
    return settle(found_in(photos, skip), rows)


def found_in(photos: Sequence[Place], skip: Path | None = None) -> Iterator[Item]:
    """Every photo below files and folders, as it is met: one that is given twice comes twice."""
    for place in photos:
        if isinstance(place, RemoteFile):
            yield from _remote(place)
        elif _is_folder(place):
            yield from _folder(place, skip)
        else:
            yield _file(place, place.name)


def settle(found: Iterable[Item], rows: Sequence[Item]) -> list[Item]:
    """Each photo once (one with manifest rows once per row), under a name that no other photo has, sorted by name."""
    return sorted(_distinct_names(_merge(found, rows)), key=lambda item: (item.name, str(item.path), item.report_id or ""))


def digest(item: Item, max_bytes: int) -> str | Failure:
    """SHA-256 of the file in lower-case hex, or why it cannot be read."""
    try:
        if (too_large := oversize(item.path, item.name, max_bytes)) is not None:
            return too_large
        if isinstance(item.path, RemoteFile):
            return hashlib.sha256(item.path.read_bytes()).hexdigest()
        hasher = hashlib.sha256()
        with item.path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                hasher.update(chunk)
        return hasher.hexdigest()
    except OSError as error:
        return read_failure(item.name, error)


def oversize(place: Place, name: str, max_bytes: int) -> Failure | None:
    """The failure of a file that has too many bytes to be opened. Raises ``OSError`` where it cannot be looked at."""
    size = place.size() if isinstance(place, RemoteFile) else place.stat().st_size
    if size is None or size <= max_bytes:
        return None
    return Failure(FailureCode.TOO_LARGE, f"{name}: {size} bytes are more than the limit of {max_bytes}; send a smaller file")


def read_failure(name: str, error: OSError) -> Failure:
    """The failure of a file that cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return Failure(FailureCode.MISSING, f"{name}: there is no such file or folder; check the path")
    return Failure(FailureCode.UNREADABLE, f"{name}: cannot be read ({error.strerror or error}); check rights and disk")


def _file(path: Path, name: str) -> Item:
    item = Item(path, _clean(name))
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return replace(item, failure=read_failure(_clean(str(path)), error))
    if not stat.S_ISREG(mode):
        message = f"{_clean(str(path))}: is not a file; give files and folders"
        return replace(item, failure=Failure(FailureCode.UNREADABLE, message))
    return item


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _folder(folder: Path, skip: Path | None) -> Iterator[Item]:
    problems: list[OSError] = []
    skipped = skip.resolve() if skip is not None else None
    for parent, folders, files in os.walk(folder, onerror=problems.append):
        here = Path(parent)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (here / f).resolve() != skipped)
        for file in sorted(files):
            path = here / file
            if _is_wanted(path):
                yield _file(path, path.relative_to(folder).as_posix())
    for error in problems:
        place = Path(str(error.filename or folder))
        name = place.relative_to(folder).as_posix() if place != folder else folder.name
        message = f"{place}: the folder cannot be read ({error.strerror}); check its rights"
        yield Item(place, _clean(name), failure=Failure(FailureCode.UNREADABLE, message))


def _remote(place: RemoteFile) -> Iterator[Item]:
    problems: list[OSError] = []
    try:
        if not place.is_dir():
            gone = None if place.exists() else read_failure(str(place), FileNotFoundError())
            yield Item(place, _clean(place.name), failure=gone)
            return
        for relative in place.walk(problems):
            file = RemoteFile(f"{place.url.rstrip('/')}/{relative}")
            if _is_wanted(file):
                yield Item(file, _clean(relative))
    except OSError as error:
        problems.append(error)
    for problem in problems:
        message = f"{place}: cannot be listed ({problem.strerror or problem}); check the address and the rights"
        yield Item(place, _clean(place.name), failure=Failure(FailureCode.UNREADABLE, message))


def _is_wanted(path: Place) -> bool:
    if path.name.startswith("."):
        return False
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return True
    try:
        if isinstance(path, RemoteFile):
            return looks_like_picture(path.read_bytes(_HEAD_BYTES))
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return looks_like_picture(file.read(_HEAD_BYTES))
    except OSError:
        return False


def _clean(name: str) -> str:
    """A name that can be written to any file: bytes that are no text become replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _merge(found: Iterable[Item], rows: Sequence[Item]) -> list[tuple[Item, Place]]:
    """Each photo once, with where it really lies; a photo with manifest rows once per row."""
    named: dict[Place, Item] = {}
    for item in found:
        named.setdefault(item.path.resolve(), item)
    out: dict[Item, Place] = {}
    used: set[Place] = set()
    for row in rows:
        place = row.path.resolve()
        used.add(place)
        out[replace(row, name=named[place].name) if place in named else row] = place
    return [*out.items(), *((item, place) for place, item in named.items() if place not in used)]


def _distinct_names(items: Sequence[tuple[Item, Place]]) -> Iterator[Item]:
    """Different files of one name (from two folders) get as much of their path in front as tells them apart."""
    by_name: dict[str, set[Place]] = {}
    for item, place in items:
        by_name.setdefault(item.name, set()).add(place)
    for item, place in items:
        others = [path for path in by_name[item.name] if path != place]
        if not others:
            yield item
            continue
        parts = place.parts
        depth = len(PurePosixPath(item.name).parts)
        while depth < len(parts) and any(other.parts[-depth:] == parts[-depth:] for other in others):
            depth += 1
        yield replace(item, name=_clean("/".join(part.strip("/\\") for part in parts[-depth:])))


def manifest_rows(manifest: Place, local_utc_offset_hours: float) -> Iterator[Item]:
    """The photos that a manifest names, row by row as it is read.

    Raises ``TagtraceError`` for one that cannot be used; bad lines are told at the end, all together.
    """
    errors: list[str] = []
    try:
        with manifest.open_text() if isinstance(manifest, RemoteFile) else _open_text(manifest) as file:
            first = file.readline()
            lines = _before(first, file)
            reader = csv.DictReader(lines, delimiter=";" if first.count(";") > first.count(",") else ",")
            if "path" not in (reader.fieldnames or ()):
                raise TagtraceError(
                    f"{manifest}: the first line must name the columns; path is needed, lat, lon, taken_at, report_id may be"
                )
            for row in reader:
                try:
                    yield _row(row, manifest.parent, local_utc_offset_hours)
                except ValueError as error:
                    errors.append(f"{manifest}:{reader.line_num}: {error}")
    except FileNotFoundError as error:
        raise TagtraceError(f"{manifest}: there is no such manifest; check the path given to --manifest") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TagtraceError(f"{manifest}: cannot be read as UTF-8 text ({error}); save the manifest as CSV in UTF-8") from error
    if errors:
        more = f"\n… and {len(errors) - _MOST_ERRORS} more" if len(errors) > _MOST_ERRORS else ""
        raise TagtraceError("\n".join(errors[:_MOST_ERRORS]) + more + "\nCorrect the manifest and run again.")


def _open_text(path: Path) -> IO[str]:
    return path.open(encoding="utf-8-sig", newline="")


def _before(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _row(row: Mapping[str | None, object], folder: Place, local_utc_offset_hours: float) -> Item:
    if row.get(None):
        raise ValueError("more fields than columns; put quotes around values that hold the separator")
    cells = {key: str(value or "").strip() for key, value in row.items() if key}
    if not cells["path"]:
        raise ValueError("path is empty")
    path = place_of(cells["path"]) if "://" in cells["path"] else folder / cells["path"]
    lat, lon = _degrees(cells.get("lat", ""), "lat", 90.0), _degrees(cells.get("lon", ""), "lon", 180.0)
    if (lat is None) != (lon is None):
        raise ValueError("lat and lon must be given together")
    name = _inside(cells["path"])
    # What lies behind a URL is looked at when it is read: asking first would double the requests.
    item = Item(path, _clean(name)) if isinstance(path, RemoteFile) else _file(path, name)
    return replace(
        item,
        lat=lat,
        lon=lon,
        taken_at=_time(cells.get("taken_at", ""), local_utc_offset_hours),
        report_id=cells.get("report_id") or None,
    )


def _inside(name: str) -> str:
    """The path of a manifest row as a name: relative, without steps upwards, so that results stay below their folder."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..") and not part.endswith(":")]
    return "/".join(parts) or name


def _degrees(text: str, column: str, limit: float) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not -limit <= value <= limit:
        raise ValueError(f"{column} is {text!r}; it must be degrees from {-limit:g} to {limit:g}")
    return value


def _time(text: str, local_utc_offset_hours: float) -> datetime | None:
    if not text:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"taken_at is {text!r}; write it as 2026-07-21T10:39:23+05:00") from error
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone(timedelta(hours=local_utc_offset_hours)))
    return value.astimezone(UTC)
