"""Write a synthetic data set: photos with truth, and line crops, from one seed, on several cores.

Every photo and every block of crops has a random generator of its own, seeded by (seed, split, number): the result does not
depend on the number of workers, and a set can be made longer later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image as PillowImage

from ...contract import TagtraceError
from ..fonts import Font, catalogue
from ..lineshards import LineShardWriter
from ..truth import PhotoTruth, photo_to_json
from ..world import World
from .compose import Shot, SynthSettings, compose
from .lines import LineSettings, label, line_crops

_T = TypeVar("_T")
_R = TypeVar("_R")

SPLITS = ("train", "val", "test")
CROPS_PER_BLOCK = 2000
"""Line crops that one random generator makes: one shard."""

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
CITIES = ((51.13, 71.43), (43.24, 76.91), (42.32, 69.59), (49.80, 73.10), (50.28, 57.17))
_ORIENTED = {
    1: None,
    3: PillowImage.Transpose.ROTATE_180,
    6: PillowImage.Transpose.ROTATE_90,
    8: PillowImage.Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker needs to know; small enough to send to a process."""

    out: str
    seed: int
    split: str
    backgrounds: tuple[str, ...]
    fonts: tuple[str, ...]
    settings: SynthSettings
    lines: LineSettings


def rng_of(job: Job, stream: int, number: int) -> np.random.Generator:
    """The generator of one photo, block of crops or wall; ``stream`` tells these apart."""
    return np.random.default_rng([job.seed, SPLITS.index(job.split), stream, number])


@lru_cache(maxsize=4)
def stage(
    seed: int, split: str, fonts: tuple[str, ...], backgrounds: tuple[str, ...]
) -> tuple[World, tuple[Font, ...], tuple[Path, ...]]:
    """What every photo of a split is made from: its shops, fonts and pictures of walls; kept for the next photo."""
    cv2.setNumThreads(1)
    return (
        World(seed, split),
        catalogue(split, [Path(f) for f in fonts]),
        split_backgrounds([Path(b) for b in backgrounds], split),
    )


def split_backgrounds(folders: Sequence[Path], split: str) -> tuple[Path, ...]:
    """The pictures below ``folders`` that belong to a split: eight in ten train, the ninth val, the tenth test."""
    found = sorted(
        p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".tga", ".webp"}
    )
    if folders and not found:
        raise TagtraceError(f"--backgrounds: no picture (jpg, png, tga, webp) below {', '.join(map(str, folders))}")
    place = {"val": (8,), "test": (9,), "train": tuple(range(8))}[split]
    return tuple(p for i, p in enumerate(found) if i % 10 in place)


def make_photo(job: Job, number: int) -> str:
    """Write photo ``number`` of the split and return its truth as one line of JSON."""
    world, fonts, backgrounds = stage(job.seed, job.split, job.fonts, job.backgrounds)
    rng = rng_of(job, 0, number)
    name = f"{job.split}_{number:06d}.jpg"
    shot = compose(rng, world, fonts, job.settings, name, job.split, backgrounds)
    truth = _save(rng, shot, Path(job.out) / job.split / "photos" / name)
    return photo_to_json(truth)


def _save(rng: np.random.Generator, shot: Shot, path: Path) -> PhotoTruth:
    """Save as a phone does: stored turned with an EXIF orientation, with GPS and time; returns the truth with them."""
    orientation = pick_orientation(rng)
    city = CITIES[int(rng.integers(len(CITIES)))]
    lat, lon = (round(float(c + rng.normal(0, 0.03)), 6) for c in city)
    taken = FIRST_DAY + timedelta(minutes=int(rng.integers(0, 300 * 1440)))
    return store_photo(shot, path, orientation, (lat, lon), taken)


def pick_orientation(rng: np.random.Generator) -> int:
    """Draw the EXIF orientation with which a phone stores a picture."""
    return int(rng.choice([1, 3, 6, 8], p=[0.75, 0.05, 0.15, 0.05]))


