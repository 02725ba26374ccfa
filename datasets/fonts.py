"""The fonts that synthetic adverts are written in: which there are, what they can write, and which suits a way of painting.

Fonts come from installed ``fontpkg-*`` packages (OFL-1.1 or Apache-2.0) and from any folder given. Each family belongs to
one split, so that a reader tested on ``test`` has never seen its letters. Families listed in ``FAMILIES`` have a fixed place;
others, from a folder, belong to the split that their folder is named after (train, val or test), and failing that get one by the
SHA-256 of their name, which is the same on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image, ImageDraw, ImageFont

from ..contract import TagtraceError

SPLITS: Final = ("train", "val", "test")
TRAIN_SHARE: Final = 0.75
VAL_SHARE: Final = 0.10
WEIGHTS: Final = (400, 600, 800)
"""Weights at which a variable font is used, where its axis reaches them."""
REGULAR: Final = 400
LIGHTEST: Final = 350
"""Static faces below this weight are too thin for a wall and are left out."""
_SUFFIXES: Final = (".ttf", ".otf")

FAMILIES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        package: (group, split)
        for group, split, packages in (
            ("stencil", "train", "black-ops-one"),
            ("hand", "train", "caveat dancing-script great-vibes indie-flower kalam permanent-marker satisfy"),
            ("hand", "train", "shadows-into-light zeyada"),
            ("hand", "val", "oleo-script pacifico"),
            ("hand", "test", "delius lobster lobster-two yellowtail"),
            ("display", "train", "archivo-black bebas-neue bungee chakra-petch comfortaa fredoka lilita-one luckiest-guy"),
            ("display", "train", "orbitron press-start-2p russo-one syne unbounded viga"),
            ("display", "val", "play share-tech titan-one"),
            ("display", "test", "anton changa-one exo-2 righteous rowdies"),
            ("sans", "train", "alegreya-sans geist geologica ibm-plex-sans inter jost kanit lato libre-franklin manrope"),
            ("sans", "train", "montserrat mulish noto-sans nunito open-sans poppins rajdhani roboto roboto-flex rubik"),
            ("sans", "train", "source-sans-3"),
            ("sans", "val", "pt-sans raleway varela-round"),
            ("sans", "test", "fira-sans onest overpass titillium-web"),
            ("condensed", "train", "alumni-sans barlow-condensed oswald pt-sans-narrow saira-condensed teko yanone-kaffeesatz"),
            ("condensed", "val", "roboto-condensed"),
            ("condensed", "test", "archivo-narrow fira-sans-condensed fjalla-one"),
            ("slab", "train", "alfa-slab-one arvo roboto-slab sanchez"),
            ("slab", "val", "zilla-slab"),
            ("slab", "test", "bitter"),
            ("serif", "train", "abril-fatface lora merriweather playfair-display pt-serif spectral vollkorn"),
            ("serif", "val", "ibm-plex-serif"),
            ("serif", "test", "noto-serif"),
            ("mono", "train", "fira-code jetbrains-mono roboto-mono source-code-pro space-mono"),
            ("mono", "val", "geist-mono"),
            ("mono", "test", "ibm-plex-mono"),
        )
        for package in packages.split()
    }
)
"""Package name without ``fontpkg-`` -> (group, split): what the ``train`` extra installs."""

_UNICASE: Final = frozenset({"permanent-marker"})
"""Families whose small letters are capitals in another hand, which a comparison of shapes does not tell."""
_GLYPH_PX: Final = 48
_SAME_SHAPE: Final = 0.9

_EXTRA_FACES: Final = MappingProxyType(
    {
        "geologica": (
            ("hand", (("wght", 500.0), ("CRSV", 1.0), ("slnt", -12.0))),
            ("hand", (("wght", 300.0), ("CRSV", 1.0), ("slnt", -12.0))),
        ),
        "roboto-flex": (
            ("condensed", (("wght", 600.0), ("wdth", 30.0))),
            ("display", (("wght", 900.0), ("wdth", 151.0))),
            ("sans", (("wght", 500.0), ("slnt", -10.0))),
        ),
        "unbounded": (("display", (("wght", 300.0),)),),
    }
)
"""Further points of variable fonts that look like another face: upright cursive, very narrow, very wide."""

_GROUP_WORDS: Final = (
    ("stencil", "stencil army wallpoet keania"),
    ("hand", "hand script marker brush caveat neucha marck comic pangolin chalk paint graffiti kalam shantell"),
    ("mono", "mono code typewriter courier"),
    ("condensed", "condensed narrow compressed"),
    ("slab", "slab"),
    ("serif", "serif roman times garamond playfair"),
    ("display", "display one black gothic pixel decor bungee"),
)

STYLE_WEIGHTS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "stencil": {"stencil": 3, "display": 3, "sans": 3, "condensed": 3, "slab": 1.2, "mono": 0.7, "serif": 0.4, "hand": 0.1},
        "spray": {"hand": 5, "display": 1.6, "sans": 1.6, "condensed": 0.6, "mono": 0.3, "slab": 0.2, "serif": 0.1},
        "marker": {"hand": 6, "sans": 1.2, "display": 1, "condensed": 0.4, "mono": 0.3, "serif": 0.1, "slab": 0.1},
        "stamp": {"sans": 3, "condensed": 2, "slab": 1.5, "mono": 1.2, "display": 1.2, "serif": 1, "stencil": 0.3, "hand": 0.3},
        "sticker": {"sans": 4, "display": 2, "condensed": 1.5, "slab": 0.8, "mono": 0.7, "serif": 0.7, "hand": 0.6},
        "poster": {"sans": 4, "condensed": 1.8, "display": 1.5, "serif": 1, "slab": 0.8, "mono": 0.5, "hand": 0.6},
        "tag": {"hand": 6, "display": 2, "stencil": 0.2},
        "plate": {"sans": 2, "condensed": 2, "mono": 0.6},
        "": {"sans": 2.5, "display": 2, "hand": 2.2, "condensed": 1.5, "slab": 0.8, "serif": 0.8, "mono": 0.8, "stencil": 0.3},
    }
)
"""How much each group suits a way of painting; the key "" holds for every style that is not listed."""


@dataclass(frozen=True, slots=True)
class Font:
    """One face: a font file, and for a variable font the point at which it is used.

    ``name`` is unique in a catalogue; ``group`` is stencil, hand, display, sans, serif, mono, condensed or slab; ``family`` is
    the name that decides the split; ``axes`` are (tag, value) pairs, empty for a static font.
    """

    path: str
    name: str
    group: str
    family: str
    axes: tuple[tuple[str, float], ...] = ()

    @property
    def weight(self) -> int | None:
        """The weight at which a variable font is used; None for a static one."""
        return next((round(value) for tag, value in self.axes if tag == "wght"), None)


def split_of(family: str) -> str:
    """The split of a family: its fixed place, or by the SHA-256 of its name."""
    if family in FAMILIES:
        return FAMILIES[family][1]
    place = int.from_bytes(sha256(family.encode()).digest()[:4], "big") / 2**32
    if place < TRAIN_SHARE:
        return "train"
    return "val" if place < TRAIN_SHARE + VAL_SHARE else "test"


def group_of(family: str) -> str:
    """The group of a family: known, or guessed from its name (``sans`` when the name tells nothing)."""
    if family in FAMILIES:
        return FAMILIES[family][0]
    return next((group for group, words in _GROUP_WORDS if any(word in family for word in words.split())), "sans")


def packages() -> tuple[str, ...]:
    """The packages that ``FAMILIES`` names, as a package manager wants them."""
    return tuple(f"fontpkg-{family}" for family in sorted(FAMILIES))


def catalogue(split: str, extra_dirs: Sequence[Path] = ()) -> tuple[Font, ...]:
    """The fonts of one split (train, val or test), from installed packages and from folders, sorted by name.

    Raises ``TagtraceError`` for an unknown split, for a folder that is not there, and when no font is found: the message names
    the packages to install.
    """
    if split not in SPLITS:
        raise TagtraceError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    for folder in extra_dirs:
        if not folder.is_dir():
            raise TagtraceError(f"{folder}: there is no such folder of fonts; give a folder with .ttf or .otf files")
    files = [*_installed(), *((_family_of(path.stem), path) for folder in extra_dirs for path in sorted(folder.rglob("*")))]
    faces: dict[str, Font] = {}
    for family, path in files:
        named = path.parent.name if path.parent.name in SPLITS else ""
        if path.suffix.lower() in _SUFFIXES and (named or split_of(family)) == split:
            for font in _faces(family, str(path)):
                faces.setdefault(font.name, font)
    if not faces:
        raise TagtraceError(
            f"no font for the split {split!r} is installed: install the extra `train`, or at least "
            f"`pip install {' '.join(p for p in packages() if split_of(p.removeprefix('fontpkg-')) == split)}`"
        )
    return tuple(faces[name] for name in sorted(faces))


def _installed() -> list[tuple[str, Path]]:
    """Every font file of the installed packages that ``FAMILIES`` names, with its family."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for distribution in distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        family = name.removeprefix("fontpkg-")
        if name.startswith("fontpkg-") and family in FAMILIES and family not in found:
            found[family] = [(family, Path(str(distribution.locate_file(file)))) for file in distribution.files or ()]
    return [pair for family in sorted(found) for pair in found[family]]


