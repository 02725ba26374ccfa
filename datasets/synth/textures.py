"""Wall textures from Debian's free game packages, as backgrounds for the generator.

``apt install ufoai-textures openarena-081-textures`` puts archives of free textures on the disk. The walls among them are
unpacked here to a folder, with a file that names package, licence and authors of each. Pictures with lettering, graffiti,
windows cut out, or nothing of a wall in them were sorted out by eye; the patterns below are the result.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image as PilImage

from ...contract import TagtraceError
from ..datacard import Credit

ATTRIBUTION = "SOURCES.tsv"
"""The file beside the unpacked pictures that says where each came from."""

COLUMNS = ("file", "package", "version", "path", "licence")
"""Its columns, named in its first line and parted by tabs."""

MIN_SIDE_PX = 200
"""Smaller pictures show pixels, not surface."""


@dataclass(frozen=True, slots=True)
class TexturePack:
    """An archive of textures that a Debian package installs."""

    package: str
    archive: Path
    copyright: Path
    """Debian's machine-readable copyright file, which gives licence and authors per file."""
    prefix: str
    """Where the archive's root lies in that file."""
    take: tuple[str, ...]
    """Patterns (as of the shell) of paths in the archive, without extension."""
    leave: tuple[str, ...] = ()
    """Patterns of what is left out again."""


def _under(folder: str, names: str) -> tuple[str, ...]:
    return tuple(f"textures/{folder}/{name}" for name in names.split())


PACKS = (
    TexturePack(
        "ufoai-textures",
        Path("/usr/share/games/ufoai/base/0textures.pk3"),
        Path("/usr/share/doc/ufoai-textures/copyright"),
        "base/",
        take=(
            *_under(
                "tex_buildings", "cementwall* concrete0* concrete_slabs* e8crete03* floor00[568] floor01[1-689] floor03[023]"
            ),
            *_under("tex_buildings", "floor_se0* ground_dirt1 metal01 mtl_gray paving001 pewter platvert roof00[67] rustpipes"),
            *_under("tex_buildings", "sfloor1_2 sidewalk01 streetbricks14* surface2 tile0[12] wall007* wall01[1-9] wall02*"),
            *_under("tex_buildings", "wall03[3-8] wall04[1-4] wall_brick* wall_dirt* wall_ind01_flat wall_ind03* wall_ind05"),
            *_under("tex_buildings", "wall_se* wall_stone* wall_tab* window01[2-4]"),
            *_under("tex_buildings_snow", "*"),
            *_under("tex_ctp1", "asphalt* bricks_* concrete_b_2 concrete_g_* concrete_p_* door_[br]_1 metal_* stucco* tiles_b_3"),
            *_under("tex_ctp1", "tiles_g_[1-4] tiles_r_2 wall_[bg]_* wood_b_[23469] wood_g_* woodb_*"),
            *_under("tex_material", "conc* metall0* shell0* wood00[1-5] wood01[67]"),
            *_under("tex_mattn", "brick* concrete00[1-3] floor00[4-8] marmor metal_rust plate rock00[1235] rust* stone002"),
            *_under("tex_mattn", "street010 wall* wood00[1245] wood008 wood009 wood010 wood01[5-9] wood02[0-5]"),
        ),
        leave=(
            *_under("tex_buildings", "concrete019 wall_ind0*_cons"),
            *_under("tex_mattn", "wall007* wall008 wall009 wall010 wall014 wall022 wall024 wall025 wall026 wall027 wall047"),
            *_under("tex_mattn", "wall048 wall05[1267] wall060 wall06[235] wall07[124] wall080 wall08[67] wall_grates*"),
        ),
    ),
    TexturePack(
        "openarena-081-textures",
        Path("/usr/share/games/openarena/baseoa/pak4-textures.pk3"),
        Path("/usr/share/doc/openarena-081-textures/copyright"),
        "baseoa/",
        take=(
            *_under("acc_dm3", "concrt concrtmould wallloop rustpipes ind_wall2"),
            *_under("base_wall", "concrete concrete_dark patch10_beatup* rusted rusted3 redmet"),
            *_under("evil8_wall", "e8crete03*"),
            *_under("proto2", "concrete0* concrete_blue metwall"),
            *_under("gothic_block", "blocks9 blocks19"),
            *_under("gothic_wall", "streetbricks1* proto_brik"),
            *_under("*", "beton1 beton2"),
        ),
        leave=_under("proto2", "*dvt *sku* *wetwal*"),
    ),
)
"""The packages that are looked for."""

_DERIVED = re.compile(r"_(nm|sm|gm|rm|blend|spec|glow)$")  # normal, specular, glow and roughness maps of another picture


