"""bytes -> Photo: bounded, strict, the right way up.

Whatever arrives is judged by its content, never by its name. A file that cannot be shown in full is a failure and never
a half-grey picture. Nothing here reads files.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import ImageFile, ImageOps

from ..contract import Failure, FailureCode, Image, Photo
from .exif import read_position, read_time
from .unpacking import bytes_to_look, jpeg_scans, tiff_tags

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_KNOWN_BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
}
_OTHER_BEGINNINGS = {
    b"%PDF": "a PDF document",
    b"8BPS": "a Photoshop picture",
    b"\x00\x00\x01\x00": "an icon",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000 picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"FUJIFILMCCD-RAW": "a camera raw file",
    b"\x1aE\xdf\xa3": "a video",
}
_STRIP_PIXELS = 1_000_000
"""Pictures are converted in strips of about so many pixels: the whole would be in memory several times at once."""
# What Pillow's plugins raise on damaged files.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    AttributeError,
    struct.error,
    zlib.error,
    ImportError,  # ultralytics, once imported, has Pillow look for a library where a file is no picture
)


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """Bounds of what is decoded, and how the clock of a camera is read."""

    max_pixels: int = 200_000_000
    """Pictures with more pixels are refused before they are unpacked."""
    min_side_px: int = 16
    """Pictures with a shorter side hold nothing readable."""
    max_scans: int = 100
    """JPEGs that go through their picture more often are refused: progressive ones do about 10 times."""
    local_utc_offset_hours: float = 5.0
    """Clock of cameras that tell no offset: all of Kazakhstan has kept UTC+5 since March 2024."""
    max_tags: int = 500
    """TIFFs with more tags are refused: scanners write about 20."""


class _Refused(Exception):
    """Carries a failure out of the depth of decoding."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class _StrictPillow:
    """Pillow's two process-wide switches, set to strict while any thread decodes and put back by the last one.

    Its own pixel limit is lower than the one in the settings, which is checked here before anything is unpacked; and other
    libraries switch on ``LOAD_TRUNCATED_IMAGES``, which fills what is missing with grey.
    """

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _depth: ClassVar[int] = 0
    _saved: ClassVar[tuple[int | None, bool]] = (None, False)

    @classmethod
    @contextmanager
    def hold(cls) -> Iterator[None]:
        with cls._lock:
            if cls._depth == 0:
                cls._saved = (PilImage.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
                PilImage.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
            cls._depth += 1
        try:
            yield
        finally:
            with cls._lock:
                cls._depth -= 1
                if cls._depth == 0:
                    PilImage.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = cls._saved


def decode(data: bytes, name: str, settings: DecodeSettings | None = None) -> Photo | Failure:
    """Decode the bytes of one file to a photo, with its EXIF orientation applied.

    ``name`` is used in messages and becomes the photo's name. JPEG, PNG, WebP, TIFF, BMP and GIF (first frame) are read,
    HEIC where pillow-heif is installed; any colour mode becomes 8-bit RGB, transparency over white, 16 bits scaled. Position
    and time come from EXIF (time in UTC). Never raises for what is in ``data``.
    """
    settings = settings or DecodeSettings()
    if not data:
        return Failure(FailureCode.EMPTY, f"{name}: the file is empty; send the photo again")
    try:
        with _StrictPillow.hold():
            return _decode(data, name, settings)
    except _Refused as refusal:
        return Failure(refusal.code, f"{name}: {refusal}")
    except MemoryError:
        return Failure(FailureCode.TOO_LARGE, f"{name}: not enough memory to unpack the picture; scale it down")


@dataclass(frozen=True, slots=True)
class Inspected:
    """What ``inspect`` says of a picture: its format, and its size in pixels as it is stored."""

    format: str
    width: int
    height: int
    bytes_to_look: int
    """About so much memory ``inspect`` takes to unpack it."""

    @property
    def bytes_to_decode(self) -> int:
        """About so much memory ``decode`` takes: beside the picture as Pillow has it, its pixels."""
        pixels = self.width * self.height
        return max(self.bytes_to_look, 4 * pixels) + 3 * pixels


def weigh(data: bytes, name: str, settings: DecodeSettings | None = None) -> Inspected | Failure:
    """What ``inspect`` would say, without unpacking anything: damage inside the picture is not found."""
    settings = settings or DecodeSettings()
    if not data:
        return Failure(FailureCode.EMPTY, f"{name}: the file is empty; send the photo again")
    try:
        with _StrictPillow.hold():
            kind, picture = _checked(data, settings)
    except _Refused as refusal:
        return Failure(refusal.code, f"{name}: {refusal}")
    except MemoryError:
        return Failure(FailureCode.TOO_LARGE, f"{name}: not enough memory to open the picture; scale it down")
    return Inspected(kind, *picture.size, bytes_to_look(picture, kind, data))


def inspect(data: bytes, name: str, settings: DecodeSettings | None = None) -> Inspected | Failure:
    """Whether ``decode`` would read these bytes, found out at less cost: JPEGs are unpacked at an eighth of their size.

    Never raises for what is in ``data``.
    """
    settings = settings or DecodeSettings()
    if not data:
        return Failure(FailureCode.EMPTY, f"{name}: the file is empty; send the photo again")
    try:
        with _StrictPillow.hold():
            kind, picture = _checked(data, settings)
            width, height = picture.size
            memory = bytes_to_look(picture, kind, data)
            if kind == "JPEG":
                picture.draft(None, (width // 8, height // 8))
                # In one go, not in 64 KB pieces: threads that look at photos would wait for each other after each.
                picture.decodermaxblock = len(data)
            _load(picture, kind)
    except _Refused as refusal:
        return Failure(refusal.code, f"{name}: {refusal}")
    except MemoryError:
        return Failure(FailureCode.TOO_LARGE, f"{name}: not enough memory to unpack the picture; scale it down")
    return Inspected(kind, width, height, memory)


def looks_like_picture(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (32 bytes are enough) is of a format that :func:`decode` knows."""
    return _format_of(head) is not None


def _format_of(head: bytes) -> str | None:
    for magic, name in _KNOWN_BEGINNINGS.items():
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in (12, 16, 40, 52, 56, 64, 108, 124):
        return "BMP"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "HEIF"
    return None


def _checked(data: bytes, settings: DecodeSettings) -> tuple[str, ImageFile.ImageFile]:
    """The format and the opened picture, after every check that can be made before it is unpacked."""
    kind = _format_of(data[:32])
    if kind is None:
        raise _not_readable(data)
    if kind == "TIFF" and (tags := tiff_tags(data)) > settings.max_tags:
        raise _Refused(
            FailureCode.UNSUPPORTED, f"the TIFF has {tags} tags, more than the limit of {settings.max_tags}; save it again"
        )
    picture = _open(data, kind)
    width, height = picture.size
    if width * height > settings.max_pixels:
        raise _Refused(
            FailureCode.TOO_LARGE, f"{width} x {height} pixels are more than the limit of {settings.max_pixels}; scale it down"
        )
    if min(width, height) < settings.min_side_px:
        raise _Refused(
            FailureCode.TOO_SMALL, f"{width} x {height} pixels: below {settings.min_side_px} a side there is nothing to read"
        )
    if kind == "JPEG" and _jpeg_is_cut(data):
        raise _Refused(FailureCode.TRUNCATED, "the JPEG is cut off before its end; send the photo again")
    if kind == "JPEG" and (scans := jpeg_scans(data, settings.max_scans)) > settings.max_scans:
        what = f"the JPEG goes through its picture {scans} times, more than the limit of {settings.max_scans}"
        raise _Refused(FailureCode.UNSUPPORTED, f"{what}; save it again")
    return kind, picture


def _load(picture: ImageFile.ImageFile, kind: str) -> None:
    try:
        picture.load()
    except _DAMAGE as error:
        raise _Refused(FailureCode.TRUNCATED, f"the {kind} is cut off or damaged ({error}); send the photo again") from error


def _decode(data: bytes, name: str, settings: DecodeSettings) -> Photo:
    kind, picture = _checked(data, settings)
    _load(picture, kind)
    lat, lon, taken_at = _facts(picture, settings)
    pixels = _to_rgb(_upright(picture))
    return Photo(name, hashlib.sha256(data).hexdigest(), pixels, taken_at=taken_at, lat=lat, lon=lon)


def _facts(picture: PilImage.Image, settings: DecodeSettings) -> tuple[float | None, float | None, datetime | None]:
    """Latitude, longitude and time from EXIF."""
    exif = _exif_of(picture)
    return (*read_position(exif), read_time(exif, settings.local_utc_offset_hours))


def _not_readable(data: bytes) -> _Refused:
    for magic, what in _OTHER_BEGINNINGS.items():
        if data.startswith(magic):
            return _Refused(FailureCode.UNSUPPORTED, f"this is {what}; convert it to JPEG or PNG")
    if data[4:8] == b"ftyp":
        what = "an AVIF picture" if data[8:12] in (b"avif", b"avis") else "a video"
        return _Refused(FailureCode.UNSUPPORTED, f"this is {what}; convert it to JPEG or PNG")
    if len(data) < 32 and any(magic.startswith(data) for magic in _KNOWN_BEGINNINGS):
        return _Refused(FailureCode.TRUNCATED, "only the first bytes of a picture are there; send the photo again")
    return _Refused(FailureCode.NOT_A_PICTURE, "the content is not a picture")


def _open(data: bytes, kind: str) -> ImageFile.ImageFile:
    if kind == "HEIF":
        _register_heif()
    try:
        return PilImage.open(io.BytesIO(data), formats=(kind,))
    except _DAMAGE as error:
        if kind == "TIFF" and _tiff_directory_is_whole(data):
            raise _Refused(FailureCode.UNSUPPORTED, "this variety of TIFF is not read; convert it to JPEG or PNG") from error
        raise _Refused(FailureCode.TRUNCATED, f"the {kind} is cut off or damaged ({error}); send the photo again") from error


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise _Refused(
            FailureCode.UNSUPPORTED, 'this is a HEIC picture; install the extra with: pip install "tagtrace[heif]"'
        ) from error
    pillow_heif.register_heif_opener()


def _tiff_directory_is_whole(data: bytes) -> bool:
    """Whether the first directory of a classic TIFF lies inside the file: then it is strange, not cut off."""
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 8 or struct.unpack_from(order + "H", data, 2)[0] != 42:
        return False
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return False
    (entries,) = struct.unpack_from(order + "H", data, start)
    return bool(start + 2 + 12 * entries <= len(data))


def _jpeg_is_cut(data: bytes) -> bool:
    """Whether a JPEG lacks its end and is padded with one repeated byte, as half-finished downloads are.

    libjpeg takes such padding for picture data and gives grey without a complaint. A file that simply stops is found by
    Pillow itself, and one that only lacks the end mark is whole.
    """
    padded = 64
    tail = data[-padded:]
    if len(set(tail)) != 1 or tail[0] == 0xFF:
        return False
    body = data.rstrip(tail[:1])
    return body.rfind(b"\xff\xd9") < max(0, body.rfind(b"\xff\xda"))


def _exif_of(picture: PilImage.Image) -> PilImage.Exif:
    try:
        return picture.getexif()
    except _DAMAGE:
        return PilImage.Exif()


def _upright(picture: PilImage.Image) -> PilImage.Image:
    # In place: a copy of a large photo takes as much memory as the photo. Broken EXIF is no reason to lose it.
    with contextlib.suppress(*_DAMAGE):
        ImageOps.exif_transpose(picture, in_place=True)
    return picture


def _to_rgb(picture: PilImage.Image) -> Image:
    """Any colour mode to ``Image``. ``RGB`` of 16 bits is already reduced by Pillow when it reads the file."""
    if picture.mode.startswith("I") or picture.mode == "F":
        grey = _grey_to_bytes(np.asarray(picture), sixteen_bit=picture.mode != "F")
        return np.repeat(grey[:, :, None], 3, axis=2)
    see_through = picture.has_transparency_data
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // picture.width)
    try:
        for top in range(0, picture.height, rows):
            strip = picture if rows >= picture.height else picture.crop((0, top, picture.width, min(top + rows, picture.height)))
            if see_through:
                layer = strip.convert("RGBA")
                strip = PilImage.alpha_composite(PilImage.new("RGBA", layer.size, (255, 255, 255, 255)), layer)
            # Pillow copies what is RGB already.
            pixels[top : top + rows] = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"), np.uint8)
    except ValueError as error:
        raise _Refused(
            FailureCode.UNSUPPORTED, f"pictures of the colour mode {picture.mode} are not read; convert to RGB"
        ) from error
    return pixels


def _grey_to_bytes(values: NDArray[np.generic], *, sixteen_bit: bool) -> NDArray[np.uint8]:
    """One channel to 0..255: 16 bits by their full range, floats 0..1 likewise; other ranges are stretched."""
    data = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(data.min()), float(data.max())
    if sixteen_bit and low >= 0 and high <= 65535:
        scaled = data / 257.0
    elif not sixteen_bit and low >= 0 and high <= 1:
        scaled = data * 255.0
    elif not sixteen_bit and low >= 0 and high <= 255:
        scaled = data
    else:
        scaled = (data - low) * (255.0 / max(high - low, 1e-12))
    grey: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return grey
