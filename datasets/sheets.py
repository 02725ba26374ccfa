"""Contact sheets: many crops in one picture, each with words below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from ..contract import Image, Quad
from ..models.geometry import expand, size, warp

Caption = tuple[str, str]
"""A line of words below a crop, and its colour."""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class SheetSettings:
    """The looks of contact sheets, in pixels, and how many entries they have."""

    entries: int = 60
    columns: int = 3
    cell_width_px: int = 460
    crop_height_px: int = 72
    text_px: int = 15
    gap_px: int = 8
    margin_share: float = 0.15
    """What is shown around a line, as a share of its height."""


DEFAULT_SHEETS = SheetSettings()


def line_crop(picture: Image, quad: Quad, settings: SheetSettings = DEFAULT_SHEETS) -> Image | None:
    """A line with a little of what is around it, as high as a cell; None for a quad that is too thin to be cut out."""
    long, high = size(quad)
    if min(long, high) < 1:
        return None
    return warp(picture, expand(quad, settings.margin_share * high), settings.crop_height_px, settings.cell_width_px)


def fitted(picture: Image, settings: SheetSettings = DEFAULT_SHEETS) -> Image:
    """A whole picture, shrunk or blown up so that it fits into a cell."""
    scale = min(settings.cell_width_px / picture.shape[1], settings.crop_height_px / picture.shape[0])
    target = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(PilImage.fromarray(picture).resize(target, PilImage.Resampling.BOX), np.uint8)


def contact_sheet(
    crops: Sequence[Image | None], captions: Sequence[Sequence[Caption]], settings: SheetSettings = DEFAULT_SHEETS
) -> PilImage.Image:
    """The crops row by row, each with its captions below it; a frame stands for one that is None."""
    font = font_of(settings.text_px)
    line_px = settings.text_px + settings.gap_px // 2
    most = max(map(len, captions), default=0)
    cell = (settings.cell_width_px + settings.gap_px, settings.crop_height_px + most * line_px + settings.gap_px)
    rows = -(-len(crops) // settings.columns)
    width = max(1, min(len(crops), settings.columns)) * cell[0] + settings.gap_px
    sheet = PilImage.new("RGB", (width, rows * cell[1] + settings.gap_px), "white")
    draw = ImageDraw.Draw(sheet)
    fits = shortener(font, settings.cell_width_px)
    for i, (crop, words) in enumerate(zip(crops, captions, strict=True)):
        x, y = settings.gap_px + i % settings.columns * cell[0], settings.gap_px + i // settings.columns * cell[1]
        if crop is None:
            draw.rectangle((x, y, x + settings.cell_width_px - 1, y + settings.crop_height_px - 1), outline="lightgrey")
        else:
            shown = np.ascontiguousarray(crop[: settings.crop_height_px, : settings.cell_width_px])
            sheet.paste(PilImage.fromarray(shown), (x, y))
        y += settings.crop_height_px + 1
        for text, colour in words:
            draw.text((x, y), fits(text), fill=colour, font=font)
            y += line_px
    return sheet


def font_of(size_px: int) -> Font:
    """A font with Cyrillic letters where one is installed (the system's or matplotlib's), else Pillow's own, which has none."""
    places = ["DejaVuSans.ttf"]
    found = find_spec("matplotlib")
    if found and found.origin:
        places.append(str(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"))
    for place in places:
        try:
            return ImageFont.truetype(place, size_px)
        except OSError:
            continue
    return ImageFont.load_default(size_px)


def shortener(font: Font, width: int) -> Callable[[str], str]:
    """A function that cuts words off, with an ellipsis, so that they are no wider than ``width`` pixels."""

    def fits(text: str) -> str:
        text = text.replace("\n", " ")
        if font.getlength(text) <= width:
            return text
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        return text + "…"

    return fits
