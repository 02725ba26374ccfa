"""Benchmark of the look-up of known contacts: generated registers of several sizes, and misreads of what they list.

Times are of one process that does one look-up after the other. Beside the time on the clock stands the time of the processor:
on a machine that does other work too, the clock also counts the waiting.
"""

from __future__ import annotations

import gc
import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..contract import IdentifierKind, TagtraceError
from ..datasets.files import atomic_text
from ..datasets.world.register import Register, make_register
from ..linking.candidates import CandidateIndex
from ..linking.confusions import Confusions, bundled
from .benchmark import machine
from .misreads import ERRORS, MEASURED, Misreader
from .report_text import table

JSON_FILE, MARKDOWN_FILE = "register.json", "register.md"


@dataclass(frozen=True, slots=True)
class RegisterBenchmarkSettings:
    """What is measured."""

    size: int = 1_000_000
    """Resources of the largest register; those of a tenth and a hundredth of it are measured, too."""
    seed: int = 1
    lookups: int = 5000
    """Look-ups with ``measured`` errors per register …"""
    lookups_per_error: int = 1000
    """… and with each other kind of error."""
    limit: int = 100
    """Candidates asked for: the right one has to be among them."""
    warm_up: int = 100
    """Look-ups before the clock starts."""


DEFAULT = RegisterBenchmarkSettings()


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of one look-up: half of them take at most ``p50``, 99 % at most ``p99``; on the clock and of the processor."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    p50_cpu_ms: float
    p99_cpu_ms: float


@dataclass(frozen=True, slots=True)
class Found:
    """How many of the misread contacts of one sort were among the candidates."""

    name: str
    lookups: int
    found: int

    @property
    def recall(self) -> float:
        return self.found / self.lookups if self.lookups else 0.0


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """One register. Seconds are on the clock, megabytes of 10^6 bytes; ``process_mb`` is what the process grew by."""

    size: int
    make_seconds: float
    build_seconds: float
    build_cpu_seconds: float
    index_mb: float
    process_mb: float
    candidates: float
    """Candidates per look-up, on average."""
    times: Times
    by_error: tuple[Found, ...]
    by_kind: tuple[Found, ...]
    """With ``measured`` errors, by kind of contact …"""
    by_edits: tuple[Found, ...]
    """… and by the edits of the folded value."""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        record = asdict(self)
        for name in ("by_error", "by_kind", "by_edits"):
            record[name] = {part.name: {"lookups": part.lookups, "recall": part.recall} for part in getattr(self, name)}
        return record


