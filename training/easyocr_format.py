"""The trained recogniser in the form that ``easyocr.Reader`` loads: a Python file, a YAML file and a weights file.

::

    reader = easyocr.Reader(["en"], detector=False, recog_network="tagtrace_line", download_enabled=False,
                            user_network_directory=folder, model_storage_directory=folder, quantize=False)
    reader.recognize(grey_picture, allowlist=ALPHABET)

EasyOCR narrows the characters to those of the chosen languages; ``allowlist`` opens all of them. It feeds one grey channel, -1
to 1, padded on the right with the last column: the training has seen both.
"""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from ..models.alphabet import ALPHABET
from . import recogniser_net

NETWORK = "tagtrace_line"
"""The ``recog_network`` under which EasyOCR finds the files. Not ``tagtrace``: EasyOCR imports the module of that name, which
would be this package."""

LANGUAGES = ("en", "ru", "be", "bg", "uk", "mn")
"""Language codes that EasyOCR may be opened with; it has none for Kazakh."""


def export_easyocr(
    model: recogniser_net.Model, folder: str | Path, height: int, network: Mapping[str, Any] | None = None
) -> None:
    """Write ``tagtrace_line.py``, ``.yaml`` and ``.pth`` to ``folder``; ``height`` is the input's, in pixels, and ``network`` the
    sizes of the network where they are not the default ones."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(recogniser_net.__file__, folder / f"{NETWORK}.py")
    # EasyOCR strips the first 7 letters of each name: what DataParallel puts before them
    weights = OrderedDict((f"module.{name}", value.contiguous()) for name, value in model.state_dict().items())
    torch.save(weights, folder / f"{NETWORK}.pth")
    sizes = {name: list(value) if isinstance(value, tuple) else value for name, value in (network or {}).items()}
    described = {"network_params": sizes, "imgH": height, "lang_list": list(LANGUAGES), "character_list": ALPHABET}
    (folder / f"{NETWORK}.yaml").write_text(yaml.safe_dump(described, allow_unicode=True, width=1000), encoding="utf-8")
