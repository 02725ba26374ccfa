"""QR and other codes, read by zxing-cpp on the whole photo and, closely, where the detector saw one.

A payload is passed on verbatim. It is never opened, resolved or followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import zxingcpp
from numpy.typing import NDArray

from ..contract import Code, Image, Quad, Region, RegionKind, TagtraceError
from .geometry import area, expand, iou, quad_of, rectangle, share_within, size, warp

Grey = NDArray[np.uint8]
"""A brightness picture: ``uint8``, shape (height, width)."""

DEFAULT_FORMATS = ("QRCode", "MicroQRCode", "RMQRCode", "DataMatrix", "Aztec", "PDF417", "Code128", "EAN13")
"""Codes with error correction or a checksum; weaker bar codes are read out of fences and brickwork."""


@dataclass(frozen=True, slots=True)
class CodeSettings:
    """How hard codes are tried. Lengths are in pixels."""

    formats: tuple[str, ...] = DEFAULT_FORMATS
    """What is read in the detector's regions: names of zxing-cpp's formats."""
    whole_formats: tuple[str, ...] = ("QRCode",)
    """What is read on the whole photo. QR codes take milliseconds to look for; Data Matrix and bar codes ten times as long."""
    whole_photo: bool = True
    """Look at the whole photo too, not only at the detector's regions."""
    max_whole_px: int = 3000
    """Larger photos are shrunk to this long side for the look at the whole."""
    try_harder: bool = True
    """Look for light codes on dark in the whole photo, too, and enlarge it if nothing was found in it and it is not larger than
    ``enlarge_below_px``: where there are no regions to look at closely."""
    enlarge_below_px: int = 1300
    margin: float = 0.3
    """Room left around a region, as a share of its size: the quiet zone belongs to the code."""
    scales: tuple[float, ...] = (2.0, 4.0, 1.0)
    """Enlargements of a region's crop, in the order they are tried."""
    min_crop_px: int = 120
    """Crops are enlarged to at least this height."""
    max_crop_px: int = 900
    """Crops are not enlarged beyond this height."""
    same_place_iou: float = 0.2
    """Codes with one payload whose quads overlap by more than this are one code."""
    covered_share: float = 0.5
    """A region is done when a code was read that shares more than this part of its own area, or of the region's, with it."""


_SHARPENING = (90.0, 45.0)
"""A blurred code is sharpened by taking away its surroundings, within its height divided by this."""


class ZxingReader:
    """Reads codes (``contract.CodeReader``). It holds nothing that changes, so threads may share it.

    Raises ``TagtraceError`` for a format that zxing-cpp does not know.
    """

    def __init__(self, settings: CodeSettings | None = None) -> None:
        self.settings = settings or CodeSettings()
        self._formats = _formats(self.settings.formats)
        self._whole_formats = _formats(self.settings.whole_formats)

    def decode(self, image: Image, regions: Sequence[Region] = ()) -> list[Code]:
        """Every distinct code in the picture, from top to bottom; ``regions`` of kind ``code`` are places to look closely."""
        codes: list[Code] = []
        if self.settings.whole_photo:
            self._add(codes, self._read_whole(image))
        for region in regions:
            if region.kind is RegionKind.CODE and not any(self._covers(code.quad, region.quad) for code in codes):
                self._add(codes, self._read_region(image, region.quad))
        return sorted(codes, key=lambda code: (code.quad[0][1], code.quad[0][0], code.payload))

    def _covers(self, code: Quad, region: Quad) -> bool:
        """Whether a code that was read lies in a region, so that the region needs no second look."""
        return max(share_within(code, region), share_within(region, code)) > self.settings.covered_share

    def _add(self, codes: list[Code], new: Sequence[Code]) -> None:
        """Append the codes that are not there yet: same payload and format, same place."""
        for code in new:
            if not any(
                known.payload == code.payload
                and known.format == code.format
                and iou(known.quad, code.quad) > self.settings.same_place_iou
                for known in codes
            ):
                codes.append(code)

    def _read_whole(self, image: Image) -> list[Code]:
        grey = _grey(image)
        longest = max(grey.shape)
        shrink = min(1.0, self.settings.max_whole_px / longest)
        codes = self._read_resized(grey, shrink)
        if not codes and self.settings.try_harder and longest <= self.settings.enlarge_below_px:
            codes = self._read_resized(grey, 2.0)
        return codes

    def _read_resized(self, grey: Grey, factor: float) -> list[Code]:
        """Read a picture enlarged or shrunk by ``factor``; quads are in pixels of the given picture."""
        rows, columns = grey.shape
        width, height = max(1, round(columns * factor)), max(1, round(rows * factor))
        back = np.diag([columns / width, rows / height, 1.0])
        return self._read(_resize(grey, width, height), back, self._whole_formats, invert=self.settings.try_harder)

    def _read_region(self, image: Image, quad: Quad) -> list[Code]:
        """Read the surroundings of a region, enlarged, in several renderings, until one of them gives a code."""
        along, across = size(quad)
        wide = expand(quad, self.settings.margin * along, self.settings.margin * across)
        _, source_height = size(wide)
        heights = []
        for scale in self.settings.scales:
            height = round(min(self.settings.max_crop_px, max(self.settings.min_crop_px, scale * source_height)))
            if height not in heights:
                heights.append(height)
        for height in heights:
            grey = _grey(warp(image, wide, height, 4 * height))
            codes = self._read_renderings(grey, wide, last_resorts=height == min(heights))
            if codes:
                return codes
        return []

    def _read_renderings(self, grey: Grey, quad: Quad, last_resorts: bool) -> list[Code]:
        back = _placing(grey.shape[1], grey.shape[0], quad)
        for picture, placing, binarizer in _tries(grey, last_resorts):
            codes = self._read(picture, back @ placing, self._formats, binarizer)
            if codes:
                return codes
        return []

    def _read(
        self,
        grey: Grey,
        back: NDArray[np.float64],
        formats: zxingcpp.BarcodeFormats,
        binarizer: zxingcpp.Binarizer = zxingcpp.Binarizer.LocalAverage,
        invert: bool = True,
    ) -> list[Code]:
        """Codes in one picture; ``back`` is the perspective transform (3, 3) from its pixels to those of the photo."""
        picture, plain = np.ascontiguousarray(grey), zxingcpp.TextMode.Plain
        found = zxingcpp.read_barcodes(picture, formats=formats, text_mode=plain, binarizer=binarizer, try_invert=invert)
        return [
            Code(barcode.text, _format_name(barcode.format), _placed(barcode.position, back))
            for barcode in found
            if barcode.valid and barcode.text
        ]


