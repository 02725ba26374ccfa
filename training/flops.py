"""How much arithmetic a network needs for an input, counted from its ONNX graph.

A multiplication with its addition counts as two operations. Counted are convolutions, matrix products and recurrent layers, which
take nearly all of the arithmetic; what is done per element (activations, additions, norms) is left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from ..contract import TagtraceError
from ..models.runtime import Network, Runtime, load_network

Shape: TypeAlias = tuple[int, ...]
_Attributes: TypeAlias = Mapping[str, Any]


def _conv(first: Shape, weights: Shape, out: Shape, _: _Attributes) -> int:
    return 2 * prod(out) * prod(weights[1:])


def _transposed_conv(first: Shape, weights: Shape, out: Shape, _: _Attributes) -> int:
    return 2 * prod(first) * prod(weights[1:])


def _matmul(first: Shape, second: Shape, out: Shape, _: _Attributes) -> int:
    return 2 * prod(out) * first[-1]


def _gemm(first: Shape, second: Shape, out: Shape, attributes: _Attributes) -> int:
    return 2 * prod(out) * first[0 if attributes.get("transA") else 1]


def _recurrent(first: Shape, weights: Shape, out: Shape, attributes: _Attributes) -> int:
    """Input (steps, batch, features) by default; weights (directions, gates * hidden, features)."""
    directions, gates_hidden, features = weights
    return 2 * first[0] * first[1] * directions * gates_hidden * (features + int(attributes["hidden_size"]))


_COUNTED: Mapping[str, Callable[[Shape, Shape, Shape, _Attributes], int]] = {
    "Conv": _conv,
    "ConvTranspose": _transposed_conv,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    # Of the INT8 forms: the weights are the fourth input.
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "ConvInteger": _conv,
    "MatMulInteger": _matmul,
}
_SECOND_INPUT: Mapping[str, int] = {"QLinearConv": 3, "QLinearMatMul": 3}


class FlopCounter:
    """Counts the operations of one network, which takes one float32 input, for any shape of it.

    The shapes inside are those of a run: networks that compute shapes as they go are counted exactly, too. Raises
    ``TagtraceError`` where the file is no ONNX network, or hides arithmetic in branches and loops.
    """

    def __init__(self, model: Path) -> None:
        try:
            graph = onnx.load(str(model))
        except Exception as error:  # onnx raises what protobuf does
            raise TagtraceError(f"{model}: cannot be read as an ONNX network ({error})") from error
        self._nodes = list(_counted_nodes(graph.graph, model))
        sizes = graph.graph.input[0].type.tensor_type.shape.dim
        self._free_batch = len(sizes) > 0 and not sizes[0].HasField("dim_value")
        self._network = _with_shapes(graph, self._nodes)
        self._known: dict[Shape, int] = {}

    def count(self, shape: Sequence[int]) -> int:
        """Floating-point operations for one input of this shape."""
        # Where the network takes any number of pictures, each takes the same.
        batch = int(shape[0]) if self._free_batch else 1
        one = (1 if self._free_batch else int(shape[0]), *(int(side) for side in shape[1:]))
        if one not in self._known:
            self._known[one] = self._count(one)
        return batch * self._known[one]

    def _count(self, shape: Shape) -> int:
        found = iter(self._network.run(np.zeros(shape, np.float32))[-3 * len(self._nodes) :] if self._nodes else [])
        total = 0
        for node in self._nodes:
            first, second, out = (tuple(int(side) for side in next(found)) for _ in range(3))
            attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
            total += _COUNTED[node.op_type](first, second, out, attributes)
        return total


def _counted_nodes(graph: Any, model: Path) -> Iterator[Any]:
    for node in graph.node:
        inner = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
        if any(True for part in inner for _ in _counted_nodes(part, model)):
            raise TagtraceError(f"{model}: has arithmetic inside {node.op_type} {node.name}, which cannot be counted")
        if node.op_type in _COUNTED:
            yield node


def _with_shapes(model: Any, nodes: Sequence[Any]) -> Network:
    """The network with three further outputs per node: the shapes of its two factors and of its result."""
    for number, node in enumerate(nodes):
        second = node.input[_SECOND_INPUT.get(node.op_type, 1)]
        for part, tensor in enumerate((node.input[0], second, node.output[0])):
            name = f"counted_{number}_{part}"
            model.graph.node.append(helper.make_node("Shape", [tensor], [name]))
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.INT64, None))
    with tempfile.TemporaryDirectory(prefix="tagtrace-flops-") as folder:
        path = Path(folder) / "counted.onnx"
        onnx.save(model, str(path))
        return load_network(path, threads=1, runtime=Runtime.ONNXRUNTIME)[0]
