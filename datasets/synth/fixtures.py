"""Things fixed to a wall, drawn as sprites: windows, doors, pipes, boxes, vents, air conditioners, torn posters.

A sprite is drawn with 8-bit colours, where OpenCV smooths edges, and laid on the wall with a soft shadow of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from .noise import Canvas, Colour, Field, fbm, grain, pick, ramp, smooth, stamp


@dataclass(frozen=True, slots=True)
class Sprite:
    """A small picture with coverage."""

    rgb: NDArray[np.float32]
    """Shape (h, w, 3), 0..1."""
    alpha: Field
    """Shape (h, w), 0..1."""


def byte(colour: Colour, factor: float = 1.0) -> tuple[int, int, int]:
    """``colour`` in 0..255 for OpenCV's drawing, brighter or darker by ``factor``."""
    red, green, blue = (int(np.clip(part * factor, 0, 1) * 255) for part in colour)
    return red, green, blue


def blank(height: float, width: float, colour: Colour) -> NDArray[np.uint8]:
    """An opaque rectangle to draw on, at least 4 by 4 pixels."""
    return np.full((max(4, int(height)), max(4, int(width)), 3), byte(colour), np.uint8)


def finish(
    rng: np.random.Generator, rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None, wear: float = 0.05
) -> Sprite:
    """A drawn rectangle as a sprite, with uneven brightness and grain of strength ``wear``."""
    height, width = rgb.shape[:2]
    tone = 1 + fbm(rng, height, width, max(8.0, max(height, width) * 0.4), 4) * np.float32(wear)
    tone += grain(rng, height, width, 0.7) * np.float32(wear * 0.5)
    picture = rgb.astype(np.float32) * (tone[:, :, None] / np.float32(255))
    cover = np.ones((height, width), np.float32) if alpha is None else alpha.astype(np.float32) / np.float32(255)
    return Sprite(np.clip(picture, 0, 1), cover)


