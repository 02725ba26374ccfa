"""Pictures that may be shown or sent out: without EXIF, and with faces and number plates made unrecognisable.

Faces come from ``models.faces``. Plates are lines of text that spell a number of Kazakhstan or its neighbours; what belongs to an
advert stays readable. Neither finds everything: the originals stay sealed, and whoever publishes a picture looks at it first.
"""

from __future__ import annotations

import io
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image as PilImage

from ..contract import Failure, Image, Quad
from ..inference.decode import DecodeSettings, decode
from ..inference.identifiers.fold import latin_view
from ..inference.reader import TagtraceReader
from ..models import geometry
from ..models.detector import OnnxDetector
from ..models.faces import Box, FaceFinder
from ..models.recogniser import OnnxRecogniser
from ..models.registry import Task, resolve

_PLATES = (
    r"\d{3}[A-Z]{2,3}(0[1-9]|1\d|2[01])",  # Kazakhstan since 2012
    r"[A-Z]\d{3}[A-Z]{2,3}",  # Kazakhstan before, Kyrgyzstan before
    r"[ABEKMHOPCTYX]\d{3}[ABEKMHOPCTYX]{2}\d{2,3}",  # Russia
    r"(0[1-9])(KG)?\d{3}[A-Z]{3}",  # Kyrgyzstan
    r"\d{2}[A-Z]\d{3}[A-Z]{2}|\d{5}[A-Z]{3}",  # Uzbekistan
)
_PLATE = re.compile("(KZ|KG|UZ)?(" + "|".join(f"({pattern})" for pattern in _PLATES) + ")(KZ|RUS|KG|UZ)?")
_LIKE_DIGITS = str.maketrans("OISBZ", "01582")
_LIKE_LETTERS = str.maketrans("015826", "OISBZG")


@dataclass(frozen=True, slots=True)
class CoverSettings:
    """How pictures are covered."""

    face_margin: float = 0.35
    """Added on each side of a face, as a share of its size: hair and chin are part of a face."""
    plate_margin: float = 0.25
    """Added around a plate, as a share of its height."""
    blocks: int = 6
    """Squares along the shorter side that are left of a covered part: too few to recognise anything."""


@dataclass(frozen=True, slots=True)
class Covered:
    """A picture that may be shown, and what was covered in it."""

    pixels: Image
    faces: int
    plates: int


