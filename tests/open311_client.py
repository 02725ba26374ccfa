"""What tests of Open311 share: forms, photos, sending, and reading all that waits."""

from __future__ import annotations

from typing import Any

import service_helpers as helpers
from fastapi.testclient import TestClient

from tagtrace.linking.store import Store
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.scoring.build import build_engine
from tagtrace.service.jobs.reading import ReportReader, score_settings
from tagtrace.service.jobs.worker import Worker
from tagtrace.service.settings import ServiceSettings

URL = "/open311/v2"


def read_all(settings: ServiceSettings) -> int:
    with Store.open(settings.store) as store:
        reader = ReportReader(build_engine(score_settings(settings)), settings, store, PhotoFiles(settings.photos))
        worker, done = Worker(settings, store, reader), 0
        while worker.step():
            done += 1
        return done


def form(**more: str) -> dict[str, str]:
    return {"service_code": "drug-advert", "lat": "51.1", "long": "71.4", **more}


def photo(number: int, name: str = "media") -> dict[str, Any]:
    return {name: ("a.png", helpers.picture(number), "image/png")}


def send(client: TestClient, end: str = ".json", files: Any = None, **values: str) -> Any:
    return client.post(f"{URL}/requests{end}", data=form(**values), files=files)
