"""The trained recogniser as an ONNX file, checked against the network it came from."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch

from ..contract import TagtraceError
from ..models.adapters.onnxruntime_offline import offline_onnxruntime
from ..models.alphabet import ALPHABET
from ..models.linecrop import CropSettings
from .recogniser_net import Model

OPSET = 17
MAX_DIFFERENCE = 1e-2
"""Largest difference of any log-probability above ``-10`` between the network and its ONNX form."""


def export_onnx(model: Model, path: str | Path, crop: CropSettings) -> float:
    """Write ``model`` to ``path``: input ``pictures`` (n, 1, height, width), output ``logits`` (n, steps, 1 + len(alphabet)).

    The alphabet and the crop settings travel in the file's metadata, so that one file is all a reader needs. Returns the largest
    difference in log-probability on random pictures; raises TagtraceError when it is more than ``MAX_DIFFERENCE``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    model = model.eval().to(memory_format=torch.contiguous_format)
    with warnings.catch_warnings():
        # the exporter that replaces this one needs a further library and writes a larger graph
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(2, 1, crop.height, 160),),
            str(path),
            input_names=["pictures"],
            output_names=["logits"],
            dynamic_axes={"pictures": {0: "n", 3: "width"}, "logits": {0: "n", 1: "steps"}},
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load(str(path))
    onnx.helper.set_model_props(graph, {"alphabet": ALPHABET, "crop": json.dumps(asdict(crop))})
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))
    difference = compare(model, path, crop)
    if not difference <= MAX_DIFFERENCE:
        raise TagtraceError(f"{path}: differs from the trained network by {difference:.3g} in log-probability; do not use it")
    return difference


@torch.no_grad()
def compare(model: Model, path: str | Path, crop: CropSettings) -> float:
    """Largest difference of log-probabilities (where above -10) between ``model`` and its ONNX file, over several shapes."""
    session = offline_onnxruntime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    worst = 0.0
    for n, width in ((1, crop.min_width), (3, 200), (2, crop.max_width)):
        pictures = rng.uniform(-1, 1, (n, 1, crop.height, width)).astype(np.float32)
        mine = model(torch.from_numpy(pictures)).log_softmax(-1).numpy()
        theirs = torch.from_numpy(session.run(None, {"pictures": pictures})[0]).log_softmax(-1).numpy()
        seen = np.maximum(mine, theirs) > -10
        worst = max(worst, float(np.abs(mine - theirs)[seen].max()))
    return worst
