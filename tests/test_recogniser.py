"""The recogniser from end to end on a tiny network: preparation, training, export, reading, EasyOCR."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tagtrace.contract import BrokenInstallationError, Recogniser, TagtraceError
from tagtrace.models.alphabet import ALPHABET, to_alphabet
from tagtrace.models.linecrop import CropSettings, brightness, grey, input_width, prepare, stretch
from tagtrace.models.recogniser import OnnxRecogniser, ReadSettings, confidence_of
from tagtrace.models.registry import Task, resolve
from tagtrace.models.runtime import Runtime

CROP = CropSettings()
TEXTS = ("@zz_test7", "t.me/zz_te", "+7 700 12", "АБВ где", "zz11ll.kz")


def line(text: str, paint: tuple[int, int, int] = (20, 20, 20), wall: tuple[int, int, int] = (190, 180, 170)) -> np.ndarray:
    """``text`` written plainly on a plain wall (characters that OpenCV cannot write become question marks)."""
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.3, 3)
    picture = np.full((height + base + 16, width + 24, 3), wall, np.uint8)
    cv2.putText(picture, text, (12, height + 6), cv2.FONT_HERSHEY_SIMPLEX, 1.3, paint, 3, cv2.LINE_AA)
    return picture


class TestAlphabet:
    def test_every_character_once(self) -> None:
        assert len(set(ALPHABET)) == len(ALPHABET)
        assert set("әғқңөұүһіӘҒҚҢӨҰҮҺІёЁ№@_→\\") <= set(ALPHABET)

    def test_typography_becomes_plain(self) -> None:
        assert to_alphabet(" t.me — «zz» \u00a0 ok… ") == 't.me - "zz" ok...'
        assert to_alphabet("漢") is None
        assert to_alphabet("") == ""


class TestPreparation:
    def test_width_keeps_proportion_within_limits(self) -> None:
        assert input_width(400, 50, CROP) == 320
        assert input_width(10, 50, CROP) == CROP.min_width
        assert input_width(9000, 50, CROP) == CROP.max_width
        assert all(input_width(w, 37, CROP) % CROP.width_step == 0 for w in range(50, 900, 7))

    def test_output_form(self) -> None:
        picture = prepare(line("zz_test"), CROP)
        assert picture.dtype == np.float32 and picture.shape[0] == CROP.height
        assert picture.min() == -1.0 and picture.max() == 1.0

    def test_paint_as_bright_as_the_wall_stays_visible(self) -> None:
        """Red on a green of the same brightness is flat in grey, and must not be for the network."""
        crop = line("zz_test", paint=(200, 40, 40), wall=(40, 122, 40))
        assert np.ptp(brightness(crop)) < 12
        assert prepare(crop, CROP).std() > 0.3

    def test_brighter_stays_brighter(self) -> None:
        for paint, wall in (((240, 60, 60), (20, 30, 90)), ((10, 10, 10), (200, 60, 60))):
            crop = line("zz_test", paint, wall)
            mask = np.abs(crop.astype(int) - np.array(paint)).sum(2) < 30
            seen = grey(crop, CROP)
            assert (seen[mask].mean() > seen[~mask].mean()) == (sum(paint) > sum(wall))

    def test_a_bare_wall_is_not_blown_up(self) -> None:
        noise = np.random.default_rng(0).normal(128, 2, (40, 200)).astype(np.float32)
        assert stretch(noise, CROP).std() < 0.25

    def test_turning_commutes_with_preparing(self) -> None:
        crop = line("zz_test")
        np.testing.assert_allclose(prepare(crop[::-1, ::-1].copy(), CROP), prepare(crop, CROP)[::-1, ::-1], atol=0.05)


def test_confidence_is_a_geometric_mean() -> None:
    from tagtrace.contract import Char

    assert confidence_of([Char("a", 0.25), Char("b", 1.0)]) == pytest.approx(0.5)
    assert confidence_of([]) == 0.0


def test_files_that_are_no_recogniser_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "zz.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(BrokenInstallationError, match=r"zz\.onnx"):
        OnnxRecogniser(path)
    with pytest.raises(BrokenInstallationError, match=r"gone\.onnx"):
        OnnxRecogniser(tmp_path / "gone.onnx")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some plain lines; every fourth is white on black."""
    from tagtrace.datasets.lineshards import LineShardWriter

    folder = tmp_path_factory.mktemp("lines")
    with LineShardWriter(folder) as writer:
        for i in range(24):
            text = TEXTS[i % len(TEXTS)]
            crop = line(text) if i % 4 else 255 - line(text)
            writer.add(crop, text, height_px=12.0 + i, style="plain", legible=i != 5)
        writer.add(line("zz"), "漢字", height_px=30)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights in all export forms."""
    torch = pytest.importorskip("torch")
    from tagtrace.training.recogniser import export
    from tagtrace.training.recogniser_net import Model

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("exported")
    export(Model(1 + len(ALPHABET)), folder, CROP)
    return folder


@pytest.mark.train
class TestReading:
    def test_readings_have_the_promised_form(self, exported: Path) -> None:
        reader = OnnxRecogniser(exported / "recogniser.onnx", ReadSettings(threads=1))
        assert isinstance(reader, Recogniser) and reader.alphabet == ALPHABET and len(reader.info.sha256) == 64
        readings = reader.read([line(t) for t in TEXTS] + [np.zeros((1, 1, 3), np.uint8)])
        assert readings[-1].text == "" and readings[-1].confidence == 0.0
        for crop_text, reading in zip(TEXTS, readings, strict=False):
            assert reading.log_probs is not None and reading.hypotheses[0].text == reading.text
            width = input_width(line(crop_text).shape[1], line(crop_text).shape[0], CROP)
            assert reading.log_probs.shape == (width // 4, 1 + len(ALPHABET))
            np.testing.assert_allclose(np.exp(reading.log_probs).sum(1), 1.0, atol=1e-4)
            assert "".join(c.text for c in reading.chars) == reading.text

    def test_a_crop_reads_the_same_in_any_company(self, exported: Path) -> None:
        reader = OnnxRecogniser(exported / "recogniser.onnx", ReadSettings(threads=1))
        crops = [line(t) for t in TEXTS] + [line(t) for t in reversed(TEXTS)]
        together = reader.read(crops)
        for crop, reading in zip(crops, together, strict=True):
            (alone,) = reader.read([crop])
            assert alone.text == reading.text and alone.flipped == reading.flipped
            assert alone.log_probs is not None and reading.log_probs is not None
            np.testing.assert_allclose(alone.log_probs, reading.log_probs, atol=1e-3)

    def test_a_quick_reading_is_completed_to_the_whole_one(self, exported: Path) -> None:
        reader = OnnxRecogniser(exported / "recogniser.onnx", ReadSettings(threads=1))
        crops = [line(t) for t in TEXTS] + [np.zeros((1, 1, 3), np.uint8)]
        for whole, quick in zip(reader.read(crops), reader.read(crops, quick=True), strict=True):
            done = reader.complete(quick)
            assert not quick.hypotheses and "".join(c.text for c in quick.chars) == quick.text
            assert (done.text, done.confidence, done.chars) == (whole.text, whole.confidence, whole.chars)
            assert [(h.text, h.log_prob) for h in done.hypotheses] == [(h.text, h.log_prob) for h in whole.hypotheses]


@pytest.mark.train
class TestTraining:
    def test_batches_are_repeatable_and_valid(self, shards: Path) -> None:
        from tagtrace.datasets.lineshards import LineShards
        from tagtrace.training.recogniser_augment import AugmentSettings
        from tagtrace.training.recogniser_data import BatchSettings, TrainBatches, usable

        lines = LineShards(shards)
        assert len(usable(lines, BatchSettings())) == 23, "illegible lines and other scripts are left out"
        one, two = (TrainBatches(lines, CROP, BatchSettings(), AugmentSettings(), 7, 0) for _ in range(2))
        other = TrainBatches(lines, CROP, BatchSettings(), AugmentSettings(), 8, 0)
        for number in range(len(one)):
            first, second = one[number], two[number]
            assert first.pictures.equal(second.pictures) and first.targets.equal(second.targets)
            assert first.pictures.shape[1:3] == (1, CROP.height) and first.pictures.abs().max() <= 1.0
            assert int(first.lengths.sum()) == len(first.targets)
            assert int(first.lengths.max()) <= first.pictures.shape[3] // 4
        assert not all(
            a.pictures.shape == b.pictures.shape and a.pictures.equal(b.pictures) for a, b in zip(one, other, strict=False)
        )

    def test_a_short_run_learns_resumes_and_exports(self, shards: Path, tmp_path: Path) -> None:
        pytest.importorskip("torch")
        from tagtrace.training import recogniser
        from tagtrace.training.recogniser_settings import NetworkSettings, RecogniserSettings

        said: list[str] = []
        settings = RecogniserSettings(
            data=(str(shards),),
            held_out=str(shards),
            out=str(tmp_path),
            start="scratch",
            steps=30,
            workers=0,
            log_every=5,
            network=NetworkSettings(stem=8, dims=(16, 24, 32), depths=(1, 1, 1), neck=32, layers=1, heads=2),
        )
        recogniser.train(replace(settings, steps=15), said.append)
        score = recogniser.train(settings, said.append)
        rows = [json.loads(row) for row in (tmp_path / "metrics.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows] == [5, 10, 15, 20, 25, 30], "the second run goes on"
        assert rows[-1]["loss"] < rows[0]["loss"]
        assert score.whole.lines == 23 and "plain" in score.describe()
        reader = OnnxRecogniser(tmp_path / "recogniser.onnx", ReadSettings(threads=1))
        assert len(reader.read([line(TEXTS[0])])) == 1

    def test_settings_from_toml(self, tmp_path: Path) -> None:
        pytest.importorskip("torch")
        from tagtrace.training.recogniser_settings import load_settings

        path = tmp_path / "run.toml"
        path.write_text('data = ["a", "b"]\nminutes = 5\n[crop]\nheight = 32\n[augment]\nshrink_px = [9, 20]\n')
        settings = load_settings(path)
        assert settings.data == ("a", "b") and settings.crop.height == 32 and settings.augment.shrink_px == (9, 20)
        path.write_text("heigth = 3\n")
        with pytest.raises(TagtraceError, match="heigth"):
            load_settings(path)


@pytest.mark.train
def test_start_weights_read_latin_at_once(tmp_path: Path) -> None:
    """With the weights of PP-OCRv6 small and no training, a plain line is read."""
    pytest.importorskip("torch")
    pytest.importorskip("rapidocr")
    from tagtrace.training.recogniser import export
    from tagtrace.training.recogniser_net import Model
    from tagtrace.training.recogniser_start import load_ppocr, ppocr_file

    model = Model(1 + len(ALPHABET))
    assert load_ppocr(model, ppocr_file(), ALPHABET) > 90
    export(model, tmp_path, CROP)
    reader = OnnxRecogniser(tmp_path / "recogniser.onnx", ReadSettings(threads=1))
    assert reader.read([line("tulpar2024")])[0].text == "tulpar2024"


@pytest.mark.train
def test_easyocr_loads_it(exported: Path) -> None:
    """EasyOCR finds the network by name, takes our weights, and gives what the ONNX file gives."""
    easyocr = pytest.importorskip("easyocr")
    from tagtrace.training.easyocr_format import NETWORK

    folder = str(exported / "easyocr")
    reader = easyocr.Reader(
        ["en"],
        gpu=False,
        detector=False,
        recog_network=NETWORK,
        user_network_directory=folder,
        model_storage_directory=folder,
        download_enabled=False,
        quantize=False,
        verbose=False,
    )
    assert reader.character == ALPHABET
    crop = cv2.resize(line("zz_test"), (160, CROP.height))
    found = reader.recognize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), allowlist=ALPHABET, contrast_ths=0.0)
    assert len(found) == 1 and isinstance(found[0][1], str)
    import torch

    network = reader.recognizer
    picture = torch.rand(1, 1, CROP.height, 160) * 2 - 1
    plain = ReadSettings(runtime=Runtime.ONNXRUNTIME)
    (logits,) = OnnxRecogniser(exported / "recogniser.onnx", plain)._network.run(picture.numpy())
    with torch.no_grad():
        np.testing.assert_allclose(network(picture, None).numpy(), logits, atol=1e-3)


@pytest.mark.train
def test_metadata_of_an_export_is_complete(exported: Path) -> None:
    onnx = pytest.importorskip("onnx")
    props = {p.key: p.value for p in onnx.load(str(exported / "recogniser.onnx")).metadata_props}
    assert props["alphabet"] == ALPHABET and json.loads(props["crop"])["height"] == CROP.height


def test_the_shipped_recogniser_reads_a_line_that_stands_on_its_head() -> None:
    picture = np.full((64, 380, 3), 200, np.uint8)
    cv2.putText(picture, "@zz_example24", (20, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (20, 20, 20), 3, cv2.LINE_AA)
    turned = np.ascontiguousarray(picture[::-1, ::-1])
    recogniser = OnnxRecogniser(resolve(Task.RECOGNISER).path, ReadSettings(threads=1))
    straight, upside_down = recogniser.read([picture, turned])
    assert not straight.flipped and upside_down.flipped
    assert straight.text == upside_down.text == "@zz_example24"
    (forced,) = recogniser.read([turned], upright=True)
    assert not forced.flipped and forced.text != straight.text
