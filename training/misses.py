"""What went wrong worst, as lists and as contact sheets: the crop, what is painted, what was read."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PillowImage

from ..contract import Failure, Image, Quad
from ..datasets.sheets import DEFAULT_SHEETS, SheetSettings, contact_sheet, line_crop
from ..datasets.truth import CODE_KIND, LineTruth
from ..inference.decode import decode
from ..models.geometry import size
from .matching import Key, PhotoMatch, TrueIdentifier, distance, fold, found_identifiers, overlap, scored_kinds, true_identifiers

_log = logging.getLogger(__name__)


MISSED_IDENTIFIERS, MISSED_LINES, MISREAD_LINES = "missed_identifiers", "missed_lines", "misread_lines"
FALSE_IDENTIFIERS, FALSE_LINES = "false_identifiers", "false_lines"


@dataclass(frozen=True, slots=True)
class Miss:
    """One thing that went wrong in a photo: where (None where nobody knows), what is painted, what was read or reported.

    ``badness`` orders the worst first within one kind.
    """

    photo: str
    what: str
    quad: Quad | None
    truth: str
    read: str
    badness: float


def _reading_at(match: PhotoMatch, quad: Quad) -> str:
    """What was read nearest to a place, in brackets when it is not quite there; "" when nothing was."""
    best = max(match.prediction.lines, key=lambda line: overlap(line.quad, quad)[0], default=None)
    if best is None or overlap(best.quad, quad)[0] <= 0:
        return ""
    return best.text if overlap(best.quad, quad)[0] >= 0.5 else f"({best.text})"


def _nearest(key: Key, others: Iterable[Key]) -> str:
    kind, value = key
    near = min(others, key=lambda other: (distance(value, other[1]), other), default=None)
    if near is None or distance(value, near[1]) >= max(len(value), len(near[1])):
        return ""
    return near[1] if near[0] == kind else f"{near[1]} ({near[0]})"


def _missed_identifiers(match: PhotoMatch, kinds: Sequence[str]) -> Iterable[Miss]:
    reported = found_identifiers(match.prediction, kinds)
    for key, true in true_identifiers(match.photo, kinds).items():
        if true.legible and key not in reported:
            read = " + ".join(filter(None, (_reading_at(match, line.quad) for line in true.lines if line.kind != CODE_KIND)))
            near = _nearest(key, reported)
            said = f"read {read or 'nothing'}" + (f"; reported {near}" if near else "")
            # The easiest to read are the worst to miss.
            height = min(size(line.quad)[1] for line in true.lines)
            yield Miss(match.photo.file, MISSED_IDENTIFIERS, true.lines[0].quad, _painted(true), said, height)


def _painted(true: TrueIdentifier) -> str:
    return f"{' + '.join(line.text for line in true.lines)} [{true.kind}{', code' if true.coded else ''}]"


def _false_identifiers(match: PhotoMatch, kinds: Sequence[str]) -> Iterable[Miss]:
    truth = true_identifiers(match.photo, kinds)
    for key, reported in found_identifiers(match.prediction, kinds).items():
        if key not in truth:
            said = f"{reported.value} [{reported.kind}, {reported.confidence:.2f}]"
            # The advert that holds the right one, or else the line the value was read from.
            near = max(match.prediction.lines, key=lambda line: -distance(fold(line.text), fold(key[1])), default=None)
            quad = near.quad if near else None
            yield Miss(match.photo.file, FALSE_IDENTIFIERS, quad, _nearest(key, truth), said, reported.confidence)


def _missed_line(match: PhotoMatch, line: LineTruth) -> Miss:
    read = _reading_at(match, line.quad)
    return Miss(match.photo.file, MISSED_LINES, line.quad, line.text, read, line.height_px)


def find_misses(matches: Sequence[PhotoMatch]) -> dict[str, list[Miss]]:
    """Everything that went wrong, by what it is, worst first: the largest that were missed, the surest that were false."""
    kinds = scored_kinds(match.photo for match in matches)
    found: dict[str, list[Miss]] = {
        what: [] for what in (MISSED_IDENTIFIERS, FALSE_IDENTIFIERS, MISSED_LINES, MISREAD_LINES, FALSE_LINES)
    }
    for match in matches:
        found[MISSED_IDENTIFIERS] += _missed_identifiers(match, kinds)
        found[FALSE_IDENTIFIERS] += _false_identifiers(match, kinds)
        found[MISSED_LINES] += [_missed_line(match, line) for _, line in match.missed]
        found[FALSE_LINES] += [Miss(match.photo.file, FALSE_LINES, f.quad, "", f.text, f.confidence) for f in match.false]
        for pair in match.pairs:
            true, read = fold(pair.truth.text), fold(pair.found.text)
            share = distance(true, read) / max(1, len(true))
            if share:
                found[MISREAD_LINES].append(
                    Miss(match.photo.file, MISREAD_LINES, pair.truth.quad, pair.truth.text, pair.found.text, share)
                )
    for misses in found.values():
        misses.sort(key=lambda miss: (-miss.badness, miss.photo, miss.truth, miss.read))
    return found


def load_picture(path: Path) -> Image | None:
    """The pixels of a photo; None, with a warning in the log, when it cannot be shown."""
    try:
        photo = decode(path.read_bytes(), path.name)
    except OSError as error:
        _log.warning("%s: cannot be read: %s", path, error.strerror or error)
        return None
    if isinstance(photo, Failure):
        _log.warning("%s", photo.message)
        return None
    return photo.pixels


def write_sheets(
    misses: Mapping[str, Sequence[Miss]], photos_dir: Path, out: Path, settings: SheetSettings = DEFAULT_SHEETS
) -> list[Path]:
    """Write one PNG per kind of miss that there is, named after it, into ``out``; returns them. Each photo is decoded once."""
    worst = {what: list(listed[: settings.entries]) for what, listed in misses.items() if listed}
    crops: dict[int, Image | None] = {}
    everything = [miss for listed in worst.values() for miss in listed]
    for name in sorted({miss.photo for miss in everything}):
        picture = load_picture(photos_dir / name)
        for miss in (miss for miss in everything if miss.photo == name):
            crops[id(miss)] = None if picture is None or miss.quad is None else line_crop(picture, miss.quad, settings)
    written = []
    for what in misses.keys() - worst.keys():
        # Left by an earlier evaluation.
        (out / f"{what}.png").unlink(missing_ok=True)
    for what, listed in worst.items():
        path = out / f"{what}.png"
        _sheet(listed, [crops[id(miss)] for miss in listed], settings).save(path)
        written.append(path)
    return written


def _sheet(misses: Sequence[Miss], crops: Sequence[Image | None], settings: SheetSettings) -> PillowImage.Image:
    words = [[(f"+ {m.truth}", "darkgreen"), (f"- {m.read}", "firebrick"), (m.photo, "grey")] for m in misses]
    return contact_sheet(crops, words, settings)


__all__ = ["DEFAULT_SHEETS", "Miss", "SheetSettings", "find_misses", "load_picture", "write_sheets"]
