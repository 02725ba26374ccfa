"""Decisions of the review desk as labels: adverts that people corrected and confirmed, and what they say is no advert.

A photo is taken when a person's word stands on every advert that the machine found in it: one that nobody looked at would
otherwise be taught as bare wall. What the machine did not find, nobody was shown; look through the photos before a detector is
trained with them (``tagtrace dataset convert --to label-studio``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..contract import Line, Quad, TagtraceError
from ..datasets.datacard import write_data_card
from ..datasets.manifest import write_manifest
from ..datasets.photos import decode_photo, without_metadata
from ..datasets.truth import CODE_KIND, WORD_KIND, AdvertTruth, DistractorTruth, LineTruth, PhotoTruth, write_truth
from ..linking.store import Store
from ..linking.store.labelled import LabelledAdvert, LabelledPhoto, decided_photos
from ..linking.store.photos import PhotoFiles
from ..linking.store.verdicts import Word
from ..models.geometry import size
from .kinds import meanings, payload_line

NOT_KEPT = "its bytes are not kept"
OPEN = "an advert of it has no person's word that says what it shows"
OTHERWISE = "its lines were found otherwise when the word was said"
TEXT_FROM = "text_from"
"""The field of a line that says whose text it is: ``person``, ``confirmed`` (read, and a person says it is right) or
``machine``."""


@dataclass(frozen=True, slots=True)
class FromStoreSettings:
    """Which words become which labels."""

    rejected_is_negative: bool = False
    """Take ``rejected`` like ``not_advert``. A rejected one may be an advert with which nothing can be done: teaching that it is
    none costs recall, so photos with one are left out unless this is set."""
    since: datetime | None = None
    """Only photos on which something was decided since this moment."""


DEFAULT = FromStoreSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Photos with the labels that follow from decisions, where their bytes lie, and how many were left out for which reason."""

    photos: tuple[PhotoTruth, ...]
    places: Mapping[str, str]
    left_out: Mapping[str, int]


def labels_of(store: Store, settings: FromStoreSettings = DEFAULT) -> Labels:
    """The labels that the decisions in a store give; nothing is written, and no photo is read.

    The name of a photo is the beginning of its SHA-256; the whole digest, and the numbers of the decisions, are in its
    ``source``.
    """
    found: list[PhotoTruth] = []
    places: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    with store.read() as session:
        for photo in decided_photos(session, settings.since):
            label = label_photo(photo, settings)
            if isinstance(label, str):
                left_out[label] += 1
            else:
                found.append(label)
                places[label.file] = photo.place
    return Labels(tuple(found), places, dict(sorted(left_out.items())))


def label_photo(photo: LabelledPhoto, settings: FromStoreSettings = DEFAULT) -> PhotoTruth | str:
    """The truth of one photo, or why it gives none."""
    if not photo.place:
        return NOT_KEPT
    negative = {Word.NOT_ADVERT, *([Word.REJECTED] if settings.rejected_is_negative else [])}
    ads, others = [], []
    for advert in photo.adverts:
        if advert.word in (Word.CONFIRMED, Word.CORRECTED):
            if not _as_said(advert):
                return OTHERWISE
            ads.append(_advert(advert))
        elif advert.word in negative:
            others.append(_other(advert))
        else:
            return OPEN
    decisions = [advert.decision for advert in photo.adverts]
    return PhotoTruth(
        file=f"{photo.sha256[:16]}.jpg",
        width=photo.analysis.width,
        height=photo.analysis.height,
        ads=tuple(ads),
        distractors=tuple(others),
        negative=not ads,
        negative_kind=None if ads else "not_advert",
        extra={"source": {"sha256": photo.sha256, "decisions": decisions, "models": _models(photo)}},
    )


def _models(photo: LabelledPhoto) -> list[str]:
    return [f"{model.name} {model.sha256[:12]}" for model in photo.analysis.models]


def _as_said(advert: LabelledAdvert) -> bool:
    """Whether the lines are still those that the person was shown."""
    now = tuple(line.reading.text for line in advert.advert.lines)
    return (advert.read is None or advert.read == now) and (advert.texts is None or len(advert.texts) == len(now))


