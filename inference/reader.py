"""tagtrace's own way from pictures to read lines: detect regions, cut the lines out upright, read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..contract import Detector, Image, Line, ModelInfo, Quad, Reading, Recogniser, Region, RegionKind
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
    edge_steps: int = 2
    """A letter seen in so many time steps at an end of the crop shows that the line goes on there."""
    stretch: float = 1.6
    """How much further such a line is looked at, as a share of its height."""
    stretches: int = 2
    """How often a line is made longer at most."""
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
            places = [(image, region.quad) for image, lines in zip(images, wanted, strict=True) for region in lines]
            read = iter(self._read(places))
        out: list[tuple[list[Line], list[Region]]] = []
        for regions, lines in zip(found, wanted, strict=True):
            members = []
            for region in lines:
                quad, reading = next(read)
                members.append(Line(geometry.turn(quad, 180) if reading.flipped else quad, region.confidence, reading))
            out.append((members, [region for region in regions if region.kind is RegionKind.CODE]))
        return out

    def _is_line(self, region: Region) -> bool:
        return region.kind is RegionKind.LINE and min(geometry.size(region.quad)) >= self._settings.min_side_px

    def _read(self, places: Sequence[tuple[Image, Quad]]) -> list[tuple[Quad, Reading]]:
        """Read each place; make lines longer that go on beyond it, and look again, in another crop, at those in doubt."""
        settings = self._settings
        crops = [self._cut(image, quad, settings.margin_along, settings.margin_across) for image, quad in places]
        read = [(quad, reading) for (_, quad), reading in zip(places, self._recogniser.read(crops) if crops else [], strict=True)]
        for _ in range(settings.stretches):
            self._stretch([image for image, _ in places], read)
        doubtful = [n for n, (_, reading) in enumerate(read) if reading.text and reading.confidence < settings.second_below]
        crops = [self._cut(places[n][0], read[n][0], settings.second_along, settings.second_across) for n in doubtful]
        for n, second in zip(doubtful, self._recogniser.read(crops) if crops else [], strict=True):
            read[n] = (read[n][0], together([read[n][1], second]))
        return read

    def _stretch(self, images: Sequence[Image], read: list[tuple[Quad, Reading]]) -> None:
        """Look further where a letter touches the end of a crop; kept when more text is read there. Changes ``read``."""
        settings = self._settings
        longer = {}
        for n, (quad, reading) in enumerate(read):
            start, end = self._touches(reading)
            if start or end:
                reach = settings.stretch * geometry.size(quad)[1]
                longer[n] = geometry.lengthen(quad, reach * start, reach * end)
        crops = [self._cut(images[n], quad, settings.margin_along, settings.margin_across) for n, quad in longer.items()]
        for (n, quad), reading in zip(longer.items(), self._recogniser.read(crops) if crops else [], strict=True):
            if len(reading.text.strip()) > len(read[n][1].text.strip()):
                read[n] = (quad, reading)

    def _touches(self, reading: Reading) -> tuple[bool, bool]:
        """Whether letters are seen at the very start and end of the region (not of the text, where that is upside down)."""
        if reading.log_probs is None or not reading.text:
            return False, False
        seen = reading.log_probs[:, 0] < np.log(0.5)
        ends = bool(seen[: self._settings.edge_steps].any()), bool(seen[-self._settings.edge_steps :].any())
        return ends[::-1] if reading.flipped else ends

    def _cut(self, image: Image, quad: Quad, along: float, across: float) -> Image:
        height = geometry.size(quad)[1]
        wider = geometry.expand(quad, along * height, across * height)
        return geometry.warp(image, wider, self._settings.crop_height_px, self._settings.crop_max_width_px)
