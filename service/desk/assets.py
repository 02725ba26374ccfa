"""The files of the desk: scripts and styles, named by their content so that a browser may keep them for ever."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources

TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}


@lru_cache(maxsize=64)
def content(name: str) -> bytes | None:
    """The bytes of a file of ``static/``, or None for one that is not served."""
    parts = name.split("/")
    if not name.endswith(tuple(TYPES)) or any(part in ("", ".", "..") or "\\" in part for part in parts):
        return None
    place = resources.files(__package__) / "static"
    for part in parts:
        place = place / part
    return place.read_bytes() if place.is_file() else None


@lru_cache(maxsize=64)
def address(name: str) -> str:
    """Where a page finds a file. Raises ``LookupError`` for one that is not there."""
    data = content(name)
    if data is None:
        raise LookupError(name)
    return f"/desk/static/{name}?v={hashlib.sha256(data).hexdigest()[:12]}"


def media_type(name: str) -> str:
    """The type of a file by its name's end."""
    return TYPES["." + name.rpartition(".")[2]]
