"""tagtrace against other readers on the same photos: the same command for all, in rounds, and ratios of what one round gave.

Every reader runs as ``tagtrace score --reader NAME`` does: worker processes that decode, read, extract and keep. Readers take
turns within a round, so that whatever slows the machine down meets all of them; only rates of one round are compared. What a
process takes to start is left out: the first copies of the photos are not counted.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contract import TagtraceError
from ..datasets.truth import PhotoTruth
from ..scoring.build import OWN_READER
from ..scoring.records import analysis_from_json
from .benchmark import machine, processors
from .benchmark_copies import copies, number_of, original
from .benchmark_run import Job, ScoreRun, records, run_score
from .metrics import Scores, score
from .predictions import Prediction, prediction_of

if TYPE_CHECKING:
    from .benchmark_limits import Limit, LimitSettings, Work


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """How readers are measured."""

    rounds: int = 5
    copies: int = 6
    """How often tagtrace scores each photo in a round; the first time is not counted."""
    peer_copies: int = 2
    """The same of the other readers."""
    timeout_s: float = 3600.0
    """A run that takes longer is ended, and its reader counts as failed."""
    patience: float = 3.0
    """One process with all processors is given up when it takes so many times as long as one process per processor."""


@dataclass(frozen=True, slots=True)
class Median:
    """The middle of what the rounds gave, and the least and the most."""

    median: float
    least: float
    most: float


@dataclass(slots=True)
class ReaderRounds:
    """One reader: its photos per second in each round, and what it found; ``error`` says why it did not run."""

    reader: str
    workers: int
    """Processes; each has its share of the processors as threads."""
    rates: list[float] = field(default_factory=list)
    tried: dict[int, float] = field(default_factory=dict)
    """Photos per second by number of processes, of the round in which that was chosen."""
    peak_mb: float = 0.0
    scores: Scores | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class StageShare:
    """Milliseconds of a worker per photo in one stage, and their share of all that the workers had."""

    name: str
    milliseconds: float
    share: float


@dataclass(frozen=True, slots=True)
class ScoreBenchmark:
    """All rounds."""

    machine: Mapping[str, Any]
    settings: RoundSettings
    photos: int
    readers: tuple[ReaderRounds, ...]
    stages: tuple[StageShare, ...]
    """Of tagtrace."""
    limits: tuple[Limit, ...]
    """Of each round; none where the library to count arithmetic is not installed."""

    @property
    def own(self) -> ReaderRounds:
        """tagtrace."""
        return self.readers[0]

    def against(self, peer: ReaderRounds) -> Median | None:
        """How many times as many photos per second as a peer, round by round."""
        return middle([ours / theirs for ours, theirs in zip(self.own.rates, peer.rates, strict=False)])

    def against_limit(self, full: bool = False) -> Median | None:
        """The time of a photo as a multiple of the least; ``full``: of the least when every pixel is decoded."""
        least = [limit.seconds_full if full else limit.seconds for limit in self.limits]
        return middle([1 / rate / seconds for rate, seconds in zip(self.own.rates, least, strict=False)])

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        readers = []
        for reader in self.readers:
            record = {name: getattr(reader, name) for name in ("reader", "workers", "rates", "tried", "peak_mb", "error")}
            record["tagtrace_is_faster"] = _json(self.against(reader)) if reader is not self.own else None
            record["scores"] = reader.scores.to_json() if reader.scores else None
            readers.append(record)
        return {
            "machine": dict(self.machine),
            "settings": asdict(self.settings),
            "photos": self.photos,
            "readers": readers,
            "stages": [asdict(stage) for stage in self.stages],
            "limits": [limit.to_json() for limit in self.limits],
            "against_limit": _json(self.against_limit()),
            "against_limit_full_decoding": _json(self.against_limit(full=True)),
        }


def _json(found: Median | None) -> dict[str, float] | None:
    return None if found is None else asdict(found)


def middle(values: Sequence[float]) -> Median | None:
    """Median, least and most; None of nothing."""
    return Median(statistics.median(values), min(values), max(values)) if values else None


def photos_per_second(run: ScoreRun, photos: int) -> float:
    """Of the photos after the first time that each was scored; with one copy, after the first quarter.

    Raises TagtraceError where too few are left.
    """
    begin = photos if run.records > photos else max(1, run.records // 4)
    if run.records - begin < 1:
        raise TagtraceError(f"{run.records} photos are too few to measure a rate; give more photos or --copies")
    return 1 / run.per_photo(begin, run.records)


def benchmark_score(
    photos: Sequence[Path],
    peers: Sequence[str],
    truth: Sequence[PhotoTruth] = (),
    settings: RoundSettings | None = None,
    limits: LimitSettings | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> ScoreBenchmark:
    """Score the photos with tagtrace and each peer, round after round.

    With ``limits`` the least time of a photo is measured in every round, too. A peer that cannot run has its ``error`` in the
    result. Raises TagtraceError where tagtrace itself cannot, or a photo is no JPEG.
    """
    settings = settings or RoundSettings()
    names = {path.name for path in photos}
    measured = [photo for photo in truth if Path(photo.file).name in names]
    with tempfile.TemporaryDirectory(prefix="tagtrace-benchmark-") as folder:
        race = _Race(photos, measured, settings, Path(folder))
        work = _work(photos, limits, progress)
        readers = [ReaderRounds(OWN_READER, processors()), *(ReaderRounds(peer, 0) for peer in peers if peer != OWN_READER)]
        found: list[Limit] = []
        for number in range(settings.rounds):
            for reader in readers:
                if not reader.error:
                    progress(f"round {number + 1} of {settings.rounds}: {reader.reader}")
                    race.turn(reader)
            if work is not None and limits is not None:
                from .benchmark_limits import limit_now

                found.append(limit_now(work, processors(), limits))
        stages = race.stages(readers[0].rates)
    return ScoreBenchmark(machine(), settings, len(photos), tuple(readers), stages, tuple(found))


def _work(photos: Sequence[Path], limits: LimitSettings | None, progress: Callable[[str], None]) -> Work | None:
    if limits is None:
        return None
    from ..scoring.settings import ScoreSettings
    from .benchmark_limits import work_of

    progress("counting what the networks have to do")
    return work_of(photos, limits, ScoreSettings())


class _Race:
    """The copies of the photos, and the runs over them."""

    def __init__(self, photos: Sequence[Path], truth: Sequence[PhotoTruth], settings: RoundSettings, folder: Path) -> None:
        self._count = len(photos)
        self._truth = truth
        self._settings = settings
        self._folder = folder
        self._own, self._others = folder / "own", folder / "peers"
        copies(photos, settings.copies * len(photos), self._own)
        copies(photos, settings.peer_copies * len(photos), self._others)
        self._runs = 0
        self._stages: list[Mapping[str, float]] = []

    def turn(self, reader: ReaderRounds) -> None:
        """Run a reader once, and the first time a peer both ways of using the processors; adds to its rates."""
        own = reader.reader == OWN_READER
        try:
            if reader.workers:
                rate = self._run(reader, reader.workers, self._settings.timeout_s)
            else:
                rate = self._try(reader)
        except TagtraceError as error:
            if own:
                raise
            reader.error = str(error)
            return
        reader.rates.append(rate)

    def _try(self, reader: ReaderRounds) -> float:
        """Choose between one process per processor and one that has all of them; the rate of the better."""
        every = processors()
        begin = time.monotonic()
        reader.tried[every] = self._run(reader, every, self._settings.timeout_s)
        if every > 1:
            # Threads of some engines fight each other: a way that is that much worse need not come to its end.
            patience = self._settings.patience * (time.monotonic() - begin)
            with contextlib.suppress(TagtraceError):
                reader.tried[1] = self._run(reader, 1, min(patience, self._settings.timeout_s))
        reader.workers = max(reader.tried, key=lambda workers: reader.tried[workers])
        return reader.tried[reader.workers]

    def _run(self, reader: ReaderRounds, workers: int, timeout_s: float) -> float:
        self._runs += 1
        own = reader.reader == OWN_READER
        out = self._folder / f"out-{self._runs}"
        job = Job(self._own if own else self._others, out, reader.reader, workers, timeout_s=timeout_s)
        run = run_score(job)
        reader.peak_mb = max(reader.peak_mb, run.peak_mb())
        if own:
            # The first copies wait for what is loaded when it is first used.
            first = self._count if self._settings.copies > 1 else 0
            kept = (record for record in records(out) if _number(record) >= first)
            self._stages += [{**record["stages"], "": record["seconds"]} for record in kept]
        if reader.scores is None and self._truth:
            reader.scores = score(self._truth, _found(out, self._count))
        return photos_per_second(run, self._count)

    def stages(self, rates: Sequence[float]) -> tuple[StageShare, ...]:
        """Where tagtrace's workers spend their time, on average of all rounds."""
        if not self._stages or not rates:
            return ()
        whole = processors() / statistics.median(rates)
        spent: dict[str, float] = defaultdict(float)
        for stages in self._stages:
            for name, seconds in stages.items():
                spent[name] += seconds / len(self._stages)
        analysed = spent.pop("")
        spent["rest of the analysis"] = max(0.0, analysed - sum(spent.values()))
        spent["around it: features, keeping, waiting"] = max(0.0, whole - analysed)
        return tuple(StageShare(name, 1000 * seconds, seconds / whole) for name, seconds in spent.items())


def _found(out: Path, photos: int) -> dict[str, Prediction]:
    """What a run found in the first copy of each photo, each photo by itself, by the photo's name."""
    found = {}
    for record in records(out):
        if _number(record) < photos:
            analysis, _ = analysis_from_json(record)
            name = original(Path(record["file"]).name)
            found[name] = prediction_of(replace(analysis, name=name))
    return found


def _number(record: Mapping[str, Any]) -> int:
    return number_of(Path(record["file"]).name)
