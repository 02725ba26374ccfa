"""The shipped models in a real worker process behind a real server: what a report says in the end is what stands on the wall."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagtrace.linking.store import Store
from tagtrace.linking.store.importing import import_shop_list
from tagtrace.training.benchmark_service import Server, multipart

pytestmark = pytest.mark.timeout(500)
SAMPLE = Path(__file__).resolve().parent.parent / "datasets" / "sample"
READ_S = 300.0
"""On a machine that is busy otherwise; 1 s for a photo on one that is not."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("real") / "service", workers=1, reader="tagtrace", settings={"LEASE_S": "120"})
    made.prepare()
    with Store.open(str(made.folder / "store.db")) as store:
        import_shop_list(store, SAMPLE / "registry.csv", actor="tests")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def reports(server: Server) -> dict[str, dict[str, Any]]:
    """What became of three photos, by their names: two of one poster, one of another wall."""
    truth = {row["file"]: row for row in map(json.loads, (SAMPLE / "truth.jsonl").read_text(encoding="utf-8").splitlines())}
    sent = {}
    for name in ("sample_0036.jpg", "sample_0041.jpg", "sample_0013.jpg"):
        fields = {field: str(truth[name][field]) for field in ("lat", "lon", "taken_at")}
        body, kind = multipart((SAMPLE / "photos" / name).read_bytes(), {"external_id": name, **fields})
        status, text = server.request("POST", "/v1/reports", body, {"Content-Type": kind})
        assert status == 202, text
        sent[name] = json.loads(text)["id"]
    found: dict[str, dict[str, Any]] = {}
    end = time.monotonic() + READ_S
    while len(found) < len(sent) and time.monotonic() < end:
        time.sleep(0.5)
        for name, number in sent.items():
            answer = json.loads(server.request("GET", f"/v1/reports/{number}")[1])
            if answer["state"] not in ("received", "reading"):
                found[name] = answer
    assert set(found) == set(sent), (server.folder / "service.log").read_text()[-2000:]
    return found


def handle_of(report: dict[str, Any]) -> dict[str, Any]:
    found = [item for advert in report["adverts"] for item in advert["identifiers"] if item["kind"] == "telegram"]
    assert len(found) == 1, found
    return dict(found[0])


@pytest.mark.parametrize(
    ("name", "value", "shop"),
    [
        ("sample_0036.jpg", "sirius_kz", "SS003"),
        ("sample_0041.jpg", "sirius_kz", "SS003"),
        ("sample_0013.jpg", "tundra_kz", "SS001"),
    ],
)
def test_the_handle_is_read_and_linked(reports: dict[str, dict[str, Any]], name: str, value: str, shop: str) -> None:
    report = reports[name]
    assert report["state"] == "read", report
    item = handle_of(report)
    assert item["value"] == value
    link = item["link"]
    assert (link["outcome"], link["shop_id"], link["value"]) == ("same", shop, value)
    assert link["probability"] >= 0.9 and link["reasons"] and link["evidence"]


def test_photos_of_one_wall_are_one_cluster(reports: dict[str, dict[str, Any]]) -> None:
    clusters = {name: {advert["cluster"] for advert in report["adverts"]} for name, report in reports.items()}
    one, again, other = clusters.values()
    assert len(one) == len(other) == 1 and one == again != other, clusters
    numbers = [report["id"] for report in reports.values()]
    assert {(item["report_id"], item["by"]) for item in reports["sample_0041.jpg"]["duplicates"]} == {(numbers[0], "cluster")}


def test_the_citizen_is_told_that_it_is_checked_and_the_numbers_are_there(
    server: Server, reports: dict[str, dict[str, Any]]
) -> None:
    assert {item["code"] for report in reports.values() for item in report["citizen"]} == {"checking"}
    text = server.request("GET", "/metrics")[1].decode()
    assert 'tagtrace_photo_outcome_count{of="adverts"} 3.0' in text
    for stage in ("decode", "read", "codes", "extract", "all"):
        assert f'tagtrace_stage_seconds_count{{of="{stage}"}} 3.0' in text
