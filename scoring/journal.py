"""The work file of a run: each finished photo is appended at once, so that nothing finished is ever lost."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import TextIO

from .files import explained
from .records import Json, dump


class Journal:
    """Records of finished photos by SHA-256, in a file of JSON lines. Use it in a ``with`` block.

    Each line is ``{"key": fingerprint, "record": …}``; only lines with the fingerprint of this run count, and the last one of a
    photo. A line that a crash cut off is left out.
    """

    def __init__(self, path: Path, key: str, *, keep: bool) -> None:
        """Open ``path``; with ``keep`` earlier records stay (to resume), else the file starts anew."""
        self.path = path
        self._key = key
        self.records: dict[str, Json] = {}
        self._file: TextIO | None = None
        self._keep = keep

    def __enter__(self) -> Journal:
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torn = self._load() if self._keep and self.path.exists() else False
            self._file = self.path.open("a" if self._keep else "w", encoding="utf-8")
            if torn:
                self._file.write("\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            with explained(self.path):
                self._file.close()

    def add(self, record: Json) -> None:
        """Keep the record of a finished photo; it is on its way to the disk when this returns."""
        assert self._file is not None, "the journal is used outside its with block"
        with explained(self.path):
            self._file.write(dump({"key": self._key, "record": record}) + "\n")
            self._file.flush()
        self.records[record["sha256"]] = record

    def _load(self) -> bool:
        """Read what is there; True when the last line is cut off."""
        whole = True
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                whole = line.endswith("\n")
                try:
                    entry = json.loads(line)
                    if entry["key"] == self._key:
                        self.records[entry["record"]["sha256"]] = entry["record"]
                except (ValueError, TypeError, LookupError):
                    continue
        return not whole
