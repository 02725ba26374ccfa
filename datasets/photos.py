"""The photos of a data set: where they lie, their pixels and sizes the right way up, and their bytes without EXIF."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image as PilImage
from PIL import ImageFile, ImageOps

from ..contract import Image, TagtraceError

MAX_PIXELS = 200_000_000
"""Pictures with more pixels are refused before they are unpacked, as in scoring."""
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
# What Pillow's plugins raise on damaged files.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, PilImage.DecompressionBombError),
    ImportError,  # ultralytics, once imported, has Pillow look for a library where a file is no picture
)


def photos_folder(truth: Path, photos: Path | None = None) -> Path:
    """Where the photos of a truth file lie: ``photos`` where given, else the folder ``photos`` beside it, else its own folder."""
    if photos is not None:
        return photos
    base = truth if truth.is_dir() else truth.parent
    return base / "photos" if (base / "photos").is_dir() else base


def inside(folder: Path, name: str) -> Path:
    """The path of a photo below a folder. Raises TagtraceError for a name that leads out of it."""
    if Path(name).is_absolute() or ".." in Path(name).parts or not name:
        raise TagtraceError(f"{name!r}: must be a name inside {folder}; take folders above it out of the name")
    return folder / name


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises TagtraceError that names it when it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except OSError as bad:
        raise TagtraceError(f"{path}: cannot be read: {bad.strerror or bad}") from bad


def sha256_of(path: Path) -> str:
    """The lower-case hex SHA-256 of a file's bytes. Raises TagtraceError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while part := stream.read(1 << 20):
                digest.update(part)
    except OSError as bad:
        raise TagtraceError(f"{path}: cannot be read: {bad.strerror or bad}") from bad
    return digest.hexdigest()


def load_photo(path: Path) -> Image:
    """The pixels of a photo (``uint8``, (height, width, 3), RGB), its EXIF orientation applied.

    Raises TagtraceError that names the file when it is missing, damaged, cut off or too large.
    """
    return decode_photo(read_bytes(path), str(path))


def decode_photo(data: bytes, name: str) -> Image:
    """The pixels of a photo's bytes, as ``load_photo``; ``name`` begins the message of the TagtraceError."""
    # Other libraries switch this on, and what is missing of a file would be grey.
    lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with PilImage.open(io.BytesIO(data)) as photo:
            if photo.width * photo.height > MAX_PIXELS:
                raise TagtraceError(
                    f"{name}: has {photo.width} x {photo.height} pixels, more than {MAX_PIXELS:,}; make it smaller"
                )
            turned = ImageOps.exif_transpose(photo).convert("RGB")
            return np.asarray(turned, dtype=np.uint8)
    except _DAMAGE as bad:
        raise TagtraceError(f"{name}: cannot be shown as a picture ({bad}); restore the file or take it out") from bad
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def photo_size(path: Path) -> tuple[int, int]:
    """Width and height of a photo after its EXIF orientation, from its header alone. Raises TagtraceError as ``load_photo``."""
    try:
        with PilImage.open(path) as photo:
            turned = photo.getexif().get(_ORIENTATION, 1) in _SIDEWAYS
            width, height = photo.size
    except _DAMAGE as bad:
        raise TagtraceError(f"{path}: cannot be read as a picture: {bad}") from bad
    return (height, width) if turned else (width, height)


def place_photo(source: Path, target: Path) -> None:
    """Put a photo at another place: a hard link where the disk can, else a copy. A link is the same file: whoever changes the
    photo in place changes both; programs that write a new file in its place do not. Raises TagtraceError when it cannot be
    done."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source.resolve(), target)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(source, target)
    except OSError as bad:
        raise TagtraceError(f"{target}: cannot be written from {source}: {bad.strerror or bad}") from bad


def without_metadata(data: bytes, name: str) -> tuple[bytes, str]:
    """The bytes of a photo without place, time, device and comments, and the suffix that they have.

    A JPEG keeps its compressed pixels bit by bit and its orientation; another format becomes a PNG the right way up.
    Raises TagtraceError when it is no picture.
    """
    pixels = decode_photo(data, name)
    if not data.startswith(b"\xff\xd8\xff"):
        return _as_png(pixels)
    with PilImage.open(io.BytesIO(data)) as photo:
        orientation = int(photo.getexif().get(_ORIENTATION, 1))
    kept = [b"\xff\xd8", *_needed_segments(data, name)]
    if orientation in range(2, 9):
        exif = PilImage.Exif()
        exif[_ORIENTATION] = orientation
        block = exif.tobytes()
        kept.insert(1, b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block)
    bare = b"".join(kept)
    # A file of an unusual build is written anew rather than damaged.
    same = _same_pixels(bare, pixels)
    return (bare, ".jpg") if same else _as_png(pixels)


def _same_pixels(data: bytes, pixels: Image) -> bool:
    try:
        return np.array_equal(decode_photo(data, "the photo without metadata"), pixels)
    except TagtraceError:
        return False


def _as_png(pixels: Image) -> tuple[bytes, str]:
    out = io.BytesIO()
    PilImage.fromarray(pixels).save(out, "PNG")
    return out.getvalue(), ".png"


def _needed_segments(data: bytes, name: str) -> Iterable[bytes]:
    """The segments of a JPEG that its pixels need: JFIF, Adobe's colour transform and everything that is no application's; what
    follows the end of the picture (a second picture, a video) is left out."""
    at = 2
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF:
            raise TagtraceError(f"{name}: has a damaged JPEG segment at byte {at}; restore the file or take it out")
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        if marker == 0xDA:
            yield data[at : _end(data, at + 2 + length)]
            return
        # 0xE0 JFIF, 0xEE Adobe; 0xFE is a comment.
        if marker in (0xE0, 0xEE) or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            yield data[at : at + 2 + length]
        at += 2 + length


def _end(data: bytes, at: int) -> int:
    """Just after the end of the picture: the first marker EOI outside of segments (in the scans every other 0xFF is stuffed)."""
    found = data.find(b"\xff\xd9", at)
    return len(data) if found < 0 else found + 2
