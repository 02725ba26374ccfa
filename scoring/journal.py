"""The work file of a run: each finished photo is appended at once, so that nothing finished is ever lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from .files import explained
from .records import Json, dump


class Records(Mapping[str, Json]):
    """The records in a journal by SHA-256. They stay in the file: of each photo only its place there is in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[bytes, int] = {}
        self._failed: set[bytes] = set()
        self._file: BinaryIO | None = None

    def __getitem__(self, sha256: str) -> Json:
        place = self._places[_packed(sha256)]
        with explained(self._path):
            if self._file is None:
                self._file = self._path.open("rb")
            self._file.seek(place)
            record: Json = json.loads(self._file.readline())["record"]
        return record

    def __contains__(self, sha256: object) -> bool:
        return isinstance(sha256, str) and _packed(sha256) in self._places

    def __iter__(self) -> Iterator[str]:
        return (packed.hex() for packed in self._places)

    def __len__(self) -> int:
        return len(self._places)

    def finished(self) -> frozenset[str]:
        """The photos that need no other try: those without a failure."""
        return frozenset(packed.hex() for packed in self._places if packed not in self._failed)

    def note(self, record: Json, place: int) -> None:
        """A record begins at this byte of the file; it counts from now on."""
        packed = _packed(record["sha256"])
        self._places[packed] = place
        (self._failed.discard if record["failure"] is None else self._failed.add)(packed)

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Journal:
    """Records of finished photos by SHA-256, in a file of JSON lines. Use it in a ``with`` block; ``records`` lasts longer.

    Each line is ``{"key": fingerprint, "record": …}``; only lines with the fingerprint of this run count, and the last one of a
    photo. A line that a crash cut off is left out.
    """

    def __init__(self, path: Path, key: str, *, keep: bool) -> None:
        """Open ``path``; with ``keep`` earlier records stay (to resume), else the file starts anew."""
        self.path = path
        self._key = key
        self.records = Records(path)
        self._file: BinaryIO | None = None
        self._keep = keep
        self._end = 0

    def __enter__(self) -> Journal:
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torn = self._load() if self._keep and self.path.exists() else False
            self._file = self.path.open("ab" if self._keep else "wb")
            if torn:
                self._write(b"\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            with explained(self.path):
                self._file.close()
        if error is not None:
            self.records.close()

    def add(self, record: Json) -> None:
        """Keep the record of a finished photo; it is on its way to the disk when this returns."""
        with explained(self.path):
            place = self._write(dump({"key": self._key, "record": record}).encode() + b"\n")
        self.records.note(record, place)

    def _write(self, line: bytes) -> int:
        """Append to the file and tell where."""
        assert self._file is not None, "the journal is used outside its with block"
        place = self._end
        self._file.write(line)
        self._file.flush()
        self._end += len(line)
        return place

    def _load(self) -> bool:
        """Find what is there; True when the last line is cut off."""
        whole = True
        with self.path.open("rb") as file:
            for line in file:
                place, self._end = self._end, self._end + len(line)
                whole = line.endswith(b"\n")
                try:
                    entry = json.loads(line)
                    if entry["key"] == self._key:
                        self.records.note(entry["record"], place)
                except (ValueError, TypeError, LookupError):
                    continue
        return not whole


def _packed(sha256: str) -> bytes:
    """A SHA-256 in a quarter of the memory that its hex digits take."""
    return bytes.fromhex(sha256)
