"""What runs on the machines of a Ray cluster: an actor that reads photos and gives them to a process of its own.

The process is that of the local engine: it may die of a photo without the actor, and is ended when it hangs.
"""

from __future__ import annotations

import hashlib
import pickle
import platform
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..contract import ExitCode, Failure, TagtraceError
from .inputs import oversize, read_failure
from .pool import WorkerPool
from .records import analysis_to_json
from .settings import ScoreSettings, fingerprint
from .worker import Broken, Ready, Scored, Task, WorkerSpec, failed

if TYPE_CHECKING:
    from numpy.typing import NDArray

Finished: TypeAlias = "NDArray[np.bytes_]"
"""SHA-256 of finished photos in hex, sorted; 64 bytes each."""
NUMBER, TASKS, DONE = "number", "tasks", "done"
"""Columns of the two data sets: the number of a batch, its photos, and what became of them (both pickled)."""
_TRIES = 2
"""So often a photo is analysed before the death of its processes makes it fail."""


@dataclass(frozen=True, slots=True)
class Done:
    """A photo came back: ``task`` with the SHA-256 of its bytes, and what was found; None for bytes that were finished before."""

    task: Task
    scored: Scored | None


class Feed:
    """Tasks in the order in which they were put, cut into batches when they are asked for. An actor beside the driver."""

    def __init__(self, size: int, tries: int, finished: Any) -> None:
        """``size`` tasks make a batch, begun ``tries`` times; ``finished``: a list of one reference to a ``Finished``."""
        self._size = size
        self._tries = tries
        self._finished = finished
        self._tasks: list[Task] = []
        self._ends: list[int] = []
        self._begun: Counter[int] = Counter()
        self._closed = False
        self._changed = threading.Condition()

    def finished(self) -> Any:
        """The list of one reference."""
        return self._finished

    def put(self, tasks: list[Task]) -> None:
        """Add tasks; none of them is the end."""
        with self._changed:
            self._tasks += tasks
            self._closed = self._closed or not tasks
            self._changed.notify_all()

    def batch(self, number: int) -> list[Task]:
        """A batch by its number, always the same one; waits until there is one. Empty at the end."""
        with self._changed:
            start = self._ends[number - 1] if number else 0
            if number == len(self._ends):
                self._changed.wait_for(lambda: self._closed or len(self._tasks) > start)
                self._ends.append(min(start + self._size, len(self._tasks)))
            return self._tasks[start : self._ends[number]]

    def begin(self, number: int) -> bool:
        """A worker begins with a batch; False when so many did before, and none came to its end, that it should not."""
        with self._changed:
            self._begun[number] += 1
            return self._begun[number] <= self._tries


def finished_array(hashes: Iterable[str]) -> Finished:
    """The form of finished photos that all actors of a machine share."""
    return np.array(sorted(hashes), dtype="S64")


def probe(spec: WorkerSpec) -> Ready | Broken:
    """Load the models once, on whatever machine this is, and tell which they are."""
    _hide_main()
    with WorkerPool(spec, 1) as pool:
        return _start(pool)


class PhotoActor:
    """The models of one actor, loaded once; called with a batch of ``TASKS``, it gives one of ``DONE``."""

    def __init__(self, spec: WorkerSpec, key: str, feed: Any) -> None:
        """``key`` is the fingerprint that the models have to have; ``feed`` the actor ``Feed``."""
        import ray

        _hide_main()
        self._spec = spec
        self._get = ray.get
        self._feed = feed
        self._finished: Finished = ray.get(ray.get(feed.finished.remote())[0])
        self._pool = WorkerPool(spec, 1, _TRIES)
        started = _start(self._pool)
        self._broken = started if isinstance(started, Broken) else _other_models(started, key, spec.settings)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Score photos. What was begun too often gives nothing: it takes its workers with it."""
        answers = []
        for number, tasks in zip(batch[NUMBER], batch[TASKS], strict=True):
            begun = self._get(self._feed.begin.remote(int(number)))
            answers.append(pickle.dumps(self._answer(pickle.loads(tasks)) if begun else []))
        return {DONE: answers}

    def _answer(self, tasks: Sequence[Task]) -> list[Done] | Broken:
        if self._broken is not None:
            return self._broken
        try:
            return list(self._score(tasks))
        except TagtraceError as error:
            return Broken(f"{platform.node()}: {error}", error.exit_code)

    def _score(self, tasks: Sequence[Task]) -> Iterator[Done]:
        known: list[Done] = []
        for task, scored in self._pool.run(self._unfinished(tasks, known)):
            yield Done(replace(task, sha256=scored.record["sha256"], data=None), scored)
        yield from known

    def _unfinished(self, tasks: Sequence[Task], known: list[Done]) -> Iterator[Task]:
        """The photos that are to be analysed, with their bytes; the others go to ``known``."""
        for task in tasks:
            found = read(task, self._spec.settings.run.max_file_bytes)
            if isinstance(found, Failure):
                known.append(Done(task, Scored(analysis_to_json(failed(task, found), None))))
            elif self._was_finished(found.sha256):
                known.append(Done(replace(found, data=None), None))
            else:
                yield found

    def _was_finished(self, sha256: str) -> bool:
        place = int(np.searchsorted(self._finished, sha256.encode()))
        return place < len(self._finished) and self._finished[place] == sha256.encode()


def read(task: Task, max_bytes: int) -> Task | Failure:
    """The task with its bytes and their SHA-256."""
    try:
        too_large = oversize(task.path, task.name, max_bytes)
        if too_large is not None:
            return too_large
        data = task.path.read_bytes()
    except OSError as error:
        return read_failure(task.name, error)
    return replace(task, sha256=hashlib.sha256(data).hexdigest(), data=data)


def _start(pool: WorkerPool) -> Ready | Broken:
    try:
        return pool.start()
    except TagtraceError as error:
        return Broken(f"{platform.node()}: {error}", error.exit_code)


def _other_models(ready: Ready, key: str, settings: ScoreSettings) -> Broken | None:
    """Why this machine would find other things than the rest."""
    if fingerprint(settings, ready.models, ready.settings) == key:
        return None
    names = ", ".join(f"{model.name} {model.sha256[:12]}" for model in ready.models)
    message = (
        f"{platform.node()}: has another version of tagtrace or other models ({names}) than the machine that began; "
        f"install the same on all of them and run again with --resume"
    )
    return Broken(message, ExitCode.BROKEN_INSTALLATION)


def _hide_main() -> None:
    """Processes started from here begin by running the main program again, where it has a file: they have no use for Ray's."""
    vars(sys.modules["__main__"]).pop("__file__", None)