def unpack_debian_textures(out: Path, packs: Sequence[TexturePack] = PACKS) -> list[Path]:
    """Write the wall textures of the installed ``packs`` to the folder ``out`` and return their paths, sorted.

    PNG and JPEG files are written as they are, others as PNG. :data:`ATTRIBUTION` beside them lists package, version, path
    and licence of each; the authors stand in ``<package>.copyright``, a copy of the package's own file.
    Raises TagtraceError if none of the packages is installed or an archive is damaged.
    """
    found = [pack for pack in packs if pack.archive.is_file()]
    if not found:
        names = " ".join(pack.package for pack in packs)
        raise TagtraceError(f"no texture archive found ({', '.join(str(p.archive) for p in packs)}): apt install {names}")
    out.mkdir(parents=True, exist_ok=True)
    paths, rows = [], ["\t".join(COLUMNS)]
    for pack in found:
        version, terms = _version(pack.package), _licences(pack)
        if pack.copyright.is_file():
            (out / f"{pack.package}.copyright").write_bytes(pack.copyright.read_bytes())
        for name, data, suffix in _pictures(pack):
            target = out / f"{pack.package.split('-')[0]}_{'_'.join(PurePosixPath(name).with_suffix('').parts[1:])}{suffix}"
            target.write_bytes(data)
            licence = terms.get(pack.prefix + name, terms.get("*", "see the package"))
            paths.append(target)
            rows.append("\t".join((target.name, pack.package, version, name, licence)))
    (out / ATTRIBUTION).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return sorted(paths)


def background_credits(folders: Sequence[Path], used: Collection[Path]) -> list[Credit]:
    """Who has to be named for the pictures ``used`` below ``folders``: one credit per package and licence, sorted.

    Rests on the :data:`ATTRIBUTION` files below the folders; pictures that none of them lists get no credit.
    Raises TagtraceError if such a file cannot be read or lacks a column.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for sources in _attributions(folders):
        for row in _rows(sources):
            if sources.parent / row["file"] in used:
                counts[row["package"], row["version"], row["licence"]] += 1
    return [
        Credit(f"pictures of walls: {count}", f"see {package}.copyright", licence, f"Debian package {package} {version}")
        for (package, version, licence), count in sorted(counts.items())
    ]


def copy_terms(folders: Sequence[Path], target: Path) -> None:
    """Copy the ``*.copyright`` files beside every :data:`ATTRIBUTION` below ``folders`` to ``target``: credits point at them."""
    for sources in _attributions(folders):
        for terms in sorted(sources.parent.glob("*.copyright")):
            shutil.copyfile(terms, target / terms.name)


def _attributions(folders: Sequence[Path]) -> list[Path]:
    return sorted({path for folder in folders for path in folder.rglob(ATTRIBUTION)})


def _rows(sources: Path) -> list[dict[str, str]]:
    try:
        with sources.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
            rows = list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise TagtraceError(f"{sources} cannot be read ({error}): unpack the textures again") from error
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise TagtraceError(f"{sources}: no column {', '.join(missing)}; wanted are {', '.join(COLUMNS)}, parted by tabs")
    return rows


def _pictures(pack: TexturePack) -> Iterator[tuple[str, bytes, str]]:
    """Path in the archive, bytes and suffix of every picture that is taken."""
    try:
        with zipfile.ZipFile(pack.archive) as archive:
            for name in sorted(archive.namelist()):
                stem = str(PurePosixPath(name).with_suffix(""))
                if _DERIVED.search(stem) or not any(fnmatchcase(stem, pattern) for pattern in pack.take):
                    continue
                if name.endswith("/") or any(fnmatchcase(stem, pattern) for pattern in pack.leave):
                    continue
                picture = _usable(archive.read(name))
                if picture is not None:
                    yield name, *picture
    except zipfile.BadZipFile as error:
        raise TagtraceError(f"{pack.archive} is damaged ({error}): reinstall the package {pack.package}") from error


def _usable(data: bytes) -> tuple[bytes, str] | None:
    """The picture's bytes and suffix, or None if it is too small, see-through, or one flat colour."""
    try:
        picture = PilImage.open(io.BytesIO(data))
        picture.load()
    except (OSError, ValueError):
        return None
    if min(picture.size) < MIN_SIDE_PX:
        return None
    pixels = np.asarray(picture.convert("RGBA").resize((64, 64)))
    if pixels[:, :, 3].mean() < 250 or pixels[:, :, :3].std(axis=(0, 1)).max() < 1:
        return None
    if picture.format in ("PNG", "JPEG"):
        return data, ".png" if picture.format == "PNG" else ".jpg"
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue(), ".png"


def _licences(pack: TexturePack) -> dict[str, str]:
    """Licence per path, and for ``*``, from the package's copyright file (empty if it is not there)."""
    terms: dict[str, str] = {}
    if not pack.copyright.is_file():
        return terms
    for stanza in re.split(r"\n\s*\n", pack.copyright.read_text("utf-8")):
        files = re.search(r"^Files:(.*(?:\n .*)*)", stanza, re.MULTILINE)
        licence = re.search(r"^License:\s*(\S+)", stanza, re.MULTILINE)
        if files and licence:
            terms.update(dict.fromkeys(files[1].split(), licence[1]))
    return terms


def _version(package: str) -> str:
    """The installed version of a Debian package, or ``unknown`` where dpkg is not."""
    try:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
