"""The mean of the weights of several recognisers that come from one another: often better than each (Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..contract import TagtraceError
from ..models.alphabet import ALPHABET
from .recogniser import export
from .recogniser_net import Model
from .recogniser_trainer import described


def mean_of(weights: Sequence[Path], shares: Sequence[float] = ()) -> Model:
    """The network whose weights are the mean of the ``.safetensors`` files, each counted by its share (or all alike).

    Raises ``TagtraceError`` that names the file when one cannot be read or is of another network.
    """
    if len(weights) < 2 or (shares and len(shares) != len(weights)) or any(share <= 0 for share in shares):
        raise TagtraceError("name two or more files of weights, and for each a share above 0 or none for all")
    parts = torch.tensor(list(shares) or [1.0] * len(weights), dtype=torch.float64)
    total: dict[str, torch.Tensor] = {}
    for path, part in zip(weights, (parts / parts.sum()).tolist(), strict=True):
        try:
            state = load_file(path)
        except (OSError, SafetensorError) as error:
            raise TagtraceError(f"{path}: cannot be read as weights ({error})") from error
        for name, value in state.items():
            total[name] = total.get(name, torch.zeros((), dtype=torch.float64)) + part * value.double()
    model = Model(1 + len(ALPHABET), **asdict(described(weights[0])[0]))
    own = model.state_dict()
    try:
        model.load_state_dict({name: value.to(own[name].dtype) if name in own else value for name, value in total.items()})
    except RuntimeError as error:
        raise TagtraceError(f"{', '.join(map(str, weights))}: not all of one network ({error})") from error
    return model


def write_mean(weights: Sequence[Path], out: Path, shares: Sequence[float] = ()) -> float:
    """Write the mean as ``recogniser.onnx``, ``recogniser.safetensors`` and in EasyOCR's form to the folder ``out``.

    Returns the largest difference of log-probabilities between the network and its ONNX form.
    """
    model = mean_of(weights, shares)
    out.mkdir(parents=True, exist_ok=True)
    network, crop = described(weights[0])
    return export(model.eval(), out, crop, network)
