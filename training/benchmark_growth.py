"""Whether scoring grows with the number of photos: memory and cost of a photo late in a long run against early ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..contract import TagtraceError
from .benchmark import machine
from .benchmark_copies import copies
from .benchmark_run import Job, Look, ScoreRun, run_score


@dataclass(frozen=True, slots=True)
class GrowthSettings:
    """How runs of different length are compared."""

    counts: tuple[int, ...] = (500, 20_000)
    """Photos of each run, the shortest first."""
    window: int = 500
    """Cost is taken over so many photos, rounded down to whole rounds of the photos, so that the same pictures are compared."""
    workers: int = 0
    options: tuple[str, ...] = ()
    """Further options of ``tagtrace score``."""


@dataclass(frozen=True, slots=True)
class LengthResult:
    """One run: what it took in all, and its memory. Megabytes are 10^6 bytes."""

    photos: int
    seconds: float
    scoring_seconds: float
    """Until the last photo was analysed; links, clusters and files come after that."""
    scoring: Mapping[str, float]
    """Memory while the last photos were analysed: ``parent_mb``, ``workers_mb``, ``all_mb``."""
    peak: Mapping[str, float]
    """The most memory, the end of the run included: ``parent_mb``, ``workers_mb``, ``all_mb`` (of all at once)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the whole machine, and of processors, per photo in a stretch of a run."""

    begin: int
    end: int
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Growth:
    """Runs of different length, and of the longest what a photo cost early and late."""

    machine: Mapping[str, Any]
    settings: GrowthSettings
    runs: tuple[LengthResult, ...]
    early: Cost
    late: Cost

    def ratios(self) -> dict[str, float]:
        """The longest run against the shortest, and late photos against early ones."""
        first, last = self.runs[0], self.runs[-1]
        return {
            "peak memory": last.peak["all_mb"] / first.peak["all_mb"],
            "peak memory of the parent": last.peak["parent_mb"] / first.peak["parent_mb"],
            "memory when the last photo was analysed": last.scoring["all_mb"] / first.scoring["all_mb"],
            "seconds per photo, late": self.late.seconds / self.early.seconds,
            "processor seconds per photo, late": self.late.cpu_seconds / self.early.cpu_seconds,
            "whole run per photo": (last.seconds / last.photos) / (first.seconds / first.photos),
        }

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "machine": dict(self.machine),
            "settings": asdict(self.settings),
            "runs": [asdict(run) for run in self.runs],
            "early": asdict(self.early),
            "late": asdict(self.late),
            "ratios": self.ratios(),
        }


def benchmark_growth(
    photos: Sequence[Path],
    folder: Path,
    settings: GrowthSettings | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Growth:
    """Score as many copies of the photos as each count says, one run after the other, in ``folder``, which is emptied after each.

    Raises TagtraceError where the counts are too small for the window, or a run does not end well.
    """
    settings = settings or GrowthSettings()
    counts = sorted(settings.counts)
    width = window(counts[0], len(photos), settings.window)
    if len(counts) < 2 or counts[-1] < counts[0] + 2 * width:
        raise TagtraceError(f"counts of {', '.join(map(str, counts))} are too near; the last has to be far beyond the first")
    results, longest = [], None
    for count in counts:
        progress(f"{count} photos: {count // len(photos)} copies of each, then one run of tagtrace score")
        pictures, out = folder / "photos", folder / "out"
        copies(photos, count, pictures)
        longest = run_score(Job(pictures, out, workers=settings.workers, options=settings.options))
        results.append(_result(count, longest))
        for place in (pictures, out):
            shutil.rmtree(place)
    assert longest is not None
    begin = max(0, counts[0] - width // 2)
    early, late = _cost(longest, begin, begin + width), _cost(longest, counts[-1] - width, counts[-1])
    return Growth(machine(), settings, tuple(results), early, late)


def window(first: int, photos: int, wanted: int) -> int:
    """Photos over which cost is taken: whole rounds of ``photos`` where they fit, never more than ``first``."""
    most = min(first, wanted)
    return max(most - most % photos, 0) or most


def _cost(run: ScoreRun, begin: int, end: int) -> Cost:
    return Cost(begin, end, run.per_photo(begin, end), run.cpu_per_photo(begin, end))


def _result(count: int, run: ScoreRun) -> LengthResult:
    done = next(look for look in run.looks if look.done >= run.records)
    peak = {
        "parent_mb": max(look.parent_mb for look in run.looks),
        "workers_mb": max(look.workers_mb for look in run.looks),
        "all_mb": run.peak_mb(),
    }
    return LengthResult(count, run.seconds, done.seconds, _memory(_last_at_work(run)), peak)


def _last_at_work(run: ScoreRun) -> Look:
    """The last look at which photos were still to come: later the workers may have left, and others of their group not yet."""
    return [look for look in run.looks if look.done < run.records][-1]


def _memory(look: Look) -> dict[str, float]:
    return {"parent_mb": look.parent_mb, "workers_mb": look.workers_mb, "all_mb": look.memory_mb}
