"""Several data sets as one: names that collide are told apart, doubles are left out, and each photo says where it is from."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..contract import TagtraceError
from .datacard import write_data_card
from .formats.convert import Format, find_set, photos_of, read_set
from .manifest import names_of_sets, write_manifest
from .photos import inside, place_photo, sha256_of
from .truth import PhotoTruth, write_truth

SOURCE = "source"
"""The field of a merged photo that says where it is from: ``set``, ``file`` and ``sha256``."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did: photos written, photos left out as equal files, photos that got another name, and sets whose walls and
    shops got the name of the set before them."""

    photos: int
    doubles: int
    renamed: Mapping[str, str]
    prefixed: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One data set that goes in: its name, format and photos, and the files of the photos with their digests."""

    name: str
    form: Format
    photos: Sequence[PhotoTruth]
    paths: Mapping[str, Path]
    digests: Mapping[str, str]


def merge_sets(
    paths: Sequence[Path],
    out: Path,
    *,
    same_ids: bool = False,
    title: str = "Merged data set",
    progress: Callable[[int], None] | None = None,
) -> Merged:
    """Merge data sets of any format into the folder ``out``: photos, truth, data card, manifest.

    A photo whose name another set has too gets the beginning of its SHA-256 into its name; one whose bytes are there already
    is left out, and of two truths of it the one with more lines counts. Ids of walls and shops that several sets use are
    taken for different things and get the name of their set, unless ``same_ids``. Raises TagtraceError when something is
    missing, or ``out`` holds files.
    """
    if out.exists() and any(out.iterdir()):
        raise TagtraceError(f"{out}: is not empty; choose another folder")
    parts = [_part(path, name) for path, name in zip(paths, names_of_sets(paths), strict=True)]
    prefixed = () if same_ids else _colliding(parts)
    chosen: dict[str, tuple[PhotoTruth, Path]] = {}
    by_digest: dict[str, str] = {}
    renamed: dict[str, str] = {}
    doubles = 0
    for part in parts:
        for photo in part.photos:
            digest = part.digests[photo.file]
            whole = _with_source(photo, part, digest, part.name in prefixed)
            held = by_digest.get(digest)
            if held is not None:
                doubles += 1
                if _lines(whole) > _lines(chosen[held][0]):
                    chosen[held] = (dataclasses.replace(whole, file=held), part.paths[photo.file])
                continue
            name = Path(photo.file).name
            if name in chosen:
                name = f"{Path(name).stem}-{digest[:12]}{Path(name).suffix}"
                renamed[f"{part.name}: {photo.file}"] = name
            by_digest[digest] = name
            chosen[name] = (dataclasses.replace(whole, file=name), part.paths[photo.file])
    _write(chosen, out, parts, title, progress)
    return Merged(len(chosen), doubles, renamed, prefixed)


def _lines(photo: PhotoTruth) -> int:
    return sum(len(advert.lines) for advert in photo.ads)


def _part(path: Path, name: str) -> _Part:
    form, file = find_set(path)
    photos = read_set(file, form)
    folder = photos_of(file, form)
    paths = {photo.file: inside(folder, photo.file) for photo in photos}
    return _Part(name, form, photos, paths, {file: sha256_of(path) for file, path in paths.items()})


def _colliding(parts: Sequence[_Part]) -> tuple[str, ...]:
    """The sets that share an id of a wall or shop with another one."""
    users: dict[tuple[str, str], set[str]] = defaultdict(set)
    for part in parts:
        for photo in part.photos:
            for advert in photo.ads:
                users["wall", advert.wall_id].add(part.name)
                users["shop", advert.shop_id].add(part.name)
    users = defaultdict(set, {key: names for key, names in users.items() if key[1]})
    sharing = {name for names in users.values() if len(names) > 1 for name in names}
    return tuple(part.name for part in parts if part.name in sharing)


def _with_source(photo: PhotoTruth, part: _Part, digest: str, prefix: bool) -> PhotoTruth:
    source = {"set": part.name, "file": photo.file, "sha256": digest}
    held = photo.extra.get(SOURCE)
    # Where a photo of an earlier merge is from stays readable.
    extra = {**photo.extra, SOURCE: {**source, **({"before": held} if held else {})}}
    if not prefix:
        return dataclasses.replace(photo, extra=extra)

    def named(value: str) -> str:
        return f"{part.name}:{value}" if value else value

    ads = tuple(dataclasses.replace(ad, wall_id=named(ad.wall_id), shop_id=named(ad.shop_id)) for ad in photo.ads)
    return dataclasses.replace(photo, ads=ads, extra=extra)


def _write(
    chosen: Mapping[str, tuple[PhotoTruth, Path]],
    out: Path,
    parts: Sequence[_Part],
    title: str,
    progress: Callable[[int], None] | None,
) -> None:
    try:
        (out / "photos").mkdir(parents=True, exist_ok=True)
    except OSError as bad:
        raise TagtraceError(f"{out}: cannot be made: {bad.strerror or bad}") from bad
    for number, (name, (_, path)) in enumerate(sorted(chosen.items()), 1):
        place_photo(path, out / "photos" / name)
        if progress is not None:
            progress(number)
    photos = [photo for _, (photo, _) in sorted(chosen.items())]
    write_truth(out / "truth.jsonl", photos)
    taken = Counter(photo.extra[SOURCE]["set"] for photo in photos)
    sources = [{"set": p.name, "format": p.form.value, "photos": len(p.photos), "taken": taken[p.name]} for p in parts]
    listed = ", ".join(f"{source['set']} ({source['taken']} of {source['photos']} photos)" for source in sources)
    write_data_card(photos, out / "DATACARD.md", title, f"Merged from {listed}.")
    write_manifest(out, {"sources": sources})
