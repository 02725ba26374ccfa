"""Run an ONNX network on the processor, with onnxruntime or with OpenVINO: the same file, the same numbers up to rounding."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..contract import BrokenInstallationError
from .adapters.onnxruntime_offline import offline_onnxruntime
from .adapters.openvino_offline import has_openvino, offline_openvino, processor_config


class Runtime(StrEnum):
    """What runs the networks."""

    AUTO = "auto"
    """OpenVINO where it is installed, else onnxruntime; INT8 networks always with onnxruntime."""
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


_INT8_MARK = b"DequantizeLinear"
"""An operator that stands by this name in the file of every INT8 network."""


def is_int8(content: bytes) -> bool:
    """Whether an ONNX file holds an INT8 network."""
    return _INT8_MARK in content


class Network(Protocol):
    """A loaded network with one input."""

    runtime: Runtime
    """What runs it; not ``AUTO``."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What stands in the file beside the weights."""
        ...

    @property
    def output_shape(self) -> Sequence[int | str | None]:
        """Shape of the first output; a name or None where it is dynamic."""
        ...

    def run(self, blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """All outputs for one input. May be called by several threads at once."""
        ...


_SHAPES = 20
_PER_SHAPE = 80
"""Things that OpenVINO keeps of a network for each shape of its input, about; they take 4 (recogniser) to 11 MB (detector)."""


def load_network(model: Path, threads: int = 0, runtime: Runtime = Runtime.AUTO, shapes: int = _SHAPES) -> tuple[Network, str]:
    """A network from an ONNX file, and the SHA-256 of the file.

    ``threads`` is the number of processor threads; 0 leaves it to the runtime. ``shapes`` is how many input shapes OpenVINO
    stays prepared for: with fewer, inputs of changing shape take longer; with more, memory. Raises ``BrokenInstallationError``
    when the file or the runtime cannot be loaded.
    """
    try:
        content = model.read_bytes()
    except OSError as error:
        raise BrokenInstallationError(f"{model}: cannot be loaded as an ONNX model ({error})") from error
    digest = hashlib.sha256(content).hexdigest()
    if is_int8(content):
        # OpenVINO 2026.4 gives wrong numbers for them when the width is free: a detector found nearly nothing
        if runtime == Runtime.OPENVINO:
            raise BrokenInstallationError(f"{model}: is an INT8 network, which OpenVINO runs wrongly; choose onnxruntime")
        return _OnnxRuntime(model, content, threads), digest
    if runtime == Runtime.OPENVINO or (runtime == Runtime.AUTO and has_openvino()):
        return _OpenVino(model, content, threads, shapes), digest
    return _OnnxRuntime(model, content, threads), digest


class _OnnxRuntime:
    runtime = Runtime.ONNXRUNTIME

    def __init__(self, model: Path, content: bytes, threads: int) -> None:
        runtime = offline_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Pictures differ in shape: a memory plan per shape would keep growing.
        options.enable_mem_pattern = False
        try:
            self._session: Any = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many types of its own
            raise BrokenInstallationError(f"{model}: cannot be loaded as an ONNX model ({error})") from error
        self._input: str = self._session.get_inputs()[0].name
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.output_shape: Sequence[int | str | None] = self._session.get_outputs()[0].shape

    def run(self, blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return list(self._session.run(None, {self._input: blob}))


_loading = threading.Lock()


class _OpenVino:
    runtime = Runtime.OPENVINO

    def __init__(self, model: Path, content: bytes, threads: int, shapes: int) -> None:
        openvino = offline_openvino()
        core, config = openvino.Core(), processor_config(threads)
        # By itself it would keep 5,000 things, and memory would grow with every new shape of a photo.
        config["CPU_RUNTIME_CACHE_CAPACITY"] = str(_PER_SHAPE * shapes)
        try:
            network = core.read_model(io.BytesIO(content))
            self._compiled: Any = core.compile_model(network, "CPU", config)
        except Exception as error:  # OpenVINO raises RuntimeError for all there is
            raise BrokenInstallationError(f"{model}: cannot be loaded as an ONNX model ({error})") from error
        self._tensor: Any = openvino.Tensor
        # A request holds its tensors: one per thread.
        self._local = threading.local()
        # OpenVINO 2026.4 locks up for good when the first two runs of a process meet in two threads.
        with _loading:
            self._compiled([_smallest(network.inputs[0].get_partial_shape())])
        self.metadata: Mapping[str, str] = _metadata(network)
        shape = network.outputs[0].get_partial_shape()
        self.output_shape: Sequence[int | str | None] = [size.get_length() if size.is_static else None for size in shape]

    def run(self, blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        request = self._local.request
        # Handed over like this, nothing is copied and the wrapper does not look at all tensors again. OpenVINO reads the array's
        # own memory and does not keep it alive: it needs a name until the run is over.
        shared = np.require(blob, np.float32, ["C", "W"])
        request.set_input_tensor(self._tensor(shared, shared_memory=True))
        return [np.array(output, np.float32) for output in request.infer(share_outputs=True).values()]


def _metadata(network: Any) -> dict[str, str]:
    """What an ONNX file says beside its weights, as OpenVINO keeps it."""
    info = network.get_rt_info()
    if "framework" not in info:
        return {}
    framework = info["framework"]
    return {name: str(getattr(value, "value", value)) for name, value in framework.items()}


def _smallest(shape: Any) -> NDArray[np.float32]:
    """An empty picture, small where the shape is free."""
    sides = [size.get_length() if size.is_static else 64 for size in shape]
    return np.zeros((1, *sides[1:]), np.float32)
