"""All photos of one advert, read together: an identifier that no single photo shows clearly is read from five.

The lines of the photos are matched to each other: by what they say (each photo tells how well the other's text explains its own
picture), then by where they stand, once matched lines tell how one photo lies over the other. Matched lines are read as one
(``readings``), and the ordinary extraction takes the identifiers from the result.

Two dangers are kept apart from blur. A photo that shares no line with others that agree is not of this advert: it is left out.
And where two photos read different digits with confidence, they show two names (a seller's ``_kz1`` and ``_kz2``): both are
kept, each with the evidence of its own photos only, and the line is reported as disputed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from ..contract import Advert, Code, Flag, Identifier, Line, Quad, Reading, TagtraceError
from ..inference.identifiers import ExtractSettings, extract_advert
from ..inference.identifiers.extract import DEFAULT as EXTRACT
from ..models import geometry
from ..models.ctc import log_likelihood
from .readings import DEFAULT as READ
from .readings import TogetherSettings, disagree, read_together

Map = NDArray[np.float64]
"""A 3x3 homography that maps the pixels of one photo to a frame that photos share."""
_Likeness: TypeAlias = Callable[[Reading, Reading], float]


@dataclass(frozen=True, slots=True)
class ClusterReadSettings:
    """How the lines of photos are matched, and what is done where they do not fit together. Shares lie in 0..1."""

    lines: TogetherSettings = READ
    """How matched lines are read as one."""
    extract: ExtractSettings = EXTRACT
    """How identifiers are taken from the result."""
    char_nats: float = 3.2
    """Explaining another photo's text at this cost in nats per character makes two lines wholly unlike; free is wholly alike."""
    alike: float = 0.5
    """Least likeness of two lines (by explanation, or 1 - edit distance / length) for them to be one line."""
    same_place: float = 0.3
    """Least overlap (intersection over union) of two lines that stand at one place, where the photos are known to fit."""
    most_photos: int = 12
    """Photos that are read at most, the clearest ones: more add time and little else."""
    agreeing: int = 2
    """From so many photos that share lines on, a single one that shares none with them is left out."""
    clear_from: float = 0.9
    """What one photo shows so surely stays, unless the photos together say something else as surely in its place."""
    surer: float = 3.0
    """Odds of one photo's value, as a multiple of those of what the photos together say, from which on it is the surer one:
    where the same letters are covered in most photos, the mean of all is wrong and not sure."""
    rivals: float = 0.5
    """Least similarity (1 - edit distance / length) of two values of one kind that may be readings of one contact."""
    outvoted: float = 3.0
    """A name with another digit is dropped where so many times as many photos read the line otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class ClusterReading:
    """What the photos of one advert say together.

    ``advert`` has the coordinates of the photo number ``reference``. ``sources`` lists per line the (photo, line) it was read
    from. ``left_out`` are photos that do not show this advert or are one too many. ``disputed`` are pairs of lines of ``advert``
    that show different names at one place.
    """

    advert: Advert
    reference: int
    sources: tuple[tuple[tuple[int, int], ...], ...]
    left_out: tuple[int, ...] = ()
    disputed: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True, eq=False)
class _Slot:
    """One line of the wall: where it is in the reference photo, and every (photo, line, reading) of it."""

    quad: Quad
    confidence: float
    members: list[tuple[int, int, Reading]] = field(default_factory=list)


def read_cluster(
    adverts: Sequence[Advert], weights: Sequence[float] | None = None, settings: ClusterReadSettings | None = None
) -> Advert:
    """The adverts of a cluster (one per photo) as one advert, with identifiers from all of them: see ``read_photos``."""
    return read_photos(adverts, weights, None, settings).advert


def read_photos(
    adverts: Sequence[Advert],
    weights: Sequence[float] | None = None,
    maps: Sequence[Map | None] | None = None,
    settings: ClusterReadSettings | None = None,
) -> ClusterReading:
    """Read the photos of one advert together. Pure; the order of the photos changes nothing but the numbers in the result.

    ``weights`` are at least 0: give 1/n to each of n copies of one photo, which are one piece of evidence. ``maps`` bring each
    photo's pixels to a frame that they share (None where unknown): ``features.photo_map`` of a match brings them to the frame
    of the other photo. Raises ``TagtraceError`` without adverts.
    """
    settings = settings or ClusterReadSettings()
    if not adverts:
        raise TagtraceError("reading together needs at least one advert")
    given = [1.0] * len(adverts) if weights is None else list(weights)
    order = sorted(range(len(adverts)), key=lambda i: (given[i] <= 0, -_clarity(adverts[i]), _texts(adverts[i])))
    used = [i for i in order if given[i] > 0] or order[:1]
    if not any(adverts[i].lines or adverts[i].codes for i in used):
        return ClusterReading(adverts[used[0]], used[0], (), tuple(i for i in range(len(adverts)) if i != used[0]))
    like = _remembered(settings)
    used = _agreeing(adverts, used[: settings.most_photos], like, settings)
    left_out = tuple(i for i in range(len(adverts)) if i not in used)
    slots, codes = _slots(adverts, used, maps or [None] * len(adverts), like, settings)
    found = _read(used[0], slots, codes, given, left_out, settings)
    return replace(found, advert=replace(found.advert, identifiers=_with_clear(found, adverts, used, settings)))


def _with_clear(
    found: ClusterReading, adverts: Sequence[Advert], used: Sequence[int], settings: ClusterReadSettings
) -> tuple[Identifier, ...]:
    """The identifiers of the photos together, and what single photos show surely: a checksum that is right in one photo may be
    lost in the mean of all."""
    numbers = {source: n for n, sources in enumerate(found.sources) for source in sources}
    out = list(found.advert.identifiers)
    clear = {(i.kind, i.value): (photo, i) for photo in reversed(used) for i in adverts[photo].identifiers if _clear(i, settings)}
    for (kind, value), (photo, item) in sorted(clear.items(), key=lambda entry: (-entry[1][1].confidence, entry[0])):
        rivals = [other for other in out if other.kind == kind and _similar(other.value, value) >= settings.rivals]
        if any(other.value == value or not _surer(item, other, settings) for other in rivals):
            continue
        lines = tuple(sorted({numbers[photo, n] for n in item.lines if (photo, n) in numbers}))
        out = [other for other in out if other not in rivals] + [replace(item, lines=lines, codes=())]
    return tuple(out)


def _clear(item: Identifier, settings: ClusterReadSettings) -> bool:
    return item.confidence >= settings.clear_from and Flag.UNSURE not in item.flags


def _surer(single: Identifier, common: Identifier, settings: ClusterReadSettings) -> bool:
    """Whether what one photo shows is clearly more certain than what all say together."""
    return Flag.UNSURE in common.flags or _odds(single.confidence) >= settings.surer * _odds(common.confidence)


def _odds(probability: float) -> float:
    return probability / max(1.0 - probability, 1e-6)


def _similar(a: str, b: str) -> float:
    return float(Levenshtein.normalized_similarity(a, b))


def _clarity(advert: Advert) -> float:
    """How much text an advert shows how surely: expected characters read right."""
    return sum(line.reading.confidence * len(line.reading.text) for line in advert.lines) + 10.0 * len(advert.codes)


def _texts(advert: Advert) -> tuple[str, ...]:
    return tuple(line.reading.text for line in advert.lines)


def likeness(a: Reading, b: Reading, settings: ClusterReadSettings) -> float:
    """How alike two readings are, 0..1: by their letters, or by how well the text of one explains the other's picture."""
    ours, theirs = a.text.lower(), b.text.lower()
    if not ours or not theirs:
        return 0.0
    by_letters = float(Levenshtein.normalized_similarity(ours, theirs))
    if by_letters >= settings.alike or a.log_probs is None or b.log_probs is None:
        return by_letters
    costs = [_cost(a, b.text, settings), _cost(b, a.text, settings)]
    return max(by_letters, 1.0 - float(np.mean(costs)) / settings.char_nats)


