"""What an inner layer of an exported model sees in a picture: features to compare pictures by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..contract import BrokenInstallationError
from .adapters.onnxruntime_offline import offline_onnxruntime


class InnerLayer:
    """Runs a model up to one of its layers. The object holds nothing that changes, so threads may share it."""

    def __init__(self, model: bytes, layer: str, threads: int = 0) -> None:
        """``model`` is an ONNX file whose outputs contain the tensor ``layer``; ``threads`` 0 lets onnxruntime choose.

        Raises BrokenInstallationError when it cannot be loaded or has no such output.
        """
        runtime = offline_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.enable_mem_pattern = False
        try:
            self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many types of its own
            raise BrokenInstallationError(f"the model with the layer {layer} open cannot be loaded ({error})") from error
        if layer not in [output.name for output in self._session.get_outputs()]:
            raise BrokenInstallationError(f"the model has no output {layer}; open the layer first")
        self._layer = layer
        self._input: str = self._session.get_inputs()[0].name

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """The layer's values for a batch in the form that the model takes."""
        return np.asarray(self._session.run([self._layer], {self._input: batch})[0], dtype=np.float32)
