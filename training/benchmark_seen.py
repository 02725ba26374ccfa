"""What the networks are given while photos are scored: the shapes of their inputs, counted, and so their arithmetic."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import Failure, TagtraceError
from ..models import runtime
from ..models.runtime import Network
from ..scoring.build import build_engine
from ..scoring.settings import ScoreSettings
from .flops import FlopCounter, Shape


@dataclass
class Seen:
    """One network at work: its file, and how often it was given an input of each shape."""

    model: Path
    shapes: Counter[Shape] = field(default_factory=Counter)

    @cached_property
    def counter(self) -> FlopCounter:
        """Counts the network's operations."""
        return FlopCounter(self.model)

    def operations(self) -> int:
        """Floating-point operations of all that it was given."""
        return sum(self.counter.count(shape) * times for shape, times in self.shapes.items())

    def usual(self) -> Shape:
        """The shape that took most of the arithmetic."""
        return max(self.shapes, key=lambda shape: (self.counter.count(shape) * self.shapes[shape], shape))


class _Watched:
    """A network that counts what it is given."""

    def __init__(self, network: Network, seen: Seen) -> None:
        self._network = network
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def run(self, blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """All outputs for one input."""
        self._seen.shapes[tuple(blob.shape)] += 1
        return self._network.run(blob)


@contextmanager
def _watching() -> Iterator[dict[str, Seen]]:
    """Every network that is loaded in this block is watched; by the names of their files.

    A model loads its network by the one function of ``models.runtime``: that is replaced wherever it was imported, so that
    scoring itself needs no switch for it.
    """
    load, seen = runtime.load_network, dict[str, Seen]()

    def watched(model: Path, *arguments: Any, **named: Any) -> tuple[Network, str]:
        network, digest = load(model, *arguments, **named)
        return _Watched(network, seen.setdefault(model.stem, Seen(model))), digest

    prefix = runtime.__name__.rpartition(".")[0]
    modules = [m for name, m in sys.modules.items() if name.startswith(prefix) and getattr(m, "load_network", None) is load]
    for module in modules:
        module.load_network = watched  # type: ignore[attr-defined]
    try:
        yield seen
    finally:
        for module in modules:
            module.load_network = load  # type: ignore[attr-defined]


def networks_at_work(photos: Sequence[Path], settings: ScoreSettings, threads: int) -> Mapping[str, Seen]:
    """Score photos and tell what each network was given, by the name of its model.

    Raises TagtraceError where no photo can be decoded, or a network of the engine was not seen.
    """
    from ..inference.decode import decode
    from ..models import detector, recogniser  # noqa: F401 - before they are watched

    with _watching() as seen:
        engine = build_engine(settings, threads=threads)
        found = [decode(path.read_bytes(), path.name, settings.decode) for path in photos]
        readable = [photo for photo in found if not isinstance(photo, Failure)]
        engine.pipeline.analyse(readable)
    if not readable:
        raise TagtraceError(f"{photos[0].parent if photos else 'the photos'}: none can be decoded")
    idle = [name for name, network in seen.items() if not network.shapes]
    if not seen or idle:
        raise TagtraceError(f"of the networks, {', '.join(idle) or 'none'} was given anything; choose photos of adverts")
    return seen
