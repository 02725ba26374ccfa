"""Splits that leak nothing: what is of one advert, of one shop or of one picture comes into one split.

Photos that share a wall, a shop, a contact or a picture form a group (a connected component). A group's split follows from a hash
of the seed and the group's anchor, so that photos which are added later do not move the others about.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import networkx as nx

from ..contract import TagtraceError
from .datacard import write_data_card
from .doubles import Double
from .manifest import write_manifest
from .photos import inside, place_photo
from .truth import WORD_KIND, PhotoTruth, write_truth

ORDER = ("train", "val", "test")
"""What was trained on may not be measured on later: a group that had several splits gets the first of these."""


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """How photos are divided."""

    shares: tuple[tuple[str, float], ...] = (("train", 0.8), ("val", 0.1), ("test", 0.1))
    """Each split with its share (0..1) of the groups; together 1."""
    seed: int = 1

    def __post_init__(self) -> None:
        shares = [share for _, share in self.shares]
        if not shares or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise TagtraceError(f"the shares of the splits are {shares}: choose shares that add up to 1")


DEFAULT = SplitSettings()


@dataclass(frozen=True, slots=True)
class Splitting:
    """Which photo is in which split, and how that came about.

    ``groups`` are the photos that had to stay together, the largest first. ``moved`` are photos whose earlier split could not be
    kept, because a new photo ties them to one that had another.
    """

    of: Mapping[str, str]
    groups: tuple[tuple[str, ...], ...]
    moved: Mapping[str, tuple[str, str]]

    def counts(self) -> dict[str, int]:
        """Photos per split."""
        return dict(Counter(self.of.values()))


def keys_of(photo: PhotoTruth) -> set[str]:
    """What ties a photo to others: its shops, its walls, and the contacts painted on it."""
    shops = {f"shop {ad.shop_id}" for ad in photo.ads if ad.shop_id}
    walls = {f"wall {ad.wall_id}" for ad in photo.ads if ad.wall_id}
    lines = [line for ad in photo.ads for line in ad.lines]
    contacts = {f"contact {line.canonical}" for line in lines if line.kind != WORD_KIND and line.canonical}
    return shops | walls | contacts


def group_photos(photos: Sequence[PhotoTruth], doubles: Iterable[Double] = ()) -> list[list[str]]:
    """The names of photos that must stay in one split, the largest group first."""
    graph: nx.Graph[str] = nx.Graph()
    for photo in photos:
        graph.add_node(f"photo {photo.file}")
        graph.add_edges_from((f"photo {photo.file}", key) for key in keys_of(photo))
    names = {photo.file for photo in photos}
    graph.add_edges_from((f"photo {d.first}", f"photo {d.second}") for d in doubles if {d.first, d.second} <= names)
    parts = [sorted(n.removeprefix("photo ") for n in part if n.startswith("photo ")) for part in nx.connected_components(graph)]
    return sorted((part for part in parts if part), key=lambda part: (-len(part), part))


def _draw(seed: int, what: str) -> float:
    """A number in 0..1 that follows from the seed and a text."""
    return int.from_bytes(hashlib.sha256(f"{seed} {what}".encode()).digest()[:8], "big") / 2**64


def _chosen(anchor: str, settings: SplitSettings) -> str:
    at = _draw(settings.seed, f"split {anchor}")
    for name, share in settings.shares:
        if at < share:
            return name
        at -= share
    return [name for name, share in settings.shares if share > 0][-1]


def split_photos(
    photos: Sequence[PhotoTruth],
    doubles: Iterable[Double] = (),
    settings: SplitSettings = DEFAULT,
    before: Mapping[str, str] | None = None,
) -> Splitting:
    """Divide photos so that no wall, shop, contact or picture is in two splits.

    ``before`` are splits of photos that were divided earlier (by name): they are kept, and new photos of their groups follow.
    The anchor of a group is its shop, else its wall, contact or photo, with the smallest hash: adding photos seldom changes it.
    """
    by_name = {photo.file: photo for photo in photos}
    groups = group_photos(photos, doubles)
    of: dict[str, str] = {}
    moved: dict[str, tuple[str, str]] = {}
    for group in groups:
        keys = set().union(*(keys_of(by_name[name]) for name in group)) or {f"photo {name}" for name in group}
        sort = next(sort for sort in ("shop ", "wall ", "contact ", "photo ") if any(k.startswith(sort) for k in keys))
        anchor = min((key for key in keys if key.startswith(sort)), key=lambda key: (_draw(settings.seed, key), key))
        earlier = {name: (before or {})[name] for name in group if name in (before or {})}
        ranked = sorted(set(earlier.values()), key=lambda s: (ORDER.index(s) if s in ORDER else len(ORDER), s))
        split = ranked[0] if ranked else _chosen(anchor, settings)
        of |= dict.fromkeys(group, split)
        moved |= {name: (old, split) for name, old in earlier.items() if old != split}
    return Splitting(of, tuple(map(tuple, groups)), moved)


def find_leaks(photos: Sequence[PhotoTruth], of: Mapping[str, str], doubles: Iterable[Double] = ()) -> list[str]:
    """What stands in more than one split, in words; empty when nothing leaks. Photos without a split are left out."""
    where: dict[str, dict[str, str]] = defaultdict(dict)
    for photo in photos:
        if photo.file in of:
            for key in keys_of(photo):
                where[key].setdefault(of[photo.file], photo.file)
    found = [f"{key}: " + _places(splits) for key, splits in sorted(where.items()) if len(splits) > 1]
    for double in doubles:
        splits = {of[name]: name for name in (double.second, double.first) if name in of}
        if len(splits) > 1:
            found.append(f"picture: {_places(splits)} are one picture")
    return found


def write_splits(photos: Sequence[PhotoTruth], of: Mapping[str, str], folder: Path, out: Path) -> None:
    """Write each split as a data set of its own below ``out``: photos (from ``folder``), truth, data card, manifest.

    Raises TagtraceError when ``out`` holds files, or a photo is missing.
    """
    if out.exists() and any(out.iterdir()):
        raise TagtraceError(f"{out}: is not empty; choose another folder")
    for name in sorted(set(of.values())):
        part = [replace(photo, split=name) for photo in photos if of[photo.file] == name]
        for photo in part:
            place_photo(inside(folder, photo.file), inside(out / name / "photos", photo.file))
        write_truth(out / name / "truth.jsonl", part)
        write_data_card(part, out / name / "DATACARD.md", f"Split {name}", "One split of a data set that was divided.")
        write_manifest(out / name, {"split": name})


def _places(splits: Mapping[str, str]) -> str:
    return ", ".join(f"{file} in {split}" for split, file in sorted(splits.items()))
