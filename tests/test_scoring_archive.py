"""An archive that is placed batch by batch gives what a run gives that is placed at once, and survives whatever stops it."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import archives
import fsspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from sqlalchemy import func, select

from tagtrace import cli
from tagtrace.contract import ExitCode, TagtraceError
from tagtrace.linking.store import Store
from tagtrace.linking.store.checks import check_store
from tagtrace.linking.store.tables import AnalysisRow, AuditRow, PhotoRow
from tagtrace.linking.store.workbook import Spooled, Workbook
from tagtrace.scoring.progress import SilentView
from tagtrace.scoring.run import Interrupted, ScoreRequest, Summary, score_photos
from tagtrace.scoring.settings import ScoreSettings
from tagtrace.scoring.storing import StoringSettings

HERE = Path(__file__).parent
NewStore = Callable[[], str]


@pytest.fixture(scope="module")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> NewStore:
    """Makes stores with a register in them."""
    folder = tmp_path_factory.mktemp("stores")
    first = folder / "first.db"
    with Store.open(str(first), upgrade=True) as store:
        archives.listed(store, folder)

    def make() -> str:
        path = Path(tempfile.mkdtemp(dir=folder)) / "store.db"
        shutil.copy(first, path)
        return str(path)

    return make


@pytest.fixture(scope="module")
def postgresql_store(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewStore]:
    """The same in PostgreSQL."""
    import psycopg

    made: list[str] = []

    def run(command: str) -> None:
        with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as connection:
            connection.execute(command)  # type: ignore[call-overload]

    run("CREATE DATABASE archive_first")
    with Store.open(postgres_server.format(database="archive_first"), upgrade=True) as store:
        archives.listed(store, tmp_path_factory.mktemp("lists"))

    def make() -> str:
        made.append(f"archive_{len(made)}")
        run(f"CREATE DATABASE {made[-1]} TEMPLATE archive_first")
        return postgres_server.format(database=made[-1])

    yield make
    for name in (*made, "archive_first"):
        run(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def work_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "placing.db"


def check(make: NewStore, seed: int, batch: int) -> None:
    """An earlier run, then an archive in which some of its photos come again: at once, in batches, and in others."""
    rng = random.Random(seed)
    before = archives.records(rng, rng.randrange(5))
    archive = archives.records(rng, rng.randrange(1, 10)) + rng.sample(before, len(before) // 3)
    states, names = [], []
    for size in (None, batch, rng.choice((1, 2, len(archive) + 1))):
        with Store.open(make()) as store, work_file() as path:
            archives.at_once(store, before)
            photos = rng.sample(archive, len(archive))
            if size is None:
                archives.at_once(store, photos)
            else:
                placed = archives.in_batches(store, photos, size, path)
                assert placed.photos == len(archive)
                names.append(archives.names_of(store))
            states.append(archives.state_of(store))
            assert all(finding.sound for finding in check_store(store))
    assert states[0] == states[1] == states[2]
    # The ids of clusters depend on neither the order of the photos nor the batches.
    assert names[0] == names[1]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_batches_change_nothing(sqlite_store: NewStore, seed: int, batch: int) -> None:
    check(sqlite_store, seed, batch)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_batches_change_nothing_in_postgresql(postgresql_store: NewStore, seed: int, batch: int) -> None:
    check(postgresql_store, seed, batch)


def test_a_photo_that_comes_again_is_kept_as_it_is_read_now(sqlite_store: NewStore) -> None:
    """Alone it shows a misread name; with four others of the same wall it shows the name."""
    shown = [(3, "o"), (5, "m"), (7, "o"), (9, "o"), (10, "o")]
    photos = [archives.blurred("@zhanarqala", *wrong, number) for number, wrong in enumerate(shown)]
    states = []
    for size in (None, 2):
        with Store.open(sqlite_store()) as store, work_file() as path:
            archives.at_once(store, photos[:1])
            before = archives.state_of(store)["photos"][photos[0]["sha256"]]
            if size is None:
                archives.at_once(store, photos)
            else:
                archives.in_batches(store, photos, size, path)
            states.append(archives.state_of(store))
            assert states[-1]["photos"][photos[0]["sha256"]][3] != before[3]
    assert states[0] == states[1]
    assert ["zhanarqala", "+77495550001"] in [
        [value for _, value, *_ in names] for *_, [names], _ in states[0]["photos"].values()
    ]


_PLACER = """
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[5])
import archives
from tagtrace.linking.store import Store, clusters
from tagtrace.linking.store.workbook import Workbook
url, path, left, where = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

