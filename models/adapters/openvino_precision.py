"""Networks in OpenVINO at a precision that is asked for, to measure what the processor's own choice is worth."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...contract import BrokenInstallationError
from .openvino_offline import offline_openvino, processor_config

FULL = "f32"
"""OpenVINO's word for single precision."""


def at_precision(model: Path, threads: int, precision: str = "") -> tuple[Callable[[NDArray[np.float32]], None], str]:
    """A function that runs an ONNX network once, and the precision that it computes in (``f32``, ``bf16`` …).

    ``precision`` as OpenVINO names it; empty leaves it to OpenVINO. One input at a time, as ``models.runtime`` runs it. Raises
    BrokenInstallationError where OpenVINO or the network cannot be loaded.
    """
    config = processor_config(threads)
    if precision:
        config["INFERENCE_PRECISION_HINT"] = precision
    core = offline_openvino().Core()
    try:
        compiled: Any = core.compile_model(core.read_model(io.BytesIO(model.read_bytes())), "CPU", config)
    except Exception as error:  # OpenVINO raises RuntimeError for all there is
        raise BrokenInstallationError(f"{model}: cannot be loaded as an ONNX model ({error})") from error
    request = compiled.create_infer_request()

    def run(blob: NDArray[np.float32]) -> None:
        request.infer([blob])

    return run, str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
