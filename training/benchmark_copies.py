"""Many photos out of a few: copies whose pictures are the same and whose bytes, and so whose identity, are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..contract import TagtraceError

_BEGINNING = b"\xff\xd8"
_COMMENT = b"\xff\xfe"


def numbered(jpeg: bytes, number: int) -> bytes:
    """Another file with the same picture: a JPEG with a comment."""
    comment = str(number).encode("ascii")
    return jpeg[:2] + _COMMENT + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def copies(photos: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """Write ``count`` JPEGs into ``folder``: all photos in turn, again and again, each time with another number in a comment.

    Their names begin with their number, so that a run takes them in this order; what follows is the name of the photo. Raises
    TagtraceError for a photo that is no JPEG.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = [path.read_bytes() for path in photos]
    for path, data in zip(photos, contents, strict=True):
        if not data.startswith(_BEGINNING):
            raise TagtraceError(f"{path}: is no JPEG; copies that differ can be made of JPEGs only")
    made = []
    for number in range(count):
        which = number % len(photos)
        path = folder / f"{number:07}-{photos[which].name}"
        path.write_bytes(numbered(contents[which], number))
        made.append(path)
    return made


def original(name: str) -> str:
    """The name of the photo that a copy was made of."""
    return name.partition("-")[2]


def number_of(name: str) -> int:
    """The number of a copy: those below the number of photos are the first of each."""
    return int(name.partition("-")[0])
