"""The truth of one synthetic photo: where everything on the wall came to lie, and what of it can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...contract import Quad
from ..truth import CODE_KIND, AdvertTruth, DistractorTruth, LineTruth, PhotoTruth
from .camera import Exposure, View, map_points
from .glyphs import Mask
from .layout import Corners, PlacedLine
from .legibility import judge
from .scene import Placed

CODE_PREFIX = f"{CODE_KIND}:"
"""A line of this kind is a code; what its payload is follows, as in ``qr:url``."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedAdvert:
    """An advert on the wall, and the shop behind it."""

    placed: Placed
    shop_id: str


@dataclass(frozen=True, slots=True, eq=False)
class PlacedDistractor:
    """Text on the wall that is no advert: what sort of thing it is, and what it says."""

    placed: Placed
    kind: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """Where the phone stands: its view, and the 3x3 map from wall pixels to photo pixels."""

    view: View
    matrix: NDArray[np.float64]

    def see(self, points: Corners) -> Corners:
        """Wall pixels to photo pixels."""
        return map_points(self.matrix, points)

    def unsee(self, points: Corners) -> Corners:
        """Photo pixels to wall pixels."""
        return map_points(np.asarray(np.linalg.inv(self.matrix), np.float64), points)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The finished photo: ``picture`` (H, W, 3) ``uint8`` RGB, and per pixel how much of it is letters (``ink``) and how far
    something hides the wall (``cover``), both (H, W) 0..1.
    """

    picture: NDArray[np.uint8]
    ink: Mask
    cover: Mask
    camera: Camera
    exposure: Exposure


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """What was put before the camera. ``negative_kind`` says what a photo without adverts shows instead."""

    adverts: Sequence[PlacedAdvert]
    distractors: Sequence[PlacedDistractor]
    negative_kind: str | None
    material: str
    light: str
    hard: bool

    @property
    def style(self) -> str:
        """The styles of the adverts, each once, joined by ``+``; ``none`` where the photo is to show no advert."""
        if self.negative_kind is not None:
            return "none"
        return "+".join(dict.fromkeys(advert.placed.block.style for advert in self.adverts))


def photo_truth(file: str, split: str, story: Story, seen: Seen) -> PhotoTruth:
    """The truth of the photo ``file``: what ``story`` tells, where it is in the picture, and how legible each line came out."""
    camera = seen.camera
    view = camera.view
    return PhotoTruth(
        file=file,
        width=view.width,
        height=view.height,
        ads=tuple(_advert(f"{file}#{index}", advert, seen) for index, advert in enumerate(story.adverts)),
        distractors=tuple(
            DistractorTruth(
                text=other.text,
                quad=_quad(camera.see(other.placed.outline)),
                kind=other.kind,
                lines=tuple(_line(line, other.placed, seen) for line in other.placed.block.lines) or None,
            )
            for other in story.distractors
        ),
        negative=story.negative_kind is not None,
        negative_kind=story.negative_kind,
        split=split,
        style=story.style,
        material=story.material,
        light=story.light,
        difficulty="hard" if story.hard else "medium",
        yaw=round(view.yaw, 1),
        pitch=round(view.pitch, 1),
        roll=round(view.roll, 1),
        jpeg_quality=seen.exposure.jpeg,
        motion_px=round(seen.exposure.motion, 1),
    )


def _advert(wall_id: str, advert: PlacedAdvert, seen: Seen) -> AdvertTruth:
    placed = advert.placed
    return AdvertTruth(
        wall_id=wall_id,
        shop_id=advert.shop_id,
        style=placed.block.style,
        quad=_quad(seen.camera.see(placed.outline)),
        lines=tuple(_line(line, placed, seen) for line in placed.block.lines),
    )


def _line(line: PlacedLine, placed: Placed, seen: Seen) -> LineTruth:
    text = line.text
    corners = seen.camera.see(placed.to_wall(line.quad))
    mark = judge(corners, seen.picture, seen.ink, seen.cover, seen.exposure.blur + 0.4 * seen.exposure.motion)
    code = text.kind.startswith(CODE_PREFIX)
    return LineTruth(
        text=text.text,
        canonical=text.canonical,
        kind=CODE_KIND if code else text.kind,
        part=text.part,
        evasion=text.evasion,
        quad=_quad(corners),
        height_px=round(mark.height_px, 1),
        legible=mark.legible,
        visible=round(mark.visible, 3),
        in_frame=round(mark.in_frame, 3),
        contrast=round(mark.contrast, 1),
        ink_corr=round(mark.correlation, 2),
        extra={"payload_kind": text.kind.removeprefix(CODE_PREFIX)} if code else {},
    )


def _quad(corners: Corners) -> Quad:
    first, second, third, fourth = ((round(float(x), 1), round(float(y), 1)) for x, y in corners)
    return first, second, third, fourth
