"""Decoding: every mode and orientation, position and time, and everything that can be wrong with a file."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import threading
import warnings
import zlib
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, ImageFile
from PIL import Image as PilImage

from tagtrace.contract import Failure, FailureCode, Photo
from tagtrace.inference.decode import DecodeSettings, Inspected, decode, looks_like_picture, weigh


def corners(width: int = 64, height: int = 48) -> np.ndarray:
    """A picture whose corner blocks are red, green, blue and white, clockwise from the top left, on grey."""
    pixels = np.full((height, width, 3), 90, np.uint8)
    pixels[:16, :16] = (255, 0, 0)
    pixels[:16, -16:] = (0, 255, 0)
    pixels[-16:, -16:] = (0, 0, 255)
    pixels[-16:, :16] = (255, 255, 255)
    return pixels


def noisy(width: int = 96, height: int = 80) -> PilImage.Image:
    return PilImage.fromarray(np.random.default_rng(5).integers(0, 255, (height, width, 3), dtype=np.uint8))


def encode(picture: PilImage.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(data: bytes, **options: object) -> Photo:
    result = decode(data, "a.jpg", DecodeSettings(**options))
    assert isinstance(result, Photo), result
    return result


def failure(data: bytes, **options: object) -> FailureCode:
    result = decode(data, "bad.jpg", DecodeSettings(**options))
    assert isinstance(result, Failure), result
    assert "bad.jpg" in result.message
    return result.code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_formats_give_the_same_picture_and_the_digest_of_the_bytes(kind: str) -> None:
    data = encode(PilImage.fromarray(corners()), kind)
    result = photo(data)
    assert looks_like_picture(data[:32])
    assert result.sha256 == hashlib.sha256(data).hexdigest()
    assert result.pixels.shape == (48, 64, 3) and result.pixels.dtype == np.uint8
    assert result.pixels.flags.c_contiguous and result.pixels.flags.writeable
    assert np.abs(result.pixels[4:12, 4:12].astype(int) - (255, 0, 0)).max() < 20


def test_heic_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    data = encode(PilImage.fromarray(corners()), "HEIF", quality=95)
    assert photo(data).width == 64
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    result = decode(data, "a.heic")
    assert isinstance(result, Failure) and result.code is FailureCode.UNSUPPORTED
    assert "tagtrace[heif]" in result.message


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(orientation: int) -> None:
    undo = {
        2: [PilImage.Transpose.FLIP_LEFT_RIGHT],
        3: [PilImage.Transpose.ROTATE_180],
        4: [PilImage.Transpose.FLIP_TOP_BOTTOM],
        5: [PilImage.Transpose.TRANSPOSE],
        6: [PilImage.Transpose.ROTATE_90],
        7: [PilImage.Transpose.TRANSVERSE],
        8: [PilImage.Transpose.ROTATE_270],
    }
    stored = PilImage.fromarray(corners())
    for step in undo.get(orientation, []):
        stored = stored.transpose(step)
    exif = PilImage.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    assert np.array_equal(photo(encode(stored, "PNG", exif=exif)).pixels, corners())


def test_transparency_lies_over_white() -> None:
    layer = np.zeros((20, 20, 4), np.uint8)
    layer[:, 10:] = (200, 0, 0, 255)
    pixels = photo(encode(PilImage.fromarray(layer), "PNG")).pixels
    assert (pixels[:, :10] == 255).all() and (pixels[:, 10:] == (200, 0, 0)).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_colour_modes_keep_dark_dark_and_light_light(mode: str) -> None:
    grey = np.zeros((40, 40), np.uint8)
    grey[:, 20:] = 255
    if mode == "I;16":
        data = encode(PilImage.fromarray(grey.astype(np.uint16) * 257), "PNG")
    elif mode == "F":
        data = encode(PilImage.fromarray(grey.astype(np.float32) / 255), "TIFF")
    else:
        data = encode(PilImage.fromarray(grey).convert("RGB").convert(mode), "TIFF" if mode == "CMYK" else "PNG")
    pixels = photo(data).pixels
    assert pixels[:, :18].max() <= 2 and pixels[:, 22:].min() >= 253


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (32, 1))
    pixels = photo(encode(PilImage.fromarray(ramp), "TIFF")).pixels
    assert abs(int(pixels[0, 32, 0]) - 130) <= 2
    assert (np.diff(pixels[0, :, 0].astype(int)) > 0).all()


def test_float_pictures_with_holes_do_not_break() -> None:
    values = np.full((20, 20), 0.5, np.float32)
    values[0, 0], values[0, 1] = np.nan, np.inf
    assert abs(int(photo(encode(PilImage.fromarray(values), "TIFF")).pixels[10, 10, 0]) - 128) <= 1


def test_animated_pictures_give_their_first_frame() -> None:
    red, blue = (PilImage.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    for kind in ("GIF", "WEBP"):
        pixels = photo(encode(red, kind, save_all=True, append_images=[blue], duration=100)).pixels
        assert pixels[16, 16, 0] > 240 and pixels[16, 16, 2] < 20


def gps_jpeg(offset: str | None = None, lat: tuple[float, float, float] = (43.0, 15.0, 36.0), ref: str = "N") -> bytes:
    exif = PilImage.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {ExifTags.GPS.GPSLatitudeRef: ref, ExifTags.GPS.GPSLatitude: lat}
        | {ExifTags.GPS.GPSLongitudeRef: "E", ExifTags.GPS.GPSLongitude: (76.0, 55.8, 0.0)}
    )
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:07:21 03:39:23"
    if offset is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.OffsetTimeOriginal] = offset
    return encode(PilImage.fromarray(corners()), "JPEG", exif=exif)


def test_position_and_time() -> None:
    result = photo(gps_jpeg())
    assert (result.lat, result.lon) == (pytest.approx(43.26), pytest.approx(76.93))
    assert result.taken_at == datetime(2026, 7, 20, 22, 39, 23, tzinfo=UTC)
    assert photo(gps_jpeg("+03:00")).taken_at == datetime(2026, 7, 21, 0, 39, 23, tzinfo=UTC)
    assert photo(gps_jpeg(), local_utc_offset_hours=6.0).taken_at == datetime(2026, 7, 20, 21, 39, 23, tzinfo=UTC)
    assert photo(gps_jpeg(ref="S")).lat == pytest.approx(-43.26)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_position_in_every_format(kind: str) -> None:
    exif = PilImage.Exif()
    exif[ExifTags.Base.Orientation] = 1
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (43.25, 0.0, 0.0), 3: "E", 4: (76.9, 0.0, 0.0)})
    # Pillow's writers find the directory by this entry, or leave it out.
    exif[ExifTags.IFD.GPSInfo] = exif.get_ifd(ExifTags.IFD.GPSInfo)
    result = photo(encode(PilImage.fromarray(corners()), kind, exif=exif))
    assert (result.lat, result.lon) == (pytest.approx(43.25), pytest.approx(76.9))


def test_impossible_position_is_no_position() -> None:
    assert photo(gps_jpeg(lat=(143.0, 0.0, 0.0))).lat is None
    assert photo(encode(PilImage.fromarray(corners()), "JPEG")).taken_at is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_file_is_one_also_where_ultralytics_changed_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    def looks_for_a_library(*args: object, **options: object) -> PilImage.Image:
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr(PilImage, "open", looks_for_a_library)
    found = decode(b"\x89PNG\r\n\x1a\nbroken" * 5, "a.png", DecodeSettings())
    assert isinstance(found, Failure) and found.code is FailureCode.TRUNCATED


def test_broken_exif_does_not_lose_the_picture() -> None:
    data = encode(PilImage.fromarray(corners()), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff garbage")
    assert photo(data).width == 64


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", FailureCode.EMPTY),
        (b"just a text that somebody named photo.jpg", FailureCode.NOT_A_PICTURE),
        (b"\x00" * 500, FailureCode.NOT_A_PICTURE),
        (b"BM says hello, this is a letter", FailureCode.NOT_A_PICTURE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", FailureCode.NOT_A_PICTURE),
        (b"%PDF-1.7 ...", FailureCode.UNSUPPORTED),
        (b"\x00\x00\x00\x18ftypisom" + b"\x00" * 40, FailureCode.UNSUPPORTED),
        (b"\xff\xd8", FailureCode.TRUNCATED),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", FailureCode.TRUNCATED),
    ],
)
def test_what_is_not_a_photo_has_a_code(data: bytes, code: FailureCode) -> None:
    assert failure(data) is code


def test_size_limits() -> None:
    assert failure(encode(PilImage.new("RGB", (1, 1)), "PNG")) is FailureCode.TOO_SMALL
    assert failure(encode(PilImage.new("RGB", (400, 15)), "PNG")) is FailureCode.TOO_SMALL
    assert failure(encode(PilImage.new("RGB", (101, 100)), "PNG"), max_pixels=10_000) is FailureCode.TOO_LARGE
    assert photo(encode(PilImage.new("RGB", (100, 100)), "PNG"), max_pixels=10_000).height == 100


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00" * 1_000_000)) + chunk(b"IEND", b"")
    assert failure(bomb) is FailureCode.TOO_LARGE


def test_a_hundred_megapixels_decode_without_warnings() -> None:
    data = encode(PilImage.new("L", (12_000, 8_400), 200), "PNG", compress_level=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert photo(data).pixels.shape == (8_400, 12_000, 3)


def many_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan is there again and again: few bytes, and minutes of work."""
    whole = encode(PilImage.new("L", (800, 800), 128), "JPEG", progressive=True)
    last = whole.rfind(b"\xff\xda")
    return whole[:last] + whole[last:-2] * scans + b"\xff\xd9"


