"""The truth of photos: what is painted where, as typed objects, and the JSON Lines file that keeps it.

One photo is one JSON object on one line of ``truth.jsonl``. Fields that this module does not know are kept in ``extra`` and
written again, so a file of a newer or richer generator survives a round trip. A field that is None is left out of the file.

Quads are in pixels of the photo after its EXIF orientation is applied, clockwise from the start of the text.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..contract import IdentifierKind, Quad, TagtraceError
from .files import atomic_text, read_json_lines

WORD_KIND = "word"
"""A line that carries no contact: a wording such as "delivery 24/7"."""
CODE_KIND = "qr"
"""A machine-readable code; its ``canonical`` is the value of the payload."""
LINE_KINDS = frozenset({WORD_KIND, *IdentifierKind})
"""What ``LineTruth.kind`` may be: ``word``, ``qr``, or a value of ``IdentifierKind``."""

Extra = Mapping[str, Any]
"""JSON values under names that this module does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTruth:
    """One painted line, or one code.

    ``text`` is as painted and ``canonical`` what it means. ``part`` is (i, n), counted from 1: line i of the n lines over which
    one identifier is split; each repeats the canonical value. ``evasion`` is "" or how the spelling is disguised (``upper``,
    ``mixed_case``, ``lookalike``, ``spaced``, ``zero_o``, ``dots``, ``split``). ``height_px`` is the height of the line in the
    photo. The rest is what legibility was judged from, where known: ``visible`` (share not covered), ``in_frame`` (share
    inside the picture), ``contrast`` (8-bit levels between paint and wall), ``ink_corr`` (correlation of the photo with the
    clean paint), ``read`` (share of characters that a template reader got), ``worst_glyph`` (its worst character, 0..1),
    ``rule`` (version of the judging rule).
    """

    text: str
    canonical: str
    kind: str
    quad: Quad
    legible: bool
    height_px: float
    part: tuple[int, int] = (1, 1)
    evasion: str = ""
    visible: float | None = None
    in_frame: float | None = None
    contrast: float | None = None
    ink_corr: float | None = None
    read: float | None = None
    worst_glyph: float | None = None
    rule: int | None = None
    extra: Extra = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvertTruth:
    """One physical advert in one photo. ``wall_id`` is the same in every photo of that advert, ``shop_id`` its seller;
    ``style`` is how it was made (``stencil``, ``spray``, ``marker``, ``sticker``, ``poster``, …)."""

    wall_id: str
    shop_id: str
    style: str
    quad: Quad
    lines: tuple[LineTruth, ...]
    extra: Extra = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistractorTruth:
    """Text in the photo that is no advert: house number, sign, plate, tag, official slogan, lawful poster.

    ``lines`` are its single lines, where the truth tells them apart (the photos of the generator do)."""

    text: str
    quad: Quad
    kind: str
    lines: tuple[LineTruth, ...] | None = None
    extra: Extra = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoTruth:
    """Everything painted in one photo, and how the photo was taken.

    ``width`` and ``height`` are in pixels after the EXIF orientation is applied; ``orientation`` is the EXIF value in the file.
    ``taken_at`` is ISO 8601 as the phone wrote it (local time, or with an offset). ``yaw``, ``pitch`` and ``roll`` are the
    camera's angles to the wall in degrees, ``dist_m`` its distance in metres, ``motion_px`` the length of the motion blur.
    ``negative`` says that the photo shows no advert; ``negative_kind`` what it shows instead.
    """

    file: str
    width: int
    height: int
    ads: tuple[AdvertTruth, ...] = ()
    distractors: tuple[DistractorTruth, ...] = ()
    negative: bool = False
    negative_kind: str | None = None
    split: str | None = None
    lat: float | None = None
    lon: float | None = None
    taken_at: str | None = None
    style: str = ""
    material: str = ""
    light: str = ""
    difficulty: str = ""
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    dist_m: float | None = None
    site_id: str | None = None
    occluder: str | None = None
    orientation: int | None = None
    jpeg_quality: int | None = None
    motion_px: float | None = None
    extra: Extra = field(default_factory=dict)


