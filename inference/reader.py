"""tagtrace's own way from pictures to read lines: detect regions, cut the lines out upright, read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..contract import Detector, Image, Line, ModelInfo, Recogniser, Region, RegionKind
from ..models import geometry
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
            crops = [self._cut(image, region) for image, lines in zip(images, wanted, strict=True) for region in lines]
            readings = iter(self._recogniser.read(crops) if crops else [])
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

    def _cut(self, image: Image, region: Region) -> Image:
        settings = self._settings
        height = geometry.size(region.quad)[1]
        quad = geometry.expand(region.quad, settings.margin_along * height, settings.margin_across * height)
        return geometry.warp(image, quad, settings.crop_height_px, settings.crop_max_width_px)
