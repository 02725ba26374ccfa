"""Lines and codes to adverts: what was painted or printed together, in reading order.

Two lines belong together when they run in the same direction, are of similar height, and stand as close as lines of one
inscription do: one above the other and overlapping or aligned at the left, centre or right; or side by side in one row. Distances
are relative to the height of the lines, so the camera's distance does not matter. A code belongs to the lines of its sticker
or poster: those closest to it, relative to its own size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from ..contract import Code, Line, Quad

Group: TypeAlias = tuple[tuple[Line, ...], tuple[Code, ...]]
_Points: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Lengths are in heights of the smaller of two lines unless said otherwise; shares lie in 0..1."""

    max_angle: float = 14.0
    """Difference of direction of two lines of one inscription, in degrees."""
    max_height_ratio: float = 3.2
    max_gap: float = 1.1
    """Clear distance between a line and the next below it, in mean heights."""
    max_row_gap: float = 1.8
    """Clear distance between two pieces of one row that are of one height, in mean heights; else ``max_gap`` counts."""
    row_height_ratio: float = 1.4
    """Pieces of one row are of one height up to this ratio of their heights."""
    min_overlap: float = 0.25
    """Share of the shorter of two lines, one above the other, that the other covers along their direction."""
    max_misalignment: float = 0.8
    """Lines that overlap less may be aligned at the left, the centre or the right: the distance allowed, in mean heights."""
    min_row_overlap: float = 0.5
    """Share of the height of the lower of two pieces of one row that the other covers."""
    code_gap: float = 0.75
    """Clear distance of a line from the code of its sticker or poster, in sides of the code."""
    code_line_gap: float = 4.0
    """The same in heights of the line. The smaller of both counts; the larger for lines above or below the code."""


@dataclass(frozen=True, slots=True)
class _Box:
    """A region in the frame of its own direction: corners, centre, unit vector along the text, length and height in pixels."""

    corners: _Points
    centre: _Points
    along: _Points
    length: float
    height: float

    @property
    def angle(self) -> float:
        return math.degrees(math.atan2(self.along[1], self.along[0]))


def _box(quad: Quad) -> _Box:
    corners = np.asarray(quad, dtype=np.float64)
    along = (corners[1] - corners[0]) + (corners[2] - corners[3])
    down = (corners[3] - corners[0]) + (corners[2] - corners[1])
    length, height = float(np.hypot(*along)) / 2, float(np.hypot(*down)) / 2
    unit = along / (2 * length) if length > 0 else np.array([1.0, 0.0])
    return _Box(corners, corners.mean(axis=0), unit, max(length, 1.0), max(height, 1.0))


def _turn(a: _Box, b: _Box) -> float:
    """Difference of direction in degrees, 0..180."""
    return abs((a.angle - b.angle + 180.0) % 360.0 - 180.0)


def _spans(box: _Box, along: _Points) -> tuple[float, float, float, float]:
    """Extent of a region along a direction and across it: (from, to, top, bottom)."""
    across = np.array([-along[1], along[0]])
    u, v = box.corners @ along, box.corners @ across
    return float(u.min()), float(u.max()), float(v.min()), float(v.max())


def _strip(box: _Box, along: _Points, at: float) -> tuple[float, float]:
    """Top and bottom (across) of a slanted line at the place ``at`` along the common direction."""
    across = np.array([-along[1], along[0]])
    slope = float(box.along @ across) / max(1e-6, abs(float(box.along @ along)))
    middle = float(box.centre @ across) + slope * (at - float(box.centre @ along))
    return middle - box.height / 2, middle + box.height / 2


def _common(a: _Box, b: _Box) -> _Points:
    """Mean direction of two lines, the longer counting more."""
    mean = a.along * a.length + b.along * b.length
    norm = float(np.hypot(*mean))
    return mean / norm if norm > 0 else a.along


def _together(a: _Box, b: _Box, settings: GroupSettings) -> bool:
    """Whether two lines belong to one inscription."""
    short = min(a.length / a.height, b.length / b.height) < 2.0  # the direction of a short word is not well known
    if _turn(a, b) > settings.max_angle * (1.8 if short else 1.0):
        return False
    if max(a.height, b.height) > settings.max_height_ratio * min(a.height, b.height):
        return False
    along = _common(a, b)
    a0, a1, *_ = _spans(a, along)
    b0, b1, *_ = _spans(b, along)
    shared = min(a1, b1) - max(a0, b0)
    meeting = (max(a0, b0) + min(a1, b1)) / 2
    a_top, a_bottom = _strip(a, along, meeting)
    b_top, b_bottom = _strip(b, along, meeting)
    height = (a.height + b.height) / 2
    covered = min(a_bottom, b_bottom) - max(a_top, b_top)
    if covered >= settings.min_row_overlap * min(a.height, b.height):
        alike = max(a.height, b.height) <= settings.row_height_ratio * min(a.height, b.height)
        return -shared <= (settings.max_row_gap if alike else settings.max_gap) * height
    if -covered > settings.max_gap * height:
        return False
    if shared >= settings.min_overlap * min(a1 - a0, b1 - b0):
        return True
    offsets = (abs(a0 - b0), abs(a1 - b1), abs(a0 + a1 - b0 - b1) / 2)
    return min(offsets) <= settings.max_misalignment * height


def _gap(a: _Points, b: _Points) -> float:
    """Clear distance of two convex quads in pixels; 0 when they overlap."""
    left, right = Polygon(a).convex_hull, Polygon(b).convex_hull
    return float(left.distance(right))


