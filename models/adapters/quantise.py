"""INT8 forms of ONNX networks by onnxruntime's static quantisation: QDQ nodes, one scale per output channel of the weights."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...contract import BrokenInstallationError, TagtraceError
from .onnxruntime_offline import offline_onnxruntime

QUANTISED_OPERATORS = ("Conv", "Gemm", "MatMul")
"""What is computed in INT8: nearly all of the time goes there. The rest stays in float32."""


class _Inputs:
    """Feeds calibration inputs one by one, as onnxruntime asks for them."""

    def __init__(self, name: str, inputs: Iterable[NDArray[np.float32]]) -> None:
        self._name = name
        self._inputs = iter(inputs)
        self.count = 0

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input, None when there are no more."""
        blob = next(self._inputs, None)
        if blob is None:
            return None
        self.count += 1
        return {self._name: blob}


def quantise(model: Path, out: Path, inputs: Iterable[NDArray[np.float32]], keep_float: Sequence[str] = ()) -> int:
    """Write the INT8 form of ``model`` to ``out``, with the same metadata; returns how many inputs it was calibrated with.

    ``inputs`` are what the network sees at work (its ranges are taken from them); nodes whose name begins with one of
    ``keep_float`` stay in float32. Raises TagtraceError when there are no inputs, BrokenInstallationError without ``onnx``.
    """
    offline_onnxruntime()
    try:
        import onnx
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise BrokenInstallationError(f"quantising needs {error.name}: pip install 'tagtrace[train]'") from error
    known = onnx.load(str(model))
    reader = _reader(quantization, known.graph.input[0].name, inputs)
    kept = [node.name for node in known.graph.node if node.name.startswith(tuple(keep_float))] if keep_float else []
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        ready, made = Path(folder) / "ready.onnx", Path(folder) / "int8.onnx"
        logging.getLogger().disabled = True  # onnxruntime advises at the root logger what is done here already
        try:
            # symbolic shapes fail on networks of free width; plain inference is enough for Conv and MatMul
            quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(ready),
                str(made),
                reader,
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED_OPERATORS),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=kept,
                calibrate_method=quantization.CalibrationMethod.MinMax,
                extra_options={"CalibMovingAverage": True, "MatMulConstBOnly": True},
            )
        except ValueError as error:
            if reader.count:
                raise
            raise TagtraceError(f"{model}: nothing to calibrate with; name a folder that holds photos or lines") from error
        finally:
            logging.getLogger().disabled = False
        graph = onnx.load(str(made))
        onnx.helper.set_model_props(graph, {entry.key: entry.value for entry in known.metadata_props})
        onnx.save(graph, str(out))
    return int(reader.count)


def _reader(quantization: Any, name: str, inputs: Iterable[NDArray[np.float32]]) -> Any:
    """``_Inputs`` as the subclass that onnxruntime checks for."""
    return type("Inputs", (_Inputs, quantization.CalibrationDataReader), {})(name, inputs)