def benchmark_register(
    settings: RegisterBenchmarkSettings = DEFAULT,
    confusions: Confusions | None = None,
    report: Callable[[str], None] = lambda message: None,
) -> list[RegisterResult]:
    """Measure registers of a hundredth, a tenth and the whole of ``size``, smallest first; ``report`` hears of each."""
    if settings.size < 100:
        raise TagtraceError(f"a register of {settings.size} tells nothing; give --size 100 or more")
    results = []
    for size in (settings.size // 100, settings.size // 10, settings.size):
        result = _measure(size, settings, confusions or bundled())
        results.append(result)
        whole = result.by_error[0]
        report(
            f"{size} resources: built in {result.build_seconds:.1f} s, p99 {result.times.p99_ms:.2f} ms, "
            f"recall {whole.recall:.4f}"
        )
    return results


def _measure(size: int, settings: RegisterBenchmarkSettings, confusions: Confusions) -> RegisterResult:
    start = time.perf_counter()
    register = make_register(size, settings.seed)
    made = time.perf_counter() - start
    gc.collect()
    before, start, cpu = _resident_mb(), time.perf_counter(), time.process_time()
    index = CandidateIndex.build(register.kinds, register.values)
    built, built_cpu = time.perf_counter() - start, time.process_time() - cpu
    gc.collect()
    grown = _resident_mb() - before
    lookups = _Lookups(index, register, settings.limit)
    reader = Misreader(confusions, random.Random(f"misreads {settings.seed}"))
    for row, read in _drawn(register, reader, MEASURED, settings.warm_up, settings.seed + 1):
        index.find(register.kinds[row], [read], settings.limit)
    by_error = []
    for error in ERRORS:
        count = settings.lookups if error == MEASURED else settings.lookups_per_error
        for row, read in _drawn(register, reader, error, count, settings.seed):
            lookups.one(row, read, error)
        by_error.append(_found(error, lookups.hits[error]))
    return RegisterResult(
        size,
        made,
        built,
        built_cpu,
        index.nbytes / 1e6,
        grown,
        float(np.mean(lookups.sizes)),
        lookups.times(),
        tuple(by_error),
        tuple(_found(kind, hits) for kind, hits in sorted(lookups.by_kind.items())),
        tuple(_found(str(edits), hits) for edits, hits in sorted(lookups.by_edits.items())),
    )


class _Lookups:
    """Looks misreads up and keeps count."""

    def __init__(self, index: CandidateIndex, register: Register, limit: int) -> None:
        self._index, self._register, self._limit = index, register, limit
        self._clock: list[float] = []
        self._cpu: list[float] = []
        self.sizes: list[int] = []
        self.hits: dict[str, list[bool]] = defaultdict(list)
        self.by_kind: dict[str, list[bool]] = defaultdict(list)
        self.by_edits: dict[int, list[bool]] = defaultdict(list)

    def one(self, row: int, read: str, error: str) -> None:
        """Look up a misread of the value of a row."""
        from rapidfuzz.distance import Levenshtein

        kind, value = self._register.kinds[row], self._register.values[row]
        start, cpu = time.perf_counter(), time.process_time()
        found = self._index.find(kind, [read], self._limit)
        self._cpu.append(time.process_time() - cpu)
        self._clock.append(time.perf_counter() - start)
        self.sizes.append(len(found))
        self.hits[error].append(row in found)
        if error == MEASURED:
            self.by_kind[kind.value].append(row in found)
            self.by_edits[Levenshtein.distance(value.lower(), read)].append(row in found)

    def times(self) -> Times:
        """Of all look-ups so far."""
        p50, p99, most = (float(v) for v in np.percentile(self._clock, (50, 99, 100)) * 1e3)
        p50_cpu, p99_cpu = (float(v) for v in np.percentile(self._cpu, (50, 99)) * 1e3)
        return Times(p50, p99, most, p50_cpu, p99_cpu)


def _found(name: str, hits: Sequence[bool]) -> Found:
    return Found(name, len(hits), sum(hits))


def _drawn(register: Register, reader: Misreader, error: str, count: int, seed: int) -> Iterator[tuple[int, str]]:
    """``count`` rows with a misread of each, without values that have no place for the error."""
    draw = random.Random(f"rows {seed} {error}")
    for _ in range(100 * count):
        if count == 0:
            return
        row = draw.randrange(len(register))
        read = reader.read(register.values[row], error)
        if read and read != register.values[row].lower() and register.kinds[row] is not IdentifierKind.QR:
            count -= 1
            yield row, read


def _resident_mb() -> float:
    """Memory of this process now, in megabytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def write_register(results: Sequence[RegisterResult], settings: RegisterBenchmarkSettings, text: str, out: Path) -> None:
    """Write the numbers (``register.json``) and the report (``register.md``) to a folder."""
    record = {"machine": machine(), "settings": asdict(settings), "registers": [result.to_json() for result in results]}
    out.mkdir(parents=True, exist_ok=True)
    for name, content in ((JSON_FILE, json.dumps(record, indent=1, ensure_ascii=False) + "\n"), (MARKDOWN_FILE, text)):
        with atomic_text(out / name) as file:
            file.write(content)


def register_report(results: Sequence[RegisterResult], settings: RegisterBenchmarkSettings) -> str:
    """The whole as Markdown: growth over the sizes, and what is found again."""
    head = (
        "resources", "built s", "of processor s", "index MB", "process MB", "p50 ms", "p99 ms", "max ms", "p99 of processor ms",
        "candidates",
    )  # fmt: skip
    rows = [
        (
            str(r.size), f"{r.build_seconds:.1f}", f"{r.build_cpu_seconds:.1f}", round(r.index_mb), round(r.process_mb),
            f"{r.times.p50_ms:.2f}", f"{r.times.p99_ms:.2f}", f"{r.times.max_ms:.2f}", f"{r.times.p99_cpu_ms:.2f}",
            f"{r.candidates:.0f}",
        )
        for r in results
    ]  # fmt: skip
    parts = [
        "# Look-up of known contacts\n",
        f"Seed {settings.seed}; {settings.lookups} look-ups of misreads as measured and {settings.lookups_per_error} of each "
        f"other kind, one after the other, {settings.limit} candidates asked for.\n",
        table(head, rows),
        "Share of the right resources among the candidates:\n",
        table(("error", *(str(r.size) for r in results)), _recalls(results, "by_error")),
        "Of the misreads as measured, by kind (of how many in the largest register):\n",
        table(("kind", *(str(r.size) for r in results), "look-ups"), _recalls(results, "by_kind", counted=True)),
        "By edits of the folded value:\n",
        table(("edits", *(str(r.size) for r in results), "look-ups"), _recalls(results, "by_edits", counted=True)),
    ]
    return "\n".join(parts)


def _recalls(results: Sequence[RegisterResult], name: str, counted: bool = False) -> list[tuple[str | None, ...]]:
    parts: list[dict[str, Found]] = [{part.name: part for part in getattr(result, name)} for result in results]
    rows = []
    for key in dict.fromkeys(key for part in reversed(parts) for key in part):
        cells = [f"{part[key].recall:.4f}" if key in part else None for part in parts]
        rows.append((key, *cells, *([str(parts[-1][key].lookups) if key in parts[-1] else "0"] if counted else [])))
    return rows


__all__ = ["RegisterBenchmarkSettings", "RegisterResult", "benchmark_register", "register_report", "write_register"]
