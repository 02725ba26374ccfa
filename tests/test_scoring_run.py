"""Whole runs with real worker processes: results, failures, dying workers, resuming, stopping, a full disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags
from PIL import Image as PilImage

from tagtrace.contract import BrokenInstallationError, ExitCode, FailureCode, TagtraceError
from tagtrace.scoring.progress import SilentView
from tagtrace.scoring.run import NothingFound, ScoreRequest, Summary, score_photos
from tagtrace.scoring.settings import RunSettings, ScoreSettings

HERE = Path(__file__).parent
READER = "fixed_reader:make"
SETTINGS = ScoreSettings(reader=READER)
SHOPS = "shop_id,shop_name,kind,value,first_seen,status\nA,Тұлпар,telegram,tulpar_kz1,2025-01-01,active\n"
JOB, SNOW, SCRIPT, BARE = (10, 10, 10), (20, 20, 20), (30, 30, 30), (77, 77, 77)
BUG, KILLER, SLOW = (255, 0, 0), (254, 0, 0), (253, 0, 0)


@pytest.fixture(autouse=True)
def reader_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    # Workers inherit the module search path.
    monkeypatch.syspath_prepend(HERE)


Paint = Callable[..., Path]


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Make a photo that the fixed reader reads by its first pixel; the rest of it is different in each."""

    def make(name: str, colour: tuple[int, int, int], position: tuple[float, float] | None = None) -> Path:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(len(name) + sum(map(ord, name))).integers(60, 200, (200, 300, 3), dtype=np.uint8)
        pixels[:16, :16] = colour
        exif = PilImage.Exif()
        if position is not None:
            exif[ExifTags.Base.Orientation] = 1
            exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (position[0], 0.0, 0.0), 3: "E", 4: (position[1], 0.0, 0.0)})
        PilImage.fromarray(pixels).save(path, "PNG", exif=exif)
        return path

    return make


def run(tmp_path: Path, *photos: Path, out: str = "out", **more: object) -> Summary:
    settings = more.pop("settings", SETTINGS)
    request = ScoreRequest(tuple(photos) or (tmp_path / "photos",), tmp_path / out, settings=settings, **more)
    return score_photos(request, SilentView())


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def timeless(path: Path) -> list[dict]:
    """Records of a ``results.jsonl`` without what differs between two runs by nature."""
    return [{**record, "seconds": 0, "stages": {}} for record in lines(path)]


def test_a_whole_run(tmp_path: Path, paint: Paint) -> None:
    paint("a.png", JOB, (43.25, 76.9))
    paint("sub/b.png", SNOW, (43.25, 76.9))
    paint("bare.png", BARE)
    (tmp_path / "photos" / "empty.jpg").touch()
    (tmp_path / "photos" / "not.jpg").write_text("no picture")
    (tmp_path / "shops.csv").write_text(SHOPS, "utf-8")
    summary = run(tmp_path, shops=tmp_path / "shops.csv", workers=2)
    assert (summary.photos, summary.adverts, summary.identifiers, summary.clusters) == (5, 2, 2, 2)
    assert {name: failure.code for name, failure in summary.failures} == {
        "empty.jpg": FailureCode.EMPTY,
        "not.jpg": FailureCode.NOT_A_PICTURE,
    }
    assert summary.exit_code is ExitCode.SOME_FAILED
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        *("predictions.jsonl", "results.jsonl", "identifiers.csv", "adverts.parquet", "clusters.csv", "adverts.geojson"),
        *("report.html", "annotated", ".tagtrace"),
    }
    records = {record["file"]: record for record in lines(out / "results.jsonl")}
    assert list(records) == ["a.png", "bare.png", "empty.jpg", "not.jpg", "sub/b.png"]
    link = records["a.png"]["adverts"][0]["identifiers"][0]["link"]
    assert (link["outcome"], link["shop_id"]) == ("same", "A")
    assert records["a.png"]["lat"] == 43.25 and records["bare.png"]["adverts"] == [] and records["bare.png"]["failure"] is None
    assert "decode" in records["a.png"]["stages"]
    pictures = sorted(str(path.relative_to(out / "annotated")) for path in (out / "annotated").rglob("*.jpg"))
    assert pictures == ["a.png.jpg", "bare.png.jpg", "sub/b.png.jpg"]
    assert not PilImage.open(out / "annotated" / "a.png.jpg").getexif()
    assert not list(out.rglob("*.tmp"))


