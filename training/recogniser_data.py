"""Batches for the training of the recogniser: line crops of similar width, changed at random, as tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..contract import Image
from ..datasets.lineshards import LineShards
from ..models.alphabet import ALPHABET, to_alphabet
from ..models.linecrop import CropSettings, brightness, grey, input_width, prepare, stretch
from .recogniser_augment import AugmentSettings, augment
from .recogniser_net import STEP_PX

_COLUMN = {c: i for i, c in enumerate(ALPHABET, 1)}


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How training batches are made."""

    batch_px: int = 9600
    """Total width of a batch in pixels: 32 crops of 300 pixels."""
    max_batch: int = 64
    """Crops in a batch at most."""
    squeeze: tuple[float, float] = (0.78, 1.2)
    """Range of the random horizontal stretch of a batch."""
    upside_down: float = 0.03
    """Share of crops shown upside down, to be read as nothing: so that confidence tells which way up a line is."""
    plain: float = 0.3
    """Share of crops shown in plain brightness without contrast stretch, as other programs feed them."""
    min_height_px: float = 8.0
    """Text that was less high than this in its photo is left out."""
    keep_illegible: bool = False
    """Train on crops that the truth calls illegible, too."""


@dataclass(frozen=True, slots=True)
class Batch:
    """``pictures`` (n, 1, height, width) in -1..1; ``targets`` all texts' columns one after the other; ``lengths`` per text."""

    pictures: Tensor
    targets: Tensor
    lengths: Tensor


def encode(text: str) -> list[int]:
    """The output columns of ``text``, which must be written in the alphabet."""
    return [_COLUMN[c] for c in text]


def steps_needed(text: str) -> int:
    """Time steps that CTC needs for ``text``: one per character and a blank between equal neighbours."""
    return len(text) + sum(a == b for a, b in pairwise(text))


def usable(shards: LineShards, settings: BatchSettings) -> list[tuple[int, str]]:
    """Indices of the crops to train on, with their text in the alphabet."""
    kept = []
    for index, row in enumerate(shards.rows):
        text = to_alphabet(row["text"])
        legible = settings.keep_illegible or row.get("legible", True) or not row["text"]
        if text is not None and legible and row.get("height_px", np.inf) >= settings.min_height_px:
            kept.append((index, text))
    return kept


class TrainBatches(Dataset[Batch]):
    """Epoch ``epoch`` over the shards as ready batches; item ``i`` depends on (seed, epoch, i) alone, not on the worker."""

    def __init__(
        self, shards: LineShards, crop: CropSettings, batch: BatchSettings, change: AugmentSettings, seed: int, epoch: int
    ) -> None:
        self.shards = shards
        self.crop = crop
        self.batch = batch
        self.change = change
        self.seed = (seed, epoch)
        self.plan = self._plan()

    def _plan(self) -> list[tuple[int, list[tuple[int, str]]]]:
        """(width, [(index, text)]) per batch: shuffled, crops of similar natural width together."""
        rng = np.random.default_rng(self.seed)
        kept = usable(self.shards, self.batch)
        kept = [kept[i] for i in rng.permutation(len(kept))]
        pools: dict[int, list[tuple[int, str]]] = {}
        plan = []
        for index, text in kept:
            row = self.shards.rows[index]
            width = input_width(row["width"], row["height"], self.crop)
            pool = pools.setdefault(width, [])
            pool.append((index, text))
            if len(pool) >= self._size(width):
                plan.append((width, pools.pop(width)))
        plan += [(width, pool) for width, pool in pools.items() if pool]
        order = rng.permutation(len(plan))
        return [plan[i] for i in order]

    def _size(self, width: int) -> int:
        return int(min(max(self.batch.batch_px // width, 4), self.batch.max_batch))

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, number: int) -> Batch:
        cv2.setNumThreads(1)
        rng = np.random.default_rng((*self.seed, number))
        natural, members = self.plan[number]
        width = int(natural * rng.uniform(*self.batch.squeeze))
        width = max(width, max(steps_needed(text) for _, text in members) * STEP_PX + STEP_PX, 32)
        width = -(-width // STEP_PX) * STEP_PX
        pictures = np.empty((len(members), 1, self.crop.height, width), np.float32)
        texts = []
        for place, (index, text) in enumerate(members):
            crop, _ = self.shards[index]
            if rng.random() < self.batch.upside_down:
                crop, text = np.ascontiguousarray(crop[::-1, ::-1]), ""
            pictures[place, 0] = self._view(crop, width, rng)
            texts.append(text)
        return collate(pictures, texts)

    def _view(self, crop: Image, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
        view = augment(crop, width, self.crop.height, self.change, rng)
        if rng.random() < self.batch.plain:
            return brightness(view) / np.float32(127.5) - np.float32(1)
        low, high = self.crop.low_percentile * rng.uniform(0, 3), 100 - (100 - self.crop.high_percentile) * rng.uniform(0, 3)
        return stretch(grey(view, self.crop), replace(self.crop, low_percentile=low, high_percentile=high))


def collate(pictures: NDArray[np.float32], texts: list[str]) -> Batch:
    """A batch from pictures (n, 1, height, width) and their texts."""
    targets = [column for text in texts for column in encode(text)]
    lengths = torch.tensor([len(text) for text in texts], dtype=torch.int64)
    return Batch(torch.from_numpy(pictures), torch.tensor(targets, dtype=torch.int64), lengths)


class EvalBatches(Dataset[tuple[Tensor, list[int]]]):
    """Held-out crops prepared as for reading, in batches of one width: (pictures, indices into the shards)."""

    def __init__(self, shards: LineShards, crop: CropSettings, limit: int, max_batch: int = 32) -> None:
        self.shards = shards
        self.crop = crop
        kept = usable(shards, BatchSettings())
        if 0 < limit < len(kept):
            kept = [kept[i] for i in np.linspace(0, len(kept) - 1, limit).astype(int)]
        self.texts = dict(kept)
        pools: dict[int, list[int]] = {}
        for index, _ in kept:
            row = shards.rows[index]
            pools.setdefault(input_width(row["width"], row["height"], crop), []).append(index)
        self.plan = [pool[i : i + max_batch] for _, pool in sorted(pools.items()) for i in range(0, len(pool), max_batch)]

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, number: int) -> tuple[Tensor, list[int]]:
        members = self.plan[number]
        pictures = np.stack([prepare(self.shards[index][0], self.crop) for index in members])[:, None]
        return torch.from_numpy(pictures), members
