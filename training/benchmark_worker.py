"""One engine measured in a process of its own, so that its memory and threads are its own.

Started by ``benchmark`` as ``python -m tagtrace.training.benchmark_worker`` with a job (JSON) on standard input. It loads the
engine, reads the first photos to warm up, says ``ready`` and waits for a line; then it measures, and writes the results as
JSON to the file that the job names. Standard output carries nothing else: engines that print are sent to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from ..contract import Analysis, Failure, Photo, TagtraceError

READY = "ready"
SAMPLING_S = 0.05
"""How often the memory of programs that an engine starts is looked at."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure: a reader by its name, photos by their paths, in this order, ``repeats`` times."""

    reader: str
    photos: tuple[str, ...]
    threads: int
    warm_up: int
    repeats: int
    result: str


@dataclass(frozen=True, slots=True)
class PhotoTime:
    """Seconds of one photo in one repeat: the whole, and by stage."""

    file: str
    seconds: float
    stages: dict[str, float]


def peak_memory_mb(pid: str = "self") -> float:
    """The most memory a process had at once, in MB (10^6 bytes); 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    # VmHWM and not ru_maxrss: that one is handed down from the process that started this one.
    return next((int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmHWM:")), 0.0)


class _Children:
    """Watches, from a thread, the memory of the programs that this process starts (Tesseract is one)."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLING_S):
            self.peak_mb = max(self.peak_mb, sum(peak_memory_mb(pid) for pid in self._running()))

    @staticmethod
    def _running() -> Iterator[str]:
        for tasks in Path("/proc/self/task").glob("*/children"):
            try:
                yield from tasks.read_text().split()
            except OSError:
                continue

    def stop(self) -> float:
        self._stop.set()
        self._thread.join()
        return self.peak_mb


@contextmanager
def _own_output() -> Iterator[TextIO]:
    """Standard output for the protocol alone: everything that is printed meanwhile goes to standard error."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as kept:
        os.dup2(2, 1)
        yield kept


class Measured:
    """One engine, ready to be measured photo by photo."""

    def __init__(self, reader: str, threads: int) -> None:
        from ..scoring.build import build_engine
        from ..scoring.settings import ScoreSettings

        begin = time.perf_counter()
        self._settings = ScoreSettings(reader=reader)
        self._engine = build_engine(self._settings, threads=threads)
        self.models = [asdict(model) for model in self._engine.models]
        self.load_seconds = time.perf_counter() - begin

    def read(self, path: str) -> tuple[Analysis, PhotoTime]:
        """Analyse one photo from its file, and the time it took. Raises TagtraceError when it cannot be decoded."""
        from ..inference.decode import decode

        begin = time.perf_counter()
        try:
            photo = decode(Path(path).read_bytes(), Path(path).name, self._settings.decode)
        except OSError as error:
            raise TagtraceError(f"{path}: cannot be read ({error.strerror or error})") from error
        if isinstance(photo, Failure):
            raise TagtraceError(photo.message)
        assert isinstance(photo, Photo)
        decoded = time.perf_counter()
        analysis = self._engine.pipeline.analyse([photo])[0]
        end = time.perf_counter()
        stages = {"decode": decoded - begin, **dict(analysis.stages)}
        return replace(analysis, seconds=end - begin), PhotoTime(Path(path).name, end - begin, stages)


def measure(job: Job, wait: Any) -> dict[str, Any]:
    """Run a job; ``wait`` is called when everything is warm and returns when the measuring may begin."""
    from .predictions import prediction_of, prediction_to_json

    children = _Children()
    engine = Measured(job.reader, job.threads)
    for path in job.photos[: job.warm_up]:
        engine.read(path)
    wait()
    times: list[PhotoTime] = []
    analyses: dict[str, Analysis] = {}
    begin = time.monotonic()
    for _ in range(job.repeats):
        for path in job.photos:
            analysis, spent = engine.read(path)
            times.append(spent)
            analyses[path] = analysis
    end = time.monotonic()
    return {
        "models": engine.models,
        "load_seconds": engine.load_seconds,
        # The clock is the same in all processes of a machine: the parent compares begins and ends.
        "begin": begin,
        "end": end,
        "photos": [asdict(spent) for spent in times],
        "predictions": [prediction_to_json(prediction_of(analysis)) for analysis in analyses.values()],
        "failures": [analysis.failure.message for analysis in analyses.values() if analysis.failure],
        "peak_memory_mb": children.stop() + peak_memory_mb(),
    }


def main(arguments: Sequence[str] = ()) -> int:
    """Run the job on standard input; 0 when it is done, 1 with a message on standard error when it cannot be."""
    with _own_output() as out:
        wanted: dict[str, Any] = json.loads(sys.stdin.readline())
        job = Job(**{**wanted, "photos": tuple(wanted["photos"])})

        def wait() -> None:
            out.write(READY + "\n")
            out.flush()
            if not sys.stdin.readline():
                raise TagtraceError("another process of this engine could not start")

        import cv2

        cv2.setNumThreads(job.threads)
        try:
            result: dict[str, Any] = measure(job, wait)
        except TagtraceError as error:
            result = {"error": str(error)}
        Path(job.result).write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
