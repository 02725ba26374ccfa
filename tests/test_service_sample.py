"""The sample store: what somebody finds who tries the service for the first time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import service_desk as helpers

from tagtrace.cli import run
from tagtrace.linking.store import Store, reports
from tagtrace.linking.store.clusters import list_clusters
from tagtrace.linking.store.reports import ReportState
from tagtrace.service import sample
from tagtrace.service.access import people


def test_a_store_that_has_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "store.db")
    with Store.open(path) as store:
        people.add(store, "aigul", "", frozenset({sample.Role.EXPERT}), helpers.PASSWORD)
    assert run(["sample", "--store", path, "--photos", str(tmp_path / "photos")]) == 2
    assert "already" in capsys.readouterr().err
    assert not (tmp_path / "photos").exists()


@pytest.mark.slow
def test_the_sample_is_read_linked_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, photos, secret = str(tmp_path / "store.db"), str(tmp_path / "photos"), tmp_path / "people.txt"
    assert run(["sample", "--store", path, "--photos", photos, "--people", str(secret)]) == 0
    assert "48 of 48" in capsys.readouterr().err
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    members = {line.split()[0]: line.split()[1] for line in secret.read_text("utf-8").splitlines()}
    assert set(members) == {login for login, _, _ in sample.PEOPLE}
    with Store.open(path) as store, store.read() as session:
        found = reports.list_reports(session, owner=None, state=None, before=None, limit=100)
        assert len(found) == 48 and {report.state for report in found} == {ReportState.READ}
        assert len(list_clusters(session)) > 10
    with helpers.desk(path, Path(photos)) as desk:
        expert = desk.sign_in("expert", members["expert"])
        queue = expert.get("/desk/queue").text
        name = queue.split('data-advert="')[1].split('"')[0]
        crop = expert.get(f"/desk/adverts/{name}/crop.jpg")
        assert crop.headers["content-type"] == "image/jpeg"
        assert len(expert.get("/desk/map.json").json()["points"]) > 20
        assert desk.sign_in("admin", members["admin"]).get("/v1/people").status_code == 200
