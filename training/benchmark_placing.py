"""How fast an archive of scored photos is placed in a store, by the number of photos that one transaction puts.

The photos are generated: those of ``benchmark_store.World``, each with one advert of two lines, whose readings have the
probabilities of every character and whose picture has features of the size that scoring makes. So nothing is scored here, and all
that placing does with real photos is done: linking to a register, reading the photos of a wall together, clusters, stencils.
"""

from __future__ import annotations

import contextlib
import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..contract import Advert, Analysis, Char, Hypothesis, Identifier, IdentifierKind, Line, ModelInfo, Quad, Reading
from ..linking.clusters import ClusterSettings, Sighting
from ..linking.features import DESCRIPTOR_BYTES, AdvertFeatures
from ..linking.store import Store
from ..linking.store.cluster_bulk import bytes_held, tidy
from ..linking.store.importing import import_shop_list
from ..models.alphabet import ALPHABET
from ..scoring.placement import ToPlace, place_in, spool
from ..scoring.progress import SilentView
from ..scoring.records import Json, analysis_to_json
from ..scoring.settings import ScoreSettings
from ..scoring.storing import StoringSettings
from .benchmark_store import World, world
from .benchmark_worker import peak_memory_mb

_QUAD: Quad = ((0.0, 0.0), (400.0, 0.0), (400.0, 120.0), (0.0, 120.0))
_LINES: tuple[Quad, Quad] = (
    ((0.0, 0.0), (400.0, 0.0), (400.0, 50.0), (0.0, 50.0)),
    ((0.0, 60.0), (400.0, 60.0), (400.0, 110.0), (0.0, 110.0)),
)
_MODELS = (ModelInfo("detect", "generated", "0" * 64), ModelInfo("recognise", "generated", "1" * 64))
_POINTS = 350
"""Points of the picture features of an advert: those of the sample's photos take about 14 kB."""
_PHASES = {
    "collecting": "collect",
    "copying": "copy",
    "first look": "look",
    "reading": "read",
    "linking": "decide",
    "writing": "write",
    "comparing": "compare",
}


@dataclass(frozen=True, slots=True)
class PlacingBenchmark:
    """What is measured."""

    photos: int = 10_000
    """Photos that are placed with each size of batches."""
    batches: tuple[int, ...] = (1, 10, 100, 500)
    listed: int = 20_000
    """Contacts in the register that photos are linked to."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class PlacingSpeed:
    """One archive. Seconds are of the wall clock, by step; bytes: what the store grew by; MB: the most memory of this process."""

    batch: int
    held: int
    """Photos in the store before."""
    photos: int
    seconds: dict[str, float]
    process_seconds: float
    """Time of this process alone on the processor, without the database server's."""
    store_bytes: int
    memory_mb: float

    @property
    def per_second(self) -> float:
        return self.photos / sum(self.seconds.values())


