"""Uploads that mean harm: each is refused with an answer that says why; all at once, others are served and memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import service_helpers as helpers
from fastapi.testclient import TestClient

from tagtrace.training.benchmark_service_hostile import hostile
from tagtrace.training.hostile import Attack, attacks

ATTACKS = attacks()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    (folder / "inside").mkdir()
    with helpers.client_of(helpers.make_settings(folder / "inside")) as opened:
        yield opened


@pytest.mark.parametrize("name", ATTACKS)
def test_each_is_answered_rightly(client: TestClient, folder: Path, name: str) -> None:
    attack: Attack = ATTACKS[name]
    answer = client.post(attack.path, content=attack.body, headers={"Content-Type": attack.kind, **(attack.headers or {})})
    assert answer.status_code in attack.right, answer.text[:300]
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
    assert [path.name for path in folder.iterdir()] == ["inside"], "nothing lies outside of the service's own folder"


MOST_MB = 1_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_at_once_memory_is_bounded_and_others_are_served(tmp_path: Path) -> None:
    found: dict[str, Any] = hostile(tmp_path, 30)
    assert found["wrong"] == {}
    assert found["memory_peak_mb"] <= MOST_MB
    assert found["honest"] >= 20 and found["honest_refused"] == 0
    assert found["slow_clients_sent_away"] == found["slow_clients"]