class _Fields:
    """Takes typed fields out of one JSON object; every complaint names the file, the line and the field."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise TagtraceError(f"{where}: expected an object with named fields, found {_shown(value)}")
        self._values: dict[str, Any] = dict(value)
        self._where = where

    def error(self, name: str, expected: str, value: object) -> TagtraceError:
        return TagtraceError(f"{self._where}: field {name!r} must be {expected}, found {_shown(value)}")

    def _take(self, name: str, expected: str, required: bool) -> Any:
        if name not in self._values and required:
            raise TagtraceError(f"{self._where}: field {name!r} is missing; it must be {expected}")
        return self._values.pop(name, None)

    def text_or_none(self, name: str, required: bool = False) -> str | None:
        value = self._take(name, "text", required)
        if value is None and not required:
            return None
        if not isinstance(value, str):
            raise self.error(name, "text", value)
        return value

    def text(self, name: str, required: bool = True) -> str:
        return self.text_or_none(name, required) or ""

    def number_or_none(self, name: str, required: bool = False) -> float | None:
        value = self._take(name, "a number", required)
        if value is None and not required:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(name, "a finite number", value)
        return float(value)

    def whole_or_none(self, name: str, required: bool = False) -> int | None:
        number = self.number_or_none(name, required)
        if number is not None and number != int(number):
            raise self.error(name, "a whole number", number)
        return None if number is None else int(number)

    def size(self, name: str) -> int:
        value = self.whole_or_none(name, required=True) or 0
        if value < 1:
            raise self.error(name, "at least 1 pixel", value)
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        value = self._take(name, "true or false", default is None)
        if value is None and default is not None:
            return default
        if not isinstance(value, bool):
            raise self.error(name, "true or false", value)
        return value

    def items(self, name: str, required: bool = True) -> list[Any]:
        value = self._take(name, "a list", required)
        if value is None and not required:
            return []
        if not isinstance(value, list):
            raise self.error(name, "a list", value)
        return value

    def quad(self, name: str) -> Quad:
        expected = "four corners [[x, y], …] of finite numbers"
        value = self._take(name, expected, True)
        try:
            corners = tuple((float(x), float(y)) for x, y in value)
        except (TypeError, ValueError) as bad:
            raise self.error(name, expected, value) from bad
        if len(corners) != 4 or not all(math.isfinite(c) for corner in corners for c in corner):
            raise self.error(name, expected, value)
        return (corners[0], corners[1], corners[2], corners[3])

    def part(self, name: str) -> tuple[int, int]:
        expected = "[i, n] with 1 <= i <= n"
        value = self._take(name, expected, False)
        if value is None:
            return (1, 1)
        if not isinstance(value, list) or len(value) != 2 or not all(type(n) is int for n in value):
            raise self.error(name, expected, value)
        if not 1 <= value[0] <= value[1]:
            raise self.error(name, expected, value)
        return (value[0], value[1])

    def rest(self) -> dict[str, Any]:
        """The fields that nobody took."""
        return self._values


def _shown(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False, default=repr)
    return shown if len(shown) <= 60 else shown[:57] + "…"


def _line(value: object, where: str) -> LineTruth:
    take = _Fields(value, where)
    kind = take.text("kind")
    if kind not in LINE_KINDS:
        raise take.error("kind", "one of " + ", ".join(sorted(LINE_KINDS)), kind)
    return LineTruth(
        text=take.text("text"),
        canonical=take.text("canonical"),
        kind=kind,
        quad=take.quad("quad"),
        legible=take.flag("legible"),
        height_px=take.number_or_none("height_px", required=True) or 0.0,
        part=take.part("part"),
        evasion=take.text("evasion", required=False),
        visible=take.number_or_none("visible"),
        in_frame=take.number_or_none("in_frame"),
        contrast=take.number_or_none("contrast"),
        ink_corr=take.number_or_none("ink_corr"),
        read=take.number_or_none("read"),
        worst_glyph=take.number_or_none("worst_glyph"),
        rule=take.whole_or_none("rule"),
        extra=take.rest(),
    )


def advert_from_json(value: object, where: str) -> AdvertTruth:
    """One advert of ``PhotoTruth.ads`` from a JSON value; errors as in ``parse_photo``."""
    take = _Fields(value, where)
    return AdvertTruth(
        wall_id=take.text("wall_id"),
        shop_id=take.text("shop_id"),
        style=take.text("style"),
        quad=take.quad("quad"),
        lines=tuple(_line(line, f"{where}, lines[{i}]") for i, line in enumerate(take.items("lines"))),
        extra=take.rest(),
    )


def distractor_from_json(value: object, where: str) -> DistractorTruth:
    """One text of ``PhotoTruth.distractors`` from a JSON value; errors as in ``parse_photo``."""
    take = _Fields(value, where)
    lines = tuple(_line(line, f"{where}, lines[{i}]") for i, line in enumerate(take.items("lines", required=False)))
    return DistractorTruth(
        text=take.text("text"), quad=take.quad("quad"), kind=take.text("kind"), lines=lines or None, extra=take.rest()
    )


def _taken_at(take: _Fields) -> str | None:
    value = take.text_or_none("taken_at")
    if value:
        try:
            datetime.fromisoformat(value)
        except ValueError as bad:
            raise take.error("taken_at", "an ISO 8601 date and time", value) from bad
    return value


def parse_photo(value: object, where: str) -> PhotoTruth:
    """The truth of one photo from a JSON value (one line of a truth file). ``where`` begins the message of the TagtraceError that
    names the field when something in it is wrong."""
    take = _Fields(value, where)
    file = take.text("file")
    if not file:
        raise take.error("file", "the name of the photo", file)
    ads = tuple(advert_from_json(ad, f"{where}, ads[{i}]") for i, ad in enumerate(take.items("ads")))
    return PhotoTruth(
        file=file,
        width=take.size("width"),
        height=take.size("height"),
        ads=ads,
        distractors=tuple(
            distractor_from_json(d, f"{where}, distractors[{i}]") for i, d in enumerate(take.items("distractors", required=False))
        ),
        negative=take.flag("negative", default=not ads),
        negative_kind=take.text_or_none("negative_kind"),
        split=take.text_or_none("split"),
        lat=take.number_or_none("lat"),
        lon=take.number_or_none("lon"),
        taken_at=_taken_at(take),
        style=take.text("style", required=False),
        material=take.text("material", required=False),
        light=take.text("light", required=False),
        difficulty=take.text("difficulty", required=False),
        yaw=take.number_or_none("yaw"),
        pitch=take.number_or_none("pitch"),
        roll=take.number_or_none("roll"),
        dist_m=take.number_or_none("dist_m"),
        site_id=take.text_or_none("site_id"),
        occluder=take.text_or_none("occluder"),
        orientation=take.whole_or_none("orientation"),
        jpeg_quality=take.whole_or_none("jpeg_quality"),
        motion_px=take.number_or_none("motion_px"),
        extra=take.rest(),
    )


def iter_truth(path: Path | str) -> Iterator[PhotoTruth]:
    """The photos of a truth file one by one, in its order; errors as in ``read_truth``, when their line is reached."""
    path = Path(path)
    path = path / "truth.jsonl" if path.is_dir() else path
    seen: dict[str, int] = {}
    for number, value in read_json_lines(path):
        where = f"{path}:{number}"
        photo = parse_photo(value, where)
        if photo.file in seen:
            raise TagtraceError(f"{where}: field 'file': {photo.file!r} stands in line {seen[photo.file]} already")
        seen[photo.file] = number
        yield photo


def read_truth(path: Path | str) -> list[PhotoTruth]:
    """Every photo of a truth file (``truth.jsonl``, or the folder that holds it), in its order.

    Raises TagtraceError that names file, line and field when the file is missing or something in it is wrong.
    """
    return list(iter_truth(path))


def _plain(value: object) -> object:
    """A truth object as JSON values: None and empty ``extra`` left out, the fields in ``extra`` beside the known ones."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        known = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        extra = known.pop("extra")
        return {**{name: _plain(v) for name, v in known.items() if v is not None}, **extra}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


def photo_to_json(photo: PhotoTruth) -> str:
    """The photo as one line of JSON, without a line feed."""
    return json.dumps(_plain(photo), ensure_ascii=False, allow_nan=False)


def write_truth(path: Path | str, photos: Iterable[PhotoTruth]) -> int:
    """Write a truth file atomically (readers see the old file or the whole new one); returns the number of photos.

    ``photos`` may be a generator: nothing is kept in memory. Raises TagtraceError when the file cannot be written.
    """
    count = 0
    with atomic_text(Path(path)) as out:
        for photo in photos:
            out.write(photo_to_json(photo) + "\n")
            count += 1
    return count
