"""A run that is kept in a store: clusters keep their ids from run to run, links follow the register."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags
from PIL import Image as PilImage
from sqlalchemy import select

from tagtrace.contract import Outcome, TagtraceError
from tagtrace.linking.store import Store
from tagtrace.linking.store.analyses import iter_latest
from tagtrace.linking.store.checks import check_store
from tagtrace.linking.store.clusters import check_log, list_clusters
from tagtrace.linking.store.importing import import_shop_list
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.linking.store.tables import PhotoRow
from tagtrace.scoring.progress import SilentView
from tagtrace.scoring.run import ScoreRequest, Summary, score_photos
from tagtrace.scoring.settings import ScoreSettings
from tagtrace.scoring.storing import keep_photos, link_again

HERE = Path(__file__).parent
TULPAR, SNOW = (10, 10, 10), (20, 20, 20)


@pytest.fixture(autouse=True)
def reader_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


def paint(folder: Path, name: str, colour: tuple[int, int, int], seed: int) -> None:
    """A photo whose top left pixel says what the reader reads; the rest is noise, so that no two pictures are copies."""
    pixels = np.random.default_rng(seed).integers(0, 255, (120, 200, 3)).astype(np.uint8)
    pixels[:60, :60] = colour
    exif = PilImage.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (43.0, 15.0, 0.0), 3: "E", 4: (76.0, 54.0, 0.0)})
    folder.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(pixels).save(folder / name, "PNG", exif=exif)


def score(tmp_path: Path, photos: str, store: str, **more: object) -> Summary:
    settings = ScoreSettings(reader="fixed_reader:make")
    request = ScoreRequest((tmp_path / photos,), tmp_path / f"out-{photos}", store=store, settings=settings, workers=1, **more)
    return score_photos(request, SilentView())


def test_runs_add_up_in_a_store(tmp_path: Path, store_url: str) -> None:
    paint(tmp_path / "june", "a.png", TULPAR, 1)
    paint(tmp_path / "june", "b.png", SNOW, 2)
    paint(tmp_path / "july", "c.png", TULPAR, 3)
    (tmp_path / "july" / "broken.jpg").write_text("no picture")
    with Store.open(store_url, upgrade=True) as store:
        assert score(tmp_path, "june", store_url, formats=("predictions",)).clusters == 2
        with store.read() as session:
            before = {cluster.id for cluster in list_clusters(session)}
        score(tmp_path, "july", store_url, formats=("predictions", "results"))
        score(tmp_path, "july", store_url, formats=("predictions",))
        with store.read() as session:
            after = {cluster.id: cluster for cluster in list_clusters(session)}
            assert set(after) == before and check_log(session) == []
            assert sum(1 for _ in iter_latest(session)) == 3
        written = (tmp_path / "out-july" / "results.jsonl").read_text("utf-8")
        assert sum(name in written for name in before) == 1
        assert all(finding.sound for finding in check_store(store))


def test_links_follow_the_register(tmp_path: Path, store_url: str) -> None:
    paint(tmp_path / "photos", "a.png", TULPAR, 1)
    with Store.open(store_url, upgrade=True) as store:
        score(tmp_path, "photos", store_url, formats=("predictions",))
        assert link_again(store).changed == 0
        (tmp_path / "shops.csv").write_text("shop_id,shop_name,kind,value\nA,Тұлпар,telegram,tulpar_kz1\n", "utf-8")
        import_shop_list(store, tmp_path / "shops.csv")
        done = link_again(store)
        assert (done.photos, done.changed, done.outcomes[Outcome.SAME]) == (1, 1, 1)
        assert link_again(store).changed == 0


def test_a_run_counts_what_earlier_runs_saw(tmp_path: Path, store_url: str) -> None:
    (tmp_path / "shops.csv").write_text("shop_id,shop_name,kind,value\nA,Тұлпар,telegram,tulpar_kz1\n", "utf-8")
    paint(tmp_path / "june", "a.png", TULPAR, 1)
    paint(tmp_path / "july", "b.png", TULPAR, 2)
    paint(tmp_path / "july", "c.png", TULPAR, 3)
    with Store.open(store_url, upgrade=True) as store:
        import_shop_list(store, tmp_path / "shops.csv")
    steps = {}
    for photos in ("june", "july"):
        score(tmp_path, photos, store_url, formats=("results",))
        lines = (tmp_path / f"out-{photos}" / "results.jsonl").read_text("utf-8").splitlines()
        for record in map(json.loads, lines):
            evidence = record["adverts"][0]["identifiers"][0]["link"]["evidence"]
            steps[record["file"]] = {step["name"]: step["text"] for step in evidence}
    # One place, one cluster: the photo of June speaks for those of July, and these not for each other.
    assert "same cluster" not in steps["a.png"]
    assert steps["b.png"]["same cluster"] == steps["c.png"]["same cluster"] == "another photo of this advert shows it"


def test_a_shop_list_and_a_store_are_not_mixed(tmp_path: Path) -> None:
    paint(tmp_path / "photos", "a.png", TULPAR, 1)
    with pytest.raises(TagtraceError, match="either --shops or --store"):
        score(tmp_path, "photos", str(tmp_path / "s.db"), shops=tmp_path / "shops.csv")


def test_photos_are_kept_as_bytes_where_that_is_wanted(tmp_path: Path, store_url: str) -> None:
    paint(tmp_path / "photos", "a.png", TULPAR, 1)
    paint(tmp_path / "photos", "b.png", SNOW, 2)
    place = tmp_path / "kept"
    with Store.open(store_url, upgrade=True) as store:
        score(tmp_path, "photos", store_url, formats=("predictions",), keep_photos=str(place))
        files = PhotoFiles(place)
        with store.read() as session:
            rows = {row.sha256: (row.place, row.size) for row in session.scalars(select(PhotoRow))}
        for name in ("a.png", "b.png"):
            data = (tmp_path / "photos" / name).read_bytes()
            sha256 = hashlib.sha256(data).hexdigest()
            assert files.get(sha256) == data
            assert rows[sha256] == (str(place), len(data))


def test_photos_are_kept_only_with_a_store_and_apart_from_what_is_scored(tmp_path: Path) -> None:
    paint(tmp_path / "photos", "a.png", TULPAR, 1)
    settings = ScoreSettings(reader="fixed_reader:make")
    for store, place, words in ((None, "kept", "wants --store"), ("store.db", "photos/kept", "would be scored itself")):
        request = ScoreRequest(
            (tmp_path / "photos",), tmp_path / "out", settings=settings, keep_photos=str(tmp_path / place),
            store=None if store is None else str(tmp_path / store),
        )  # fmt: skip
        with pytest.raises(TagtraceError, match=words):
            score_photos(request, SilentView())
    assert not (tmp_path / "photos" / "kept").exists()


def test_a_file_that_was_changed_after_it_was_scored_is_not_kept(tmp_path: Path) -> None:
    same, changed = tmp_path / "same", tmp_path / "changed"
    same.write_bytes(b"one")
    changed.write_bytes(b"two")
    one, other = (hashlib.sha256(data).hexdigest() for data in (b"one", b"other"))
    wanted = {one: same, other: changed, "0" * 64: tmp_path / "gone"}
    kept = keep_photos(str(tmp_path / "kept"), wanted)
    assert {sha256: photo.size for sha256, photo in kept.items()} == {one: 3}
