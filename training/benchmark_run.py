"""``tagtrace score`` in a process of its own, watched from outside: photos done, memory, processor time, moment by moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..contract import ExitCode, TagtraceError

JOURNAL = Path(".tagtrace/records.jsonl")
"""Below the output: each photo that is done is a line of it at once, with every engine of ``tagtrace score``."""
LOG = "score.log"
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6 if hasattr(os, "sysconf") else 0.0
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True)
class Job:
    """One run of ``tagtrace score`` over all photos of a folder."""

    photos: Path
    out: Path
    reader: str = "tagtrace"
    workers: int = 0
    """0: as many as scoring itself chooses."""
    formats: str = "results"
    options: tuple[str, ...] = ()
    """Further options of the command."""
    processors: int = 0
    """It may use only so many processors; 0: all that this process may."""
    looking_s: float = 0.1
    """Seconds between two looks."""
    timeout_s: float = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Look:
    """A moment of a run: seconds since its start, photos done, and what the processes take.

    ``parent_mb`` and ``workers_mb`` are resident memory (10^6 bytes); pages that several workers share count for each of them.
    """

    seconds: float
    done: int
    parent_mb: float
    workers_mb: float
    cpu_seconds: float
    """Processor time of all processes that run now."""

    @property
    def memory_mb(self) -> float:
        """Of all processes."""
        return self.parent_mb + self.workers_mb


@dataclass(frozen=True, slots=True)
class ScoreRun:
    """A run that is done."""

    seconds: float
    """From the start of the process to its end."""
    looks: tuple[Look, ...]
    records: int

    def moment(self, done: int) -> float:
        """Seconds after which ``done`` photos were done."""
        return self._when(done, lambda look: look.seconds)

    def cpu(self, done: int) -> float:
        """Processor seconds after which ``done`` photos were done."""
        return self._when(done, lambda look: look.cpu_seconds)

    def per_photo(self, begin: int, end: int) -> float:
        """Seconds per photo between the one that was done as number ``begin`` and that as number ``end``."""
        return (self.moment(end) - self.moment(begin)) / (end - begin)

    def cpu_per_photo(self, begin: int, end: int) -> float:
        """Processor seconds per photo between two of them."""
        return (self.cpu(end) - self.cpu(begin)) / (end - begin)

    def peak_mb(self) -> float:
        """The most memory that all processes had together."""
        return max(look.memory_mb for look in self.looks)

    def _when(self, done: int, value: Any) -> float:
        for before, after in pairwise(self.looks):
            if before.done < done <= after.done:
                share = (done - before.done) / (after.done - before.done)
                return float(value(before) + share * (value(after) - value(before)))
        return float(value(self.looks[0] if done <= self.looks[0].done else self.looks[-1]))


def run_score(job: Job) -> ScoreRun:
    """Run it to its end. Raises TagtraceError, with the last words of its log, when it did not come to its end."""
    job.out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"{__package__.rpartition('.')[0]}.cli", "score", str(job.photos), "--out", str(job.out)]
    command += ["--reader", job.reader, "--workers", str(job.workers), "--format", job.formats, *job.options]
    begin = time.monotonic()
    with (job.out / LOG).open("w", encoding="utf-8") as log, _fewer_processors(job.processors):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment())
    counter, looks = _Lines(job.out / JOURNAL), [Look(0.0, 0, 0.0, 0.0, 0.0)]
    try:
        while process.poll() is None:
            time.sleep(job.looking_s)
            if (look := _look(process.pid, begin, counter)) is not None:
                looks.append(look)
            if looks[-1].seconds > job.timeout_s:
                raise TagtraceError(f"{job.reader}: took longer than {job.timeout_s:g} s and was ended")
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
    seconds = time.monotonic() - begin
    if process.returncode not in (ExitCode.OK, ExitCode.SOME_FAILED):
        said = (job.out / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or [""]
        raise TagtraceError(f"{job.reader}: the run ended with {process.returncode}: {said[0]}")
    looks.append(Look(seconds, counter.count(), looks[-1].parent_mb, looks[-1].workers_mb, looks[-1].cpu_seconds))
    return ScoreRun(seconds, tuple(looks), counter.count())


def records(out: Path) -> Iterator[Mapping[str, Any]]:
    """What a run kept of each photo: its analysis, before links and clusters."""
    with (out / JOURNAL).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["record"]


@contextmanager
def _fewer_processors(count: int) -> Iterator[None]:
    """Processes started in here are kept to ``count`` processors (0: no fewer), where the system can do that."""
    if not count or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _environment() -> dict[str, str]:
    return {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1", "YOLO_OFFLINE": "true"}


class _Lines:
    """Counts the lines of a file that grows, reading each byte once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0
        self._lines = 0

    def count(self) -> int:
        """Lines that are whole by now."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                while part := file.read(1 << 20):
                    self._lines += part.count(b"\n")
                    self._place += len(part)
        except FileNotFoundError:
            return 0
        return self._lines


def _look(pid: int, begin: float, counter: _Lines) -> Look | None:
    """What is to be seen now; None where the process has ended meanwhile."""
    done, seconds = counter.count(), time.monotonic() - begin
    own = _taken(pid)
    if own is None:
        return None
    others = [taken for child in _below(pid) if (taken := _taken(child)) is not None]
    return Look(seconds, done, own[0], sum(mb for mb, _ in others), own[1] + sum(cpu for _, cpu in others))


def _taken(pid: int) -> tuple[float, float] | None:
    """Resident megabytes and processor seconds of a process."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        # The name of the program stands in brackets and may hold anything.
        fields: Sequence[str] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError, ValueError):
        return None
    return pages * _PAGE_MB, (int(fields[11]) + int(fields[12])) / _TICKS


def _below(pid: int) -> Iterator[int]:
    """All processes that a process started, and those that they started."""
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = [int(child) for child in tasks.read_text().split()]
        except OSError:
            continue
        for child in found:
            yield child
            yield from _below(child)