def killed(real):
    def call(*args, **more):
        global left
        left -= 1
        done = real(*args, **more)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return call

if where == "store":
    clusters.put_in = killed(clusters.put_in)
else:
    Workbook.note = killed(Workbook.note)
with Store.open(url) as store:
    archives.in_batches(store, json.loads(path.with_name("photos.json").read_text()), 2, path)
"""


def test_a_killed_process_loses_nothing_and_doubles_nothing(store_url: str, tmp_path: Path) -> None:
    """Killed again and again: before a batch is in the work file, though it is in the store, and before it is in the store."""
    rng = random.Random(7)
    photos = archives.records(rng, 9)
    with Store.open(store_url, upgrade=True) as store:
        archives.listed(store, tmp_path)
    with Store.open(str(tmp_path / "whole.db"), upgrade=True) as store:
        archives.listed(store, tmp_path)
        archives.at_once(store, photos)
        expected = archives.state_of(store)
    (tmp_path / "photos.json").write_text(json.dumps(photos))
    stops = [("work", 3), ("work", 9), ("work", 7), ("store", 1), ("work", 1), ("store", 2), ("work", 2), ("work", 1000)]
    ended = []
    for where, left in stops:
        command = [sys.executable, "-c", _PLACER, store_url, str(tmp_path / "placing.db"), str(left), where, str(HERE)]
        ended.append(subprocess.run(command, capture_output=True, text=True, timeout=120))
        if where == "store":
            with Store.open(store_url) as store:
                assert all(finding.sound for finding in check_store(store))
    assert [done.returncode for done in ended] == [-signal.SIGKILL] * (len(stops) - 1) + [0], ended[-1].stderr
    with Store.open(store_url) as store:
        assert archives.state_of(store) == expected
        assert all(finding.sound for finding in check_store(store))
        with store.read() as session:
            put = select(func.count()).select_from(AuditRow).where(AuditRow.action == "analysis.put")
            assert session.scalar(put) == session.scalar(select(func.count()).select_from(PhotoRow)) == len(photos)


@pytest.mark.parametrize("after", [1, 4, 11, 17])
def test_ctrl_c_is_told_and_gone_on_from(
    sqlite_store: NewStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    photos, whole, stopped = archives.records(random.Random(3), 8), sqlite_store(), sqlite_store()
    noted: list[str] = []

    def note(self: Workbook, session: object, name: str, value: str) -> None:
        noted.append(name)
        if len(noted) == after + 3:
            raise KeyboardInterrupt
        real(self, session, name, value)  # type: ignore[arg-type]

    with Store.open(whole) as one, Store.open(stopped) as other:
        archives.at_once(one, photos)
        with monkeypatch.context() as patched:
            real = Workbook.note
            patched.setattr(Workbook, "note", note)
            with pytest.raises(Interrupted, match=r"stopped while placing, .*: \d of 8 photos are done and kept"):
                archives.in_batches(other, photos, 2, tmp_path / "placing.db")
        assert archives.in_batches(other, photos, 3, tmp_path / "placing.db").photos == 8
        assert archives.state_of(one) == archives.state_of(other)


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run over a few photos, one of them broken and one with a place that a manifest tells."""
    monkeypatch.syspath_prepend(HERE)
    for number, colour in enumerate([(10, 10, 10), (20, 20, 20), (10, 10, 10), (77, 77, 77)]):
        pixels = np.random.default_rng(number).integers(0, 255, (120, 200, 3)).astype(np.uint8)
        pixels[:60, :60] = colour
        (tmp_path / "photos").mkdir(exist_ok=True)
        PilImage.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "broken.jpg").write_text("no picture")
    (tmp_path / "photos" / "empty.jpg").touch()
    (tmp_path / "manifest.csv").write_text("path,lat,lon,report_id\nphotos/0.png,43.24,76.9,R1\n", "utf-8")
    score(tmp_path, "run", None, ("results",))
    return tmp_path


