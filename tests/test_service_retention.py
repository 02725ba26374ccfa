"""How long what is kept: personal data, photos, and photos of adverts that nobody has decided about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import service_desk as helpers
from sqlalchemy import delete, select, update

from tagtrace import cli
from tagtrace.contract import IdentifierKind
from tagtrace.linking.store import audit, lists, queue_rows, resources, reviews
from tagtrace.linking.store import reports as report_rows
from tagtrace.linking.store import vault as vault_rows
from tagtrace.linking.store.cluster_tables import SightingRow
from tagtrace.linking.store.clusters import clusters_of
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.linking.store.tables import AuditRow
from tagtrace.service import retention, vault

T = IdentifierKind.TELEGRAM


@pytest.fixture
def desk(store_url: str, tmp_path: Path) -> Iterator[Any]:
    with helpers.desk(store_url, tmp_path / "photos") as made:
        yield made


def report(desk: Any, **reporter: str) -> str:
    made = report_rows.NewReport("city", "api", web=("https://t.me/tulpar_kz1",))
    keep = vault.keeper(desk.settings)
    assert keep is not None

    def take(session: Any) -> str:
        number = report_rows.accept(session, made, datetime.now(UTC), report_rows.timedelta(days=1)).id
        keep(session, number, reporter)
        return number

    return str(desk.store.write(take, "key 1"))


def test_what_has_been_kept_long_enough_is_erased_and_evidence_is_not(desk: Any) -> None:
    files = PhotoFiles(desk.settings.photos)
    kept, gone = helpers.see(desk, "tulpar_kz1")[0], helpers.see(desk, "berkut_zone", seed=3)[0]
    empty = files.put(b"no advert in it")
    number = report(desk, name="Invented Person")
    with desk.store.begin("tests") as session:
        resources.set_state(session, T, "tulpar_kz1", resources.ResourceState.VERIFIED)
        row = {"sha256": empty, "place": files.url, "received_at": datetime.now(UTC), "name": ""}
        session.add(lists.PhotoRow(**row))
        session.execute(update(report_rows.ReportRow).values(text="my neighbour", address="my house"))

    def after(days: int, dry: bool = False) -> dict[str, int]:
        return retention.run(desk.store, files, desk.settings, datetime.now(UTC) + timedelta(days=days), dry=dry)

    assert not any(after(20).values()) and not any(after(20, dry=True).values())
    foreseen = after(200, dry=True)
    assert foreseen["empty photos"] == 1 and foreseen["reporters"] == 1 and empty in files
    assert after(200) == foreseen
    assert empty not in files and kept in files and gone in files
    with desk.store.read() as session:
        assert not vault_rows.has(session, number) and report_rows.get_report(session, number).text == "my neighbour"
    assert after(2000)["photos"] == 0 and gone in files, "nobody has decided about what it shows"
    with desk.store.begin("tests") as session:
        reviews.record(session, (gone, 0), reviews.Word.REJECTED, "too old")
    assert after(2000)["photos"] == 1
    assert kept in files and gone not in files, "only the one that shows a verified resource is kept"
    with desk.store.read() as session:
        assert report_rows.get_report(session, number).text == "" and lists.photo(session, gone).place == ""
        said = {row.action for row in session.scalars(select(AuditRow).where(AuditRow.actor == "retention"))}
        assert {"photo.erase", "reporter.erase", "report.words"} <= said and audit.verify_audit(session) is None
    assert not any(after(2000).values()), "done twice it changes nothing more"


def test_photos_of_adverts_that_nobody_has_decided_about_are_kept_until_a_second_limit(desk: Any) -> None:
    """Open, waiting for another photo, another sighting of an open cluster: all stay until they are decided or very old."""
    files, word = PhotoFiles(desk.settings.photos), reviews.Word
    first = [helpers.see(desk, "tulpar_kz1", seed=seed) for seed in range(2)]
    asked, decided, alone = (helpers.see(desk, name, seed=n) for n, name in enumerate(("berkut_zone", "sunkar_q", "arlan_w"), 2))
    with desk.store.begin("tests") as session:
        reviews.record(session, asked, word.ANOTHER_PHOTO)
        reviews.record(session, decided, word.REJECTED, "too old")
        # A photo that was scored and not placed: its advert is in no cluster.
        queue_rows.touch(session, photos=[alone[0]], clusters=clusters_of(session, [alone]).values())
        session.execute(delete(SightingRow).where(SightingRow.photo == alone[0]))

    def after(days: int, dry: bool = False) -> dict[str, int]:
        done = retention.run(desk.store, files, desk.settings, datetime.now(UTC) + timedelta(days=days), dry=dry)
        return {name: done[name] for name in ("photos", "undecided photos")}

    limit, last = desk.settings.keep_photo_days, desk.settings.keep_undecided_photo_days
    assert after(limit + 1, dry=True) == after(limit + 1) == {"photos": 1, "undecided photos": 0}
    assert decided[0] not in files and all(key[0] in files for key in (*first, asked, alone))
    with desk.store.begin("tests") as session:
        reviews.record(session, first[0], word.REJECTED, "blurred")
    assert after(limit + 1) == {"photos": 2, "undecided photos": 0}, "its cluster is decided with it"
    with desk.store.begin("tests") as session:
        said = {row.object for row in session.scalars(select(AuditRow).where(AuditRow.actor == "retention"))}
    assert said == {f"photo {key[0]}" for key in (*first, decided)}
    assert after(last - 1)["undecided photos"] == 0
    assert after(last + 1, dry=True) == after(last + 1) == {"photos": 0, "undecided photos": 2}
    assert not any(key[0] in files for key in (asked, alone))


def test_the_limit_for_undecided_photos_is_told_and_cannot_be_the_shorter_one(
    desk: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["retention", "run", "--dry-run", "--store", desk.settings.store, "--photos", desk.settings.photos]
    monkeypatch.setenv("TAGTRACE_ENVIRONMENT", "development")
    assert cli.run(given) == 0
    assert "undecided photos: 0 would be erased (TAGTRACE_KEEP_UNDECIDED_PHOTO_DAYS=3650)" in capsys.readouterr().out
    monkeypatch.setenv("TAGTRACE_KEEP_UNDECIDED_PHOTO_DAYS", "0")
    assert cli.run(given) == 0
    assert "undecided photos: none erased" in capsys.readouterr().out
    for undecided, decided in (("100", "200"), ("100", "0")):
        monkeypatch.setenv("TAGTRACE_KEEP_UNDECIDED_PHOTO_DAYS", undecided)
        monkeypatch.setenv("TAGTRACE_KEEP_PHOTO_DAYS", decided)
        assert cli.run(given) == 2
        assert "TAGTRACE_KEEP_UNDECIDED_PHOTO_DAYS must be" in capsys.readouterr().err
