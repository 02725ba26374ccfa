"""Start a training from a detector in its ONNX form: the weights that are shipped have no other.

An export has the batch norms folded into the convolutions. Here each is taken out again: the statistics of a convolution's
output are measured on training photos, and the norm gets those, with the scale and shift that undo it. The network gives the
same as the export, and trains like the checkpoint it came from.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from ..contract import OTHER_TEXT, RegionKind, TagtraceError
from ..models.detector import letterbox
from .ultralytics_offline import offline_ultralytics

STATISTICS_PHOTOS = 64
"""Photos on which the statistics of the batch norms are measured."""
_HEAD = "cv3"
"""The branch of ultralytics' head that gives the class scores."""


def checkpoint_of(
    weights: Path, architecture: str, classes: Sequence[str], photos: Sequence[Path], input_px: int, out: Path
) -> Path:
    """Write ``weights`` (ONNX, of the same architecture) as a checkpoint that ultralytics can train, and return ``out``.

    ``classes`` are those of the network to be trained; one that the export does not know starts as a copy of ``line``.
    Raises ``TagtraceError`` when the file cannot be read or has another architecture.
    """
    offline_ultralytics()
    from ultralytics.nn.tasks import OBBModel

    from .detector_head import as_convolutions

    exported, known = _read(weights)
    stored = as_convolutions(exported)
    # ultralytics makes the class branch as wide as the number of classes that the network was first made for
    width = int(stored[next(name for name in stored if f".{_HEAD}." in name and name.endswith(".2.weight"))].shape[1])
    model = OBBModel(architecture, nc=width, verbose=False)
    head = model.model[-1]
    _widen(head, len(classes))
    _fill(model, stored, weights, [known.index(name if name in known else RegionKind.LINE.value) for name in classes])
    _unfold(model.eval(), _batches(photos[:STATISTICS_PHOTOS], input_px))
    model.nc = head.nc
    model.names = dict(enumerate(classes))
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model, "epoch": -1, "train_args": {}}, out)
    return out


def _read(weights: Path) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """The tensors of an export by name, and its class names."""
    try:
        graph = onnx.load(weights)
        names = ast.literal_eval({entry.key: entry.value for entry in graph.metadata_props}["names"])
        known = [names[number] for number in sorted(names)]
    except Exception as error:  # onnx raises protobuf's own errors
        raise TagtraceError(f"{weights}: not a detector exported by tagtrace ({error})") from error
    if not {RegionKind.LINE.value, RegionKind.CODE.value} <= set(known) <= {*RegionKind, OTHER_TEXT}:
        raise TagtraceError(f"{weights}: finds {', '.join(known)}, which is no detector of lines and codes")
    return {entry.name: numpy_helper.to_array(entry) for entry in graph.graph.initializer}, known


def _widen(head: Any, classes: int) -> None:
    """Give the head as many classes as there are to be."""
    for branch in getattr(head, _HEAD):
        last = branch[-1]
        branch[-1] = nn.Conv2d(last.in_channels, classes, 1)
    head.nc = classes
    head.no = classes + head.reg_max * 4


def _fill(model: nn.Module, stored: dict[str, NDArray[np.float32]], source: Path, rows: Sequence[int]) -> None:
    """Copy the tensors in; the last layers of the class branch take the rows ``rows`` of theirs."""
    state = model.state_dict()
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        last = f".{_HEAD}." in name and name.endswith(".2")
        norm = f"{name.removesuffix('.conv')}.bn"
        for part in ("weight", "bias"):
            value = stored.get(f"{name}.{part}")
            target = f"{norm}.bias" if part == "bias" and f"{norm}.bias" in state else f"{name}.{part}"
            if target not in state:
                continue
            if value is None:
                raise TagtraceError(f"{source}: has no {name}.{part}; start from a network of the same architecture")
            picked = value[list(rows)] if last else value
            if tuple(picked.shape) != tuple(state[target].shape):
                raise TagtraceError(f"{source}: {name}.{part} has another shape; start from a network of the same architecture")
            state[target] = torch.from_numpy(np.array(picked, dtype=np.float32))
        if f"{norm}.bias" in state:  # a norm that does nothing but add the bias, until its statistics are known
            state[f"{norm}.weight"] = torch.full_like(state[f"{norm}.bias"], (1 + _eps(model, norm)) ** 0.5)
            state[f"{norm}.running_mean"] = torch.zeros_like(state[f"{norm}.bias"])
            state[f"{norm}.running_var"] = torch.ones_like(state[f"{norm}.bias"])
    model.load_state_dict(state)


def _eps(model: nn.Module, norm: str) -> float:
    return float(model.get_submodule(norm).eps)  # type: ignore[arg-type]


def _batches(photos: Sequence[Path], input_px: int) -> list[Tensor]:
    """The photos as the network sees them, one by one: float32 (1, 3, H, W), RGB, 0..1."""
    batches = []
    for path in photos:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise TagtraceError(f"{path}: cannot be read as a picture")
        shrink = input_px / max(picture.shape[:2])
        size = max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink))
        rgb = np.asarray(picture[:, :, ::-1], np.uint8)
        batches.append(torch.from_numpy(letterbox(rgb, *size)[0]))
    return batches


@torch.no_grad()
def _unfold(model: nn.Module, batches: Sequence[Tensor]) -> None:
    """Measure the input of every batch norm, and give it these statistics without changing what the network gives."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms}

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].double()
        count = torch.full((values.shape[1],), values.numel() / values.shape[1], dtype=torch.float64)
        sums[norm] += torch.stack([count, values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])  # type: ignore[index]

    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    for batch in batches:
        model(batch)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        count, total, squares = sums[norm]
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=1e-6)
        norm.running_mean = mean.float()
        norm.running_var = variance.float()
        norm.bias.add_(mean.float())
        norm.weight.copy_((variance.float() + norm.eps).sqrt())
