"""What the vendor readers share: missing libraries explained, checksums of their models, their boxes as quads."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2

from ...contract import BrokenInstallationError, Image, Line, ModelInfo, Quad, Reading, Region

PEERS_EXTRA = "peers"
"""The extra of tagtrace that installs the vendor readers."""


class VendorReader(ABC):
    """A ``LineReader`` around a vendor's engine, one picture at a time; such engines find no codes."""

    def __init__(self, engine: Any, infos: tuple[ModelInfo, ...]) -> None:
        self._engine = engine
        self._infos = infos

    @property
    def infos(self) -> tuple[ModelInfo, ...]:
        """The models that the engine runs, or the library that holds them."""
        return self._infos

    def read_lines(self, images: Sequence[Image]) -> list[tuple[list[Line], list[Region]]]:
        """Per picture (RGB) the lines read, in the engine's order, and no codes."""
        return [(self._read(image), []) for image in images]

    @abstractmethod
    def _read(self, image: Image) -> list[Line]:
        """The lines of one picture (RGB)."""


def missing_library(reader: str, error: ImportError) -> BrokenInstallationError:
    """The error for a reader whose library cannot be imported."""
    return BrokenInstallationError(
        f"reader {reader}: the library {error.name or 'it needs'!r} cannot be imported ({error}); "
        f"install it with: pip install 'tagtrace[{PEERS_EXTRA}]'"
    )


def broken_engine(reader: str, error: Exception, remedy: str = "") -> BrokenInstallationError:
    """The error for an engine that is installed and does not start."""
    remedy = remedy or f"install it again with: pip install --force-reinstall 'tagtrace[{PEERS_EXTRA}]'"
    return BrokenInstallationError(f"reader {reader}: the engine does not start ({error}); {remedy}")


def file_info(task: str, name: str, path: Path) -> ModelInfo:
    """Provenance of one model file. Raises BrokenInstallationError when it is missing."""
    try:
        with path.open("rb") as file:
            return ModelInfo(task, name, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise broken_engine(name, error) from error


def read_lines_only(lines: Iterable[Line]) -> list[Line]:
    """The lines in which something was read: some engines report the whole picture with an empty text when they find nothing."""
    return [line for line in lines if line.reading.text.strip()]


def text_line(corners: Iterable[Sequence[float]], text: str, confidence: float) -> Line:
    """A vendor's result as a ``Line``: vendors give one confidence for place and text, kept within 0..1."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = ((float(p[0]), float(p[1])) for p in corners)
    sure = min(1.0, max(0.0, float(confidence)))
    return Line(((ax, ay), (bx, by), (cx, cy), (dx, dy)), sure, Reading(text, sure))


def upright_quad(left: float, top: float, right: float, bottom: float) -> Quad:
    """The corners of an upright box."""
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def to_bgr(image: Image) -> Image:
    """The picture in BGR order, which most vendor engines expect."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR).astype("uint8", copy=False)
