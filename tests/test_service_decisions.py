"""Deciding: about adverts, with undo; the life of resources; what takes two people; reporters' data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import service_desk as helpers
import two_people
from sqlalchemy import select, update

from tagtrace.contract import IdentifierKind, TagtraceError
from tagtrace.linking.store import Store, audit, lists, proposals, resources
from tagtrace.linking.store import reports as report_rows
from tagtrace.linking.store import vault as vault_rows
from tagtrace.linking.store.protection import load_protection
from tagtrace.linking.store.tables import AuditRow, DecisionRow
from tagtrace.linking.store.vault import ReporterRow
from tagtrace.service import vault
from tagtrace.service.access import Role
from tagtrace.service.settings import load_settings

T = IdentifierKind.TELEGRAM


@pytest.fixture
def desk(store_url: str, tmp_path: Path) -> Iterator[Any]:
    with helpers.desk(store_url, tmp_path / "photos") as made:
        yield made


def number_of(desk: Any, value: str, kind: IdentifierKind = T) -> int:
    with desk.store.read() as session:
        return resources.find(session, [(kind, value)])[kind, value]


def test_an_expert_confirms_and_takes_it_back_and_nothing_is_deleted(desk: Any) -> None:
    expert = desk.person("aigul", Role.EXPERT)
    key = "-".join(map(str, helpers.see(desk, "tulpar_kz1")))
    made = expert.post(f"/v1/adverts/{key}/decisions", json={"verdict": "confirm", "verify": True})
    assert made.status_code == 201 and made.json()["verdict"] == "confirmed"
    resource = number_of(desk, "tulpar_kz1")
    assert expert.get(f"/v1/resources/{resource}").json()["state"] == "verified"
    assert expert.get(f"/v1/adverts/{key}").json()["review"]["id"] == made.json()["id"]
    undone = expert.post(f"/v1/decisions/{made.json()['id']}/undo")
    assert undone.status_code == 201 and undone.json()["verdict"] == "undone"
    shown = expert.get(f"/v1/adverts/{key}").json()
    assert shown["review"] is None and [r["verdict"] for r in shown["reviews"]] == ["confirmed", "undone"]
    life = expert.get(f"/v1/resources/{resource}").json()
    assert life["state"] == "identified" and {step["actor"] for step in life["steps"][1:]} == {"person 1"}
    assert expert.post(f"/v1/decisions/{made.json()['id']}/undo").status_code == 409
    assert expert.post("/v1/decisions/999/undo").status_code == 404
    assert [d["verdict"] for d in expert.get("/v1/decisions", params={"subject": "advert"}).json()["items"]] == [
        "undone",
        "confirmed",
    ]


def test_an_expert_corrects_what_was_read(desk: Any) -> None:
    expert = desk.person("aigul", Role.EXPERT)
    key = "-".join(map(str, helpers.see(desk, "tu1par_kz1")))
    wrong = {"verdict": "correct", "contacts": [{"kind": "telegram", "value": "не имя"}]}
    assert expert.post(f"/v1/adverts/{key}/decisions", json=wrong).status_code == 422
    right = {
        "verdict": "correct",
        "texts": ["@tulpar_kz1"],
        "contacts": [{"kind": "telegram", "value": "https://t.me/tulpar_kz1"}],
    }
    assert expert.post(f"/v1/adverts/{key}/decisions", json=right).status_code == 201
    with desk.store.read() as session:
        said = session.scalars(select(DecisionRow).where(DecisionRow.subject == "link")).one()
    assert (said.verdict, said.identifier_value) == ("misread", "tu1par_kz1")
    assert expert.get("/v1/resources", params={"q": "tulpar"}).json()["items"][0]["value"] == "tulpar_kz1"


def test_two_adverts_become_one_and_two_again(desk: Any) -> None:
    expert = desk.person("aigul", Role.EXPERT)
    first = "-".join(map(str, helpers.see(desk, "tulpar_kz1")))
    second = "-".join(map(str, helpers.see(desk, "berkut_zone", seed=9, place=(51.2, 71.6))))
    clusters = [expert.get(f"/v1/adverts/{key}").json()["cluster"] for key in (first, second)]
    assert clusters[0] != clusters[1]
    url = f"/v1/adverts/{second}/decisions"
    assert expert.post(url, json={"verdict": "same_as"}).status_code == 422
    made = expert.post(url, json={"verdict": "same_as", "same_as": first, "why": "same wall"})
    assert made.status_code == 201, made.text
    assert expert.get(f"/v1/clusters/{clusters[1]}").json()["redirected_from"] == clusters[1]
    assert sorted(expert.get(f"/v1/clusters/{clusters[0]}").json()["adverts"]) == sorted([first, second])
    assert expert.post(f"/v1/decisions/{made.json()['id']}/undo").status_code == 201
    assert expert.get(f"/v1/clusters/{clusters[0]}").json()["adverts"] == [first]
    assert expert.get("/v1/clusters/c-unknown").status_code == 404


def test_rejecting_needs_a_reason_and_a_colleague_cannot_take_it_back(desk: Any) -> None:
    expert, other = desk.person("aigul", Role.EXPERT), desk.person("dana", Role.EXPERT)
    key = "-".join(map(str, helpers.see(desk, "tulpar_kz1")))
    url = f"/v1/adverts/{key}/decisions"
    assert expert.post(url, json={"verdict": "reject"}).status_code == 422
    for verdict in ("reject", "not_advert", "another_photo"):
        made = expert.post(url, json={"verdict": verdict, "why": "blurred"})
        assert made.status_code == 201
    assert other.post(f"/v1/decisions/{made.json()['id']}/undo").status_code == 409
    analyst = desk.person("marat", Role.ANALYST)
    assert analyst.post(url, json={"verdict": "not_advert"}).status_code == 403
    assert expert.post(f"/v1/adverts/{'0' * 64}-0/decisions", json={"verdict": "not_advert"}).status_code == 404
    assert [a["key"] for a in analyst.get("/v1/adverts", params={"reviewed": "true"}).json()["items"]] == [key]
    assert analyst.get("/v1/adverts", params={"reviewed": "false"}).json()["items"] == []


def test_blocking_takes_two_people(desk: Any) -> None:
    first, second = desk.person("aigul", Role.EXPERT), desk.person("dana", Role.EXPERT)
    helpers.see(desk, "tulpar_kz1")
    resource = number_of(desk, "tulpar_kz1")
    steps = f"/v1/resources/{resource}/steps"
    wanted = {"action": "send", "contact": {"kind": "telegram", "value": "tulpar_kz1"}, "basis": "art. 41-1"}
    assert first.post("/v1/proposals", json=wanted).status_code == 409, "not verified yet"
    assert first.post(steps, json={"state": "verified"}).status_code == 201
    alone = first.post(steps, json={"state": "sent", "basis": "art. 41-1"})
    assert (alone.status_code, alone.json()["type"]) == (409, "urn:tagtrace:problem:needs-two-people")
    made = first.post("/v1/proposals", json=wanted)
    assert made.status_code == 201 and made.json()["state"] == "open"
    assert first.post("/v1/proposals", json=wanted).status_code == 409, "open already"
    approve = f"/v1/proposals/{made.json()['id']}/approve"
    own = first.post(approve)
    assert own.status_code == 409 and "another person" in own.json()["detail"]
    again = desk.sign_in("aigul")
    assert again.post(approve).status_code == 409, "another session is not another person"
    assert desk.person("boss", Role.ADMINISTRATOR).post(approve).status_code == 403
    assert first.get(f"/v1/resources/{resource}").json()["state"] == "verified"
    done = second.post(approve)
    assert done.status_code == 200 and done.json()["decided_by"] == "person 2"
    assert first.get(f"/v1/resources/{resource}").json()["state"] == "sent"
    assert second.post(approve).status_code == 409, "approved already"
    assert first.post(steps, json={"state": "blocked", "basis": "order"}).status_code == 409, "needs the order's number"
    assert first.post(steps, json={"state": "blocked", "basis": "order", "order_number": "12/3"}).status_code == 201
    assert first.post(steps, json={"state": "restored", "basis": "removed"}).status_code == 201
    assert second.get("/v1/proposals", params={"state": "approved"}).json()["items"][0]["actor"] == "person 1"


def test_the_store_itself_asks_for_two_people(store: Store) -> None:
    def step(actor: str, do: Any) -> Any:
        return store.write(do, actor)

    now = datetime.now(UTC)
    first, second = two_people.person(store, "aigul"), two_people.person(store, "dana")
    step("x", lambda s: resources.register(s, [(T, "tulpar_kz1")], "test"))
    step("x", lambda s: resources.set_state(s, T, "tulpar_kz1", resources.ResourceState.VERIFIED))
    made = step(first, lambda s: proposals.propose(s, proposals.Action.SEND, T, "tulpar_kz1", "basis", now))
    with pytest.raises(TagtraceError, match="another person"):
        step(first, lambda s: proposals.approve(s, made.id, now))
    step(first, lambda s: proposals.decline(s, made.id, "too early", now))
    with pytest.raises(TagtraceError, match="declined already"):
        step(second, lambda s: proposals.approve(s, made.id, now))


def test_overriding_protection_takes_two_people_and_never_frees_a_shared_host(desk: Any) -> None:
    first, second = desk.person("aigul", Role.EXPERT), desk.person("dana", Role.EXPERT)
    alike = "sko_narkohe1p_bot"
    contact = {"kind": "telegram", "value": alike}
    wanted = {"action": "unprotect", "contact": contact, "basis": "a copy that sells; letter 7"}
    with desk.store.begin("tests") as session:
        resources.register(session, [(T, alike)], "test")
        assert load_protection(session).covers(T, alike)
    for value in ("t.me", "t.me/", "https://www.t.me"):
        shared = {**wanted, "contact": {"kind": "url", "value": value}}
        assert first.post("/v1/proposals", json=shared).status_code in (409, 422)
    assert first.post("/v1/proposals", json={**wanted, "contact": {**contact, "value": "tulpar_kz1"}}).status_code == 409
    made = first.post("/v1/proposals", json=wanted).json()
    assert first.post(f"/v1/proposals/{made['id']}/approve").status_code == 409
    with desk.store.read() as session:
        assert load_protection(session).covers(T, alike)
    assert second.post(f"/v1/proposals/{made['id']}/approve").status_code == 200
    with desk.store.read() as session:
        protection = load_protection(session)
        assert not protection.covers(T, alike) and protection.covers(T, "sko_narkohelp_bot")
    with desk.store.begin("person 1") as session:
        assert proposals.protect_again(session, T, alike, "was wrong")
    with desk.store.read() as session:
        assert load_protection(session).covers(T, alike) and audit.verify_audit(session) is None


def report(desk: Any, **reporter: str) -> str:
    made = report_rows.NewReport("city", "api", web=("https://t.me/tulpar_kz1",))
    keep = vault.keeper(desk.settings)
    assert keep is not None

    def take(session: Any) -> str:
        number = report_rows.accept(session, made, datetime.now(UTC), report_rows.timedelta(days=1)).id
        keep(session, number, reporter)
        return number

    return str(desk.store.write(take, "key 1"))


def test_reporters_are_encrypted_read_with_a_reason_and_erased(desk: Any) -> None:
    intake = desk.person("aigul", Role.INTAKE)
    number = report(desk, name="Invented Person", phone="+77010000000")
    with desk.store.read() as session:
        row = session.scalars(select(ReporterRow)).one()
        assert b"Invented" not in row.sealed and b"7701" not in row.sealed
        before = len(list(session.scalars(select(AuditRow).where(AuditRow.action == "reporter.read"))))
    url = f"/v1/reports/{number}/reporter"
    assert intake.post(f"{url}/read", json={"why": ""}).status_code == 422
    assert intake.post(f"{url}/read", json={"why": "call back"}).json()["phone"] == "+77010000000"
    for role in (Role.EXPERT, Role.ANALYST, Role.ADMINISTRATOR):
        assert desk.person(f"p-{role}", role).post(f"{url}/read", json={"why": "curious"}).status_code == 403
    with desk.store.read() as session:
        reads = list(session.scalars(select(AuditRow).where(AuditRow.action == "reporter.read")))
        assert len(reads) == before + 1 and (reads[-1].actor, reads[-1].object) == ("person 1", f"report {number}")
        assert "call back" in reads[-1].details
        assert not any("7701" in entry.details for entry in session.scalars(select(AuditRow)))
    assert intake.post(f"{url}/erase", json={"why": "asked"}).status_code == 204
    assert intake.post(f"{url}/read", json={"why": "call back"}).json() == {"name": None, "phone": None, "email": None}
    assert intake.post(f"/v1/reports/{'0' * 28}/reporter/read", json={"why": "x"}).status_code == 404


def test_sealed_data_is_bound_to_its_report_and_keys_rotate(desk: Any) -> None:
    first, second = report(desk, name="Invented One"), report(desk, name="Invented Two")
    with desk.store.begin("tests") as session:
        stolen = session.get_one(ReporterRow, second).sealed
        session.execute(update(ReporterRow).where(ReporterRow.report_id == first).values(sealed=stolen))
    with pytest.raises(TagtraceError, match="altered"):
        vault.read(desk.store, desk.settings, first, "test", "tests")
    desk.store.write(lambda s: vault_rows.erase(s, first, "damaged"), "tests")
    new = "v2:" + helpers.VAULT.partition(":")[2][::-1].lstrip("=") + "="
    both = load_settings(environment="development", vault_keys=f"{new},{helpers.VAULT}")
    assert vault.Vault(both).rotate(desk.store) == 1 and vault.Vault(both).rotate(desk.store) == 0
    only_new = load_settings(environment="development", vault_keys=new)
    assert vault.read(desk.store, only_new, second, "test", "tests") == {"name": "Invented Two"}
    with pytest.raises(TagtraceError, match="vault key 'v2'"):
        vault.read(desk.store, desk.settings, second, "test", "tests")
    for wrong in ("v1", "v1:AAAA", f"{helpers.VAULT},{helpers.VAULT}"):
        with pytest.raises(TagtraceError, match="VAULT_KEYS"):
            load_settings(environment="development", vault_keys=wrong)


def test_lists_go_page_by_page_and_filter(desk: Any) -> None:
    analyst = desk.person("marat", Role.ANALYST)
    for number in range(5):
        helpers.see(desk, f"tulpar_kz{number}", seed=number, place=(51.0 + number / 10, 71.0))
    seen: list[str] = []
    cursor = None
    while True:
        page = analyst.get("/v1/adverts", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["contacts"][0]["value"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"tulpar_kz{number}" for number in (4, 3, 2, 1, 0)]
    box = {"box": "70.9,51.05,71.1,51.25"}
    assert [a["contacts"][0]["value"] for a in analyst.get("/v1/adverts", params=box).json()["items"]] == [
        "tulpar_kz2",
        "tulpar_kz1",
    ]
    assert len(analyst.get("/v1/clusters", params=box).json()["items"]) == 2
    assert [r["value"] for r in analyst.get("/v1/resources", params={"q": "тulраr_кz3"}).json()["items"]] == ["tulpar_kz3"]
    assert len(analyst.get("/v1/resources", params={"state": ["identified"], "limit": 3}).json()["items"]) == 3
    assert analyst.get("/v1/resources", params={"state": ["sent", "blocked"]}).json()["items"] == []
    for bad in ({"cursor": "!!"}, {"cursor": "bnVsbA"}, {"cursor": "InRleHQi"}, {"box": "5,5,1,1"}, {"limit": 0}):
        assert analyst.get("/v1/adverts", params=bad).status_code == 422, bad
    assert analyst.get("/v1/shops").json() == {"items": [], "next": None}
    with desk.store.read() as session:
        assert lists.shops(session, "x", None, 5) == []


def test_the_funnel_counts_what_happened(desk: Any, tmp_path: Path) -> None:
    expert = desk.person("aigul", Role.EXPERT)
    first = helpers.see(desk, "tulpar_kz1")
    helpers.see(desk, "tulpar_kz1", seed=1)
    helpers.see(desk, "berkut_zone", seed=2, place=None)
    report(desk)
    assert expert.post(f"/v1/adverts/{first[0]}-0/decisions", json={"verdict": "confirm", "verify": True}).status_code == 201
    shown = expert.get("/v1/statistics").json()
    assert (shown["adverts"], shown["clusters"], shown["duplicates"]) == (3, 2, 1)
    assert shown["funnel"]["reported"] == 1 and shown["funnel"]["verified"] == 1 and shown["funnel"]["sent"] == 0
    told = {name: shown["quality"][name] for name in ("confirmed", "corrected", "rejected", "not_advert", "right")}
    assert told == {"confirmed": 1, "corrected": 0, "rejected": 0, "not_advert": 0, "right": 1.0}
    assert shown["hours"]["identified_to_verified"] is not None and shown["hours"]["sent_to_blocked"] is None
    assert [week["reported"] for week in shown["weeks"]] == [1]
    assert [(d["adverts"], d["clusters"]) for d in shown["districts"] if d["district"]] == [(2, 1)]
    old = {"since": "2020-01-01T00:00:00Z", "until": "2020-02-01T00:00:00Z"}
    assert expert.get("/v1/statistics", params=old).json()["adverts"] == 0
    assert expert.get("/v1/statistics", params={"since": old["until"], "until": old["since"]}).status_code == 422


def test_districts_are_those_of_a_file(tmp_path: Path) -> None:
    import json

    from tagtrace.service.districts import district_of

    ring = [[71.0, 51.0], [72.0, 51.0], [72.0, 52.0], [71.0, 52.0], [71.0, 51.0]]
    area = {"type": "Feature", "properties": {"name": "Байқоңыр"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path = tmp_path / "d.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [area]}), encoding="utf-8")
    name_of = district_of(load_settings(environment="development", districts=str(path)))
    assert name_of(51.5, 71.5) == "Байқоңыр" and name_of(43.2, 76.9) == ""
    with pytest.raises(TagtraceError, match="no such file"):
        load_settings(environment="development", districts=str(tmp_path / "none"))
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(TagtraceError, match="no GeoJSON"):
        from tagtrace.service import districts

        districts._polygons.cache_clear()
        district_of(load_settings(environment="development", districts=str(path)))


def test_suggestions_for_a_point_a_photo_and_a_contact(desk: Any) -> None:
    analyst = desk.person("marat", Role.ANALYST)
    first = helpers.see(desk, "tulpar_kz1")
    helpers.see(desk, "berkut_zone", seed=2, place=(51.1281, 71.4301))
    helpers.see(desk, "far_away_kz", seed=5, place=(43.2, 76.9))

    def ask(**params: Any) -> list[Any]:
        answer = analyst.get("/v1/suggestions", params=params)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    here = ask(lat=51.1280, lon=71.4300)
    assert len(here) == 2 and here[0]["advert"] == f"{first[0]}-0" and here[0]["metres"] < 1 < here[1]["metres"] < 30
    assert here[0]["crop"].endswith(f"/v1/adverts/{first[0]}-0/crop")
    assert [item["advert"] for item in ask(kind="telegram", value="@tulpar_kz1")] == [f"{first[0]}-0"]
    assert ask(kind="telegram", value="tulpar_kz2") == []
    assert len(ask(photo=first[0])) == 1
    for wrong in ({}, {"lat": 1}, {"kind": "telegram"}, {"kind": "telegram", "value": "не имя"}):
        assert analyst.get("/v1/suggestions", params=wrong).status_code == 422
    assert analyst.get("/v1/suggestions", params={"photo": "0" * 64}).status_code == 404
