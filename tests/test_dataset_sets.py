"""Dividing, merging, counting data sets, and finding doubles in them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from tagtrace import cli
from tagtrace.contract import ExitCode, Quad, TagtraceError
from tagtrace.datasets.doubles import Double, find_doubles, groups_of, prints_of, to_remove
from tagtrace.datasets.manifest import changed_files, names_of_sets, read_manifest
from tagtrace.datasets.merging import merge_sets
from tagtrace.datasets.overview import overview, script_of
from tagtrace.datasets.splitting import SplitSettings, find_leaks, keys_of, split_photos
from tagtrace.datasets.truth import AdvertTruth, LineTruth, PhotoTruth, read_truth, write_truth

QUAD: Quad = ((10, 10), (110, 10), (110, 30), (10, 30))


def photo(file: str, wall: str = "", shop: str = "", value: str = "") -> PhotoTruth:
    text = f"@{value}" if value else "ДОСТАВКА"
    line = LineTruth(
        text=text, canonical=value or text, kind="telegram" if value else "word", quad=QUAD, legible=True, height_px=20
    )
    advert = AdvertTruth(wall_id=wall, shop_id=shop, style="spray", quad=QUAD, lines=(line,))
    return PhotoTruth(file=file, width=200, height=100, ads=(advert,))


def paint(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = PilImage.fromarray(np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8))
    small.resize((200, 100), PilImage.Resampling.BICUBIC).save(path)


def write(folder: Path, photos: list[PhotoTruth], seed: int) -> Path:
    (folder / "photos").mkdir(parents=True)
    for number, one in enumerate(photos):
        paint(folder / "photos" / one.file, seed + number)
    write_truth(folder / "truth.jsonl", photos)
    return folder


few = st.sampled_from(["", "1", "2", "3", "4", "5"])
sets = st.lists(st.tuples(few, few, few), min_size=1, max_size=25).map(
    lambda rows: [photo(f"{i}.jpg", *row) for i, row in enumerate(rows)]
)


@settings(max_examples=60, deadline=None)
@given(sets, st.integers(0, 3))
def test_no_split_ever_leaks_and_groups_are_connected_components(photos: list[PhotoTruth], seed: int) -> None:
    doubles = [Double("0.jpg", f"{len(photos) - 1}.jpg", False)] if len(photos) > 1 else []
    wanted = SplitSettings((("train", 0.5), ("val", 0.5)), seed)
    found = split_photos(photos, doubles, wanted)
    assert find_leaks(photos, found.of, doubles) == []
    assert set(found.of) == {p.file for p in photos}
    assert split_photos(list(reversed(photos)), doubles, wanted).of == found.of
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(found.of)
    for a in photos:
        graph.add_edges_from((a.file, b.file) for b in photos if keys_of(a) & keys_of(b))
    graph.add_edges_from((d.first, d.second) for d in doubles)
    assert {frozenset(group) for group in found.groups} == {frozenset(part) for part in nx.connected_components(graph)}


def test_photos_that_are_added_do_not_move_the_others() -> None:
    photos = [photo(f"{i}.jpg", f"W{i}", f"S{i % 300}", f"name{i % 300}") for i in range(600)]
    before = split_photos(photos).of
    later = [*photos, *(photo(f"new{i}.jpg", f"N{i}", f"S{i % 350}", f"other{i % 350}") for i in range(400))]
    after = split_photos(later).of
    assert {name: after[name] for name in before} == before
    shares = {name: sum(s == name for s in after.values()) / len(after) for name in ("train", "val", "test")}
    assert shares == pytest.approx({"train": 0.8, "val": 0.1, "test": 0.1}, abs=0.05)
    assert split_photos(photos, settings=SplitSettings(seed=2)).of != before


def test_earlier_splits_are_kept_and_what_was_trained_on_is_never_measured_on() -> None:
    photos = [photo("a.jpg", "W1", "S1"), photo("b.jpg", "W2", "S2"), photo("c.jpg", "W1", "S2"), photo("d.jpg", "W9", "S9")]
    found = split_photos(photos, before={"a.jpg": "test", "b.jpg": "train", "d.jpg": "val"})
    assert found.of == {"a.jpg": "train", "b.jpg": "train", "c.jpg": "train", "d.jpg": "val"}
    assert found.moved == {"a.jpg": ("test", "train")}


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(TagtraceError, match="add up to 1"):
        SplitSettings((("train", 0.8), ("val", 0.3)))
    assert cli.run(["dataset", "split", "x", "--out", "y", "--shares", "train:1"]) == ExitCode.USAGE


def test_a_set_is_divided_into_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write(tmp_path / "whole", [photo(f"{i}.png", f"W{i}", f"S{i // 2}") for i in range(12)], 1)
    out = tmp_path / "divided"
    assert cli.run(["dataset", "split", str(whole), "--out", str(out), "--shares", "train=0.6,val=0.4"]) == ExitCode.OK
    assert "nothing is in two splits" in capsys.readouterr().out
    parts = {name: read_truth(out / name) for name in ("train", "val")}
    assert sum(map(len, parts.values())) == 12 and all(p.split == name for name, part in parts.items() for p in part)
    assert changed_files(out / "train") == []
    assert cli.run(["dataset", "validate", str(out / "train"), str(out / "val")]) == ExitCode.OK
    assert cli.run(["dataset", "split", str(whole), "--out", str(out)]) == ExitCode.USAGE  # it is not empty


def test_merging_tells_names_and_walls_apart_and_says_where_photos_are_from(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [photo("a.png", "W1", "S1", "snow"), photo("b.png", "W2", "S2")], 1)
    two = write(tmp_path / "two", [photo("a.png", "W1", "S7", "ice"), photo("c.png", "W3", "S3")], 10)
    (two / "photos" / "c.png").write_bytes((one / "photos" / "b.png").read_bytes())
    done = merge_sets([one, two], tmp_path / "out")
    merged = {p.file: p for p in read_truth(tmp_path / "out")}
    assert (done.photos, done.doubles, len(done.renamed)) == (3, 1, 1)
    renamed = done.renamed["two: a.png"]
    assert merged[renamed].extra["source"]["set"] == "two" and merged[renamed].extra["source"]["file"] == "a.png"
    assert {p.ads[0].wall_id for p in merged.values()} == {"one:W1", "one:W2", "two:W1"}
    assert changed_files(tmp_path / "out") == []
    manifest = (tmp_path / "out/manifest.json").read_text()
    assert [s["taken"] for s in read_manifest(tmp_path / "out")["sources"]] == [2, 1]
    (tmp_path / "out/photos/b.png").unlink()  # it may be the very file of the set that it is from
    (tmp_path / "out/photos/b.png").write_bytes(b"x")
    (tmp_path / "out/new.txt").write_text("x")
    assert changed_files(tmp_path / "out") == ["photos/b.png: has changed", "new.txt: is new"]
    merge_sets([one, two], tmp_path / "same", same_ids=True)
    assert {p.ads[0].wall_id for p in read_truth(tmp_path / "same")} == {"W1", "W2"}
    assert merge_sets([one, two], tmp_path / "again") == done
    assert (tmp_path / "again/manifest.json").read_text() == manifest


def test_sets_get_names_that_differ() -> None:
    assert names_of_sets([Path("a/val"), Path("b/val")]) == ["a-val", "b-val"]
    assert names_of_sets([Path("a/val"), Path("a/val")]) == ["val-1", "val-2"]


def test_doubles_are_found_by_bytes_and_by_looks(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        paint(tmp_path / f"{name}.png", number)
    (tmp_path / "copy.png").write_bytes((tmp_path / "a.png").read_bytes())
    PilImage.open(tmp_path / "b.png").resize((150, 75)).save(tmp_path / "small.jpg", quality=50)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    names = {p.name: p for p in sorted(tmp_path.iterdir())}
    prints, failed = prints_of(names)
    doubles = find_doubles(prints)
    assert [(d.first, d.second, d.exact) for d in doubles] == [("a.png", "copy.png", True), ("b.png", "small.jpg", False)]
    assert list(failed) == ["broken.png"]
    truth = {"copy.png": photo("copy.png")}
    # The one with labels stays, else the one with more pixels.
    assert to_remove(groups_of(doubles), prints, truth) == ["a.png", "small.jpg"]
    listed = tmp_path / "twice.txt"
    assert cli.run(["dataset", "dedup", str(tmp_path), "--remove", str(listed)]) == ExitCode.SOME_FAILED
    assert listed.read_text().split() == ["copy.png", "small.jpg"]


@pytest.mark.parametrize(
    ("text", "script"),
    [("@snow_1", "latin"), ("ДОСТАВКА", "cyrillic"), ("ЖҰМЫС", "kazakh"), ("сnоw", "mixed"), ("8 701", "digits"), ("→", "other")],
)
def test_scripts_are_told(text: str, script: str) -> None:
    assert script_of(text) == script


def test_statistics_agree_with_the_truth(root: Path, tmp_path: Path) -> None:
    truth = read_truth(root / "datasets/sample")
    found = overview(truth)
    assert (found.photos, found.lines, found.legible) == (48, 108, 75)
    assert sum(found.by["lines by kind"].values()) == 108
    assert sum(found.by["lines by script"].values()) == 108 - found.codes
    assert cli.run(["dataset", "stats", str(root / "datasets/sample"), "--out", str(tmp_path)]) == ExitCode.OK
    assert json.loads((tmp_path / "stats.json").read_text())["lines"] == 108
    assert "# Data card" in (tmp_path / "DATACARD.md").read_text()
    with PilImage.open(tmp_path / "plots/lines_by_height.png") as plot:
        assert plot.width > 300
    assert overview([replace(truth[0], ads=())]).lines == 0