@dataclass(slots=True)
class _Loaded:
    """The models, loaded when the first picture comes, and used by one thread at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    faces: FaceFinder | None = None
    reader: TagtraceReader | None = None
    recogniser: OnnxRecogniser | None = None


_loaded = _Loaded()
_Found = tuple[list[Box], list[Quad]]
_REMEMBERED = 2_000
_BOARD_SIDE_PX, _BOARD_PX = 1280, 48
_BOARD_LEVELS = (110, 140, 170, 200, 225)
_BOARD_FILL = 0.6
"""Share of its rectangle that a bright board fills, its letters left out."""
_LEAST_PLATE_PX = 9
_MOST_TILT = 35.0
"""Degrees that a plate may lean."""
_MOST_BOARDS = 60
_SAME_PLATE = 0.3
"""Intersection over union from which two quads are one plate."""
_places: OrderedDict[str, _Found] = OrderedDict()


def cover(pixels: Image, sha256: str = "", adverts: Sequence[Quad] = (), settings: CoverSettings | None = None) -> Covered:
    """A copy of a picture with its faces and number plates made unrecognisable; ``adverts`` are quads that stay readable.

    Where they are is remembered for some photos, by ``sha256``, so that many crops of one photo are looked at once.
    """
    chosen = settings or CoverSettings()
    faces, plates = _remembered(pixels, sha256)
    plates = [quad for quad in plates if not any(_inside(quad, advert) for advert in adverts)]
    out = pixels.copy()
    for left, top, right, bottom in faces:
        wide, tall = (right - left) * chosen.face_margin, (bottom - top) * chosen.face_margin
        corners = (
            (left - wide, top - tall),
            (right + wide, top - tall),
            (right + wide, bottom + tall),
            (left - wide, bottom + tall),
        )
        _blur(out, corners, chosen.blocks)
    for quad in plates:
        _blur(out, geometry.expand(quad, chosen.plate_margin * geometry.size(quad)[1]), chosen.blocks)
    return Covered(out, len(faces), len(plates))


def derivative(data: bytes, name: str, longest_side_px: int, adverts: Sequence[Quad] = ()) -> bytes | Failure:
    """A photo's bytes as JPEG that may be shown: upright, covered, shrunk, without any metadata. A ``Failure`` where it cannot be
    decoded."""
    found = decode(data, name, DecodeSettings())
    return (
        found if isinstance(found, Failure) else jpeg(shrink(cover(found.pixels, found.sha256, adverts).pixels, longest_side_px))
    )


def shrink(pixels: Image, longest_side_px: int) -> Image:
    """The picture, not longer than so many pixels."""
    height, width = pixels.shape[:2]
    factor = min(1.0, longest_side_px / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def crop(pixels: Image, quad: Quad, longest_side_px: int, margin: float = 0.35) -> Image:
    """The upright surroundings of a quad with a margin, as a share of its height."""
    wide = geometry.expand(quad, margin * geometry.size(quad)[1])
    xs, ys = [x for x, _ in wide], [y for _, y in wide]
    height, width = pixels.shape[:2]
    left, right = (round(min(max(x, 0), width)) for x in (min(xs), max(xs)))
    top, bottom = (round(min(max(y, 0), height)) for y in (min(ys), max(ys)))
    left, top = min(left, width - 1), min(top, height - 1)
    return shrink(pixels[top : max(bottom, top + 1), left : max(right, left + 1)], longest_side_px)


def jpeg(pixels: Image, quality: int = 88) -> bytes:
    """A picture as JPEG without any metadata."""
    buffer = io.BytesIO()
    PilImage.fromarray(pixels).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def is_plate(text: str) -> bool:
    """Whether a line of text spells a vehicle's number, with digits and letters that look alike taken for each other."""
    plain = re.sub(r"[^A-Z0-9]", "", latin_view(text).upper())
    if not 6 <= len(plain) <= 12:
        return False
    return any(_PLATE.fullmatch(candidate) for candidate in {plain, *_swapped(plain)})


def _swapped(plain: str) -> list[str]:
    """The text with look-alikes as digits where plates of Kazakhstan or Russia have digits, and as letters elsewhere."""
    return [
        plain[:3].translate(_LIKE_DIGITS) + plain[3:-2].translate(_LIKE_LETTERS) + plain[-2:].translate(_LIKE_DIGITS),
        plain[:1].translate(_LIKE_LETTERS) + plain[1:4].translate(_LIKE_DIGITS) + plain[4:].translate(_LIKE_LETTERS),
        plain[:1].translate(_LIKE_LETTERS)
        + plain[1:4].translate(_LIKE_DIGITS)
        + plain[4:6].translate(_LIKE_LETTERS)
        + plain[6:].translate(_LIKE_DIGITS),
    ]


def find(pixels: Image) -> tuple[list[Box], list[Quad]]:
    """The faces and the number plates in a picture."""
    return _remembered(pixels, "")


def _remembered(pixels: Image, sha256: str) -> _Found:
    with _loaded.lock:
        if sha256 and sha256 in _places:
            _places.move_to_end(sha256)
            return _places[sha256]
        found = _find(pixels)
        if sha256:
            _places[sha256] = found
            while len(_places) > _REMEMBERED:
                _places.popitem(last=False)
        return found