def test_a_picture_of_endless_scans_is_refused_before_it_is_unpacked() -> None:
    assert failure(many_scans(1_000)) is FailureCode.UNSUPPORTED
    assert photo(many_scans(20)).width == 800
    assert photo(WHOLE["progressive"] + b"\xff\xda\x00\x02" * 1_000).width == noisy().width, "what follows the picture is no scan"
    comment = b"\xff\xfe" + (2 + 4_000).to_bytes(2, "big") + b"\xff\xda\x00\x02" * 1_000
    assert photo(WHOLE["progressive"][:2] + comment + WHOLE["progressive"][2:]).width == noisy().width, "nor is a comment"


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_of_endless_tags_is_refused_before_it_is_opened(big: bool) -> None:
    whole = encode(PilImage.new("RGB", (64, 64)), "TIFF", big_tiff=big)
    assert photo(whole).width == 64
    at = int.from_bytes(whole[8:16] if big else whole[4:8], "little")
    assert (
        failure(whole[:at] + (60_000).to_bytes(8 if big else 2, "little") + whole[at + (8 if big else 2) :])
        is FailureCode.UNSUPPORTED
    )


@pytest.mark.parametrize(
    ("kind", "options", "per_pixel"),
    [
        ("JPEG", {}, 1 / 16),
        ("JPEG", {"progressive": True}, 6),
        ("PNG", {}, 4),
        ("WEBP", {}, 16),
    ],
)
def test_the_memory_that_a_look_takes_is_told_before(kind: str, options: dict[str, bool], per_pixel: float) -> None:
    told = weigh(encode(PilImage.new("RGB", (160, 80)), kind, **options), "x")
    assert isinstance(told, Inspected) and (told.format, told.width, told.height) == (kind, 160, 80)
    assert told.bytes_to_look == int(160 * 80 * per_pixel)


