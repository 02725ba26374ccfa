"""What a run is asked for, where it keeps its work, and what scoring gives it back: the same for every engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from ..contract import ExitCode, Failure, TagtraceError
from .early import Started
from .inputs import Item
from .places import Place
from .records import Json
from .settings import ScoreSettings
from .storing import StoringSettings
from .worker import Ready, WorkerSpec
from .writers import ANNOTATED, FORMATS

WORK_FOLDER = ".tagtrace"
ANNOTATED_FOLDER = "annotated"
LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)
"""Who scores: the processes of this machine, or those of a Ray cluster."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What to score, where to, and how. ``workers`` 0 is one per processor core."""

    photos: tuple[Place, ...]
    out: Path
    manifest: Place | None = None
    shops: Path | None = None
    store: str | None = None
    """Path or URL of a store: its register is what is linked to, and the results are kept there."""
    keep_photos: str | None = None
    """Folder or URL of fsspec that keeps the bytes of the photos; wants a store."""
    formats: tuple[str, ...] = FORMATS
    """Files to write. None at all wants a store: then the run is placed in it batch by batch, as is good for an archive."""
    workers: int = 0
    device: str = "cpu"
    resume: bool = False
    settings: ScoreSettings = field(default_factory=ScoreSettings)
    storing: StoringSettings = field(default_factory=StoringSettings)
    """How results go into the store."""
    engine: str = LOCAL
    """One of ``ENGINES``."""
    early: Started | None = None
    """A worker process that was started before; for the engine ``local``."""
    address: str | None = None
    """A Ray cluster to connect to; None starts a Ray of this machine. For the engine ``ray``."""

    @property
    def places(self) -> str:
        """What is scored, in words."""
        return ", ".join(str(place) for place in self.photos) or str(self.manifest)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a run keeps what it needs to go on, below its results."""

    out: Path

    @property
    def work(self) -> Path:
        """Everything that is no result."""
        return self.out / WORK_FOLDER

    @property
    def journal(self) -> Path:
        """Finished photos."""
        return self.work / "records.jsonl"

    @property
    def crops(self) -> Path:
        """Adverts cut out for the report."""
        return self.work / "crops"

    @property
    def features(self) -> Path:
        """Picture features of adverts."""
        return self.work / "features"

    @property
    def drawn(self) -> Path:
        """Annotated photos whose names are not settled yet, by SHA-256."""
        return self.work / "annotated"

    @property
    def annotated(self) -> Path:
        """Annotated photos."""
        return self.out / ANNOTATED_FOLDER

    @property
    def cleared(self) -> tuple[Path, ...]:
        """What a run that does not resume starts without."""
        return self.crops, self.features, self.drawn


def spec_of(request: ScoreRequest, threads: int, *, carry: bool = False) -> WorkerSpec:
    """What the workers of a run need to know."""
    folders = Folders(request.out)
    return WorkerSpec(
        settings=request.settings,
        device=request.device,
        threads=threads,
        crops=folders.crops if "report" in request.formats else None,
        annotations=folders.annotated if ANNOTATED in request.formats else None,
        features=folders.features,
        carry=carry,
    )


@dataclass(slots=True)
class Scores:
    """What scoring gives: all items in order, and what is known of each (by its number)."""

    items: list[Item]
    ready: Ready
    records: Mapping[str, Json]
    """Records of finished photos by SHA-256."""
    hashes: Mapping[int, str]
    failures: Mapping[int, Failure]
    """Items that have no SHA-256, as they could not be read."""
    scored: Mapping[str, str]
    """Photos of this run, by SHA-256: the name under which their annotated picture lies in its place."""
    resumed: int


class Scoring(Protocol):
    """An engine at work for one run."""

    def prepare(self) -> None:
        """Find out that there is something to score, before anything is written. Raises ``NothingFound`` or ``TagtraceError``."""
        ...

    def score(self) -> Scores:
        """Score what is not finished yet. Raises ``Interrupted`` after Ctrl-C."""
        ...


class Interrupted(Exception):
    """A run was stopped by Ctrl-C. ``done`` of ``total`` photos are finished and kept, in what it was ``doing``."""

    def __init__(self, done: int, total: int, doing: str = "") -> None:
        super().__init__(f"stopped{' while ' + doing if doing else ''}: {done} of {total} photos are done and kept")
        self.done = done
        self.total = total


class NothingFound(TagtraceError):
    """There is no photo to score."""

    exit_code: ClassVar[ExitCode] = ExitCode.NOTHING_SCORED

    def __init__(self, places: str) -> None:
        super().__init__(f"{places}: no photos found; give picture files, folders that hold some, or a manifest")


def available_cores() -> int:
    """Processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
