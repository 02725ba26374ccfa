"""Open311 GeoReport v2: what existing clients send and read, checked against the field names of the specification."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import service_helpers as helpers
from fastapi.testclient import TestClient
from open311_client import URL, form, photo, read_all, send

from tagtrace.contract import IdentifierKind
from tagtrace.linking.life import ResourceState
from tagtrace.linking.store import Store, audit
from tagtrace.linking.store.tracks import Move, Track, move
from tagtrace.service import vault
from tagtrace.service.access import Scope
from tagtrace.service.settings import ServiceSettings

KEY = "v1:" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
REQUEST = [
    "service_request_id", "status", "status_notes", "service_name", "service_code", "description", "agency_responsible",
    "service_notice", "requested_datetime", "updated_datetime", "expected_datetime", "address", "address_id", "zipcode", "lat",
    "long", "media_url",
]  # fmt: skip
"""The fields of a request in the order of the specification."""


@pytest.fixture
def settings(tmp_path: Path, store_url: str) -> ServiceSettings:
    found: ServiceSettings = helpers.make_settings(
        tmp_path,
        store_url,
        reader="service_helpers:light_reader",
        vault_keys=KEY,
        open311_jurisdiction="city.example",
        open311_agency="Akimat",
        media_backoff_s=0.0,
    )
    return found


@pytest.fixture
def client(settings: ServiceSettings) -> Iterator[TestClient]:
    with helpers.client_of(settings) as opened:
        yield opened


def test_what_there_is_is_found_without_a_key(client: TestClient) -> None:
    anybody = TestClient(client.app)
    found = anybody.get(f"{URL}/discovery.json").json()
    assert list(found) == ["changeset", "contact", "key_service", "endpoints"]
    assert found["endpoints"][0]["specification"] == "http://wiki.open311.org/GeoReport_v2"
    assert found["endpoints"][0]["url"].endswith(URL) and found["endpoints"][0]["formats"] == ["text/xml", "application/json"]
    services = anybody.get(f"{URL}/services.json", headers={"Accept-Language": "kk"}).json()
    fields = ["service_code", "service_name", "description", "metadata", "type", "keywords", "group"]
    assert [list(item) for item in services] == [fields, fields]
    assert services[0]["service_name"] == "Қабырғадағы есірткі жарнамасы" and services[0]["metadata"] is True
    definition = anybody.get(f"{URL}/services/drug-site.json").json()
    assert definition["service_code"] == "drug-site"
    wanted = {"variable", "code", "datatype", "required", "datatype_description", "order", "description", "values"}
    assert [set(item) for item in definition["attributes"]] == [wanted]
    answer = anybody.get(f"{URL}/services.xml")
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.text.startswith('<?xml version="1.0" encoding="utf-8"?>')
    root = Xml.fromstring(answer.content)
    assert root.tag == "services" and [[part.tag for part in item] for item in root] == [fields, fields]
    assert root.findtext("service/metadata") == "true"
    assert Xml.fromstring(anybody.get(f"{URL}/services/drug-site.xml").content).findtext("attributes/attribute/code") == "web"
    assert Xml.fromstring(anybody.get(f"{URL}/discovery.xml").content).findtext("endpoints/endpoint/formats/format") == "text/xml"


def test_accept_chooses_where_the_path_does_not(client: TestClient) -> None:
    def kind(accept: str) -> str:
        return str(client.get(f"{URL}/services", headers={"Accept": accept}).headers["content-type"]).partition(";")[0]

    assert kind("application/json") == "application/json"
    assert kind("text/xml;q=0.5, application/json;q=0.9") == "application/json"
    assert kind("*/*") == kind("text/xml") == kind("application/xml") == kind("application/json;q=x") == "text/xml"


def test_a_request_is_sent_read_and_followed(client: TestClient, settings: ServiceSettings) -> None:
    answer = send(client, files=photo(1), description="Beside the door", address_string="Abai 1", address_id="77")
    assert answer.status_code == 201, answer.text
    assert [list(item) for item in answer.json()] == [["service_request_id", "service_notice", "account_id"]]
    number = answer.json()[0]["service_request_id"]
    before = client.get(f"{URL}/requests/{number}.json").json()
    assert [list(item) for item in before] == [REQUEST]
    assert (before[0]["status"], before[0]["lat"], before[0]["long"]) == ("open", 51.1, 71.4)
    assert (before[0]["description"], before[0]["address"], before[0]["address_id"]) == ("Beside the door", "Abai 1", "77")
    assert before[0]["agency_responsible"] == "Akimat" and before[0]["service_code"] == "drug-advert"
    assert read_all(settings) == 1
    after = client.get(f"{URL}/requests/{number}.xml", headers={"Accept-Language": "en"})
    request = Xml.fromstring(after.content).find("request")
    assert request is not None and [part.tag for part in request] == REQUEST
    assert request.findtext("status_notes") == "The photo was read and is being checked by an expert."
    for name in ("requested_datetime", "updated_datetime"):
        moment = datetime.fromisoformat(str(request.findtext(name)))
        assert moment.tzinfo is not None and abs(datetime.now(UTC) - moment) < timedelta(minutes=1)
    picture = client.get(str(request.findtext("media_url")).removeprefix(settings.public_url))
    assert picture.status_code == 200 and picture.content[:3] == b"\xff\xd8\xff"
    assert client.get(f"{URL}/tokens/{number}.json").json() == [{"service_request_id": number, "token": number}]
    same = client.get(f"/v1/reports/{number}").json()
    assert same["source"] == "open311" and same["adverts"][0]["identifiers"][0]["value"] == "sample_000001x"


def test_a_request_is_open_until_the_wall_is_clean_and_the_contacts_are_settled(
    client: TestClient, settings: ServiceSettings
) -> None:
    number = send(client, files=photo(3)).json()[0]["service_request_id"]
    read_all(settings)
    with Store.open(settings.store) as store:
        key = (client.get(f"/v1/reports/{number}").json()["files"][0]["sha256"], 0)
        now = datetime.now(UTC)

        def cleanup(step: Move) -> dict[str, Any]:
            store.write(lambda session: move(session, key, Track.CLEANUP, step, now), "tests")
            return following()

        def following() -> dict[str, Any]:
            return dict(client.get(f"{URL}/requests/{number}.json", headers={"Accept-Language": "en"}).json()[0])

        ordered = cleanup(Move("ordered", due=datetime(2031, 1, 2, tzinfo=UTC)))
        assert (ordered["status"], ordered["expected_datetime"]) == ("open", "2031-01-02T00:00:00Z")
        assert ordered["status_notes"] == "The removal of the inscription was ordered."
        painted = cleanup(Move("painted"))
        assert (painted["status"], painted["status_notes"]) == ("open", "The inscription was painted over.")
        contact = (IdentifierKind.TELEGRAM, "sample_000003x")
        from tagtrace.linking.store.resources import register, set_state

        def settle(session: Any) -> None:
            register(session, [contact], "read")
            set_state(session, *contact, ResourceState.REJECTED, "sells nothing")

        store.write(settle, "tests")
        assert following()["status"] == "closed"
        assert cleanup(Move("back_again"))["status"] == "open"
        whole = client.get(f"{URL}/requests/{number}.json?extensions=true").json()[0]
        assert {item["track"] for item in whole["extended_attributes"]["tracks"]} == {"cleanup", "blocking"}
        assert [item["type"] for item in whole["notes"]] == ["back_again"]


def test_a_request_closes_when_a_person_finds_no_advert_and_opens_when_that_is_taken_back(
    client: TestClient, settings: ServiceSettings
) -> None:
    number = send(client, files=photo(3)).json()[0]["service_request_id"]
    read_all(settings)

    def following() -> tuple[str, list[str]]:
        found = client.get(f"{URL}/requests/{number}.json?extensions=true").json()[0]
        return found["status"], [item["type"] for item in found["notes"]]

    assert following() == ("open", ["checking"])
    with Store.open(settings.store) as store:
        from tagtrace.linking.store import reviews

        key = (client.get(f"/v1/reports/{number}").json()["files"][0]["sha256"], 0)
        said = store.write(lambda session: reviews.record(session, key, reviews.Word.NOT_ADVERT, "a shop sign"), "expert")
        assert following() == ("closed", ["nothing_found"])
        store.write(lambda session: reviews.undo(session, said.id), "expert")
        assert following() == ("open", ["checking"])
        store.write(lambda session: reviews.record(session, key, reviews.Word.REJECTED, "cannot be followed"), "expert")
        store.write(lambda session: move(session, key, Track.CLEANUP, Move("ordered"), datetime.now(UTC)), "tests")
        assert following() == ("open", ["cleanup_ordered"]), "the wall is cleaned all the same"


def test_a_site_needs_no_place_and_closes_when_it_is_blocked_or_not_at_all(client: TestClient, settings: ServiceSettings) -> None:
    values = {"service_code": "drug-site", "attribute[web]": "https://t.me/some_sample_kz"}
    number = client.post(f"{URL}/requests.json", data=values).json()[0]["service_request_id"]
    read_all(settings)
    found = client.get(f"{URL}/requests/{number}.json?extensions=true").json()[0]
    assert (found["status"], found["service_code"], found["media_url"]) == ("open", "drug-site", None)
    assert found["attributes"] == [{"code": "web", "values": ["https://t.me/some_sample_kz"]}]
    report = client.get(f"/v1/reports/{number}").json()
    assert [item["value"] for item in report["contacts"]] == ["some_sample_kz"]
    with Store.open(settings.store) as store:
        from tagtrace.linking.store.resources import set_state

        contact = (IdentifierKind.TELEGRAM, "some_sample_kz")
        store.write(lambda session: set_state(session, *contact, ResourceState.REJECTED, "no shop"), "tests")
    assert client.get(f"{URL}/requests/{number}.json").json()[0]["status"] == "closed"


def test_words_alone_are_followed_but_never_to_the_reporter(client: TestClient, settings: ServiceSettings) -> None:
    told = "It says t.me/some_sample_kz; call me: +7 701 234 56 78, reporter@city.example"
    number = send(client, description=told).json()[0]["service_request_id"]
    nothing = send(client, description="a wall full of letters").json()[0]["service_request_id"]
    read_all(settings)
    contacts = client.get(f"/v1/reports/{number}").json()["contacts"]
    assert [item["value"] for item in contacts] == ["some_sample_kz"]
    asked = client.get(f"{URL}/requests/{nothing}.json", headers={"Accept-Language": "en"}).json()[0]
    assert asked["status"] == "closed" and "send a photo" in asked["status_notes"]


def test_who_reports_goes_to_the_vault_and_never_comes_back(client: TestClient, settings: ServiceSettings) -> None:
    person = {"first_name": "Asel", "last_name": "Sample", "phone": "+77010000000", "email": "asel@city.example"}
    hidden = {"account_id": "acc-991", "device_id": "dev-773"}
    number = send(client, files=photo(1), **person, **hidden).json()[0]["service_request_id"]
    answers = [client.get(f"{URL}/requests/{number}.{end}?extensions=true").text for end in ("json", "xml")]
    answers += [client.get(f"/v1/reports/{number}").text, client.get(f"{URL}/requests.json?extensions=true").text]
    for secret in (*person.values(), *hidden.values()):
        assert not any(secret in answer for answer in answers), secret
    with Store.open(settings.store) as store:
        kept = vault.read(store, settings, number, "test", "tests")
        assert kept == {"name": "Asel Sample", "phone": "+77010000000", "email": "asel@city.example"}
        with store.read() as session:
            from sqlalchemy import text

            for table in ("reports", "open311_requests", "report_requests", "audit", "report_events"):
                rows = str(session.execute(text(f"SELECT * FROM {table}")).all())
                assert not any(secret in rows for secret in (*person.values(), *hidden.values())), table
            assert audit.verify_audit(session) is None


def test_the_same_request_sent_again_is_the_same_request(client: TestClient) -> None:
    def number(**more: str) -> str:
        return str(send(client, **{"attribute[web]": "t.me/some_sample_kz", **more}).json()[0]["service_request_id"])

    first = number()
    assert number() == first
    assert number(device_id="another phone") != first
    assert number(description="in other words") != first
    named = [
        client.post(f"{URL}/requests.json", data=form(description=f"t.me/abcdef{n}"), headers={"Idempotency-Key": "k"})
        for n in (1, 1, 2)
    ]
    assert named[0].json() == named[1].json()
    assert (named[2].status_code, named[2].json()[0]["code"]) == (400, 409)


def test_lists_have_the_filters_of_the_specification(client: TestClient, settings: ServiceSettings) -> None:
    numbers = [send(client, files=photo(n)).json()[0]["service_request_id"] for n in (1, 2)]
    site = {"service_code": "drug-site", "attribute[web]": "t.me/some_sample_kz"}
    numbers.append(client.post(f"{URL}/requests.json", data=site).json()[0]["service_request_id"])
    other = client.post("/v1/reports", files=photo(9, "photo")).json()["id"]
    client.post(f"/v1/reports/{numbers[0]}/cancel")

    def ids(**query: str) -> list[str]:
        answer = client.get(f"{URL}/requests.json", params=query)
        assert answer.status_code == 200, answer.text
        return [item["service_request_id"] for item in answer.json()]

    assert ids() == [other, *reversed(numbers)]
    assert ids(service_code="drug-site") == [numbers[2]]
    assert ids(service_code="drug-advert") == [other, numbers[1], numbers[0]]
    assert ids(status="closed") == [numbers[0]] and ids(status="open") == [other, numbers[2], numbers[1]]
    assert len(ids(status="open,closed", service_code="drug-advert,drug-site")) == 4
    assert ids(service_request_id=f"{numbers[1]},{numbers[0]},unknown", status="open") == [numbers[1], numbers[0]]
    assert ids(page_size="3") == [other, numbers[2], numbers[1]] and ids(page_size="3", page="2") == [numbers[0]]
    assert ids(start_date="", end_date="", status="", service_code="", page_size="") == ids()
    now = datetime.now(UTC)
    assert ids(start_date=(now - timedelta(hours=1)).isoformat()) == ids()
    assert ids(end_date=(now - timedelta(hours=1)).isoformat()) == []
    assert ids(start_date=(now - timedelta(days=80)).isoformat(), end_date=(now + timedelta(days=1)).isoformat()) == ids()
    for wrong in (
        {"start_date": (now - timedelta(days=91)).isoformat(), "end_date": now.isoformat()},
        {"start_date": now.isoformat(), "end_date": (now - timedelta(days=1)).isoformat()},
        {"status": "painted"},
        {"start_date": "yesterday"},
    ):
        assert client.get(f"{URL}/requests.json", params=wrong).status_code == 400, wrong
    assert client.get(f"{URL}/requests.json", params={"service_code": "potholes"}).status_code == 404
    assert Xml.fromstring(client.get(f"{URL}/requests.xml?status=closed").content).findtext("request/status") == "closed"


def test_errors_have_the_form_of_the_specification(client: TestClient) -> None:
    def error(answer: Any) -> tuple[int, int, str]:
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert all(list(item) == ["code", "description"] for item in answer.json())
        return answer.status_code, answer.json()[0]["code"], " ".join(item["description"] for item in answer.json())

    def sent(**values: str) -> tuple[int, int, str]:
        return error(client.post(f"{URL}/requests.json", data=values))

    assert sent(lat="1", long="2")[:2] == (400, 400)
    assert sent(service_code="potholes")[:2] == (404, 404)
    assert sent(**form(jurisdiction_id="elsewhere.example"))[:2] == (404, 404)
    assert error(client.get(f"{URL}/services.json?jurisdiction_id=elsewhere.example"))[0] == 404
    assert "lat and long, address_string" in sent(service_code="drug-advert", description="t.me/abcdef")[2]
    assert "attribute[web]" in sent(service_code="drug-site")[2]
    assert "long:" in sent(**form(long="200"))[2] and "lat:" in sent(**form(lat="x"))[2]
    assert "email:" in sent(**form(description="x", email="e" * 300))[2]
    assert sent(**form())[:2] == (400, 422), "nothing to look at: no photo, no address, no words"
    assert error(client.get(f"{URL}/requests/{'0' * 28}.json"))[:2] == (404, 404)
    assert error(client.get(f"{URL}/requests/12345.json"))[0] == 400
    assert error(client.get(f"{URL}/nowhere.json"))[:2] == (404, 404)
    assert error(client.delete(f"{URL}/services.json"))[:2] == (405, 405)
    big = client.post(
        f"{URL}/requests.json", content=b"x" * 2_000_000, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert error(big)[:2] == (400, 413)
    assert error(send(client, files={"media": ("a.jpg", b"<html>", "image/jpeg")}))[:2] == (400, 415)
    root = Xml.fromstring(client.post(f"{URL}/requests.xml", data={"service_code": "potholes"}).content)
    assert (root.tag, root.findtext("error/code")) == ("errors", "404")


def test_the_key_is_sent_as_clients_send_it(client: TestClient, settings: ServiceSettings) -> None:
    key = helpers.key_for(settings.store, Scope.REPORTS_WRITE)
    reading = helpers.key_for(settings.store, Scope.REPORTS_READ, owner="other")
    anybody = TestClient(client.app)
    told = {"description": "t.me/abcdef"}
    assert anybody.post(f"{URL}/requests.json", data=form(api_key=key, **told)).status_code == 201
    assert anybody.post(f"{URL}/requests.json", params={"api_key": key}, data=form(**told)).status_code == 201
    assert anybody.post(f"{URL}/requests.json", data=form(api_key=key), files=photo(4)).status_code == 201
    assert anybody.post(f"{URL}/requests.json", data=form(**told), auth=("api_key", key)).status_code == 201
    number = anybody.post(f"{URL}/requests.json", data=form(**told), headers={"Authorization": f"Bearer {key}"}).json()[0][
        "service_request_id"
    ]
    for wrong in ("", "tt_wrong", key[:-1] + ("a" if key[-1] != "a" else "b")):
        answer = anybody.post(f"{URL}/requests.json", data=form(api_key=wrong, **told))
        assert (answer.status_code, answer.json()[0]["code"]) == (403, 403)
    assert anybody.post(f"{URL}/requests.json", data=form(api_key=reading, **told)).status_code == 403
    assert anybody.get(f"{URL}/requests.json", params={"api_key": key}).status_code == 403, "it may write, not read"
    assert anybody.get(f"{URL}/requests/{number}.json", params={"api_key": reading}).status_code == 404, "of another owner"
    assert anybody.get(f"{URL}/requests.json", params={"api_key": reading}).json() == []


def test_too_much_waiting_asks_to_come_back(tmp_path: Path, store_url: str) -> None:
    with helpers.client_of(helpers.make_settings(tmp_path, store_url, max_waiting_jobs=1)) as client:
        answers = [send(client, files=photo(n)) for n in range(4)]
        assert answers[0].status_code == 201 and answers[-1].status_code == 503
        assert answers[-1].json()[0]["code"] == 503 and int(answers[-1].headers["Retry-After"]) > 0