def _advert(labelled: LabelledAdvert) -> AdvertTruth:
    advert = labelled.advert
    texts = labelled.texts or tuple(line.reading.text for line in advert.lines)
    # Line by line: which of them shows a contact that the person says is there.
    meant = meanings(texts, labelled.contacts)
    lines = []
    for line, text, meaning in zip(advert.lines, texts, meant, strict=True):
        whose = "person" if labelled.texts is not None else "confirmed" if meaning.kind != WORD_KIND else "machine"
        lines.append(_line(line, text, whose, meaning.kind, meaning.canonical, meaning.part))
    for code in advert.codes:
        text, height = code.payload, round(size(code.quad)[1], 1)
        bare = LineTruth(text=text, canonical=text, kind=CODE_KIND, quad=code.quad, legible=True, height_px=height)
        lines.append(payload_line(text, bare))
    at = None if labelled.at is None else labelled.at.isoformat()
    extra = {"decision": labelled.decision, "word": str(labelled.word), "at": at}
    wall = labelled.cluster or f"{labelled.key[0][:16]}-{labelled.key[1]}"
    return AdvertTruth(wall_id=wall, shop_id=labelled.shop_id, style="", quad=advert.quad, lines=tuple(lines), extra=extra)


def _line(line: Line, text: str, whose: str, kind: str, canonical: str, part: tuple[int, int]) -> LineTruth:
    """A line with its text. Words that only the machine read are called illegible: they teach where a line is, not what it
    says."""
    known = whose != "machine" and bool(text.strip())
    quad: Quad = line.quad
    return LineTruth(
        text=text,
        canonical=canonical,
        kind=kind,
        quad=quad,
        legible=known,
        height_px=round(size(quad)[1], 1),
        part=part,
        extra={TEXT_FROM: whose},
    )


def _other(labelled: LabelledAdvert) -> DistractorTruth:
    lines = tuple(
        _line(line, line.reading.text, "machine", WORD_KIND, line.reading.text, (1, 1)) for line in labelled.advert.lines
    )
    text = " ".join(line.text for line in lines)
    said = {"decision": labelled.decision, "word": str(labelled.word)}
    return DistractorTruth(text=text, quad=labelled.advert.quad, kind="not_advert", lines=lines or None, extra=said)


@dataclass(frozen=True, slots=True)
class Written:
    """What ``write_labels_of`` wrote, and how many photos were left out for which reason."""

    photos: int
    adverts: int
    others: int
    left_out: Mapping[str, int]


def write_labels_of(
    store: Store,
    out: Path,
    settings: FromStoreSettings = DEFAULT,
    progress: Callable[[int], None] | None = None,
) -> Written:
    """Write the labels that the decisions in a store give as a data set: photos, truth, data card, manifest.

    Photos are copied without EXIF: no place, time or device leaves the store. Reporters are not in it, nor who decided; the
    number of each decision is. Raises TagtraceError when ``out`` holds files.
    """
    if out.exists() and any(out.iterdir()):
        raise TagtraceError(f"{out}: is not empty; choose another folder")
    labels = labels_of(store, settings)
    left_out = Counter(labels.left_out)
    written = list(_copied(labels.photos, labels.places, out / "photos", left_out, progress))
    out.mkdir(parents=True, exist_ok=True)
    write_truth(out / "truth.jsonl", written)
    write_data_card(written, out / "DATACARD.md", "Labels from the review desk", "What people decided about adverts in a store.")
    write_manifest(out, {"source": "decisions of the review desk", "left_out": dict(sorted(left_out.items()))})
    adverts, others = (
        sum(len(items) for items in group) for group in ([p.ads for p in written], [p.distractors for p in written])
    )
    return Written(len(written), adverts, others, dict(sorted(left_out.items())))


def _copied(
    photos: Iterable[PhotoTruth],
    places: Mapping[str, str],
    folder: Path,
    left_out: Counter[str],
    progress: Callable[[int], None] | None,
) -> Iterable[PhotoTruth]:
    """The photos whose bytes could be copied, under the names that they have now."""
    for number, photo in enumerate(photos, 1):
        sha256 = str(photo.extra["source"]["sha256"])
        copied = copy_photo(places[photo.file], sha256, folder)
        if copied is None:
            left_out[NOT_KEPT] += 1
        elif copied[1] != (photo.width, photo.height):
            left_out["its size is not the one that was analysed"] += 1
        else:
            yield replace(photo, file=copied[0])
        if progress is not None:
            progress(number)


def copy_photo(place: str, sha256: str, folder: Path) -> tuple[str, tuple[int, int]] | None:
    """Copy a photo of the store without its metadata into a folder; its name and its size (width, height) in pixels the right way
    up, or None where it is gone or damaged. Raises TagtraceError when the folder cannot be written."""
    try:
        data = PhotoFiles(place).get(sha256)
        bare, suffix = without_metadata(data, sha256[:16])
    except TagtraceError:
        return None
    name = f"{sha256[:16]}{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bare)
    except OSError as bad:
        raise TagtraceError(f"{folder / name}: cannot be written: {bad.strerror or bad}") from bad
    pixels = decode_photo(bare, name)
    return name, (int(pixels.shape[1]), int(pixels.shape[0]))
