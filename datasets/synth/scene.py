"""The wall plane of one photo: blocks put on a wall, hidden by later paint, and lit.

Everything here is in wall pixels; ``compose`` looks at it with a camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from .glyphs import Mask, smooth_noise
from .layout import Block, Corners, cross_out
from .paint import on_relief, pick_colour, pick_wear
from .walls import Wall

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(slots=True, eq=False)
class Plane:
    """The wall while it is being painted. ``albedo`` (H, W, 3), ``ink`` and ``hidden`` (H, W) are changed in place.

    ``ink`` is where letters and modules are; ``hidden`` is how far something later covers the wall (0..1).
    """

    wall: Wall
    albedo: NDArray[np.float32]
    ink: Mask
    hidden: Mask
    boxes: list[tuple[int, int, int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, wall: Wall) -> Plane:
        shape = wall.relief.shape
        return cls(wall, wall.albedo.copy(), np.zeros(shape, np.float32), np.zeros(shape, np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A block on the wall: the 2x3 affine map from block to wall pixels, and its outline."""

    block: Block
    matrix: NDArray[np.float64]
    outline: Corners

    def to_wall(self, quad: Corners) -> Corners:
        """Corners in block pixels to wall pixels."""
        return np.asarray(quad @ self.matrix[:, :2].T + self.matrix[:, 2], np.float32)


def block_matrix(block: Block, centre: tuple[float, float], angle: float, scale: float) -> NDArray[np.float64]:
    """Affine map that puts the middle of ``block`` at ``centre``, turned by ``angle`` degrees and scaled."""
    height, width = block.alpha.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix[:, 2] += np.array(centre) - (width / 2, height / 2)
    return np.asarray(matrix, np.float64)


def outline(block: Block, matrix: NDArray[np.float64]) -> Corners:
    """Where the corners of the block come to lie."""
    height, width = block.alpha.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return np.asarray(corners @ matrix[:, :2].T + matrix[:, 2], np.float32)


def _window(corners: Corners, shape: tuple[int, int], margin: int = 2) -> tuple[int, int, int, int] | None:
    x0, y0 = np.floor(corners.min(axis=0)).astype(int) - margin
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int) + margin
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(shape[1], x1), min(shape[0], y1)
    return (int(x0), int(y0), int(x1), int(y1)) if x1 - x0 > 3 and y1 - y0 > 3 else None