def _code_distance(code: _Box, line: _Box, settings: GroupSettings) -> float | None:
    """Distance of a line from a code as a share of what is allowed; None when it is too far or much larger than the code."""
    side = math.sqrt(code.length * code.height)
    if line.height > 1.5 * side:
        return None
    gap = _gap(code.corners, line.corners)
    by_code, by_line = settings.code_gap * side, settings.code_line_gap * line.height
    u0, u1, *_ = _spans(code, line.along)
    l0, l1, *_ = _spans(line, line.along)
    over = min(u1, l1) - max(u0, l0) > 0.5 * min(u1 - u0, l1 - l0)
    allowed = max(by_code, by_line) if over else min(by_code, by_line)
    allowed = min(allowed, 1.2 * side)
    return gap / allowed if gap <= allowed else None


class _Sets:
    """Union-find over line indices."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        a, b = self.find(i), self.find(j)
        self._parent[max(a, b)] = min(a, b)


def _sort_key(quad: Quad) -> tuple[float, ...]:
    return tuple(coordinate for point in quad for coordinate in point)


def _reading_order(lines: list[Line], boxes: dict[int, _Box]) -> list[Line]:
    """Rows from top to bottom across the mean direction of the text; within a row along it."""
    held = [boxes[id(line)] for line in lines]
    mean = np.sum([b.along * b.length for b in held], axis=0)
    norm = float(np.hypot(*mean))
    along = mean / norm if norm > 0 else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]])

    def at(box: _Box) -> tuple[float, float]:
        return float(box.centre @ across), float(box.centre @ along)

    ranked = sorted(zip(lines, held, strict=True), key=lambda item: (*at(item[1]), *_sort_key(item[0].quad)))
    rows: list[list[tuple[Line, _Box]]] = []
    for line, box in ranked:
        row = rows[-1] if rows else []
        if row and _same_row(row[-1][1], box, along):
            row.append((line, box))
        else:
            rows.append([(line, box)])
    return [line for row in rows for line, _ in sorted(row, key=lambda item: (at(item[1])[1], _sort_key(item[0].quad)))]


def _same_row(a: _Box, b: _Box, along: _Points) -> bool:
    a0, a1, *_ = _spans(a, along)
    b0, b1, *_ = _spans(b, along)
    meeting = (max(a0, b0) + min(a1, b1)) / 2
    a_top, a_bottom = _strip(a, along, meeting)
    b_top, b_bottom = _strip(b, along, meeting)
    covered = min(a_bottom, b_bottom) - max(a_top, b_top)
    beside = min(a1, b1) - max(a0, b0) < 0.5 * min(a1 - a0, b1 - b0)
    return beside and covered >= 0.5 * min(a.height, b.height)


def group(lines: Sequence[Line], codes: Sequence[Code], settings: GroupSettings | None = None) -> list[Group]:
    """The adverts of one photo: (lines in reading order, codes) each, from top to bottom and left to right.

    Every line and code is in exactly one advert. The result does not depend on the order of the input.
    """
    settings = settings or GroupSettings()
    ordered = sorted(lines, key=lambda line: (_sort_key(line.quad), line.reading.text))
    kept = sorted(codes, key=lambda code: (_sort_key(code.quad), code.payload))
    boxes = [_box(line.quad) for line in ordered]
    sets = _Sets(len(ordered))
    for i, a in enumerate(boxes):
        for j in range(i):
            if _together(a, boxes[j], settings):
                sets.join(i, j)
    owner = _place_codes([_box(code.quad) for code in kept], boxes, sets, settings)
    by_id = {id(line): box for line, box in zip(ordered, boxes, strict=True)}
    members: dict[int, list[Line]] = {}
    for i, line in enumerate(ordered):
        members.setdefault(sets.find(i), []).append(line)
    out: list[Group] = []
    for root, held in members.items():
        out.append((tuple(_reading_order(held, by_id)), tuple(c for c, o in zip(kept, owner, strict=True) if o == root)))
    out += [((), (code,)) for code, o in zip(kept, owner, strict=True) if o is None]
    return sorted(out, key=_advert_key)


def _advert_key(item: Group) -> tuple[float, ...]:
    points = [p for line in item[0] for p in line.quad] + [p for code in item[1] for p in code.quad]
    return (min(y for _, y in points), min(x for x, _ in points), *sorted(c for p in points for c in p))


def _place_codes(codes: list[_Box], lines: list[_Box], sets: _Sets, settings: GroupSettings) -> list[int | None]:
    """The advert (root line index) of each code; lines above and below one code become one advert by it."""
    nearest: list[dict[int, float]] = []
    for line in lines:
        distances = {k: d for k, code in enumerate(codes) if (d := _code_distance(code, line, settings)) is not None}
        nearest.append(distances)
    first: list[int | None] = [None] * len(codes)
    by_code: dict[int, list[tuple[float, int]]] = {}
    for i, distances in enumerate(nearest):
        if distances:
            k = min(distances, key=lambda k: (distances[k], k))
            by_code.setdefault(k, []).append((distances[k], i))
    for k, held in by_code.items():
        held.sort()
        first[k] = held[0][1]
        for distance, i in held[1:]:
            if distance <= 0.6 and _sandwiched(codes[k], lines[held[0][1]], lines[i]):
                sets.join(held[0][1], i)
    return [None if i is None else sets.find(i) for i in first]


def _sandwiched(code: _Box, a: _Box, b: _Box) -> bool:
    """Whether two lines of one direction stand on opposite sides of a code, both centred over it."""
    if _turn(a, b) > 20.0:
        return False
    along = _common(a, b)
    across = np.array([-along[1], along[0]])
    middle = float(code.centre @ across)
    sides = (float(a.centre @ across) - middle) * (float(b.centre @ across) - middle)
    side = math.sqrt(code.length * code.height)
    offset = max(abs(float((a.centre - code.centre) @ along)), abs(float((b.centre - code.centre) @ along)))
    return sides < 0 and offset <= 0.6 * side
