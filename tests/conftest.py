"""For every test: no network, no leftovers in the environment, and tests whose extra is missing left out with a word why."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = {"train": ("torch", "ultralytics", "easyocr"), "peers": ("rapidocr", "faster_paddle", "pytesseract")}
LOOPBACK = {"127.0.0.1", "::1", "localhost"}

# Before a library that would look something up, or take every core for a small test, is imported.
os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", HF_HUB_OFFLINE="1")
os.environ.setdefault("OMP_NUM_THREADS", "2")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests of an extra that is not installed."""
    for mark, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        for item in items:
            if missing and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"needs the extra {mark}: {', '.join(missing)} not installed"))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded at run time: a connection to another machine fails the test that tries it."""
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise AssertionError(f"the test tried to reach {address[0]}; tagtrace works offline")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)


@pytest.fixture(autouse=True)
def _no_inherited_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The models are the ones of the package, whatever the shell that runs the tests has set."""
    for name in [name for name in os.environ if name.startswith("TAGTRACE_")]:
        monkeypatch.delenv(name)
    yield


@pytest.fixture
def root() -> Path:
    """The root of the repository."""
    return ROOT
