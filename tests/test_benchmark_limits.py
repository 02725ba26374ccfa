"""The limits of a machine: arithmetic counted against sums done by hand, and everything measured on two real photos."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra train: onnx not installed")

import onnx
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console

from tagtrace import cli
from tagtrace.contract import ExitCode, TagtraceError
from tagtrace.models import detector, runtime
from tagtrace.models.registry import Task, resolve
from tagtrace.scoring.settings import ScoreSettings
from tagtrace.training.benchmark_decoding import JpegPhoto, jpeg_photos, opencv, pillow, reduction
from tagtrace.training.benchmark_limits import Limit, LimitSettings, limit_now, measure_limits, work_of
from tagtrace.training.benchmark_limits_text import show_limits
from tagtrace.training.benchmark_probe import ProbeSettings, Program, conv_model, matmul_model, peaks, programs
from tagtrace.training.benchmark_seen import networks_at_work
from tagtrace.training.flops import FlopCounter
from tagtrace.training.tables import WIDTH
from tagtrace.training.ultralytics_offline import offline_ultralytics

QUICK = ProbeSettings(channels=16, side=8, matrix=32, layers=2, copied_mb=1, seconds=0.01, least_times=1)


def saved(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], shape: list[int | str], path: Path) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).random(shape, np.float32)


def test_operations_are_those_counted_by_hand(tmp_path: Path) -> None:
    """A convolution with stride and groups, its pixels as a sequence, an LSTM over it, a matrix product and a Gemm."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1], group=2),
        helper.make_node("Reshape", ["c", "steps"], ["flat"]),  # the length depends on the picture: -1
        helper.make_node("LSTM", ["flat", "lw", "lr"], ["l"], hidden_size=5, direction="bidirectional"),
        helper.make_node("Relu", ["l"], ["r"]),
        helper.make_node("MatMul", ["r", "m"], ["p"]),
        helper.make_node("Reshape", ["p", "rows"], ["q"]),
        helper.make_node("Gemm", ["q", "gw"], ["g"], transB=1),
    ]
    constants = {
        "w": random(8, 2, 3, 3),
        "steps": np.array([-1, 1, 8], np.int64),
        "lw": random(2, 20, 8),
        "lr": random(2, 20, 5),
        "m": random(5, 3),
        "rows": np.array([-1, 3], np.int64),
        "gw": random(7, 3),
    }
    counter = FlopCounter(saved(nodes, constants, [1, 4, "h", "w"], tmp_path / "g.onnx"))
    # 16 x 12 pixels become 8 x 6 = 48 of 8 channels, each the sum of 2 * 3 * 3 products: those are 48 steps of the LSTM
    conv, lstm = 2 * 48 * 8 * 18, 2 * 48 * 2 * 20 * (8 + 5)
    matmul, gemm = 2 * 48 * 2 * 5 * 3, 2 * (48 * 2) * 3 * 7
    assert counter.count((1, 4, 16, 12)) == conv + lstm + matmul + gemm
    assert counter.count((1, 4, 32, 24)) == 4 * (conv + lstm + matmul + gemm)


def test_each_picture_of_a_batch_counts(tmp_path: Path) -> None:
    nodes = [helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])]
    counter = FlopCounter(saved(nodes, {"w": random(3, 6, 2, 2)}, ["n", 3, "h", "w"], tmp_path / "t.onnx"))
    assert counter.count((1, 3, 5, 4)) == 2 * 5 * 4 * 3 * 6 * 2 * 2
    assert counter.count((7, 3, 5, 4)) == 7 * counter.count((1, 3, 5, 4))


def test_arithmetic_in_branches_is_refused(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("MatMul", ["x", "x"], ["b"])], "b", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)]
    )
    nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=body)]
    path = saved(nodes, {"yes": np.array(True)}, [2, 2], tmp_path / "if.onnx")
    with pytest.raises(TagtraceError, match="if.onnx: has arithmetic inside If"):
        FlopCounter(path)
    (tmp_path / "no.onnx").write_bytes(b"no network")
    with pytest.raises(TagtraceError, match="no.onnx: cannot be read as an ONNX network"):
        FlopCounter(tmp_path / "no.onnx")


