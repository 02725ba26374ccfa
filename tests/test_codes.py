"""Real QR codes, made with segno and brought into pictures as a phone would see them."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import segno
import zxingcpp
from PIL import Image as PillowImage

from tagtrace.contract import CodeReader, Image, Quad, Region, RegionKind, TagtraceError
from tagtrace.models.codes import CodeSettings, ZxingReader
from tagtrace.models.geometry import around, iou, quad_of, rectangle

LINK = "https://t.me/qala_test_shop?start=wall 7"


def draw_code(payload: str, module_px: int = 8, *, micro: bool = False) -> Image:
    buffer = io.BytesIO()
    segno.make(payload, error="m", micro=micro).save(buffer, kind="png", scale=module_px, border=4)
    return np.asarray(PillowImage.open(buffer).convert("RGB"))


def put(scene: Image, picture: Image, corners: list[tuple[float, float]], border_modules: float = 0.0) -> tuple[Image, Quad]:
    """The picture with its corners at the given places; returns the scene and the quad."""
    h, w = picture.shape[:2]
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32) - 0.5
    transform = cv2.getPerspectiveTransform(source, np.asarray(corners, np.float32) - 0.5)
    shape = (scene.shape[1], scene.shape[0])
    drawn = cv2.warpPerspective(picture, transform, shape, flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.full((h, w), 255, np.uint8), transform, shape)[..., None] > 127
    return np.where(mask, drawn, scene), quad_of(corners)


def wall(height: int = 900, width: int = 1200, seed: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(70, 190, (30, 40, 3)).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse.astype(np.int16) + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)


def seen_by(quad: Quad) -> Region:
    """What the detector gives: a rotated rectangle around the code, not its true corners."""
    return Region(RegionKind.CODE, around([quad]), 0.9)


def test_it_is_a_code_reader() -> None:
    assert isinstance(ZxingReader(), CodeReader)


def test_a_code_is_read_verbatim_where_it_is() -> None:
    scene, _ = put(wall(), draw_code(LINK), [(300, 200), (600, 200), (600, 500), (300, 500)])
    (code,) = ZxingReader().decode(scene)
    assert (code.payload, code.format) == (LINK, "QRCode")
    # The quad goes around the modules; the picture has a quiet zone of 4 modules on each side.
    modules = segno.make(LINK, error="m").symbol_size(border=0)[0]
    border = 300 * 4 / (modules + 8)
    assert iou(code.quad, rectangle(300 + border, 200 + border, 600 - border, 500 - border)) > 0.9


def test_cyrillic_and_line_breaks_come_through() -> None:
    payload = "MATMSG:TO:x@example.org;\nКөк дүкен, закладки"
    scene, _ = put(wall(), draw_code(payload), [(300, 200), (700, 200), (700, 600), (300, 600)])
    assert [code.payload for code in ZxingReader().decode(scene)] == [payload]


def test_one_code_found_twice_is_one_and_two_stickers_are_two() -> None:
    picture = draw_code(LINK)
    scene, first = put(wall(), picture, [(100, 200), (400, 200), (400, 500), (100, 500)])
    scene, second = put(scene, picture, [(700, 250), (1000, 260), (990, 560), (690, 550)])
    codes = ZxingReader().decode(scene, [seen_by(first), seen_by(second), seen_by(first)])
    assert [code.payload for code in codes] == [LINK, LINK]
    assert iou(codes[0].quad, codes[1].quad) == 0
    only_regions = ZxingReader(CodeSettings(whole_photo=False)).decode(scene, [seen_by(first), seen_by(first), seen_by(second)])
    assert len(only_regions) == 2


def test_a_small_noisy_code_is_read_in_its_region_only() -> None:
    rng = np.random.default_rng(3)
    scene, quad = put(wall(1500, 2000), draw_code(LINK), [(900, 700), (972, 705), (968, 777), (897, 772)])
    scene = cv2.GaussianBlur(scene, (0, 0), 1.0)
    scene = np.clip(scene.astype(np.int16) + rng.normal(0, 10, scene.shape), 0, 255).astype(np.uint8)
    assert ZxingReader(CodeSettings(try_harder=False)).decode(scene) == []
    (code,) = ZxingReader().decode(scene, [seen_by(quad)])
    assert code.payload == LINK
    assert iou(code.quad, quad) > 0.4


def test_a_light_code_on_dark_is_read_in_its_region_or_by_trying_harder() -> None:
    scene, quad = put(wall(), 255 - draw_code(LINK), [(300, 200), (600, 200), (600, 500), (300, 500)])
    quick = ZxingReader(CodeSettings(try_harder=False))
    assert quick.decode(scene) == []
    for codes in (ZxingReader().decode(scene), quick.decode(scene, [seen_by(quad)])):
        assert [code.payload for code in codes] == [LINK]


@pytest.mark.parametrize(
    "corners",
    [
        [(400, 250), (640, 330), (630, 640), (390, 700)],  # from the right
        [(500, 200), (760, 380), (580, 640), (320, 460)],  # turned by 35 degrees
        [(700, 600), (420, 620), (400, 330), (690, 350)],  # upside down
        [(300, 300), (800, 330), (700, 560), (380, 540)],  # from below
    ],
)
def test_codes_photographed_at_an_angle_are_read(corners: list[tuple[float, float]]) -> None:
    scene, quad = put(wall(), draw_code(LINK), corners)
    scene = cv2.GaussianBlur(scene, (0, 0), 1.0)
    codes = ZxingReader(CodeSettings(whole_photo=False)).decode(scene, [seen_by(quad)])
    assert [code.payload for code in codes] == [LINK]
    assert iou(codes[0].quad, quad) > 0.5


def test_light_on_dark_and_faint_codes_are_read() -> None:
    picture = draw_code(LINK)
    for rendered in (255 - picture, (picture // 10 + 100).astype(np.uint8)):
        scene, quad = put(
            np.full((700, 900, 3), int(rendered[0, 0, 0]), np.uint8), rendered, [(300, 200), (600, 200), (600, 500), (300, 500)]
        )
        assert [code.payload for code in ZxingReader().decode(scene, [seen_by(quad)])] == [LINK]


def test_a_code_over_the_border_and_a_wall_without_one_give_nothing() -> None:
    scene, quad = put(wall(), draw_code(LINK), [(-150, 300), (150, 300), (150, 600), (-150, 600)])
    assert ZxingReader().decode(scene, [seen_by(quad)]) == []
    lines = [Region(RegionKind.LINE, rectangle(100, 100, 400, 160), 0.9)]
    assert ZxingReader().decode(wall(seed=5), [*lines, Region(RegionKind.CODE, rectangle(500, 300, 700, 500), 0.4)]) == []


def test_line_regions_are_not_searched() -> None:
    scene, quad = put(wall(), draw_code(LINK), [(300, 200), (600, 200), (600, 500), (300, 500)])
    assert ZxingReader(CodeSettings(whole_photo=False)).decode(scene, [Region(RegionKind.LINE, quad, 0.9)]) == []


def test_tiny_pictures_do_no_harm_and_unknown_formats_are_refused() -> None:
    assert ZxingReader().decode(np.zeros((1, 1, 3), np.uint8)) == []
    with pytest.raises(TagtraceError, match="NoSuchCode"):
        ZxingReader(CodeSettings(formats=("QRCode", "NoSuchCode")))


def test_other_symbologies_are_read_in_regions() -> None:
    barcode = zxingcpp.create_barcode("KZ-0042", zxingcpp.BarcodeFormat.DataMatrix)
    modules = np.asarray(barcode.to_image(scale=8))
    framed = np.pad(modules, 32, constant_values=255)
    scene, quad = put(wall(), np.repeat(framed[..., None], 3, axis=2), [(300, 200), (500, 210), (495, 410), (295, 400)])
    (code,) = ZxingReader().decode(scene, [seen_by(quad)])
    assert (code.payload, code.format) == ("KZ-0042", "DataMatrix")
