"""tagtrace's own way from pictures to read lines: detect regions, cut the lines out upright, read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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
    margin_along: float = 0.5
    """What is added at both ends of a region before it is cut out, as a share of its height: a letter cut off cannot be read."""
    margin_across: float = 0.1
    """What is added above and below, as a share of its height."""
    second_along: float = 0.12
    second_across: float = 0.22
    """Margins of the second crop of a line that the first left in doubt."""
    second_from: float = 0.7
    second_below: float = 0.95
    """Confidences of the first reading from and below which a line is looked at a second time: what can hardly be read does not
    become better by it. It is done"""
    second_advert: float = 0.3
    """if the line looks like an advert's with at least so much belief."""
    edge: float = 0.48
    """A letter seen so near to an end of the crop, as a share of the line's height, may mean that the line goes on there."""
    stretch: float = 2.0
    """How much further such a line is looked at, as a share of its height."""
    stretches: int = 3
    """How often a line is made longer at most."""
    stretched_confidence: float = 0.95
    """A longer reading is kept when it is at least this many times as confident as the one before."""
    letter_share: float = 0.4
    """Half a letter's width, as a share of the line's height: a longer line ends so far beyond its outermost letters."""
    same_line: float = 0.7
    """A line of which this share lies within one that says more is a part of it."""
    min_side_px: float = 2.0
    """Regions thinner than this hold nothing that could be read."""
    least_advert: float = 0.01
    """Text that looks like an advert's with less belief than this is not read: plates, shop signs, printed notices."""


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
            read = iter(self._read([(image, region) for image, lines in zip(images, wanted, strict=True) for region in lines]))
        out: list[tuple[list[Line], list[Region]]] = []
        for regions, lines in zip(found, wanted, strict=True):
            members = []
            for region in lines:
                quad, reading = next(read)
                turned = geometry.turn(quad, 180) if reading.flipped else quad
                members.append(Line(turned, region.confidence, reading, region.advert))
            out.append((self._whole(members), [region for region in regions if region.kind is RegionKind.CODE]))
        return out

    def _whole(self, lines: Sequence[Line]) -> list[Line]:
        """The lines without those that lie within a longer one: two boxes on one line may both have grown to all of it."""
        ranked = sorted(range(len(lines)), key=lambda n: (-len(lines[n].reading.text.strip()), n))
        kept: list[int] = []
        for n in ranked:
            if all(geometry.share_within(lines[n].quad, lines[k].quad) < self._settings.same_line for k in kept):
                kept.append(n)
        return [lines[n] for n in sorted(kept)]

    def _is_line(self, region: Region) -> bool:
        settings = self._settings
        large = min(geometry.size(region.quad)) >= settings.min_side_px
        return region.kind is RegionKind.LINE and large and region.advert >= settings.least_advert

    def _read(self, places: Sequence[tuple[Image, Region]]) -> list[tuple[Quad, Reading]]:
        """Read each place; make lines longer that go on beyond it, and look again, in another crop, at those in doubt."""
        settings = self._settings
        crops = [self._cut(image, region.quad, settings.margin_along, settings.margin_across) for image, region in places]
        first = self._recogniser.read(crops, quick=True) if crops else []
        read = [(region.quad, reading) for (_, region), reading in zip(places, first, strict=True)]
        growing: Iterable[int] = range(len(read))
        for _ in range(settings.stretches):
            growing = self._stretch([image for image, _ in places], read, growing)
        read = [(quad, self._recogniser.complete(reading)) for quad, reading in read]
        doubtful = [n for n, (_, reading) in enumerate(read) if self._in_doubt(reading, places[n][1])]
        again = [(places[n][0], *read[n]) for n in doubtful]
        for n, second in zip(doubtful, self._again(again, settings.second_along, settings.second_across), strict=True):
            read[n] = (read[n][0], together([read[n][1], self._recogniser.complete(second)]))
        return read

    def _in_doubt(self, reading: Reading, region: Region) -> bool:
        settings = self._settings
        unsure = bool(reading.text) and settings.second_from <= reading.confidence < settings.second_below
        return unsure and region.advert >= settings.second_advert

    def _stretch(self, images: Sequence[Image], read: list[tuple[Quad, Reading]], lines: Iterable[int]) -> list[int]:
        """Look further where a letter touches the end of a crop; kept when more text is read there. Changes ``read``.

        ``lines`` are those to look at; returns those that grew.
        """
        settings = self._settings
        longer, grew = {}, []
        for n in lines:
            quad, reading = read[n]
            start, end = self._touches(quad, reading)
            if start or end:
                reach = settings.stretch * geometry.size(quad)[1]
                longer[n] = geometry.lengthen(quad, reach * start, reach * end), (reach * start, reach * end)
        again = [(images[n], quad, read[n][1]) for n, (quad, _) in longer.items()]
        readings = self._again(again, settings.margin_along, settings.margin_across)
        for (n, (quad, grown)), reading in zip(longer.items(), readings, strict=True):
            before = read[n][1]
            surer = reading.confidence >= settings.stretched_confidence * before.confidence
            if surer and len(reading.text.strip()) > len(before.text.strip()):
                read[n] = (self._around_letters(quad, grown, reading), reading)
                grew.append(n)
        return grew

    def _touches(self, quad: Quad, reading: Reading) -> tuple[bool, bool]:
        """Whether letters are seen near the start and end of the region (not of the text, where that is upside down)."""
        seen = _letters(reading)
        if not seen.any():
            return False, False
        length, height = geometry.size(quad)
        whole = length + 2 * self._settings.margin_along * height
        near = max(1, round(self._settings.edge * height / whole * len(seen)))
        return bool(seen[:near].any()), bool(seen[-near:].any())

    def _around_letters(self, quad: Quad, grown: tuple[float, float], reading: Reading) -> Quad:
        """``quad`` with its ends drawn in to its outermost letters, by no more than they have ``grown`` (start, end; pixels)."""
        seen = np.flatnonzero(_letters(reading))
        steps = len(reading.log_probs) if reading.log_probs is not None else 0
        if not len(seen) or not steps:
            return quad
        length, height = geometry.size(quad)
        whole = length + 2 * self._settings.margin_along * height
        pad = (self._settings.margin_along + self._settings.letter_share) * height
        start = float(seen[0] + 0.5) / steps * whole - pad
        end = float(steps - seen[-1] - 0.5) / steps * whole - pad
        return geometry.lengthen(quad, -min(max(start, 0.0), grown[0]), -min(max(end, 0.0), grown[1]))

    def _again(self, places: Sequence[tuple[Image, Quad, Reading]], along: float, across: float) -> list[Reading]:
        """Quick readings of places whose lines were read before: which way up they are is known from that."""
        crops = [
            self._cut(image, geometry.turn(quad, 180) if before.flipped else quad, along, across)
            for image, quad, before in places
        ]
        readings = self._recogniser.read(crops, upright=True, quick=True) if crops else []
        return [replace(reading, flipped=before.flipped) for reading, (_, _, before) in zip(readings, places, strict=True)]

    def _cut(self, image: Image, quad: Quad, along: float, across: float) -> Image:
        height = geometry.size(quad)[1]
        wider = geometry.expand(quad, along * height, across * height)
        return geometry.warp(image, wider, self._settings.crop_height_px, self._settings.crop_max_width_px)


def _letters(reading: Reading) -> NDArray[np.bool_]:
    """Per time step, along the crop as it was cut, whether a letter is seen there; empty where the recogniser does not tell."""
    if reading.log_probs is None or not reading.text:
        return np.zeros(0, np.bool_)
    seen = np.asarray(reading.log_probs[:, 0] < np.log(0.5), np.bool_)
    return seen[::-1] if reading.flipped else seen
