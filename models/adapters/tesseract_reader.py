"""Tesseract 5 through pytesseract: Russian, Kazakh and English in one run, lines of sparse text.

The program and its languages come from the system (Debian: ``tesseract-ocr`` with ``-rus``, ``-kaz`` and ``-eng``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image as PillowImage

from ...contract import BrokenInstallationError, Image, Line, ModelInfo, Region
from .vendor import VendorReader, file_info, missing_library, text_line, upright_quad

LANGUAGES = ("rus", "kaz", "eng")
PACKAGES = "tesseract-ocr " + " ".join(f"tesseract-ocr-{language}" for language in LANGUAGES)
SPARSE_TEXT = 11
"""Page segmentation: find as much text as possible, in no order (``tesseract --help-psm``); a wall is not a page."""
THREADS_VARIABLE = "OMP_THREAD_LIMIT"
LEAST_SIDE_PX = 3
"""Tesseract refuses smaller pictures."""


class TesseractReader(VendorReader):
    """A ``LineReader`` around the program ``tesseract``: words of one line are joined with spaces."""

    def __init__(self, engine: Any, infos: tuple[ModelInfo, ...], threads: int) -> None:
        super().__init__(engine, infos)
        self._threads = threads

    def read_lines(self, images: Sequence[Image]) -> list[tuple[list[Line], list[Region]]]:
        """Per picture (RGB) the lines read, from top to bottom of each block; it finds no codes."""
        with _limited_threads(self._threads):
            return super().read_lines(images)

    def _read(self, image: Image) -> list[Line]:
        if min(image.shape[:2]) < LEAST_SIDE_PX:
            return []
        words = self._engine.image_to_data(
            PillowImage.fromarray(image),
            lang="+".join(LANGUAGES),
            config=f"--psm {SPARSE_TEXT}",
            output_type=self._engine.Output.DICT,
        )
        lines: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for i, text in enumerate(words["text"]):
            if text.strip():
                lines[tuple(words[key][i] for key in ("block_num", "par_num", "line_num"))].append(i)
        return [_line(words, members) for members in lines.values()]


def _line(words: dict[str, list[Any]], members: list[int]) -> Line:
    left = min(words["left"][i] for i in members)
    top = min(words["top"][i] for i in members)
    right = max(words["left"][i] + words["width"][i] for i in members)
    bottom = max(words["top"][i] + words["height"][i] for i in members)
    sure = sum(float(words["conf"][i]) for i in members) / len(members) / 100
    return text_line(upright_quad(left, top, right, bottom), " ".join(words["text"][i].strip() for i in members), sure)


@contextmanager
def _limited_threads(threads: int) -> Iterator[None]:
    before = os.environ.get(THREADS_VARIABLE)
    os.environ[THREADS_VARIABLE] = str(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS_VARIABLE]
        else:
            os.environ[THREADS_VARIABLE] = before


def _language_files() -> list[Path]:
    """The model file of each language. Raises BrokenInstallationError when the program or a language is missing."""
    program = shutil.which("tesseract")
    if program is None:
        raise BrokenInstallationError(f"reader tesseract: the program is not installed; on Debian: apt-get install {PACKAGES}")
    listed = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=False)
    lines = (listed.stdout or listed.stderr).splitlines()
    missing = [language for language in LANGUAGES if language not in lines[1:]]
    if missing:
        raise BrokenInstallationError(
            f"reader tesseract: has no language {', '.join(missing)}; on Debian: apt-get install {PACKAGES}"
        )
    # The first line is: List of available languages in "/usr/share/…/tessdata/" (4):
    folder = Path(lines[0].split('"')[1]) if lines[0].count('"') == 2 else Path(os.environ.get("TESSDATA_PREFIX", "."))
    return [folder / f"{language}.traineddata" for language in LANGUAGES]


def tesseract_russian_kazakh_english(threads: int = 0) -> TesseractReader:
    """Tesseract with its languages; ``threads`` 0 means one, which is many times faster than its own choice on few cores.

    Raises BrokenInstallationError when pytesseract, the program or a language is missing.
    """
    try:
        import pytesseract
    except ImportError as error:
        raise missing_library("tesseract", error) from error
    infos = tuple(file_info("reader", f"tesseract/{path.stem}", path) for path in _language_files())
    return TesseractReader(pytesseract, infos, threads or 1)
