"""To try the retraining loop without a city: decisions as an expert who knows the truth would make them, and spoilt labels.

Decisions go into the store as the review desk writes them (``linking.store.reviews``); what is corrected is what was read wrong,
so that the labels that follow are those of real corrections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as PilImage
from PIL import ImageEnhance, ImageFilter

from ..contract import Advert, Flag, IdentifierKind, Quad, TagtraceError
from ..datasets.photos import inside, load_photo, photos_folder, place_photo, sha256_of
from ..datasets.truth import CODE_KIND, LineTruth, PhotoTruth, read_truth, write_truth
from ..linking.store import Store, reviews
from ..linking.store.labelled import Contact, LabelledAdvert, LabelledPhoto, undecided_photos
from ..linking.store.verdicts import Word
from .matching import overlap, scored_kinds, true_identifiers

_NOT_REPORTED = frozenset({Flag.PROTECTED, Flag.UNSURE, Flag.OBSOLETE})
_KINDS = frozenset(kind.value for kind in IdentifierKind)


@dataclass(frozen=True, slots=True)
class RehearsalSettings:
    """How the expert sees."""

    same_line_iou: float = 0.3
    """Overlap from which on a line that was found is the painted one."""
    photos: int = 0
    """Decide about so many photos, and leave the others open; 0: about all."""
    person: int = 1
    """The number of the person in whose name decisions stand."""


DEFAULT = RehearsalSettings()


def decide_by_truth(
    store: Store, truth: Sequence[PhotoTruth], folder: Path, settings: RehearsalSettings = DEFAULT
) -> Counter[Word]:
    """Decide about the undecided adverts of a store whose photos (in ``folder``) are in ``truth``; counts the words.

    An advert that shows no painted line is ``not_advert``; one whose legible contacts were all read exactly is ``confirmed``;
    one with other legible contacts is ``corrected`` with the painted texts; of one that nobody can read ``another_photo`` is
    asked for.
    """
    known = {sha256_of(inside(folder, photo.file)): photo for photo in truth}
    said: Counter[Word] = Counter()
    with store.read() as session:
        waiting = [photo for photo in undecided_photos(session) if photo.sha256 in known and photo.adverts]
    for photo in sorted(waiting, key=lambda item: known[item.sha256].file)[: settings.photos or None]:
        said.update(_decide(store, photo, known[photo.sha256], settings))
    return said


def _decide(store: Store, photo: LabelledPhoto, truth: PhotoTruth, settings: RehearsalSettings) -> list[Word]:
    return [_word(store, labelled, truth, settings) for labelled in photo.adverts]


def _word(store: Store, labelled: LabelledAdvert, truth: PhotoTruth, settings: RehearsalSettings) -> Word:
    actor, key, advert = f"person {settings.person}", labelled.key, labelled.advert
    painted = [_painted(line.quad, truth, settings) for line in advert.lines]
    contacts = contacts_of(truth, [line for line in painted if line], advert)
    if not any(painted) and not advert.codes:
        return store.write(lambda session: reviews.record(session, key, Word.NOT_ADVERT), actor).word
    if not contacts:
        return store.write(lambda session: reviews.record(session, key, Word.ANOTHER_PHOTO), actor).word
    if set(contacts) == _reported(advert):
        return store.write(lambda session: reviews.confirm(session, key), actor).word
    texts = [line.text if line else shown.reading.text for line, shown in zip(painted, advert.lines, strict=True)]
    return _correct(store, key, texts, contacts, actor)


def _correct(store: Store, key: tuple[str, int], texts: Sequence[str], contacts: Sequence[Contact], actor: str) -> Word:
    try:
        return store.write(lambda session: reviews.correct(session, key, texts, contacts), actor).word
    except TagtraceError:  # protected contacts alone: nothing in it may be followed
        return store.write(lambda session: reviews.record(session, key, Word.REJECTED), actor).word


def contacts_of(truth: PhotoTruth, painted: Sequence[LineTruth], advert: Advert) -> list[Contact]:
    """The legible contacts that stand on painted lines which were found, and in the codes of the advert, each once."""
    places = {id(line) for line in painted}
    kinds = [kind for kind in scored_kinds([truth]) if kind in _KINDS]
    found: list[Contact] = []
    for shown in truth.ads:
        for identifier in true_identifiers(replace(truth, ads=(shown,)), kinds).values():
            seen = any(id(line) in places for line in identifier.lines)
            codes = [line.quad for line in identifier.lines if line.kind == CODE_KIND]
            coded = any(overlap(code.quad, quad)[0] > 0 for code in advert.codes for quad in codes)
            if identifier.legible and (seen or coded):
                found.append((IdentifierKind(identifier.kind), identifier.lines[0].canonical))
    return list(dict.fromkeys(found))


def _painted(quad: Quad, truth: PhotoTruth, settings: RehearsalSettings) -> LineTruth | None:
    """The painted line that a line which was found shows, if any."""
    lines = [line for advert in truth.ads for line in advert.lines if line.kind != CODE_KIND]
    best = max(lines, key=lambda line: overlap(quad, line.quad)[0], default=None)
    return best if best is not None and overlap(quad, best.quad)[0] >= settings.same_line_iou else None


def _reported(advert: Advert) -> set[Contact]:
    return {(item.kind, item.value) for item in advert.identifiers if not _NOT_REPORTED & set(item.flags)}


@dataclass(frozen=True, slots=True)
class Spoilt:
    """What ``spoil`` broke in a copy of a data set: photos (by name in the copy) and lines (by photo)."""

    copied_again: str
    """A photo that is there once more, smaller and recompressed."""
    wrong_text: tuple[str, str, str]
    """Photo, what stands there, and what the label says now."""
    missing_line: tuple[str, str]
    """Photo, and the text of the line whose label is gone."""
    crossed: str
    """A photo with a line whose corners are in a wrong order."""


def spoil(path: Path, out: Path, seed: int = 1) -> Spoilt:
    """Copy a data set (truth form) to ``out`` with four mistakes that happen when people label, to see that they are found.

    The largest legible lines are taken, which models read surely. Raises TagtraceError when the set has fewer than three photos
    with legible lines, or ``out`` holds files.
    """
    if out.exists() and any(out.iterdir()):
        raise TagtraceError(f"{out}: is not empty; choose another folder")
    photos = read_truth(path)
    ranked = sorted((p for p in photos if _clear(p)), key=lambda p: (-max(line.height_px for line in _clear(p)), p.file))
    if len(ranked) < 3:
        raise TagtraceError(f"{path}: has {len(ranked)} photos with legible lines; three are needed to spoil them")
    text, gone, cross = ranked[:3]
    chosen = {photo.file: max(_clear(photo), key=lambda line: line.height_px) for photo in (text, gone, cross)}
    letters = list(chosen[text.file].text)
    rng = np.random.default_rng(seed)
    wrong = "".join(rng.permutation(letters)) if len(set(letters)) > 1 else chosen[text.file].text + "7"
    if wrong == chosen[text.file].text:
        wrong = wrong[::-1]

    def changed(line: LineTruth, photo: PhotoTruth) -> LineTruth | None:
        if chosen.get(photo.file) is not line:
            return line
        a, b, c, d = line.quad
        return {text.file: replace(line, text=wrong), gone.file: None, cross.file: replace(line, quad=(a, c, b, d))}[photo.file]

    spoilt = [_with_lines(photo, changed) for photo in photos]
    again = f"again_{text.file}"
    spoilt.append(replace(text, file=again, width=text.width // 2, height=text.height // 2, ads=(), negative=True))
    (out / "photos").mkdir(parents=True)
    for photo in photos:
        place_photo(inside(photos_folder(path), photo.file), inside(out / "photos", photo.file))
    pixels = load_photo(inside(photos_folder(path), text.file))
    PilImage.fromarray(pixels).resize((text.width // 2, text.height // 2)).save(out / "photos" / again, quality=70)
    write_truth(out / "truth.jsonl", spoilt)
    return Spoilt(again, (text.file, chosen[text.file].text, wrong), (gone.file, chosen[gone.file].text), cross.file)


def _clear(photo: PhotoTruth) -> list[LineTruth]:
    return [line for advert in photo.ads for line in advert.lines if line.legible and line.kind != CODE_KIND and line.text]


def _with_lines(photo: PhotoTruth, changed: Callable[[LineTruth, PhotoTruth], LineTruth | None]) -> PhotoTruth:
    ads = []
    for advert in photo.ads:
        lines = tuple(new for line in advert.lines if (new := changed(line, photo)) is not None)
        ads.append(replace(advert, lines=lines))
    return replace(photo, ads=tuple(ads))


@dataclass(frozen=True, slots=True)
class Camera:
    """What a worse camera does to photos: size and brightness as shares, blur (sigma) in pixels of the result, JPEG quality."""

    size: float
    brightness: float
    blur_px: float
    quality: int


WORSE_CAMERA = Camera(0.5, 0.55, 1.2, 40)


def photograph_again(photos: Sequence[Path], out: Path, camera: Camera) -> list[Path]:
    """Write photos as another camera would have taken them into ``out``, under their names; returns the new files."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for path in photos:
        shown = PilImage.fromarray(load_photo(path))
        size = max(1, round(shown.width * camera.size)), max(1, round(shown.height * camera.size))
        small = shown.resize(size, PilImage.Resampling.BOX).filter(ImageFilter.GaussianBlur(camera.blur_px))
        target = out / f"{path.stem}.jpg"
        ImageEnhance.Brightness(small).enhance(camera.brightness).save(target, quality=camera.quality)
        written.append(target)
    return written
