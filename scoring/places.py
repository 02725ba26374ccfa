"""Where a photo or a manifest lies: a path of this machine, or a URL that fsspec opens."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeAlias

from ..contract import BrokenInstallationError, TagtraceError

_LOCAL = ("file://", "local://")


@dataclass(frozen=True, slots=True, order=True)
class RemoteFile:
    """A file or a folder behind a URL of fsspec, with the part of ``Path`` that scoring needs.

    Whatever goes wrong in reading is an ``OSError``, as with files. What a kind of URL needs besides (keys, an endpoint) is
    taken from the environment, as its library does by itself.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def parts(self) -> tuple[str, ...]:
        """The host or bucket, and what follows it."""
        return tuple(part for part in self.url.partition("://")[2].split("/") if part)

    @property
    def name(self) -> str:
        """The last part."""
        return self.parts[-1] if self.parts else self.url

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> RemoteFile:
        """The folder that it lies in."""
        return RemoteFile(self.url.rstrip("/").rpartition("/")[0])

    def __truediv__(self, relative: str) -> Place:
        if "://" in relative:
            return place_of(relative)
        return RemoteFile(f"{self.url.rstrip('/')}/{relative.lstrip('/')}")

    def resolve(self) -> RemoteFile:
        """Itself: a URL is not a link to another one."""
        return self

    def size(self) -> int | None:
        """Bytes, where they are known."""
        with self._opened() as (system, path):
            size = system.info(path).get("size")
        return None if size is None else int(size)

    def version(self) -> str:
        """What tells this state of the file from a later one: its size, and the times and tags that its system has."""
        with self._opened() as (system, path):
            told = system.info(path)
        return json.dumps({name: str(told[name]) for name in sorted(told)})

    def read_bytes(self, first: int | None = None) -> bytes:
        """All bytes, or the first so many."""
        with self._opened() as (system, path):
            data: bytes = system.cat_file(path) if first is None else system.cat_file(path, start=0, end=first)
        return data

    def open_text(self) -> IO[str]:
        """The file as UTF-8 text, read as it comes."""
        with self._opened() as (system, path):
            file: IO[str] = system.open(path, "r", encoding="utf-8-sig", newline="")
        return file

    def exists(self) -> bool:
        """Whether there is such a file or folder."""
        with self._opened() as (system, path):
            return bool(system.exists(path))

    def is_dir(self) -> bool:
        """Whether it is a folder (or a prefix that names begin with)."""
        with self._opened() as (system, path):
            return bool(system.isdir(path))

    def walk(self, problems: list[OSError]) -> Iterator[str]:
        """The files below this folder as paths relative to it, folder by folder; what starts with a dot is left out."""

        def note(error: Exception) -> None:
            problems.append(_as_os_error(error, self.url))

        with self._opened() as (system, path):
            root = path.rstrip("/")
            for folder, folders, files in system.walk(path, detail=False, on_error=note):
                below = folder[len(root) :].strip("/")
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                if any(part.startswith(".") for part in below.split("/")):
                    continue
                for name in sorted(files):
                    if name and not name.startswith("."):
                        yield f"{below}/{name}" if below else name

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, str]]:
        import fsspec

        try:
            yield fsspec.core.url_to_fs(self.url)
        except (OSError, TagtraceError):
            raise
        except Exception as error:  # each kind of URL has its own
            raise _as_os_error(error, self.url) from error


Place: TypeAlias = Path | RemoteFile
"""Where one file lies."""


def place_of(text: str) -> Place:
    """The place that ``text`` names: a path, or a URL of fsspec (``s3://bucket/folder``); ``file://`` is a path.

    Raises ``TagtraceError`` for a kind of URL that nothing opens, ``BrokenInstallationError`` where its library is missing.
    """
    if "://" not in text:
        return Path(text)
    for prefix in _LOCAL:
        if text.startswith(prefix):
            return Path(text.removeprefix(prefix))
    import fsspec

    protocol = text.partition("://")[0].rpartition("::")[2]
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise BrokenInstallationError(
            f"{text}: {error}; for s3:// install tagtrace[ray], for others the library that fsspec names"
        ) from error
    except ValueError as error:
        raise TagtraceError(f"{text}: nothing opens URLs of the kind {protocol}://; give a path, or a URL of fsspec") from error
    return RemoteFile(text)


def _as_os_error(error: Exception, url: str) -> OSError:
    return error if isinstance(error, OSError) else OSError(errno.EIO, f"{type(error).__name__}: {error}", url)
