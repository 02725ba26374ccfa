"""What is to be scored: files, folders, manifests, and everything that is not there."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from PIL import Image as PilImage

from tagtrace.contract import Failure, FailureCode, TagtraceError
from tagtrace.scoring.inputs import Item, collect, digest
from tagtrace.scoring.places import place_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    (root / "day 2").mkdir(parents=True)
    for name in ("b.jpg", "a.PNG", "day 2/c.jpeg"):
        PilImage.new("RGB", (20, 20)).save(root / name, "PNG")
    return root


def names(items: list[Item]) -> list[str]:
    return [item.name for item in items]


def gather(*photos: Path, manifest: Path | None = None, skip: Path | None = None) -> list[Item]:
    return collect(photos, manifest, 5.0, skip)


def test_folders_are_searched_and_names_are_relative(folder: Path) -> None:
    items = gather(folder)
    assert names(items) == ["a.PNG", "b.jpg", "day 2/c.jpeg"]
    assert all(item.failure is None and item.path.is_file() for item in items)


def test_files_without_the_right_ending_are_taken_by_content(folder: Path) -> None:
    PilImage.new("RGB", (20, 20)).save(folder / "IMG_1", "JPEG")
    PilImage.new("RGB", (20, 20)).save(folder / "photo.dat", "WEBP")
    (folder / "notes.txt").write_text("nothing to see")
    (folder / "broken.jpg").write_text("no picture, but called one")
    (folder / ".hidden.jpg").write_bytes(b"x")
    assert names(gather(folder)) == ["IMG_1", "a.PNG", "b.jpg", "broken.jpg", "day 2/c.jpeg", "photo.dat"]


def test_each_photo_once_whatever_the_order(folder: Path) -> None:
    forward = gather(folder, folder / "b.jpg")
    backward = gather(folder / "b.jpg", folder)
    assert names(forward) == names(backward) == ["a.PNG", "b.jpg", "day 2/c.jpeg"]


def test_output_and_hidden_folders_and_links_are_left_out(folder: Path) -> None:
    shutil.copytree(folder / "day 2", folder / "results")
    shutil.copytree(folder / "day 2", folder / ".tagtrace")
    (folder / "loop").symlink_to(folder)
    assert names(gather(folder, skip=folder / "results")) == ["a.PNG", "b.jpg", "day 2/c.jpeg"]


def test_equal_names_of_two_folders_are_told_apart(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "more")
    found = names(gather(folder, tmp_path / "more"))
    assert found == sorted(found) and len(set(found)) == 6
    assert {"photos/b.jpg", "more/b.jpg", "photos/day 2/c.jpeg", "more/day 2/c.jpeg"} <= set(found)


def test_missing_and_strange_files_fail_alone(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    items = {item.name: item for item in gather(folder, tmp_path / "no.jpg", tmp_path / "pipe.jpg")}
    codes = {name: item.failure.code for name, item in items.items() if item.failure}
    assert codes == {
        "no.jpg": FailureCode.MISSING,
        "gone.jpg": FailureCode.MISSING,
        "pipe.jpg": FailureCode.UNREADABLE,
    }
    assert len(items) == 6 and items["no.jpg"].failure and "no.jpg" in items["no.jpg"].failure.message


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder with a locked folder and a locked file, seen by a user who may not read them."""
    root = Path(tempfile.mkdtemp(dir="/tmp"))
    root.chmod(0o755)
    (root / "locked").mkdir()
    PilImage.new("RGB", (20, 20)).save(root / "open.png")
    PilImage.new("RGB", (20, 20)).save(root / "closed.png")
    (root / "closed.png").chmod(0)
    (root / "locked").chmod(0)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield root
    finally:
        if was_root:
            os.seteuid(0)
        (root / "locked").chmod(0o755)
        shutil.rmtree(root)


def test_unreadable_folder_and_file(as_nobody: Path) -> None:
    items = {item.name: item for item in gather(as_nobody)}
    assert set(items) == {"locked", "open.png", "closed.png"}
    locked = items["locked"].failure
    assert locked is not None and locked.code is FailureCode.UNREADABLE and "locked" in locked.message
    closed = digest(items["closed.png"], 1 << 20)
    assert isinstance(closed, Failure) and closed.code is FailureCode.UNREADABLE
    assert isinstance(digest(items["open.png"], 1 << 20), str)


def test_digest(folder: Path) -> None:
    item = gather(folder / "b.jpg")[0]
    assert digest(item, 1 << 20) == hashlib.sha256(item.path.read_bytes()).hexdigest()
    large = digest(item, 10)
    assert isinstance(large, Failure) and large.code is FailureCode.TOO_LARGE
    item.path.unlink()
    gone = digest(item, 1 << 20)
    assert isinstance(gone, Failure) and gone.code is FailureCode.MISSING


