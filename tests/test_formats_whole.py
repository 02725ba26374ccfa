"""Label Studio, CVAT and COCO hold a truth as far as they can; what people change comes back; bad entries are named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from tagtrace.contract import Quad, TagtraceError
from tagtrace.datasets.formats.convert import FILES, Format, find_set, read_set, write_set
from tagtrace.datasets.formats.cvat import read_cvat
from tagtrace.datasets.formats.labelstudio import read_label_studio
from tagtrace.datasets.formats.whole import losses, to_annotations, to_truth
from tagtrace.datasets.truth import AdvertTruth, DistractorTruth, LineTruth, PhotoTruth, read_truth

UPRIGHT: Quad = ((10, 10), (110, 10), (110, 30), (10, 30))
CVAT_LOSES = {
    "advert.quad",
    "other.quad",
    "line.contrast",
    "line.height_px",
    "photo.lat",
    "photo.material",
}

WHOLE: Quad = ((0, 0), (200, 0), (200, 100), (0, 100))
words = st.text('aZ0ЖҰ"\\\n\r\t<&>\u2028😀 ', max_size=6)
names = st.text("aW1-", min_size=1, max_size=4)


@st.composite
def quads(draw: st.DrawFn) -> Quad:
    """Convex and clockwise, with an area that rounding leaves."""
    x, y = draw(st.integers(0, 100)), draw(st.integers(0, 50))
    w, h = draw(st.integers(8, 90)), draw(st.integers(4, 40))
    return ((x, y), (x + w, y + 1), (x + w - 1, y + h), (x + 1, y + h - 1))


@st.composite
def lines(draw: st.DrawFn) -> LineTruth:
    kind = draw(st.sampled_from(["word", "telegram", "url", "qr"]))
    text = draw(words.filter(bool))
    extra: dict[str, Any] = draw(st.sampled_from([{}, {"payload_kind": "telegram"}])) if kind == "qr" else {}
    return LineTruth(
        text=text,
        canonical=draw(st.one_of(st.just(text), names)),
        kind=kind,
        quad=draw(quads()),
        legible=draw(st.booleans()),
        height_px=draw(st.integers(4, 40)),
        part=draw(st.sampled_from([(1, 1), (2, 3)])),
        evasion=draw(st.sampled_from(["", "upper"])),
        contrast=draw(st.one_of(st.none(), st.just(12.5))),
        extra=extra,
    )


@st.composite
def photos(draw: st.DrawFn) -> PhotoTruth:
    ads = draw(
        st.lists(
            st.builds(
                AdvertTruth,
                wall_id=names,
                shop_id=names,
                style=st.sampled_from(["", "stencil"]),
                quad=st.just(WHOLE),
                lines=st.lists(lines(), min_size=1, max_size=3).map(tuple),
            ),
            max_size=3,
        )
    )
    signs = st.builds(
        DistractorTruth,
        text=words.filter(bool),
        quad=quads(),
        kind=st.sampled_from(["sign", "plate"]),
    )
    return PhotoTruth(
        file="a.png",
        width=200,
        height=100,
        ads=tuple(ads),
        distractors=tuple(draw(st.lists(signs, max_size=2))),
        negative=not ads,
        lat=draw(st.sampled_from([None, 51.5])),
        material=draw(st.sampled_from(["", "brick"])),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    PilImage.new("RGB", (200, 100), "grey").save(root / "a.png")
    return root


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(photos())
def test_annotations_hold_all_of_a_truth(photo: PhotoTruth) -> None:
    assert losses([photo], [to_truth(to_annotations(photo))]) == {}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([Format.TRUTH, Format.COCO, Format.LABEL_STUDIO]), photos())
def test_these_formats_hold_all_of_a_truth(folder: Path, form: Format, photo: PhotoTruth) -> None:
    written = write_set([photo], form, folder / form, folder)
    assert written.lost == {}
    assert find_set(folder / form) == (form, folder / form / FILES[form])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(photos())
def test_cvat_holds_words_adverts_and_shapes(folder: Path, photo: PhotoTruth) -> None:
    assert set(write_set([photo], Format.CVAT, folder / "cvat", folder).lost) <= CVAT_LOSES


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(photos())
def test_yolo_says_that_it_holds_no_words(folder: Path, photo: PhotoTruth) -> None:
    written = write_set([photo], Format.YOLO, folder / "yolo", folder)
    legible = [line for ad in photo.ads for line in ad.lines if line.legible]
    (again,) = read_set(folder / "yolo")
    assert sum(len(ad.lines) for ad in again.ads) >= len(legible)
    if len(photo.ads) == len(again.ads) and legible:
        assert written.lost["line.text"]


def test_the_sample_goes_through_every_format_that_holds_it(root: Path, tmp_path: Path) -> None:
    truth = read_truth(root / "datasets/sample")
    for form in (Format.COCO, Format.LABEL_STUDIO):
        assert write_set(truth, form, tmp_path / form).lost == {}
    lost = write_set(truth, Format.CVAT, tmp_path / "cvat").lost
    assert lost["photo.lat"] == 48 and "line.text" not in lost and "advert.wall_id" not in lost


# --- what people do in the tools ------------------------------------------------------------------


def truth(**changes: object) -> PhotoTruth:
    line = LineTruth(text="@snow", canonical="snow", kind="telegram", quad=UPRIGHT, legible=True, height_px=20.0)
    advert = AdvertTruth(wall_id="W", shop_id="S", style="spray", quad=UPRIGHT, lines=(line,))
    return replace(PhotoTruth(file="a.png", width=200, height=100, ads=(advert,)), **changes)  # type: ignore[arg-type]


def test_a_text_changed_in_label_studio_loses_its_old_meaning(tmp_path: Path) -> None:
    write_set([truth()], Format.LABEL_STUDIO, tmp_path)
    path = tmp_path / FILES[Format.LABEL_STUDIO]
    tasks = json.loads(path.read_text())
    for part in tasks[0]["annotations"][0]["result"]:
        if part["type"] == "textarea":
            part["value"]["text"] = ["@show"]
    path.write_text(json.dumps(tasks))
    (advert,) = read_set(path)[0].ads
    assert (advert.wall_id, advert.lines[0].text, advert.lines[0].kind) == ("W", "@show", "word")


def test_a_text_changed_in_cvat_loses_its_old_meaning(tmp_path: Path) -> None:
    write_set([truth()], Format.CVAT, tmp_path)
    path = tmp_path / FILES[Format.CVAT]
    path.write_text(path.read_text().replace('"text">@snow', '"text">@show'))
    (advert,) = read_set(path)[0].ads
    assert (advert.shop_id, advert.lines[0].text, advert.lines[0].canonical) == ("S", "@show", "@show")


def test_label_studio_templates_with_labelled_rectangles_are_read(tmp_path: Path) -> None:
    frame = {"to_name": "image", "original_width": 200, "original_height": 100, "image_rotation": 0}
    box = {"x": 5.0, "y": 10.0, "width": 50.0, "height": 20.0, "rotation": 90.0}
    result = [
        {**frame, "id": "x1", "type": "rectanglelabels", "from_name": "label", "value": {**box, "rectanglelabels": ["Text"]}},
        {**frame, "id": "x1", "type": "textarea", "from_name": "transcription", "value": {**box, "text": ["ДОСТАВКА", "24/7"]}},
        {**frame, "id": "x2", "type": "rectanglelabels", "from_name": "label", "value": {**box, "rectanglelabels": ["QR"]}},
    ]
    old = {"result": result[:1], "updated_at": "2026-01-01T00:00:00Z"}
    cancelled = {"result": [], "was_cancelled": True, "updated_at": "2026-03-01T00:00:00Z"}
    tasks = [
        {"id": 7, "data": {"image": "/data/upload/1/0a1b2c3d-b.jpg"}, "annotations": [old, {"result": result}, cancelled]},
        {"id": 8, "data": {"ocr": "/data/local-files/?d=photos/c.jpg"}, "annotations": []},
    ]
    tasks[0]["annotations"][1]["updated_at"] = "2026-02-01T00:00:00Z"  # type: ignore[index]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    (photo,) = read_label_studio(path)
    assert (photo.file, [a.label for a in photo.annotations]) == ("b.jpg", ["line", "code"])
    assert photo.annotations[0].text == "ДОСТАВКА 24/7"
    # Turned clockwise around its top-left corner: what ran right runs down.
    expected = ((10, 10), (10, 110), (-10, 110), (-10, 10))
    assert photo.annotations[0].quad == tuple(pytest.approx(corner) for corner in expected)


def test_cvat_boxes_turn_around_their_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        '<annotations><version>1.1</version><image id="0" name="a.png" width="200" height="100">'
        '<box label="line" xtl="10" ytl="10" xbr="50" ybr="30" rotation="90.0"><attribute name="text">А1</attribute></box>'
        '<polygon label="other" points="0,0;40,0;80,0;80,10;0,10"/></image></annotations>'
    )
    (photo,) = read_cvat(path)
    turned, around = photo.annotations
    assert turned.quad == tuple(pytest.approx(c) for c in ((40, 0), (40, 40), (20, 40), (20, 0)))
    assert around.quad == tuple(pytest.approx(c, abs=1e-3) for c in ((0, 0), (80, 0), (80, 10), (0, 10)))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.xml",
            "<annotations>\n<image id='0' name='a' width='x' height='1'>\n</image></annotations>",
            r"a\.xml:2: width must be",
        ),
        ("a.xml", "<annotations>\n<image", r"a\.xml:2: is not XML"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY b "c">]>\n<annotations/>', r"a\.xml:1: declares a document type"),
        ("a.xml", "<annotations><track id='0'/></annotations>", "CVAT for images"),
        ("a.json", '[{"id": 1, "ocr": "x"}]', "not JSON-MIN"),
        ("a.json", '[{"data": {"ocr": "x.jpg"},\n "annotations": ]', r"a\.json:2: is not JSON"),
        ("a.txt", "hello", "none of truth, yolo"),
    ],
)
def test_files_that_are_wrong_are_named_with_the_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TagtraceError, match=message):
        read_set(tmp_path / name)


def test_reading_may_go_on_after_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        '<annotations>\n<image id="0" name="a.png" width="200" height="100">\n'
        '<polygon label="line" points="0,0;1"/>\n<polygon label="line" points="0,0;9,0;9,9;0,9"/>\n'
        '<cuboid label="line"/>\n</image>\n<image id="1" name="" width="1" height="1"/></annotations>'
    )
    told: list[TagtraceError] = []
    (photo,) = read_set(path, complain=told.append)
    assert len(photo.ads) == 1
    assert [str(error).split(": ")[0].rpartition(":")[2] for error in told] == ["3", "5", "7"]