def _find(pixels: Image) -> _Found:
    """Faces and plates; the caller holds the lock."""
    if _loaded.faces is None or _loaded.reader is None or _loaded.recogniser is None:
        detector, recogniser, faces = (resolve(task) for task in (Task.DETECTOR, Task.RECOGNISER, Task.FACES))
        _loaded.faces = FaceFinder(faces.path, info=faces.info)
        _loaded.recogniser = OnnxRecogniser(recogniser.path)
        _loaded.reader = TagtraceReader(OnnxDetector(detector.path), _loaded.recogniser)
    faces_found = _loaded.faces.find(pixels)
    lines, _ = _loaded.reader.read_lines([pixels])[0]
    plates = [line.quad for line in lines if is_plate(line.reading.text)]
    # The detector is trained to leave plates alone: bright boards are looked at by themselves.
    boards = _boards(pixels)
    crops = [geometry.warp(pixels, board, _BOARD_PX, 10 * _BOARD_PX) for board in boards]
    readings = _loaded.recogniser.read(crops) if crops else []
    plates += [board for board, reading in zip(boards, readings, strict=True) if is_plate(reading.text)]
    kept = geometry.rotated_nms(plates, [geometry.area(quad) for quad in plates], _SAME_PLATE) if plates else []
    return faces_found, [plates[n] for n in kept]


def _boards(pixels: Image) -> list[Quad]:
    """Bright upright boards of the shape of a plate, the largest first."""
    height, width = pixels.shape[:2]
    factor = min(1.0, _BOARD_SIDE_PX / max(height, width))
    grey = cv2.cvtColor(shrink(pixels, _BOARD_SIDE_PX), cv2.COLOR_RGB2GRAY)
    found: dict[tuple[int, ...], tuple[float, Quad]] = {}
    for level in _BOARD_LEVELS:
        _, bright = cv2.threshold(grey, level, 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(bright, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            (x, y), (wide, tall), angle = cv2.minAreaRect(contour)
            if wide < tall:
                wide, tall, angle = tall, wide, angle - 90
            angle = (angle + 90) % 180 - 90
            if tall < _LEAST_PLATE_PX or not 2.2 <= wide / tall <= 7.5 or abs(angle) > _MOST_TILT:
                continue
            if cv2.contourArea(contour) < _BOARD_FILL * wide * tall:
                continue
            corners = cv2.boxPoints(((x, y), (wide, tall), angle)) / factor
            # OpenCV begins at another corner from version to version: sort them clockwise from the top left.
            order = np.argsort(np.arctan2(corners[:, 1] - y / factor, corners[:, 0] - x / factor))
            a, b, c, d = ((float(px), float(py)) for px, py in corners[order])
            found.setdefault((round(x / 8), round(y / 8), round(wide / 12)), (wide * tall, (a, b, c, d)))
    best = sorted(found.values(), key=lambda item: (-item[0], item[1]))[:_MOST_BOARDS]
    return [quad for _, quad in best]


def _inside(quad: Quad, advert: Quad) -> bool:
    """Whether the middle of a quad lies in an advert."""
    middle = np.mean(np.asarray(quad, np.float32), axis=0)
    place = cv2.pointPolygonTest(np.asarray(advert, np.float32), (float(middle[0]), float(middle[1])), False)
    return bool(place >= 0)


def _blur(out: Image, quad: Quad, blocks: int) -> None:
    """Replace a quad by a few coarse squares, in place."""
    height, width = out.shape[:2]
    xs, ys = [x for x, _ in quad], [y for _, y in quad]
    left, right = max(0, int(min(xs))), min(width, int(np.ceil(max(xs))))
    top, bottom = max(0, int(min(ys))), min(height, int(np.ceil(max(ys))))
    if right - left < 2 or bottom - top < 2:
        return
    part = out[top:bottom, left:right]
    tall, wide = part.shape[:2]
    step = min(tall, wide) / blocks
    coarse = cv2.resize(part, (max(1, round(wide / step)), max(1, round(tall / step))), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(coarse, (wide, tall), interpolation=cv2.INTER_LINEAR)
    mask = np.zeros((tall, wide), np.uint8)
    cv2.fillPoly(mask, [np.round(np.asarray(quad) - (left, top)).astype(np.int32)], 255)
    part[mask > 0] = smooth[mask > 0]
