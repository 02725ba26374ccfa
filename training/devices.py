"""Where a training runs: the words of ``--device`` to torch's devices, with a sentence where one is not there."""

from __future__ import annotations

import re

import torch

from ..contract import TagtraceError

CHOICES = "cpu, cuda, cuda:N or mps"


def device_of(name: str) -> torch.device:
    """The device that ``name`` means (``cpu``, ``cuda``, ``cuda:1`` or ``1``, ``mps``).

    Raises TagtraceError when there is no such word, or the machine or this build of torch has no such device.
    """
    wanted = f"cuda:{name}" if name.isdigit() else name
    if not re.fullmatch(r"cpu|cuda(:\d+)?|mps", wanted):
        raise TagtraceError(f"there is no device {name!r}; choose {CHOICES}")
    if wanted.startswith("cuda"):
        if not torch.cuda.is_available():
            why = "this build of torch knows none" if torch.version.cuda is None else "torch sees no GPU or no driver"
            raise TagtraceError(f"device {name}: no CUDA device here ({why}); install torch for CUDA, or train with --device cpu")
        number = int(wanted.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise TagtraceError(f"device {name}: this machine has {torch.cuda.device_count()} CUDA devices, counted from 0")
        return torch.device("cuda", number)
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise TagtraceError("device mps: there is none here (it is the GPU of Apple silicon); train with --device cpu")
    return torch.device(wanted)
