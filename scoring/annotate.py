"""Pictures for people: a photo with what was found drawn into it, and the crop of an advert. They carry no EXIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from ..contract import Advert, Image, Quad

_PALETTE = ((255, 90, 60), (40, 160, 255), (70, 200, 90), (220, 90, 220), (255, 180, 0), (0, 200, 200))
_LABEL_SHARE = 0.018
_LEAST_LABEL_PX = 13


def annotated(pixels: Image, adverts: Sequence[Advert], longest_side_px: int) -> Image:
    """The photo with adverts, lines, codes and their texts drawn into it, shrunk to ``longest_side_px`` where it is larger."""
    picture, factor = _shrunk(pixels, longest_side_px)
    draw = ImageDraw.Draw(picture)
    size = max(_LEAST_LABEL_PX, round(_LABEL_SHARE * max(picture.size)))
    thin = max(1, size // 8)
    for number, advert in enumerate(adverts):
        colour = _PALETTE[number % len(_PALETTE)]
        _outline(draw, advert.quad, factor, colour, thin)
        for line in advert.lines:
            _outline(draw, line.quad, factor, colour, 2 * thin)
            # A dot marks where the text starts.
            x, y = (value * factor for value in line.quad[0])
            draw.ellipse((x - 2 * thin, y - 2 * thin, x + 2 * thin, y + 2 * thin), fill=colour)
            _label(draw, line.quad, factor, f"{line.reading.text}  {line.reading.confidence:.2f}", colour, size)
        for code in advert.codes:
            _outline(draw, code.quad, factor, colour, 2 * thin)
            _label(draw, code.quad, factor, f"{code.format}: {code.payload}", colour, size)
    return np.array(picture, dtype=np.uint8)


def crop(pixels: Image, quad: Quad, longest_side_px: int, margin_share: float) -> Image:
    """The upright surroundings of a quad with a margin on each side, shrunk to ``longest_side_px`` where they are larger."""
    height, width = pixels.shape[:2]
    xs, ys = [x for x, _ in quad], [y for _, y in quad]
    margin = margin_share * max(max(xs) - min(xs), max(ys) - min(ys))
    left, right = (round(min(max(value, 0), width)) for value in (min(xs) - margin, max(xs) + margin))
    top, bottom = (round(min(max(value, 0), height)) for value in (min(ys) - margin, max(ys) + margin))
    # An advert may lie at the very edge: at least one pixel is shown.
    left, top = min(left, width - 1), min(top, height - 1)
    return np.array(_shrunk(pixels[top : max(bottom, top + 1), left : max(right, left + 1)], longest_side_px)[0], dtype=np.uint8)


def jpeg(pixels: Image, quality: int) -> bytes:
    """A picture as JPEG without any metadata."""
    buffer = io.BytesIO()
    PilImage.fromarray(pixels).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def _shrunk(pixels: Image, longest_side_px: int) -> tuple[PilImage.Image, float]:
    picture = PilImage.fromarray(np.ascontiguousarray(pixels))
    factor = min(1.0, longest_side_px / max(picture.size))
    if factor < 1.0:
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        picture = picture.resize(size, PilImage.Resampling.LANCZOS, reducing_gap=3.0)
    return picture, factor


def _outline(draw: ImageDraw.ImageDraw, quad: Quad, factor: float, colour: tuple[int, int, int], width: int) -> None:
    corners = [(x * factor, y * factor) for x, y in quad]
    draw.line([*corners, corners[0]], fill=colour, width=width, joint="curve")


def _label(draw: ImageDraw.ImageDraw, quad: Quad, factor: float, text: str, colour: tuple[int, int, int], size: int) -> None:
    font = _font(size)
    text = "".join(char if char.isprintable() else " " for char in text)[:120]
    x, y = min(x for x, _ in quad) * factor, min(y for _, y in quad) * factor - 1.3 * size
    width, height = draw.im.size
    box = draw.textbbox((0, 0), text, font=font)
    x, y = max(0.0, min(x, width - box[2])), max(0.0, min(y, height - 1.3 * size))
    draw.rectangle((x, y, x + box[2] + size / 3, y + 1.3 * size), fill=(20, 20, 20))
    draw.text((x + size / 6, y + size / 10), text, font=font, fill=tuple(min(255, 60 + value) for value in colour))


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, reduced to Latin, Cyrillic and Kazakh letters: Pillow's own font knows Latin only."""
    data = (resources.files(__package__) / "assets" / "DejaVuSans-labels.ttf").read_bytes()
    return ImageFont.truetype(io.BytesIO(data), size)
