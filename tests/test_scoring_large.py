"""A run that is placed on the disk gives what one gives that is placed in memory, and does not hold all of it."""

from __future__ import annotations

import random
import shutil
import tempfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import archives
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagtrace.contract import Failure, FailureCode
from tagtrace.linking.shops import Shops, load_shops
from tagtrace.linking.store import Store
from tagtrace.scoring.inputs import Item
from tagtrace.scoring.large import FiledResults, placed_on_disk
from tagtrace.scoring.placement import ToPlace, of_scores
from tagtrace.scoring.placing import PlacingSettings
from tagtrace.scoring.progress import SilentView
from tagtrace.scoring.records import Json, PhotoResult, result_to_json
from tagtrace.scoring.request import Scores
from tagtrace.scoring.run import ScoreRequest, Summary, _Run, score_photos
from tagtrace.scoring.settings import ScoreSettings
from tagtrace.scoring.storing import StoringSettings
from tagtrace.scoring.worker import Ready

SAMPLE = Path(__file__).parents[1] / "datasets" / "sample"
SCORED = replace(ScoreSettings(), placing=PlacingSettings(extract=archives.UNSURE))


def scores_of(records: list[Json], rng: random.Random) -> Scores:
    """A scored run of these records, some under several names or at other places than they have, with a missing file."""
    items, hashes = [], {}
    for number, record in enumerate(records + rng.choices(records, k=rng.choice((0, 1, 3)))):
        lat, lon = rng.choice(archives.PLACES[:4]) or (None, None)
        taken_at = datetime.fromisoformat("2026-03-05T08:00:00+00:00") if rng.random() < 0.3 else None
        placed = rng.random() < 0.5
        items.append(Item(Path(f"{number}.jpg"), f"{number}.jpg", lat if placed else None, lon if placed else None, taken_at))
        hashes[number] = record["sha256"]
    gone = Failure(FailureCode.MISSING, "gone.jpg: there is no such file")
    items.append(Item(Path("gone.jpg"), "gone.jpg", failure=gone))
    held = {record["sha256"]: record for record in records}
    return Scores(items, Ready(archives.MODELS, {}), held, hashes, {len(hashes): gone}, {}, 0)


def in_memory(scores: Scores, shops: Shops) -> list[PhotoResult]:
    with tempfile.TemporaryDirectory() as folder:
        return _Run(ScoreRequest((), Path(folder), settings=SCORED), SilentView())._results(scores, shops)


def on_disk(scores: Scores, shops: Shops, batch: int) -> list[PhotoResult]:
    with tempfile.TemporaryDirectory() as folder:
        what = ToPlace(*of_scores(scores), {}, lambda sha256, advert: None, SCORED, StoringSettings(batch))
        with placed_on_disk(None, shops, scores, what, Path(folder), SilentView()) as filed:
            assert len(filed) == len(scores.items)
            first = [result_to_json(result, {}) for result in filed]
            results = list(filed)
            assert first == [result_to_json(result, {}) for result in results]
        assert list(Path(folder).iterdir()) == []
    return results


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), count=st.integers(1, 14), batch=st.integers(1, 6), listed=st.booleans())
def test_results_are_those_of_a_run_in_memory(seed: int, count: int, batch: int, listed: bool) -> None:
    rng = random.Random(seed)
    scores = scores_of(archives.records(rng, count), rng)
    shops = Shops()
    if listed:
        with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/shops.db", upgrade=True) as store:
            archives.listed(store, Path(folder))
            shops = load_shops(Path(folder) / "shops.csv")
    expected = [result_to_json(result, {}) for result in in_memory(scores, shops)]
    assert [result_to_json(result, {}) for result in on_disk(scores, shops, batch)] == expected


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over photos of the sample, placed in memory, with all files."""
    out = tmp_path_factory.mktemp("scored") / "run"
    run(out, 1000, resume=False)
    return out


def run(out: Path, in_memory_photos: int, *, resume: bool = True, store: str | None = None) -> Summary:
    photos = tuple(sorted((SAMPLE / "photos").iterdir())[:12])
    bounds = replace(
        ScoreSettings().run, in_memory_photos=in_memory_photos, in_memory_photos_with_store=in_memory_photos, report_crops=3
    )
    shops = None if store else SAMPLE / "registry.csv"
    return score_photos(
        ScoreRequest(photos, out, shops=shops, store=store, resume=resume, settings=replace(ScoreSettings(), run=bounds))
    )


def files(out: Path) -> Iterator[Path]:
    return (path for path in sorted(out.iterdir()) if path.is_file())


def test_every_file_is_the_same(scored: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(scored, again)
    names = [path.name for path in files(scored)]
    assert len(names) == 7
    for path in files(again):
        path.unlink()
    assert run(again, 5) == replace(
        run(scored, 1000), seconds=pytest.approx(0, abs=60), files=(*(again / n for n in ORDER), again / "annotated")
    )
    for name in names:
        if name.endswith(".parquet"):
            assert pq.read_table(again / name).equals(pq.read_table(scored / name))
        else:
            assert (again / name).read_bytes() == (scored / name).read_bytes(), name
    assert not [path for path in (again / ".tagtrace").iterdir() if path.name.startswith(("placing", "results"))]


ORDER = "predictions.jsonl results.jsonl identifiers.csv adverts.parquet clusters.csv adverts.geojson report.html".split()


def test_a_store_has_the_run_and_its_names_stand_in_the_files(scored: Path, tmp_path: Path) -> None:
    states, tables = [], []
    for name, bound in (("memory", 1000), ("disk", 5)):
        out, url = tmp_path / name, str(tmp_path / f"{name}.db")
        shutil.copytree(scored, out)
        with Store.open(url, upgrade=True):
            pass
        run(out, bound, store=url)
        tables.append((out / "identifiers.csv").read_bytes())
        with Store.open(url) as store:
            states.append(archives.state_of(store))
            assert {name.encode() in (out / "clusters.csv").read_bytes() for name in archives.names_of(store).values()} == {True}
    assert states[0] == states[1]
    assert tables[0] == tables[1]


def test_filed_results_are_not_all_in_memory(tmp_path: Path) -> None:
    (result,) = in_memory(scores_of(archives.records(random.Random(4), 1), random.Random(4)), Shops())[:1]
    filed = FiledResults(tmp_path / "results", (result for _ in range(3000)))
    assert len(filed) == 3000
    tracemalloc.start()
    assert sum(1 for _ in filed) == 3000
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
