"""Number plates drawn into photos, where each one lies is known: to measure how many are found."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
Quad = NDArray[np.float32]
_LETTERS = "ABCDEFHJKLMNOPRSTUVXYZ"
_HIGH = 112
"""Pixels that a plate is drawn high before it is made small: as many as real ones have millimetres."""


def number(rng: np.random.Generator) -> tuple[str, str]:
    """An invented number, and the country whose form it has."""

    def letters(count: int, among: str = _LETTERS) -> str:
        return "".join(rng.choice(list(among), count))

    def digits(count: int) -> str:
        return "".join(map(str, rng.integers(0, 10, count)))

    kind = int(rng.integers(0, 4))
    if kind < 2:
        return f"{digits(3)} {letters(3)} {int(rng.integers(1, 18)):02d}", "KZ"
    if kind == 2:
        return f"{letters(1, 'ABEKMHOPCTYX')}{digits(3)}{letters(2, 'ABEKMHOPCTYX')} {int(rng.integers(1, 199)):02d}", "RUS"
    return f"{int(rng.integers(1, 10)):02d} {digits(3)} {letters(3)}", "KG"


def plate(rng: np.random.Generator) -> Picture:
    """A plate from the front: black on white with a frame; those of two countries have a strip or a field at one side."""
    text, country = number(rng)
    made = Image.new("RGB", (520, _HIGH), (int(rng.integers(205, 255)),) * 3)
    draw = ImageDraw.Draw(made)
    draw.rounded_rectangle((2, 2, 517, _HIGH - 3), 10, outline=(15, 15, 15), width=5)
    left = 12
    if country in ("KZ", "KG"):
        draw.rectangle((6, 6, 52, _HIGH - 7), fill=(30, 90, 170))
        draw.text((12, 70), country, font=ImageFont.load_default(26), fill=(255, 255, 255))
        left = 60
    font = ImageFont.load_default(88)
    wide = draw.textlength(text, font=font)
    words = Image.new("L", (int(wide) + 4, _HIGH), 0)
    ImageDraw.Draw(words).text((2, 2), text, font=font, fill=255)
    words = words.resize((min(words.width, 505 - left), _HIGH))
    made.paste((12, 12, 12), (left, 0), words)
    return np.asarray(made, np.uint8)


def with_plates(pixels: Picture, rng: np.random.Generator, count: int = 2) -> tuple[Picture, list[Quad]]:
    """A copy of a photo with plates in it, 14 to 40 px high and a little turned, saved as JPEG once; and their corners."""
    out, quads = pixels.copy(), []
    height, width = out.shape[:2]
    while len(quads) < count:
        tall = float(rng.uniform(14, 40))
        wide = tall * 520 / _HIGH * float(rng.uniform(0.8, 1.0))
        angle, skew = np.deg2rad(rng.uniform(-10, 10)), float(rng.uniform(-0.08, 0.08))
        centre = np.array([rng.uniform(0.15, 0.85) * width, rng.uniform(0.6, 0.92) * height])
        box = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (wide / 2, tall / 2)
        box[1:3, 1] *= 1 + skew
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        quad = (box @ turn + centre).astype(np.float32)
        near = any(np.abs(quad.mean(0) - other.mean(0)).max() < wide for other in quads)
        if near or quad.min() < 2 or quad[:, 0].max() > width - 2 or quad[:, 1].max() > height - 2:
            continue
        quads.append(quad)
        _paste(out, plate(rng), quad, rng)
    buffer = io.BytesIO()
    Image.fromarray(out).save(buffer, "JPEG", quality=int(rng.integers(75, 93)))
    return np.asarray(Image.open(buffer).convert("RGB"), np.uint8), quads


def _paste(out: Picture, made: Picture, quad: Quad, rng: np.random.Generator) -> None:
    size = (out.shape[1], out.shape[0])
    small = cv2.GaussianBlur(made, (0, 0), _HIGH / max(1.0, float(np.ptp(quad[:, 1]))) * 0.5)
    corners = np.array([[0, 0], [made.shape[1], 0], [made.shape[1], made.shape[0]], [0, made.shape[0]]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, quad)
    light = float(rng.uniform(0.55, 1.0))
    warped = cv2.warpPerspective((small * light).astype(np.uint8), matrix, size, flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.full(made.shape[:2], 255, np.uint8), matrix, size)[..., None] / 255.0
    blur = float(rng.uniform(0.3, 0.9))
    mixed = out * (1 - mask) + warped * mask
    out[:] = np.where(mask > 0, cv2.GaussianBlur(mixed.astype(np.uint8), (0, 0), blur), out).astype(np.uint8)


def covered(plates: list[Quad], found: list[Quad]) -> int:
    """How many plates are met by something that was found: its middle lies in the plate, or the plate's in it."""

    def inside(quad: Quad, other: Quad) -> bool:
        x, y = (float(value) for value in np.mean(other, axis=0))
        return cv2.pointPolygonTest(np.asarray(quad, np.float32), (x, y), False) >= 0

    return sum(any(inside(own, other) or inside(np.asarray(other), own) for other in found) for own in plates)
