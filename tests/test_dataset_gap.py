"""The gap between data sets: none between halves of one, a plain one where pictures were blurred; walls are never divided."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PilImage

from tagtrace import cli
from tagtrace.contract import BrokenInstallationError, ExitCode
from tagtrace.datasets.photos import load_photo
from tagtrace.datasets.truth import AdvertTruth, LineTruth, PhotoTruth, read_truth, write_truth
from tagtrace.models.recogniser import OnnxRecogniser
from tagtrace.models.registry import Task, resolve
from tagtrace.training.gap import GapSettings, cliff, compare, frechet, tell_apart
from tagtrace.training.gap_report import telling, verdict
from tagtrace.training.gap_samples import Sample, Samples, head_input, last_of, open_layer
from tagtrace.training.gap_statistics import jpeg_quality, noise, sharpness, stroke_width

pytestmark = pytest.mark.train
QUICK = GapSettings(resamples=60, repeats=1)


def samples(shift: float, seed: int, walls: int = 40, per_wall: int = 3) -> Samples:
    """Samples of walls whose features stand ``shift`` standard deviations aside; those of one wall are alike."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(walls, 12)) + np.array([shift, *[0.0] * 11])
    features = np.repeat(centres, per_wall, axis=0) + 0.1 * rng.normal(size=(walls * per_wall, 12))
    photo = PhotoTruth(file="a.jpg", width=10, height=10)
    pixels = np.zeros((8, 8, 3), np.uint8)
    listed = [Sample(pixels, photo, f"W{i // per_wall}", {"shade": float(features[i, 0])}) for i in range(len(features))]
    return Samples(tuple(listed), features)


def test_halves_of_one_thing_have_no_gap_though_walls_are_told_apart_easily() -> None:
    gap = compare("lines", samples(0, 1), samples(0, 2), QUICK)
    assert gap.auc.low <= 0.5 <= gap.auc.high
    assert gap.distance.low <= 0 <= gap.distance.high and gap.p > 0.05
    assert verdict(gap) == "no gap is seen"


def test_a_gap_is_found_and_named() -> None:
    a, b = samples(0, 1), samples(3, 2)
    gap = compare("lines", a, b, QUICK)
    assert gap.auc.low > 0.9 and gap.distance.low > 0 and gap.p < 0.05
    (effect,) = gap.effects
    assert effect.name == "shade" and effect.delta.high < -0.7 and effect.d < -2
    likes = telling(gap, (a, b), 5)
    assert all(p < 0.2 for _, p in likes["like_a"]) and all(p > 0.8 for _, p in likes["like_b"])
    assert compare("lines", a, b, QUICK).to_json() == gap.to_json()


def test_a_wall_is_never_on_both_sides_of_a_fold() -> None:
    """Features that only name the wall are worth nothing when the wall was not seen before."""
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(30, 40)) * 5, 4, axis=0)
    groups = np.repeat(np.arange(30), 4)
    is_b = np.repeat(rng.permutation(30) < 15, 4)
    scores = tell_apart(features, is_b, groups, QUICK)
    # With the same walls in training, every sample would be recognised.
    assert np.mean((scores > 0.5) == is_b) < 0.8


def test_measures_of_difference_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(4000, 2))
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet(a, a * 3 + 2) == pytest.approx(8 + 2 * (3 - 1) ** 2, rel=0.08)
    assert cliff(np.array([1.0, 2, 3]), np.array([0.0, 2])) == pytest.approx((1 + 1 + 1 - 1 + 1) / 6)