def test_order_and_workers_do_not_matter(tmp_path: Path, paint: Paint) -> None:
    photos = [paint(f"{number}.png", colour, (43.25, 76.9)) for number, colour in enumerate([JOB, SNOW, SCRIPT, JOB, SNOW, BUG])]
    run(tmp_path, *photos, out="one", workers=1)
    run(tmp_path, *reversed(photos), out="three", workers=3)
    one, three = timeless(tmp_path / "one" / "results.jsonl"), timeless(tmp_path / "three" / "results.jsonl")
    assert one == three
    assert one[0]["adverts"][0]["cluster"] == one[3]["adverts"][0]["cluster"] != one[1]["adverts"][0]["cluster"]
    for name in ("identifiers.csv", "clusters.csv", "adverts.geojson", "report.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()


def test_dying_and_failing_photos_stop_nothing(tmp_path: Path, paint: Paint) -> None:
    for name, colour in {"a": JOB, "bug": BUG, "killer": KILLER, "b": SNOW, "c": SCRIPT}.items():
        paint(f"{name}.png", colour)
    summary = run(tmp_path, workers=2, formats=("results",))
    assert {name: failure.code for name, failure in summary.failures} == dict.fromkeys(
        ("bug.png", "killer.png"), FailureCode.INTERNAL
    )
    messages = dict(summary.failures)
    assert "SIGKILL" in messages["killer.png"].message and "RuntimeError" in messages["bug.png"].message
    assert summary.adverts == 3


def test_a_hanging_worker_is_ended(tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXED_READER_SLEEP", "3600")
    paint("a.png", JOB)
    paint("hang.png", SLOW)
    settings = replace(SETTINGS, run=RunSettings(photo_timeout_s=1.0))
    summary = run(tmp_path, workers=1, formats=("results",), settings=settings)
    assert [(name, "longer than 1 s" in failure.message) for name, failure in summary.failures] == [("hang.png", True)]
    assert summary.adverts == 1


def test_the_photo_that_waits_behind_a_dead_or_hanging_one_is_scored(
    tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker has the next photo before it is done with the first: that is not lost with it."""
    monkeypatch.setenv("FIXED_READER_SLEEP", "3600")
    photos = [paint(f"{name}.png", colour) for name, colour in {"1": KILLER, "2": JOB, "3": SLOW, "4": SNOW}.items()]
    settings = replace(SETTINGS, run=RunSettings(photo_timeout_s=1.0))
    summary = run(tmp_path, *photos, workers=1, formats=("results",), settings=settings)
    assert [name for name, _ in summary.failures] == ["1.png", "3.png"]
    assert summary.adverts == 2


def test_the_time_of_a_photo_begins_when_it_is_looked_at(tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXED_READER_SLEEP", "0.7")
    photos = [paint(f"{number}.png", SLOW, (43.0 + number, 76.9)) for number in range(4)]
    settings = replace(SETTINGS, run=RunSettings(photo_timeout_s=1.2))
    assert run(tmp_path, *photos, workers=1, formats=("results",), settings=settings).failures == ()


def test_resume_does_only_what_is_missing_or_failed(tmp_path: Path, paint: Paint) -> None:
    paint("a.png", JOB)
    bug = paint("bug.png", BUG)
    first = run(tmp_path, workers=1)
    assert len(first.failures) == 1 and first.resumed == 0
    journal = tmp_path / "out" / ".tagtrace" / "records.jsonl"
    assert len(journal.read_text("utf-8").splitlines()) == 2
    before = timeless(tmp_path / "out" / "results.jsonl")[0]
    with journal.open("a", encoding="utf-8") as file:
        file.write('{"key": "cut off in the mid')
    (tmp_path / "out" / "annotated" / "a.png.jpg").unlink()
    paint("new.png", SNOW)
    bug.unlink()
    again = run(tmp_path, workers=1, resume=True)
    assert (again.photos, again.resumed, again.failures) == (2, 1, ())
    records = timeless(tmp_path / "out" / "results.jsonl")
    assert records[0] == before and records[1]["adverts"]
    assert (tmp_path / "out" / "annotated" / "a.png.jpg").is_file()
    added = [line for line in journal.read_text("utf-8").splitlines() if line.endswith("}")]
    assert len(added) == 3
    # Other settings: nothing of before counts.
    other = replace(SETTINGS, decode=replace(SETTINGS.decode, max_pixels=1_000_000))
    assert run(tmp_path, workers=1, resume=True, settings=other, formats=("results",)).resumed == 0
    # Without --resume everything is done again.
    assert run(tmp_path, workers=1, formats=("results",)).resumed == 0


def test_copies_of_a_file_are_analysed_once_and_reported_twice(tmp_path: Path, paint: Paint) -> None:
    data = paint("a.png", JOB).read_bytes()
    (tmp_path / "photos" / "copy.png").write_bytes(data)
    (tmp_path / "photos" / "z.jpg").touch()
    (tmp_path / "photos" / "y.jpg").touch()
    summary = run(tmp_path, workers=1)
    assert summary.photos == 4 and summary.adverts == 2 and summary.clusters == 1
    assert len(lines(tmp_path / "out" / ".tagtrace" / "records.jsonl")) == 2
    assert (tmp_path / "out" / "annotated" / "copy.png.jpg").is_file()
    assert all(failure.message.startswith(f"{name}:") for name, failure in summary.failures)


def test_manifest_places_and_dates_photos(tmp_path: Path, paint: Paint) -> None:
    paint("a.png", JOB, (10.0, 10.0))
    paint("b.png", JOB)
    manifest = tmp_path / "manifest.csv"
    rows = ["path,lat,lon,taken_at,report_id", "photos/a.png,43.25,76.9,2026-01-01T00:00:00Z,R1", "photos/b.png,43.25,76.9,,R2"]
    manifest.write_text("\n".join(rows), "utf-8")
    request = ScoreRequest((), tmp_path / "out", manifest=manifest, settings=SETTINGS, workers=1, formats=("results",))
    assert score_photos(request).clusters == 1
    first, second = lines(tmp_path / "out" / "results.jsonl")
    assert (first["lat"], first["report_id"], first["taken_at"]) == (43.25, "R1", "2026-01-01T00:00:00Z")
    assert first["adverts"][0]["cluster"] == second["adverts"][0]["cluster"]


def test_wrong_use_changes_nothing(tmp_path: Path, paint: Paint) -> None:
    paint("a.png", JOB)
    for more, words in (
        ({"formats": ("pdf",)}, "there is no format pdf"),
        ({"settings": ScoreSettings(reader="nobody")}, "there is no reader 'nobody'"),
        ({"shops": tmp_path / "none.csv"}, "no such shop list"),
        ({"device": "abacus"}, "there is no device 'abacus'"),
    ):
        with pytest.raises(TagtraceError, match=words) as caught:
            run(tmp_path, **more)
        assert caught.value.exit_code is ExitCode.USAGE
    with pytest.raises(BrokenInstallationError, match="no_such_module"):
        run(tmp_path, settings=ScoreSettings(reader="no_such_module:make"))
    with pytest.raises(TagtraceError, match="is no LineReader"):
        run(tmp_path, settings=ScoreSettings(reader="fixed_reader:no_reader"))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(NothingFound, match="no photos found"):
        run(tmp_path, tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(TagtraceError, match="is a file"):
        run(tmp_path, out="file")
    assert not (tmp_path / "out" / "results.jsonl").exists()


def test_only_failures_is_nothing_scored(tmp_path: Path) -> None:
    summary = run(tmp_path, tmp_path / "gone.jpg", workers=1, formats=("predictions",))
    assert summary.exit_code is ExitCode.NOTHING_SCORED
    assert lines(tmp_path / "out" / "predictions.jsonl")[0]["failure"] == "missing"


# --- as a program ---


def command(*arguments: object, **environment: str) -> list[str]:
    return [sys.executable, "-m", "tagtrace.cli", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE), **more}


def test_program_tells_what_it_did(tmp_path: Path, paint: Paint) -> None:
    paint("a.png", JOB)
    (tmp_path / "photos" / "empty.jpg").touch()
    arguments = ("score", tmp_path / "photos", "--out", tmp_path / "out", "--reader", READER, "--format", "predictions, report")
    done = subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == ExitCode.SOME_FAILED, done.stderr
    assert "2/2 photos" in done.stderr and "failed (empty): empty.jpg" in done.stderr and "1 adverts" in done.stderr
    assert "\x1b" not in done.stderr, "no terminal, no colours"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"predictions.jsonl", "report.html", ".tagtrace"}
    nothing = subprocess.run(command("score"), env=environment(), capture_output=True, text=True, timeout=400, check=False)
    assert nothing.returncode == ExitCode.USAGE and "nothing to score" in nothing.stderr


def test_interrupted_run_keeps_what_is_done(tmp_path: Path, paint: Paint) -> None:
    paint("a.png", JOB)
    paint("b.png", SNOW)
    paint("slow.png", SLOW)
    arguments = ("score", tmp_path / "photos", "--out", tmp_path / "out", "--reader", READER, "--workers", 1)
    process = subprocess.Popen(
        command(*arguments),
        env=environment(FIXED_READER_SLEEP="3600"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that run in the background of a shell inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    journal = tmp_path / "out" / ".tagtrace" / "records.jsonl"
    _wait_for(lambda: journal.exists() and journal.read_text("utf-8").count("\n") == 2)
    # As a terminal does it: to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate(timeout=300)[1]
    assert process.returncode == ExitCode.INTERRUPTED
    assert "2 of 3 photos are done and kept; go on with --resume" in told and "Traceback" not in told
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_file()] == []
    resumed = subprocess.run(
        command(*arguments, "--resume"),
        env=environment(FIXED_READER_SLEEP="0"),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert resumed.returncode == 0 and "3 photos (2 done before)" in resumed.stderr
    assert len(lines(tmp_path / "out" / "results.jsonl")) == 3


def test_two_runs_into_one_folder_are_refused(tmp_path: Path, paint: Paint) -> None:
    paint("slow.png", SLOW)
    arguments = ("score", tmp_path / "photos", "--out", tmp_path / "out", "--reader", READER, "--workers", 1)
    first = subprocess.Popen(command(*arguments), env=environment(FIXED_READER_SLEEP="3600"), stderr=subprocess.DEVNULL)
    try:
        _wait_for((tmp_path / "out" / ".tagtrace" / "lock").exists)
        time.sleep(0.2)
        with pytest.raises(TagtraceError, match="another run is writing here"):
            run(tmp_path)
    finally:
        first.kill()
        first.wait()


def test_full_disk_is_told_and_nothing_is_half_written(tmp_path: Path, paint: Paint) -> None:
    """A limit on the size of files stands for a full disk: writing fails in the same way."""
    paint("a.png", JOB)
    paint("b.png", SNOW)
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2);"
        "from tagtrace.cli import main; main()"
    )
    options = ("score", tmp_path / "photos", "--out", tmp_path / "out", "--reader", READER, "--workers", 1)
    # 60 bytes: the journal fails. 6000: the report does. Both in the main process; 3000 hits a picture in a worker.
    for limit, formats in ((60, "results"), (3000, "annotated"), (6000, "report")):
        done = subprocess.run(
            [sys.executable, "-c", program, str(limit), *map(str, options), "--format", formats],
            env=environment(PYTHONDONTWRITEBYTECODE="1"),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == ExitCode.NOTHING_SCORED, done.stderr
        assert "the disk is full" in done.stderr and "--resume" in done.stderr and "Traceback" not in done.stderr
        assert [path.name for path in (tmp_path / "out").iterdir() if path.is_file()] == []
        assert not list((tmp_path / "out").rglob("*.tmp"))


def test_workers_end_with_their_parent(tmp_path: Path, paint: Paint) -> None:
    paint("slow.png", SLOW)
    arguments = ("score", tmp_path / "photos", "--out", tmp_path / "out", "--reader", READER, "--workers", 1)
    parent = subprocess.Popen(command(*arguments), env=environment(FIXED_READER_SLEEP="1.5"), stderr=subprocess.DEVNULL)
    _wait_for(lambda: len(_children(parent.pid)) >= 1 and (tmp_path / "out" / ".tagtrace" / "records.jsonl").exists())
    children = _children(parent.pid)
    parent.kill()
    parent.wait()
    _wait_for(lambda: not any(_is_alive(child) for child in children))


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_for(condition: Callable[[], object], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_show_one_photo(tmp_path: Path, paint: Paint) -> None:
    path = paint("a.png", SCRIPT)
    (tmp_path / "shops.csv").write_text(SHOPS, "utf-8")
    arguments = ("show", path, "--reader", READER, "--shops", tmp_path / "shops.csv")
    shown = subprocess.run(
        command(*arguments, "--annotated", tmp_path / "seen.jpg"),
        env=environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert (
        "<script>alert('x')</script> @tulpar_kz2" in shown.stdout and "sibling" in shown.stdout and "Тұлпар (A)" in shown.stdout
    )
    assert PilImage.open(tmp_path / "seen.jpg").size == (300, 200)
    as_json = subprocess.run(
        command(*arguments, "--json"), env=environment(), capture_output=True, text=True, timeout=400, check=False
    )
    assert json.loads(as_json.stdout)["adverts"][0]["identifiers"][0]["value"] == "tulpar_kz2"
    missing = subprocess.run(
        command("show", tmp_path / "no.jpg", "--reader", READER),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert missing.returncode == ExitCode.NOTHING_SCORED and "missing" in missing.stdout
