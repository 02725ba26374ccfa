"""Weights to begin the training of the recogniser with: those of PP-OCRv6 *small*, as the ``rapidocr`` wheel carries them.

Source: PaddleOCR (https://github.com/PaddlePaddle/PaddleOCR, Apache-2.0), in ONNX form in ``rapidocr`` (Apache-2.0). The graph is
walked in its own order, which is the order of ``recogniser_net.Model``, and each weight is checked for its shape.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from ..contract import TagtraceError
from .recogniser_net import Attention, Block, ConvNorm, Model, SqueezeExcite

PPOCR_FILE = "models/PP-OCRv6_rec_small.onnx"
"""Where the ``rapidocr`` package keeps the weights."""

LOOK_ALIKES = dict(
    zip(
        "АВЕЁЗІКМНОРСТУХЬЪЫЧЭЮЯГЛПФДЖИЙЦШЩБҚҒҢӨҰҮҺӘ" + "авеёзікмнорстухьъычэюяглпфджийцшщбқғңөұүһә" + "№→",
        "ABEË3IKMHOPCTYXbbb4ƆOʁΓΛΠΦΔЖNŇŲƜƜ6ĶFŊƟ¥YhƏ" + "aʙeëɜiĸMʜopcTyxbbɨ4ɘoʁrλnφgжuŭųɯɯ6ķғŋɵɏvhə" + "N>",
        strict=True,
    )
)
"""For a character that the start weights lack: one they may have and that looks like it."""

UNKNOWN_BIAS = -4.0
"""Added to the score of characters that begin from a look-alike, so that at first the known twin wins."""


def ppocr_file() -> Path:
    """The weights inside the installed ``rapidocr`` package; raises TagtraceError when it is not installed."""
    spec = importlib.util.find_spec("rapidocr")
    path = Path(spec.origin).parent / PPOCR_FILE if spec is not None and spec.origin else None
    if path is None or not path.exists():
        raise TagtraceError(f"the package rapidocr with {PPOCR_FILE} is needed to start from its weights: pip install rapidocr")
    return path


def load_ppocr(model: Model, path: Path, alphabet: str) -> int:
    """Fill ``model`` (the default sizes, ``1 + len(alphabet)`` classes) from a PP-OCRv6 small recogniser in ONNX form.

    The three input channels of the first convolution are summed, as a grey picture has the same value in all. Returns how many
    characters of ``alphabet`` the start weights knew; the others begin from their look-alike, or as noise. Raises TagtraceError
    when the file is another network.
    """
    graph = onnx.load(str(path))
    weights = _weights(graph)
    characters = _characters(graph, path)
    with torch.no_grad():
        for name, target, fold in _targets(model):
            source = next(weights, None)
            value = None if source is None else torch.from_numpy(np.array(fold(source), np.float32))
            if value is None or value.shape != target.shape:
                found = None if value is None else tuple(value.shape)
                raise TagtraceError(f"{path}: {name} needs shape {tuple(target.shape)}, found {found}; it is not PP-OCRv6 small")
            target.copy_(value)
        kernel, bias = next(weights), next(weights)
        return _fill_head(model.head, kernel, bias, characters, alphabet)


def _characters(graph: onnx.ModelProto, path: Path) -> dict[str, int]:
    for entry in graph.metadata_props:
        if entry.key == "character":
            listed = entry.value.split("\n")
            return {c: i + 1 for i, c in enumerate(listed)} | {" ": len(listed) + 1}
    raise TagtraceError(f"{path}: no character list in its metadata; use the file of the rapidocr package")


def _weights(graph: onnx.ModelProto) -> Iterator[NDArray[Any]]:
    """Every constant of the graph with more than one number, in the order of the nodes that use them."""
    known = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}
    made = {o: n for n in graph.graph.node for o in n.output}
    for node in graph.graph.node:
        if node.op_type not in {"Conv", "MatMul", "Add", "Mul", "BatchNormalization"}:
            continue
        for name in node.input:
            while name not in known and name in made and made[name].op_type in {"Identity", "Cast"}:
                name = made[name].input[0]
            if name in known and known[name].size > 1:
                yield known[name]


def _targets(model: Model) -> Iterator[tuple[str, Tensor, Any]]:
    """Name, tensor and conversion of each weight of ``model`` but the head's, in the order of the ONNX graph."""
    stem = model.stem
    yield "stem.conv1", stem.conv1.weight, lambda w: w.sum(1, keepdims=True)
    assert stem.conv1.bias is not None
    yield "stem.conv1.bias", stem.conv1.bias, np.ravel
    for conv in (stem.conv2, stem.conv3, stem.conv4, stem.conv5):
        yield from _plain("stem", conv)
    for number, block in enumerate(model.body):
        assert isinstance(block, Block)
        parts = [block.look, block.widen, block.narrow]
        if isinstance(block.excite, SqueezeExcite):
            parts[1:1] = [block.excite.down, block.excite.up]
        for part in parts:
            yield from _plain(f"body.{number}", part)
    for mixed in (model.neck.past, model.neck.enter, model.neck.local):
        yield from _normed(mixed)
    for layer in model.neck.layers:
        assert isinstance(layer, Attention)
        for step in (layer.norm1, layer.qkv, layer.proj, layer.norm2, layer.fc1, layer.fc2):
            yield from _plain("neck.layers", step)
    yield from _plain("neck.norm", model.neck.norm)


def _plain(name: str, part: nn.Conv2d | nn.Linear | nn.LayerNorm) -> Iterator[tuple[str, Tensor, Any]]:
    turn = np.transpose if isinstance(part, nn.Linear) else np.asarray
    assert part.bias is not None
    yield f"{name}.weight", part.weight, turn
    yield f"{name}.bias", part.bias, np.ravel


def _normed(part: ConvNorm) -> Iterator[tuple[str, Tensor, Any]]:
    yield "neck.conv", part.conv.weight, np.asarray
    norm = part.norm
    assert norm.running_mean is not None and norm.running_var is not None
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        yield "neck.norm", tensor, np.asarray


def _fill_head(head: nn.Linear, kernel: NDArray[Any], bias: NDArray[Any], characters: dict[str, int], alphabet: str) -> int:
    """Copy the rows of known characters; others begin from a look-alike. ``kernel`` is (features, characters)."""
    assert head.bias is not None
    rows, offsets = torch.from_numpy(kernel.T.copy()), torch.from_numpy(bias.copy())
    head.weight[0], head.bias[0] = rows[0], offsets[0]
    known = 0
    for column, character in enumerate(alphabet, 1):
        twin = characters.get(character)
        known += twin is not None
        penalty = 0.0
        if twin is None:
            twin, penalty = characters.get(LOOK_ALIKES.get(character, "")), UNKNOWN_BIAS
        if twin is None:
            head.weight[column].normal_(0.0, float(rows.std()))
            head.bias[column] = float(offsets.mean())
        else:
            head.weight[column], head.bias[column] = rows[twin], offsets[twin] + penalty
    return known
