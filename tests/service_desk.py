"""Help for tests of the service: an application on an empty store, and people who are signed in."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from tagtrace.linking.store import Store
from tagtrace.service.access import Role, people
from tagtrace.service.app import create_app
from tagtrace.service.settings import load_settings

PASSWORD = "tulip kettle 93 harbour"
VAULT = "v1:" + base64.b64encode(bytes(range(32))).decode()


class Desk:
    """A running application: its settings, its store, and clients."""

    def __init__(self, app: Any, store: Store, settings: Any, stack: list[TestClient]) -> None:
        self.app, self.store, self.settings, self._stack = app, store, settings, stack

    def client(self) -> TestClient:
        """Somebody who is not signed in."""
        return TestClient(self.app, raise_server_exceptions=False)

    def person(self, login: str, *roles: Role) -> TestClient:
        """Somebody new who is signed in, with the CSRF token in every request."""
        people.add(self.store, login, login.title(), frozenset(roles), PASSWORD, "tests")
        return self.sign_in(login)

    def sign_in(self, login: str, password: str = PASSWORD) -> TestClient:
        """A client of somebody who is there already."""
        client = self.client()
        answer = client.post("/v1/session", json={"login": login, "password": password})
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        return client


@contextmanager
def desk(store_url: str, photos: Path, **settings: Any) -> Iterator[Desk]:
    """The application on a store, which is set up first."""
    Store.open(store_url, upgrade=True).close()
    chosen = load_settings(environment="development", store=store_url, photos=str(photos), **{"vault_keys": VAULT, **settings})
    app = create_app(chosen)
    with TestClient(app, raise_server_exceptions=False), Store.open(store_url) as store:
        yield Desk(app, store, chosen, [])


def advert_photo(words: str, seed: int) -> bytes:
    """A small JPEG with words on it and a GPS position in its EXIF."""
    import io

    from PIL import Image as PilImage
    from PIL import ImageDraw

    picture = PilImage.new("RGB", (640, 480), (200 - seed % 40, 190, 180))
    ImageDraw.Draw(picture).text((80, 200), words, fill=(20, 20, 20), font_size=48)
    exif = PilImage.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[1] = "N"
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif, quality=90)
    return buffer.getvalue()


def see(
    desk: Desk,
    value: str,
    *,
    seed: int = 0,
    kind: str = "telegram",
    raw: str = "",
    place: tuple[float, float] | None = (51.1280, 71.4300),
    report_id: str | None = None,
) -> tuple[str, int]:
    """Put a photo with one advert into the store, as scoring does, and give photo and number."""
    from datetime import UTC, datetime

    from tagtrace.contract import Advert, Analysis, Identifier, IdentifierKind, Line, ModelInfo, Reading
    from tagtrace.linking.sightings import Sighting
    from tagtrace.linking.store.analyses import PhotoFacts, put_analysis
    from tagtrace.linking.store.clusters import put_sightings
    from tagtrace.linking.store.photos import PhotoFiles

    files = PhotoFiles(desk.settings.photos)
    data = advert_photo(raw or f"@{value}", seed)
    sha256 = files.put(data)
    quad = ((80.0, 200.0), (560.0, 200.0), (560.0, 260.0), (80.0, 260.0))
    item = Identifier(IdentifierKind(kind), value, raw or f"@{value}", 0.97, lines=(0,))
    advert = Advert(quad, (Line(quad, 0.9, Reading(raw or f"@{value}", 0.96)),), (), (item,))
    lat, lon = place or (None, None)
    seen = datetime.now(UTC)
    models = (ModelInfo("recogniser", "test-reader-1", "ab" * 32),)
    analysis = Analysis("a.jpg", sha256, 640, 480, (advert,), models=models, taken_at=seen, lat=lat, lon=lon, report_id=report_id)
    facts = PhotoFacts(files.url, len(data), seed * 7919 + 12345)
    desk.store.write(lambda session: put_analysis(session, analysis, (), {}, facts), "tests")
    sighting = Sighting(sha256, 0, (item,), None, lat, lon, None, taken_at=seen)
    put_sightings(desk.store, [sighting], at=seen, actor="tests")
    return sha256, 0
