"""The data card of a set of photos: what is in it, counted from its truth, for whoever trains or measures with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .files import atomic_text
from .truth import CODE_KIND, WORD_KIND, AdvertTruth, LineTruth, PhotoTruth

DESCRIPTION = (
    "Photos of fictional adverts on walls. Every shop, handle, link, phone and address in them is invented; "
    "whoever finds a real one should report it."
)


@dataclass(frozen=True, slots=True)
class DataCardSettings:
    """How numbers are grouped."""

    height_px: tuple[float, ...] = (8, 12, 16, 24, 32, 48, 64, 96)
    """Borders between groups of line heights, in pixels."""
    angle_deg: tuple[float, ...] = (10, 20, 30, 45, 60)
    """Borders between groups of camera angles, in degrees without sign."""
    most_values: int = 30
    """Longer lists of values are cut off."""


DEFAULT_SETTINGS = DataCardSettings()


@dataclass(frozen=True, slots=True)
class Credit:
    """Something that the photos were made from and that has to be named: title, author, licence, and where it is from."""

    title: str
    author: str
    licence: str
    source: str = ""


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)" if whole else str(part)


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ") or "–"


def _table(title: str, counts: Mapping[str, int], most: int, whole: int) -> str:
    """A table of counts, the largest first, or in the given order where the names begin with numbers."""
    if not counts:
        return ""
    names = list(counts) if all(name[:1].isdigit() for name in counts) else sorted(counts, key=lambda n: (-counts[n], n))
    rows = [f"| {_cell(name)} | {_share(counts[name], whole)} |" for name in names[:most]]
    if len(names) > most:
        rows.append(f"| {len(names) - most} more | {_share(sum(counts[name] for name in names[most:]), whole)} |")
    return "\n".join([f"| {title} | |", "| :-- | --: |", *rows]) + "\n"


def grouped(values: Iterable[float], borders: Sequence[float], unit: str) -> dict[str, int]:
    """How many values lie between the borders, the lower border included; groups in their order."""
    edges = [0.0, *borders, float("inf")]
    counts, _ = np.histogram(list(values), bins=edges)
    names = [f"{low:g}-{high:g} {unit}" for low, high in zip(edges[:-2], borders, strict=True)]
    names.append(f"{borders[-1]:g}+ {unit}")
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def _size(photos: Sequence[PhotoTruth]) -> str:
    sides = sorted((max(p.width, p.height), min(p.width, p.height)) for p in photos)
    smallest, largest = (f"{long} × {short}" for long, short in (sides[0], sides[-1]))
    return smallest if smallest == largest else f"{smallest} to {largest}"


def _overview(photos: Sequence[PhotoTruth], adverts: Sequence[AdvertTruth], lines: Sequence[LineTruth]) -> str:
    negatives = sum(photo.negative for photo in photos)
    codes = [line for line in lines if line.kind == CODE_KIND]
    texts = [line for line in lines if line.kind != CODE_KIND]
    signs = {sign for line in texts for sign in line.text}
    identifiers = {(line.kind, line.canonical) for line in lines if line.kind != WORD_KIND}
    rows = [
        ("photos", str(len(photos))),
        ("without an advert", _share(negatives, len(photos))),
        ("pixels", _size(photos)),
        ("adverts", f"{len(adverts)} of {len({a.wall_id for a in adverts})} walls and {len({a.shop_id for a in adverts})} shops"),
        ("text lines", f"{len(texts)}, legible {_share(sum(x.legible for x in texts), len(texts))}"),
        ("codes", f"{len(codes)}, legible {_share(sum(x.legible for x in codes), len(codes))}"),
        ("different identifiers", str(len(identifiers))),
        ("text that is no advert", str(sum(len(photo.distractors) for photo in photos))),
        ("different characters", f"{len(signs)}: " + " ".join(sorted(signs - {" "}))),
    ]
    return "\n".join(["| | |", "| :-- | :-- |", *(f"| {name} | {_cell(value)} |" for name, value in rows)]) + "\n"


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    return dict(Counter(value for value in values if value))


def data_card(
    photos: Sequence[PhotoTruth],
    title: str = "Data card",
    description: str = DESCRIPTION,
    credits: Sequence[Credit] = (),
    settings: DataCardSettings = DEFAULT_SETTINGS,
) -> str:
    """The card in Markdown: an overview, then what the photos show, how it is painted, and how it was photographed.

    ``credits`` name what the photos were made from (backgrounds, textures, fonts) where the licence asks for it.
    """
    if not photos:
        return f"# {title}\n\n{description}\n\nThere are no photos.\n"
    adverts = [advert for photo in photos for advert in photo.ads]
    lines = [line for advert in adverts for line in advert.lines]
    distractors = [distractor for photo in photos for distractor in photo.distractors]
    most, shot = settings.most_values, len(photos)
    angles = {
        name: grouped((abs(a) for a in (getattr(p, name) for p in photos) if a is not None), settings.angle_deg, "deg")
        for name in ("yaw", "pitch", "roll")
    }
    parts = [
        f"# {title}\n\n{description}\n",
        _overview(photos, adverts, lines),
        "## What the photos show\n",
        _table("photos of the split", _counts(p.split for p in photos), most, shot),
        _table("without an advert they show", _counts(p.negative_kind for p in photos if p.negative), most, shot),
        _table(
            "text that is no advert",
            _counts(d.kind for d in distractors),
            most,
            len(distractors),
        ),
        "## What is painted, and how\n",
        _table("adverts by style", _counts(a.style for a in adverts), most, len(adverts)),
        _table("lines by kind", _counts(x.kind for x in lines), most, len(lines)),
        _table("lines disguised by", _counts(x.evasion for x in lines), most, len(lines)),
        _table("lines by height", grouped((x.height_px for x in lines), settings.height_px, "px"), most, len(lines)),
        "## How it was photographed\n",
        _table("photos by wall", _counts(p.material for p in photos), most, shot),
        _table("photos by light", _counts(p.light for p in photos), most, shot),
        _table("photos by difficulty", _counts(p.difficulty for p in photos), most, shot),
        _table("photos by what stands before the wall", _counts(p.occluder for p in photos), most, shot),
        *(_table(f"photos by {name}", groups, most, shot) for name, groups in angles.items()),
        _credits(credits),
    ]
    return "\n".join(part for part in parts if part)


def _credits(credits: Sequence[Credit]) -> str:
    if not credits:
        return ""
    rows = [f"| {_cell(c.title)} | {_cell(c.author)} | {_cell(c.licence)} | {_cell(c.source)} |" for c in credits]
    return "\n".join(["## Made from\n", "| what | by | licence | from |", "| :-- | :-- | :-- | :-- |", *rows]) + "\n"


def write_data_card(
    photos: Sequence[PhotoTruth],
    path: Path,
    title: str = "Data card",
    description: str = DESCRIPTION,
    credits: Sequence[Credit] = (),
    settings: DataCardSettings = DEFAULT_SETTINGS,
) -> None:
    """Write ``data_card`` to a file, atomically. Raises TagtraceError when it cannot be written."""
    with atomic_text(path) as out:
        out.write(data_card(photos, title, description, credits, settings))
