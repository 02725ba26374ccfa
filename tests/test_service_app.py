"""The frame of the service: health, request ids, problems, keys, and that every route says who may call it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import service_helpers as helpers
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from tagtrace.contract import TagtraceError
from tagtrace.linking.store import Store
from tagtrace.linking.store import keys as key_rows
from tagtrace.service.access import Allow, Public, Scope, SignIn, keys
from tagtrace.service.app import ROUTERS, create_app
from tagtrace.service.metrics import Metrics
from tagtrace.service.settings import load_settings
from tagtrace.service.state import open_state


@pytest.fixture
def app(tmp_path: Path, store_url: str) -> FastAPI:
    Store.open(store_url, upgrade=True).close()
    return create_app(load_settings(environment="development", store=store_url, photos=str(tmp_path / "photos")))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as opened:
        yield opened


def dependencies(dependant: Any) -> Iterator[Any]:
    for part in dependant.dependencies:
        yield part.call
        yield from dependencies(part)


def test_alive_ready_and_counted(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    assert client.get("/health/ready").json() == {"status": "ok"}
    assert 'tagtrace_requests_total{method="GET",route="/health/ready",status="200"} 1.0' in client.get("/metrics").text


def test_an_id_comes_back_and_errors_are_problems(client: TestClient) -> None:
    answer = client.get("/nowhere", headers={"X-Request-ID": "abcdefgh-1"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["id"] == answer.headers["X-Request-ID"] == "abcdefgh-1"
    assert client.get("/health/live", headers={"X-Request-ID": "a b\tc"}).headers["X-Request-ID"] != "a b\tc"


def test_every_route_says_who_may_call_it() -> None:
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    assert routes
    for route in routes:
        marks = [call for call in dependencies(route.dependant) if isinstance(call, Allow | Public)]
        assert len(marks) == 1, f"{route.methods} {route.path}: one allow(...) or PUBLIC"
        if isinstance(marks[0], SignIn):
            assert (route.path, route.methods) in [("/v1/session", {"POST"}), ("/desk/sign-in", {"POST"})]
        elif isinstance(marks[0], Public):
            assert route.methods == {"GET"}, f"{route.path}: what anybody may call changes nothing"
        else:
            assert marks[0].roles or marks[0].scopes, f"{route.path}: nobody may call it"


def test_keys_are_kept_hashed_expire_and_end(store: Store) -> None:
    made = keys.create(store, "intake", "city", frozenset({Scope.REPORTS_WRITE}), 30, "tester")
    with store.read() as session:
        held = key_rows.find_key(session, made.id)
        assert held is not None
        assert made.text.removeprefix(f"{keys.PREFIX}_{made.id}_") not in repr(held)
    store.write(lambda session: key_rows.revoke_key(session, made.id), "tester")
    with store.read() as session:
        assert [key.revoked_at is not None for key in key_rows.list_keys(session)] == [True]
    with pytest.raises(TagtraceError, match="no such key"):
        store.write(lambda session: key_rows.revoke_key(session, "0" * 12), "tester")


def test_unsafe_settings_are_refused_outside_development() -> None:
    with pytest.raises(TagtraceError, match="TAGTRACE_SECRET must be a random text"):
        load_settings()
    with pytest.raises(TagtraceError, match="https"):
        load_settings(secret="x" * 40, public_url="http://city.example")
    assert load_settings(secret="x" * 40, public_url="https://city.example").workers == 1


def test_many_requests_with_one_key_look_once_and_write_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("find_key", "mark_used"):
        plain = getattr(key_rows, name)
        monkeypatch.setattr(key_rows, name, lambda *args, name=name, plain=plain: (calls.append(name), plain(*args))[1])
    request: Any = None
    with open_state(helpers.make_settings(tmp_path), Metrics()) as state, ThreadPoolExecutor(16) as threads:
        text = keys.create(state.store, "intake", "city", frozenset({Scope.REPORTS_WRITE}), 30).text
        together = Barrier(16)
        found = list(threads.map(lambda _: (together.wait(), keys.authenticate(state, request, text))[1], range(16)))
        assert {person.owner for person in found if person} == {"city"} and None not in found
        assert sorted(calls) == ["find_key", "mark_used"]
        # Somebody who looks an unknown key up, however long that takes, does not hold those up whose keys are known.
        with state.known_keys_lock:
            assert keys.is_known(state, text)
            assert threads.submit(keys.authenticate, state, request, text).result(timeout=20) is not None
