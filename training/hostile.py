"""Uploads that mean harm, to see whether the service withstands them: small ones that ask for much, and those that are not what
they say. Everything is made here; nothing of it runs anything."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image as PilImage

REFUSED = frozenset(range(400, 500))
_EDGE = "----edge"
_SIDE_PX = 7_600
"""Side of a picture that is just small enough to be looked at: 57.8 million pixels."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One request, and the answers that are right. ``path`` is below the address of the service."""

    body: bytes
    kind: str
    right: frozenset[int] = REFUSED
    path: str = "/v1/reports"
    headers: Mapping[str, str] | None = None


def attacks() -> dict[str, Attack]:
    """All attacks that are one request, by name."""
    honest = photo()
    lawful = frozenset({202})
    files: dict[str, tuple[bytes, frozenset[int]]] = {
        "PNG bomb": (png(30_000, 30_000, whole=False), frozenset({413})),
        "PNG of nothing, as large as allowed": (png(_SIDE_PX, _SIDE_PX), lawful),
        "WebP bomb": (webp(8_000), frozenset({413})),
        "WebP, larger than can be written": (webp(16_383), frozenset({413})),
        "JPEG of endless scans": (endless_scans(), frozenset({415})),
        "JPEG that asks for 350 MB": (enlarged(photo(progressive=True), _SIDE_PX), REFUSED | lawful),
        "JPEG that asks for 4 GB": (enlarged(photo(progressive=True), 26_000), frozenset({413})),
        "TIFF of endless tags": (tiff(30_000), frozenset({415})),
        "GIF that is larger than it is": (gif(_SIDE_PX), REFUSED | lawful),
        "JPEG and ZIP": (honest + archive(), frozenset({422})),
        "JPEG and page": (commented(honest, b"<script>alert(1)</script>"), frozenset({422})),
        "JPEG and PDF": (commented(honest, b"%PDF-1.7 1 0 obj"), frozenset({422})),
        "GIF and script": (b"GIF89a/*" + b"\x00" * 40 + b"*/=1;", REFUSED),
        "JPEG cut off": (honest[: len(honest) // 2], frozenset({422})),
        "JPEG filled up with zeros": (honest[: len(honest) // 2] + bytes(len(honest)), frozenset({422})),
        "only the head of a JPEG": (b"\xff\xd8\xff\xe0", frozenset({422})),
        "SVG as JPEG": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', frozenset({415})),
        "page as JPEG": (b"<!doctype html><html><body>no photo</body></html>", frozenset({415})),
        "nothing as JPEG": (b"", REFUSED),
        "entities as JPEG": (b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 1000 + b'">]><a>' + b"&b;" * 1000 + b"</a>", frozenset({415})),
        "ZIP as JPEG": (archive(), frozenset({415})),
        "photo larger than allowed": (honest + bytes(26_000_000), frozenset({413})),
    }
    found = {name: Attack(*form([("photo", "a.jpg", data)]), right) for name, (data, right) in files.items()}
    return found | _videos() | _forms(honest) | _words()


def _videos() -> dict[str, Attack]:
    box = struct.pack(">I4s", 24, b"ftyp") + b"isom\x00\x00\x02\x00isomiso2"
    films = {
        "film without pictures": box,
        "film with a box of 4 GB": box + struct.pack(">I4sQ", 1, b"moov", 2**32) + bytes(1000),
        "film in a film": box + (struct.pack(">I4s", 2_000_008, b"moov") + bytes(2_000_000)),
        "Matroska that ends at once": b"\x1aE\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff" + bytes(1000),
    }
    return {name: Attack(*form([("video", "a.mp4", data)])) for name, data in films.items()}


def _forms(honest: bytes) -> dict[str, Attack]:
    many = [("photo", f"{n}.jpg", b"x") for n in range(10_000)]
    words = [(f"field{n}", None, b"x") for n in range(10_000)]
    multipart = f"multipart/form-data; boundary={_EDGE}"
    headers = f'--{_EDGE}\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\nX: '.encode()
    return {
        "10,000 files": Attack(*form(many)),
        "10,000 fields": Attack(*form(words)),
        "eleven photos": Attack(*form([("photo", "a.jpg", honest)] * 11)),
        "name that leads out": Attack(*form([("photo", "../../../../etc/cron.d/a", honest)]), frozenset({202})),
        "field that leads out": Attack(*form([("../../photo", "/etc/passwd", honest)])),
        "part whose header has no end": Attack(headers + b"y" * 20_000_000, multipart),
        "part with 10,000 headers": Attack(headers + b"y\r\nX: " * 10_000, multipart),
        "form without an edge": Attack(b"x" * 1000, "multipart/form-data"),
        "form with an edge of 10,000 letters": Attack(b"x", f"multipart/form-data; boundary={'e' * 5_000}"),
        "form that is none": Attack(bytes(5_000_000), multipart),
        "field of 20 MB": Attack(*form([("text", None, b"x" * 20_000_000)])),
        "packed form": Attack(zlib.compress(bytes(50_000_000)), multipart, headers={"Content-Encoding": "deflate"}),
    }


def _words() -> dict[str, Attack]:
    kind = "application/json"
    return {
        "lists in lists": Attack(b"[" * 200_000, kind),
        "JSON of 20 MB": Attack(b'{"text": "' + b"x" * 20_000_000 + b'"}', kind),
        "number of 100,000 digits": Attack(b'{"web": ["t.me/sample_kz1"], "lat": ' + b"9" * 100_000 + b"}", kind),
        "numbers that are none": Attack(b'{"web": ["t.me/sample_kz1"], "lat": NaN, "lon": Infinity}', kind),
        "halves of letters": Attack(b'{"web": ["t.me/\\ud800"]}', kind),
        "100,000 addresses": Attack(json.dumps({"web": ["t.me/a"] * 30_000}).encode(), kind),
        "table of a million rows": Attack(b"web\n" + b"t.me/a\n" * 1_000_000, "text/csv", path="/v1/reports/import"),
        "table of one cell": Attack(b'web\n"' + b"x" * 4_000_000, "text/csv", path="/v1/reports/import"),
        "photo of nobody": Attack(*form([("photo", "a.jpg", png(30_000, 30_000, whole=False))]), path="/v1/analyse"),
        "unknown kind": Attack(b"x" * 1000, "application/x-hostile"),
    }


def form(parts: Sequence[tuple[str, str | None, bytes]]) -> tuple[bytes, str]:
    """The body of a form and its content type: parts by name, file name and content."""
    out = []
    for name, file, data in parts:
        named = f'; filename="{file}"' if file is not None else ""
        out.append(f'--{_EDGE}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + data + b"\r\n")
    return b"".join(out) + f"--{_EDGE}--\r\n".encode(), f"multipart/form-data; boundary={_EDGE}"


def photo(progressive: bool = False) -> bytes:
    """An honest JPEG of 400 x 300 pixels, in colours that compress badly."""
    out = io.BytesIO()
    noise = PilImage.effect_noise((400, 300), 60)
    PilImage.merge("RGB", [noise, noise.transpose(PilImage.Transpose.ROTATE_180), noise]).save(
        out, "JPEG", progressive=progressive, quality=80
    )
    return out.getvalue()


def png(width: int, height: int, *, whole: bool = True) -> bytes:
    """A PNG of one colour: 3 bytes a pixel when it is unpacked, a thousandth of that as a file; ``whole=False``: cut off."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer, row = zlib.compressobj(9), bytes(1 + 3 * width)
    packed = b"".join(packer.compress(row) for _ in range(height if whole else 10)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def webp(side: int) -> bytes:
    """A lossless WebP of one colour, of which only the head tells how large it is: the same few bytes for every size."""
    out = io.BytesIO()
    PilImage.new("RGB", (16, 16)).save(out, "WEBP", lossless=True)
    data = bytearray(out.getvalue())
    at = data.index(b"VP8L") + 9
    bits = int.from_bytes(data[at : at + 4], "little") & ~((1 << 28) - 1)
    data[at : at + 4] = (bits | (side - 1) | (side - 1) << 14).to_bytes(4, "little")
    return bytes(data)


def enlarged(jpeg: bytes, side: int) -> bytes:
    """A JPEG that says it is larger than it is: memory is asked for before the lack of data shows."""
    data = bytearray(jpeg)
    at = next(data.index(marker) for marker in (b"\xff\xc2", b"\xff\xc0") if marker in data)
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def endless_scans() -> bytes:
    """A progressive JPEG whose last scan comes 3,000 times: each goes through all 64 million pixels."""
    out = io.BytesIO()
    PilImage.new("L", (400, 300)).save(out, "JPEG", progressive=True)
    data = enlarged(out.getvalue(), 8_000)
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * 3_000 + b"\xff\xd9"


def tiff(tags: int) -> bytes:
    """A TIFF whose tags all point to the same two megabytes."""
    block, start = 2_000_000, 8 + 2 + 12 * tags + 4
    needed = [(256, 100), (257, 100), (258, 8), (259, 1), (262, 1), (273, start), (277, 1), (278, 100), (279, 10_000)]
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in needed]
    entries += [struct.pack("<HHII", 1_000 + n, 7, block, start) for n in range(tags - len(needed))]
    return b"II*\x00" + struct.pack("<IH", 8, tags) + b"".join(entries) + bytes(4) + bytes(block)


def gif(side: int) -> bytes:
    """A GIF that says it is larger than it is."""
    out = io.BytesIO()
    PilImage.new("P", (64, 64)).save(out, "GIF")
    data = bytearray(out.getvalue())
    data[6:10] = struct.pack("<HH", side, side)
    return bytes(data)


def commented(jpeg: bytes, words: bytes) -> bytes:
    """A JPEG with a comment."""
    return jpeg[:2] + b"\xff\xfe" + (len(words) + 2).to_bytes(2, "big") + words + jpeg[2:]


def archive() -> bytes:
    """A ZIP archive that unpacks to ten megabytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.html", bytes(10_000_000))
    return out.getvalue()
