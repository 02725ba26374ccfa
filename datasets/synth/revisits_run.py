"""Write a data set of walls that are photographed several times: photos, truth, the list of walls and of known shops."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from ...contract import IdentifierKind, Resource
from ..files import atomic_text
from ..truth import CODE_KIND, PhotoTruth, photo_to_json, read_truth
from ..world import World
from ..world.listing import make_listing
from .compose import Shot
from .revisits import RevisitSettings, age, make_inscription, name_adverts, paint_wall, plan_wall, resend, visit
from .run import CITIES, FIRST_DAY, SPLITS, Job, pick_orientation, rng_of, spread, stage, store_photo

WALLS_FILE, REGISTRY_FILE = "walls.csv", "registry.csv"
_PLANS, _WALLS = 2, 3
"""Streams of random numbers, beside those of single photos (0) and line crops (1)."""
_METRES_PER_DEGREE = 111_320.0


def make_wall_photos(job: Job, number: int, settings: RevisitSettings) -> list[str]:
    """Write every photo of wall ``number`` and return their truth, one line of JSON each."""
    world, fonts, backgrounds = stage(job.seed, job.split, job.fonts, job.backgrounds)
    plan = plan_wall(rng_of(job, _PLANS, number), number, settings)
    seed = (job.seed, SPLITS.index(job.split), _WALLS, plan.origin)
    inscription = make_inscription(seed, plan, world, fonts, settings)
    rng = rng_of(job, _WALLS, number)
    wall = paint_wall(rng, inscription, world, fonts, settings, backgrounds)
    city = CITIES[int(rng.integers(len(CITIES)))]
    where = (city[0] + float(rng.normal(0, 0.03)), city[1] + float(rng.normal(0, 0.03)))
    when = FIRST_DAY + timedelta(minutes=int(rng.integers(0, 200 * 1440)))
    taken: list[Shot] = []
    rows = []
    for index in range(settings.photos):
        name = f"{job.split}_{number:05d}_{index}.jpg"
        if index:
            when += timedelta(minutes=int(rng.exponential(settings.days) * 1440) + 1)
            age(rng, wall, settings)
        copy = bool(taken) and bool(rng.random() < settings.resent)
        shot = resend(rng, taken[int(rng.integers(len(taken)))], name) if copy else visit(rng, wall, settings, name, job.split)
        if not copy:
            taken.append(shot)
        truth = _store(rng, shot, Path(job.out) / job.split / "photos" / name, where, when, copy, settings)
        rows.append(photo_to_json(name_adverts(truth, inscription.plan, wall)))
    return rows


def _store(
    rng: np.random.Generator,
    shot: Shot,
    path: Path,
    where: tuple[float, float],
    when: datetime,
    copy: bool,
    settings: RevisitSettings,
) -> PhotoTruth:
    """Save one photo with the place that its phone believes in; messengers and some phones tell none."""
    error = rng.normal(0, settings.gps_error_m, 2) / _METRES_PER_DEGREE
    lat = round(where[0] + float(error[0]), 6)
    lon = round(where[1] + float(error[1]) / float(np.cos(np.radians(where[0]))), 6)
    placed = not copy and bool(rng.random() >= settings.no_gps)
    return store_photo(shot, path, 1 if copy else pick_orientation(rng), (lat, lon) if placed else None, when)


def _task(task: tuple[Job, int, RevisitSettings]) -> list[str]:
    return make_wall_photos(*task)


def revisit(
    job: Job,
    walls: int,
    settings: RevisitSettings,
    workers: int = 1,
    on_progress: Callable[[str, int], None] | None = None,
    listed: int = 0,
) -> None:
    """Write ``walls`` walls, ``settings.photos`` photos of each, below ``job.out``.

    Layout: ``<split>/photos/*.jpg``, ``truth.jsonl``, ``walls.csv`` (truth: where each advert is and how many photos show it) and
    ``registry.csv`` (the shops that are known; with ``listed``, filled up with like and other contacts to so many, see
    ``make_listing``). ``on_progress("photos", done)`` is called as walls are finished.
    """
    base = Path(job.out) / job.split
    (base / "photos").mkdir(parents=True, exist_ok=True)
    done = 0
    with atomic_text(base / "truth.jsonl") as out:
        for rows in spread(_task, [(job, number, settings) for number in range(walls)], workers):
            out.writelines(row + "\n" for row in rows)
            done += len(rows)
            if on_progress is not None:
                on_progress("photos", done)
    world = World(job.seed, job.split)
    truth = read_truth(base / "truth.jsonl")
    _write_walls(base / WALLS_FILE, truth, world)
    known = make_listing(world, listed, job.seed, _painted(truth)) if listed else _known(world)
    _write_registry(base / REGISTRY_FILE, known)
    described = asdict(job) | {"out": "", "walls": walls, "revisits": asdict(settings), "listed": listed}
    (base / "settings.json").write_text(json.dumps(described, indent=1), encoding="utf-8")


def _write_walls(path: Path, photos: Sequence[PhotoTruth], world: World) -> None:
    """One row per advert, with the mean of its photos' positions."""
    known = {shop.shop_id for shop in world.shops if shop.registered}
    count = Counter(ad.wall_id for photo in photos for ad in photo.ads)
    first = {ad.wall_id: (photo, ad) for photo in reversed(photos) for ad in photo.ads}
    with atomic_text(path) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(
            ["wall_id", "site_id", "shop_id", "shop_known", "style", "lat", "lon", "photos", "stencil_id", "relation"]
        )
        for wall_id in sorted(first):
            photo, ad = first[wall_id]
            places = [(p.lat, p.lon) for p in photos if any(a.wall_id == wall_id for a in p.ads)]
            known_places = [(lat, lon) for lat, lon in places if lat is not None and lon is not None]
            place = [f"{value:.6f}" for value in np.mean(known_places, axis=0)] if known_places else ["", ""]
            facts = [wall_id, photo.site_id, ad.shop_id, int(ad.shop_id in known), ad.style]
            writer.writerow([*facts, *place, count[wall_id], ad.extra["stencil_id"], ad.extra["relation"]])


def _painted(photos: Sequence[PhotoTruth]) -> set[tuple[IdentifierKind, str]]:
    """The contacts on the walls, in letters and in codes."""
    kinds = {kind.value for kind in IdentifierKind}
    lines = (line for photo in photos for ad in photo.ads for line in ad.lines)
    named = ((line.extra.get("payload_kind") if line.kind == CODE_KIND else line.kind, line.canonical) for line in lines)
    return {(IdentifierKind(kind), value) for kind, value in named if kind in kinds}


def _known(world: World) -> list[Resource]:
    return [r for shop in world.shops if shop.registered for r in shop.resources]


def _write_registry(path: Path, resources: Sequence[Resource]) -> None:
    with atomic_text(path) as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["shop_id", "shop_name", "kind", "value", "first_seen", "status"])
        for r in resources:
            writer.writerow([r.shop_id, r.shop_name, r.kind.value, r.value, "", r.status])
