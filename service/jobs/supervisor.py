"""Starts worker processes, and replaces those that end."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from multiprocessing.context import SpawnProcess

import structlog

from ...scoring.run import available_cores
from ..settings import ServiceSettings
from .worker import work

_STOP_S = 20.0
"""Time that workers have to end their job when the service stops; afterwards another process takes the job again."""
_QUICK_S = 5.0
"""A worker that ends sooner than this is not replaced at once."""
_LOOK_S = 0.5
_log = structlog.get_logger(__name__)


class Supervisor:
    """Keeps ``workers`` processes running while the block runs."""

    def __init__(self, settings: ServiceSettings, workers: int) -> None:
        self._settings = settings
        self._workers = workers
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Supervisor:
        if self._workers:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._workers:
            self._thread.join()

    def wait(self) -> None:
        """Until ``stop``."""
        self._stop.wait()

    def stop(self) -> None:
        """End the workers."""
        self._stop.set()

    def _run(self) -> None:
        started: dict[SpawnProcess, float] = {}
        while not self._stop.wait(_LOOK_S):
            for process in [process for process in started if not process.is_alive()]:
                begun = started.pop(process)
                _log.info("worker ended", code=process.exitcode)
                process.close()
                if time.monotonic() - begun < _QUICK_S:
                    self._stop.wait(_QUICK_S)
            while len(started) < self._workers and not self._stop.is_set():
                started[self._start()] = time.monotonic()
        self._end(list(started))

    def _start(self) -> SpawnProcess:
        threads = self._settings.threads or max(1, available_cores() // self._workers)
        # Spawned, not forked: models and threads of this process have no business there.
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=work, args=(self._settings, threads, os.getpid()), name="tagtrace worker")
        process.start()
        return process

    @staticmethod
    def _end(processes: list[SpawnProcess]) -> None:
        end = time.monotonic() + _STOP_S
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