def place(canvas: Canvas, sprite: Sprite, x: int, y: int, depth: float = 0.0, dark: float = 0.45) -> None:
    """Lay a sprite on the canvas in place; ``depth`` in pixels is how far it stands off the wall and moves its shadow."""
    if depth >= 1:
        margin = int(depth * 2) + 2
        cover = cv2.copyMakeBorder(sprite.alpha, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
        soft = cast(Field, cv2.GaussianBlur(cover, (0, 0), max(0.7, depth * 0.5))) * np.float32(dark)
        black = np.zeros((*soft.shape, 3), np.float32)
        stamp(canvas, black, soft, x - margin + int(depth * 0.7), y - margin + int(depth))
    stamp(canvas, sprite.rgb, sprite.alpha, x, y)


FRAME_COLOURS: tuple[Colour, ...] = (
    (0.90, 0.90, 0.88),
    (0.82, 0.81, 0.77),
    (0.42, 0.28, 0.20),
    (0.60, 0.62, 0.62),
    (0.35, 0.45, 0.52),
)
BOX_COLOURS: tuple[Colour, ...] = (
    (0.62, 0.63, 0.62),
    (0.75, 0.75, 0.73),
    (0.40, 0.42, 0.43),
    (0.80, 0.72, 0.35),
    (0.35, 0.42, 0.36),
)


def _glass(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """A pane: dark room or sky, with a slanting reflection, curtains at times."""
    full, height, width = (width, height), height // 3 + 1, width // 3 + 1  # glass is smooth: a third of the size is enough
    pane = np.empty((height, width, 3), np.float32)
    top, bottom = (
        pick(rng, ((0.16, 0.18, 0.21), (0.42, 0.50, 0.58), (0.08, 0.08, 0.09))),
        pick(rng, ((0.10, 0.11, 0.12), (0.30, 0.32, 0.33))),
    )
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    pane[:] = np.asarray(top, np.float32) * (1 - share) + np.asarray(bottom, np.float32) * share
    pane *= 1 + (smooth(rng, height, width, width * 0.4, height * 0.5) * np.float32(0.25))[:, :, None]
    if rng.random() < 0.4:
        folds = (np.sin(np.linspace(0, rng.uniform(15, 50), width)) * 0.06 + rng.uniform(0.45, 0.75)).astype(np.float32)
        edge = int(width * rng.uniform(0.2, 1.0))
        pane[:, :edge] = pane[:, :edge] * 0.4 + folds[None, :edge, None] * np.float32(0.6)
    return cast(NDArray[np.uint8], cv2.resize((np.clip(pane, 0, 1) * 255).astype(np.uint8), full, interpolation=cv2.INTER_LINEAR))


def window(rng: np.random.Generator, height: float, width: float) -> Sprite:
    """A window with casements, often barred, with a sill."""
    frame = pick(rng, FRAME_COLOURS)
    rgb = blank(height, width, frame)
    rows, cols = rgb.shape[:2]
    bar = max(2, int(min(rows, cols) * rng.uniform(0.035, 0.06)))
    cuts = np.linspace(0, cols - bar, int(rng.choice([2, 3, 3, 4])), dtype=int)
    for left, right in pairwise(cuts.tolist()):
        y0, x0, y1, x1 = bar, left + bar, rows - bar * 2, right
        if y1 - y0 > 3 and x1 - x0 > 3:
            rgb[y0:y1, x0:x1] = _glass(rng, y1 - y0, x1 - x0)
            cv2.rectangle(rgb, (x0, y0), (x1, y1), byte(frame, 0.6), 1, cv2.LINE_AA)
    cv2.rectangle(rgb, (0, rows - bar), (cols, rows), byte(frame, 1.1), -1)
    cv2.rectangle(rgb, (0, 0), (cols - 1, rows - 1), byte(frame, 0.45), max(1, bar // 3))
    if rng.random() < 0.45:
        _grille(rng, rgb)
    reveal = min(bar * int(rng.integers(1, 4)), rows)  # the lintel's shadow, as the window sits in the wall
    rgb[:reveal] = rgb[:reveal] * np.linspace(rng.uniform(0.3, 0.9), 1, reveal)[:, None, None]
    return finish(rng, rgb, wear=0.04)


def _grille(rng: np.random.Generator, rgb: NDArray[np.uint8]) -> None:
    """Bars in front of a window: upright, crossed or a fan."""
    rows, cols = rgb.shape[:2]
    colour = byte(pick(rng, ((0.12, 0.12, 0.12), (0.75, 0.75, 0.73), (0.28, 0.20, 0.16))))
    thick, pitch = max(1, cols // 70), max(6, int(cols * rng.uniform(0.07, 0.14)))
    kind = rng.integers(3)
    if kind == 2:
        for angle in np.linspace(0, np.pi, 9):
            end = (int(cols / 2 + 2 * cols * np.cos(angle)), int(rows - 2 * cols * np.sin(angle)))
            cv2.line(rgb, (cols // 2, rows), end, colour, thick, cv2.LINE_AA)
        cv2.circle(rgb, (cols // 2, rows), int(cols * 0.25), colour, thick, cv2.LINE_AA)
        return
    slant = 0 if kind == 0 else pitch * 4
    for x in range(-4 * pitch, cols + 4 * pitch, pitch):
        cv2.line(rgb, (x, 0), (x + slant, rows), colour, thick, cv2.LINE_AA)
        if slant:
            cv2.line(rgb, (x + slant, 0), (x, rows), colour, thick, cv2.LINE_AA)
    for y in (int(rows * 0.15), int(rows * 0.85)):
        cv2.line(rgb, (0, y), (cols, y), colour, thick + 1, cv2.LINE_AA)


def door(rng: np.random.Generator, height: float, width: float) -> Sprite:
    """A steel or wooden door with panels and a handle."""
    colour = pick(
        rng,
        ((0.36, 0.24, 0.18), (0.42, 0.44, 0.46), (0.25, 0.30, 0.28), (0.55, 0.42, 0.28), (0.20, 0.20, 0.22), (0.66, 0.64, 0.58)),
    )
    rgb = blank(height, width, colour)
    rows, cols = rgb.shape[:2]
    rim = max(2, cols // 25)
    cv2.rectangle(rgb, (0, 0), (cols - 1, rows - 1), byte(colour, 0.5), rim)
    panels = int(rng.integers(0, 4))
    for index in range(panels):
        y0, y1 = int(rows * (index + 0.15) / panels), int(rows * (index + 0.9) / panels)
        cv2.rectangle(rgb, (cols // 6, y0), (cols - cols // 6, y1), byte(colour, 0.75), max(1, rim // 2), cv2.LINE_AA)
        cv2.line(rgb, (cols // 6, y1), (cols - cols // 6, y1), byte(colour, 1.25), max(1, rim // 2), cv2.LINE_AA)
    x = cols // 8 if rng.random() < 0.5 else cols - cols // 8
    cv2.line(rgb, (x, int(rows * 0.5)), (x, int(rows * 0.56)), byte((0.75, 0.74, 0.7)), max(2, cols // 40), cv2.LINE_AA)
    return finish(rng, rgb, wear=0.06)


def pipe(rng: np.random.Generator, length: float, thick: float, colours: tuple[Colour, ...]) -> Sprite:
    """An upright pipe with clamps and chipped paint; turn it for a lying one."""
    rows, cols = max(8, int(length)), max(3, int(thick))
    across = np.linspace(-1, 1, cols, dtype=np.float32)
    lit = 0.45 + 0.65 * np.sqrt(np.clip(1 - (across + np.float32(rng.uniform(-0.3, 0.3))) ** 2, 0, 1))
    colour = np.asarray(pick(rng, colours), np.float32)
    tone = lit[None] * (1 + smooth(rng, rows, cols, cols, cols * 3) * np.float32(0.05))
    rgb = tone[:, :, None] * colour
    if rng.random() < 0.4:
        chips = fbm(rng, rows, cols, cols * 1.5, 4, 0.7) > rng.uniform(1.0, 1.8)
        rgb[chips] = np.asarray(pick(rng, ((0.40, 0.22, 0.13), (0.3, 0.28, 0.26))), np.float32)
    for y in np.arange(rng.uniform(0, cols * 8), rows, cols * rng.uniform(8, 25)):
        rgb[int(y) : int(y) + max(2, cols // 3)] *= np.float32(rng.choice([0.6, 1.2]))
    return Sprite(np.clip(rgb, 0, 1).astype(np.float32), np.ones((rows, cols), np.float32))


def turned(sprite: Sprite) -> Sprite:
    """The sprite with rows and columns exchanged."""
    return Sprite(np.ascontiguousarray(sprite.rgb.transpose(1, 0, 2)), np.ascontiguousarray(sprite.alpha.T))


def box(rng: np.random.Generator, height: float, width: float) -> Sprite:
    """A meter, junction or transformer box with a lid and a lock, at times a warning triangle without letters."""
    colour = pick(rng, BOX_COLOURS)
    rgb = blank(height, width, colour)
    rows, cols = rgb.shape[:2]
    rim = max(1, min(rows, cols) // 14)
    cv2.rectangle(rgb, (rim, rim), (cols - 1 - rim, rows - 1 - rim), byte(colour, 0.7), max(1, rim // 2), cv2.LINE_AA)
    cv2.line(rgb, (0, 0), (cols, 0), byte(colour, 1.25), rim)
    cv2.line(rgb, (0, rows - 1), (cols, rows - 1), byte(colour, 0.5), rim)
    cv2.circle(rgb, (cols - 3 * rim, rows // 2), max(1, rim), byte((0.15, 0.15, 0.15)), -1, cv2.LINE_AA)
    if rng.random() < 0.25:
        centre, size = np.array([cols // 2, int(rows * 0.35)]), min(rows, cols) // 5
        points = (centre + size * np.array([[0.0, -1.0], [0.95, 0.7], [-0.95, 0.7]])).astype(np.int32)
        cv2.fillPoly(rgb, [points], byte((0.92, 0.78, 0.12)), cv2.LINE_AA)
        cv2.polylines(rgb, [points], True, byte((0.1, 0.1, 0.1)), max(1, size // 8), cv2.LINE_AA)
    return finish(rng, rgb, wear=0.07)


def vent(rng: np.random.Generator, height: float, width: float) -> Sprite:
    """A vent with louvres."""
    colour = pick(rng, FRAME_COLOURS)
    rgb = blank(height, width, colour)
    rows, cols = rgb.shape[:2]
    pitch = max(4, rows // int(rng.integers(5, 12)))
    for y in range(pitch, rows - 2, pitch):
        cv2.line(rgb, (cols // 10, y), (cols - cols // 10, y), byte((0.1, 0.1, 0.1)), max(1, pitch // 2))
    return finish(rng, rgb, wear=0.05)


def conditioner(rng: np.random.Generator, height: float, width: float) -> Sprite:
    """The outdoor unit of an air conditioner."""
    colour = pick(rng, ((0.86, 0.86, 0.84), (0.78, 0.76, 0.70)))
    rgb = blank(height, width, colour)
    rows, cols = rgb.shape[:2]
    centre, radius = (int(cols * 0.38), rows // 2), int(rows * 0.42)
    cv2.circle(rgb, centre, radius, byte((0.13, 0.13, 0.14)), -1, cv2.LINE_AA)
    for step in range(1, 9):
        cv2.circle(rgb, centre, max(1, radius * step // 8), byte(colour, 0.85), max(1, rows // 150), cv2.LINE_AA)
    cv2.line(rgb, (int(cols * 0.78), 0), (int(cols * 0.78), rows), byte(colour, 0.7), 1)
    cv2.rectangle(rgb, (0, 0), (cols - 1, rows - 1), byte(colour, 0.6), max(1, rows // 60))
    return finish(rng, rgb, wear=0.04)


def paper_remains(rng: np.random.Generator, height: float, width: float) -> Sprite:
    """What is left of a poster: torn paper layers, strips of tape, without letters."""
    colour = pick(rng, ((0.86, 0.84, 0.79), (0.80, 0.76, 0.66), (0.88, 0.86, 0.60), (0.72, 0.78, 0.84), (0.82, 0.70, 0.66)))
    rgb = blank(height, width, colour)
    rows, cols = rgb.shape[:2]
    y, x = np.linspace(-1, 1, rows, dtype=np.float32)[:, None], np.linspace(-1, 1, cols, dtype=np.float32)[None]
    rim = 1 - np.maximum(np.abs(x), np.abs(y))
    torn = fbm(rng, rows, cols, max(rows, cols) * rng.uniform(0.25, 0.6), 5, 0.6)
    keep = ramp(np.minimum(rim * 12, torn - np.float32(rng.uniform(-0.6, 0.5))), 0.0, 0.06)
    inner = ramp(torn, 0.6, 0.65)  # where an upper layer is left the paper is whiter
    rgb = (rgb * (1 - 0.12 * (1 - inner))[:, :, None]).astype(np.uint8)
    return finish(rng, rgb, (keep * 255).astype(np.uint8), wear=0.06)
