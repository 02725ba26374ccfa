"""What tests of the service share: settings, clients with keys, a light reader, small pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image as PilImage

from tagtrace.contract import Image, Line, ModelInfo, Reading, Region
from tagtrace.linking.store import Store
from tagtrace.service.access import Scope, keys
from tagtrace.service.app import create_app
from tagtrace.service.settings import ServiceSettings, load_settings


class LightReader:
    """Reads one line off every photo: a name made of its first pixel, so that other photos show other adverts."""

    infos = (ModelInfo("reader", "light", "0" * 64),)

    def read_lines(self, images: Sequence[Image]) -> list[tuple[list[Line], list[Region]]]:
        out: list[tuple[list[Line], list[Region]]] = []
        for pixels in images:
            number = int(pixels[4, 4, 0]) * 65536 + int(pixels[4, 4, 1]) * 256 + int(pixels[4, 4, 2])
            quad = ((8.0, 8.0), (56.0, 8.0), (56.0, 24.0), (8.0, 24.0))
            out.append(([Line(quad, 0.99, Reading(f"t.me/sample_{number:06d}x", 0.99))], []))
        return out


def light_reader(threads: int) -> LightReader:
    """For ``ServiceSettings.reader``."""
    return LightReader()


def picture(number: int, side: int = 64, kind: str = "PNG") -> bytes:
    """A small picture that the light reader reads ``number`` from."""
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[:16, :16] = (number >> 16 & 255, number >> 8 & 255, number & 255)
    pixels[16:] = np.random.default_rng(number).integers(0, 255, (side - 16, side, 3), dtype=np.uint8)
    out = io.BytesIO()
    PilImage.fromarray(pixels).save(out, kind)
    return out.getvalue()


def make_settings(folder: Path, store_url: str = "", **values: object) -> ServiceSettings:
    """Settings of a service that lies in ``folder``."""
    given: dict[str, object] = {"environment": "development", "store": store_url or str(folder / "store.db")}
    given |= {
        "photos": str(folder / "photos"),
        "workers": 0,
        "least_free_bytes": 0,
        "key_rate_per_minute": 1e9,
        "key_burst": 10**6,
    }
    return load_settings(**{**given, **values})


def key_for(store_url: str, *scopes: Scope, owner: str = "city") -> str:
    """A new API key."""
    with Store.open(store_url) as store:
        return keys.create(store, "test", owner, frozenset(scopes or Scope), 1).text


@contextmanager
def client_of(settings: ServiceSettings, *scopes: Scope, owner: str = "city") -> Iterator[TestClient]:
    """A client of a running application that sends a key with all scopes, or those given."""
    Store.open(settings.store, upgrade=True).close()
    text = key_for(settings.store, *scopes, owner=owner)
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {text}"}) as client:
        yield client
