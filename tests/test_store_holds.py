"""Adverts that experts have before them: no two the same, in whatever process, and free again after a while."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import service_desk
import service_helpers as helpers
from fastapi.testclient import TestClient

from tagtrace.linking.store import Store
from tagtrace.linking.store.holds import held_by_others, hold
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.scoring.build import build_engine
from tagtrace.service.access import Role
from tagtrace.service.app import create_app
from tagtrace.service.jobs.reading import ReportReader, score_settings
from tagtrace.service.jobs.worker import Worker

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def test_what_somebody_holds_is_not_for_others_until_it_runs_out(store: Store) -> None:
    with store.begin() as session:
        assert hold(session, "c1", "aida", NOW, LATER)
        assert not hold(session, "c1", "berik", NOW, LATER)
        assert hold(session, "c1", "aida", NOW, LATER), "again, by the same"
        assert held_by_others(session, "berik", NOW) == ["c1"]
        assert held_by_others(session, "aida", NOW) == []
    with store.begin() as session:
        assert hold(session, "c1", "berik", LATER, LATER + timedelta(minutes=5)), "it has run out"
        assert held_by_others(session, "aida", LATER) == ["c1"]


def test_somebody_has_one_advert_only_and_keeps_it_where_another_is_refused(store: Store) -> None:
    with store.begin() as session:
        assert hold(session, "c1", "aida", NOW, LATER) and hold(session, "c2", "aida", NOW, LATER)
        assert held_by_others(session, "berik", NOW) == ["c2"]
        assert hold(session, "c1", "berik", NOW, LATER)
        assert not hold(session, "c2", "berik", NOW, LATER)
        assert held_by_others(session, "aida", NOW) == ["c1"]


def test_of_many_who_want_the_same_at_once_one_gets_it(store_url: str) -> None:
    Store.open(store_url, upgrade=True).close()

    def one(number: int) -> bool:
        with Store.open(store_url) as own:
            return own.write(lambda session: hold(session, "c1", f"expert {number}", NOW, LATER))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8))) == 1


def read_all(settings: Any) -> int:
    with Store.open(settings.store) as store:
        worker = Worker(
            settings, store, ReportReader(build_engine(score_settings(settings)), settings, store, PhotoFiles(settings.photos))
        )
        done = 0
        while worker.step():
            done += 1
        return done


def shown(client: TestClient, path: str = "/desk/queue") -> str:
    """The advert on a page of the queue; empty where there is none."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    found = re.search(r'name="advert" value="([0-9a-f]{64}-\d+)"', page.text)
    return found[1] if found else ""


def test_experts_at_two_servers_are_shown_different_adverts(tmp_path: Path) -> None:
    """Each server of its own, one store: as several processes that share the work."""
    store_url, photos = str(tmp_path / "store.db"), tmp_path / "photos"
    values = {"reader": "service_helpers:light_reader", "least_free_bytes": 0}
    with service_desk.desk(store_url, photos, **values) as first:
        key = helpers.key_for(store_url)
        for number in range(3):
            sent = {"photo": ("a.png", helpers.picture(number + 1), "image/png")}
            place = {"lat": "51.1", "lon": f"{71 + number}"}
            answer = first.client().post("/v1/reports", files=sent, data=place, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 202, answer.text
        assert read_all(first.settings) == 3
        aida, reader = first.person("aida", Role.EXPERT), first.person("dana", Role.ANALYST)
        with TestClient(create_app(first.settings), raise_server_exceptions=False) as second:
            service_desk.people.add(first.store, "berik", "Berik", frozenset({Role.EXPERT}), service_desk.PASSWORD, "tests")
            berik = TestClient(second.app, raise_server_exceptions=False)
            assert berik.post("/v1/session", json={"login": "berik", "password": service_desk.PASSWORD}).status_code == 200
            assert shown(reader), "an analyst looks, and keeps nothing"
            one, other = shown(aida), shown(berik)
            assert one and other and one != other
            assert (shown(aida), shown(berik)) == (one, other), "each sees the same again"
            assert shown(berik, f"/desk/queue?advert={one}") == one, "looking at another's is possible"
            assert shown(aida) == one, "and takes nothing from them"
