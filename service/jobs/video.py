"""Videos: frames are looked at evenly, and the sharpest of each part is kept as a photo. Needs the extra ``video`` (PyAV)."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image as PilImage

from ..problems import ProblemError
from ..settings import ServiceSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUALITY = 95
"""JPEG quality of a frame: high enough that reading does not suffer."""
_LOOK_SIDE_PX = 640
"""Sharpness is measured at this size: that of the letters, not that of the noise."""
_MOST_WALL_S = 120.0
"""A video that takes longer to unpack is read as far as it got."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as a JPEG, and its time in seconds from the beginning."""

    data: bytes
    at_s: float


def check_video(data: bytes, settings: ServiceSettings) -> None:
    """Refuse what cannot be read: ``ProblemError`` 415 or 422."""
    try:
        import av
    except ImportError as error:
        raise ProblemError(415, "Videos are not read here; send photos.", "video-unsupported") from error
    try:
        with _open(data) as container:
            stream = container.streams.video[0]
            if stream.width * stream.height > settings.max_pixels:
                raise ProblemError(
                    422, f"The frames of the video have more than {settings.max_pixels} pixels.", "video-too-large"
                )
            next(iter(container.decode(stream)))
    except (av.FFmpegError, IndexError, StopIteration, ValueError, OSError, MemoryError) as error:
        raise ProblemError(422, "The video is damaged or holds no picture; send it again.", "video-damaged") from error


def sharpest_frames(data: bytes, settings: ServiceSettings) -> list[Frame]:
    """The sharpest frame of each of ``video_keep`` equal parts of a video, in order. The same bytes give the same frames."""
    parts: dict[int, tuple[float, float, Any]] = {}
    for at, share, pixels in _samples(data, settings):
        part = min(settings.video_keep - 1, int(share * settings.video_keep))
        score = sharpness(pixels)
        if part not in parts or score > parts[part][0]:
            parts[part] = (score, at, pixels)
    return [Frame(_jpeg(pixels), round(at, 3)) for _, (_, at, pixels) in sorted(parts.items())]


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """How sharp a picture (height, width, RGB) is: the variance of its Laplacian at a fixed size."""
    scale = _LOOK_SIDE_PX / max(pixels.shape[:2])
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    return float(cv2.Laplacian(small, cv2.CV_64F).var())


def _samples(data: bytes, settings: ServiceSettings) -> Iterator[tuple[float, float, NDArray[np.uint8]]]:
    """Seconds, share of the video, and pixels (RGB, upright) of about ``video_frames`` frames."""
    import av

    end = time.monotonic() + _MOST_WALL_S
    with _open(data) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        length = min(settings.max_video_s, _length(container, stream))
        step = length / settings.video_frames
        due = 0.0
        try:
            for frame in container.decode(stream):
                at = float(frame.time or 0.0)
                if at > length or time.monotonic() > end:
                    return
                if at + 1e-6 >= due:
                    due = at + step
                    yield at, min(1.0, at / length) if length else 0.0, _upright(frame)
        except av.FFmpegError:
            # Cut off at its end: what came before is good.
            return


def _length(container: Any, stream: Any) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration else 60.0


def _upright(frame: Any) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    turns = round(float(getattr(frame, "rotation", 0) or 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _open(data: bytes) -> Any:
    import av

    # Named, so that nothing in the file makes FFmpeg open another file or address.
    name = "matroska" if data.startswith(b"\x1aE\xdf\xa3") else "mov"
    return av.open(io.BytesIO(data), format=name)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    PilImage.fromarray(pixels).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
