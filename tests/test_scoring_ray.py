"""Runs with Ray: the same results as without, from anywhere, and nothing lost with a worker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from tagtrace.contract import BrokenInstallationError, ExitCode, FailureCode, TagtraceError
from tagtrace.scoring.places import place_of
from tagtrace.scoring.progress import SilentView
from tagtrace.scoring.run import NothingFound, ScoreRequest, Summary, score_photos
from tagtrace.scoring.settings import ScoreSettings

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "datasets" / "sample" / "photos"
SETTINGS = ScoreSettings(reader="fixed_reader:make")
JOB, SNOW, SCRIPT, BARE = (10, 10, 10), (20, 20, 20), (30, 30, 30), (77, 77, 77)
BUG, KILLER, SLOW, ACTOR_KILLER = (255, 0, 0), (254, 0, 0), (253, 0, 0), (252, 0, 0)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server of this machine, empty; its address is in the environment, as the tools of S3 take it."""
    if find_spec("moto") is None or find_spec("s3fs") is None:
        yield ""
        return
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def cluster(endpoint: str) -> Iterator[None]:
    """One Ray for all tests here: score_photos takes the one that is there. Its workers inherit this environment."""
    from tagtrace.scoring.ray_pool import RaySettings, connect

    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(HERE)
        values = {
            "PYTHONPATH": str(HERE),
            "FIXED_READER_SLEEP": "2",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for name, value in {**values, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
            patched.setenv(name, value)
        connect(None, RaySettings())
        yield
        ray.shutdown()


Paint = Callable[..., Path]


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Make a photo that the fixed reader reads by its first pixel; the rest of it is different in each."""

    def make(name: str, colour: tuple[int, int, int]) -> Path:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(list(name.encode())).integers(60, 200, (200, 300, 3), dtype=np.uint8)
        pixels[:16, :16] = colour
        PilImage.fromarray(pixels).save(path, "PNG")
        return path

    return make


def run(tmp_path: Path, *photos: object, out: str = "out", **more: object) -> Summary:
    settings = more.pop("settings", SETTINGS)
    given = tuple(photos) or (() if "manifest" in more else (tmp_path / "photos",))
    workers = more.pop("workers", 1)
    return score_photos(
        ScoreRequest(given, tmp_path / out, **{"engine": "ray", "settings": settings, "workers": workers, **more}), SilentView()
    )


def timeless(path: Path) -> list[dict]:
    """Records of ``results.jsonl`` or ``predictions.jsonl`` without what differs between two runs by nature."""
    return [{**json.loads(line), "seconds": 0, "stages": {}} for line in path.read_text("utf-8").splitlines()]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_results_are_those_of_the_local_engine(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for path in sorted(SAMPLE.iterdir())[:6]:
        shutil.copy(path, tmp_path / "photos")
    (tmp_path / "photos" / "empty.jpg").touch()
    done = {engine: run(tmp_path, engine=engine, out=engine, settings=ScoreSettings()) for engine in ("local", "ray")}
    assert replace(done["local"], seconds=0, files=()) == replace(done["ray"], seconds=0, files=())
    assert done["ray"].identifiers > 0 and len(done["ray"].failures) == 1
    local, spread = tmp_path / "local", tmp_path / "ray"
    for name in ("predictions.jsonl", "results.jsonl"):
        assert timeless(local / name) == timeless(spread / name)
    for name in ("identifiers.csv", "clusters.csv", "adverts.geojson", "report.html"):
        assert (local / name).read_bytes() == (spread / name).read_bytes()
    for name in ("annotated", ".tagtrace/crops", ".tagtrace/features"):
        assert files(local / name) == files(spread / name) != {}
    assert not any((spread / ".tagtrace" / "annotated").iterdir())


def test_names_failures_and_copies_are_as_without(tmp_path: Path, paint: Paint) -> None:
    """Equal names of two folders, two reports of one photo, copies, files that are none, and photos that kill their process."""
    for name, colour in {"a.png": JOB, "bug.png": BUG, "killer.png": KILLER, "sub/b.png": SNOW, "bare.png": BARE}.items():
        paint(name, colour)
    (tmp_path / "photos" / "copy.png").write_bytes((tmp_path / "photos" / "a.png").read_bytes())
    (tmp_path / "photos" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    shutil.copytree(tmp_path / "photos" / "sub", tmp_path / "more")
    shutil.copy(tmp_path / "photos" / "a.png", tmp_path / "more" / "b.png")
    manifest = tmp_path / "manifest.csv"
    rows = [
        "photos/a.png,43.25,76.9,R1",
        "photos/a.png,43.25,76.9,R2",
        "none.png,,,R3",
        f"file://{tmp_path}/photos/bare.png,,,R4",
    ]
    manifest.write_text("\n".join(["path,lat,lon,report_id", *rows]), "utf-8")
    places = (tmp_path / "photos", tmp_path / "more")
    done = {
        engine: run(tmp_path, *places, engine=engine, out=engine, manifest=manifest, formats=("results", "annotated"))
        for engine in ("local", "ray")
    }
    assert replace(done["local"], seconds=0, files=()) == replace(done["ray"], seconds=0, files=())
    assert timeless(tmp_path / "local" / "results.jsonl") == timeless(tmp_path / "ray" / "results.jsonl")
    assert files(tmp_path / "local" / "annotated") == files(tmp_path / "ray" / "annotated") != {}
    assert {name: failure.code for name, failure in done["ray"].failures} == {
        "bug.png": FailureCode.INTERNAL,
        "gone.jpg": FailureCode.MISSING,
        "killer.png": FailureCode.INTERNAL,
        "none.png": FailureCode.MISSING,
    }


def test_resume_does_only_what_is_missing_or_failed(tmp_path: Path, paint: Paint) -> None:
    paint("a.png", JOB)
    bug = paint("bug.png", BUG)
    # What one engine finished the other takes over.
    first = run(tmp_path, engine="local")
    assert len(first.failures) == 1 and first.resumed == 0
    before = timeless(tmp_path / "out" / "results.jsonl")[0]
    paint("new.png", SNOW)
    bug.unlink()
    again = run(tmp_path, resume=True)
    assert (again.photos, again.resumed, again.failures) == (2, 1, ())
    journal = tmp_path / "out" / ".tagtrace" / "records.jsonl"
    assert len(journal.read_text("utf-8").splitlines()) == 3
    records = timeless(tmp_path / "out" / "results.jsonl")
    assert records[0] == before and records[1]["adverts"]
    assert run(tmp_path, resume=True, engine="local", formats=("results",)).resumed == 2


def test_a_killed_worker_loses_nothing(tmp_path: Path, paint: Paint) -> None:
    """The actor that holds slow photos is killed in the middle of its work; Ray starts another and nothing is missing."""
    for number in range(3):
        paint(f"slow{number}.png", SLOW)
    paint("z.png", JOB)
    killed: list[int] = []

    def kill() -> None:
        end = time.monotonic() + 60
        journal = tmp_path / "out" / ".tagtrace" / "records.jsonl"
        while not killed and time.monotonic() < end:
            time.sleep(0.1)
            if journal.exists():
                killed.extend(_busy_actors())
        time.sleep(0.5)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    summary = run(tmp_path, formats=("results",))
    killer.join()
    assert killed, "no worker was found to kill"
    assert (summary.photos, summary.failures, summary.adverts) == (4, (), 1)


@pytest.mark.slow
def test_a_photo_that_takes_every_worker_with_it_fails_alone(tmp_path: Path, paint: Paint) -> None:
    """As one does that fills the memory of its machine: its neighbours are scored when its batch is divided."""
    for name, colour in {"a": JOB, "killer": ACTOR_KILLER, "b": SNOW, "c": SCRIPT}.items():
        paint(f"{name}.png", colour)
    summary = run(tmp_path, formats=("results",))
    ((name, failure),) = summary.failures
    assert name == "killer.png" and failure.code is FailureCode.INTERNAL and "was lost" in failure.message
    assert summary.adverts == 3


def _busy_actors() -> list[int]:
    """Processes of Ray that have a scoring process below them."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            title = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            children = (folder / "task" / folder.name / "children").read_text().split()
        except OSError:
            continue
        if b"ray::MapWorker" in title and b"PhotoActor" in title and children:
            found.append(int(folder.name))
    return found


def test_scoring_begins_before_the_manifest_ends(tmp_path: Path, paint: Paint) -> None:
    """The manifest is a pipe whose second half is written only when a photo of the first half is done."""
    for number in range(40):
        paint(f"{number}.png", (JOB, SNOW, BARE)[number % 3])
    manifest = tmp_path / "manifest.csv"
    os.mkfifo(manifest)
    journal = tmp_path / "out" / ".tagtrace" / "records.jsonl"
    begun: list[bool] = []

    def write() -> None:
        with manifest.open("w", encoding="utf-8") as file:
            file.write("path\n" + "".join(f"photos/{number}.png\n" for number in range(20)))
            file.flush()
            end = time.monotonic() + 60
            while not (journal.exists() and journal.read_bytes().count(b"\n")) and time.monotonic() < end:
                time.sleep(0.05)
            begun.append(journal.exists() and journal.read_bytes().count(b"\n") > 0)
            file.write("".join(f"photos/{number}.png\n" for number in range(20, 40)))

    writer = threading.Thread(target=write)
    writer.start()
    summary = run(tmp_path, manifest=manifest, formats=("predictions",))
    writer.join()
    assert begun == [True], "nothing was done before the manifest was read to its end"
    assert (summary.photos, summary.failures) == (40, ())


def test_photos_behind_s3(tmp_path: Path, paint: Paint, endpoint: str) -> None:
    """The workers fetch the photos themselves; a folder, and a manifest that names one of its photos."""
    if not endpoint:
        pytest.skip("moto or s3fs is not installed")
    import s3fs

    system = s3fs.S3FileSystem()
    system.mkdir("city")
    for name, colour in {"a.png": JOB, "sub/b.png": SNOW}.items():
        system.put(str(paint(name, colour)), f"city/photos/{name}")
    system.pipe("city/photos/empty.jpg", b"")
    system.pipe("city/photos/notes.txt", b"no picture")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,report_id\ns3://city/photos/a.png,R1\ns3://city/photos/none.png,R2\n", "utf-8")
    summary = run(tmp_path, place_of("s3://city/photos"), manifest=place_of(str(manifest)), formats=("results", "report"))
    assert {name: failure.code for name, failure in summary.failures} == {
        "city/photos/none.png": FailureCode.MISSING,
        "empty.jpg": FailureCode.EMPTY,
    }
    records = {record["file"]: record for record in timeless(tmp_path / "out" / "results.jsonl")}
    assert list(records) == ["a.png", "city/photos/none.png", "empty.jpg", "sub/b.png"]
    assert records["a.png"]["report_id"] == "R1" and records["sub/b.png"]["adverts"]
    assert "data:image/jpeg" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_bad_lines_of_a_manifest_are_told_and_what_is_done_is_kept(tmp_path: Path, paint: Paint) -> None:
    paint("a.png", JOB)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,lat\nphotos/a.png,\nphotos/a.png,north\n", "utf-8")
    with pytest.raises(TagtraceError, match=r"manifest.csv:3: lat is 'north'"):
        run(tmp_path, manifest=manifest)
    assert not (tmp_path / "out" / "results.jsonl").exists()


def test_wrong_use(tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    paint("a.png", JOB)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(NothingFound, match="no photos found"):
        run(tmp_path, tmp_path / "nothing")
    with pytest.raises(TagtraceError, match="--engine ray"):
        run(tmp_path, engine="local", address="auto")
    with pytest.raises(TagtraceError, match="there is no engine 'abacus'"):
        run(tmp_path, engine="abacus")
    with pytest.raises(BrokenInstallationError, match="no_such_module"):
        run(tmp_path, settings=ScoreSettings(reader="no_such_module:make"))
    monkeypatch.setitem(sys.modules, "tagtrace.scoring.ray_pool", None)
    with pytest.raises(BrokenInstallationError, match=r"pip install 'tagtrace\[ray\]'") as caught:
        run(tmp_path)
    assert caught.value.exit_code is ExitCode.BROKEN_INSTALLATION
    assert not (tmp_path / "out").exists() or not (tmp_path / "out" / "results.jsonl").exists()
