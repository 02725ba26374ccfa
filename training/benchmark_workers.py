"""Photos per second with one worker process, two and more: how much of a further processor arrives, and how soon a run begins."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .benchmark import machine
from .benchmark_copies import copies
from .benchmark_run import Job, run_score
from .benchmark_score import Median, middle, photos_per_second


@dataclass(frozen=True, slots=True)
class WorkersSettings:
    """What is compared."""

    counts: tuple[int, ...] = (1, 2)
    """Worker processes of each run; each has one thread, as long as there is a processor for it."""
    rounds: int = 5
    copies: int = 4
    """How often each photo is scored in a run; the first time is not counted."""
    options: tuple[str, ...] = ()
    """Further options of ``tagtrace score``."""


@dataclass(frozen=True, slots=True)
class WorkersBenchmark:
    """Photos per second by number of worker processes, one figure per round."""

    machine: Mapping[str, Any]
    settings: WorkersSettings
    photos: int
    rates: Mapping[int, tuple[float, ...]]
    starts: Mapping[int, tuple[float, ...]]

    def against_first(self, workers: int) -> Median:
        """How many times the photos per second of the first count, round by round."""
        first = self.rates[self.settings.counts[0]]
        found = middle([more / one for more, one in zip(self.rates[workers], first, strict=True)])
        assert found is not None
        return found

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "machine": dict(self.machine),
            "settings": asdict(self.settings),
            "photos": self.photos,
            "photos_per_second": {str(count): list(rates) for count, rates in self.rates.items()},
            "first_photo_after_s": {str(count): list(starts) for count, starts in self.starts.items()},
            "against_first": {str(count): asdict(self.against_first(count)) for count in self.rates},
        }


def benchmark_workers(
    photos: Sequence[Path], settings: WorkersSettings | None = None, progress: Callable[[str], None] = lambda message: None
) -> WorkersBenchmark:
    """Score the photos with each number of workers, round after round.

    One worker gets one processor, and not all the threads of the machine: else nothing would be gained by a second. Raises
    TagtraceError where a run does not end well.
    """
    settings = settings or WorkersSettings()
    rates: dict[int, list[float]] = {count: [] for count in settings.counts}
    starts: dict[int, list[float]] = {count: [] for count in settings.counts}
    with tempfile.TemporaryDirectory(prefix="tagtrace-benchmark-") as name:
        folder = Path(name)
        copies(photos, settings.copies * len(photos), folder / "photos")
        for number in range(settings.rounds):
            for count in settings.counts:
                progress(f"round {number + 1} of {settings.rounds}: {count} workers")
                job = Job(
                    folder / "photos", folder / f"out-{number}-{count}", workers=count, options=settings.options, processors=count
                )
                run = run_score(job)
                rates[count].append(photos_per_second(run, len(photos)))
                starts[count].append(run.moment(1))
    made, begun = ({count: tuple(figures) for count, figures in found.items()} for found in (rates, starts))
    return WorkersBenchmark(machine(), settings, len(photos), made, begun)
