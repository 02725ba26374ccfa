"""Many reports as one CSV: rows without photos, every bad one named, and the same file sent again makes nothing new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import service_helpers as helpers
from fastapi.testclient import TestClient

from tagtrace.linking.store import Store
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.scoring.build import build_engine
from tagtrace.service.jobs.reading import ReportReader, score_settings
from tagtrace.service.jobs.worker import Worker
from tagtrace.service.settings import ServiceSettings

HEADERS = {"Content-Type": "text/csv"}


@pytest.fixture
def settings(tmp_path: Path, store_url: str) -> ServiceSettings:
    found: ServiceSettings = helpers.make_settings(tmp_path, store_url, reader="service_helpers:light_reader")
    return found


@pytest.fixture
def client(settings: ServiceSettings) -> Iterator[TestClient]:
    with helpers.client_of(settings) as opened:
        yield opened


def send(client: TestClient, text: str | bytes, status: int = 200) -> dict[str, Any]:
    answer = client.post("/v1/reports/import", content=text if isinstance(text, bytes) else text.encode(), headers=HEADERS)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def contacts(client: TestClient, settings: ServiceSettings, number: str) -> list[str]:
    with Store.open(settings.store) as store:
        worker = Worker(
            settings, store, ReportReader(build_engine(score_settings(settings)), settings, store, PhotoFiles(settings.photos))
        )
        while worker.step():
            pass
    found = client.get(f"/v1/reports/{number}").json()
    assert (found["state"], found["source"]) == ("read", "csv")
    return [item["value"] for item in found["contacts"]]


def test_rows_have_addresses_or_words_and_every_bad_one_is_named(client: TestClient, settings: ServiceSettings) -> None:
    rows = [
        "web,text,lat,lon,taken_at",
        "t.me/sample_one @sample_two,on a garage,51.1,71.4,2026-01-31T10:00:00+05:00",
        ",Қабырғада t.me/sample_three деп жазылған,,,",
        "",
        "t.me/sample_four,,51.1,,",
        ',"two lines, the second has\nno address",,,',
        "t.me/sample_five,,,,yesterday",
        ",,51.1,71.4,",
        "t.me/sample_six,,,,,surplus",
        "t.me/sample_seven,,,,,",
    ]
    found = send(client, "\r\n".join(rows))
    assert (found["taken"], found["refused"]) == (4, 4)
    wrong = {row["row"]: [(error["field"], error["message"]) for error in row["errors"]] for row in found["rows"]}
    assert [number for number, errors in wrong.items() if not errors] == [2, 3, 6, 10]
    assert wrong[5][0] == ("report", "lat and lon come together")
    assert wrong[7][0][0] == "taken_at" and "or words" in wrong[8][0][1] and wrong[9][0][0] == "(more cells than columns)"
    ids = {row["row"]: row["id"] for row in found["rows"]}
    assert contacts(client, settings, ids[2]) == ["sample_one", "sample_two"]
    assert contacts(client, settings, ids[3]) == ["sample_three"]
    assert contacts(client, settings, ids[6]) == []
    assert client.get(f"/v1/reports/{ids[6]}").json()["citizen"][0]["code"] == "nothing_named"


def test_the_same_file_sent_again_makes_nothing_new_without_ids_too(client: TestClient) -> None:
    text = "web\nt.me/sample_one\nt.me/sample_two\nt.me/sample_one\n"
    first, again = send(client, text), send(client, text)
    ids = [row["id"] for row in first["rows"]]
    assert len(set(ids)) == 3, "two rows of one file are two reports"
    assert [row["id"] for row in again["rows"]] == ids and all(row["repeated"] for row in again["rows"])
    longer = send(client, text + "t.me/sample_one\n")
    assert [row["id"] for row in longer["rows"]][:3] == ids and not longer["rows"][3]["repeated"]


def test_an_id_that_was_used_for_another_report_is_named(client: TestClient) -> None:
    send(client, "external_id,web\nA1,t.me/sample_one\n")
    found = send(client, "external_id,web\nA1,t.me/sample_two\nA2,t.me/sample_two\n")
    assert [row["errors"] and row["errors"][0]["field"] for row in found["rows"]] == ["external_id", []]


def test_more_rows_than_are_written_at_once_keep_their_order(client: TestClient) -> None:
    found = send(client, "web,external_id\n" + "".join(f"t.me/sample_{n:04d},E{n}\n" for n in range(300)))
    assert [row["row"] for row in found["rows"]] == list(range(2, 302)) and found["taken"] == 300
    one = client.get("/v1/reports", params={"external_id": "E217"}).json()["items"][0]["id"]
    assert client.get(f"/v1/reports/{one}").json()["web"] == ["t.me/sample_0217"]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_spreadsheets_of_other_countries_are_read(client: TestClient, mark: str) -> None:
    found = send(client, "﻿web;text\nt.me/sample_one;Сөз, тағы сөз\n".replace(";", mark))
    assert found["taken"] == 1
    assert client.get(f"/v1/reports/{found['rows'][0]['id']}").json()["text"] == "Сөз, тағы сөз"


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (b"", 422, "empty"),
        (b"web,nonsense\n", 422, "nonsense"),
        (b"web,web\nt.me/abcdef,x\n", 422, "twice: web"),
        ("web\nt.me/abcdef\nслово\n".encode("cp1251"), 400, "line 3 is not in UTF-8"),
        (b'web\nt.me/abcdef\n"never closed\n', 400, "line"),
        (b"web\n" + b"t.me/abcdef\n" * 5001, 413, "5000"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_place(client: TestClient, text: bytes, status: int, said: str) -> None:
    assert said in send(client, text, status)["detail"]
    assert client.get("/v1/reports").json()["items"] == []