def manifest(folder: Path, *rows: dict[str, str], delimiter: str = ",") -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["path", "lat", "lon", "taken_at", "report_id"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path = folder / "manifest.csv"
    path.write_text("\ufeff" + text.getvalue(), "utf-8")
    return path


def test_manifest_gives_facts(folder: Path) -> None:
    row = {"path": "day 2/c.jpeg", "lat": "43.25", "lon": "76.9", "taken_at": "2026-07-21T10:00:00", "report_id": "R-7"}
    item = gather(manifest=manifest(folder, row, {"path": "b.jpg", "taken_at": "2026-07-21T10:00:00Z"}))[1]
    assert item.name == "day 2/c.jpeg" and (item.lat, item.lon, item.report_id) == (43.25, 76.9, "R-7")
    assert item.taken_at == datetime(2026, 7, 21, 5, tzinfo=UTC)
    semicolon = gather(manifest=manifest(folder, {"path": "b.jpg", "lat": "43,25", "lon": "76,9"}, delimiter=";"))[0]
    assert semicolon.lat == 43.25


def test_manifest_adds_to_photos_given(folder: Path) -> None:
    items = gather(folder, manifest=manifest(folder, {"path": "day 2/c.jpeg", "report_id": "R"}))
    assert [(item.name, item.report_id) for item in items] == [("a.PNG", None), ("b.jpg", None), ("day 2/c.jpeg", "R")]


def test_two_reports_of_one_photo_stay_two(folder: Path) -> None:
    rows = [{"path": "b.jpg", "report_id": "R1"}, {"path": "b.jpg", "report_id": "R2"}, {"path": "b.jpg", "report_id": "R2"}]
    assert [item.report_id for item in gather(manifest=manifest(folder, *rows))] == ["R1", "R2"]


def test_manifest_paths_make_names_inside_the_results(folder: Path) -> None:
    rows = [{"path": "../photos/b.jpg"}, {"path": str(folder / "a.PNG")}, {"path": "gone.jpg"}]
    items = gather(manifest=manifest(folder, *rows))
    assert all(not item.name.startswith("/") and ".." not in item.name for item in items)
    assert [item.failure.code for item in items if item.failure] == [FailureCode.MISSING]


def test_bad_manifests_are_named_by_file_and_line(folder: Path) -> None:
    with pytest.raises(TagtraceError, match=r"none.csv: there is no such manifest"):
        gather(manifest=folder / "none.csv")
    rows = [
        {"path": "b.jpg", "lat": "north", "lon": "1"},
        {"path": "", "lat": "1"},
        {"path": "b.jpg", "lat": "95", "lon": "1"},
        {"path": "b.jpg", "lat": "43"},
        {"path": "b.jpg", "taken_at": "yesterday"},
    ]
    with pytest.raises(TagtraceError) as caught:
        gather(manifest=manifest(folder, *rows))
    expected = ("lat is 'north'", "path is empty", "lat is '95'", "lat and lon must be given together", "taken_at is 'yesterday'")
    for line, what in enumerate(expected, start=2):
        assert f"manifest.csv:{line}: {what}" in str(caught.value)
    path = folder / "manifest.csv"
    path.write_text("photo,lat\n", "utf-8")
    with pytest.raises(TagtraceError, match="path is needed"):
        gather(manifest=path)


def test_names_that_are_no_text_can_be_written(tmp_path: Path) -> None:
    place = os.fsencode(tmp_path) + b"/\xff\xfe.jpg"
    with open(place, "wb") as file:  # noqa: PTH123 - the name is bytes
        file.write(b"x")
    name = gather(tmp_path)[0].name
    assert name.encode("utf-8") and name.endswith(".jpg")


@pytest.fixture
def bucket() -> Iterator[str]:
    """A folder of photos behind a URL."""
    root = "memory://city/photos"
    system = fsspec.filesystem("memory")
    for name in ("b.jpg", "a.PNG", "day 2/c.jpeg", "IMG_1", "notes.txt", ".hidden.jpg", ".thumbs/x.jpg"):
        data = io.BytesIO()
        PilImage.new("RGB", (20, 20)).save(data, "PNG")
        system.pipe(f"{root}/{name}", b"nothing to see" if name.endswith(".txt") else data.getvalue())
    yield root
    system.rm("memory://city", recursive=True)


def test_folders_behind_a_url_are_searched_like_others(bucket: str) -> None:
    items = collect([place_of(bucket), place_of(f"{bucket}/b.jpg"), place_of(f"{bucket}/no.jpg")], None, 5.0)
    assert names(items) == ["IMG_1", "a.PNG", "b.jpg", "day 2/c.jpeg", "no.jpg"]
    assert str(items[3].path) == f"{bucket}/day 2/c.jpeg"
    assert [item.failure.code for item in items if item.failure] == [FailureCode.MISSING]
    assert digest(items[2], 1 << 20) == hashlib.sha256(fsspec.filesystem("memory").cat(f"{bucket}/b.jpg")).hexdigest()
    large = digest(items[2], 10)
    assert isinstance(large, Failure) and large.code is FailureCode.TOO_LARGE


def test_manifests_name_urls_and_lie_behind_them(bucket: str, folder: Path) -> None:
    rows = [{"path": f"{bucket}/b.jpg", "report_id": "R1"}, {"path": f"file://{folder}/b.jpg"}, {"path": f"{bucket}/gone.jpg"}]
    items = gather(manifest=manifest(folder, *rows))
    assert [item.name for item in items][:2] == ["city/photos/b.jpg", "city/photos/gone.jpg"]
    gone = digest(items[1], 1 << 20)
    assert isinstance(gone, Failure) and gone.code is FailureCode.MISSING
    fsspec.filesystem("memory").pipe(f"{bucket}/m.csv", b"path;report_id\nday 2/c.jpeg;R7\n")
    (item,) = collect([], place_of(f"{bucket}/m.csv"), 5.0)
    assert (str(item.path), item.name, item.report_id) == (f"{bucket}/day 2/c.jpeg", "day 2/c.jpeg", "R7")
    with pytest.raises(TagtraceError, match="there is no such manifest"):
        collect([], place_of(f"{bucket}/none.csv"), 5.0)


def test_unknown_kinds_of_urls_are_told() -> None:
    with pytest.raises(TagtraceError, match="nothing opens URLs of the kind gopher://"):
        place_of("gopher://city/photos")
