"""Pictures that may be shown, and evidence packs: what is in them, and that a change to them shows."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import sqlite3
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFilter
from sqlalchemy import select

from tagtrace.cli import run
from tagtrace.contract import IdentifierKind
from tagtrace.linking.store import resources
from tagtrace.linking.store.tables import AuditRow
from tagtrace.service import pictures
from tagtrace.service.access import Role
from tagtrace.service.evidence import pdf

_spec = importlib.util.spec_from_file_location("tagtrace_tests_desk", Path(__file__).with_name("service_desk.py"))
assert _spec is not None and _spec.loader is not None
helpers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(helpers)
T = IdentifierKind.TELEGRAM


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Any]:
    with helpers.desk(str(tmp_path / "store.db"), tmp_path / "photos") as made:
        yield made


def plate_picture() -> PilImage.Image:
    picture = PilImage.new("RGB", (900, 700), (120, 130, 140))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((520, 500, 820, 570), fill=(245, 245, 245), outline=(10, 10, 10), width=4)
    draw.text((545, 508), "123 ABC 02", fill=(10, 10, 10), font_size=48)
    return picture.filter(ImageFilter.GaussianBlur(1.2))


def test_number_plates_are_made_unreadable_and_adverts_stay() -> None:
    pixels = np.asarray(plate_picture())
    found = pictures.cover(pixels)
    assert found.plates == 1
    inside, outside = (slice(505, 565), slice(530, 810)), (slice(0, 450), slice(0, 900))
    assert np.array_equal(found.pixels[outside], pixels[outside])
    assert found.pixels[inside].std() < 0.5 * pixels[inside].std()
    assert pictures.cover(found.pixels).plates == 0
    advert = ((500.0, 480.0), (840.0, 480.0), (840.0, 590.0), (500.0, 590.0))
    assert pictures.cover(pixels, adverts=[advert]).plates == 0


@pytest.mark.parametrize(
    ("text", "plate"),
    [
        ("123 ABC 02", True),
        ("123АВС02", True),
        ("I23 A8C 02", True),
        ("A123BC777 RUS", True),
        ("01 KG 123 ABC", True),
        ("01A123BC", True),
        ("@tulpar_kz1", False),
        ("+7 701 000 00 00", False),
        ("12345678", False),
        ("продам дом", False),
    ],
)
def test_a_line_that_is_a_plate_is_told_from_others(text: str, plate: bool) -> None:
    assert pictures.is_plate(text) is plate


def test_a_face_is_blurred_until_it_is_none() -> None:
    """The finder's boxes are covered: a second look at the covered picture finds nothing."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (400, 600, 3), np.uint8)
    before = pixels.copy()
    pictures._blur(pixels, ((100.0, 100.0), (200.0, 100.0), (200.0, 220.0), (100.0, 220.0)), 6)
    assert pixels[100:220, 100:200].std() < 0.25 * before[100:220, 100:200].std()
    assert np.array_equal(pixels[:, 210:], before[:, 210:])


def test_shown_pictures_carry_no_exif_and_originals_are_for_experts(desk: Any) -> None:
    expert, analyst = desk.person("aigul", Role.EXPERT), desk.person("marat", Role.ANALYST)
    photo, number = helpers.see(desk, "tulpar_kz1")
    for url in (f"/v1/photos/{photo}/picture", f"/v1/adverts/{photo}-{number}/crop"):
        answer = analyst.get(url)
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"
        with PilImage.open(io.BytesIO(answer.content)) as picture:
            assert not picture.getexif() and "exif" not in picture.info
        assert b"SecretCamera" not in answer.content
    assert analyst.get(f"/v1/photos/{photo}/original").status_code == 403
    given = expert.get(f"/v1/photos/{photo}/original")
    assert b"SecretCamera" in given.content and given.headers["content-type"] == "application/octet-stream"
    with desk.store.read() as session:
        said = session.scalars(select(AuditRow).where(AuditRow.action == "photo.original")).one()
    assert (said.actor, said.object) == ("person 1", f"photo {photo}")
    assert analyst.get(f"/v1/photos/{'0' * 64}/picture").status_code == 404


def packed(desk: Any, tmp_path: Path, **params: Any) -> Path:
    expert = desk.person("aigul", Role.EXPERT)
    photo, number = helpers.see(desk, "tulpar_kz1", report_id="2" * 28)
    assert expert.post(f"/v1/adverts/{photo}-{number}/decisions", json={"verdict": "confirm", "verify": True}).status_code == 201
    with desk.store.read() as session:
        resource = resources.find(session, [(T, "tulpar_kz1")])[T, "tulpar_kz1"]
    answer = expert.get(f"/v1/resources/{resource}/evidence", params=params)
    assert answer.status_code == 200, answer.text
    path = tmp_path / "pack.zip"
    path.write_bytes(answer.content)
    return path


