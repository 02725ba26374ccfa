"""Videos: frames are looked at evenly, what they show is followed, and the sharpest are kept. Needs the extra ``video``.

A video is read from its file twice, first to look and then to keep: neither it nor its frames are in memory as a whole.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image as PilImage

from ..problems import ProblemError
from ..settings import ServiceSettings
from .following import best_frames, look

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUALITY = 95
"""JPEG quality of a frame: high enough that reading does not suffer."""
_MOST_WALL_S = 120.0
"""A video that takes longer to unpack is read as far as it got."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as a JPEG, and its time in seconds from the beginning."""

    data: bytes
    at_s: float


def check_video(file: BinaryIO, settings: ServiceSettings) -> None:
    """Refuse what cannot be read: ``ProblemError`` 415 or 422."""
    try:
        import av
    except ImportError as error:
        raise ProblemError(415, "Videos are not read here; send photos.", "video-unsupported") from error
    try:
        with _open(file) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            if stream.width * stream.height > settings.max_video_pixels:
                raise ProblemError(
                    422, f"The frames of the video have more than {settings.max_video_pixels} pixels.", "video-too-large"
                )
            next(iter(container.decode(stream)))
    except (av.FFmpegError, IndexError, StopIteration, ValueError, OSError, MemoryError) as error:
        raise ProblemError(422, "The video is damaged or holds no picture; send it again.", "video-damaged") from error


def sharpest_frames(file: BinaryIO, settings: ServiceSettings) -> list[Frame]:
    """The sharpest frames of a video, ``video_keep`` at most, in order: of each wall at least one, as far as they go.

    The same bytes give the same frames.
    """
    seen = [look(pixels, at) for at, pixels in _samples(file, settings)]
    chosen = set(best_frames(seen, settings.video_keep))
    return [
        Frame(_jpeg(pixels), round(at, 3)) for number, (at, pixels) in enumerate(_samples(file, settings)) if number in chosen
    ]


def _samples(file: BinaryIO, settings: ServiceSettings) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Seconds, and pixels (RGB, upright) of about ``video_frames`` frames."""
    import av

    end = time.monotonic() + _MOST_WALL_S
    with _open(file) as container:
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
                    yield at, _upright(frame)
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


def _open(file: BinaryIO) -> Any:
    import av

    file.seek(0)
    # Named, so that nothing in the file makes FFmpeg open another file or address.
    name = "matroska" if file.read(4) == b"\x1aE\xdf\xa3" else "mov"
    return av.open(_Whole(file), format=name)


class _Whole:
    """A file as FFmpeg wants it: the temporary files of forms do not say where they are after a seek."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._file.seek(0)

    def read(self, size: int) -> bytes:
        """The next bytes."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go somewhere, and say where that is."""
        self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    PilImage.fromarray(pixels).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
