"""Reads one photo in the process of the web server, for ``POST /v1/analyse``."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from ..contract import Failure
from ..inference.decode import decode
from ..linking.pictures import picture_hash
from ..scoring.build import Engine, build_engine
from ..scoring.placing import place_all
from ..scoring.records import result_to_json
from ..scoring.worker import limit_threads
from .jobs.reading import score_settings
from .problems import ProblemError
from .register import Register
from .reports.uploads import check_photo
from .settings import ServiceSettings


class Analyser:
    """Loads the models when the first photo comes, and reads one photo at a time."""

    def __init__(self, settings: ServiceSettings, register: Register) -> None:
        self._settings = settings
        self._register = register
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    def analyse(self, data: bytes) -> dict[str, Any]:
        """One photo by itself as ``results.jsonl`` has it, linked to the register of the store."""
        settings = score_settings(self._settings)
        check_photo(data, "photo", self._settings)
        photo = decode(data, "photo", settings.decode)
        if isinstance(photo, Failure):
            raise ProblemError(422, f"{photo.message}.", f"photo-{photo.code}".replace("_", "-"))
        with self._lock:
            if self._engine is None:
                self._engine = build_engine(settings, threads=self._settings.threads)
                limit_threads(self._settings.threads)
            analysis = self._engine.pipeline.analyse([photo])[0]
            models = dict(self._engine.settings)
        shops = self._register.shops()
        placing = replace(settings.placing, extract=settings.pipeline.extract)
        shape = picture_hash(photo.pixels)
        result = place_all([(analysis, shape)], shops, settings.links, settings.clusters, placing)[0]
        return result_to_json(result, {**settings.to_json(), "engine": models})
