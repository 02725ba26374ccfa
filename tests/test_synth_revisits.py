"""The same walls photographed again: what must stay the same between photos does, and what must change does."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from rapidfuzz.distance import Levenshtein

from tagtrace.contract import TagtraceError
from tagtrace.datasets.commands import synth
from tagtrace.datasets.fonts import catalogue
from tagtrace.datasets.synth.compose import SynthSettings
from tagtrace.datasets.synth.lines import LineSettings
from tagtrace.datasets.synth.revisits import (
    SIBLING,
    STENCIL,
    WORN,
    RevisitSettings,
    WallPlan,
    age,
    make_inscription,
    paint_wall,
    plan_wall,
    resend,
    sibling_advert,
    visit,
)
from tagtrace.datasets.synth.revisits_run import revisit
from tagtrace.datasets.synth.run import Job
from tagtrace.datasets.truth import LineTruth, PhotoTruth, read_truth
from tagtrace.datasets.world import AdvertText, LineText, World
from tagtrace.linking.clusters import Sighting, distance_m
from tagtrace.linking.pictures import distance, picture_hash
from tagtrace.linking.shops import load_shops

LOOK = SynthSettings(long_side_min=320, long_side_max=384, cap_median=18, cap_spread=0.2, hard_share=0.0)
SMALL = RevisitSettings(photos=3, canvas=(420, 340), look=LOOK, resent=0.0, overpainted=0.0)
WALLS = 6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("revisits")
    revisit(Job(str(out), 3, "test", (), (), LOOK, LineSettings()), WALLS, replace(SMALL, resent=0.3))
    return out / "test"


@pytest.fixture(scope="module")
def truth(made: Path) -> list[PhotoTruth]:
    return read_truth(made)


def test_every_wall_has_its_photos_and_one_advert_throughout(truth: list[PhotoTruth], made: Path) -> None:
    assert len(truth) == WALLS * SMALL.photos
    for start in range(0, len(truth), SMALL.photos):
        photos = truth[start : start + SMALL.photos]
        assert len({photo.site_id for photo in photos}) == 1
        contents = {tuple((ad.wall_id, *((line.text, line.canonical) for line in ad.lines)) for ad in p.ads) for p in photos}
        assert len(contents) == 1
        times = [photo.taken_at or "" for photo in photos]
        assert times == sorted(times)
        assert len(set(times)) == len(times)
    for photo in truth:
        with PillowImage.open(made / "photos" / photo.file) as picture:
            turned = picture.getexif().get(0x0112, 1) in (6, 8)
            assert sorted(picture.size) == sorted((photo.width, photo.height))
            assert (picture.size != (photo.width, photo.height)) == turned
            assert bool(picture.getexif().get_ifd(0x8825)) == (photo.lat is not None)


def test_photos_of_one_wall_differ_and_are_taken_near_each_other(truth: list[PhotoTruth]) -> None:
    for start in range(0, len(truth), SMALL.photos):
        own = [photo for photo in truth[start : start + SMALL.photos] if "copy_of" not in photo.extra]
        views = {(photo.yaw, photo.pitch, photo.roll) for photo in own}
        assert len(views) == len(own)
        places = [Sighting(photo.file, 0, lat=photo.lat, lon=photo.lon) for photo in own]
        metres = [m for i, a in enumerate(places) for b in places[:i] if (m := distance_m(a, b)) is not None]
        assert all(m < 12 * SMALL.gps_error_m for m in metres)


def test_lists_of_walls_and_shops_agree_with_the_truth(truth: list[PhotoTruth], made: Path) -> None:
    walls = {row["wall_id"]: row for row in csv.DictReader((made / "walls.csv").open(encoding="utf-8"))}
    known = {row["shop_id"] for row in csv.DictReader((made / "registry.csv").open(encoding="utf-8"))}
    adverts = [ad for photo in truth for ad in photo.ads]
    assert {ad.wall_id for ad in adverts} == set(walls)
    for ad in adverts:
        row = walls[ad.wall_id]
        assert (row["shop_id"], row["style"], row["stencil_id"]) == (ad.shop_id, ad.style, ad.extra["stencil_id"])
        assert int(row["photos"]) == sum(other.wall_id == ad.wall_id for other in adverts)
        assert (row["shop_known"] == "1") == (ad.shop_id in known)


def test_a_long_list_keeps_the_truth_of_the_walls_and_holds_names_one_slip_away(tmp_path: Path) -> None:
    revisit(Job(str(tmp_path), 3, "test", (), (), LOOK, LineSettings()), WALLS, replace(SMALL, photos=1), listed=900)
    rows = list(csv.DictReader((tmp_path / "test" / "registry.csv").open(encoding="utf-8")))
    owners = {(row["kind"], row["value"]): row["shop_id"] for row in rows}
    assert len(rows) == len(owners) == 900
    world = World(3, "test")
    own = {(r.kind.value, r.value): shop for shop in world.shops for r in shop.resources}
    assert all(owners.get(key) == (shop.shop_id if shop.registered else None) for key, shop in own.items())
    painted = {
        (line.extra.get("payload_kind", line.kind), line.canonical)
        for photo in read_truth(tmp_path / "test")
        for ad in photo.ads
        for line in ad.lines
    }
    assert all(owners[key] == own[key].shop_id for key in painted & owners.keys())
    clones = [row["value"] for row in rows if row["shop_id"].startswith("C")]
    assert len(clones) > 20
    assert all(min(Levenshtein.distance(value, known) for _, known in own) == 1 for value in clones)
    assert len(load_shops(tmp_path / "test" / "registry.csv").resources) == 900


def test_worn_walls_show_smaller_letters_of_which_fewer_are_legible() -> None:
    def lines(settings: RevisitSettings) -> list[LineTruth]:
        world, fonts = World(1, "test"), catalogue("test")
        small = replace(settings, canvas=SMALL.canvas, look=replace(settings.look, long_side_min=320, long_side_max=384))
        shown: list[LineTruth] = []
        for seed in range(10):
            rng = np.random.default_rng(seed)
            wall = paint_wall(rng, make_inscription([5, seed], WallPlan(0, 0, "own"), world, fonts, small), world, fonts, small)
            for _ in range(2):
                age(rng, wall, small)
                shown += [line for ad in visit(rng, wall, small, "a.jpg", "test").truth.ads for line in ad.lines]
        return shown

    worn, usual = lines(WORN), lines(RevisitSettings())
    assert np.median([line.height_px for line in worn]) < np.median([line.height_px for line in usual])
    assert np.mean([line.legible for line in worn]) < np.mean([line.legible for line in usual])


def test_worn_walls_and_long_lists_are_for_walls_seen_several_times(tmp_path: Path) -> None:
    with pytest.raises(TagtraceError, match="give --sightings"):
        synth(tmp_path, worn=True)


def test_the_same_seed_gives_the_same_set(tmp_path: Path, made: Path) -> None:
    revisit(Job(str(tmp_path), 3, "test", (), (), LOOK, LineSettings()), 1, replace(SMALL, resent=0.3))
    again = (tmp_path / "test" / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    assert again == (made / "truth.jsonl").read_text(encoding="utf-8").splitlines()[: SMALL.photos]
    for photo in (tmp_path / "test" / "photos").iterdir():
        assert photo.read_bytes() == (made / "photos" / photo.name).read_bytes()


def test_later_walls_of_a_round_repeat_the_first_one() -> None:
    plans = [plan_wall(np.random.default_rng([1, n]), n, SMALL) for n in range(300)]
    assert all(plan.origin == plan.wall for plan in plans[:: SMALL.round_walls])
    assert all(plan.origin == plan.wall - plan.wall % SMALL.round_walls for plan in plans if plan.relation != "own")
    later = [plan.relation for plan in plans if plan.wall % SMALL.round_walls]
    assert later.count(STENCIL) / len(later) == pytest.approx(SMALL.same_stencil, abs=0.1)
    assert later.count(SIBLING) / len(later) == pytest.approx(SMALL.sibling, abs=0.1)


def test_a_stencil_is_the_same_elsewhere_and_a_sibling_is_another_name() -> None:
    world, fonts = World(1, "test"), catalogue("test")
    seen = set()
    for seed in range(12):
        first = make_inscription([7, seed], WallPlan(0, 0, "own"), world, fonts, SMALL)
        again = make_inscription([7, seed], WallPlan(1, 0, STENCIL), world, fonts, SMALL)
        other = make_inscription([7, seed], WallPlan(2, 0, SIBLING), world, fonts, SMALL)
        assert again.advert == first.advert
        if first.style in ("stencil", "stamp", "sticker", "poster"):
            assert np.array_equal(again.block.alpha, first.block.alpha)
        else:
            assert not np.array_equal(again.block.alpha, first.block.alpha)
        values = [{line.canonical for line in i.advert.lines if line.kind == "telegram"} for i in (first, other)]
        assert (values[0] != values[1]) == (other.plan.relation == SIBLING)
        assert other.advert.shop_id == first.advert.shop_id
        seen.add(other.plan.relation)
    assert SIBLING in seen


def test_a_sibling_keeps_the_spelling_and_loses_the_code() -> None:
    world = World(1, "test")
    shop = world.shops[0]
    lines = (LineText("РАБОТА", "РАБОТА", "word"), LineText("ТГ @SHYN_KZ1", "shyn_kz1", "telegram", evasion="upper"))
    advert = AdvertText(shop.shop_id, lines, "https://t.me/shyn_kz1", ("telegram", "shyn_kz1"))
    other = sibling_advert(np.random.default_rng(0), advert, world)
    assert other.lines[0] == lines[0]
    assert other.lines[1].canonical != "shyn_kz1"
    assert other.lines[1].text == f"ТГ @{other.lines[1].canonical.upper()}"
    assert other.code_payload is None


def test_paint_fades_towards_the_wall_and_never_comes_back() -> None:
    world, fonts = World(1, "test"), catalogue("test")
    inscription = make_inscription([1, 4], WallPlan(0, 0, "own"), world, fonts, SMALL)
    wall = paint_wall(np.random.default_rng(1), inscription, world, fonts, SMALL)
    distances = []
    for _ in range(5):
        distances.append(float(np.abs(wall.plane.albedo - wall.bare).sum()))
        age(np.random.default_rng(len(distances)), wall, replace(SMALL, fade=0.5))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.9 * distances[0]


def corners_seen(settings: RevisitSettings) -> float:
    """Share of the adverts' corners that lie in their photos."""
    world, fonts = World(1, "test"), catalogue("test")
    seen = []
    for seed in range(4):
        inscription = make_inscription([5, seed], WallPlan(0, 0, "own"), world, fonts, SMALL)
        rng = np.random.default_rng(seed)
        wall = paint_wall(rng, inscription, world, fonts, SMALL)
        shots = [visit(rng, wall, settings, "a.jpg", "test").truth for _ in range(3)]
        seen += [0 <= x <= t.width and 0 <= y <= t.height for t in shots for ad in t.ads for x, y in ad.quad]
    return float(np.mean(seen))


def test_photographers_take_care_to_show_the_whole_advert() -> None:
    careful, careless = (corners_seen(replace(SMALL, cut=cut, zoom=1.2)) for cut in (0.0, 1.0))
    assert careful > 0.7
    assert careful > careless + 0.1


def test_a_resent_photo_is_the_same_picture() -> None:
    world, fonts = World(1, "test"), catalogue("test")
    inscription = make_inscription([5, 1], WallPlan(0, 0, "own"), world, fonts, SMALL)
    rng = np.random.default_rng(1)
    shot = visit(rng, paint_wall(rng, inscription, world, fonts, SMALL), SMALL, "a.jpg", "test")
    copy = resend(rng, shot, "b.jpg")
    assert copy.truth.extra["copy_of"] == "a.jpg"
    assert copy.picture.shape[:2] == (copy.truth.height, copy.truth.width)
    first, second = picture_hash(shot.picture), picture_hash(copy.picture)
    assert first is not None
    assert second is not None
    assert distance(first, second) <= 6
    factor = copy.truth.width / shot.truth.width
    for ad, old in zip(copy.truth.ads, shot.truth.ads, strict=True):
        assert np.allclose(np.array(ad.quad), np.array(old.quad) * factor, atol=3.0)