def test_a_pack_holds_the_case_and_verifies(desk: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = packed(desk, tmp_path, originals="true", lang="kk")
    with zipfile.ZipFile(path) as archive:
        case = json.loads(archive.read("case.json"))
        names = archive.namelist()
        assert archive.read("report.pdf").startswith(b"%PDF")
        pictures_ = [archive.read(name) for name in names if name.startswith("pictures/")]
    advert = case["adverts"][0]
    assert f"originals/{advert['photo']['sha256']}" in names and len(pictures_) == 1
    assert all(b"SecretCamera" not in data for data in pictures_)
    assert advert["read"]["models"][0]["name"] == "test-reader-1" and advert["photo"]["lat"] == 51.128
    assert case["resources"][0]["state"] == "verified" and case["resources"][0]["life"][-1]["actor"] == "person 1"
    assert [d["verdict"] for d in case["decisions"]] == ["confirmed"] and case["audit_head"]["intact"]
    assert {"analysis.put", "resource.state", "advert.confirmed"} <= {entry["action"] for entry in case["audit"]}
    store = str(tmp_path / "store.db")
    assert run(["audit", "verify", str(path)]) == 0
    assert run(["audit", "verify", str(path), "--store", store]) == 0
    assert run(["audit", "verify", "--store", store]) == 0
    assert "WRONG" not in capsys.readouterr().out
    assert run(["audit", "verify"]) == 2
    assert run(["audit", "verify", store]) == 2, "no pack"


def test_every_change_to_a_pack_shows(desk: Any, tmp_path: Path) -> None:
    path = packed(desk, tmp_path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}

    def altered(**changes: bytes | None) -> int:
        other = tmp_path / "other.zip"
        with zipfile.ZipFile(other, "w") as archive:
            for name, data in {**files, **changes}.items():
                if data is not None:
                    archive.writestr(name, data)
        return run(["audit", "verify", str(other), "--store", str(tmp_path / "store.db")])

    picture = next(name for name in files if name.startswith("pictures/"))
    assert altered() == 0
    assert altered(**{"case.json": files["case.json"].replace(b"tulpar_kz1", b"tulpar_kz2")}) == 1
    assert altered(**{picture: files[picture] + b"x"}) == 1
    assert altered(**{picture: None}) == 1
    assert altered(**{"more.txt": b"x"}) == 1
    # Who changes the manifest, too, is found out by the store.
    import hashlib

    case = files["case.json"].replace(b"tulpar_kz1", b"tulpar_kz2")
    manifest = json.loads(files["manifest.json"])
    manifest["files"]["case.json"] = {"sha256": hashlib.sha256(case).hexdigest(), "bytes": len(case)}
    assert altered(**{"case.json": case, "manifest.json": json.dumps(manifest).encode()}) == 1
    # Whoever owns the file can take the guard of the log away; the chain still tells.
    with sqlite3.connect(tmp_path / "store.db") as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("UPDATE audit SET actor = 'somebody else' WHERE action = 'resource.state'")
    raw.close()
    assert altered() == 1
    assert run(["audit", "verify", "--store", str(tmp_path / "store.db")]) == 1


def test_a_cluster_has_a_pack_and_originals_are_for_experts(desk: Any) -> None:
    photo, number = helpers.see(desk, "tulpar_kz1")
    analyst = desk.person("marat", Role.ANALYST)
    cluster = analyst.get(f"/v1/adverts/{photo}-{number}").json()["cluster"]
    answer = analyst.get(f"/v1/clusters/{cluster}/evidence", params={"lang": "en"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
    assert analyst.get(f"/v1/clusters/{cluster}/evidence", params={"originals": "true"}).status_code == 403
    assert analyst.get("/v1/clusters/none/evidence").status_code == 404
    assert analyst.get("/v1/resources/999/evidence").status_code == 404


def test_the_report_has_every_word_in_every_language_and_shows_kazakh_letters(desk: Any, tmp_path: Path) -> None:
    words = tomllib.loads((Path(pdf.__file__).parent / "words.toml").read_text(encoding="utf-8"))
    assert set(words) == set(pdf.Lang) and len({frozenset(part) for part in words.values()}) == 1
    program = shutil.which("pdftotext")
    if program is None:
        pytest.skip("pdftotext is not installed (Debian package poppler-utils)")
    with zipfile.ZipFile(packed(desk, tmp_path, lang="kk")) as archive:
        (tmp_path / "report.pdf").write_bytes(archive.read("report.pdf"))
    text = subprocess.run([program, str(tmp_path / "report.pdf"), "-"], capture_output=True, text=True, check=True).stdout
    assert "Дәлелдемелер жинағы" in text and "Түсірілген уақыты" in text and "tulpar_kz1" in text
