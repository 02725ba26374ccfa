"""A worker process: takes jobs from the store and reads their reports, one after the other."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import structlog

from ...contract import TagtraceError
from ...linking.store import Store
from ...linking.store import jobs as job_rows
from ...linking.store import reports as rows
from ...linking.store.jobs import Lease, RetryRule
from ...linking.store.photos import PhotoFiles
from ...linking.store.reports import ReportState
from ...scoring.build import build_engine
from ...scoring.heap import bound_heap
from ...scoring.worker import limit_threads
from .. import logs
from ..settings import ServiceSettings
from .fetching import Postponed
from .reading import LostLease, ReportReader, score_settings

TIMED_OUT = 70
"""Exit code of a worker that ended itself because a job took too long."""
_log = structlog.get_logger(__name__)


def retry_rule(settings: ServiceSettings) -> RetryRule:
    """How often jobs are tried."""
    first, most = timedelta(seconds=settings.job_backoff_s), timedelta(seconds=settings.job_backoff_most_s)
    return RetryRule(settings.job_attempts, first, most)


class Worker:
    """Takes jobs until it is told to stop."""

    def __init__(self, settings: ServiceSettings, store: Store, reader: ReportReader) -> None:
        self._settings = settings
        self._store = store
        self._reader = reader
        self._rule = retry_rule(settings)
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def step(self) -> bool:
        """Do one job; False when there is none."""
        now = rows.now_utc()
        with self._store.read() as session:
            if not job_rows.has_work(session, now):
                return False
        lease_time = timedelta(seconds=self._settings.lease_s)
        lease = self._store.write(lambda session: job_rows.claim(session, self._name, now, lease_time), self._name)
        if lease is None:
            return False
        if lease.attempts > self._rule.attempts:
            self._give_up(lease, f"the worker died {lease.attempts - 1} times while it read this report")
            return True
        try:
            with self._held(lease):
                self._reader.read(lease)
            _log.info("report read", report=lease.report_id, attempts=lease.attempts)
        except LostLease:
            _log.info("report given up", report=lease.report_id)
        except Postponed as wait:
            until = wait.until
            self._store.write(lambda session: job_rows.postpone(session, lease, until), self._name)
            _log.info("report waits for its pictures", report=lease.report_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next job is done; this one is tried again
            _log.error("report not read", report=lease.report_id, attempts=lease.attempts, exc_info=error)
            self._failed(lease, f"{type(error).__name__}: {error}")
        return True

    def _failed(self, lease: Lease, error: str) -> None:
        def change(session: Any) -> None:
            if job_rows.fail(session, lease, error, rows.now_utc(), self._rule):
                rows.set_report_state(session, lease.report_id, ReportState.FAILED, rows.now_utc(), "it could not be read")

        self._store.write(change, self._name)

    def _give_up(self, lease: Lease, error: str) -> None:
        def change(session: Any) -> None:
            if job_rows.set_aside(session, lease, error, rows.now_utc()):
                rows.set_report_state(session, lease.report_id, ReportState.FAILED, rows.now_utc(), "it could not be read")

        self._store.write(change, self._name)

    @contextmanager
    def _held(self, lease: Lease) -> Iterator[None]:
        """Keep a job as long as the block runs; a block that runs too long ends the process."""
        done = threading.Event()
        thread = threading.Thread(target=self._renew, args=(lease, done), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _renew(self, lease: Lease, done: threading.Event) -> None:
        end = time.monotonic() + self._settings.job_timeout_s
        while not done.wait(min(self._settings.lease_s / 3, max(0.0, end - time.monotonic()))):
            try:
                if time.monotonic() >= end:
                    # A thread cannot stop another; the process can be replaced.
                    self._failed(lease, f"took longer than {self._settings.job_timeout_s:g} s")
                    os._exit(TIMED_OUT)
                until = rows.now_utc() + timedelta(seconds=self._settings.lease_s)
                self._store.write(lambda session, until=until: job_rows.renew(session, lease, until))  # type: ignore[misc]
            except TagtraceError as error:
                _log.warning("lease not renewed", job=lease.job_id, why=str(error))


def work(settings: ServiceSettings, threads: int = 0, parent: int | None = None) -> None:
    """The main function of a worker process: until SIGTERM, until ``parent`` is gone, or until it has done its share.

    Raises ``TagtraceError`` where the store or the models cannot be used.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C goes to the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(settings.log_level, pretty=settings.development)
    bound_heap()
    with Store.open(settings.store, durable=True) as store:
        engine = build_engine(score_settings(settings), threads=threads)
        limit_threads(threads)
        worker = Worker(settings, store, ReportReader(engine, settings, store, PhotoFiles(settings.photos)))
        done = 0
        while not stop.is_set() and done < settings.worker_jobs and (parent is None or os.getppid() == parent):
            try:
                if worker.step():
                    done += 1
                else:
                    stop.wait(settings.poll_s)
            except TagtraceError as error:
                # The store is away for a moment, or too busy.
                _log.warning("no job could be taken", why=str(error))
                stop.wait(settings.poll_s)
