"""What it would cost to unpack a picture, told from its head: a small file can ask for much memory, or for much time."""

from __future__ import annotations

import re
from typing import Literal

from PIL import ImageFile

_BYTES_PER_PIXEL = {"WEBP": 16.0, "HEIF": 8.0, "GIF": 2.0}
"""Measured with Pillow; WebP keeps two canvases beside the picture and its copy."""
_OTHERS = 4.0
_PER_COMPONENT = 2.0
"""Bytes that a JPEG in several scans takes for each component of each pixel until its last scan: its coefficients."""
_DRAFT = 1 / 16
"""Of a JPEG in one scan only the picture is kept, and that at an eighth of its size each way: 4 bytes for 64 pixels."""
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
_SOS, _EOI, _SOI, _TEM = 0xDA, 0xD9, 0xD8, 0x01
_SCAN = b"\xff\xda"
_RESTARTS = range(0xD0, 0xD8)


def bytes_to_look(picture: ImageFile.ImageFile, kind: str, data: bytes) -> int:
    """About how many bytes of memory unpacking an opened picture takes, a JPEG at an eighth of its size."""
    pixels = picture.width * picture.height
    if kind != "JPEG":
        return int(pixels * _BYTES_PER_PIXEL.get(kind, _OTHERS))
    components = len(picture.getbands())
    several = bool(picture.info.get("progressive")) or _of_first_scan(data) < components
    return int(pixels * (_PER_COMPONENT * components if several else _DRAFT))


def jpeg_scans(data: bytes, most: int) -> int:
    """How many scans the first picture of a JPEG has, exactly where they may be more than ``most``, else at most so many.

    Cameras write 1, progressive pictures have about 10. Each goes through the whole picture again, however few bytes it has.
    """
    start = _first_scan(data)
    few = data.count(_SCAN, start)
    return few if few <= most else _count_scans(data, start)


def tiff_tags(data: bytes) -> int:
    """How many tags the first picture of a TIFF has: scanners write about 20. Each is read, wherever it points to."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    large = data[2:4] in (b"+\x00", b"\x00+")
    at = int.from_bytes(data[8:16] if large else data[4:8], order)
    return int.from_bytes(data[at : at + (8 if large else 2)], order)


def _first_scan(data: bytes) -> int:
    """Where the marker of the first scan stands; the end of the data where there is none."""
    at = 2
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = found[0][1], found.end()
        if marker == _SOS:
            return found.start()
        if marker not in _RESTARTS and marker not in (_SOI, _EOI, _TEM):
            at += _length(data, at)
    return len(data)


def _of_first_scan(data: bytes) -> int:
    """How many components the first scan has."""
    at = _first_scan(data) + 4
    return data[at] if at < len(data) else 0


def _count_scans(data: bytes, at: int) -> int:
    """Marker by marker: what looks like one inside of a segment, or behind the picture, does not count."""
    scans = 0
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = found[0][1], found.end()
        if marker == _EOI:
            break
        if marker in _RESTARTS or marker in (_SOI, _TEM):
            continue
        scans += marker == _SOS
        at += _length(data, at)
    return scans


def _length(data: bytes, at: int) -> int:
    return max(2, int.from_bytes(data[at : at + 2], "big"))
