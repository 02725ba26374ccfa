"""The one door to ultralytics: it comes through with telemetry, downloads, automatic installs and integrations switched off."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

from PIL import Image as PillowImage

from ..contract import TagtraceError

_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")


@cache
def offline_ultralytics() -> ModuleType:
    """Import ultralytics so that it stays off the network and out of the home folder, and return the module.

    ultralytics reads its switches from the environment while it is imported, so they are set first; a folder named by the user in
    ``YOLO_CONFIG_DIR`` is respected. Raises ``TagtraceError`` when ultralytics is not installed.
    """
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ.setdefault("YOLO_CONFIG_DIR", str(Path(tempfile.gettempdir()) / f"tagtrace-ultralytics-{os.getuid()}"))
    opens = PillowImage.open
    try:
        import ultralytics
    except ImportError as error:
        raise TagtraceError("ultralytics is not installed: install tagtrace with its 'train' extra") from error
    finally:
        # ultralytics puts its own opener in Pillow's place, which asks for further libraries where a picture is damaged
        PillowImage.open = opens
    from ultralytics import settings
    from ultralytics.data import utils as data_utils

    settings.update({"sync": False, **dict.fromkeys(_INTEGRATIONS, False)})
    # Reading a data.yaml looks for Arial and asks the network for it when it is not there; it is only needed for plots.
    data_utils.check_font = _no_font
    module: ModuleType = ultralytics
    return module


def _no_font(font: str = "") -> None:
    """Stands in for ultralytics' font search, which downloads."""