def _family_of(stem: str) -> str:
    """``PTSans-BoldItalic`` and ``PTSans[wght]`` -> ``ptsans``: the files of one family share it."""
    return re.sub(r"[^a-z0-9]+", "-", re.split(r"[-\[]", stem)[0].lower()).strip("-")


@lru_cache(maxsize=4096)
def _faces(family: str, path: str) -> tuple[Font, ...]:
    """The faces that one file gives: one for a static font, one per weight for a variable one; none for one that is too thin."""
    stem, group = Path(path).stem.split("[")[0], group_of(family)
    weight_class, axes = _shape(path)
    if "wght" not in axes:
        return () if weight_class < LIGHTEST else (Font(path, stem, group, family),)
    _, low, _, high = axes["wght"]
    weights = [weight for weight in WEIGHTS if low <= weight <= high]
    faces = [Font(path, f"{stem}@{weight}", group, family, (("wght", float(weight)),)) for weight in weights]
    for number, (other, point) in enumerate(() if "Italic" in stem else _EXTRA_FACES.get(family, ())):
        faces.append(Font(path, f"{stem}@{other}{number}", other, family, point))
    return tuple(faces)


@lru_cache(maxsize=4096)
def _shape(path: str) -> tuple[int, Mapping[str, tuple[int, float, float, float]]]:
    """The weight class of a font, and its axes: tag -> (index in the font, lowest, default, highest value)."""
    with _opened(path) as font:
        weight_class = int(font["OS/2"].usWeightClass) if "OS/2" in font else REGULAR
        axes = font["fvar"].axes if "fvar" in font else ()
        return weight_class, MappingProxyType(
            {axis.axisTag: (i, axis.minValue, axis.defaultValue, axis.maxValue) for i, axis in enumerate(axes)}
        )