def _tries(grey: Grey, last_resorts: bool) -> Iterator[tuple[Grey, NDArray[np.float64], zxingcpp.Binarizer]]:
    """Renderings of a crop, with the transform that leads back to it, and how each is to be parted in dark and light.

    The ``last_resorts``, one threshold for the whole crop and its perspective undone, read few codes that nothing else does, and
    those in a small crop as well as in a large one.
    """
    local, whole = zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram
    same = np.eye(3)
    for picture in _renderings(grey):
        yield picture, same, local
    if not last_resorts:
        return
    for picture in _renderings(grey):
        yield picture, same, whole
    flat = _flattened(grey)
    if flat is not None:
        yield *flat, local
        yield *flat, whole


def _renderings(grey: Grey) -> Iterator[Grey]:
    """The crop as it is, with local contrast, sharpened, and smoothed.

    Light-on-dark codes need no rendering of their own: zxing-cpp tries both.
    """
    yield grey
    contrast = _contrasted(grey)
    yield contrast
    for fineness in _SHARPENING:
        blurred = cv2.GaussianBlur(grey, (0, 0), grey.shape[0] / fineness)
        yield np.asarray(cv2.addWeighted(grey, 4.0, blurred, -3.0, 0.0), dtype=np.uint8)
    yield np.asarray(cv2.GaussianBlur(contrast, (0, 0), max(1.0, grey.shape[0] / 200)), dtype=np.uint8)


def _contrasted(grey: Grey) -> Grey:
    return np.asarray(cv2.createCLAHE(clipLimit=4.0, tileGridSize=(4, 4)).apply(grey), dtype=np.uint8)


def _flattened(grey: Grey) -> tuple[Grey, NDArray[np.float64]] | None:
    """A QR code seen at a steep angle, brought to a square by its four corners, and the transform that leads back to the crop.

    None where the corners are not found.
    """
    grey = _contrasted(grey)
    found, corners = cv2.QRCodeDetector().detect(grey)
    if not found or corners is None:
        return None
    code = quad_of(np.asarray(corners, dtype=np.float64).reshape(-1, 2)[:4])
    if area(code) < 1:
        return None
    side = max(grey.shape)
    border = side // 6
    square = np.asarray(rectangle(border, border, side - border, side - border), dtype=np.float32)
    forward = cv2.getPerspectiveTransform(np.asarray(code, dtype=np.float32), square)
    if not np.isfinite(forward).all() or abs(np.linalg.det(forward)) < np.finfo(np.float32).eps:
        return None
    flat = cv2.warpPerspective(grey, forward, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, dtype=np.uint8), np.asarray(np.linalg.inv(forward), dtype=np.float64)


def _placing(width: int, height: int, quad: Quad) -> NDArray[np.float64]:
    """The perspective transform from a crop of the given size to the quad it was cut from."""
    source = np.asarray(rectangle(0, 0, width, height), dtype=np.float32)
    return np.asarray(cv2.getPerspectiveTransform(source, np.asarray(quad, dtype=np.float32)), dtype=np.float64)


def _placed(position: zxingcpp.Position, back: NDArray[np.float64]) -> Quad:
    """A code's corners in the photo; zxing-cpp names the pixel, whose centre is half a pixel on."""
    corners = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    points = np.array([[[corner.x + 0.5, corner.y + 0.5]] for corner in corners], dtype=np.float64)
    return quad_of(cv2.perspectiveTransform(points, back).reshape(4, 2))


def _grey(image: Image) -> Grey:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _resize(grey: Grey, width: int, height: int) -> Grey:
    if grey.shape == (height, width):
        return grey
    shrinks = width < grey.shape[1]
    return np.asarray(
        cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC), dtype=np.uint8
    )


def _formats(names: Sequence[str]) -> zxingcpp.BarcodeFormats:
    known = zxingcpp.BarcodeFormat.__members__
    unknown = [name for name in names if name not in known]
    if unknown:
        raise TagtraceError(f"zxing-cpp knows no code format {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return zxingcpp.BarcodeFormats([known[name] for name in names])


def _format_name(barcode_format: zxingcpp.BarcodeFormat) -> str:
    """The stable name of a symbology, such as ``QRCode``; its variants go under the name of the symbology."""
    name = str(barcode_format.name)
    return "QRCode" if name.startswith("QRCodeModel") else name
