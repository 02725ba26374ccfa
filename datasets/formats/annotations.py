"""What annotation tools share: photos with labelled quads, made from the truth and clipped to the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from ...contract import OTHER_TEXT, Quad, RegionKind, TagtraceError
from ..truth import CODE_KIND, LineTruth, PhotoTruth

CLASS_NAMES: tuple[str, ...] = (RegionKind.LINE.value, RegionKind.CODE.value, OTHER_TEXT)
"""The detector's classes in the order of their numbers: 0 is ``line``, 1 is ``code``, 2 is ``other`` (text that is no advert)."""


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Which lines and codes of the truth a detector should find.

    A legible one always is. One that cannot be read is still to be found when enough of it is in the picture and can be seen;
    the rest (covered, cut off, a smear of a few pixels) would only teach a detector to imagine things. What the truth does
    not tell about a line counts as good.
    """

    min_line_px: float = 6.0
    """Least height of a line in pixels."""
    min_code_px: float = 16.0
    """Least height of a code in pixels."""
    min_visible: float = 0.3
    """Least share that nothing covers."""
    min_in_frame: float = 0.5
    """Least share inside the picture."""
    min_contrast: float = 4.0
    """Least difference between paint and wall, in levels of 0..255."""

    def wants(self, line: LineTruth) -> bool:
        """Whether the line or code is to be labelled."""
        if line.legible:
            return True

        def enough(value: float | None, least: float) -> bool:
            return value is None or value >= least

        return (
            line.height_px >= (self.min_code_px if line.kind == CODE_KIND else self.min_line_px)
            and enough(line.visible, self.min_visible)
            and enough(line.in_frame, self.min_in_frame)
            and enough(line.contrast, self.min_contrast)
        )


DEFAULT_RULE = LabelRule()


@dataclass(frozen=True, slots=True)
class Annotation:
    """One labelled quad, in pixels of the photo; the words are "" where the format or the photo does not tell them.

    ``label`` is a class name, ``text`` as painted, ``canonical`` what it means, ``kind`` as in ``LineTruth``. ``more`` are
    further JSON values by name, as ``whole.py`` gives them: what a whole truth tells of a line and its advert.
    """

    label: str
    quad: Quad
    text: str = ""
    canonical: str = ""
    kind: str = ""
    legible: bool = True
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnnotatedPhoto:
    """A photo with its annotations. ``file`` is relative to the folder of the photos; the size is after EXIF orientation.

    ``about`` are further JSON values by name: what a whole truth tells of the photo."""

    file: str
    width: int
    height: int
    annotations: tuple[Annotation, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


Complain = Callable[[TagtraceError], None]
"""Takes what is wrong with one entry of a file; reading then goes on with the next one."""


def stop_at_first(error: TagtraceError) -> None:
    """The usual ``Complain``: reading ends with the first thing that is wrong."""
    raise error


def to_quad(points: NDArray[np.float64]) -> Quad:
    """Four (x, y) rows as a quad."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = ((float(x), float(y)) for x, y in points)
    return ((ax, ay), (bx, by), (cx, cy), (dx, dy))


def clip_quad(quad: Quad, width: int, height: int) -> Quad | None:
    """The part of a quad inside the picture, again as a quad that begins at the start of the text; None when there is none.

    The inscription is cut across its reading direction, as scissors would: the visible polygon is taken back into the plane of
    the text, bounded there along and across the text, and drawn again. Corners that still stand out (the picture's edge runs
    askew to the text) are moved to the edge.
    """
    corners = np.asarray(quad, dtype=np.float64)
    if corners.min() >= 0 and bool((corners <= (width, height)).all()):
        return quad
    outline: BaseGeometry = Polygon(quad)
    if not outline.is_valid:
        outline = outline.convex_hull
    seen = outline.intersection(box(0, 0, width, height))
    if not isinstance(seen, Polygon) or seen.is_empty:
        return None
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    to_text = np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), unit), dtype=np.float64)
    flat = _project(np.asarray(seen.exterior.coords, dtype=np.float64), to_text)
    if not np.isfinite(flat).all():
        return None
    (u0, v0), (u1, v1) = np.clip(flat.min(axis=0), 0, 1), np.clip(flat.max(axis=0), 0, 1)
    cut = _project(np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]]), np.asarray(np.linalg.inv(to_text)))
    clipped = to_quad(np.clip(cut, 0, (width, height)))
    return clipped if Polygon(clipped).area > 0 else None


def _project(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    ahead = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    return np.asarray(ahead[:, :2] / ahead[:, 2:], dtype=np.float64)


def around(points: NDArray[np.float64]) -> Quad:
    """The smallest rotated rectangle around a polygon, its first side along the longer direction, left to right."""
    if len(points) == 4:
        return to_quad(points)
    corners = cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32))).astype(np.float64)
    if np.linalg.norm(corners[1] - corners[0]) < np.linalg.norm(corners[2] - corners[1]):
        corners = np.roll(corners, -1, axis=0)
    if corners[1][0] < corners[0][0]:
        corners = np.roll(corners, -2, axis=0)
    return to_quad(corners)


def annotate(photos: Iterable[PhotoTruth], rule: LabelRule = DEFAULT_RULE) -> list[AnnotatedPhoto]:
    """The lines and codes of each photo that ``rule`` wants, as annotations clipped to the picture, lines of other text last."""
    return [_annotate(photo, rule) for photo in photos]


def _annotate(photo: PhotoTruth, rule: LabelRule) -> AnnotatedPhoto:
    wanted = [(_label(line), line) for advert in photo.ads for line in advert.lines]
    wanted += [(OTHER_TEXT, line) for other in photo.distractors for line in other.lines or ()]
    found = []
    for label, line in wanted:
        quad = clip_quad(line.quad, photo.width, photo.height) if rule.wants(line) else None
        if quad is not None:
            found.append(Annotation(label, quad, line.text, line.canonical, line.kind, line.legible))
    return AnnotatedPhoto(photo.file, photo.width, photo.height, tuple(found))


def _label(line: LineTruth) -> str:
    return RegionKind.CODE.value if line.kind == CODE_KIND else RegionKind.LINE.value


def class_number(label: str, names: tuple[str, ...], photo: str) -> int:
    """The number of a class name. Raises TagtraceError that names the photo when the name is not among ``names``."""
    if label not in names:
        raise TagtraceError(f"{photo}: an annotation has the class {label!r}; known are {', '.join(names)}")
    return names.index(label)