def _remembered(settings: ClusterReadSettings) -> _Likeness:
    """``likeness`` of readings that outlive the function; it is symmetric, and worked out once per pair."""
    known: dict[tuple[int, int], float] = {}

    def of(a: Reading, b: Reading) -> float:
        key = (min(id(a), id(b)), max(id(a), id(b)))
        if key not in known:
            known[key] = likeness(a, b, settings)
        return known[key]

    return of


def _cost(reading: Reading, text: str, settings: ClusterReadSettings) -> float:
    """Nats per character by which ``text`` explains the picture worse than what was read, at most ``char_nats``."""
    if reading.log_probs is None:
        return settings.char_nats
    other, own = log_likelihood(reading.log_probs, [text, reading.text], reading.alphabet).tolist()
    lost = (own - other) / max(len(text), len(reading.text))
    return float(min(max(lost, 0.0), settings.char_nats)) if np.isfinite(lost) else settings.char_nats


def _pairs(a: Sequence[Reading], b: Sequence[Reading], like: _Likeness, least: float) -> list[tuple[int, int]]:
    """Which lines of two adverts say the same: one to one, the most alike first."""
    found = [(like(x, y), i, j) for i, x in enumerate(a) for j, y in enumerate(b)]
    return _one_to_one([item for item in found if item[0] >= least])


