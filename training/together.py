"""How much is gained by reading the photos of one advert together: recall and precision by the number of photos.

For every advert of a truth set with repeated walls, identifiers are taken from each photo alone, from any of k photos (what at
least one of them gives), and from k photos read together, over all choices of k photos. The identifiers to find are those
legible in at least one photo of the advert, for every k the same.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations, islice
from pathlib import Path

from ..contract import Advert, Analysis, Failure, Flag, TagtraceError
from ..datasets.files import atomic_text
from ..datasets.truth import PhotoTruth
from ..inference.decode import decode
from ..inference.pipeline import Pipeline
from ..linking.pictures import distance, picture_hash
from ..linking.together import ClusterReadSettings, read_photos
from ..models import geometry
from .matching import Key, comparable, kind_of, overlap, scored_kinds, true_identifiers

TABLE_FILE, NUMBERS_FILE, PLOT_FILE = "together.md", "together.json", "together.png"


@dataclass(frozen=True, slots=True)
class TogetherEvaluation:
    """What is measured, and on which adverts."""

    read: ClusterReadSettings = field(default_factory=ClusterReadSettings)
    least_photos: int = 3
    """Adverts with fewer photos are left out."""
    most_photos: int = 5
    """Photos read together at most."""
    choices: int = 10
    """Choices of k photos of one advert that are tried at most."""
    least_iou: float = 0.1
    """A found advert shows the true one that it overlaps by this much (intersection over union), the most if several."""
    copy_bits: int = 6
    """Photos whose picture hashes differ in at most so many bits are copies of one."""


DEFAULT = TogetherEvaluation()


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One photo of an advert: what was found of it (as one advert; None where nothing was), and the picture's hash."""

    photo: str
    advert: Advert | None
    found: frozenset[Key]
    hash: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class WallLooks:
    """All photos of one advert. ``legible`` are the identifiers to find, ``painted`` also those that nobody could read."""

    wall_id: str
    legible: frozenset[Key]
    painted: frozenset[Key]
    looks: tuple[Look, ...]
    kinds: tuple[str, ...]
    """The kinds that are measured on this set of photos."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Recall of the identifiers to find, and precision; None where there is nothing to divide by."""

    recall: float | None
    precision: float | None


@dataclass(frozen=True, slots=True)
class TogetherScore:
    """The measures for ``photos`` photos of each advert: mean over the choices, then over the identifiers of all adverts."""

    photos: int
    walls: int
    identifiers: int
    alone: Rates
    any: Rates
    together: Rates


def look_at(
    photos: Sequence[PhotoTruth],
    folder: Path,
    pipeline: Pipeline,
    settings: TogetherEvaluation = DEFAULT,
    progress: Callable[[int], None] = lambda done: None,
) -> list[WallLooks]:
    """Analyse every photo and sort what was found by the adverts that it shows. Raises ``TagtraceError`` for a missing photo."""
    analyses: dict[str, tuple[Analysis, int | None]] = {}
    for done, truth in enumerate(photos, 1):
        path = folder / truth.file
        if not path.is_file():
            raise TagtraceError(f"{path}: there is no such photo; check --photos")
        photo = decode(path.read_bytes(), truth.file)
        if not isinstance(photo, Failure):
            analyses[truth.file] = pipeline.analyse([photo])[0], picture_hash(photo.pixels)
        progress(done)
    return sort_looks(photos, analyses, settings)


def sort_looks(
    photos: Sequence[PhotoTruth], analyses: dict[str, tuple[Analysis, int | None]], settings: TogetherEvaluation = DEFAULT
) -> list[WallLooks]:
    """What was found in each photo (by name: analysis and picture hash), by the true adverts; photos without analysis count."""
    kinds = scored_kinds(photos)
    looks: dict[str, list[Look]] = defaultdict(list)
    painted: dict[str, set[Key]] = defaultdict(set)
    legible: dict[str, set[Key]] = defaultdict(set)
    for truth in photos:
        analysis, hashed = analyses.get(truth.file, (None, None))
        found = _by_advert(truth, analysis.adverts if analysis else (), settings)
        for index, advert in enumerate(truth.ads):
            parts = found.get(index, [])
            looks[advert.wall_id].append(Look(truth.file, _joined(parts), _reported(parts, kinds), hashed))
        for identifier in true_identifiers(truth, kinds).values():
            painted[identifier.advert.wall_id].add(identifier.key)
            if identifier.legible:
                legible[identifier.advert.wall_id].add(identifier.key)
    return [
        WallLooks(wall, frozenset(legible[wall]), frozenset(painted[wall]), tuple(found), kinds)
        for wall, found in sorted(looks.items())
        if len(found) >= settings.least_photos
    ]


def _by_advert(truth: PhotoTruth, adverts: Sequence[Advert], settings: TogetherEvaluation) -> dict[int, list[Advert]]:
    """The found adverts by the true advert that each shows; those on no advert are left out."""
    out: dict[int, list[Advert]] = defaultdict(list)
    for advert in adverts:
        shares = [(max(overlap(advert.quad, true.quad)), index) for index, true in enumerate(truth.ads)]
        best, index = max(shares, default=(0.0, -1))
        if best >= settings.least_iou:
            out[index].append(advert)
    return out


