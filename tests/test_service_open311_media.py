"""Open311: pictures by address, and a client that exists."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import service_helpers as helpers
from open311_client import URL, form, photo, read_all, send

from tagtrace.linking.store import Store


class Pictures(BaseHTTPRequestHandler):
    """A picture store: some pictures, one that comes late, one that leads elsewhere, and a page."""

    asked: list[str]

    def do_GET(self) -> None:
        name = self.path.strip("/")
        self.asked.append(name)
        late = name == "late" and self.asked.count("late") < 3
        status = 302 if name == "elsewhere" else 404 if late or name == "none" else 200
        data = b"<html>" if name == "page" else helpers.picture(5) if status == 200 else b""
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/secret")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def picture_store() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Pictures,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_pictures_are_fetched_from_listed_hosts_only_and_no_report_is_lost(tmp_path: Path, store_url: str) -> None:
    settings = helpers.make_settings(
        tmp_path, store_url, reader="service_helpers:light_reader", media_hosts="127.0.0.1", media_private_addresses=True,
        media_backoff_s=0.0, media_attempts=3,
    )  # fmt: skip
    with picture_store() as (url, asked), helpers.client_of(settings) as client:

        def follow(name: str, at: str = url) -> tuple[str, dict[str, Any], dict[str, Any]]:
            sent = send(client, media_url=f"{at}/{name}")
            assert sent.status_code == 201, sent.text
            number = sent.json()[0]["service_request_id"]
            while read_all(settings):
                pass
            return (
                client.get(f"{URL}/requests/{number}.json", headers={"Accept-Language": "en"}).json()[0]["status_notes"],
                client.get(f"/v1/reports/{number}").json(),
                client.get(f"{URL}/requests/{number}.json?extensions=true").json()[0]["extended_attributes"]["media"][0],
            )

        notes, report, media = follow("good")
        assert media["state"] == "fetched" and report["state"] == "read"
        assert report["adverts"][0]["identifiers"][0]["value"] == "sample_000005x" and "checked by an expert" in notes
        _, report, media = follow("late")
        assert (media["state"], asked.count("late"), report["state"]) == ("fetched", 3, "read")
        for name, why in (("none", "answered 404"), ("elsewhere", "answered 302"), ("page", "not a picture")):
            notes, report, media = follow(name)
            assert (media["state"], report["state"]) == ("failed", "failed") and why in media["error"], media
            assert "Please send a new one" in notes
        assert (asked.count("none"), asked.count("elsewhere")) == (3, 1) and "secret" not in asked
        before = len(asked)
        for at in (
            "https://example.com",
            url.replace("127.0.0.1", "localhost"),
            "file:///etc",
            "http://127.0.0.1@evil.example",
            "gopher://127.0.0.1",
        ):
            _, report, media = follow("good", at)
            assert media["state"] == "failed" and media["error"], at
        assert len(asked) == before
        both = send(client, files=photo(6), media_url=f"{url}/none").json()[0]["service_request_id"]
        while read_all(settings):
            pass
        report = client.get(f"/v1/reports/{both}").json()
        assert report["state"] == "read" and [item["state"] for item in report["media"]] == ["failed"]
        assert report["adverts"][0]["identifiers"][0]["value"] == "sample_000006x"


@pytest.mark.parametrize(
    "url", ["http://a.example/x.jpg", "https://b.example/x.jpg", "https://a.example:0/", "https://[::1]/x", "x"]
)
def test_without_private_addresses_only_https_to_a_listed_host(tmp_path: Path, url: str) -> None:
    from tagtrace.service.media import refusal

    settings = helpers.make_settings(tmp_path, media_hosts="A.example, media.city.example")
    assert refusal(url, settings)
    assert refusal("https://a.example/x.jpg", settings) == ""


def test_a_listed_host_with_a_private_address_is_not_asked(tmp_path: Path) -> None:
    from tagtrace.service.media import NotFetched, fetch_picture

    settings = helpers.make_settings(tmp_path, media_hosts="localhost")
    with pytest.raises(NotFetched, match="private network"):
        fetch_picture("https://localhost/x.jpg", settings)


@pytest.mark.parametrize("written", ["json", "xml"])
def test_an_existing_client_connects_without_new_code(tmp_path: Path, written: str) -> None:
    georeport = pytest.importorskip("georeport")
    import socket
    import time

    import uvicorn

    from tagtrace.service.run import server_config

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = helpers.make_settings(tmp_path, port=port)
    Store.open(settings.store).close()
    key = helpers.key_for(settings.store)
    server = uvicorn.Server(server_config(settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        # The client sends no key when it reads: its address carries it.
        client = georeport.GeoReport(f"http://api_key:{key}@127.0.0.1:{port}{URL}", output_format=written)
        services = client.get_service_list()
        assert [item["service_code"] for item in services] == ["drug-advert", "drug-site"]
        definition = client.get_service_definition("drug-advert")
        assert definition["service_code"] == "drug-advert"
        import httpx

        sent = [
            httpx.post(f"{client.root_address}/requests.json", data=form(description=f"t.me/abcdef{n}"), timeout=20).json()[0]
            for n in (1, 2)
        ]
        numbers = [item["service_request_id"] for item in sent]
        listed = client.get_service_requests(status="open")
        assert sorted(item["service_request_id"] for item in listed) == sorted(numbers)
        one = client.get_service_request(numbers[0])
        assert one["status"] == "open" and json.dumps(one)
    finally:
        server.should_exit = True
        thread.join()
