"""Reading and writing the text files of data sets: clear errors, and writes that are all or nothing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..contract import TagtraceError


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def atomic_text(path: Path) -> Iterator[IO[str]]:
    """A text file (UTF-8, line feeds) that takes the place of ``path`` when the block ends without an error.

    Until then, and after an error, whoever reads ``path`` sees the old file. Raises TagtraceError when it cannot be written.
    """
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False
        ) as out:
            temporary = Path(out.name)
            yield out
            out.flush()
            os.fsync(out.fileno())
        # A temporary file is private; the finished one gets the rights that any new file would have.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as bad:
        raise TagtraceError(f"{path}: cannot be written: {bad.strerror or bad}") from bad
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """The UTF-8 text of a file. Raises TagtraceError that names it when it is missing, unreadable or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as bad:
        raise TagtraceError(f"{path}: cannot be read: {bad.strerror or bad}") from bad
    except UnicodeDecodeError as bad:
        raise TagtraceError(f"{path}: is not UTF-8 text: {bad.reason} at byte {bad.start}") from bad


def read_json_lines(path: Path) -> Iterator[tuple[int, object]]:
    """(line number from 1, JSON value) of every line of a UTF-8 file that is not blank.

    Raises TagtraceError, naming the file and the line, when it cannot be read or a line is not JSON.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, json.loads(line)
    except OSError as bad:
        raise TagtraceError(f"{path}: cannot be read: {bad.strerror or bad}") from bad
    except UnicodeDecodeError as bad:
        raise TagtraceError(f"{path}: is not UTF-8 text: {bad.reason} at byte {bad.start}") from bad
    except json.JSONDecodeError as bad:
        raise TagtraceError(f"{path}:{number}: is not JSON: {bad.msg} at column {bad.colno}") from bad
