"""The manifest of a data set: the SHA-256 of each of its files, so that anyone can tell whether it is still what it was."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..contract import TagtraceError
from .files import atomic_text, read_text
from .photos import sha256_of

MANIFEST = "manifest.json"
FORMAT = "tagtrace.dataset"
_LEFT_OUT = {MANIFEST}


def write_manifest(folder: Path, about: Mapping[str, Any] | None = None) -> Path:
    """Write ``manifest.json`` over all files below a folder, and return it; ``about`` are further JSON values (sources,
    settings).

    The same files and words give the same bytes: it tells no time and no place. Raises TagtraceError when a file cannot be read.
    """
    listed = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files = {
        name: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        for name, path in sorted(listed.items())
        if name not in _LEFT_OUT
    }
    target = folder / MANIFEST
    with atomic_text(target) as out:
        json.dump({"format": FORMAT, "version": 1, **dict(about or {}), "files": files}, out, ensure_ascii=False, indent=1)
    return target


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a data set as JSON values. Raises TagtraceError when it is missing or no manifest."""
    path = folder / MANIFEST
    try:
        data = json.loads(read_text(path))
    except json.JSONDecodeError as bad:
        raise TagtraceError(f"{path}:{bad.lineno}: is not JSON: {bad.msg}") from bad
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("files"), dict):
        raise TagtraceError(f"{path}: is no manifest of a data set; write it with `tagtrace dataset merge`")
    return data


def changed_files(folder: Path) -> list[str]:
    """What differs from the manifest, in words: files that are missing, changed or new. Empty when all is as it was."""
    said: dict[str, Any] = read_manifest(folder)["files"]
    found = []
    for name, entry in sorted(said.items()):
        path = folder / name
        if not path.is_file():
            found.append(f"{name}: is missing")
        elif sha256_of(path) != entry.get("sha256"):
            found.append(f"{name}: has changed")
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return found + [f"{name}: is new" for name in there if name not in said and name not in _LEFT_OUT]


def names_of_sets(paths: Sequence[Path]) -> list[str]:
    """A short name for each of several data sets, all different: the last folders of their paths that tell them apart."""
    parts = [(path if path.is_dir() or not path.suffix else path.parent).resolve().parts for path in paths]
    for depth in range(1, max(map(len, parts), default=1) + 1):
        names = ["-".join(part[-depth:]).strip("/") or "set" for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{parts[i][-1]}-{i + 1}" for i in range(len(paths))]
