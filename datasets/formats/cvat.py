"""CVAT: the XML of "CVAT for images 1.1", with polygons and boxes and their attributes.

The words of a line are attributes of its shape: ``text``, ``canonical``, ``kind``, ``legible``, and what tells its
advert: ``group``, ``wall_id``, ``shop_id``, ``style``, ``part``, ``evasion``, ``payload_kind``. ``was`` is the text as it was
written: where a person changed the text, the canonical value and the kind no longer hold. ``LABELS`` sets the project up.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from ...contract import Quad, TagtraceError
from ..files import atomic_text, read_text
from .annotations import CLASS_NAMES, AnnotatedPhoto, Annotation, Complain, around, stop_at_first

_TEXTS = ("text", "canonical", "kind", "legible")
_MORE = ("group", "wall_id", "shop_id", "style", "part", "evasion", "payload_kind", "whole")
WAS = "was"
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""
LABELS = json.dumps(
    [
        {
            "name": name,
            "type": "polygon",
            "attributes": [
                {"name": key, "mutable": False, "input_type": "text", "default_value": "", "values": [""]}
                for key in (*_TEXTS, *_MORE, WAS)
            ],
        }
        for name in CLASS_NAMES
    ],
    indent=1,
)
"""The labels of a project or task, for "Raw" in CVAT's constructor of labels."""


@dataclass(slots=True)
class _Element:
    """One element of the XML, and the line that it begins on."""

    name: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list[_Element] = field(default_factory=list)

    def all(self, name: str) -> list[_Element]:
        return [child for child in self.children if child.name == name]


def write_cvat(path: Path | str, photos: Iterable[AnnotatedPhoto]) -> int:
    """Write annotated photos as CVAT XML for images, atomically; returns the number of shapes.

    Characters that XML cannot hold (control characters) become U+FFFD.
    """
    count = 0
    with atomic_text(Path(path)) as out:
        out.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        for number, photo in enumerate(photos):
            size = f'width="{photo.width}" height="{photo.height}"'
            out.write(f'  <image id="{number}" name={_attribute(photo.file)} {size}>\n')
            for a in photo.annotations:
                points = ";".join(f"{x:.3f},{y:.3f}" for x, y in a.quad)
                out.write(
                    f'    <polygon label={_attribute(a.label)} source="manual" occluded="0" points="{points}" z_order="0">\n'
                )
                for name, value in _words(a).items():
                    out.write(f"      <attribute name={_attribute(name)}>{_text(value)}</attribute>\n")
                out.write("    </polygon>\n")
                count += 1
            out.write("  </image>\n")
        out.write("</annotations>\n")
    return count


def _words(a: Annotation) -> dict[str, str]:
    words = {"text": a.text, "canonical": a.canonical, "kind": a.kind, "legible": "true" if a.legible else "false", WAS: a.text}
    for name in _MORE:
        value = a.more.get(name)
        if value not in (None, ""):
            words[name] = value if isinstance(value, str) else json.dumps(value)
    return words


