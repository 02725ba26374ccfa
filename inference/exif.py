"""What EXIF tells about a photo: where and when. Everything in it may be missing, broken or a lie."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

from PIL import ExifTags
from PIL import Image as PilImage

_MAX_OFFSET_HOURS = 18.0


def read_position(exif: PilImage.Exif) -> tuple[float | None, float | None]:
    """Latitude and longitude in degrees (north and east positive), or two Nones where EXIF gives no usable position.

    0, 0 counts as none: cameras write it when they have no fix.
    """
    gps = _directory(exif, ExifTags.IFD.GPSInfo)
    lat = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "S", 90.0)
    lon = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "W", 180.0)
    if lat is None or lon is None or (lat == 0 and lon == 0):
        return None, None
    return lat, lon


def read_time(exif: PilImage.Exif, local_utc_offset_hours: float) -> datetime | None:
    """When the picture was taken, in UTC; ``local_utc_offset_hours`` is used where EXIF tells no offset."""
    detail = _directory(exif, ExifTags.IFD.Exif)
    for time_tag, offset_tag in (
        (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
        (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
    ):
        taken = _time(detail.get(time_tag), detail.get(offset_tag), local_utc_offset_hours)
        if taken is not None:
            return taken
    return _time(exif.get(ExifTags.Base.DateTime), detail.get(ExifTags.Base.OffsetTime), local_utc_offset_hours)


def parse_offset(text: str) -> float | None:
    """Hours east of Greenwich from ``+05:00``, ``-03:30`` or ``Z``; None for anything else."""
    if text.strip().upper() == "Z":
        return 0.0
    match = re.fullmatch(r"\s*([+-])(\d{2}):?(\d{2})\s*", text)
    if match is None:
        return None
    hours = int(match[2]) + int(match[3]) / 60
    if hours > _MAX_OFFSET_HOURS:
        return None
    return -hours if match[1] == "-" else hours


def _directory(exif: PilImage.Exif, which: ExifTags.IFD) -> Mapping[int, object]:
    try:
        return exif.get_ifd(which)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return {}


def _degrees(value: object, reference: object, negative: str, limit: float) -> float | None:
    if not isinstance(value, (tuple, list)) or not 1 <= len(value) <= 3:
        return None
    try:
        parts = [float(part) for part in value]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    degrees: float = sum(part / 60.0**place for place, part in enumerate(parts))
    if not math.isfinite(degrees) or not 0 <= degrees <= limit:
        return None
    return -degrees if _text(reference).strip().upper() == negative else degrees


def _time(value: object, offset: object, default_hours: float) -> datetime | None:
    # The separators differ between cameras; some add fractions of a second or blanks.
    match = re.match(r"\s*(\d{4})\D(\d{2})\D(\d{2})\D(\d{2})\D(\d{2})\D(\d{2})", _text(value))
    if match is None:
        return None
    hours = parse_offset(_text(offset))
    zone = timezone(timedelta(hours=default_hours if hours is None else hours))
    try:
        year, month, day, hour, minute, second = (int(part) for part in match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace").strip("\x00")
    return value if isinstance(value, str) else ""