def store_photo(shot: Shot, path: Path, orientation: int, place: tuple[float, float] | None, taken: datetime) -> PhotoTruth:
    """Write a JPEG turned by an EXIF ``orientation``, with its time, and its place (latitude, longitude) where that is known.

    Returns the truth of the photo with these facts.
    """
    turn = _ORIENTED[orientation]
    picture = PillowImage.fromarray(shot.picture)
    stored = picture.transpose(turn) if turn is not None else picture
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "synthetic"
    exif.get_ifd(0x8769)[0x9003] = taken.strftime("%Y:%m:%d %H:%M:%S")
    lat, lon = place if place is not None else (None, None)
    if lat is not None and lon is not None:
        exif.get_ifd(0x8825).update({1: "N", 2: _dms(lat), 3: "E", 4: _dms(lon)})
    stored.save(path, "JPEG", quality=shot.quality, exif=exif)
    return replace(shot.truth, lat=lat, lon=lon, taken_at=taken.strftime("%Y-%m-%dT%H:%M:%S"), orientation=orientation)


def _dms(value: float) -> tuple[float, float, float]:
    degrees, rest = divmod(abs(value), 1)
    minutes, rest = divmod(rest * 60, 1)
    return (degrees, minutes, round(rest * 60, 4))


def make_lines(job: Job, block: int, count: int) -> int:
    """Write one shard of ``count`` line crops."""
    world, fonts, backgrounds = stage(job.seed, job.split, job.fonts, job.backgrounds)
    rng = rng_of(job, 1, block)
    with LineShardWriter(Path(job.out) / job.split / "lines", shard_crops=count, first=block, stride=1_000_000) as writer:
        for crop in islice(line_crops(rng, world, fonts, job.lines, backgrounds), count):
            writer.add(
                crop.picture,
                label(crop.text.text, crop.text.kind),
                height_px=round(crop.height_px, 1),
                style=crop.style,
                kind=crop.text.kind,
            )
    return count


def _photo_task(task: tuple[Job, int]) -> str:
    return make_photo(*task)


def _lines_task(task: tuple[Job, int, int]) -> int:
    return make_lines(*task)


def synthesise(
    job: Job, photos: int, lines: int, workers: int = 1, on_progress: Callable[[str, int], None] | None = None
) -> None:
    """Write ``photos`` photos and ``lines`` line crops of one split below ``job.out``.

    Layout: ``<split>/photos/*.jpg``, ``<split>/truth.jsonl``, ``<split>/lines/shard-*``. ``on_progress(what, done)`` is called as
    photos and crops are finished. What exists is not made again: line shards are skipped, photos are written anew.
    """
    base = Path(job.out) / job.split
    (base / "photos").mkdir(parents=True, exist_ok=True)
    report = on_progress or (lambda what, done: None)
    blocks = [(job, b, min(CROPS_PER_BLOCK, lines - b * CROPS_PER_BLOCK)) for b in range(-(-lines // CROPS_PER_BLOCK))]
    blocks = [task for task in blocks if not (base / "lines" / f"shard-{task[1]:05d}.jsonl").exists()]
    if photos:
        part = base / "truth.jsonl.part"
        with part.open("w", encoding="utf-8") as out:
            for done, row in enumerate(spread(_photo_task, [(job, n) for n in range(photos)], workers), 1):
                out.write(row + "\n")
                report("photos", done)
        part.replace(base / "truth.jsonl")
    done = 0
    for count in spread(_lines_task, blocks, workers):
        done += count
        report("lines", done)
    (base / "settings.json").write_text(
        json.dumps(asdict(job) | {"out": "", "photos": photos, "lines": lines}, indent=1), encoding="utf-8"
    )


def spread(work: Callable[[_T], _R], tasks: Sequence[_T], workers: int) -> Iterator[_R]:
    """The results of ``work`` in the order of ``tasks``, from ``workers`` processes."""
    if workers <= 1:
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, tasks, chunksize=1)