def test_the_probes_have_the_arithmetic_that_they_say(tmp_path: Path) -> None:
    for name, make, shape, expected in (
        ("c", conv_model, (1, 16, 8, 8), 2 * 2 * 64 * 16 * 16 * 9),
        ("m", matmul_model, (32, 32), 2 * 2 * 32 * 32 * 32),
    ):
        for quantised in (False, True):
            path = tmp_path / f"{name}{quantised}.onnx"
            onnx.save(make(QUICK, quantised), str(path))
            assert FlopCounter(path).count(shape) == expected
            assert programs(path) == [Program.ONNXRUNTIME_INT8] or not quantised
    for program in programs():
        for found in peaks(program, 2, tmp_path, QUICK):
            assert found.gflops == pytest.approx(2 * found.operations / found.seconds / 1e9)
            assert found.precision == ("int8" if program is Program.ONNXRUNTIME_INT8 else found.precision)


def test_photos_are_decoded_no_smaller_than_the_networks_input(root: Path) -> None:
    (photo, *_) = jpeg_photos(sorted((root / "datasets/sample/photos").glob("*.jpg")), 1)
    assert [reduction(JpegPhoto("a.jpg", b"", side, 10), 800) for side in (700, 1599, 1600, 3200, 9000)] == [1, 1, 2, 4, 8]
    for scale in (1, 2, 4, 8):
        size = (-(-photo.height // scale), -(-photo.width // scale), 3)
        for decoder in (pillow, opencv):
            assert np.asarray(decoder(photo, scale)).shape == size
    with pytest.raises(TagtraceError, match="no JPEG there"):
        jpeg_photos([root / "README.md"])


def test_the_networks_are_watched_at_work_and_left_alone_after(root: Path) -> None:
    offline_ultralytics()
    from tagtrace.training.detector_head import CELLS

    photos = sorted((root / "datasets/sample/photos").glob("*.jpg"))[:2]
    seen = networks_at_work(photos, ScoreSettings(), threads=2)
    assert detector.load_network is runtime.load_network
    names = {resolve(task).path.stem for task in (Task.DETECTOR, Task.RECOGNISER)}
    assert set(seen) == names
    found = seen[resolve(Task.DETECTOR).path.stem]
    assert all(shape[1] == 3 and max(shape[2:]) <= 800 for shape in found.shapes)
    # YOLO11n with oriented boxes: 16.8 * 10^9 for 1024 x 1024 pixels, says its maker. Ours looks for boxes and angles in a few
    # cells of the finest grid only: two 3x3 convolutions of 64 (16) channels and one 1x1, the first at nine places for each cell
    first, then = 9 * 64 * (64 + 16), 9 * (64 * 64 + 16 * 16) + 64 * 64 + 16
    left_out = 2 * (128 * 128 * (first + then) - CELLS * (9 * first + then))
    assert found.counter.count((1, 3, 1024, 1024)) + left_out == pytest.approx(16.8e9, rel=0.05)


def test_the_limit_is_decoding_and_arithmetic(root: Path) -> None:
    photos = sorted((root / "datasets/sample/photos").glob("*.jpg"))[:2]
    settings = LimitSettings(threads=1, probe=QUICK)
    work = work_of(photos, settings, ScoreSettings())
    limit = limit_now(work, 1, settings)
    assert limit.seconds == limit.decode_reduced + sum(limit.networks.values())
    assert limit.seconds_full >= limit.seconds > 0
    assert Limit(2, 0.25, 0.125, {"a": 0.5, "b": 0.0625}).to_json()["seconds"] == 0.6875


def test_everything_is_measured_and_shown(root: Path) -> None:
    photos = sorted((root / "datasets/sample/photos").glob("*.jpg"))[:2]
    said: list[str] = []
    result = measure_limits(photos, LimitSettings(threads=1, probe=QUICK), progress=said.append)
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    show_limits(result, console)
    shown = console.export_text()
    for word in ("OpenCV 1/8", "GB/s", "onnxruntime int8", "The networks at work", "The least time of a photo"):
        assert word in shown
    written = json.loads(json.dumps(result.to_json()))
    decoded = {(time["decoder"], time["scale"], time["threads"]) for time in written["decoding"]}
    assert decoded == set(itertools.product(("Pillow", "OpenCV"), (1, 2, 4, 8), (1,)))
    assert all(rate["gflops"] > 0 for rate in written["rates"])
    assert [limit["threads"] for limit in written["limits"]] == [1] and len(said) == 2
    for limit in written["limits"]:
        assert limit["seconds"] == pytest.approx(limit["decode_reduced"] + sum(limit["networks"].values()))


@pytest.mark.slow
def test_the_command_writes_its_file(root: Path, tmp_path: Path) -> None:
    arguments = ["benchmark", "limits", "--photos", str(root / "datasets/sample/photos"), "--limit", "2", "--seconds", "0.01"]
    assert cli.run([*arguments, "--out", str(tmp_path / "limits.json")]) == ExitCode.OK
    assert json.loads((tmp_path / "limits.json").read_text())["photos"] == 2
