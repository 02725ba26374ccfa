"""One box per object, when a photo was looked at whole and in overlapping tiles.

A line that runs over the border of a tile is found there as a fragment. Fragments of one line are united, and a box that says
what another one says better is dropped, so that the outcome is the same however the line was cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..contract import Quad, Region, RegionKind
from .geometry import angle, area, around, centre, intersection_areas, points_of, rotated_nms, size


@dataclass(frozen=True, slots=True)
class Found:
    """One box in photo coordinates, as one view of the photo gave it.

    ``view`` numbers the view. ``cut`` says that the box touches a border of its view which is not a border of the photo, so
    that the object probably goes on beyond it. ``advert`` is as in ``Region``.
    """

    kind: RegionKind
    quad: Quad
    confidence: float
    view: int = 0
    cut: bool = False
    advert: float = 1.0


@dataclass(frozen=True, slots=True)
class MergeSettings:
    """When two boxes are one object. Shares and IoU are in 0..1; ratios are of the larger to the smaller."""

    same_iou: float = 0.6
    """IoU from which two boxes are the same object whatever else holds: the better one stays."""
    nms_iou: float = 0.4
    """IoU above which two boxes of one kind cannot both be right, once fragments are gone."""
    contained_share: float = 0.7
    """Share of a box that lies within a larger one, from which it is a fragment or a double of that one."""
    height_ratio: float = 1.6
    """Boxes whose heights differ by more than this are not parts of one line."""
    cover_share: float = 0.5
    """A larger box is a false union of lines when better boxes of smaller height within it cover this share of it."""
    angle_deg: float = 10.0
    """Fragments of one line differ in direction by at most so many degrees."""
    offset_heights: float = 0.5
    """Fragments of one line lie at most so many heights beside its axis."""


def merge(found: Sequence[Found], settings: MergeSettings | None = None) -> list[Region]:
    """Regions from the boxes of all views, most confident first.

    Fragments of lines cut by neighbouring tiles are united, doubles and fragments are dropped per kind. The result does not
    depend on the order of ``found``.
    """
    settings = settings or MergeSettings()
    regions: list[Region] = []
    for kind in RegionKind:
        boxes = sorted((box for box in found if box.kind is kind), key=_rank)
        if kind is RegionKind.LINE:
            boxes = sorted(_unite(boxes, settings), key=_rank)
        boxes = _suppress(boxes, settings.same_iou)
        boxes = _drop_contained(boxes, settings)
        boxes = _suppress(boxes, settings.nms_iou)
        regions.extend(Region(box.kind, box.quad, box.confidence, box.advert) for box in boxes)
    return sorted(regions, key=lambda region: (-region.confidence, region.kind.value, region.quad))


def _rank(box: Found) -> tuple[bool, float, Quad]:
    """Whole boxes before fragments, then by confidence; the coordinates settle ties."""
    return box.cut, -box.confidence, box.quad


def _suppress(boxes: list[Found], iou_threshold: float) -> list[Found]:
    """Drop each box that overlaps an earlier one by more than the threshold; ``boxes`` come best first."""
    kept = rotated_nms([box.quad for box in boxes], [-float(place) for place in range(len(boxes))], iou_threshold)
    return [boxes[i] for i in kept]


def _drop_contained(boxes: list[Found], settings: MergeSettings) -> list[Found]:
    """Drop boxes that lie within a larger one, or the larger one where it lumps better boxes together; the order stays."""
    areas = [area(box.quad) for box in boxes]
    by_size = sorted(range(len(boxes)), key=lambda i: (-areas[i], boxes[i].quad))
    dropped: set[int] = set()
    for place, i in enumerate(by_size):
        smaller = [j for j in by_size[place + 1 :] if j not in dropped]
        if i in dropped or not smaller:
            continue
        shared = intersection_areas(boxes[i].quad, [boxes[j].quad for j in smaller])
        inner = [j for j, value in zip(smaller, shared, strict=True) if value >= settings.contained_share * areas[j]]
        if _is_false_union(boxes[i], [boxes[j] for j in inner], settings):
            dropped.add(i)
        else:
            dropped.update(inner)
    return [box for i, box in enumerate(boxes) if i not in dropped]


def _is_false_union(large: Found, inner: Sequence[Found], settings: MergeSettings) -> bool:
    """Whether ``large`` is two or more lines taken for one: better boxes of much less height within it fill much of it."""
    height = size(large.quad)[1]
    better = [
        box
        for box in inner
        if not box.cut and box.confidence > large.confidence and size(box.quad)[1] * settings.height_ratio < height
    ]
    return len(better) >= 2 and sum(area(box.quad) for box in better) >= settings.cover_share * area(large.quad)


def _unite(boxes: list[Found], settings: MergeSettings) -> list[Found]:
    """Put the fragments of each line together; a united line stays marked as cut, so that a whole box of it goes first."""
    fragments = [box for box in boxes if box.cut]
    groups = list(range(len(fragments)))

    def root(i: int) -> int:
        while groups[i] != i:
            i = groups[i]
        return i

    for i, first in enumerate(fragments):
        for j in range(i):
            if first.view != fragments[j].view and _continues(first, fragments[j], settings):
                low, high = sorted((root(i), root(j)))
                groups[high] = low
    united = []
    for i in range(len(fragments)):
        members = [fragment for j, fragment in enumerate(fragments) if root(j) == i]
        if members:
            united.append(_union(members))
    return [box for box in boxes if not box.cut] + united


def _union(members: Sequence[Found]) -> Found:
    """One box around all fragments of a line; what is believed of it is their mean, weighted by length."""
    if len(members) == 1:
        return members[0]
    lengths = np.array([size(box.quad)[0] for box in members])
    confidence = float(np.average([box.confidence for box in members], weights=lengths))
    advert = float(np.average([box.advert for box in members], weights=lengths))
    return replace(members[0], quad=around(box.quad for box in members), confidence=confidence, advert=advert)


def _continues(first: Found, second: Found, settings: MergeSettings) -> bool:
    """Whether two fragments are parts of one line: same direction and height, on one axis, and overlapping along it."""
    long, short = sorted((first, second), key=lambda box: (-size(box.quad)[0], box.quad))
    long_height, short_height = size(long.quad)[1], size(short.quad)[1]
    if max(long_height, short_height) > settings.height_ratio * min(long_height, short_height):
        return False
    difference = abs(angle(long.quad) - angle(short.quad)) % 180
    if min(difference, 180 - difference) > settings.angle_deg:
        return False
    direction = math.radians(angle(long.quad))
    dx, dy = math.cos(direction), math.sin(direction)
    x, y = centre(long.quad)
    sx, sy = centre(short.quad)
    beside = abs((sy - y) * dx - (sx - x) * dy)
    if beside > settings.offset_heights * min(long_height, short_height):
        return False
    spans = []
    for quad in (long.quad, short.quad):
        along = (points_of(quad) - (x, y)) @ (dx, dy)
        spans.append((float(along.min()), float(along.max())))
    return min(spans[0][1], spans[1][1]) > max(spans[0][0], spans[1][0])
