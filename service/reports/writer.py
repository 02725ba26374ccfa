"""Takes reports into the store, many in one transaction: 50 clients wait for one commit instead of for 50."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from ...linking.store import Store
from ...linking.store import jobs as job_rows
from ...linking.store import reports as rows
from ..problems import ProblemError
from ..settings import ServiceSettings

StoreReporter = Callable[[Any, str, Mapping[str, str]], None]
"""Keeps what is known of a reporter (name, phone, email), encrypted: session of the store, report id, values.

It runs in the transaction that takes the report in: both are there, or neither."""
_BATCH = 64
_QUEUE = 1_000
"""Requests that may wait for the writer."""
_COUNT_EVERY = timedelta(seconds=1)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    report: rows.NewReport
    reporter: Mapping[str, str]
    answer: Future[rows.Accepted] = field(default_factory=Future)


class IntakeWriter:
    """One thread that writes. Use as a context manager."""

    def __init__(self, store: Store, settings: ServiceSettings, store_reporter: StoreReporter | None = None) -> None:
        self._store = store
        self._settings = settings
        self._store_reporter = store_reporter
        self._queue: queue.Queue[_Request | None] = queue.Queue(_QUEUE)
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._waiting = 0
        self._counted: datetime | None = None

    def __enter__(self) -> IntakeWriter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.put(None)
        self._thread.join()

    def check_room(self) -> None:
        """``ProblemError`` 503 while more jobs wait than the settings allow."""
        if self._waiting >= self._settings.max_waiting_jobs:
            raise self._busy("Too many reports wait to be read.")

    def submit(self, report: rows.NewReport, reporter: Mapping[str, str]) -> Future[rows.Accepted]:
        """Write a report down; the answer comes when it is in the store for good."""
        request = _Request(report, reporter)
        try:
            self._queue.put_nowait(request)
        except queue.Full:
            raise self._busy("Too many reports come in at once.") from None
        return request.answer

    def _busy(self, why: str) -> ProblemError:
        headers = {"Retry-After": str(self._settings.retry_after_s)}
        return ProblemError(503, f"{why} Send this one again in {self._settings.retry_after_s} s.", "busy", headers)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < _BATCH:
                try:
                    further = self._queue.get_nowait()
                except queue.Empty:
                    break
                if further is None:
                    self._queue.put(None)
                    break
                batch.append(further)
            self._write(batch)

    def _write(self, batch: list[_Request]) -> None:
        try:
            done = self._store.write(lambda session: self._accept(session, batch), "intake")
        except Exception as error:  # noqa: BLE001 - it goes to whoever waits for the answer
            if len(batch) > 1:
                # Find out which one it is; the others are taken in.
                for request in batch:
                    self._write([request])
            else:
                _log.error("a report could not be taken in", exc_info=error)
                batch[0].answer.set_exception(error)
            return
        for request, accepted in zip(batch, done, strict=True):
            request.answer.set_result(accepted)
        self._count()

    def _accept(self, session: Any, batch: list[_Request]) -> list[rows.Accepted]:
        window = timedelta(seconds=self._settings.retry_window_s)
        done = rows.accept_all(session, [request.report for request in batch], rows.now_utc(), window)
        for request, accepted in zip(batch, done, strict=True):
            if accepted.new and request.reporter and self._store_reporter is not None:
                self._store_reporter(session, accepted.id, request.reporter)
        return done

    def _count(self) -> None:
        now = rows.now_utc()
        if self._counted is None or now - self._counted > _COUNT_EVERY:
            with self._store.read() as session:
                self._waiting = job_rows.count_waiting(session)
            self._counted = now