def put(rng: np.random.Generator, plane: Plane, block: Block, matrix: NDArray[np.float64]) -> Placed | None:
    """Paint or paste ``block`` on the plane; None when it lies outside."""
    corners = outline(block, matrix)
    window = _window(corners, (plane.ink.shape[0], plane.ink.shape[1]))
    if window is None:
        return None
    x0, y0, x1, y1 = window
    local = matrix.copy()
    local[:, 2] -= (x0, y0)
    size = (x1 - x0, y1 - y0)
    shrinking = abs(np.linalg.det(local[:, :2])) < 0.5
    flags = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    alpha: Mask = np.asarray(cv2.warpAffine(block.alpha, local, size, flags=flags), np.float32)
    ink = cv2.warpAffine(block.ink, local, size, flags=flags)
    wall = plane.albedo[y0:y1, x0:x1]
    if block.rgb is None:
        relief = plane.wall.relief[y0:y1, x0:x1]
        roughness = float(rng.uniform(0.0, 0.75)) * _roughness(plane.wall.material)
        alpha = on_relief(rng, alpha, relief, pick_wear(rng), roughness)
        _, colour = pick_colour(rng, float((wall.reshape(-1, 3) @ _LUMA).mean()))
        wall *= 1 - alpha[..., None]
        wall += colour * alpha[..., None]
    else:
        shadow = cv2.GaussianBlur(alpha, (0, 0), 2.0)[..., None] * 0.25
        wall *= 1 - np.clip(np.roll(shadow, (2, 2), (0, 1)), 0, 1)
        sheet = cv2.warpAffine(block.rgb, local, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        shade = 1 + 0.12 * (plane.wall.relief[y0:y1, x0:x1, None] - 0.5)
        wall *= 1 - alpha[..., None]
        wall += sheet * shade * alpha[..., None]
    target = plane.ink[y0:y1, x0:x1]
    np.maximum(target * (1 - (alpha if block.rgb is not None else 0)), ink, out=target)
    plane.boxes.append(window)
    return Placed(block, matrix, corners)


def _roughness(material: str) -> float:
    rough = {
        "shuba": 1.0,
        "koroed": 0.9,
        "brick": 0.7,
        "stone": 0.8,
        "asphalt": 0.8,
        "concrete": 0.5,
        "plaster": 0.5,
        "wood": 0.5,
    }
    return rough.get(material, 0.3)


def overpaint(rng: np.random.Generator, plane: Plane, placed: Placed) -> str:
    """What others did to an advert: a roller's patch over part of it, a thin coat, or crossing-out. Returns its name."""
    what = str(rng.choice(["patch", "thin", "cross"], p=[0.45, 0.25, 0.3]))
    if what == "cross":
        cap = placed.block.lines[0].cap_px if placed.block.lines else 30.0
        strokes = cross_out(rng, placed.block, cap)
        cover = cv2.warpAffine(strokes, placed.matrix, (plane.ink.shape[1], plane.ink.shape[0]))
        _, colour = pick_colour(rng, float((plane.albedo.reshape(-1, 3)[::97] @ _LUMA).mean()))
        _cover(plane, cover * float(rng.uniform(0.7, 1.0)), colour)
        return what
    low, high = placed.outline.min(axis=0), placed.outline.max(axis=0)
    span = high - low
    part = rng.uniform(0.25, 1.05, 2) if what == "patch" else rng.uniform(0.7, 1.15, 2)
    start = low + (span - span * part) * rng.uniform(0, 1, 2)
    x0, y0 = np.maximum(start, 0).astype(int)
    x1, y1 = np.minimum(start + span * part, (plane.ink.shape[1], plane.ink.shape[0])).astype(int)
    if x1 - x0 < 4 or y1 - y0 < 4:
        return ""
    mask: Mask = np.zeros(plane.ink.shape, np.float32)
    ragged = smooth_noise(rng, (int(y1 - y0), int(x1 - x0)), max(4.0, float(span.min()) * 0.15))
    strength = float(rng.uniform(0.85, 1.0)) if what == "patch" else float(rng.uniform(0.35, 0.7))
    mask[y0:y1, x0:x1] = strength * np.clip(1 + 0.08 * ragged, 0, 1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.2), np.float32)
    base = plane.albedo[y0:y1, x0:x1].reshape(-1, 3)
    colour = np.clip(
        np.median(base, axis=0) + rng.normal(0, 0.09, 3).astype(np.float32) + rng.normal(0, 0.05), 0.03, 0.97
    ).astype(np.float32)
    _cover(plane, mask, colour)
    return what


def _cover(plane: Plane, mask: Mask, colour: NDArray[np.float32]) -> None:
    plane.albedo *= 1 - mask[..., None]
    plane.albedo += colour * mask[..., None]
    np.maximum(plane.hidden, mask, out=plane.hidden)


def scribble(rng: np.random.Generator, plane: Plane, count: int) -> None:
    """Lines of paint that mean nothing: strokes, loops, arrows."""
    height, width = plane.ink.shape
    for _ in range(count):
        start = rng.uniform(0, 1, 2) * (width, height)
        steps = rng.normal(0, 1, (int(rng.integers(4, 14)), 2)).cumsum(axis=0) * float(rng.uniform(0.01, 0.06)) * width
        points = (start + steps).astype(np.int32)
        stroke = np.zeros((height, width), np.float32)
        cv2.polylines(stroke, [points], False, 1.0, max(1, int(width * rng.uniform(0.001, 0.008))), cv2.LINE_AA)
        mask = np.asarray(cv2.GaussianBlur(stroke, (0, 0), float(rng.uniform(0.5, 2.5))), np.float32)
        _, colour = pick_colour(rng, 0.6)
        free = 1 - cv2.dilate((plane.ink > 0.1).astype(np.float32), np.ones((5, 5), np.uint8))
        mask *= free * float(rng.uniform(0.5, 1.0))
        plane.albedo *= 1 - mask[..., None]
        plane.albedo += colour * mask[..., None]


LIGHT_SHARES = {"sun": 0.28, "shade": 0.24, "overcast": 0.25, "dusk": 0.07, "night": 0.08, "flash": 0.08}
"""How often each light is met: citizens report mostly by day."""


def pick_mode(rng: np.random.Generator) -> str:
    """Draw a mode of ``light.light_field`` by ``LIGHT_SHARES``."""
    return str(rng.choice(list(LIGHT_SHARES), p=list(LIGHT_SHARES.values())))


def overlaps(box: tuple[float, float, float, float], others: Sequence[tuple[int, int, int, int]], margin: float = 6) -> bool:
    """Whether a box meets one of the others."""
    return any(
        box[0] < o[2] + margin and box[2] > o[0] - margin and box[1] < o[3] + margin and box[3] > o[1] - margin for o in others
    )
