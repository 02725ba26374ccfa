"""Vendor readers: a picture drawn here is read by the real engines (mark ``peers``), and a missing one is explained."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tagtrace.contract import BrokenInstallationError, Image, LineReader, TagtraceError
from tagtrace.models.adapters import VENDOR_READERS, vendor_reader
from tagtrace.models.adapters.vendor import text_line

LIBRARIES = {"easyocr": "easyocr", "rapidocr": "rapidocr", "faster-paddle": "faster_paddle", "tesseract": "pytesseract"}


def picture() -> Image:
    """White, 240 × 640, the words SNOW SHOP in black from about (60, 90) to (520, 140)."""
    paper = np.full((240, 640, 3), 255, np.uint8)
    cv2.putText(paper, "SNOW SHOP", (60, 140), cv2.FONT_HERSHEY_SIMPLEX, 2.4, (0, 0, 0), 6, cv2.LINE_AA)
    return paper


def test_an_unknown_reader_is_named_with_the_known_ones() -> None:
    with pytest.raises(TagtraceError, match="no reader 'abbyy'.*easyocr.*rapidocr.*faster-paddle.*tesseract"):
        vendor_reader("abbyy")


def test_the_readers_are_not_imported_before_they_are_asked_for() -> None:
    code = "import sys, tagtrace.models.adapters; print([m for m in ('torch', 'easyocr', 'rapidocr') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_a_missing_library_is_explained(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, LIBRARIES[name], None)
    with pytest.raises(BrokenInstallationError, match=rf"reader {name}.*pip install 'tagtrace\[peers\]'"):
        vendor_reader(name)


def test_a_missing_program_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytesseract")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BrokenInstallationError, match="apt-get install tesseract-ocr .*kaz"):
        vendor_reader("tesseract")


def test_scores_outside_the_range_are_kept_within_it() -> None:
    line = text_line(np.array([[0, 0], [10, 0], [10, 5], [0, 5]]), "a", 1.0000002)
    assert (line.confidence, line.reading.confidence) == (1.0, 1.0)
    assert line.quad == ((0, 0), (10, 0), (10, 5), (0, 5))


def test_onnxruntime_leaves_no_trace_in_the_home_folder(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
    )
    model = tmp_path / "identity.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), model)
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import sys; from tagtrace.models.adapters.onnxruntime_offline import offline_onnxruntime; "
        "offline_onnxruntime().InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])"
    )
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code, str(model)], env=environment, check=True)
    assert list(home.iterdir()) == []


@pytest.mark.peers
@pytest.mark.parametrize("name", VENDOR_READERS)
def test_real_engines_read_a_picture_offline(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OMP_THREAD_LIMIT", "3")
    try:
        reader = vendor_reader(name, threads=1)
    except BrokenInstallationError as error:
        pytest.skip(str(error))
    assert isinstance(reader, LineReader)
    assert all(len(info.sha256) == 64 and info.name for info in reader.infos)
    blank = np.full((64, 64, 3), 200, np.uint8)
    (lines, codes), (nothing, _) = reader.read_lines([picture(), blank])
    assert codes == [] and nothing == []
    words = " ".join(line.reading.text for line in lines).upper()
    assert "SNOW" in words and "SHOP" in words
    corners = np.concatenate([np.asarray(line.quad) for line in lines])
    assert (20 <= corners[:, 0].min() <= 90) and (440 <= corners[:, 0].max() <= 600)
    assert (50 <= corners[:, 1].min() <= 110) and (125 <= corners[:, 1].max() <= 180)
    assert all(0 < line.confidence <= 1 for line in lines)
    assert os.environ["OMP_THREAD_LIMIT"] == "3", "the caller's environment is left as it was"
    assert list(tmp_path.iterdir()) == [], "no engine writes into the home folder"
    reader.read_lines([np.zeros((1, 1, 3), np.uint8)])
