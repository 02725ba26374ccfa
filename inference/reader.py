"""tagtrace's own way from pictures to read lines: detect regions, cut the lines out upright, read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..contract import Detector, Image, Line, ModelInfo, Reading, Recogniser, Region, RegionKind
from ..models import geometry
from ..models.together import together
from .stages import stage


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """How lines are cut out for the recogniser."""

    crop_height_px: int = 48
    """Height of the crops; the recogniser brings them to its own."""
    crop_max_width_px: int = 1920
    """Longer lines are squeezed to this width."""
    margin_along: float = 0.3
    """What is added at both ends of a region before it is cut out, as a share of its height: a letter cut off cannot be read."""
    margin_across: float = 0.1
    """What is added above and below, as a share of its height."""
    second_along: float = 0.12
    second_across: float = 0.22
    """Margins of the second crop of a line that the first left in doubt."""
    second_below: float = 0.985
    """Confidence of the first reading below which a line is looked at a second time."""
    min_side_px: float = 2.0
    """Regions thinner than this hold nothing that could be read."""


class TagtraceReader:
    """A detector and a recogniser as one ``LineReader``.

    The detector does not know which way up a line is. The recogniser reads it both ways and says so; then the corners of the
    line are turned, so that its quad starts where the text starts.
    """

    def __init__(self, detector: Detector, recogniser: Recogniser, settings: ReaderSettings | None = None) -> None:
        self._detector = detector
        self._recogniser = recogniser
        self._settings = settings or ReaderSettings()

    @property
    def infos(self) -> tuple[ModelInfo, ...]:
        """Provenance of the detector and the recogniser."""
        return (self._detector.info, self._recogniser.info)

    def read_lines(self, images: Sequence[Image]) -> list[tuple[list[Line], list[Region]]]:
        """Per picture: its text lines with their readings, and its code regions, both most confident first."""
        with stage("detect"):
            found = self._detector.detect(images)
        wanted = [[region for region in regions if self._is_line(region)] for regions in found]
        with stage("read"):
            readings = iter(
                self._read([(image, region) for image, lines in zip(images, wanted, strict=True) for region in lines])
            )
        out: list[tuple[list[Line], list[Region]]] = []
        for regions, lines in zip(found, wanted, strict=True):
            read = []
            for region in lines:
                reading = next(readings)
                quad = geometry.turn(region.quad, 180) if reading.flipped else region.quad
                read.append(Line(quad, region.confidence, reading))
            out.append((read, [region for region in regions if region.kind is RegionKind.CODE]))
        return out

    def _is_line(self, region: Region) -> bool:
        return region.kind is RegionKind.LINE and min(geometry.size(region.quad)) >= self._settings.min_side_px

    def _read(self, places: Sequence[tuple[Image, Region]]) -> list[Reading]:
        """Read each place, and those in doubt once more in another crop: letters cut off in one may be whole in the other."""
        settings = self._settings
        if not places:
            return []
        first = self._recogniser.read([self._cut(*place, settings.margin_along, settings.margin_across) for place in places])
        doubtful = [n for n, reading in enumerate(first) if reading.text and reading.confidence < settings.second_below]
        again = [self._cut(*places[n], settings.second_along, settings.second_across) for n in doubtful]
        for n, second in zip(doubtful, self._recogniser.read(again) if again else [], strict=True):
            first[n] = together([first[n], second])
        return first

    def _cut(self, image: Image, region: Region, along: float, across: float) -> Image:
        height = geometry.size(region.quad)[1]
        quad = geometry.expand(region.quad, along * height, across * height)
        return geometry.warp(image, quad, self._settings.crop_height_px, self._settings.crop_max_width_px)
