"""How long decoding photos takes: Pillow and OpenCV, in full and at the reduced scales that JPEG offers."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PilImage

from ..contract import TagtraceError
from .benchmark_probe import ProbeSettings, shortest

SCALES = (1, 2, 4, 8)
"""JPEG decoders give the whole picture, or a half, a quarter or an eighth of its sides, by leaving out arithmetic."""
_FLAGS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
_BEGINNING = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class JpegPhoto:
    """The bytes of a JPEG file and its size in pixels, as it is stored."""

    name: str
    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class DecodeTime:
    """Seconds per photo of one decoder at one scale; ``threads`` photos are decoded at once, each by one thread.

    Pixels are those of the whole photo, whatever the scale.
    """

    decoder: str
    scale: int
    threads: int
    seconds: float
    pixels: float

    @property
    def megapixels_per_second(self) -> float:
        """10^6 pixels of photos per second."""
        return self.pixels / self.seconds / 1e6


def jpeg_photos(paths: Sequence[Path], limit: int = 0) -> list[JpegPhoto]:
    """The JPEG files among ``paths``, evenly thinned out to ``limit`` (0: all). Raises TagtraceError where there are none."""
    found = []
    for path in paths:
        data = path.read_bytes()
        if data.startswith(_BEGINNING):
            with PilImage.open(io.BytesIO(data), formats=("JPEG",)) as picture:
                found.append(JpegPhoto(path.name, data, *picture.size))
    if not found:
        raise TagtraceError(
            f"{paths[0].parent if paths else 'the photos'}: no JPEG there; give a folder of photos as cameras make"
        )
    step = max(1.0, len(found) / limit) if limit else 1.0
    return [found[int(n * step)] for n in range(int(len(found) / step))]


def pillow(photo: JpegPhoto, scale: int) -> object:
    """Decode to an array with Pillow."""
    with PilImage.open(io.BytesIO(photo.data), formats=("JPEG",)) as picture:
        picture.draft("RGB", (photo.width // scale, photo.height // scale))
        # In one go, not in pieces of 64 KB after each of which threads wait for each other.
        picture.decodermaxblock = len(photo.data)
        return np.asarray(picture)


def opencv(photo: JpegPhoto, scale: int) -> object:
    """Decode to an array with OpenCV."""
    return cv2.imdecode(np.frombuffer(photo.data, np.uint8), _FLAGS[scale] | cv2.IMREAD_IGNORE_ORIENTATION)


DECODERS: dict[str, Callable[[JpegPhoto, int], object]] = {"Pillow": pillow, "OpenCV": opencv}


def decode_times(
    photos: Sequence[JpegPhoto], threads: int, settings: ProbeSettings, scales: Sequence[int] = SCALES
) -> list[DecodeTime]:
    """Each decoder at each of the scales, with ``threads`` photos at once."""
    pixels = sum(photo.width * photo.height for photo in photos) / len(photos)
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for (name, decode), scale in itertools.product(DECODERS.items(), scales):
            seconds = _seconds(photos, decode, lambda _, scale=scale: scale, pool, threads, settings)  # type: ignore[misc]
            times.append(DecodeTime(name, scale, threads, seconds, pixels))
    return times


def least_decode(photos: Sequence[JpegPhoto], side_px: int, threads: int, settings: ProbeSettings) -> float:
    """Seconds per photo of the faster decoder when each photo is decoded as small as a network of input ``side_px`` can take it.

    The long side of what is decoded is never below ``side_px``, nor is a photo that is smaller reduced at all.
    """
    with ThreadPoolExecutor(threads) as pool:
        return min(
            _seconds(photos, decode, lambda photo: reduction(photo, side_px), pool, threads, settings)
            for decode in DECODERS.values()
        )


def reduction(photo: JpegPhoto, side_px: int) -> int:
    """The strongest scale of ``SCALES`` that leaves the photo's long side at ``side_px`` or more; 1 where none does."""
    long = max(photo.width, photo.height)
    return max((scale for scale in SCALES if long >= side_px * scale), default=1)


def _seconds(
    photos: Sequence[JpegPhoto],
    decode: Callable[[JpegPhoto, int], object],
    scale: Callable[[JpegPhoto], int],
    pool: ThreadPoolExecutor,
    threads: int,
    settings: ProbeSettings,
) -> float:
    """Seconds per photo: all photos once per thread, and that again and again; the shortest counts."""
    work = list(photos) * threads

    def run() -> None:
        for _ in pool.map(lambda photo: decode(photo, scale(photo)), work):
            pass

    return shortest(run, settings) / len(work)
