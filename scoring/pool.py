"""Worker processes that may die: the photo in their hands fails, a new one takes their place, the rest goes on."""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ..contract import BrokenInstallationError, ExitCode, Failure, FailureCode, TagtraceError
from .early import Started, start
from .files import OutputError
from .records import analysis_to_json
from .worker import Broken, Ready, Scored, Task, WorkerSpec, failed

_END_WAIT_S = 5.0
_LAST_BREATH_S = 0.5
_MOST_DEAD_STARTS = 3


_AHEAD = 2
"""Photos that a worker has: one that it scores, and the next, so that it need not wait while the last one is kept."""


@dataclass(slots=True, eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    tasks: deque[Task] = field(default_factory=deque)
    """What it has, the photo that it scores first."""
    deadline: float = 0.0

    def takes(self, task: Task, most: int) -> bool:
        """Whether it can be given a photo more, to have at most so many."""
        # Bytes may not fit in the pipe: they wait until it reads, or both sides would wait for each other.
        return self.ready and len(self.tasks) < (most if task.data is None else 1)


class WorkerPool:
    """``count`` processes that score photos. Use it in a ``with`` block: leaving it ends the processes, however it is left."""

    def __init__(self, spec: WorkerSpec, count: int, tries: int = 1, first: Started | None = None) -> None:
        """``tries``: so often a photo is given to a worker before the death of its workers makes it fail.

        ``first`` is a process that was started before; it becomes the first worker.
        """
        self._spec = spec
        self._early = first
        self._tries = tries
        self._again: deque[Task] = deque()
        self._deaths: Counter[str] = Counter()
        self._workers: list[_Worker] = []
        self._count = max(1, count)
        self._dead_starts = 0

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def start(self) -> Ready:
        """Start the workers and wait until the models of the first are loaded.

        Raises what the worker could not do: ``BrokenInstallationError`` or another ``TagtraceError``.
        """
        while len(self._workers) < self._count:
            self._add()
        worker = self._workers[0]
        while True:
            message = self._next_message(worker)
            if isinstance(message, Ready):
                worker.ready = True
                return message
            if message is not None:
                raise AssertionError(f"a worker began with {type(message).__name__}")
            self._bury(worker)
            self._add()
            worker = self._workers[0]

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Scored]]:
        """Score all tasks; each comes back once, with its record, in the order in which they get done."""
        waiting = iter(tasks)
        todo = next(waiting, None)
        while True:
            for most, worker in product(range(1, _AHEAD + 1), self._workers):
                if todo is not None and worker.takes(todo, most):
                    self._give(worker, todo)
                    todo = next(waiting, None)
            if todo is None and self._again:
                todo = self._again.popleft()
                continue
            if todo is None and not any(worker.tasks for worker in self._workers):
                return
            yield from self._collect()

    def _collect(self) -> Iterator[tuple[Task, Scored]]:
        """Wait until something happens, and give what got done by it."""
        busy = [worker for worker in self._workers if worker.tasks or not worker.ready]
        timeout = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
        happened = set(wait([worker.connection for worker in busy], timeout))
        for worker in busy:
            late = time.monotonic() >= worker.deadline
            if worker.connection not in happened and not late:
                continue
            message = self._receive(worker) if worker.connection in happened else None
            if isinstance(message, Ready):
                worker.ready = True
            elif isinstance(message, Scored) and worker.tasks:
                task = worker.tasks.popleft()
                worker.deadline = time.monotonic() + self._spec.settings.run.photo_timeout_s
                self._deaths.pop(str(task.path), None)
                yield task, message
            else:
                yield from self._replace(worker, late)

    def _replace(self, worker: _Worker, late: bool) -> Iterator[tuple[Task, Scored]]:
        """A worker died or hangs: the photo that it scored fails, and a new worker takes its place."""
        why = self._bury(worker)
        self._add()
        if worker.tasks:
            task, *waiting = worker.tasks
            self._again.extend(waiting)
            self._deaths[str(task.path)] += 1
            if not late and self._deaths[str(task.path)] < self._tries:
                self._again.append(task)
                return
            del self._deaths[str(task.path)]
            if late:
                why = f"took longer than {self._spec.settings.run.photo_timeout_s:g} s"
            message = f"{task.name}: the worker {why} while it analysed this photo; run again with --resume and fewer --workers"
            yield task, Scored(analysis_to_json(failed(task, Failure(FailureCode.INTERNAL, message)), None))

    def _add(self) -> None:
        started, self._early = self._early or start(), None
        # One that is dead already shows when it should be ready.
        with contextlib.suppress(OSError):
            started.connection.send(self._spec)
        deadline = time.monotonic() + self._spec.settings.run.start_timeout_s
        self._workers.append(_Worker(started.process, started.connection, deadline=deadline))

    def _give(self, worker: _Worker, task: Task) -> None:
        if not worker.tasks:
            worker.deadline = time.monotonic() + self._spec.settings.run.photo_timeout_s
        worker.tasks.append(task)
        # A worker that is dead already shows when its answer is read.
        with contextlib.suppress(OSError):
            worker.connection.send(task)

    def _next_message(self, worker: _Worker) -> Ready | Scored | None:
        left = max(0.0, worker.deadline - time.monotonic())
        return self._receive(worker) if worker.connection.poll(left) else None

    def _receive(self, worker: _Worker) -> Ready | Scored | None:
        """The next message, or None when the worker is dead. Raises what no other worker could do either."""
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(message, Broken):
            raise error_of(message)
        assert isinstance(message, (Ready, Scored))
        return message

    def _bury(self, worker: _Worker) -> str:
        """Take a worker out, and tell how it ended. Workers that die before they are ready end the run after some tries."""
        self._workers.remove(worker)
        # One that died by itself needs a moment until its exit code is known.
        worker.process.join(_LAST_BREATH_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(_END_WAIT_S)
        why = _ending(worker.process.exitcode)
        worker.connection.close()
        if worker.ready:
            self._dead_starts = 0
        else:
            self._dead_starts += 1
            if self._dead_starts >= _MOST_DEAD_STARTS:
                raise BrokenInstallationError(
                    f"workers die while they load the models ({why}); try fewer --workers, or check memory and installation"
                )
        return why

    def _end(self) -> None:
        for worker in self._workers:
            # Idle ones leave by themselves; busy ones are of no use any more.
            if worker.ready and not worker.tasks:
                with contextlib.suppress(OSError):
                    worker.connection.send(None)
            else:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_END_WAIT_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join(_END_WAIT_S)
            worker.connection.close()
        self._workers.clear()


_ERRORS: dict[ExitCode, type[TagtraceError]] = {
    ExitCode.BROKEN_INSTALLATION: BrokenInstallationError,
    ExitCode.NOTHING_SCORED: OutputError,
}


def error_of(broken: Broken) -> TagtraceError:
    """What a worker could not do, as an error to be raised."""
    return _ERRORS.get(broken.exit_code, TagtraceError)(broken.message)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        hint = " (perhaps the memory ran out)" if name == "SIGKILL" else ""
        return f"was killed by {name}{hint}"
    return f"ended with code {code}"
