"""The benchmark of placing does what it measures: every photo is in the store afterwards, and every step has its time."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import func, select

from tagtrace.linking.store import Store
from tagtrace.linking.store.cluster_tables import SightingRow
from tagtrace.linking.store.tables import LinkRow, PhotoRow
from tagtrace.training.commands_benchmark_placing import placing


def test_archives_are_placed_with_each_size_of_batches(tmp_path: Path) -> None:
    store, out = tmp_path / "bench.db", tmp_path / "placing.json"
    placing(str(store), photos=100, batches="50,7", listed=20, seed=1, out=out)
    found = json.loads(out.read_text())
    first, second = found["speeds"]
    assert (first["batch"], first["held"], second["batch"], second["held"]) == (50, 0, 7, 100)
    for speed in (first, second):
        assert speed["photos"] == 100 and speed["per_second"] > 0 and speed["store_bytes"] > 100 * 1000
        assert all(speed["seconds"][step] > 0 for step in ("collect", "copy", "look", "read", "decide", "write", "compare"))
    with Store.open(str(store)) as opened, opened.read() as session:
        counted = [session.scalar(select(func.count()).select_from(rows)) for rows in (PhotoRow, SightingRow)]
        assert counted == [200, 200]
        assert session.scalar(select(func.count()).select_from(LinkRow).where(LinkRow.shop_id.is_not(None)))
