"""What follows a report: webhooks, tracks, jobs set aside, single photos, bulk import, numbers."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import service_helpers as helpers
import two_people
from fastapi.testclient import TestClient

from tagtrace.contract import TagtraceError
from tagtrace.linking.store import Store
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.scoring.build import build_engine
from tagtrace.service.jobs.reading import ReportReader, score_settings
from tagtrace.service.jobs.worker import Worker
from tagtrace.service.settings import ServiceSettings
from tagtrace.service.webhooks.addresses import check_address, is_public
from tagtrace.service.webhooks.deliver import Deliverer, signing_key


@pytest.fixture
def settings(tmp_path: Path, store_url: str) -> ServiceSettings:
    values = {"reader": "service_helpers:light_reader", "job_backoff_s": 0.0, "webhook_private_addresses": True}
    values |= {"webhook_attempts": 2, "webhook_backoff_s": 0.0}
    found: ServiceSettings = helpers.make_settings(tmp_path, store_url, **values)
    return found


@pytest.fixture
def client(settings: ServiceSettings) -> Iterator[TestClient]:
    with helpers.client_of(settings) as opened:
        yield opened


def read_all(settings: ServiceSettings, reader: type[ReportReader] = ReportReader) -> int:
    with Store.open(settings.store) as store:
        made = reader(build_engine(score_settings(settings)), settings, store, PhotoFiles(settings.photos))
        worker, done = Worker(settings, store, made), 0
        while worker.step():
            done += 1
        return done


def deliver_all(settings: ServiceSettings) -> None:
    with Store.open(settings.store) as store:
        deliverer = Deliverer(settings, store)
        while deliverer.step():
            pass


def send(client: TestClient, number: int, **fields: Any) -> str:
    answer = client.post("/v1/reports", files={"photo": ("a.png", helpers.picture(number), "image/png")}, data=fields)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


class Receiver:
    """An intake system that writes down what it is sent, and answers with ``status``."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(outer.status)
                self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_every_state_is_told_signed_and_in_order(client: TestClient, settings: ServiceSettings, receiver: Receiver) -> None:
    number = send(client, 1, callback_url=f"http://127.0.0.1:{receiver.port}/hook", external_id="A-7")
    read_all(settings)
    deliver_all(settings)
    told = [json.loads(body) for _, body in receiver.got]
    assert [(event["event"], event["state"]) for event in told] == [("report.state", "reading"), ("report.state", "read")]
    assert {event["report_id"] for event in told} == {number} and {event["external_id"] for event in told} == {"A-7"}
    headers, body = receiver.got[0]
    at, _, sign = headers["Tagtrace-Signature"].partition(",v1=")
    expected = hmac.new(signing_key(settings), at.removeprefix("t=").encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(sign, expected)
    assert client.get("/v1/webhooks?state=delivered").json()["items"][1]["number"] == told[1]["number"]


def test_what_cannot_be_delivered_is_a_dead_letter(client: TestClient, settings: ServiceSettings, receiver: Receiver) -> None:
    receiver.status = 302
    send(client, 1, callback_url=f"http://127.0.0.1:{receiver.port}/hook")
    read_all(settings)
    deliver_all(settings)
    assert len(receiver.got) == 4, "two messages, two attempts each, and no redirect followed"
    dead = client.get("/v1/webhooks?state=dead").json()["items"]
    assert [(item["attempts"], item["status"]) for item in dead] == [(2, 302), (2, 302)]
    receiver.status = 204
    assert client.post(f"/v1/webhooks/{dead[0]['number']}/again").json()["state"] == "waiting"
    deliver_all(settings)
    assert len(client.get("/v1/webhooks?state=dead").json()["items"]) == 1
    assert client.post(f"/v1/webhooks/{dead[0]['number']}/again").status_code == 409


PRIVATE = "10.0.0.1 127.0.0.1 169.254.169.254 ::1 fd00::1 ::ffff:10.0.0.1 64:ff9b::a00:1 100.64.0.1 0.0.0.0".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_known(address: str) -> None:
    assert not is_public(address)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(TagtraceError, match="private"):
        check_address(f"https://{host}/hook", private=False)


@pytest.mark.parametrize("url", ["https://2130706433/", "https://127.1/", "https://0x7f.1/"])
def test_private_addresses_in_disguise_are_known(url: str) -> None:
    with pytest.raises(TagtraceError, match="private"):
        check_address(url, private=False)


@pytest.mark.parametrize("url", ["ftp://a.example/", "https://u:p@a.example/", "https:///x", "http://a.example/", "https://a b/"])
def test_strange_addresses_are_refused(url: str) -> None:
    with pytest.raises(TagtraceError):
        check_address(url, private=False)
    assert check_address("https://a.example/x?y", private=False).hostname == "a.example"


def test_a_callback_into_the_own_network_is_refused_at_once(tmp_path: Path) -> None:
    with helpers.client_of(helpers.make_settings(tmp_path)) as client:
        answer = client.post("/v1/reports", json={"web": ["t.me/sample_kz1"], "callback_url": "https://169.254.169.254/x"})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "callback_url"


def test_the_citizen_is_told_of_tracks_but_not_of_investigations(client: TestClient, settings: ServiceSettings) -> None:
    number = send(client, 1, lat="51.1", lon="71.4")
    read_all(settings)
    advert = client.get(f"/v1/reports/{number}").json()["adverts"][0]
    place = f"/v1/adverts/{advert['photo']}-{advert['number']}/tracks"
    assert client.post(f"{place}/cleanup", json={"to": "ordered", "responsible": "crew 4"}).status_code == 200
    assert client.post(f"{place}/investigation", json={"to": "assigned", "responsible": "unit 2"}).status_code == 200
    told = [item["code"] for item in client.get(f"/v1/reports/{number}").json()["citizen"]]
    assert told == ["cleanup_ordered"]
    assert client.post(f"{place}/cleanup", json={"to": "back_again"}).status_code == 409
    assert client.post(f"{place}/blocking", json={"to": "blocked"}).status_code == 409
    assert client.post(f"{place}/cleanup", json={"to": "painted", "photo": "a" * 64}).status_code == 200
    steps = [step["to_state"] for step in client.get(f"{place}/cleanup").json()]
    assert steps == ["open", "ordered", "painted"]
    tracks = {track["track"]: track["state"] for track in client.get(place).json()}
    assert tracks == {"cleanup": "painted", "blocking": "open", "investigation": "assigned"}
    assert client.get(f"/v1/adverts/{'0' * 64}-0/tracks").status_code == 404


def test_blocking_follows_the_resource(client: TestClient, settings: ServiceSettings) -> None:
    from tagtrace.contract import IdentifierKind
    from tagtrace.linking.life import ResourceState
    from tagtrace.linking.store.resources import set_state

    number = send(client, 1)
    read_all(settings)
    with Store.open(settings.store) as store:
        kind, value = IdentifierKind.TELEGRAM, "sample_000001x"
        store.write(lambda s: set_state(s, kind, value, ResourceState.VERIFIED))
        two_people.send(store, kind, value, "order 299-1")
    found = client.get(f"/v1/reports/{number}").json()
    assert {track["track"]: track["state"] for track in found["adverts"][0]["tracks"]}["blocking"] == "sent"
    assert [item["code"] for item in found["citizen"]] == ["sent_for_blocking"]


class Breaking(ReportReader):
    """Breaks off at every report."""

    def read(self, lease: Any) -> None:
        raise RuntimeError("broken")


def test_what_fails_too_often_is_set_aside(client: TestClient, settings: ServiceSettings) -> None:
    number = send(client, 1)
    assert read_all(settings, Breaking) == settings.job_attempts
    found = client.get(f"/v1/reports/{number}").json()
    assert (found["state"], found["citizen"][0]["code"]) == ("failed", "unreadable")
    assert 'tagtrace_jobs{state="aside"} 1.0' in client.get("/metrics").text


def test_one_photo_is_read_and_nothing_stored(client: TestClient, settings: ServiceSettings) -> None:
    answer = client.post("/v1/analyse", files={"photo": ("a.png", helpers.picture(5), "image/png")})
    assert answer.status_code == 200, answer.text
    assert answer.json()["adverts"][0]["identifiers"][0]["value"] == "sample_000005x"
    assert client.get("/v1/reports").json()["items"] == []
    assert client.post("/v1/analyse", files={"photo": ("a.jpg", b"x", "image/jpeg")}).status_code in (415, 422)


def test_many_reports_come_as_csv(client: TestClient) -> None:
    text = "external_id,web,lat,lon\nA1,t.me/sample_one t.me/sample_two,51.1,71.4\nA2,,51.1,71.4\nA3,t.me/sample_kz_3,99,1\n"
    headers = {"Content-Type": "text/csv"}
    answer = client.post("/v1/reports/import", content=text.encode(), headers=headers).json()
    assert (answer["taken"], answer["refused"]) == (1, 2)
    assert [[error["field"] for error in row["errors"]] for row in answer["rows"]] == [[], ["photo"], ["lat"]]
    again = client.post("/v1/reports/import", content=text.encode(), headers=headers).json()
    assert again["rows"][0] == {**answer["rows"][0], "repeated": True}
    assert client.post("/v1/reports/import", content=b"nonsense\n1\n", headers=headers).status_code == 422


def test_numbers_of_workers_are_shown(client: TestClient, settings: ServiceSettings) -> None:
    send(client, 1)
    read_all(settings)
    text = client.get("/metrics").text
    assert 'tagtrace_stage_seconds_count{of="all"} 1.0' in text
    assert 'tagtrace_identifier_confidence_count{of="telegram"} 1.0' in text


def test_too_many_requests_are_told_to_wait(tmp_path: Path) -> None:
    with helpers.client_of(helpers.make_settings(tmp_path, key_rate_per_minute=6, key_burst=3)) as client:
        answers = [client.get("/v1/reports") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert int(answers[-1].headers["Retry-After"]) >= 1
