"""The n-gram model of names (``inference.identifiers.usual``), from names that the generator invents."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..datasets.world.names import handle, random_handle, stem
from ..inference.identifiers.usual import NameModel, count_grams, save_grams

RANDOM_SHARE = 0.06
"""Share of names without a meaning, so that nothing is impossible."""
RARE = 3
"""Long grams (more than three signs) met less often are left out."""


def invented_names(count: int, seed: int, split: str) -> list[str]:
    """Telegram names of a split of the generator's world, as often as it paints them."""
    rng = np.random.default_rng(seed)
    return [random_handle(rng) if rng.random() < RANDOM_SHARE else handle(rng, stem(rng, split)) for _ in range(count)]


def train_names(target: Path, count: int, seed: int) -> NameModel:
    """Count ``count`` invented names of the split ``train``, write the model to ``target`` and return it."""
    counts = count_grams(invented_names(count, seed, "train"))
    kept = {gram: number for gram, number in counts.items() if len(gram) <= 3 or number >= RARE}
    target.parent.mkdir(parents=True, exist_ok=True)
    save_grams(kept, target)
    return NameModel(kept)
