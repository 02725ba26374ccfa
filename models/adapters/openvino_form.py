"""Networks in OpenVINO's own form: an ``.xml`` file and the weights beside it, for programs that load nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...contract import BrokenInstallationError, TagtraceError
from .onnxruntime_offline import offline_onnxruntime
from .openvino_offline import offline_openvino

INFO_SECTION = "tagtrace"
"""Where the metadata of the ONNX file stand in the ``rt_info`` of the ``.xml`` file."""


def write_openvino(model: Path, out: Path, half: bool = False) -> tuple[Path, Path]:
    """Write the ONNX network ``model`` as ``out`` (``.xml``) and the ``.bin`` beside it, and return both.

    ``half`` keeps the weights in float16: half the size. Raises BrokenInstallationError without ``openvino``, TagtraceError where
    the file is no network.
    """
    if out.suffix != ".xml":
        raise TagtraceError(f"{out}: OpenVINO's form is an .xml file with a .bin file beside it; give a name that ends in .xml")
    openvino = offline_openvino()
    metadata = _session(model).get_modelmeta().custom_metadata_map
    try:
        network = openvino.convert_model(str(model))
        for name, value in metadata.items():
            network.set_rt_info(value, [INFO_SECTION, name])
        out.parent.mkdir(parents=True, exist_ok=True)
        openvino.save_model(network, str(out), compress_to_fp16=half)
    except RuntimeError as error:  # whatever OpenVINO finds wrong
        raise TagtraceError(f"{model}: OpenVINO cannot take it ({error})") from error
    return out, out.with_suffix(".bin")


def compare_openvino(model: Path, made: Path, inputs: Sequence[NDArray[np.float32]]) -> float:
    """Largest difference of the first output between an ONNX network and its OpenVINO form, as a share of its largest value."""
    openvino = offline_openvino()
    session = _session(model)
    name = session.get_inputs()[0].name
    # the processor's own default is bfloat16 where it can: what is compared here is the conversion
    compiled = openvino.Core().compile_model(str(made), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    worst = 0.0
    for blob in inputs:
        wanted = session.run(None, {name: blob})[0]
        found = compiled([blob])[compiled.output(0)]
        worst = max(worst, float(np.abs(wanted - found).max() / max(float(np.abs(wanted).max()), 1e-9)))
    return worst


def _session(model: Path) -> Any:
    try:
        return offline_onnxruntime().InferenceSession(str(model), providers=["CPUExecutionProvider"])
    except BrokenInstallationError:
        raise
    except Exception as error:  # onnxruntime raises many types of its own
        raise TagtraceError(f"{model}: cannot be loaded as an ONNX network ({error})") from error
