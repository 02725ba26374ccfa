"""The same picture twice in a set of photos: byte for byte, or scaled, recompressed or cut a little.

Perceptual hashes find candidates; small copies of the two pictures are then compared, because bare walls look alike to a hash.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import networkx as nx
import numpy as np
from numpy.typing import NDArray

from ..contract import TagtraceError
from ..models.pictures import close_pairs, distance, picture_hash
from .photos import decode_photo, read_bytes
from .truth import PhotoTruth

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class DoubleSettings:
    """When two pictures are the same one."""

    most_bits: int = 6
    """Bits (of 64) in which the hashes of copies differ at most."""
    least_correlation: float = 0.95
    """Least correlation (-1..1) of the small grey copies of the two pictures."""
    small_px: int = 48
    """Side of the small copies in pixels."""


DEFAULT = DoubleSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Print:
    """What a picture is recognised by: SHA-256 of its bytes, perceptual hash (None for bare surfaces), a small grey copy
    (``float32``, square, mean 0 and length 1), and its pixels in number."""

    sha256: str
    hash: int | None
    small: NDArray[np.float32]
    pixels: int


@dataclass(frozen=True, slots=True)
class Double:
    """Two names of one picture: ``exact`` when the files are the same bytes, else ``bits`` is the difference of the hashes."""

    first: str
    second: str
    exact: bool
    bits: int = 0


def print_of(path: Path, settings: DoubleSettings = DEFAULT) -> Print:
    """The print of a photo's file. Raises TagtraceError when it is missing or no picture."""
    data = read_bytes(path)
    pixels = decode_photo(data, str(path))
    side = settings.small_px
    grey = cv2.cvtColor(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey -= grey.mean()
    small = np.asarray(grey / max(float(np.linalg.norm(grey)), 1e-6), np.float32)
    return Print(hashlib.sha256(data).hexdigest(), picture_hash(pixels), small, pixels.shape[0] * pixels.shape[1])


def prints_of(
    photos: Mapping[str, Path], settings: DoubleSettings = DEFAULT, progress: Progress | None = None
) -> tuple[dict[str, Print], dict[str, str]]:
    """The prints of photos (files by name), and why others have none: they are missing or no pictures."""
    prints: dict[str, Print] = {}
    failed: dict[str, str] = {}
    for number, (name, path) in enumerate(photos.items(), 1):
        try:
            prints[name] = print_of(path, settings)
        except TagtraceError as error:
            failed[name] = str(error)
        if progress is not None:
            progress(number)
    return prints, failed


def find_doubles(prints: Mapping[str, Print], settings: DoubleSettings = DEFAULT) -> list[Double]:
    """Every pair of names that are one picture, in order of the names; of n equal files n - 1 pairs with the first."""
    by_sha: dict[str, list[str]] = defaultdict(list)
    for name in sorted(prints):
        by_sha[prints[name].sha256].append(name)
    found = [Double(names[0], other, True) for names in by_sha.values() for other in names[1:]]
    hashed = [names[0] for names in by_sha.values() if prints[names[0]].hash is not None]
    for i, j in close_pairs([prints[name].hash or 0 for name in hashed], settings.most_bits):
        a, b = sorted((hashed[i], hashed[j]))
        alike = float(np.vdot(prints[a].small, prints[b].small))
        if alike >= settings.least_correlation:
            found.append(Double(a, b, False, distance(prints[a].hash or 0, prints[b].hash or 0)))
    return sorted(found, key=lambda double: (double.first, double.second))


def groups_of(doubles: Sequence[Double]) -> list[list[str]]:
    """The names that are one picture, together: connected components, each sorted, in order of their first names."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_edges_from((double.first, double.second) for double in doubles)
    return sorted(sorted(part) for part in nx.connected_components(graph))


def to_remove(
    groups: Sequence[Sequence[str]], prints: Mapping[str, Print], truth: Mapping[str, PhotoTruth] | None = None
) -> list[str]:
    """The photos to take out so that each group keeps one: the one with most labelled lines, then most pixels, then by name."""

    def rank(name: str) -> tuple[int, int, str]:
        photo = (truth or {}).get(name)
        lines = sum(len(ad.lines) for ad in photo.ads) if photo is not None else -1
        return (-lines, -prints[name].pixels, name)

    return sorted(name for group in groups for name in sorted(group, key=rank)[1:])
