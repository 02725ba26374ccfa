"""Quadrilaterals in photos: measures, orientation, upright crops, and the suppression of boxes that say the same thing twice.

Quads are convex, clockwise with y down, in continuous pixel coordinates (``contract.Quad``): the picture covers
(0, 0)..(width, height) and the centre of its top-left pixel is (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from ..contract import Image, Quad, TagtraceError

Points = NDArray[np.float64]
"""Points: ``float64``, shape (n, 2), x and y in pixels."""

SQUARE_ASPECT = 1.25
"""Up to this ratio of sides a rectangle has no clear long axis, and the side nearer to the horizontal counts as the text's."""

_MAX_SUPERSAMPLING = 8
"""A crop is sampled at most so many times finer than asked for before it is averaged down."""


def points_of(quad: Quad) -> Points:
    """The corners as an array of shape (4, 2)."""
    return np.asarray(quad, dtype=np.float64)


def quad_of(points: ArrayLike) -> Quad:
    """Four corners of any array-like of shape (4, 2) as a ``Quad``, in the given order."""
    array = np.asarray(points, dtype=np.float64)
    if array.shape != (4, 2):
        raise ValueError(f"a quad has 4 corners with x and y, not an array of shape {array.shape}")
    a, b, c, d = ((float(x), float(y)) for x, y in array)
    return a, b, c, d


def area(quad: Quad) -> float:
    """Area in square pixels (shoelace formula); positive whichever way the corners run."""
    # asked hundreds of times for a photo: for four corners arrays cost twenty times the arithmetic
    turned = (*quad[1:], quad[0])
    return abs(math.fsum(x * next_y - y * next_x for (x, y), (next_x, next_y) in zip(quad, turned, strict=True))) / 2


def centre(quad: Quad) -> tuple[float, float]:
    """The mean of the corners."""
    x, y = points_of(quad).mean(axis=0)
    return float(x), float(y)


def size(quad: Quad) -> tuple[float, float]:
    """Length along the text and height across it, in pixels: the means of the opposite sides."""
    a, b, c, d = points_of(quad)
    along = (math.dist(a, b) + math.dist(d, c)) / 2
    across = (math.dist(a, d) + math.dist(b, c)) / 2
    return along, across


def angle(quad: Quad) -> float:
    """Direction in which the text runs, in degrees, in (-180, 180]; positive turns clockwise (y down)."""
    a, b, c, d = points_of(quad)
    x, y = (b - a) + (c - d)
    return math.degrees(math.atan2(y, x))


def bounds(quad: Quad) -> tuple[float, float, float, float]:
    """Smallest upright rectangle around the quad: left, top, right, bottom."""
    p = points_of(quad)
    (left, top), (right, bottom) = p.min(axis=0), p.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def rectangle(left: float, top: float, right: float, bottom: float) -> Quad:
    """The upright rectangle with the given borders."""
    return (left, top), (right, top), (right, bottom), (left, bottom)


def intersection_areas(quad: Quad, others: Sequence[Quad]) -> NDArray[np.float64]:
    """Area that ``quad`` shares with each of ``others``, in square pixels, shape (len(others),)."""
    shared = np.zeros(len(others))
    if not others:
        return shared
    own, corners = points_of(quad), np.asarray(others, dtype=np.float64)
    near = (corners.min(axis=1) < own.max(axis=0)).all(axis=1) & (corners.max(axis=1) > own.min(axis=0)).all(axis=1)
    if near.any():
        # The hull mends corners given out of order or crossing sides, with which exact overlay would raise.
        hulls = shapely.convex_hull(shapely.polygons(corners[near]))
        shared[near] = shapely.area(shapely.intersection(shapely.convex_hull(shapely.polygons(own)), hulls))
    return shared


def intersection_area(first: Quad, second: Quad) -> float:
    """Area that two quads share, in square pixels."""
    return float(intersection_areas(first, [second])[0])


def iou(first: Quad, second: Quad) -> float:
    """Intersection over union of two convex quads, 0..1; 0 when neither has an area."""
    shared = intersection_area(first, second)
    union = area(first) + area(second) - shared
    return min(1.0, shared / union) if union > 0 else 0.0


def share_within(inner: Quad, outer: Quad) -> float:
    """The part of ``inner`` that lies within ``outer``, 0..1; 0 when ``inner`` has no area."""
    own = area(inner)
    return min(1.0, intersection_area(inner, outer) / own) if own > 0 else 0.0


def min_area_quad(points: ArrayLike, *, square_aspect: float = SQUARE_ASPECT) -> Quad:
    """Smallest rotated rectangle around points of shape (n, 2), as a quad that is ready to be read along.

    It runs clockwise, its first side lies along the long axis, and text along that side runs to the right (downwards when it is
    exactly vertical). Rectangles whose sides differ by less than ``square_aspect`` are read along the side nearer to the
    horizontal.
    """
    array = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    if len(array) == 0:
        raise ValueError("a rectangle needs at least one point")
    # Around their mean the points keep their precision in cv2's float32.
    offset = array.mean(axis=0)
    box = cv2.boxPoints(cv2.minAreaRect((array - offset).astype(np.float32))).astype(np.float64) + offset
    return upright(quad_of(box), square_aspect=square_aspect)


def around(quads: Iterable[Quad]) -> Quad:
    """Smallest rotated rectangle around several quads, as ``min_area_quad`` gives it."""
    return min_area_quad(np.concatenate([points_of(quad) for quad in quads]))


