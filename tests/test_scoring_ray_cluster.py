"""Ray as a cluster: found by its address, left by Ctrl-C, and short of a machine in the middle of a run. The machines are raylets
of this one, and the command runs as people run it, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from tagtrace.contract import ExitCode

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

HERE = Path(__file__).parent
COLOURS = ((10, 10, 10), (20, 20, 20), (253, 0, 0), (77, 77, 77))
"""A contact, another one, a photo that takes long, and a bare wall."""
PHOTOS = 24
_STARTED_S = 300.0


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What all processes of a cluster are started with; sockets want a short path, and no other Ray is to be found there."""
    folder = tempfile.mkdtemp(prefix="tt-", dir="/tmp")
    said = {
        "PYTHONPATH": str(HERE),
        "FIXED_READER_SLEEP": "0.5",
        "RAY_TMPDIR": folder,
        "RAY_USAGE_STATS_ENABLED": "0",
        # A head asks for a token by itself, and a second machine has none.
        "RAY_AUTH_MODE": "disabled",
        # A machine that is gone is missed sooner than after half a minute.
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_failure_threshold": "3",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    yield {**os.environ, **said}
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(PHOTOS):
        pixels = np.random.default_rng(number).integers(60, 200, (200, 300, 3), dtype=np.uint8)
        pixels[:16, :16] = COLOURS[number % len(COLOURS)]
        PilImage.fromarray(pixels).save(folder / f"{number:02}.png", "PNG")
    return folder


def command(folder: Path, out: str, *more: str) -> list[str]:
    options = ["--reader", "fixed_reader:make", "--out", str(folder / out), "--format", "results", *more]
    return [
        sys.executable,
        "-c",
        "import sys; from tagtrace.cli import main; sys.exit(main())",
        "score",
        str(folder / "photos"),
        *options,
    ]


def scored(folder: Path, out: str) -> list[dict[str, Any]]:
    """The results but for the measured seconds."""
    records = [json.loads(line) for line in (folder / out / "results.jsonl").read_text("utf-8").splitlines()]
    return [{name: value for name, value in record.items() if name not in ("seconds", "stages")} for record in records]


def alone(folder: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    """What the default engine gives."""
    done = run(command(folder, "local", "--workers", "1"), environment)
    assert done.returncode == ExitCode.OK, done.stderr
    return scored(folder, "local")


def finished(folder: Path, out: str) -> int:
    """Photos in the journal."""
    journal = folder / out / ".tagtrace" / "records.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def wait_for(what: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    end = time.monotonic() + _STARTED_S
    while not what():
        assert running.poll() is None and time.monotonic() < end, "the run ended, or did not get that far"
        time.sleep(0.1)


@contextmanager
def started(arguments: list[str], environment: dict[str, str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A process with a group of its own, none of which is left afterwards."""
    running = subprocess.Popen(arguments, env=environment, text=True, start_new_session=True, **more)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM if running.poll() is None else signal.SIGKILL)
        running.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=_STARTED_S)


@contextmanager
def machine(environment: dict[str, str], *where: str) -> Iterator[subprocess.Popen[str]]:
    """A machine of a cluster, of one processor: its raylet and all below it. Ray waits half a minute only for it to start, which
    is too short where much else runs: it gets some more chances."""
    start = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--num-cpus", "1", "--object-store-memory", "80000000"]
    for last in (*[False] * 5, True):
        with started([*start, *where], environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as node:
            assert node.stdout is not None
            told = []
            for line in node.stdout:
                told.append(line)
                if "Ray runtime started" in line:
                    yield node
                    return
        assert not last, "".join(told)


@contextmanager
def head(environment: dict[str, str]) -> Iterator[str]:
    """A cluster of one machine; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = ("--head", "--port", port, "--include-dashboard", "false", "--temp-dir", environment["RAY_TMPDIR"])
    with machine(environment, *where) as node:
        yield f"127.0.0.1:{port}"
        # The cluster is not ours to stop.
        assert node.poll() is None


def test_auto_is_the_cluster_of_this_machine(tmp_path: Path, photos: Path, environment: dict[str, str]) -> None:
    with head(environment) as address:
        for out, named in (("auto", "auto"), ("named", address)):
            done = run(command(tmp_path, out, "--engine", "ray", "--address", named), environment)
            assert done.returncode == ExitCode.OK, done.stderr
    assert scored(tmp_path, "auto") == scored(tmp_path, "named") == alone(tmp_path, environment)


def test_after_ctrl_c_a_run_goes_on_where_it_was(tmp_path: Path, photos: Path, environment: dict[str, str]) -> None:
    options = ("--engine", "ray", "--workers", "1")
    with started(command(tmp_path, "ray", *options), environment, stderr=subprocess.PIPE) as running:
        wait_for(lambda: finished(tmp_path, "ray") >= 4, running)
        # As a terminal does: all processes of the command are told.
        os.killpg(running.pid, signal.SIGINT)
        _, told = running.communicate(timeout=_STARTED_S)
    assert running.returncode == ExitCode.INTERRUPTED, told
    assert "photos are done and kept; go on with --resume" in told and "Traceback" not in told, told
    kept = finished(tmp_path, "ray")
    assert 4 <= kept < PHOTOS and not (tmp_path / "ray" / "results.jsonl").exists()
    done = run(command(tmp_path, "ray", *options, "--resume"), environment)
    assert done.returncode == ExitCode.OK and f"{PHOTOS} photos ({kept} done before)" in done.stderr, done.stderr
    assert scored(tmp_path, "ray") == alone(tmp_path, environment)


def test_a_killed_machine_loses_nothing(tmp_path: Path, photos: Path, environment: dict[str, str]) -> None:
    with head(environment) as address, machine(environment, "--address", address) as other:
        arguments = command(tmp_path, "ray", "--engine", "ray", "--address", address)
        with started(arguments, environment, stderr=subprocess.PIPE) as running:
            wait_for(lambda: finished(tmp_path, "ray") >= 4, running)
            os.killpg(other.pid, signal.SIGKILL)
            left = PHOTOS - finished(tmp_path, "ray")
            _, told = running.communicate(timeout=_STARTED_S)
    assert left > 0, "all was done before the machine was killed"
    assert running.returncode == ExitCode.OK, told
    assert scored(tmp_path, "ray") == alone(tmp_path, environment)