@dataclass(slots=True)
class _Watch(SilentView):
    """Takes the time of each step by what it says."""

    seconds: dict[str, float] = field(default_factory=dict)
    _step: str = "rest"
    _since: float = field(default_factory=time.perf_counter)

    def say(self, words: str) -> None:
        """A step begins."""
        self._end(next((step for part, step in _PHASES.items() if part in words), "rest"))

    def _end(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[self._step] = self.seconds.get(self._step, 0.0) + now - self._since
        self._step, self._since = step, now


def benchmark_placing(
    store: Store, folder: Path, what: PlacingBenchmark, say: Callable[[str], None] = lambda _: None
) -> list[PlacingSpeed]:
    """Place one archive after the other, each with another size of batches. Work files lie in ``folder``."""
    drawn = world(what.seed, 2 * what.photos * len(what.batches))
    last = dict.fromkeys(("sighting", "bundle", "cluster", "event"), 0)
    drawn.settled(what.photos * len(what.batches), last, ClusterSettings())
    _list(store, folder, sorted({wall.contact for wall in drawn.walls})[: what.listed])
    speeds: list[PlacingSpeed] = []
    for number, batch in enumerate(what.batches):
        tidy(store)
        speeds.append(_measure(store, folder, drawn, what.photos, batch, held=number * what.photos))
        say(f"batches of {batch}: {speeds[-1].per_second:.0f} photos per second, {speeds[-1].seconds}")
    return speeds


def _list(store: Store, folder: Path, contacts: Sequence[tuple[IdentifierKind, str]]) -> None:
    """Put contacts in the register, as shops of five."""
    path = folder / "shops.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("shop_id", "kind", "value"))
        rows.writerows((f"S{number // 5}", str(kind), value) for number, (kind, value) in enumerate(contacts))
    import_shop_list(store, path)


def _measure(store: Store, folder: Path, drawn: World, photos: int, batch: int, held: int) -> PlacingSpeed:
    sightings = drawn.fresh(photos)
    contacts = {s.photo: s.identifiers[0] if s.identifiers else None for s in sightings}
    watch, before, process = _Watch(), bytes_held(store), time.process_time()
    _forget_peak()
    what = ToPlace(
        identity=f"{held}",
        spool=lambda book: spool(book, _records(sightings)),
        described={"benchmark": held},
        features_of=lambda sha256, advert: _features(contacts[sha256]),
        settings=ScoreSettings(),
        storing=StoringSettings(batch),
    )
    place_in(store, what, folder, watch)
    watch.say("")
    seconds = {step: round(took, 2) for step, took in watch.seconds.items()}
    return PlacingSpeed(
        batch,
        held,
        photos,
        seconds,
        round(time.process_time() - process, 2),
        bytes_held(store) - before,
        round(peak_memory_mb(), 1),
    )


def _records(sightings: Sequence[Sighting]) -> Iterator[tuple[Json, Json]]:
    for sighting in sightings:
        yield analysis_to_json(_analysis(sighting), sighting.picture_hash, evidence=True), {}


def _analysis(sighting: Sighting) -> Analysis:
    contact = sighting.identifiers[0] if sighting.identifiers else None
    texts = ("РАБОТА КУРЬЕР", contact.value if contact else "Х Х Х")
    lines = tuple(Line(quad, 0.9, _reading(text)) for quad, text in zip(_LINES, texts, strict=True))
    found = () if contact is None else (Identifier(contact.kind, contact.value, contact.raw, 0.9, lines=(1,)),)
    advert = Advert(_QUAD, lines, (), found)
    name = f"{sighting.photo[:16]}.jpg"
    return Analysis(
        name, sighting.photo, 1600, 1200, (advert,), None, _MODELS, sighting.taken_at, sighting.lat, sighting.lon, seconds=0.1
    )


@lru_cache(maxsize=100_000)
def _reading(text: str) -> Reading:
    """A clear reading, with a little doubt in every character."""
    shown = "".join(char for char in text if char in ALPHABET)
    table = np.full((2 * len(shown) + 1, len(ALPHABET) + 1), 1e-6)
    table[0::2, 0] = 1.0
    for place, char in enumerate(shown):
        table[2 * place + 1, ALPHABET.index(char) + 1] = 0.98
    log_probs = np.log(table / table.sum(1, keepdims=True)).astype(np.float32)
    return Reading(shown, 0.95, (Hypothesis(shown, -0.3),), tuple(Char(char, 0.97) for char in shown), log_probs, ALPHABET)


@lru_cache(maxsize=2_000)
def _features(identifier: Identifier | None) -> AdvertFeatures:
    """One stencil for each contact."""
    kind, value = (identifier.kind, identifier.value) if identifier else (IdentifierKind.URL, "")
    rng = np.random.default_rng(list(f"{kind} {value}".encode()))
    points = rng.uniform(0, 400, (_POINTS, 2)).astype(np.float32)
    quad = ((0.0, 0.0), (400.0, 0.0), (400.0, 400.0), (0.0, 400.0))
    descriptors = rng.integers(0, 256, (_POINTS, DESCRIPTOR_BYTES), np.uint8)
    return AdvertFeatures(points, descriptors, 400, 400, (50.0, 50.0, 350.0, 350.0), quad)


def _forget_peak() -> None:
    # Where the system cannot do that, the peak is that of the process so far.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
