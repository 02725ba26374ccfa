"""What the processor can do: the arithmetic rate of run-times on networks made for nothing else, and memory bandwidth."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ..models.adapters.openvino_offline import has_openvino
from ..models.runtime import Runtime, is_int8, load_network
from .flops import FlopCounter

OPSET = 17


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Sizes and times of the measurements."""

    channels: int = 256
    """Of the convolution (3 x 3, as many in as out)."""
    side: int = 56
    """Height and width of its picture."""
    matrix: int = 1024
    """Rows and columns of the matrices that are multiplied."""
    layers: int = 4
    """So many of them one behind the other: what stands at the ends (other memory layout) counts less."""
    copied_mb: int = 256
    """Megabytes of the array that is copied per thread: far more than any cache holds."""
    seconds: float = 0.5
    """Each measurement is repeated for at least so long, and the shortest time counts: what disturbs makes it longer."""
    least_times: int = 3


class Program(StrEnum):
    """What runs a network, and in which precision."""

    ONNXRUNTIME = "onnxruntime f32"
    ONNXRUNTIME_INT8 = "onnxruntime int8"
    OPENVINO = "openvino"
    """In the precision that it chooses: bfloat16 where the processor can."""
    OPENVINO_FULL = "openvino f32"


def programs(model: Path | None = None) -> list[Program]:
    """Those that are installed here; with a model those that can run it, first the one that scoring uses for it."""
    installed = [program for program in Program if has_openvino() or not program.startswith("openvino")]
    if model is None:
        return installed
    if is_int8(model.read_bytes()):
        return [Program.ONNXRUNTIME_INT8]
    installed.remove(Program.ONNXRUNTIME_INT8)
    return sorted(installed, key=lambda program: program is not Program.OPENVINO)


def shortest(action: Callable[[], object], settings: ProbeSettings) -> float:
    """Seconds of the fastest of many runs of ``action``, after one that does not count."""
    action()
    best, count, end = float("inf"), 0, time.perf_counter() + settings.seconds
    while count < settings.least_times or time.perf_counter() < end:
        begin = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - begin)
        count += 1
    return best


def loaded(model: Path, program: Program, threads: int) -> tuple[Callable[[NDArray[np.float32]], object], str]:
    """A function that runs the network once with this program, and its precision."""
    if program in (Program.OPENVINO, Program.OPENVINO_FULL):
        from ..models.adapters.openvino_precision import FULL, at_precision

        return at_precision(model, threads, FULL if program is Program.OPENVINO_FULL else "")
    network, _ = load_network(model, threads, Runtime.ONNXRUNTIME)
    return network.run, "int8" if program is Program.ONNXRUNTIME_INT8 else "f32"


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a network ran: in ``seconds`` it did its ``operations`` once in each of ``threads`` threads."""

    program: Program
    precision: str
    network: str
    shape: tuple[int, ...]
    threads: int
    operations: int
    seconds: float

    @property
    def gflops(self) -> float:
        """10^9 operations per second of all threads; a multiplication with its addition is two."""
        return self.threads * self.operations / self.seconds / 1e9


def rate(
    model: Path, name: str, shape: tuple[int, ...], program: Program, threads: int, operations: int, settings: ProbeSettings
) -> Rate:
    """Run a network with random input for a while and take its shortest time.

    As workers do, ``threads`` networks run at once, each in one thread: one network shared by all loses time to waiting.
    """
    ready = [loaded(model, program, 1) for _ in range(threads)]
    blob = np.random.default_rng(1).random(shape, np.float32)
    for run, _ in ready:
        # One after the other: OpenVINO 2026.4 can lock up for good when the first two runs of a process meet in two threads.
        run(blob)
    with ThreadPoolExecutor(threads) as pool:
        seconds = shortest(lambda: list(pool.map(lambda one: one[0](blob), ready)), settings)
    return Rate(program, ready[0][1], name, shape, threads, operations, seconds)


def peaks(program: Program, threads: int, folder: Path, settings: ProbeSettings) -> list[Rate]:
    """The rate of a chain of large convolutions, and of one of large matrix products; the models are written into ``folder``."""
    quantised = program is Program.ONNXRUNTIME_INT8
    conv_shape = (1, settings.channels, settings.side, settings.side)
    found = []
    for name, make, shape in (
        ("convolution", conv_model, conv_shape),
        ("matrix product", matmul_model, (settings.matrix, settings.matrix)),
    ):
        # The operations are those of the float form: the INT8 one does the same on smaller numbers.
        plain = folder / f"{name}.onnx"
        onnx.save(make(settings), str(plain))
        model = plain
        if quantised:
            model = folder / f"{name}-int8.onnx"
            onnx.save(make(settings, quantised=True), str(model))
        found.append(rate(model, name, shape, program, threads, FlopCounter(plain).count(shape), settings))
    return found


def conv_model(settings: ProbeSettings, quantised: bool = False) -> Any:
    """A chain of 3 x 3 convolutions, float32 or INT8, with float32 at both ends."""
    channels = settings.channels
    shape = [1, channels, settings.side, settings.side]
    weights = _weights((channels, channels, 3, 3), 1 / (3 * np.sqrt(channels)))
    return _chain("Conv", shape, weights, settings.layers, quantised, {"pads": [1, 1, 1, 1]})


def matmul_model(settings: ProbeSettings, quantised: bool = False) -> Any:
    """A chain of matrix products, float32 or INT8, with float32 at both ends."""
    side = settings.matrix
    return _chain("MatMul", [side, side], _weights((side, side), 1 / np.sqrt(side)), settings.layers, quantised, {})


def _weights(shape: tuple[int, ...], scale: float) -> NDArray[np.float32]:
    return (np.random.default_rng(1).standard_normal(shape) * scale).astype(np.float32)


_STEP = 1 / 64
"""Of the INT8 numbers."""


def _chain(
    operator: str,
    shape: list[int],
    weights: NDArray[np.float32],
    layers: int,
    quantised: bool,
    attributes: dict[str, Any],
) -> Any:
    """``layers`` times the same operator with the same weights."""
    constants = [numpy_helper.from_array(weights, "w")]
    between: list[str] = []
    nodes = []
    last = "x"
    if quantised:
        small = np.clip(np.round(weights / _STEP), -127, 127).astype(np.int8)
        constants = [
            numpy_helper.from_array(small, "w"),
            numpy_helper.from_array(np.array(_STEP, np.float32), "step"),
            numpy_helper.from_array(np.array(128, np.uint8), "zero"),
            numpy_helper.from_array(np.array(0, np.int8), "zero_w"),
        ]
        between = ["step", "zero"]
        nodes.append(helper.make_node("QuantizeLinear", ["x", *between], ["x8"]))
        last = "x8"
    for layer in range(layers):
        out = f"y{layer}"
        inputs = [last, *between, "w", "step", "zero_w", *between] if quantised else [last, "w"]
        nodes.append(helper.make_node(f"QLinear{operator}" if quantised else operator, inputs, [out], **attributes))
        last = out
    if quantised:
        # By this operator the run-time is chosen: see models/runtime.py.
        nodes.append(helper.make_node("DequantizeLinear", [last, *between], ["y"]))
        last = "y"
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def bandwidth(threads: int, settings: ProbeSettings) -> float:
    """Gigabytes per second (10^9), read and written, when ``threads`` threads each copy a large array."""
    size = settings.copied_mb * 1_000_000 // 8
    pairs = [(np.ones(size), np.zeros(size)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def copy() -> None:
            # NumPy lets other threads run while it copies.
            list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pairs))

        return 2 * 8 * size * threads / shortest(copy, settings) / 1e9
