"""Where the bytes of photos lie: whole or not at all, checked when read, in a folder or behind fsspec."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import TagtraceError
from tagtrace.linking.store.photos import PhotoFiles


@pytest.fixture(params=["folder", "fsspec"])
def photos(request: pytest.FixtureRequest, tmp_path: Path) -> PhotoFiles:
    return PhotoFiles(tmp_path / "photos" if request.param == "folder" else f"memory://{uuid.uuid4().hex}/photos")


def test_what_is_put_is_got(photos: PhotoFiles) -> None:
    data = b"\xff\xd8 a photo"
    sha256 = photos.put(data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert photos.put(data) == sha256 and photos.get(sha256) == data
    assert sha256 in photos and "0" * 64 not in photos


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=2000))
def test_any_bytes_come_back(data: bytes) -> None:
    photos = PhotoFiles("memory://any/photos")
    assert photos.get(photos.put(data)) == data


def test_a_missing_photo_is_told(photos: PhotoFiles) -> None:
    with pytest.raises(TagtraceError, match="has no photo"):
        photos.get("0" * 64)


@pytest.mark.parametrize("name", ["../../etc/passwd", "AB" * 32, "", "0" * 63])
def test_only_digests_are_names(name: str, photos: PhotoFiles) -> None:
    with pytest.raises(TagtraceError, match="no SHA-256"):
        photos.get(name)


def test_a_damaged_photo_is_never_given_out_and_a_cut_one_is_put_again(tmp_path: Path) -> None:
    photos = PhotoFiles(tmp_path)
    sha256 = photos.put(b"the photo")
    path = tmp_path / sha256[:2] / sha256[2:4] / sha256
    path.write_bytes(b"the ph0to")
    with pytest.raises(TagtraceError, match="damaged"):
        photos.get(sha256)
    photos.put(b"the photo")
    assert photos.get(sha256) == b"the photo", "as long as it should be, and yet not it"
    path.write_bytes(b"the")
    photos.put(b"the photo")
    assert photos.get(sha256) == b"the photo"


def test_a_place_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TagtraceError, match="cannot be written"):
        PhotoFiles(tmp_path / "file").put(b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    PhotoFiles(tmp_path).put(b"x" * 1000)
    assert not list(tmp_path.rglob("*.part"))