def _joined(parts: Sequence[Advert]) -> Advert | None:
    """Parts of one advert as one: grouping had taken them for several."""
    if len(parts) < 2:
        return parts[0] if parts else None
    ordered = sorted(parts, key=lambda part: geometry.centre(part.quad)[1])
    return Advert(
        geometry.around([part.quad for part in ordered]),
        tuple(line for part in ordered for line in part.lines),
        tuple(code for part in ordered for code in part.codes),
        (),
    )


def measure(
    walls: Sequence[WallLooks], settings: TogetherEvaluation = DEFAULT, progress: Callable[[int], None] = lambda done: None
) -> list[TogetherScore]:
    """The measures for 1, 2, … photos; adverts with fewer photos than that are left out of a row.

    Raises ``TagtraceError`` when there is no advert to measure.
    """
    if not walls:
        raise TagtraceError(f"no advert of the truth has {settings.least_photos} photos: there is nothing to read together")
    rows = []
    for count in range(1, settings.most_photos + 1):
        able = [wall for wall in walls if len(wall.looks) >= count]
        if not able:
            break
        tallies = [_Tally(), _Tally(), _Tally()]
        for wall in able:
            choices = list(islice(combinations(range(len(wall.looks)), count), settings.choices))
            for choice in choices:
                looks = [wall.looks[i] for i in choice]
                share = 1.0 / len(choices)
                for look in looks:
                    tallies[0].add(look.found, wall, share / count)
                tallies[1].add(frozenset().union(*(look.found for look in looks)), wall, share)
                tallies[2].add(read_looks(looks, wall.kinds, settings), wall, share)
        total = sum(len(wall.legible) for wall in able)
        alone, anyone, together = (tally.rates(total) for tally in tallies)
        rows.append(TogetherScore(count, len(able), total, alone, anyone, together))
        progress(count)
    return rows


class _Tally:
    """Sums of right, found and false identifiers over adverts."""

    def __init__(self) -> None:
        self.right = self.true = self.false = 0.0

    def add(self, found: frozenset[Key], wall: WallLooks, share: float) -> None:
        self.right += share * len(found & wall.legible)
        self.true += share * len(found & wall.painted)
        self.false += share * len(found - wall.painted)

    def rates(self, total: int) -> Rates:
        reported = self.true + self.false
        return Rates(self.right / total if total else None, self.true / reported if reported else None)


def read_looks(looks: Sequence[Look], kinds: Collection[str], settings: TogetherEvaluation = DEFAULT) -> frozenset[Key]:
    """The identifiers of the given kinds in photos read together."""
    shown = [look for look in looks if look.advert is not None]
    if not shown:
        return frozenset()
    # Copies are one piece of evidence, but not equally clear: they share its weight.
    weights = [1.0 / sum(_are_copies(look, other, settings) for other in shown) for look in shown]
    adverts = [look.advert for look in shown if look.advert is not None]
    advert = read_photos(adverts, weights, settings=settings.read).advert
    return _reported([advert], kinds)


def _reported(adverts: Sequence[Advert], kinds: Collection[str]) -> frozenset[Key]:
    """The identifiers of adverts that are sure enough for a report."""
    sure = [i for advert in adverts for i in advert.identifiers if Flag.UNSURE not in i.flags]
    keys = {(kind_of(i.kind), comparable(i.kind, i.value)) for i in sure}
    return frozenset(key for key in keys if key[0] in kinds)


def _are_copies(look: Look, other: Look, settings: TogetherEvaluation) -> bool:
    """Whether two looks are copies of one photo; a look is one of itself."""
    if look.photo == other.photo:
        return True
    return look.hash is not None and other.hash is not None and distance(look.hash, other.hash) <= settings.copy_bits


def table(rows: Sequence[TogetherScore]) -> str:
    """The measures as a Markdown table."""

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f}"

    out = [
        "| photos | adverts | identifiers | recall: alone | any | together | precision: alone | any | together |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        rates = (row.alone, row.any, row.together)
        cells = [*(shown(r.recall) for r in rates), *(shown(r.precision) for r in rates)]
        out.append(f"| {row.photos} | {row.walls} | {row.identifiers} | " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def write(rows: Sequence[TogetherScore], out: Path) -> None:
    """Write table, numbers and, where matplotlib is installed, a plot. Raises ``TagtraceError`` where that is not possible."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TagtraceError(f"{out}: cannot be written ({error.strerror or error}); choose another folder with --out") from error
    with atomic_text(out / NUMBERS_FILE) as file:
        json.dump([asdict(row) for row in rows], file, indent=1, allow_nan=False)
    with atomic_text(out / TABLE_FILE) as file:
        file.write("# Photos of one advert read together\n\nIn percent, by the number of photos read.\n\n" + table(rows))
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    numbers = [row.photos for row in rows]
    for name, style in (("together", "o-"), ("any", "s--"), ("alone", "^:")):
        rates: list[Rates] = [getattr(row, name) for row in rows]
        axes.plot(numbers, [100 * (r.recall or 0.0) for r in rates], style, label=f"{name}: recall")
    axes.set(xlabel="photos", ylabel="identifiers found, %", xticks=numbers, title="Photos of one advert read together")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(out / PLOT_FILE, dpi=120)
