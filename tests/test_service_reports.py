"""Reports: taken in once, read by a worker, followed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import service_helpers as helpers
from fastapi.testclient import TestClient
from PIL import Image as PilImage

from tagtrace.linking.store import Store
from tagtrace.linking.store.checks import check_store
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.scoring.build import build_engine
from tagtrace.service.access import Scope
from tagtrace.service.jobs.reading import ReportReader, score_settings
from tagtrace.service.jobs.worker import Worker
from tagtrace.service.settings import ServiceSettings

picture = helpers.picture


@pytest.fixture
def settings(tmp_path: Path, store_url: str) -> ServiceSettings:
    found: ServiceSettings = helpers.make_settings(tmp_path, store_url, reader="service_helpers:light_reader", job_backoff_s=0.0)
    return found


@pytest.fixture
def client(settings: ServiceSettings) -> Iterator[TestClient]:
    with helpers.client_of(settings) as opened:
        yield opened


def read_all(settings: ServiceSettings) -> int:
    """What a worker process does, in this one; gives how many jobs it did."""
    with Store.open(settings.store) as store:
        score = score_settings(settings)
        reader = ReportReader(build_engine(score), settings, store, PhotoFiles(settings.photos))
        worker, done = Worker(settings, store, reader), 0
        while worker.step():
            done += 1
        return done


def send(client: TestClient, *photos: bytes, key: str | None = None, **fields: Any) -> Any:
    files = [("photo", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(photos)]
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/v1/reports", files=files or None, data=fields, headers=headers)


def test_a_report_is_taken_in_read_and_followed(client: TestClient, settings: ServiceSettings) -> None:
    answer = send(client, picture(1), picture(2), lat="51.1", lon="71.4", external_id="A-1")
    assert answer.status_code == 202, answer.text
    number = answer.json()["id"]
    assert answer.headers["Location"].endswith(f"/v1/reports/{number}")
    before = client.get(f"/v1/reports/{number}").json()
    assert (before["state"], before["citizen"][0]["code"]) == ("received", "received")
    for file in before["files"]:
        assert file["sha256"] in PhotoFiles(settings.photos)
    assert read_all(settings) == 1
    after = client.get(f"/v1/reports/{number}").json()
    assert after["state"] == "read", after
    assert [i["value"] for a in after["adverts"] for i in a["identifiers"]] == ["sample_000001x", "sample_000002x"]
    assert all(a["cluster"] and len(a["tracks"]) == 3 for a in after["adverts"])
    assert after["citizen"][0]["code"] == "checking"
    assert set(after["citizen"][0]["text"]) == {"kk", "ru", "en"}
    assert [line["id"] for line in client.get("/v1/reports?state=read").json()["items"]] == [number]
    with Store.open(settings.store) as store:
        assert all(finding.sound for finding in check_store(store))


def test_a_request_sent_again_makes_nothing_new(client: TestClient, settings: ServiceSettings) -> None:
    first = send(client, picture(1), key="k-1").json()
    again = send(client, picture(1), key="k-1").json()
    assert (again["id"], again["repeated"]) == (first["id"], True)
    assert send(client, picture(1)).json()["id"] == first["id"]
    conflict = send(client, picture(2), key="k-1")
    assert (conflict.status_code, conflict.json()["type"]) == (409, "urn:tagtrace:problem:idempotency-key-reused")
    other = send(client, picture(1), text="another citizen").json()
    assert other["id"] != first["id"]
    assert read_all(settings) == 2
    assert client.get(f"/v1/reports/{other['id']}").json()["duplicates"] == [{"report_id": first["id"], "by": "photo"}]
    with Store.open(settings.store) as store, store.read() as session:
        from tagtrace.linking.store.tables import AnalysisRow

        assert session.query(AnalysisRow).count() == 1, "a photo that was analysed is not analysed again"


def test_web_addresses_alone_are_a_report(client: TestClient, settings: ServiceSettings) -> None:
    answer = client.post("/v1/reports", json={"web": ["https://t.me/some_sample_kz", "t.me/+AbCdEfGhIjKlMnOp"]})
    assert answer.status_code == 202, answer.text
    read_all(settings)
    found = client.get(f"/v1/reports/{answer.json()['id']}").json()
    kinds = [(item["kind"], item["value"]) for item in found["contacts"]]
    assert kinds == [("telegram", "some_sample_kz"), ("telegram_invite", "+AbCdEfGhIjKlMnOp")]
    assert all(item["link"]["outcome"] == "new" for item in found["contacts"])


def test_systems_see_their_own_reports_only(client: TestClient, settings: ServiceSettings) -> None:
    number = send(client, picture(1)).json()["id"]
    with helpers.client_of(settings, Scope.REPORTS_READ, owner="other") as other:
        assert other.get(f"/v1/reports/{number}").status_code == 404
        assert send(other, picture(2)).status_code == 403
    with helpers.client_of(settings, Scope.REPORTS_READ_ALL, owner="other") as other:
        assert other.get(f"/v1/reports/{number}").status_code == 200
    assert TestClient(client.app).get(f"/v1/reports/{number}").status_code == 401


def test_a_report_that_was_not_read_can_be_withdrawn(client: TestClient, settings: ServiceSettings) -> None:
    number = send(client, picture(1)).json()["id"]
    assert client.post(f"/v1/reports/{number}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/v1/reports/{number}/cancel").status_code == 409
    assert read_all(settings) == 0


def hostile() -> dict[str, tuple[bytes, int]]:
    """Files that are no honest photos, and how they are refused."""
    jpeg = picture(1, 256, "JPEG")
    bomb = io.BytesIO()
    PilImage.new("1", (30_000, 30_000)).save(bomb, "PNG")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("a.html", "x")
    return {
        "bomb": (bomb.getvalue(), 413),
        "cut off": (jpeg[: len(jpeg) // 2], 422),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", 415),
        "html": (b"<!doctype html><script>alert(1)</script>", 415),
        "zip behind": (jpeg + archive.getvalue(), 422),
        "script behind": (jpeg + b"<script>alert(1)</script>", 422),
        "pdf": (b"%PDF-1.7 " + jpeg, 415),
        "empty": (b"", 422),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_files_are_refused(client: TestClient, name: str) -> None:
    data, status = hostile()[name]
    answer = send(client, data)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_too_many_parts_photos_and_words_are_refused(client: TestClient) -> None:
    body = "".join(f'--b\r\nContent-Disposition: form-data; name="f{n}"\r\n\r\nx\r\n' for n in range(10_000)) + "--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert client.post("/v1/reports", content=body, headers=headers).status_code == 400
    assert send(client, *(picture(n) for n in range(11))).status_code == 422
    assert send(client, picture(1), text="x" * 5000).status_code == 422
    half = b'{"web": ["t.me/abcdef"], "text": "\\ud800"}'
    assert client.post("/v1/reports", content=half, headers={"Content-Type": "application/json"}).status_code == 422
    assert client.post("/v1/reports", json={}).status_code == 422
    assert client.post("/v1/reports", content=b"{" * 100_000, headers={"Content-Type": "application/json"}).status_code == 400


def test_a_name_of_a_file_leads_nowhere(client: TestClient, settings: ServiceSettings, tmp_path: Path) -> None:
    answer = client.post("/v1/reports", files={"photo": ("../../../evil.jpg", picture(7), "image/jpeg")})
    assert answer.status_code == 202
    assert not list(tmp_path.rglob("*evil*"))


def test_a_full_queue_asks_to_come_back(tmp_path: Path, store_url: str) -> None:
    with helpers.client_of(helpers.make_settings(tmp_path, store_url, max_waiting_jobs=1)) as client:
        assert send(client, picture(1)).status_code == 202
        answers = [send(client, picture(2 + n)) for n in range(3)]
        assert {answer.status_code for answer in answers[1:]} == {503}
        assert int(answers[-1].headers["Retry-After"]) > 0
