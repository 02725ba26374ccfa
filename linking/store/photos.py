"""Where the bytes of photos lie: a folder, or any place that fsspec can reach, each file under the SHA-256 of its content.

``ab/cd/abcd…`` holds the bytes whose digest is ``abcd…``. A file appears whole or not at all, and what is read is checked against
its name, so a damaged or exchanged file is never taken for the photo.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import fsspec

from ...contract import TagtraceError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20
_FREE_EVERY_S = 1.0
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class PhotoFiles:
    """The photos at one place. Safe to use from several processes: the same bytes written twice are one file."""

    def __init__(self, url: str | Path) -> None:
        """``url`` is a folder (made when the first photo comes) or a URL of fsspec (``s3://bucket/photos``, ``memory://photos``)."""
        self.url = str(url)
        try:
            self._files, root = fsspec.core.url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            raise TagtraceError(f"{self.url}: no place for photos ({error}); give a folder or a URL of fsspec") from error
        self._root = str(root).rstrip("/")
        self._local = "file" in (self._files.protocol if isinstance(self._files.protocol, tuple) else (self._files.protocol,))
        self._named: set[str] = set()
        """Folders whose own name this process has put on the disk; at most as many as there are (65,793)."""
        self._free: tuple[float, int | None] = (-_FREE_EVERY_S, None)

    def free_bytes(self) -> int | None:
        """Free bytes where the photos are, as of a second ago at most; None where that is no folder, or it is not made yet."""
        looked, free = self._free
        if time.monotonic() - looked >= _FREE_EVERY_S:
            free = shutil.disk_usage(self._root).free if self._local and Path(self._root).is_dir() else None
            self._free = time.monotonic(), free
        return free

    def put(self, data: bytes) -> str:
        """Keep the bytes of a photo and give their SHA-256. Raises ``TagtraceError`` when they cannot be written.

        In a folder it waits for the disk: several threads that put at once wait together.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        try:
            if self._holds(path, data):
                if self._local:
                    # Somebody else may be putting it in this moment.
                    _sync(path)
                    self._sync_folders(path)
                return sha256
            part = f"{path}.{uuid.uuid4().hex}.part"
            if self._local:
                self._put_synced(path, part, data)
            else:
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._files.pipe_file(part, data)
                self._files.mv(part, path)
        except OSError as error:
            raise TagtraceError(f"{self.url}: a photo cannot be written ({error}); check the place and its free space") from error
        return sha256

    def _put_synced(self, path: str, part: str, data: bytes) -> None:
        """Put a file into its folder so that neither it nor its name is lost with the power."""
        folder = path.rpartition("/")[0]
        handle = _create(part, folder)
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                Path(part).replace(path)
                # After it has its name: one wait for content and name. What a power cut leaves half done was not acknowledged,
                # is never given out, and is written again when it is put again.
                os.fsync(handle)
        except OSError:
            with contextlib.suppress(OSError):
                Path(part).unlink()
            raise
        self._sync_folders(path)

    def _sync_folders(self, path: str) -> None:
        """Put the name of a file on the disk, and those of its folders: they may be new, or just made by another process."""
        folder = path.rpartition("/")[0]
        _sync(folder)
        while folder != self._root and folder not in self._named:
            above = folder.rpartition("/")[0]
            _sync(above)
            self._named.add(folder)
            folder = above

    def get(self, sha256: str) -> bytes:
        """The bytes of a photo. Raises ``TagtraceError`` when they are missing or no longer what they were."""
        path = self._path(sha256)
        try:
            data = bytes(self._files.cat_file(path))
        except FileNotFoundError as error:
            raise TagtraceError(f"{self.url}: has no photo {sha256}; look where it was put, or take it in again") from error
        except OSError as error:
            raise TagtraceError(f"{self.url}: photo {sha256} cannot be read ({error})") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise TagtraceError(f"{self.url}: photo {sha256} is damaged: its content has changed; restore it from a backup")
        return data

    def put_file(self, file: BinaryIO) -> tuple[str, int]:
        """``put`` for what does not fit into memory: reads a file from its beginning; gives SHA-256 and size."""
        digest, size = hashlib.sha256(), 0
        part = f"{self._root}/{uuid.uuid4().hex}.part"
        try:
            self._files.makedirs(self._root, exist_ok=True)
            file.seek(0)
            with self._files.open(part, "wb") as out:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    out.write(chunk)
            path = self._path(digest.hexdigest())
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            if self._local:
                _sync(part)
                Path(part).replace(path)
                self._sync_folders(path)
            else:
                self._files.mv(part, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._files.rm_file(part)
            raise TagtraceError(f"{self.url}: a file cannot be written ({error}); check the place and its free space") from error
        return digest.hexdigest(), size

    @contextmanager
    def opened(self, sha256: str) -> Iterator[BinaryIO]:
        """A file to read from, whatever its size; errors as those of ``get``."""
        try:
            with self._files.open(self._path(sha256), "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    raise TagtraceError(f"{self.url}: {sha256} is damaged: its content has changed; restore it from a backup")
                file.seek(0)
                yield file
        except FileNotFoundError as error:
            raise TagtraceError(f"{self.url}: has no file {sha256}; look where it was put, or take it in again") from error

    def remove(self, sha256: str) -> None:
        """Erase the bytes of a photo; does nothing where they are gone already."""
        try:
            self._files.rm_file(self._path(sha256))
        except FileNotFoundError:
            return
        except OSError as error:
            raise TagtraceError(f"{self.url}: photo {sha256} cannot be erased ({error}); check the place") from error

    def __contains__(self, sha256: str) -> bool:
        return self._size(self._path(sha256)) is not None

    def _path(self, sha256: str) -> str:
        if not _SHA256.fullmatch(sha256):
            raise TagtraceError(f"{sha256[:80]!r}: no SHA-256 of a photo (64 lower-case hex digits)")
        return f"{self._root}/{sha256[:2]}/{sha256[2:4]}/{sha256}"

    def _holds(self, path: str, data: bytes) -> bool:
        """Whether the file is there, whole."""
        if self._size(path) != len(data):
            return False
        return bytes(self._files.cat_file(path)) == data

    def _size(self, path: str) -> int | None:
        try:
            return Path(path).stat().st_size if self._local else int(self._files.info(path)["size"])
        except FileNotFoundError:
            return None


def _create(path: str, folder: str) -> int:
    try:
        return os.open(path, _NEW)
    except FileNotFoundError:
        Path(folder).mkdir(parents=True, exist_ok=True)
        return os.open(path, _NEW)


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
