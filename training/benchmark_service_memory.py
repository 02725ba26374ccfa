"""Measures whether service and worker grow with the number of photos read: real models, a real worker process, a real store."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image as PilImage

from ..contract import TagtraceError
from .benchmark_copies import numbered
from .benchmark_service import Json, Server, count_read, multipart, picture, resident, serving, wait_read

_SIDES_PX = (480, 640, 800, 1080, 1280, 1600, 2048, 2560, 3200)
"""Longest sides that photos are sent with: those of messengers, of screenshots and of cameras."""
_CITY = ((51.05, 51.25), (71.25, 71.65))
"""Latitudes and longitudes that photos are sent from."""
_WAITING = 200
"""So many reports wait at most: what waits is not to count as what was read."""
_SETTLE_S = 5.0
"""Idle time before memory is looked at."""


def memory(
    folder: Path, first: int, analyses: int, reader: str, photos: Sequence[Path], tell: Callable[[Json], None] | None = None
) -> Json:
    """Resident memory of the service and its one worker after ``first`` and after ``analyses`` photos were read.

    The photos are sent again and again, each time in another size and from another place. ``tell`` is called with the figures
    ten times on the way. Raises ``TagtraceError`` where a photo is not taken in or not read.
    """
    looks = sorted({first, analyses, *(analyses * part // 10 for part in range(1, 10) if analyses * part // 10 > first)})
    measured: list[Json] = []
    with serving(folder, 1, reader) as server:
        bodies, sent = _bodies(photos), 0
        for end in looks:
            while sent < end:
                _send(server, *next(bodies))
                sent += 1
                if sent % 20 == 0:
                    wait_read(server, sent - _WAITING)
            if wait_read(server, end) != end:
                raise TagtraceError(f"{server.folder}: {count_read(server)} of {end} reports were read; service.log says more")
            time.sleep(_SETTLE_S)
            measured.append(_look(server, end))
            if tell is not None:
                tell(measured[-1])
    before, after = (next(look for look in measured if look["read"] == count) for count in (first, analyses))
    ratios = {f"{who}_ratio": round(float(str(after[f"{who}_mb"])) / float(str(before[f"{who}_mb"])), 3) for who in _WHO}
    return {"reader": reader, "photos": len(photos), **ratios, "looks": measured}


_WHO = ("worker", "service")


def _look(server: Server, read: int) -> Json:
    assert server.process is not None
    workers = server.worker_pids()
    if len(workers) != 1:
        raise TagtraceError(f"{server.folder}: {len(workers)} workers run instead of one; service.log says why")
    return {"read": read, "worker_mb": resident(workers[0]), "service_mb": resident(server.process.pid), "worker": workers[0]}


def _send(server: Server, body: bytes, kind: str) -> None:
    status, text = server.request("POST", "/v1/reports", body, {"Content-Type": kind})
    if status != 202:
        raise TagtraceError(f"{server.folder}: a report was answered with {status}: {text[:300].decode(errors='replace')}")


def _bodies(photos: Sequence[Path]) -> Iterator[tuple[bytes, str]]:
    """Reports without end: all photos in turn, in sizes and from places that differ from round to round."""
    rng, n = random.Random(1), 0
    while True:
        for path in photos or (None,):
            data = picture(1280, 1) if path is None else _sized(path, rng.choice(_SIDES_PX), rng.randint(70, 95))
            place = {name: f"{rng.uniform(*span):.5f}" for name, span in zip(("lat", "lon"), _CITY, strict=True)}
            yield multipart(numbered(data, n), {"external_id": str(n), **place})
            n += 1


def _sized(path: Path, side_px: int, quality: int) -> bytes:
    with PilImage.open(path) as opened:
        opened.draft("RGB", (side_px, side_px))
        scale = side_px / max(opened.size)
        size = (round(opened.width * scale), round(opened.height * scale))
        out = io.BytesIO()
        opened.convert("RGB").resize(size, PilImage.Resampling.BILINEAR).save(out, "JPEG", quality=quality)
    return out.getvalue()
