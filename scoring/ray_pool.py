"""Workers on the machines of a Ray cluster, fed and emptied through Ray Data. Imports Ray: import this only when it is wanted.

Photos go out in small batches through a *feed*, an actor beside the driver that keeps what it gave: a stream that Ray has to
make again, because a machine was lost, is the same again. Batches whose worker is lost are given to another by Ray; those that
lose their workers again and again are given once more, photo by photo, and what loses them even then fails alone.
"""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# Warnings of its C++ part about what Ray Data does by itself.
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..contract import BrokenInstallationError, Failure, FailureCode, TagtraceError
from .pool import WorkerPool, error_of
from .ray_worker import DONE, NUMBER, TASKS, Done, Feed, Finished, PhotoActor, probe
from .records import analysis_to_json
from .request import available_cores
from .worker import Broken, Ready, Scored, Task, WorkerSpec, failed

_log = logging.getLogger(__name__)
_ray: Any = ray


@dataclass(frozen=True, slots=True)
class RaySettings:
    """How photos are dealt out. Nothing of it changes what is found."""

    batch_photos: int = 4
    """Photos that a worker takes at once: so many are done again when it is lost."""
    tries: int = 3
    """So many workers may be lost with one batch in their hands."""
    chunk_tasks: int = 1000
    """Photos that go to the feed in one message; the first messages are smaller, so that work begins at once."""
    store_bytes: int = 512 << 20
    """Shared memory of a Ray that is started here. Bytes of photos do not pass through it, only results."""