def _opened(path: str) -> TTFont:
    try:
        return TTFont(path, lazy=True, fontNumber=0)
    except (OSError, TTLibError) as error:
        raise TagtraceError(f"{path}: cannot be read as a font ({error}); remove it from the folder of fonts") from error


@lru_cache(maxsize=4096)
def characters(path: str) -> frozenset[str]:
    """Every character that a font file has a glyph for."""
    with _opened(path) as font:
        return frozenset(map(chr, font.getBestCmap() or {}))


def covers(font: Font, text: str) -> bool:
    """Whether the font has a glyph for every character of the text."""
    return characters(font.path).issuperset(text)


@lru_cache(maxsize=1024)
def is_unicase(font: Font) -> bool:
    """Whether the small letters of a face look like its capitals, so that a picture cannot show which were meant."""
    if font.family in _UNICASE:
        return True
    shares = [_overlap(font, small, small.upper()) for small in "abdefghjmnqrty" if covers(font, small + small.upper())]
    return bool(shares) and float(np.median(shares)) >= _SAME_SHAPE


def as_shown(font: Font, text: str) -> str:
    """The text as a reader sees it in this face: in capitals where the face has no others."""
    return text.upper() if is_unicase(font) else text


def _overlap(font: Font, *chars: str) -> float:
    """Intersection over union of the ink of two characters set at the same place."""
    ink = []
    for char in chars:
        picture = Image.new("L", (_GLYPH_PX * 2, _GLYPH_PX * 2))
        ImageDraw.Draw(picture).text(
            (_GLYPH_PX // 2, _GLYPH_PX * 3 // 2), char, fill=255, font=load(font, _GLYPH_PX), anchor="ls"
        )
        ink.append(np.asarray(picture) > 127)
    return float(np.logical_and(*ink).sum() / max(np.logical_or(*ink).sum(), 1))


def pick(rng: np.random.Generator, fonts: Sequence[Font], text: str, style: str = "") -> Font:
    """A font that can write the text: first a group as it suits the style, then a family of it, then a face.

    A family with many faces is therefore no likelier than one with a single face. Raises ``TagtraceError`` when no font covers
    the text.
    """
    weights = STYLE_WEIGHTS.get(style, STYLE_WEIGHTS[""])
    wanted = frozenset(text)
    groups: dict[str, dict[str, list[Font]]] = {}
    for font in fonts:
        if wanted <= characters(font.path):
            groups.setdefault(font.group, {}).setdefault(font.family, []).append(font)
    if not groups:
        everything = frozenset().union(*(characters(font.path) for font in fonts)) if fonts else frozenset()
        missing = "".join(sorted(wanted - everything)) or "all of its characters together"
        raise TagtraceError(f"no font can write {text!r} (missing: {missing}): add a folder of fonts that can")
    # A group with one or two families counts for less, so that they are not seen all the time; one that the style does not
    # list stays possible when nothing else covers the text.
    shares = np.array([(weights.get(group, 0.0) + 1e-6) * len(found) / (len(found) + 2) for group, found in groups.items()])
    families = list(groups.values())[int(rng.choice(len(shares), p=shares / shares.sum()))]
    faces = list(families.values())[int(rng.integers(len(families)))]
    return faces[int(rng.integers(len(faces)))]


@lru_cache(maxsize=256)
def load(font: Font, size: int) -> ImageFont.FreeTypeFont:
    """The face ready to draw at ``size`` pixels per em, its axes set. Cached per process: draw with it, don't change it."""
    loaded = ImageFont.truetype(font.path, size)
    if font.axes:
        chosen = dict(font.axes)
        axes = sorted(_shape(font.path)[1].items(), key=lambda item: item[1][0])
        loaded.set_variation_by_axes([min(max(chosen.get(tag, default), low), high) for tag, (_, low, default, high) in axes])
    return loaded