def test_zero_padded_download_is_no_half_grey_picture() -> None:
    whole = encode(noisy(), "JPEG", quality=95)
    padded = whole[: len(whole) // 2] + b"\x00" * (len(whole) // 2)
    assert failure(padded) is FailureCode.TRUNCATED
    assert np.array_equal(photo(whole + b"\x00" * 500).pixels, photo(whole).pixels)


WHOLE = {kind: encode(noisy(), kind, **({"quality": 90} if kind in ("JPEG", "WEBP") else {})) for kind in ("JPEG", "PNG", "WEBP")}
WHOLE |= {kind: encode(noisy(), kind) for kind in ("TIFF", "BMP", "GIF")}
WHOLE["progressive"] = encode(noisy(), "JPEG", quality=90, progressive=True)


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(sorted(WHOLE)), share=st.floats(0, 1))
def test_a_cut_file_fails_or_is_whole(kind: str, share: float) -> None:
    """Also when another library has switched Pillow to tolerate cut files."""
    data = WHOLE[kind]
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        result = decode(data[: int(len(data) * share)], "cut")
        assert ImageFile.LOAD_TRUNCATED_IMAGES, "the switch has to be put back"
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    if isinstance(result, Photo):
        assert np.array_equal(result.pixels, photo(data).pixels)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    hits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_damaged_bytes_never_raise(kind: str, hits: list[tuple[float, int]]) -> None:
    data = bytearray(WHOLE[kind])
    for where, value in hits:
        data[int(where * len(data))] = value
    assert isinstance(decode(bytes(data), "damaged", DecodeSettings(max_pixels=1_000_000)), (Photo, Failure))


def test_threads_leave_pillow_as_they_found_it() -> None:
    before = PilImage.MAX_IMAGE_PIXELS
    data = WHOLE["PNG"]
    threads = [threading.Thread(target=lambda: [decode(data, "x") for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert before == PilImage.MAX_IMAGE_PIXELS