class RayPool:
    """``count`` actors that score photos (0: one per core of the cluster). Use it in a ``with`` block.

    Connects to the cluster at ``address``, or to the one that this process is connected to already; else starts a Ray of this
    machine, which ends with the block.
    """

    def __init__(self, spec: WorkerSpec, count: int, address: str | None, settings: RaySettings | None = None) -> None:
        self._spec = spec
        self._count = count
        self._address = address
        self._settings = settings or RaySettings()
        self._ours = False
        self._problems: list[BaseException] = []

    def __enter__(self) -> RayPool:
        if not ray.is_initialized():
            connect(self._address, self._settings)
            self._ours = True
        cores = max(1, int(_ray.cluster_resources().get("CPU", 1)))
        self._count = self._count or cores
        # How large the other machines are is not known: more threads than one are for a Ray that is this machine.
        threads = max(1, cores // self._count) if self._address is None else 1
        self._spec = replace(self._spec, threads=threads)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._ours:
            ray.shutdown()

    def start(self) -> Ready:
        """Load the models once, and tell which they are: on this machine, or on one of the cluster at ``address``.

        Raises what that machine could not do: ``BrokenInstallationError`` or another ``TagtraceError``.
        """
        if self._address is None:
            with WorkerPool(self._spec, 1) as trial:
                return trial.start()
        with _explained():
            # The first machine that answers stands for all: the others are compared with it.
            found: Ready | Broken = ray.get(_ray.remote(num_cpus=1)(probe).remote(self._spec))
        if isinstance(found, Broken):
            raise error_of(found)
        return found

    def run(self, tasks: Iterable[Task], finished: Finished, key: str) -> Iterator[Done]:
        """Score all tasks; each comes back once, in the order in which they get done.

        ``tasks`` is read in a thread of its own, ahead of the scoring; an error in it is raised here. ``finished`` are photos
        that need no analysis, ``key`` the fingerprint that all workers have to have.
        """
        out: dict[str, Task] = {}
        with _explained():
            known = ray.put(finished)
            yield from self._pass(_noting(tasks, out), known, key, out, self._settings.batch_photos)
            if out:
                _log.warning("%d photos were lost with their workers; they are given once more, one by one", len(out))
                yield from self._pass(list(out.values()), known, key, out, 1)
        for task in list(out.values()):
            message = f"{task.name}: each worker that analysed this photo was lost; run again with --resume and fewer --workers"
            yield Done(task, Scored(analysis_to_json(failed(task, Failure(FailureCode.INTERNAL, message)), None)))

    def _pass(self, tasks: Iterable[Task], known: Any, key: str, out: dict[str, Task], batch: int) -> Iterator[Done]:
        feed = _feed(batch, self._settings.tries, known)
        feeding = threading.Thread(target=self._push, args=(feed, tasks), name="tagtrace-feed", daemon=True)
        feeding.start()
        for block in self._results(feed, key):
            for packed in block[DONE]:
                answer = pickle.loads(packed)
                if isinstance(answer, Broken):
                    raise error_of(answer)
                for done in answer:
                    # A batch that was given twice may come back twice.
                    if out.pop(str(done.task.path), None) is not None:
                        yield done
            self._raise_problems()
        feeding.join()
        self._raise_problems()
        ray.kill(feed)

    def _results(self, feed: Any, key: str) -> Iterator[dict[str, Any]]:
        with _data_context():
            photos = ray.data.from_items([0]).map_batches(partial(_given, feed), batch_size=None, num_cpus=0, concurrency=1)
            results = photos.map_batches(
                PhotoActor,
                fn_constructor_args=(self._spec, key, feed),
                batch_size=None,
                compute=ActorPoolStrategy(size=self._count),
                num_cpus=self._spec.threads,
            )
            yield from results.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy")

    def _push(self, feed: Any, tasks: Iterable[Task]) -> None:
        """Give all tasks to the feed, in messages that double in size."""
        try:
            waiting, size = iter(tasks), 1
            while chunk := list(islice(waiting, size)):
                ray.get(feed.put.remote(chunk))
                size = min(2 * size, self._settings.chunk_tasks)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the results are read
            self._problems.append(error)
        try:
            ray.get(feed.put.remote([]))
        except RayError as error:
            self._problems.append(error)

    def _raise_problems(self) -> None:
        if self._problems:
            raise self._problems[0]


def _feed(size: int, tries: int, finished: Any) -> Any:
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return _ray.remote(num_cpus=0, max_concurrency=4, scheduling_strategy=here)(Feed).remote(size, tries, [finished])


def _given(feed: Any, _: object) -> Iterator[dict[str, list[Any]]]:
    """The batches of a feed; runs as a task of Ray Data, which stops asking when its workers have enough."""
    number = 0
    while tasks := ray.get(feed.batch.remote(number)):
        yield {NUMBER: [number], TASKS: [pickle.dumps(tasks)]}
        number += 1


def _noting(tasks: Iterable[Task], out: dict[str, Task]) -> Iterator[Task]:
    for task in tasks:
        out[str(task.path)] = task
        yield task


def _start_here(settings: RaySettings, quiet: Mapping[str, Any]) -> None:
    """Start a Ray of this machine; one that is very busy gets another chance, as Ray waits for its parts 15 seconds only."""
    options = {"num_cpus": available_cores(), "object_store_memory": settings.store_bytes, "include_dashboard": False, **quiet}
    for last in (False, False, True):
        try:
            ray.init("local", **options)
            return
        except Exception as error:
            ray.shutdown()
            if last:
                told = str(error).strip().partition("\n")[0]
                raise BrokenInstallationError(f"Ray does not start on this machine ({told}); see its logs in /tmp/ray") from error


def connect(address: str | None, settings: RaySettings) -> None:
    """Connect to the cluster at ``address``, or start a Ray of this machine. Raises ``TagtraceError`` where none answers."""
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        _start_here(settings, quiet)
        return
    try:
        ray.init(address, **quiet)
    except (ConnectionError, RayError, ValueError, RuntimeError) as error:
        told = str(error).strip().partition("\n")[0]
        raise TagtraceError(
            f"{address}: no Ray cluster answers there ({told}); give auto, ray://host:port or host:port, and see `ray status`"
        ) from error


@contextmanager
def _data_context() -> Iterator[None]:
    """Ray Data with the settings of a run; those of before return at the end."""
    log = logging.getLogger("ray.data")
    before, level = DataContext.get_current(), log.level
    context = before.copy()
    # Rows are batches already: each is to travel alone, as soon as it is there.
    context.target_max_block_size = 1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    DataContext._set_current(context)
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        DataContext._set_current(before)
        log.setLevel(level)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what Ray itself cannot do into words that help."""
    try:
        yield
    except RayError as error:
        lines = [line for line in str(error).strip().splitlines() if line.strip()]
        told = lines[-1] if lines else type(error).__name__
        raise BrokenInstallationError(
            f"the Ray cluster cannot go on ({told}); all its machines need the same version of tagtrace[ray] and of Python; "
            f"what is finished is kept: run again with --resume"
        ) from error
