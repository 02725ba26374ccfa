"""Shards of line crops: what is written comes back, and damage is named."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from tagtrace.contract import TagtraceError
from tagtrace.datasets.lineshards import LineShards, LineShardWriter


def crop(width: int, level: int) -> np.ndarray:
    picture = np.full((48, width, 3), level, np.uint8)
    picture[:, : width // 2] = (level, 0, 0)
    return picture


def write(folder: Path, count: int, **options: int) -> None:
    with LineShardWriter(folder, **options) as writer:
        for i in range(count):
            writer.add(crop(60 + 7 * i, 100 + i), f"текст_{i}", height_px=20 + i, style="spray", legible=i % 2 == 0, wall=i)


def test_round_trip_over_several_shards(tmp_path: Path) -> None:
    write(tmp_path, 5, shard_crops=2)
    shards = LineShards(tmp_path)
    assert len(shards) == 5
    assert len(list(tmp_path.glob("shard-*.bin"))) == 3
    for i, (picture, row) in enumerate(shards):
        assert picture.shape == (48, 60 + 7 * i, 3) == (row["height"], row["width"], 3)
        assert abs(int(picture[24, 5, 0]) - (100 + i)) < 12 and picture[24, 5, 2] < 30, "red stays in channel 0"
        assert (row["text"], row["height_px"], row["style"], row["legible"], row["wall"]) == (
            f"текст_{i}",
            20.0 + i,
            "spray",
            i % 2 == 0,
            i,
        )


def test_random_access_and_pickling(tmp_path: Path) -> None:
    write(tmp_path, 4, shard_crops=2)
    shards = LineShards([tmp_path])
    assert shards[3][1]["text"] == "текст_3"
    copied = pickle.loads(pickle.dumps(shards))
    assert np.array_equal(copied[0][0], shards[0][0])
    assert copied.encoded(1)[:2] == b"\xff\xd8"


def test_crops_without_a_size_tell_it_themselves(tmp_path: Path) -> None:
    write(tmp_path, 2)
    rows = tmp_path / "shard-00000.jsonl"
    rows.write_text(re.sub(r'"width": \d+, "height": \d+, ', "", rows.read_text()))
    assert "width" not in rows.read_text()
    assert [(r["width"], r["height"]) for r in LineShards(tmp_path).rows] == [(60, 48), (67, 48)]


def test_writers_share_a_folder_and_runs_append(tmp_path: Path) -> None:
    write(tmp_path, 3, shard_crops=2, first=0, stride=2)
    write(tmp_path, 3, shard_crops=2, first=1, stride=2)
    write(tmp_path, 1, first=0, stride=2)
    assert sorted(p.name for p in tmp_path.glob("*.jsonl")) == [f"shard-{i:05d}.jsonl" for i in range(5)]
    assert len(LineShards(tmp_path)) == 7


def test_unfinished_shard_is_not_seen(tmp_path: Path) -> None:
    writer = LineShardWriter(tmp_path)
    writer.add(crop(60, 90), "a", height_px=20)
    with pytest.raises(TagtraceError, match="no shard"):
        LineShards(tmp_path)
    writer.close()
    assert len(LineShards(tmp_path)) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{oops", "not JSON"),
        ('{"offset": 0, "length": 5, "width": 9, "height": 9}', "wrong type: text"),
        ("[1]", "wrong type"),
        ('{"offset": 0, "length": 9999999, "text": "a", "width": 9, "height": 9}', "outside"),
    ],
)
def test_damage_is_named_with_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path, 1)
    rows = tmp_path / "shard-00000.jsonl"
    rows.write_text(rows.read_text() + line + "\n")
    with pytest.raises(TagtraceError, match=message) as caught:
        LineShards(tmp_path)
    assert "shard-00000.jsonl:2" in str(caught.value)


def test_damaged_picture_and_missing_half(tmp_path: Path) -> None:
    write(tmp_path, 1)
    crops = tmp_path / "shard-00000.bin"
    crops.write_bytes(b"\0" * crops.stat().st_size)
    with pytest.raises(TagtraceError, match="not a picture"):
        LineShards(tmp_path)[0]
    crops.unlink()
    with pytest.raises(TagtraceError, match="copy both"):
        LineShards(tmp_path)


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    with LineShardWriter(tmp_path) as writer, pytest.raises(TagtraceError, match="uint8"):
        writer.add(np.zeros((4, 4), np.uint8), "a", height_px=3)
    with pytest.raises(TagtraceError, match="stride"):
        LineShardWriter(tmp_path, first=2, stride=2)
