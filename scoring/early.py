"""The beginning of a worker process, light enough to be started before its parent knows what there is to do.

A worker and its parent both need a second for their imports: they take it at the same time.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess


@dataclass(frozen=True, slots=True, eq=False)
class Started:
    """A process that waits for its ``WorkerSpec`` at the other end of ``connection``; it ends when that is closed."""

    process: BaseProcess
    connection: Connection


def begin(connection: Connection) -> None:
    """The main function of a worker process: imports first, then asks what it is to do."""
    # Ctrl-C goes to the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from .worker import work

    try:
        spec = connection.recv()
    except (EOFError, OSError):
        return
    work(connection, spec)


def start() -> Started:
    """Start a worker process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=begin, args=(theirs,), name="tagtrace-worker", daemon=True)
    with _interrupts_ignored():
        process.start()
    # The worker's end is closed here, so that its death closes the pipe.
    theirs.close()
    return Started(process, ours)


@contextmanager
def started(wanted: bool) -> Iterator[Started | None]:
    """A worker process for the block, if ``wanted``: whoever takes it ends it; closed here, it ends where nobody did."""
    if not wanted:
        yield None
        return
    early = start()
    try:
        yield early
    finally:
        early.connection.close()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started in here ignore Ctrl-C from their first moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