def test_statistics_of_pictures_go_the_right_way(tmp_path: Path, root: Path) -> None:
    pixels = load_photo(root / "datasets/sample/photos/sample_0002.jpg")[300:500, 100:700]
    blurred = cv2.GaussianBlur(pixels, (0, 0), 3).astype(np.uint8)
    grainy = np.clip(blurred + np.random.default_rng(1).normal(0, 12, blurred.shape), 0, 255).astype(np.uint8)
    assert sharpness(blurred) < sharpness(pixels) < sharpness(grainy)
    # The noise is in each channel: brightness has the weighted mean of it.
    assert noise(grainy) == pytest.approx(12 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2), rel=0.2)
    for width in (4, 8):
        bars = np.full((40, 200, 3), 230, np.uint8)
        for x in range(20, 180, 40):
            bars[:, x : x + width] = 20
        assert stroke_width(bars) == pytest.approx(width / 40, abs=0.03)
    for quality in (40, 75, 95):
        PilImage.fromarray(pixels).save(tmp_path / "a.jpg", quality=quality)
        assert jpeg_quality(tmp_path / "a.jpg") == pytest.approx(quality, abs=2)
    PilImage.fromarray(pixels).save(tmp_path / "a.png")
    assert jpeg_quality(tmp_path / "a.png") is None


def test_inner_layers_of_the_shipped_models_are_reached() -> None:
    path = resolve(Task.RECOGNISER).path
    recogniser = open_layer(path, head_input)
    values = recogniser.run(np.zeros((2, 1, OnnxRecogniser(path).crop.height, 96), np.float32))
    assert values.ndim == 3 and len(values) == 2 and values.shape[2] > 32
    with pytest.raises(BrokenInstallationError, match="no part /nowhere/"):
        open_layer(resolve(Task.DETECTOR).path, last_of("/nowhere/"))


def test_the_command_measures_real_photos(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve walls against the same walls blurred: the sheets and the numbers name what was done to them."""
    listed = read_truth(root / "datasets/sample")
    truth = [p for p in listed if any(x.legible and x.kind != "qr" for ad in p.ads for x in ad.lines)]
    seen: dict[str, PhotoTruth] = {}
    for photo in truth:
        seen.setdefault(photo.ads[0].wall_id, photo)
    chosen = list(seen.values())[:12]
    for name in ("sharp", "blurred"):
        (tmp_path / name / "photos").mkdir(parents=True)
        for photo in chosen:
            pixels = load_photo(root / "datasets/sample/photos" / photo.file)
            pixels = cv2.GaussianBlur(pixels, (0, 0), 2.5).astype(np.uint8) if name == "blurred" else pixels
            PilImage.fromarray(pixels).save(tmp_path / name / "photos" / photo.file, quality=90)
        write_truth(tmp_path / name / "truth.jsonl", [replace(photo, orientation=None) for photo in chosen])
    out = tmp_path / "out"
    arguments = ["dataset", "gap", str(tmp_path / "sharp"), str(tmp_path / "blurred"), "--out", str(out), "--resamples", "40"]
    assert cli.run(arguments) == ExitCode.OK
    found = json.loads((out / "gap.json").read_text())
    effects = {effect["name"]: effect["delta"] for effect in found["lines"]["effects"]}
    assert effects["sharpness"]["low"] > 0.5
    assert effects["height (px)"]["value"] == 0
    assert "| sharpness |" in capsys.readouterr().out
    for name in ("lines_like_a.png", "photos_like_b.png", "lines_alike.png", "effects.png"):
        with PilImage.open(out / name) as sheet:
            assert sheet.width > 400


def test_too_little_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quad = ((5.0, 5.0), (60.0, 5.0), (60.0, 25.0), (5.0, 25.0))
    line = LineTruth(text="@x", canonical="x", kind="telegram", quad=quad, legible=True, height_px=20)
    ad = AdvertTruth(wall_id="W", shop_id="S", style="", quad=line.quad, lines=(line,))
    PilImage.new("RGB", (80, 40), "grey").save(tmp_path / "a.png")
    write_truth(tmp_path / "truth.jsonl", [PhotoTruth(file="a.png", width=80, height=40, ads=(ad,))])
    assert cli.run(["dataset", "gap", str(tmp_path), str(tmp_path), "--out", str(tmp_path / "out")]) == ExitCode.USAGE
    assert "at least 10 are needed" in capsys.readouterr().err