def upright(quad: Quad, *, square_aspect: float = SQUARE_ASPECT) -> Quad:
    """The same four corners, clockwise, started so that the first side is the one to read along (see ``min_area_quad``)."""
    p = points_of(quad)
    x, y = p[:, 0], p[:, 1]
    if np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)) < 0:  # counter-clockwise
        p = p[::-1]
    first, second = size(quad_of(p))
    if max(first, second) < square_aspect * min(first, second):
        vectors = (p[1] - p[0]) + (p[2] - p[3]), (p[2] - p[1]) + (p[3] - p[0])
        steepness = [abs(vector[1]) - abs(vector[0]) for vector in vectors]
        turned = steepness[1] < steepness[0]
    else:
        turned = second > first
    p = np.roll(p, -1, axis=0) if turned else p
    dx, dy = (p[1] - p[0]) + (p[2] - p[3])
    if dx < 0 or (dx == 0 and dy < 0):
        p = np.roll(p, -2, axis=0)
    return quad_of(p)


def turn(quad: Quad, degrees: int) -> Quad:
    """The same place read after the reader has turned clockwise by 0, 90, 180 or 270 degrees: the corners start elsewhere.

    ``turn(quad, 180)`` is where the text of an upside-down crop starts.
    """
    if degrees % 90:
        raise ValueError(f"a quad can be turned by multiples of 90 degrees, not by {degrees}")
    steps = degrees // 90 % 4
    return quad_of(np.roll(points_of(quad), -steps, axis=0))


def expand(quad: Quad, along: float, across: float | None = None) -> Quad:
    """Move the sides outwards (inwards when negative): the ends by ``along`` pixels, the others by ``across`` (else ``along``).

    Each corner moves along the two sides that meet in it, so that perspective quads keep their directions.
    """
    across = along if across is None else across
    a, b, c, d = points_of(quad)
    top, bottom, left, right = _unit(b - a), _unit(c - d), _unit(d - a), _unit(c - b)
    return quad_of(
        [
            a - along * top - across * left,
            b + along * top - across * right,
            c + along * bottom + across * right,
            d - along * bottom + across * left,
        ]
    )


def lengthen(quad: Quad, before: float, after: float) -> Quad:
    """Move the first end outwards by ``before`` pixels and the other by ``after``, each corner along its own long side."""
    a, b, c, d = points_of(quad)
    top, bottom = _unit(b - a), _unit(c - d)
    return quad_of([a - before * top, b + after * top, c + after * bottom, d - before * bottom])


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.hypot(*vector))
    return vector / length if length > 0 else vector


def scale(quad: Quad, factor_x: float, factor_y: float, shift_x: float = 0.0, shift_y: float = 0.0) -> Quad:
    """Corners multiplied by the factors, then shifted."""
    return quad_of(points_of(quad) * (factor_x, factor_y) + (shift_x, shift_y))


def crop_width(quad: Quad, height: int, max_width: int) -> int:
    """Width in pixels of a crop ``height`` high that keeps the quad's proportions, at least 1 and at most ``max_width``."""
    along, across = size(quad)
    return max(1, round(min(max_width, height * along / max(across, 1e-6))))


def warp(image: Image, quad: Quad, height: int, max_width: int) -> Image:
    """The inside of a quad as an upright picture, its first side on top: uint8 RGB of shape (height, width, 3).

    The width keeps the proportions (mean lengths of opposite sides); a longer text is squeezed into ``max_width``. What lies
    outside of the picture continues its border. When the crop is much smaller than its source it is sampled finer first and
    averaged down, so that thin strokes do not break up.
    """
    if height < 1 or max_width < 1:
        raise ValueError(f"a crop of height {height} and width up to {max_width} is empty")
    if area(quad) <= 0:
        raise TagtraceError(f"the quad {quad} has no area: it cannot be cut out")
    width = crop_width(quad, height, max_width)
    patch, corners = _neighbourhood(image, points_of(quad))
    along, across = size(quad)
    finer = int(min(_MAX_SUPERSAMPLING, max(1, round(max(along / width, across / height)))))
    w, h = width * finer, height * finer
    target = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float64)
    # cv2 counts from the centre of the first pixel, the contract from its corner.
    transform = cv2.getPerspectiveTransform((corners - 0.5).astype(np.float32), (target - 0.5).astype(np.float32))
    crop = cv2.warpPerspective(patch, transform, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if finer > 1:
        crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, dtype=np.uint8)


def _neighbourhood(image: Image, corners: Points) -> tuple[Image, Points]:
    """The part of the picture around the corners, and the corners in it: cv2 cannot warp from pictures over 32,767 pixels."""
    rows, columns = image.shape[:2]
    left, top = np.floor(corners.min(axis=0)).astype(int) - 2
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 2
    left, right = int(np.clip(left, 0, columns - 1)), int(np.clip(right, 1, columns))
    top, bottom = int(np.clip(top, 0, rows - 1)), int(np.clip(bottom, 1, rows))
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    return np.ascontiguousarray(image[top:bottom, left:right]), corners - (left, top)


def rotated_nms(quads: Sequence[Quad], scores: Sequence[float], iou_threshold: float) -> list[int]:
    """Greedy suppression: indices of the quads to keep, best score first.

    A quad is dropped when its exact IoU with a better one that was kept is above ``iou_threshold``. Equal scores are taken in
    the order of their coordinates, so that the outcome does not depend on the order of the input.
    """
    order = sorted(range(len(quads)), key=lambda i: (-scores[i], quads[i]))
    areas = np.array([area(quad) for quad in quads])
    kept: list[int] = []
    while order:
        best, *rest = order
        kept.append(best)
        shared = intersection_areas(quads[best], [quads[i] for i in rest])
        union = areas[best] + areas[rest] - shared
        overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        order = [i for i, value in zip(rest, overlap, strict=True) if value <= iou_threshold]
    return kept
