"""Pictures of data sets: counts as bars, photos with their labels drawn in; each as one picture, for notebooks and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as PilImage
from PIL import ImageDraw

from ..contract import Image, Quad
from .formats.annotations import CLASS_NAMES
from .overview import Overview
from .photos import inside, load_photo
from .sheets import font_of, shortener
from .truth import CODE_KIND, PhotoTruth

LINE_COLOUR, ILLEGIBLE_COLOUR, CODE_COLOUR, OTHER_COLOUR = "#17d86b", "#ff9d1e", "#3d8bff", "#e254c8"
"""Legible lines of adverts, lines that nobody can read, codes, and text that is no advert."""
_BAR = "#3b6ea5"


@dataclass(frozen=True, slots=True)
class PlotSettings:
    """The looks of pictures of data sets, in pixels where nothing else is said."""

    dpi: int = 100
    columns: int = 2
    panel_inches: float = 5.0
    """Width of one panel of bars."""
    bar_inches: float = 0.26
    """Height of one bar, with what is between two."""
    bars: int = 12
    """Bars of a panel at most."""
    photo_px: tuple[int, int] = (460, 345)
    """Width and height that a photo on a sheet has at most."""
    text_px: int = 15


DEFAULT = PlotSettings()


def picture_of(figure: Figure, dpi: int = DEFAULT.dpi) -> PilImage.Image:
    """A figure of matplotlib as a picture; nothing of pyplot is touched, so that no window or backend is wanted."""
    FigureCanvasAgg(figure)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    buffer.seek(0)
    with PilImage.open(buffer) as opened:
        return opened.convert("RGB")


def draw_bars(axes: Axes, title: str, counts: Mapping[str, float], most: int = DEFAULT.bars) -> None:
    """One view of a data set as horizontal bars, the first ``most`` of it, each with its number."""
    shown = list(counts.items())[:most]
    bars = axes.barh([name for name, _ in shown], [count for _, count in shown], color=_BAR)
    axes.bar_label(bars, padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)


def draw_overview(found: Overview, views: Sequence[str], settings: PlotSettings = DEFAULT) -> PilImage.Image:
    """Some views of an overview (see ``Overview.by``) in one picture; views that the data set has nothing for are left out."""
    shown = [(name, found.by[name]) for name in views if found.by.get(name)]
    rows = -(-len(shown) // settings.columns) or 1
    bars = [min(len(counts), settings.bars) for _, counts in shown]
    highest = [max(bars[r * settings.columns : (r + 1) * settings.columns], default=1) for r in range(rows)]
    heights = [0.8 + settings.bar_inches * number for number in highest]
    figure = Figure(figsize=(settings.panel_inches * settings.columns, sum(heights)), layout="constrained")
    grid = figure.add_gridspec(rows, settings.columns, height_ratios=heights)
    for place, (name, counts) in enumerate(shown):
        draw_bars(figure.add_subplot(grid[divmod(place, settings.columns)]), name, counts, settings.bars)
    return picture_of(figure, settings.dpi)


def small(pixels: Image, most_px: tuple[int, int] = DEFAULT.photo_px) -> PilImage.Image:
    """A photo (``uint8``, (height, width, 3), RGB) as large as fits into a width and height in pixels."""
    scale = min(most_px[0] / pixels.shape[1], most_px[1] / pixels.shape[0])
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return PilImage.fromarray(pixels).resize(size, PilImage.Resampling.BOX)


def draw_labels(photo: PhotoTruth, pixels: Image, most_px: tuple[int, int] = DEFAULT.photo_px) -> PilImage.Image:
    """A photo as ``small`` has it, with the quads of its truth in the colours above."""
    shown = small(pixels, most_px)
    scale = shown.width / pixels.shape[1]
    draw = ImageDraw.Draw(shown)
    for other in photo.distractors:
        _quad(draw, other.quad, scale, OTHER_COLOUR)
    for line in (line for advert in photo.ads for line in advert.lines):
        colour = CODE_COLOUR if line.kind == CODE_KIND else LINE_COLOUR if line.legible else ILLEGIBLE_COLOUR
        _quad(draw, line.quad, scale, colour)
    return shown


def _quad(draw: ImageDraw.ImageDraw, quad: Quad, scale: float, colour: str) -> None:
    corners = [(x * scale, y * scale) for x, y in quad]
    draw.line([*corners, corners[0]], fill=colour, width=3)


def draw_photos(
    photos: Sequence[PhotoTruth], folder: Path, most: int = 6, columns: int = 3, settings: PlotSettings = DEFAULT
) -> PilImage.Image:
    """Photos with their labels and names in one picture, ``most`` of them spread evenly over the set.

    Raises TagtraceError when one of them is missing or damaged.
    """
    chosen = [photos[int(i)] for i in np.linspace(0, len(photos) - 1, min(most, len(photos)))]
    cells = [draw_labels(photo, load_photo(inside(folder, photo.file)), settings.photo_px) for photo in chosen]
    return tile(cells, [photo.file for photo in chosen], columns, settings)


def tile(
    pictures: Sequence[PilImage.Image], names: Sequence[str], columns: int = 3, settings: PlotSettings = DEFAULT
) -> PilImage.Image:
    """Pictures side by side, row by row, each with a name below it."""
    gap, line = 6, settings.text_px + 6
    wide = max((picture.width for picture in pictures), default=1) + gap
    high = max((picture.height for picture in pictures), default=1) + line + gap
    used = max(1, min(columns, len(pictures)))
    sheet = PilImage.new("RGB", (used * wide + gap, -(-len(pictures) // used) * high + gap), "white")
    draw, font = ImageDraw.Draw(sheet), font_of(settings.text_px)
    fits = shortener(font, wide - gap)
    for place, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        x, y = gap + place % used * wide, gap + place // used * high
        sheet.paste(picture, (x, y))
        draw.text((x, y + picture.height + 2), fits(name), fill="black", font=font)
    return sheet


def legend() -> str:
    """What the colours of ``draw_labels`` mean, as a line of Markdown."""
    words = {LINE_COLOUR: CLASS_NAMES[0], ILLEGIBLE_COLOUR: "illegible line", CODE_COLOUR: CLASS_NAMES[1]}
    words[OTHER_COLOUR] = "text that is no advert"
    return " · ".join(f'<span style="color:{colour}">■</span> {word}' for colour, word in words.items())
