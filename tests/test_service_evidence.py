"""Pictures that may be shown, and evidence packs: what is in them, and that a change to them shows."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sqlite3
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import service_desk as helpers
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFilter
from sqlalchemy import select

from tagtrace.cli import run
from tagtrace.contract import IdentifierKind
from tagtrace.linking.store import reports as report_rows
from tagtrace.linking.store import resources
from tagtrace.linking.store.analyses import forget_photo
from tagtrace.linking.store.tables import AuditRow
from tagtrace.service import pictures, vault
from tagtrace.service.access import Role
from tagtrace.service.evidence import pdf

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
    assert [(d["subject"], d["verdict"]) for d in case["decisions"]] == [("resource", "sells"), ("advert", "confirmed")]
    assert case["audit_head"]["intact"]
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


def rewritten(path: Path, change: Any) -> Path:
    """The pack with its case changed, and with lists of files that say so: as somebody without the store can make it."""
    other = path.with_name("rewritten.zip")
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    case, manifest = json.loads(files["case.json"]), json.loads(files["manifest.json"])
    change(case)
    files["case.json"] = json.dumps(case).encode()
    sums = sorted((name, data) for name, data in files.items() if name not in ("manifest.json", "SHA256SUMS"))
    files["SHA256SUMS"] = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sums).encode()
    for name in ("case.json", "SHA256SUMS"):
        manifest["files"][name] = {"sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
    files["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(other, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return other


def long_story(desk: Any, tmp_path: Path) -> tuple[Path, Path]:
    """A store in which clusters were merged and parted, decisions undone, a reading corrected, a resource sent by two people, a
    reporter's data and a photo erased; and the packs of the resource and of the cluster."""
    first, second = desk.person("aigul", Role.EXPERT), desk.person("dana", Role.EXPERT)
    intake = desk.person("ivan", Role.INTAKE)
    photos = [
        helpers.see(desk, "tulpar_kz1"),
        helpers.see(desk, "tu1par_kz1", seed=9, place=(51.2, 71.6)),
        helpers.see(desk, "berkut_zone", seed=5, place=(51.3, 71.8)),
        helpers.see(desk, "tulpar_kz1", seed=7, place=(51.4, 72.0)),
    ]
    names = ["-".join(map(str, key)) for key in photos]
    made = report_rows.NewReport("city", "api", files=(report_rows.NewFile(photos[0][0], 10),))
    keep = vault.keeper(desk.settings)
    assert keep is not None

    def take(session: Any) -> str:
        number = report_rows.accept(session, made, datetime.now(UTC), timedelta(days=1)).id
        keep(session, number, {"name": "Invented Person", "phone": "+77010000000"})
        return str(number)

    number = desk.store.write(take, "key 1")
    assert intake.post(f"/v1/reports/{number}/reporter/erase", json={"why": "asked on the phone"}).status_code == 204

    def say(client: Any, name: str, **given: Any) -> int:
        answer = client.post(f"/v1/adverts/{name}/decisions", json=given)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    say(first, names[0], verdict="confirm", verify=True)
    contacts = [{"kind": "telegram", "value": "tulpar_kz1"}]
    wrong = say(second, names[1], verdict="not_advert", why="a shop sign")
    assert second.post(f"/v1/decisions/{wrong}/undo").status_code == 201
    say(first, names[1], verdict="correct", texts=["@tulpar_kz1"], contacts=contacts, why="a l is a 1")
    say(first, names[1], verdict="same_as", same_as=names[0])
    parted = say(second, names[2], verdict="same_as", same_as=names[0], why="one wall")
    assert second.post(f"/v1/decisions/{parted}/undo").status_code == 201
    wanted = {"action": "send", "contact": contacts[0], "basis": "art. 41-1"}
    proposal = first.post("/v1/proposals", json=wanted).json()["id"]
    assert second.post(f"/v1/proposals/{proposal}/approve").status_code == 200
    desk.store.write(lambda s: forget_photo(s, photos[3][0], "asked"), "retention")
    with desk.store.read() as session:
        resource = resources.find(session, [(T, "tulpar_kz1")])[T, "tulpar_kz1"]
    cluster = first.get(f"/v1/adverts/{names[0]}").json()["cluster"]
    packs = []
    for place in (f"resources/{resource}", f"clusters/{cluster}"):
        answer = first.get(f"/v1/{place}/evidence", params={"lang": "ru", "originals": "true"})
        assert answer.status_code == 200, answer.text
        packs.append(tmp_path / f"{place.partition('/')[0]}.zip")
        packs[-1].write_bytes(answer.content)
    return packs[0], packs[1]


def test_a_pack_of_a_long_story_verifies_by_itself(desk: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packs = long_story(desk, tmp_path)
    for path in packs:
        assert run(["audit", "verify", str(path)]) == 0, capsys.readouterr().out
        with zipfile.ZipFile(path) as archive:
            everything = b"".join(archive.read(name) for name in archive.namelist() if not name.startswith("originals/"))
            case = json.loads(archive.read("case.json"))
            archive.extractall(tmp_path / path.stem)
        assert (
            b"Invented Person" not in everything and b"77010000000" not in everything and b"asked on the phone" not in everything
        )
        done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / path.stem, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        assert len(case["adverts"]) == 2, "the corrected one is in it, the erased one is not"
        assert sorted(c["value"] for a in case["adverts"] for c in a["contacts_read"]) == ["tu1par_kz1"]
        assert [d["verdict"] for d in case["decisions"] if d["subject"] == "advert"] == [
            "confirmed",
            "not_advert",
            "undone",
            "corrected",
            "same_as",
        ]
        (family,) = case["clusters"]
        assert len(family["former_ids"]) == 2, "what was parted again has a new id"
        assert {"merged", "split"} <= {event["kind"] for event in family["events"]}
        assert {"clusters.merge", "resource.state", "proposal.approved"} <= {entry["action"] for entry in case["audit"]}
        assert case["proposals"][0]["actor"] != case["proposals"][0]["decided_by"]
    assert run(["audit", "verify", str(packs[0]), "--store", str(tmp_path / "store.db")]) == 0


def test_who_rewrites_a_case_and_its_lists_is_found_out_by_the_entries(desk: Any, tmp_path: Path) -> None:
    path, _ = long_story(desk, tmp_path)

    def other_person(case: Any) -> None:
        next(d for d in case["decisions"] if d["verdict"] == "corrected")["actor"] = "person 2"

    def other_contact(case: Any) -> None:
        next(d for d in case["decisions"] if d["verdict"] == "corrected")["details"]["contacts"] = [["telegram", "berkut_zone"]]

    def other_order(case: Any) -> None:
        case["resources"][0]["life"][-1]["basis"] = "art. 99"

    def one_person(case: Any) -> None:
        case["proposals"][0]["decided_by"] = case["proposals"][0]["actor"]

    def less(case: Any) -> None:
        case["decisions"] = [d for d in case["decisions"] if d["verdict"] != "undone"]

    def entry(case: Any) -> None:
        case["audit"] = [e for e in case["audit"] if e["action"] != "advert.undone"]

    def nonsense(case: Any) -> None:
        case["resources"] = [1]

    assert run(["audit", "verify", str(rewritten(path, lambda case: None))]) == 0, "rewriting alone changes nothing"
    for change in (other_person, other_contact, other_order, one_person, less, entry, nonsense):
        assert run(["audit", "verify", str(rewritten(path, change))]) == 1, change.__name__


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