def _allowed(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def _text(text: str) -> str:
    return escape(_allowed(text), {"\r": "&#13;"})


def _attribute(text: str) -> str:
    return quoteattr(_allowed(text), {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})


def read_cvat(path: Path | str, complain: Complain = stop_at_first) -> list[AnnotatedPhoto]:
    """The annotated photos of a CVAT file, in its order. Boxes may be turned; a polygon of more corners becomes the smallest
    rectangle around it.

    Raises TagtraceError with file and line of what is wrong; with another ``complain`` a wrong shape or picture is told to it
    and left out.
    """
    path = Path(path)
    root = _parse(path)
    if root.name != "annotations" or root.all("track"):
        raise TagtraceError(f"{path}: is no file of the form 'CVAT for images 1.1'; export the task in that form")
    found = []
    for image in root.all("image"):
        try:
            where = f"{path}:{image.line}"
            file = image.attributes.get("name") or ""
            if not file:
                raise TagtraceError(f"{where}: the image has no name")
            width, height = (_whole(image, name, where) for name in ("width", "height"))
            shapes = _shapes(image, path, complain)
            found.append(AnnotatedPhoto(file, width, height, tuple(shapes)))
        except TagtraceError as error:
            complain(error)
    return found


def _shapes(image: _Element, path: Path, complain: Complain) -> list[Annotation]:
    shapes = []
    for shape in image.children:
        if shape.name in ("tag", "attribute"):
            continue
        try:
            shapes.append(_annotation(shape, f"{path}:{shape.line}"))
        except TagtraceError as error:
            complain(error)
    return shapes


def _whole(element: _Element, name: str, where: str) -> int:
    value = element.attributes.get(name, "")
    if not value.isdecimal() or int(value) < 1:
        raise TagtraceError(f"{where}: {name} must be a whole number of pixels, found {value!r}")
    return int(value)


def _annotation(shape: _Element, where: str) -> Annotation:
    label = shape.attributes.get("label", "")
    if label not in CLASS_NAMES:
        raise TagtraceError(f"{where}: has the label {label!r}; known are {', '.join(CLASS_NAMES)}")
    words = {child.attributes.get("name", ""): child.text for child in shape.all("attribute")}
    text = words.get("text", "")
    same = words.get(WAS, text) == text
    more: dict[str, Any] = {}
    for name in _MORE:
        value = words.get(name, "")
        if value:
            more[name] = _number_or_list(value, where, name) if name in ("group", "part", "whole") else value
    canonical, kind = (words.get(name, "") if same else "" for name in ("canonical", "kind"))
    legible = words.get("legible", "true").strip().lower() not in ("false", "0", "no")
    return Annotation(label, _quad(shape, where), text, canonical, kind, legible, more)


def _number_or_list(value: str, where: str, name: str) -> object:
    try:
        return json.loads(value)
    except ValueError as bad:
        raise TagtraceError(f"{where}: attribute {name!r} cannot be read: {value!r}") from bad


def _quad(shape: _Element, where: str) -> Quad:
    try:
        if shape.name == "polygon":
            points = np.array([[float(v) for v in pair.split(",")] for pair in shape.attributes["points"].split(";") if pair])
        elif shape.name == "box":
            points = _box(shape.attributes)
        else:
            raise TagtraceError(f"{where}: is a {shape.name}; draw polygons or boxes")
        points = points.reshape(-1, 2)
    except (KeyError, ValueError) as bad:
        raise TagtraceError(f"{where}: the corners of the {shape.name} cannot be read ({bad})") from bad
    if len(points) < 3 or not np.isfinite(points).all():
        raise TagtraceError(f"{where}: the {shape.name} needs at least three corners of finite numbers")
    return around(points)


def _box(values: Mapping[str, str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Corners of a box, turned clockwise around its middle by ``rotation`` degrees."""
    x0, y0, x1, y1 = (float(values[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
    turn = math.radians(float(values.get("rotation") or 0.0))
    flat = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    middle = flat.mean(axis=0)
    spin = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return np.asarray((flat - middle) @ spin + middle, dtype=np.float64)


def _parse(path: Path) -> _Element:
    """The elements of an XML file with their lines; a file that declares entities is refused."""
    parser = expat.ParserCreate()
    top = _Element("", {}, 0)
    stack = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        element = _Element(name, attributes, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def declared(*_: object) -> None:
        raise TagtraceError(f"{path}:{parser.CurrentLineNumber}: declares a document type, which a file of CVAT never does")

    def words(text: str) -> None:
        stack[-1].text += text

    parser.StartElementHandler, parser.CharacterDataHandler = start, words
    parser.EndElementHandler = lambda _name: stack.pop()
    parser.StartDoctypeDeclHandler = declared
    parser.buffer_text = True
    try:
        parser.Parse(read_text(path).encode(), True)
    except expat.ExpatError as bad:
        raise TagtraceError(f"{path}:{bad.lineno}: is not XML: {expat.ErrorString(bad.code)}") from bad
    return top.children[0]
