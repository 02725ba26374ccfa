"""The runtimes of networks: the same file gives the same numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tagtrace.contract import BrokenInstallationError, TagtraceError
from tagtrace.models.registry import Task, resolve
from tagtrace.models.runtime import Runtime, load_network
from tagtrace.scoring.build import build_engine, runtime_named
from tagtrace.scoring.settings import ScoreSettings


def test_openvino_says_what_onnxruntime_says() -> None:
    pytest.importorskip("openvino")
    model = resolve(Task.RECOGNISER).path
    plain, digest = load_network(model, 1, Runtime.ONNXRUNTIME)
    other, same = load_network(model, 1, Runtime.OPENVINO)
    assert digest == same == resolve(Task.RECOGNISER).info.sha256
    assert dict(plain.metadata) == dict(other.metadata) and "alphabet" in other.metadata
    rng = np.random.default_rng(1)
    height = json.loads(plain.metadata["crop"])["height"]
    for shape in ((1, 1, height, 64), (3, 1, height, 320), (1, 1, height, 64)):
        blob = rng.random(shape, np.float32)
        (a,), (b,) = plain.run(blob), other.run(blob)
        assert a.shape == b.shape
        # Processors with bfloat16 round to eight bits.
        assert np.abs(a - b).mean() < 0.1 * np.abs(a).mean()


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO])
def test_a_picture_may_lie_in_memory_in_any_way(runtime: Runtime) -> None:
    """OpenVINO reads the array's own memory: a copy that nothing held on to would be gone while it reads."""
    if runtime is Runtime.OPENVINO:
        pytest.importorskip("openvino")
    network, _ = load_network(resolve(Task.RECOGNISER).path, 1, runtime)
    height = json.loads(network.metadata["crop"])["height"]
    plain = np.random.default_rng(2).random((1, 1, height, 96), np.float32)
    (wanted,) = network.run(plain)
    locked = plain.copy()
    locked.flags.writeable = False
    for blob in (np.repeat(plain, 2, axis=3)[..., ::2], locked, np.asfortranarray(plain)):
        (found,) = network.run(blob)
        np.testing.assert_array_equal(found, wanted)


def test_openvino_binds_no_thread_to_a_processor() -> None:
    pytest.importorskip("openvino")
    network, _ = load_network(resolve(Task.RECOGNISER).path, 1, Runtime.OPENVINO)
    # Several processes would all sit on the first processor.
    assert network._compiled.get_property("ENABLE_CPU_PINNING") is False  # type: ignore[attr-defined]


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO])
def test_a_file_that_is_no_network_is_named(tmp_path: Path, runtime: Runtime) -> None:
    if runtime is Runtime.OPENVINO:
        pytest.importorskip("openvino")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(BrokenInstallationError, match="broken.onnx"):
        load_network(broken, 1, runtime)
    with pytest.raises(BrokenInstallationError, match="missing.onnx"):
        load_network(tmp_path / "missing.onnx", 1, runtime)


def test_openvino_comes_without_its_telemetry() -> None:
    pytest.importorskip("openvino")
    code = (
        "import sys; from tagtrace.models.runtime import Runtime, load_network; "
        "from tagtrace.models.registry import Task, resolve; "
        "load_network(resolve(Task.RECOGNISER).path, 1, Runtime.OPENVINO); assert 'openvino' in sys.modules; "
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry') and sys.modules[name]]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_results_name_what_ran_and_an_unknown_runtime_is_refused() -> None:
    engine = build_engine(ScoreSettings(runtime=Runtime.ONNXRUNTIME), threads=1)
    for part in ("detector", "recogniser"):
        described = engine.settings[part]
        assert isinstance(described, dict) and described["runtime"] == "onnxruntime"
    assert runtime_named("auto") is Runtime.AUTO
    with pytest.raises(TagtraceError, match="no runtime 'tensorrt'; choose one of: auto, onnxruntime, openvino"):
        runtime_named("tensorrt")
