"""Writing so that nothing is ever half there, and a full disk is told in words."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, ClassVar

from ..contract import ExitCode, TagtraceError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class OutputError(TagtraceError):
    """Results cannot be written; what was finished before is kept."""

    exit_code: ClassVar[ExitCode] = ExitCode.NOTHING_SCORED


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong while writing to ``path`` into an ``OutputError`` that says what to do."""
    try:
        yield
    except OSError as error:
        raise OutputError(describe(path, error)) from error


def describe(path: Path, error: OSError) -> str:
    """What to tell people about a failed write."""
    if error.errno in _FULL:
        free = ""
        with contextlib.suppress(OSError):
            free = f" ({shutil.disk_usage(path.parent).free // 1_000_000} MB free)"
        return f"{path}: the disk is full{free}; make room and run again with --resume, finished photos are kept"
    return f"{path}: cannot be written ({error.strerror or error}); check the rights of the folder, or choose another with --out"


def write_atomically(path: Path, write: Callable[[BinaryIO], object], *, durable: bool = True) -> None:
    """Create or replace ``path`` with what ``write`` puts into the file it is given: all of it or nothing.

    When it returns the file is on the disk. Where not ``durable`` a power cut may leave an empty one; the death of the process
    does not.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for one run; a second run into it is refused. The lock goes with the process, however that ends."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - systems without POSIX locks go without
        yield
        return
    path = folder / "lock"
    with explained(path):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TagtraceError(f"{folder.parent}: another run is writing here; wait for it or choose another --out") from error
        yield
