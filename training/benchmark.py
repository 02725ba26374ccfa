"""Benchmark: speed per stage, memory, and other engines on the same photos through the same extraction.

Each engine runs alone, in fresh processes, with the same bound on threads; it is warmed up before the clock starts. Only the line
reader differs: codes are read, lines grouped and identifiers extracted by the same code for all.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..contract import TagtraceError
from ..datasets.files import atomic_text
from ..datasets.truth import PhotoTruth
from ..scoring.inputs import PICTURE_SUFFIXES
from .benchmark_worker import READY, Job
from .metrics import Scores, score
from .predictions import Prediction, parse_prediction, prediction_to_json

OWN_READER = "tagtrace"
JSON_FILE, MARKDOWN_FILE = "benchmark.json", "benchmark.md"
LOG_SUFFIX = ".log"


@dataclass(frozen=True, slots=True)
class BenchmarkSettings:
    """How engines are measured. An engine gets ``workers`` processes of ``threads`` threads each."""

    workers: int = 1
    threads: int = 0
    """0: all processors, shared equally by the workers."""
    warm_up: int = 2
    """Photos read before the clock starts."""
    repeats: int = 1
    """How often all photos are read; more gives steadier times."""
    timeout_s: float = 24 * 3600.0
    """An engine that takes longer is ended and counts as failed."""


@dataclass(frozen=True, slots=True)
class StageTime:
    """Seconds per photo in one stage."""

    median: float
    p95: float


@dataclass(frozen=True, slots=True)
class EngineResult:
    """One engine: what it cost and, with a truth, what it found; only ``error`` counts where it says why it did not run."""

    reader: str
    models: tuple[Mapping[str, str], ...] = ()
    photos: int = 0
    photos_per_second: float = 0.0
    seconds: StageTime | None = None
    stages: Mapping[str, StageTime] | None = None
    load_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    failures: tuple[str, ...] = ()
    scores: Scores | None = None
    predictions: tuple[Prediction, ...] = ()
    error: str = ""

    @property
    def identifier_recall(self) -> float:
        """Exact-identifier recall on legible adverts; 0 where it is not known."""
        return (self.scores.identifiers.all.recall or 0.0) if self.scores else 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """tagtrace against the peer with the highest exact-identifier recall: how many times its recall and its photos per second."""

    peer: str
    recall_ratio: float | None
    speed_ratio: float | None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All engines measured in one run, and the machine they ran on."""

    machine: Mapping[str, Any]
    settings: BenchmarkSettings
    engines: tuple[EngineResult, ...]

    @property
    def comparison(self) -> Comparison | None:
        """Against the best peer; None without a truth, without tagtrace, or without a peer."""
        own = next((e for e in self.engines if e.reader == OWN_READER and not e.error), None)
        peers = [e for e in self.engines if e.reader != OWN_READER and not e.error and e.scores]
        if own is None or own.scores is None or not peers:
            return None
        best = max(peers, key=lambda e: (e.identifier_recall, e.photos_per_second))
        recall = own.identifier_recall / best.identifier_recall if best.identifier_recall else None
        speed = own.photos_per_second / best.photos_per_second if best.photos_per_second else None
        return Comparison(best.reader, recall, speed)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        comparison = self.comparison
        engines = []
        for engine in self.engines:
            plain = ("reader", "photos", "photos_per_second", "load_seconds", "peak_memory_mb", "error")
            record: dict[str, Any] = {name: getattr(engine, name) for name in plain}
            record["models"] = list(engine.models)
            record["failures"] = list(engine.failures)
            record["seconds"] = asdict(engine.seconds) if engine.seconds else None
            record["stages"] = {name: asdict(time) for name, time in (engine.stages or {}).items()}
            record["scores"] = engine.scores.to_json() if engine.scores else None
            engines.append(record)
        return {
            "machine": dict(self.machine),
            "settings": asdict(self.settings),
            "engines": engines,
            "against_best_peer": asdict(comparison) if comparison else None,
        }