def score(folder: Path, out: str, store: str | None, formats: tuple[str, ...], **more: object) -> Summary:
    request = ScoreRequest(
        (folder / "photos",), folder / out, manifest=folder / "manifest.csv", store=store, formats=formats, workers=1,
        settings=ScoreSettings(reader="fixed_reader:make"), **more,
    )  # fmt: skip
    return score_photos(request, SilentView())


def test_a_run_without_files_is_placed_in_batches(scored: Path, sqlite_store: NewStore) -> None:
    one, other = sqlite_store(), sqlite_store()
    whole = score(scored, "one", one, ("results",))
    parts = score(scored, "other", other, (), storing=StoringSettings(2), keep_photos=str(scored / "kept"))
    assert replace(whole, seconds=0, files=(), failures=()) == replace(parts, seconds=0, files=(), failures=())
    assert sorted(whole.failures) == sorted(parts.failures) and parts.files == ()
    with Store.open(one) as a, Store.open(other) as b:
        assert archives.state_of(a) == archives.state_of(b)
        with b.read() as session:
            assert all(session.scalars(select(PhotoRow.place)))
    assert not list((scored / "other" / ".tagtrace").glob("placing.db*"))
    with pytest.raises(TagtraceError, match="wants --store"):
        score(scored, "third", None, ())


@pytest.mark.parametrize("where", ["folder", "file", "memory"])
def test_a_finished_run_is_placed_without_its_photos(
    scored: Path, sqlite_store: NewStore, where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = sqlite_store(), sqlite_store()
    score(scored, "again", one, ("results",))
    shutil.rmtree(scored / "photos")
    place = {"folder": str(scored / "run"), "file": str(scored / "run" / "results.jsonl"), "memory": "memory://archive/june"}[
        where
    ]
    if where == "memory":
        fsspec.filesystem("memory").put(str(scored / "run"), "/archive/june", recursive=True)
    monkeypatch.chdir(scored)
    for _ in range(2):
        # The manifest's photo, the copies and the broken one are there once, however often they are placed.
        assert cli.run(["place", place, "--store", other, "--batch", "2"]) == ExitCode.SOME_FAILED
        assert "6 photos placed" in capsys.readouterr().out
    with Store.open(one) as a, Store.open(other) as b:
        assert archives.state_of(a) == archives.state_of(b)
        with a.read() as first, b.read() as second:
            made = select(AnalysisRow.made_by).order_by(AnalysisRow.made_by)
            assert list(first.scalars(made)) == list(second.scalars(made))


def test_what_is_no_finished_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text, told in (
        ("none", None, "holds no results.jsonl that can be read"),
        ("empty", "", "is empty; there is nothing to place"),
        ("other", '{"file": "a.jpg"}\n', "results.jsonl:1: is no line of results.jsonl"),
    ):
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "results.jsonl").write_text(text, "utf-8")
        assert cli.run(["place", str(tmp_path / name), "--store", str(tmp_path / "s.db")]) == ExitCode.USAGE
        assert told in capsys.readouterr().err
    assert not (tmp_path / "s.db").exists()


def test_known_photos_are_told_from_others(tmp_path: Path) -> None:
    known = [f"{number:064x}" for number in (0, 1, 255, 256, 1 << 255, (1 << 256) - 1, 0x80 << 120)]
    with Workbook.opened(tmp_path / "work.db") as book:
        assert known[0] not in book.known()
        book.spool([Spooled(sha256, {"sha256": sha256}) for sha256 in known])
        held = book.known()
    assert len(held) == len(known) and all(sha256 in held for sha256 in known)
    assert not any(f"{number:064x}" in held for number in (2, 257, (1 << 255) + 1, 1 << 248))
