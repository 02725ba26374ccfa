"""From labelled photos to line crops: what the recogniser learns from, cut out of a data set of any format.

The generator writes such crops itself; those of real photos and of the experts' corrections come from here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..contract import Image, TagtraceError
from ..models.alphabet import to_alphabet
from ..models.geometry import area, warp
from .formats.convert import find_set, photos_of, read_set
from .lineshards import LineShardWriter
from .photos import inside, load_photo
from .synth.lines import label
from .truth import CODE_KIND, LineTruth

ILLEGIBLE = "nobody can read it"
NO_TEXT = "it has no text"
NO_AREA = "its quad has no area"
FOREIGN = "it has signs that the recogniser has no letter for"


@dataclass(frozen=True, slots=True)
class LineCropSettings:
    """How lines are cut out; as they are when the recogniser alone is measured."""

    height_px: int = 48
    max_width_px: int = 1920
    """Longer lines are squeezed to this width."""


DEFAULT = LineCropSettings()


@dataclass(frozen=True, slots=True)
class LinesCut:
    """What ``write_line_crops`` wrote: crops, from how many photos, and how many lines were left out for which reason."""

    crops: int
    photos: int
    left_out: Mapping[str, int]


def write_line_crops(
    path: Path,
    out: Path,
    photos: Path | None = None,
    settings: LineCropSettings = DEFAULT,
    progress: Callable[[int], None] | None = None,
) -> LinesCut:
    """Cut the legible lines of a data set out of its photos, into line shards in ``out``.

    Codes have no letters and are passed over; every other line that gives no crop is counted with its reason. Lines keep the
    name of their photo (``photo``). Raises TagtraceError when the set or a photo cannot be read, or ``out`` holds files.
    """
    if out.exists() and any(out.iterdir()):
        raise TagtraceError(f"{out}: is not empty; choose another folder")
    form, file = find_set(path)
    folder = photos_of(file, form, photos)
    left_out: Counter[str] = Counter()
    used = 0
    with LineShardWriter(out) as writer:
        for number, photo in enumerate(read_set(file, form, photos), 1):
            lines = [(ad.style, line) for ad in photo.ads for line in ad.lines if line.kind != CODE_KIND]
            left_out.update(filter(None, (why_not(line) for _, line in lines)))
            wanted = [(style, line) for style, line in lines if not why_not(line)]
            if wanted:
                _cut(writer, load_photo(inside(folder, photo.file)), photo.file, wanted, settings)
                used += 1
            if progress is not None:
                progress(number)
    return LinesCut(writer.written, used, dict(sorted(left_out.items())))


def _cut(
    writer: LineShardWriter, pixels: Image, name: str, lines: Iterable[tuple[str, LineTruth]], settings: LineCropSettings
) -> None:
    for style, line in lines:
        crop = warp(pixels, line.quad, settings.height_px, settings.max_width_px)
        writer.add(crop, seen_text(line) or "", height_px=line.height_px, style=style, kind=line.kind, photo=name)


def seen_text(line: LineTruth) -> str | None:
    """What a recogniser is to read in a line, in its alphabet, as in the generator's crops; None where it cannot be written."""
    return to_alphabet(label(line.text, line.kind))


def why_not(line: LineTruth) -> str:
    """Why a line gives no crop to learn from; empty for one that does."""
    if not line.legible:
        return ILLEGIBLE
    if not line.text.strip():
        return NO_TEXT
    if area(line.quad) <= 0:
        return NO_AREA
    return "" if seen_text(line) else FOREIGN
