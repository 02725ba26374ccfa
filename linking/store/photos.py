"""Where the bytes of photos lie: a folder, or any place that fsspec can reach, each file under the SHA-256 of its content.

``ab/cd/abcd…`` holds the bytes whose digest is ``abcd…``. A file appears whole or not at all, and what is read is checked against
its name, so a damaged or exchanged file is never taken for the photo.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import uuid
from pathlib import Path

import fsspec

from ...contract import TagtraceError

_SHA256 = re.compile(r"[0-9a-f]{64}")


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

    def put(self, data: bytes) -> str:
        """Keep the bytes of a photo and give their SHA-256. Raises ``TagtraceError`` when they cannot be written."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        part = f"{path}.{uuid.uuid4().hex}.part"
        try:
            if self._size(path) == len(data):
                return sha256
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            if self._local:
                _write_synced(Path(part), data)
                Path(part).replace(path)
                _sync_folders(Path(path), Path(self._root))
            else:
                self._files.pipe_file(part, data)
                self._files.mv(part, path)
        except OSError as error:
            if self._local:
                with contextlib.suppress(OSError):
                    Path(part).unlink(missing_ok=True)
            raise TagtraceError(f"{self.url}: a photo cannot be written ({error}); check the place and its free space") from error
        return sha256

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

    def _size(self, path: str) -> int | None:
        try:
            return int(self._files.info(path)["size"])
        except FileNotFoundError:
            return None


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        # On the disk before it gets its name: a power cut leaves no empty file under the name of a photo.
        os.fsync(file.fileno())


def _sync_folders(path: Path, root: Path) -> None:
    """Put the name of a new file on the disk, and the names of the folders that may have been made for it."""
    for folder in path.parents:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if folder == root:
            return
