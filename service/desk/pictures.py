"""Pictures for the desk: covered photos made smaller, adverts and lines made straight. All are derivatives without metadata.

Finding faces and plates takes a second, so covered photos are kept on the disk while the process runs, as many as fit. The folder
goes when the process ends, and a photo that was erased is not shown from it.
"""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from ...contract import Advert, Failure, Image, Quad
from ...inference.decode import DecodeSettings, decode
from ...linking.store.loading import latest_analysis
from ...models import geometry
from .. import pictures as shown
from ..problems import ProblemError
from ..state import ServiceState

MEDIA_TYPE = "image/jpeg"
NOT_KEPT = "no-picture"
"""The kind of the error for a photo whose bytes are not here."""


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """Sizes in pixels."""

    photo_side: int = 1600
    """Longer side of a photo."""
    crop_side: int = 1200
    """Longer side of an advert."""
    line_height: int = 96
    line_width: int = 1400
    small_side: int = 320
    margin: float = 0.35
    """Wall that is shown around an advert, as a share of its height."""
    kept_bytes: int = 1_000_000_000
    """Covered photos on the disk, all together."""


SETTINGS = PictureSettings()


@dataclass(slots=True)
class CoveredPhotos:
    """Covered photos by their SHA-256, in a folder of this process; those that were not asked for longest go first."""

    most_bytes: int
    _folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="tagtrace-desk-")
    )
    _held: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _busy: dict[str, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, state: ServiceState, sha256: str) -> Image:
        """The pixels of a covered photo. Raises ``ProblemError`` 404 where the photo is not kept."""
        if sha256 not in state.photos:
            raise ProblemError(404, "The picture of this photo is not kept here.", NOT_KEPT)
        with self._lock:
            own = self._busy.setdefault(sha256, threading.Lock())
        # Several pictures of one photo are asked for at once: the first covers it, the others wait for that.
        with own:
            path = Path(self._folder.name) / f"{sha256}.jpg"
            with self._lock:
                known = sha256 in self._held
                if known:
                    self._held.move_to_end(sha256)
            if known and (pixels := cv2.imread(str(path))) is not None:
                return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
            made = _covered(state, sha256)
            data = shown.jpeg(made, 94)
            path.write_bytes(data)
            self._keep(sha256, len(data))
            return made

    def _keep(self, sha256: str, size: int) -> None:
        with self._lock:
            self._held[sha256] = size
            self._busy.pop(sha256, None)
            while sum(self._held.values()) > self.most_bytes and len(self._held) > 1:
                old, _ = self._held.popitem(last=False)
                (Path(self._folder.name) / f"{old}.jpg").unlink(missing_ok=True)


@cache
def _photos() -> CoveredPhotos:
    return CoveredPhotos(SETTINGS.kept_bytes)


def photo(state: ServiceState, sha256: str, side: int = SETTINGS.photo_side) -> bytes:
    """A whole photo as JPEG with a longer side of at most ``side`` pixels. Raises ``ProblemError`` 404 where it is not kept."""
    return shown.jpeg(shown.shrink(_photos().get(state, sha256), side))


def crop(state: ServiceState, sha256: str, quad: Quad, side: int = SETTINGS.crop_side) -> bytes:
    """The advert at ``quad``, made straight, with some wall around it."""
    wider = geometry.expand(quad, SETTINGS.margin * geometry.size(quad)[1])
    return shown.jpeg(_straight(_photos().get(state, sha256), wider, side, side))


def turned(advert: Advert) -> Quad:
    """The quad of an advert from the corner where its text begins: a poster that is higher than wide would lie on its side."""
    corners = geometry.points_of(advert.quad)
    along = np.zeros(2)
    for one in advert.lines:
        points = geometry.points_of(one.quad)
        along += points[1] - points[0]
    edges = np.roll(corners, -1, axis=0) - corners
    first = int((edges @ along / np.maximum(np.linalg.norm(edges, axis=1), 1e-9)).argmax()) if np.any(along) else 0
    a, b, c, d = (advert.quad[(first + n) % 4] for n in range(4))
    return a, b, c, d


def line(state: ServiceState, sha256: str, quad: Quad) -> bytes:
    """One line of text, made straight."""
    wider = geometry.expand(quad, 0.15 * geometry.size(quad)[1])
    return shown.jpeg(_straight(_photos().get(state, sha256), wider, SETTINGS.line_width, SETTINGS.line_height))


def upright(state: ServiceState, sha256: str, quad: Quad, width: int, height: int) -> bytes:
    """An advert made straight as its picture features saw it: ``quad`` with its margin."""
    return shown.jpeg(_warped(_photos().get(state, sha256), quad, width, height))


def _covered(state: ServiceState, sha256: str) -> Image:
    found = decode(state.photos.get(sha256), sha256, DecodeSettings(max_pixels=state.settings.max_pixels))
    if isinstance(found, Failure):
        raise ProblemError(404, "The picture of this photo cannot be shown.", NOT_KEPT)
    with state.store.read() as session:
        analysis = latest_analysis(session, sha256)
    adverts = [advert.quad for advert in analysis.adverts] if analysis is not None else []
    return shown.cover(found.pixels, sha256, adverts).pixels


def _straight(pixels: Image, quad: Quad, most_width: int, most_height: int) -> Image:
    along, across = geometry.size(quad)
    factor = min(most_width / max(along, 1.0), most_height / max(across, 1.0), 4.0)
    return _warped(pixels, quad, max(8, round(along * factor)), max(8, round(across * factor)))


def _warped(pixels: Image, quad: Quad, width: int, height: int) -> Image:
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(geometry.points_of(quad).astype(np.float32), target)
    how = cv2.INTER_AREA if geometry.size(quad)[0] > width else cv2.INTER_CUBIC
    warped = cv2.warpPerspective(pixels, matrix, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)
