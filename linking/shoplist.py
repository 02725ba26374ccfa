"""Reading the shop lists that people keep: CSV from any office program, row by row, every bad row named with its reason.

Columns: shop_id, kind, value, and if known shop_name, first_seen, status; others are left alone. Separators ``,``, ``;`` and tab;
UTF-8 (with or without a mark), UTF-16 with a mark, or Windows-1251. A row stands on one line. Memory does not grow with the list.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

from ..contract import IdentifierKind, TagtraceError
from .canonical import canonical_value

REQUIRED = ("shop_id", "kind", "value")
COLUMNS = (*REQUIRED, "shop_name", "first_seen", "status")
_SEPARATORS = ",;\t"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_ID = 64
_LONGEST_TEXT = 500
_DATES = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%Y.%m.%d")
_KINDS = ", ".join(IdentifierKind)


@dataclass(frozen=True, slots=True)
class ListedRow:
    """One good row: the line it stands on (from 1), and its cells in canonical form."""

    line: int
    shop_id: str
    kind: IdentifierKind
    value: str
    shop_name: str = ""
    first_seen: date | None = None
    status: str = ""


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that cannot be used: its line (from 1), why, and the line as it stands in the file."""

    line: int
    reason: str
    text: str


@dataclass(slots=True)
class ListReport:
    """How many rows were good and bad, the bad ones by reason, and the first of them."""

    good: int = 0
    bad: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first_bad: list[BadRow] = field(default_factory=list)
    kept_bad: int = 20
    """How many bad rows ``first_bad`` holds at most."""

    def reject(self, row: BadRow) -> None:
        """Count a bad row; what stands in quotes in its reason is left out of the count by reason."""
        self.bad += 1
        self.reasons[re.sub(r" '.*'", "", row.reason).partition(";")[0]] += 1
        if len(self.first_bad) < self.kept_bad:
            self.first_bad.append(row)


def read_shop_list(path: Path, reject: Callable[[BadRow], None]) -> Iterator[ListedRow]:
    """The good rows of a shop list in their order; bad ones go to ``reject``. Rows are not compared with each other.

    Raises ``TagtraceError`` naming the file when it cannot be read or its first line does not name the columns.
    """
    try:
        encoding = detect_encoding(path)
        with path.open("rb") as file:
            lines = _decoded(file, encoding) if encoding != "utf-16" else _utf16_lines(path)
            yield from _rows(path, lines, reject)
    except FileNotFoundError as error:
        raise TagtraceError(f"{path}: no such shop list; check the path") from error
    except (OSError, UnicodeError) as error:
        raise TagtraceError(f"{path}: cannot be read as text ({error}); save the shop list as CSV in UTF-8") from error


def detect_encoding(path: Path) -> str:
    """``utf-8``, ``cp1251`` or ``utf-16``: the encoding of most lines that are not plain ASCII."""
    with path.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return "utf-16"
        file.seek(0)
        votes = Counter(_is_utf8(line) for line in file if not line.isascii())
    return "cp1251" if votes[False] > votes[True] else "utf-8"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decoded(file: Iterator[bytes], encoding: str) -> Iterator[tuple[str, bool]]:
    """Every line as text, and whether it is what it seems. Bytes that are valid UTF-8 by chance do not occur in Windows-1251."""
    for number, line in enumerate(file):
        if number == 0:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if _is_utf8(line):
            yield line.decode("utf-8"), True
        else:
            yield line.decode(encoding, errors="replace"), encoding == "cp1251"


def _utf16_lines(path: Path) -> Iterator[tuple[str, bool]]:
    with path.open(encoding="utf-16") as file:
        for line in file:
            yield line, True


def _rows(path: Path, lines: Iterator[tuple[str, bool]], reject: Callable[[BadRow], None]) -> Iterator[ListedRow]:
    heading, _ = next(lines, ("", True))
    separator = max(_SEPARATORS, key=heading.count)
    columns = [name.strip().lower() for name in next(csv.reader([heading], delimiter=separator), [])]
    missing = [name for name in REQUIRED if name not in columns]
    twice = sorted(name for name in COLUMNS if columns.count(name) > 1)
    if missing or twice:
        what = f"missing: {', '.join(missing)}" if missing else f"named twice: {', '.join(twice)}"
        raise TagtraceError(f"{path}: the first line must name the columns {', '.join(REQUIRED)} once each; {what}")
    places = {name: columns.index(name) for name in COLUMNS if name in columns}
    for number, (line, readable) in enumerate(lines, start=2):
        if not line.strip():
            continue
        found = _parse(line, separator, places, len(columns)) if readable else "is not in the encoding of the other lines"
        if isinstance(found, str):
            reject(BadRow(number, found, line.rstrip("\r\n")))
        else:
            yield ListedRow(number, *found)


_Cells = tuple[str, IdentifierKind, str, str, date | None, str]


def _parse(line: str, separator: str, places: Mapping[str, int], width: int) -> _Cells | str:
    """The cells of a good row, or what is wrong with it."""
    try:
        cells = next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error as error:
        return f"cannot be split into cells; {error}: a row must stand on one line, quotes in pairs"
    if len(cells) > width and any(cell.strip() for cell in cells[width:]):
        return "has more cells than columns; put quotes around values that hold the separator"
    if len(cells) <= max(places[name] for name in REQUIRED):
        return "has fewer cells than columns"
    row = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
    for name, cell in row.items():
        if name in REQUIRED and not cell:
            return f"{name} is empty"
        if _CONTROL.search(cell) or "\ufffd" in cell or len(cell) > _LONGEST_TEXT * 4:
            return f"{name} holds characters that cannot be read, or is too long"
    return _checked(row)


def _checked(row: Mapping[str, str]) -> _Cells | str:
    kind = _kind(row["kind"].lower())
    if kind is None:
        return f"unknown kind {row['kind'][:40]!r}; known are {_KINDS}"
    if len(row["shop_id"]) > _LONGEST_ID:
        return f"shop_id is longer than {_LONGEST_ID} characters"
    if len(row.get("shop_name", "")) > _LONGEST_TEXT or len(row.get("status", "")) > _LONGEST_TEXT:
        return f"shop_name or status is longer than {_LONGEST_TEXT} characters"
    value = canonical_value(kind, row["value"])
    if value is None:
        return f"no valid {kind}: {row['value'][:80]!r}"
    seen = _date(row.get("first_seen", ""))
    if isinstance(seen, str):
        return seen
    return row["shop_id"], kind, value, row.get("shop_name", ""), seen, row.get("status", "")


@lru_cache(maxsize=64)
def _kind(text: str) -> IdentifierKind | None:
    try:
        return IdentifierKind(text)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _date(text: str) -> date | str | None:
    if not text:
        return None
    day = text.partition("T")[0].partition(" ")[0]
    for form in _DATES:
        try:
            return datetime.strptime(day, form).date()
        except ValueError:
            continue
    return f"first_seen is no date: {text[:40]!r}; write YYYY-MM-DD"