def _one_to_one(found: list[tuple[float, int, int]]) -> list[tuple[int, int]]:
    left: set[int] = set()
    right: set[int] = set()
    pairs = []
    for _, i, j in sorted(found, key=lambda item: (-item[0], item[1], item[2])):
        if i not in left and j not in right:
            left.add(i)
            right.add(j)
            pairs.append((i, j))
    return pairs


def _agreeing(adverts: Sequence[Advert], used: Sequence[int], like: _Likeness, settings: ClusterReadSettings) -> list[int]:
    """The photos without those that share nothing with others that agree, in the given order."""
    readings = {i: [line.reading for line in adverts[i].lines] for i in used}
    payloads = {i: {code.payload for code in adverts[i].codes} for i in used}
    group = {i: i for i in used}
    for n, i in enumerate(used):
        for j in used[n + 1 :]:
            if group[i] != group[j] and (payloads[i] & payloads[j] or _pairs(readings[i], readings[j], like, settings.alike)):
                old, new = group[j], group[i]
                group = {k: new if g == old else g for k, g in group.items()}
    sizes = {i: sum(g == group[i] for g in group.values()) for i in used}
    most = max(sizes.values())
    return [i for i in used if sizes[i] > 1 or most < settings.agreeing]


def _slots(
    adverts: Sequence[Advert],
    used: Sequence[int],
    maps: Sequence[Map | None],
    like: _Likeness,
    settings: ClusterReadSettings,
) -> tuple[list[_Slot], tuple[Code, ...]]:
    """The lines of the wall in reading order, each with its readings, and its codes, in the frame of the clearest photo."""
    reference = used[0]
    slots: list[_Slot] = []
    codes: dict[str, Code] = {}
    for photo in used:
        lines = adverts[photo].lines
        pairs = _one_to_one(
            [
                (score, s, n)
                for s, slot in enumerate(slots)
                for n, line in enumerate(lines)
                if (score := max(like(r, line.reading) for _, _, r in slot.members)) >= settings.alike
            ]
        )
        fit = _between(maps[photo], maps[reference]) if photo != reference else np.eye(3)
        if fit is None:
            fit = _fit([(lines[n].quad, slots[s].quad) for s, n in pairs])
        quads = [_mapped(line.quad, fit) for line in lines] if fit is not None else [line.quad for line in lines]
        if fit is not None:
            pairs += _by_place(slots, quads, pairs, settings)
        taken = {n: s for s, n in pairs}
        below = _below(slots, quads) if fit is None else (0.0, 0.0)
        for code in adverts[photo].codes:
            codes.setdefault(code.payload, code if fit is None else replace(code, quad=_mapped(code.quad, fit)))
        for n, line in enumerate(lines):
            member = (photo, n, line.reading)
            if n in taken:
                slots[taken[n]].members.append(member)
                slots[taken[n]].confidence = max(slots[taken[n]].confidence, line.confidence)
            else:
                slots.append(_Slot(geometry.scale(quads[n], 1.0, 1.0, *below), line.confidence, [member]))
    return _ordered(slots, reference), tuple(codes.values())


def _between(own: Map | None, reference: Map | None) -> Map | None:
    """From a photo to the reference photo, where both are mapped to the shared frame."""
    return None if own is None or reference is None else np.asarray(np.linalg.inv(reference) @ own, np.float64)


def _fit(pairs: Sequence[tuple[Quad, Quad]]) -> Map | None:
    """The affine map that brings lines of one photo to the same lines of another (least squares); None without a pair."""
    if not pairs:
        return None
    source = np.concatenate([geometry.points_of(a) for a, _ in pairs])
    target = np.concatenate([geometry.points_of(b) for _, b in pairs])
    solved = np.linalg.lstsq(np.column_stack([source, np.ones(len(source))]), target, rcond=None)[0]
    return np.vstack([solved.T, [0.0, 0.0, 1.0]])


def _mapped(quad: Quad, fit: Map) -> Quad:
    points = cv2.perspectiveTransform(geometry.points_of(quad).reshape(1, 4, 2), fit)[0]
    return geometry.quad_of(points)


def _by_place(
    slots: Sequence[_Slot], quads: Sequence[Quad], pairs: Sequence[tuple[int, int]], settings: ClusterReadSettings
) -> list[tuple[int, int]]:
    """Further pairs: lines that stand where a line of the wall is that has no partner yet."""
    left, right = {s for s, _ in pairs}, {n for _, n in pairs}
    found = [
        (share, s, n)
        for s, slot in enumerate(slots)
        for n, quad in enumerate(quads)
        if s not in left and n not in right and (share := geometry.iou(slot.quad, quad)) >= settings.same_place
    ]
    return _one_to_one(found)


