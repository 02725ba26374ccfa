"""For every test: no network, no leftovers in the environment, and tests whose extra is missing left out with a word why."""

from __future__ import annotations

import importlib.util
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgres
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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A private PostgreSQL server: its URL with ``{database}`` to fill in. Missing programs are an error in CI."""
    if postgres.binaries() is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed (initdb, pg_ctl): `make test` installs it on Debian")
        pytest.skip("PostgreSQL is not installed (initdb, pg_ctl); `make test` installs it on Debian as root")
    with postgres.temporary_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a new, empty PostgreSQL database, dropped after the test."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield postgres_server.format(database=name)
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: the test runs on SQLite and on PostgreSQL."""
    return str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(store_url: str) -> Iterator[Any]:
    """A new store on each of the databases."""
    from tagtrace.linking.store import Store

    with Store.open(store_url, upgrade=True) as opened:
        yield opened
