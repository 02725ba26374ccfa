"""The one door to onnxruntime: it comes through with its telemetry switched off."""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType

from ...contract import BrokenInstallationError

TELEMETRY_SWITCH = "ORT_DISABLE_TELEMETRY"
"""Read by onnxruntime when its first session starts. Without it, onnxruntime from 1.31 on writes a device number and a store
of events into the home folder (``~/.cache/Microsoft``) and sends them; ``disable_telemetry_events()`` comes too late for that."""


def silence_onnxruntime() -> None:
    """Switch the telemetry off for this process and those it starts; to be called before anything imports onnxruntime."""
    os.environ[TELEMETRY_SWITCH] = "1"


@cache
def offline_onnxruntime() -> ModuleType:
    """Import onnxruntime without its telemetry and return the module.

    Raises BrokenInstallationError when it is not installed or does not load.
    """
    silence_onnxruntime()
    try:
        import onnxruntime
    except ImportError as error:
        raise BrokenInstallationError(
            f"onnxruntime cannot be imported ({error}); install it with: pip install --force-reinstall onnxruntime"
        ) from error
    module: ModuleType = onnxruntime
    return module