def _below(slots: Sequence[_Slot], quads: Sequence[Quad]) -> tuple[float, float]:
    """A shift that puts lines of a photo that fits nowhere clear of all others: places must not meet by chance."""
    if not slots or not quads:
        return (0.0, 0.0)
    bottom = max(geometry.bounds(slot.quad)[3] for slot in slots)
    return (0.0, bottom - min(geometry.bounds(quad)[1] for quad in quads) + max(geometry.size(quad)[1] for quad in quads))


def _ordered(slots: list[_Slot], reference: int) -> list[_Slot]:
    """The lines that the reference shows in its order, and each other line after the last one that stands above it."""
    out = [slot for slot in slots if any(photo == reference for photo, _, _ in slot.members)]
    down = _down(out)
    for slot in slots:
        if slot not in out:
            above = [n for n, other in enumerate(out) if _height(other, down) <= _height(slot, down)]
            out.insert(above[-1] + 1 if above else 0, slot)
    return out


def _down(slots: Sequence[_Slot]) -> NDArray[np.float64]:
    """The direction across the lines, from the top of the letters to their feet."""
    if not slots:
        return np.array([0.0, 1.0])
    a, b, c, d = geometry.points_of(slots[0].quad)
    return np.asarray((d - a) + (c - b))


def _height(slot: _Slot, down: NDArray[np.float64]) -> float:
    return float(np.dot(geometry.centre(slot.quad), down))


def _read(
    reference: int,
    slots: Sequence[_Slot],
    codes: tuple[Code, ...],
    weights: Sequence[float],
    left_out: tuple[int, ...],
    settings: ClusterReadSettings,
) -> ClusterReading:
    """Read every line of the wall, and take the identifiers from the result and from every dissenting version of it."""
    versions = [_versions(slot, weights, settings) for slot in slots]
    lines = [
        Line(slot.quad, slot.confidence, _as_one(group[0], weights, settings))
        for slot, group in zip(slots, versions, strict=True)
    ]
    sources = [tuple((photo, n) for photo, n, _ in group[0]) for group in versions]
    identifiers = list(extract_advert(lines, codes, settings.extract))
    count = len(lines)
    disputed = []
    for number, group in enumerate(versions):
        for dissent in group[1:]:
            line = replace(lines[number], reading=_as_one(dissent, weights, settings))
            version = [*lines[:number], line, *lines[number + 1 : count]]
            identifiers += _only_in(extract_advert(version, codes, settings.extract), identifiers, number, len(lines))
            disputed.append((number, len(lines)))
            lines.append(line)
            sources.append(tuple((photo, n) for photo, n, _ in dissent))
    quad = geometry.around([*(x.quad for x in lines), *(c.quad for c in codes)])
    advert = Advert(quad, tuple(lines), codes, tuple(identifiers))
    return ClusterReading(advert, reference, tuple(sources), left_out, tuple(disputed))


def _only_in(found: Sequence[Identifier], known: Sequence[Identifier], line: int, moved: int) -> list[Identifier]:
    """Identifiers that a dissenting version of ``line`` adds, with the number at which that version stands in the result."""
    old = {(item.kind, item.value) for item in known}
    return [
        replace(item, lines=tuple(sorted(moved if n == line else n for n in item.lines)))
        for item in found
        if line in item.lines and (item.kind, item.value) not in old
    ]


def _versions(slot: _Slot, weights: Sequence[float], settings: ClusterReadSettings) -> list[list[tuple[int, int, Reading]]]:
    """The readings of a line, those that show different names apart; the version with most evidence first."""
    groups: list[list[tuple[int, int, Reading]]] = []
    for member in sorted(slot.members, key=lambda m: (-m[2].confidence, m[2].text)):
        fitting = [g for g in groups if not any(disagree(member[2], other, settings.lines) for _, _, other in g)]
        if fitting:
            fitting[0].append(member)
        else:
            groups.append([member])

    def weight(group: list[tuple[int, int, Reading]]) -> float:
        return sum(weights[photo] for photo, _, _ in group)

    groups.sort(key=lambda g: -weight(g))
    return [g for g in groups if weight(g) * settings.outvoted > weight(groups[0])]


def _as_one(members: Sequence[tuple[int, int, Reading]], weights: Sequence[float], settings: ClusterReadSettings) -> Reading:
    return read_together([r for _, _, r in members], [max(weights[photo], 1e-6) for photo, _, _ in members], settings.lines)
