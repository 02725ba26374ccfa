"""How well a recogniser reads held-out lines: characters, exact lines, by the height of the text, with samples of misreads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from rapidfuzz.distance import Levenshtein
from torch import nn

from ..datasets.lineshards import LineShards
from ..models.alphabet import ALPHABET
from ..models.linecrop import CropSettings
from .recogniser_data import EvalBatches

HEIGHT_BINS = (0.0, 14.0, 20.0, 30.0, 50.0)
"""Lower limits, in pixels of text height in the photo, of the slices of a score."""

_TWINS = str.maketrans("АВЕКМНОРСТХУаеорсухкІіЗзБб", "ABEKMHOPCTXYaeopcyxkIi3366")


def fold(text: str) -> str:
    """Text without what the eye cannot tell: case, spaces, and twins of two alphabets."""
    return text.translate(_TWINS).casefold().replace(" ", "").replace("0", "o")


@dataclass(frozen=True, slots=True)
class Slice:
    """Counts over some lines. ``alike`` counts lines that are exact but for case, spaces and look-alike letters."""

    name: str
    lines: int
    exact: int
    alike: int
    errors: int
    characters: int

    def describe(self) -> str:
        share = max(self.lines, 1)
        rate = self.errors / max(self.characters, 1)
        exact, alike = self.exact / share, self.alike / share
        return f"{self.name:>10}: {self.lines:6d} lines  CER {rate:.4f}  exact {exact:.4f}  alike {alike:.4f}"


@dataclass(frozen=True, slots=True)
class Score:
    """The whole, its slices, and pairs (truth, reading) of misreads."""

    whole: Slice
    slices: tuple[Slice, ...]
    misreads: tuple[tuple[str, str], ...]

    @property
    def cer(self) -> float:
        """Character error rate: edits per character of the truth."""
        return self.whole.errors / max(self.whole.characters, 1)

    def describe(self) -> str:
        rows = [self.whole.describe(), *(part.describe() for part in self.slices)]
        return "\n".join(rows + [f"    {truth!r} read as {reading!r}" for truth, reading in self.misreads])


def count(name: str, pairs: Iterable[tuple[str, str]]) -> Slice:
    """Counts over (truth, reading) pairs."""
    listed = list(pairs)
    return Slice(
        name,
        len(listed),
        sum(truth == reading for truth, reading in listed),
        sum(fold(truth) == fold(reading) for truth, reading in listed),
        sum(Levenshtein.distance(truth, reading) for truth, reading in listed),
        sum(len(truth) for truth, _ in listed),
    )


@torch.no_grad()
def read_all(model: nn.Module, batches: EvalBatches, bfloat16: bool) -> dict[int, str]:
    """The best-path text of every crop, by its index in the shards."""
    model.eval()
    device = next(model.parameters()).device
    found = {}
    for number in range(len(batches)):
        pictures, members = batches[number]
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            best = model(pictures.to(device).contiguous(memory_format=torch.channels_last)).argmax(-1).cpu()
        for index, columns in zip(members, best, strict=True):
            merged = torch.unique_consecutive(columns)
            found[index] = "".join(ALPHABET[c - 1] for c in merged.tolist() if c)
    return found


def evaluate(model: nn.Module, shards: LineShards, crop: CropSettings, limit: int, bfloat16: bool, misreads: int = 12) -> Score:
    """Read up to ``limit`` held-out lines (0: all), evenly spread, and compare."""
    batches = EvalBatches(shards, crop, limit)
    found = read_all(model, batches, bfloat16)
    pairs = {index: (batches.texts[index], text) for index, text in found.items()}
    slices = []
    limits = (*HEIGHT_BINS, float("inf"))
    for low, high in pairwise(limits):
        inside = [pair for index, pair in pairs.items() if low <= shards.rows[index].get("height_px", 0.0) < high]
        if inside:
            slices.append(count(f"{low:.0f}-{high:.0f} px", inside))
    styles = {index: str(shards.rows[index].get("style", "")) for index in pairs}
    for style in sorted(set(styles.values()) - {""}):
        inside = [pair for index, pair in pairs.items() if styles[index] == style]
        slices.append(count(style, inside))
    wrong = [pair for pair in pairs.values() if fold(pair[0]) != fold(pair[1])]
    stride = max(1, len(wrong) // misreads) if misreads else 1
    return Score(count("all", pairs.values()), tuple(slices), tuple(wrong[::stride][:misreads]))
