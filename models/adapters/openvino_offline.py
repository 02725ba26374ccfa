"""The one door to OpenVINO: it comes through without the package that reports its use."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from types import ModuleType

from ...contract import BrokenInstallationError

TELEMETRY = "openvino_telemetry"
"""OpenVINO sends with it what was converted and where it failed; where it cannot be imported, it does without."""


def has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return find_spec("openvino") is not None


def processor_config(threads: int) -> dict[str, str]:
    """How networks run on the processor: one input at a time, in ``threads`` threads (0: OpenVINO's choice)."""
    config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    # By itself it binds its threads to processors from the first one on: the networks of several processes all to the same.
    config["ENABLE_CPU_PINNING"] = "NO"
    return config | ({"INFERENCE_NUM_THREADS": str(threads)} if threads else {})


@cache
def offline_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry and return the module.

    Raises BrokenInstallationError when it is not installed or does not load.
    """
    # None makes an import fail.
    sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise BrokenInstallationError(
            f"openvino cannot be imported ({error}); install it with: pip install 'tagtrace[openvino]'"
        ) from error
    module: ModuleType = openvino
    return module
