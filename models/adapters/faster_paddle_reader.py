"""faster-paddle: PP-OCRv6 in Rust, its tiny and small models inside the wheel (the medium one would be downloaded).

It gives upright boxes only, also for slanted lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2

from ...contract import Image, Line, TagtraceError
from .vendor import VendorReader, broken_engine, file_info, missing_library, read_lines_only, text_line, to_bgr, upright_quad


class FasterPaddleReader(VendorReader):
    """A ``LineReader`` around ``faster_paddle.OcrEngine``."""

    def _read(self, image: Image) -> list[Line]:
        # The engine takes encoded files only; a bitmap costs next to nothing to write and to read.
        done, encoded = cv2.imencode(".bmp", to_bgr(image))
        if not done:
            raise TagtraceError(f"faster-paddle: a picture of shape {image.shape} cannot be encoded")
        bounds = self._engine.ocr(encoded.tobytes())["bounds"]
        return read_lines_only(
            text_line(upright_quad(*b["topLeftCoord"], *b["bottomRightCoord"]), str(b["text"]), b["confidence"])
            for b in bounds.values()
        )


def _load(size: Literal["tiny", "small"], threads: int) -> FasterPaddleReader:
    try:
        import faster_paddle
        from faster_paddle import faster_paddle as library
    except ImportError as error:
        raise missing_library("faster-paddle", error) from error
    info = file_info("reader", f"faster-paddle/PP-OCRv6_{size}", Path(library.__file__))
    try:
        engine = faster_paddle.OcrEngine(model_size=size, threads=threads or None)
    except (OSError, RuntimeError, ValueError) as error:
        raise broken_engine("faster-paddle", error) from error
    return FasterPaddleReader(engine, (info,))


def faster_paddle_small(threads: int = 0) -> FasterPaddleReader:
    """The small models. Raises BrokenInstallationError when the library is missing."""
    return _load("small", threads)


def faster_paddle_tiny(threads: int = 0) -> FasterPaddleReader:
    """The tiny models, the faster and weaker ones. Raises BrokenInstallationError when the library is missing."""
    return _load("tiny", threads)