def processors() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """What the times depend on: processor, how many of them, memory, system, Python."""
    import platform

    model = platform.processor()
    memory_gb = None
    try:
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
        memory_gb = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (OSError, ValueError):
        pass
    return {
        "processor": model,
        "processors": processors(),
        "memory_gb": memory_gb,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def benchmark(
    photos: Sequence[Path],
    readers: Sequence[str],
    truth: Sequence[PhotoTruth] = (),
    settings: BenchmarkSettings | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Benchmark:
    """Measure each reader on the same photos, one after the other; with a truth also what it finds.

    A reader that cannot run (not installed) has its ``error`` in the result and does not stop the others. Raises TagtraceError
    when there is nothing to measure or the truth is of other photos.
    """
    settings = settings or BenchmarkSettings()
    if not photos:
        raise TagtraceError("there are no photos to measure with")
    names = {path.name for path in photos}
    measured = [photo for photo in truth if Path(photo.file).name in names]
    if truth and not measured:
        raise TagtraceError(f"none of the photos is in the truth, which begins with {truth[0].file}; check both paths")
    results = []
    for reader in readers:
        progress(f"{reader}: loading and measuring on {len(photos)} photos")
        results.append(_measure(reader, photos, measured, settings))
    return Benchmark(machine(), settings, tuple(results))


def _measure(reader: str, photos: Sequence[Path], truth: Sequence[PhotoTruth], settings: BenchmarkSettings) -> EngineResult:
    workers = min(settings.workers, len(photos))
    threads = settings.threads or max(1, processors() // workers)
    with tempfile.TemporaryDirectory(prefix="tagtrace-benchmark-") as folder:
        jobs = [
            Job(
                reader=reader,
                photos=tuple(str(path) for path in photos[i::workers]),
                threads=threads,
                warm_up=settings.warm_up,
                repeats=settings.repeats,
                result=str(Path(folder) / f"{i}.json"),
            )
            for i in range(workers)
        ]
        try:
            results = _run(jobs, settings.timeout_s)
        except TagtraceError as error:
            return EngineResult(reader, error=str(error))
    return _engine_result(reader, results, truth)


def _environment(threads: int) -> dict[str, str]:
    """The environment of a worker: every engine gets the same number of threads, and none may use the network."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    offline = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **dict.fromkeys(names, str(threads)), **offline}


def _run(jobs: Sequence[Job], timeout_s: float) -> list[dict[str, Any]]:
    """Start a process per job, let all begin measuring together, and collect what they wrote."""
    running: list[subprocess.Popen[str]] = []
    late = threading.Event()

    def end_all() -> None:
        late.set()
        for process in running:
            process.kill()

    timer = threading.Timer(timeout_s, end_all)
    timer.start()
    try:
        running += [_start(job) for job in jobs]
        if all(process.stdout is not None and process.stdout.readline().strip() == READY for process in running):
            for process in running:
                _tell(process, "go")
        for process in running:
            # Where one could not start, the others see the end of their input, and end.
            process.communicate()
    finally:
        timer.cancel()
        for process in running:
            if process.poll() is None:
                process.kill()
            process.wait()
    if late.is_set():
        raise TagtraceError(f"took longer than {timeout_s:g} s and was ended")
    return [_result(job, process.returncode) for job, process in zip(jobs, running, strict=True)]


def _start(job: Job) -> subprocess.Popen[str]:
    """A worker that has its job. What it says goes to a file: a pipe that nobody reads would stop it."""
    command = [sys.executable, "-m", f"{__package__}.benchmark_worker"]
    with Path(job.result + LOG_SUFFIX).open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=_environment(job.threads)
        )
    _tell(process, json.dumps(asdict(job)))
    return process


def _tell(process: subprocess.Popen[str], message: str) -> None:
    assert process.stdin is not None
    # A worker that has ended is found by its exit code.
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(message + "\n")
        process.stdin.flush()


def _result(job: Job, code: int) -> dict[str, Any]:
    path = Path(job.result)
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if "error" in result or code != 0:
        said = Path(job.result + LOG_SUFFIX).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or [""]
        raise TagtraceError(result.get("error") or f"the process ended with {code}: {said[0]}")
    return result


def _stage_time(seconds: Sequence[float]) -> StageTime:
    return StageTime(float(np.median(seconds)), float(np.percentile(seconds, 95)))


def _engine_result(reader: str, results: Sequence[Mapping[str, Any]], truth: Sequence[PhotoTruth]) -> EngineResult:
    times = [spent for result in results for spent in result["photos"]]
    predictions = [parse_prediction(p, reader) for result in results for p in result["predictions"]]
    wall = max(result["end"] for result in results) - min(result["begin"] for result in results)
    stages = list(dict.fromkeys(name for spent in times for name in spent["stages"]))
    by_name: dict[str, Prediction] = {p.file: p for p in predictions}
    return EngineResult(
        reader=reader,
        models=tuple(results[0]["models"]),
        photos=len(by_name),
        photos_per_second=len(times) / wall if wall else 0.0,
        seconds=_stage_time([spent["seconds"] for spent in times]),
        # A stage that a photo did not need (no code in it) took no time there.
        stages={name: _stage_time([spent["stages"].get(name, 0.0) for spent in times]) for name in stages},
        load_seconds=max(result["load_seconds"] for result in results),
        peak_memory_mb=sum(result["peak_memory_mb"] for result in results),
        failures=tuple(message for result in results for message in result["failures"]),
        scores=score(truth, by_name) if truth else None,
        predictions=tuple(by_name[name] for name in sorted(by_name)),
    )


def photo_files(photos: Sequence[Path], truth: Sequence[PhotoTruth] = ()) -> list[Path]:
    """The photos in files and folders, by name, each name once; with a truth only those that it knows.

    Raises TagtraceError when a path is missing or nothing is left.
    """
    wanted = {Path(photo.file).name for photo in truth}
    found: dict[str, Path] = {}
    for path in photos:
        if not path.exists():
            raise TagtraceError(f"{path}: there is no such file or folder")
        files = [p for p in path.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES] if path.is_dir() else [path]
        for file in files:
            if not wanted or file.name in wanted:
                found.setdefault(file.name, file)
    if not found:
        places = ", ".join(str(path) for path in photos)
        raise TagtraceError(f"{places}: no photos there" + (" that are in the truth; check both paths" if wanted else ""))
    return [found[name] for name in sorted(found)]


def write_benchmark(result: Benchmark, text: str, out: Path) -> None:
    """Write ``benchmark.json``, ``benchmark.md`` (``text``) and ``predictions_<reader>.jsonl`` of each engine into ``out``."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TagtraceError(f"{out}: cannot be made ({error.strerror or error}); choose another folder with --out") from error
    with atomic_text(out / JSON_FILE) as file:
        json.dump(result.to_json(), file, ensure_ascii=False, indent=1, allow_nan=False)
    with atomic_text(out / MARKDOWN_FILE) as file:
        file.write(text)
    for engine in result.engines:
        if engine.predictions:
            with atomic_text(out / f"predictions_{engine.reader.replace(':', '_')}.jsonl") as file:
                for prediction in engine.predictions:
                    file.write(json.dumps(prediction_to_json(prediction), ensure_ascii=False) + "\n")
