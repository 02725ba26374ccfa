"""People: signing in and out, locks, forged requests, and who manages whom."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import service_desk as helpers
from sqlalchemy import select, update

from tagtrace.cli import run
from tagtrace.contract import TagtraceError
from tagtrace.linking.store import Store, audit
from tagtrace.linking.store import people as rows
from tagtrace.linking.store.people import PersonRow, PersonSessionRow
from tagtrace.linking.store.tables import AuditRow
from tagtrace.service.access import Role, people
from tagtrace.service.settings import load_settings

PASSWORD = helpers.PASSWORD


@pytest.fixture
def desk(store_url: str, tmp_path: Path) -> Iterator[Any]:
    with helpers.desk(store_url, tmp_path / "photos", lock_s=60.0, sign_in_attempts=3) as made:
        yield made


def test_a_session_begins_is_shown_and_ends(desk: Any) -> None:
    client = desk.person("aigul", Role.EXPERT)
    shown = client.get("/v1/session").json()
    assert (shown["login"], shown["roles"]) == ("aigul", ["expert"])
    assert client.delete("/v1/session").status_code == 204
    assert client.get("/v1/session").status_code == 401
    again, other = desk.sign_in("aigul"), desk.sign_in("aigul")
    assert other.delete("/v1/sessions").status_code == 204
    assert again.get("/v1/session").status_code == 401


def test_the_cookie_is_kept_from_scripts_and_other_sites(desk: Any, store_url: str) -> None:
    people.add(desk.store, "erlan", "", frozenset({Role.ANALYST}), PASSWORD)
    cookie = desk.client().post("/v1/session", json={"login": "erlan", "password": PASSWORD}).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
    token = re.search(r"tagtrace_session=([^;]+)", cookie)[1]  # type: ignore[index]
    with desk.store.read() as session:
        held = [(row.digest, row.person_id) for row in session.scalars(select(PersonSessionRow))]
        stored = session.scalar(select(PersonRow.password_hash))
    assert token not in repr(held) and stored.startswith("$argon2id$")
    settings = load_settings(secret="s" * 40, public_url="https://city.example")
    from fastapi import Response

    from tagtrace.service.access.sessions import NewSession, set_cookie

    answer, person = Response(), rows.Person(1, "x", "", (), datetime.now(UTC), datetime.now(UTC), None)
    set_cookie(answer, settings, NewSession("t", "d", person, datetime.now(UTC)))
    assert re.match(r"__Host-tagtrace=t;.*Path=/; SameSite=strict; Secure", answer.headers["set-cookie"])


def test_what_changes_something_needs_the_token_of_the_session(desk: Any) -> None:
    client = desk.person("aigul", Role.ADMINISTRATOR)
    token = client.headers.pop("X-CSRF-Token")
    new = {"login": "dana", "roles": ["intake"]}
    for headers in ({}, {"X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": "ә"}):
        refused = client.post("/v1/people", json=new, headers={k: v.encode() for k, v in headers.items()})
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:tagtrace:problem:csrf")
    foreign = {"X-CSRF-Token": token, "Origin": "https://evil.example"}
    assert client.post("/v1/people", json=new, headers=foreign).status_code == 403
    sign_in = {"login": "aigul", "password": PASSWORD}
    assert desk.client().post("/v1/session", json=sign_in, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post("/v1/people", json=new, headers={"X-CSRF-Token": token}).status_code == 201
    other = desk.person("marat", Role.ADMINISTRATOR).headers["X-CSRF-Token"]
    assert client.post("/v1/people", json={**new, "login": "d2"}, headers={"X-CSRF-Token": other}).status_code == 403


def test_wrong_passwords_lock_a_name_whether_somebody_has_it_or_not(desk: Any) -> None:
    people.add(desk.store, "aigul", "", frozenset({Role.EXPERT}), PASSWORD)
    client = desk.client()
    for login in ("aigul", "nobody"):
        answers = [client.post("/v1/session", json={"login": login, "password": "wrong"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert 0 < int(answers[3].headers["Retry-After"]) <= 61
        assert len({answer.json()["detail"] for answer in answers[:3]}) == 1
    right = {"login": "aigul", "password": PASSWORD}
    assert client.post("/v1/session", json=right).status_code == 429
    past = datetime.now(UTC) - timedelta(seconds=1)
    with desk.store.begin("tests") as session:
        session.execute(update(rows.SignInLockRow).values(until=past))
    assert client.post("/v1/session", json={**right, "password": "wrong"}).status_code == 401
    longer = int(client.post("/v1/session", json=right).headers["Retry-After"])
    assert 100 < longer <= 121, "each further wrong password doubles the lock"
    with desk.store.begin("tests") as session:
        session.execute(update(rows.SignInLockRow).values(until=past))
    assert client.post("/v1/session", json=right).status_code == 200
    with desk.store.read() as session:
        assert rows.get_lock(session, people._digest("aigul")) is None


def test_sessions_run_out(desk: Any) -> None:
    client = desk.person("aigul", Role.EXPERT)
    now = datetime.now(UTC)
    for values in ({"expires_at": now}, {"expires_at": now + timedelta(1), "seen_at": now - timedelta(hours=2)}):
        with desk.store.begin("tests") as session:
            session.execute(update(PersonSessionRow).values(**values))
        assert client.get("/v1/session").status_code == 401
    with desk.store.begin("tests") as session:
        session.execute(update(PersonSessionRow).values(seen_at=now))
    assert client.get("/v1/session").status_code == 200


def test_administrators_manage_people_and_one_is_always_left(desk: Any) -> None:
    boss = desk.person("aigul", Role.ADMINISTRATOR)
    made = boss.post("/v1/people", json={"login": "Dana", "name": "Dana", "roles": ["expert"]}).json()
    dana = desk.sign_in("dana", made["password"])
    number = made["id"]
    assert [p["login"] for p in boss.get("/v1/people", params={"limit": 1}).json()["items"]] == ["aigul"]
    following = boss.get("/v1/people", params={"limit": 1}).json()["next"]
    assert [p["login"] for p in boss.get("/v1/people", params={"cursor": following}).json()["items"]] == ["dana"]
    assert boss.post("/v1/people", json={"login": "dana", "roles": ["expert"]}).status_code == 409
    assert dana.get("/v1/people").status_code == 403
    assert dana.post("/v1/session/password", json={"old": "no", "new": "three green kettles"}).status_code == 401
    changed = dana.post("/v1/session/password", json={"old": made["password"], "new": "three green kettles"})
    assert changed.status_code == 204 and dana.get("/v1/session").status_code == 401
    dana = desk.sign_in("dana", "three green kettles")
    assert boss.patch(f"/v1/people/{number}", json={"active": False}).json()["active"] is False
    assert dana.get("/v1/session").status_code == 401
    assert desk.client().post("/v1/session", json={"login": "dana", "password": "three green kettles"}).status_code == 401
    me = boss.get("/v1/session").json()["person"]
    assert boss.patch(f"/v1/people/{me}", json={"roles": ["expert"]}).status_code == 409
    assert boss.patch(f"/v1/people/{me}", json={"active": False}).status_code == 409
    assert boss.patch("/v1/people/999", json={}).status_code == 404
    with desk.store.read() as session:
        assert audit.verify_audit(session) is None
        said = " ".join(f"{row.actor} {row.object} {row.details}" for row in session.scalars(select(AuditRow)))
    assert "dana" not in said.lower() and "kettle" not in said, "the log names people by number, and no passwords"


@pytest.mark.parametrize("way", ["added", "reset"])
def test_a_given_password_is_changed_before_anything_else(desk: Any, way: str) -> None:
    boss = desk.person("aigul", Role.ADMINISTRATOR)
    if way == "added":
        made = boss.post("/v1/people", json={"login": "dana", "roles": ["expert", "administrator"]}).json()
    else:
        people.add(desk.store, "dana", "", frozenset({Role.EXPERT, Role.ADMINISTRATOR}), PASSWORD)
        made = boss.post("/v1/people/2/password").json()
    assert made["must_change_password"] and len(made["password"]) >= 20
    dana = desk.sign_in("dana", made["password"])
    assert dana.get("/v1/session").json()["must_change_password"] is True
    for method, path in (("GET", "/v1/adverts"), ("GET", "/v1/people"), ("POST", "/v1/people")):
        answer = dana.request(method, path, json={"login": "x1", "roles": ["expert"]} if method == "POST" else None)
        assert answer.status_code == 403, path
        assert answer.json()["type"] == "urn:tagtrace:problem:password-change-needed"
    assert dana.get("/desk/queue", follow_redirects=False).headers["location"] == "/desk/password?next=%2Fdesk%2Fqueue"
    same = dana.post("/v1/session/password", json={"old": made["password"], "new": made["password"]})
    assert same.status_code == 409
    new = {"old": made["password"], "new": "three green kettles"}
    assert dana.post("/v1/session/password", json=new).status_code == 204
    dana = desk.sign_in("dana", "three green kettles")
    assert dana.get("/v1/session").json()["must_change_password"] is False
    assert dana.get("/v1/adverts").status_code == 200


def test_a_given_password_that_is_not_used_in_time_runs_out(desk: Any) -> None:
    people.add(desk.store, "dana", "", frozenset({Role.EXPERT}), PASSWORD, must_change=True)
    given = {"login": "dana", "password": PASSWORD}
    assert desk.client().post("/v1/session", json=given).status_code == 200
    past = datetime.now(UTC) - timedelta(days=desk.settings.first_password_days, seconds=1)
    with desk.store.begin("tests") as session:
        session.execute(update(PersonRow).values(password_at=past))
    answer = desk.client().post("/v1/session", json=given)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:tagtrace:problem:first-password-ended")


def test_nobody_raises_themselves(desk: Any) -> None:
    boss, other = desk.person("aigul", Role.ADMINISTRATOR), desk.person("dana", Role.ADMINISTRATOR, Role.EXPERT)
    raised = boss.patch("/v1/people/1", json={"roles": ["administrator", "expert"]})
    assert raised.status_code == 409 and "themselves" in raised.json()["detail"]
    assert other.patch("/v1/people/1", json={"roles": ["administrator", "expert"]}).status_code == 200
    assert other.patch("/v1/people/2", json={"roles": ["administrator"]}).status_code == 200, "giving one up is allowed"
    assert other.patch("/v1/people/2", json={"roles": ["administrator", "expert"]}).status_code == 409


def test_weak_passwords_and_odd_logins_are_refused(store: Store) -> None:
    for login, password in (
        ("aigul", "short"),
        ("aigul", "aigul-aigul-1"),
        ("aigul", "a" * 20),
        ("ai gul", PASSWORD),
        ("ә", PASSWORD),
    ):
        with pytest.raises(TagtraceError):
            people.add(store, login, "", frozenset({Role.EXPERT}), password)
    with pytest.raises(TagtraceError, match="at least one role"):
        people.add(store, "aigul", "", frozenset(), PASSWORD)


def test_the_command_line_manages_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "store.db")
    Store.open(path).close()
    assert run(["people", "add", "aigul", "--role", "administrator", "--store", path]) == 0
    first = capsys.readouterr().out.strip()
    assert run(["people", "add", "dana", "--role", "expert", "--store", path]) == 0
    assert run(["people", "reset", "aigul", "--store", path]) == 0
    second = capsys.readouterr().out.strip().splitlines()[-1]
    assert first != second
    typed = io.StringIO("four yellow kettles\n")
    monkeypatch.setattr("sys.stdin", typed)
    assert run(["people", "add", "marat", "--role", "expert", "--password-stdin", "--lasting", "--store", path]) == 0
    assert run(["people", "add", "x2", "--role", "expert", "--lasting", "--store", path]) == 2
    capsys.readouterr()
    assert run(["people", "set", "dana", "--role", "analyst", "--role", "intake", "--store", path]) == 0
    assert run(["people", "set", "dana", "--ended", "--sign-out", "--store", path]) == 0
    assert run(["people", "set", "aigul", "--ended", "--store", path]) == 2
    assert run(["people", "set", "nobody", "--ended", "--store", path]) == 2
    assert run(["people", "add", "x1", "--role", "king", "--store", path]) == 2
    assert run(["people", "list", "--store", path]) == 0
    assert "analyst, intake" in capsys.readouterr().out
    settings = load_settings(environment="development")
    with Store.open(path) as store:
        assert people.verify(store, settings, "AIGUL", second).roles == ("administrator",)
        with store.read() as session:
            assert {person.login: person.must_change for person in rows.list_people(session)} == {
                "aigul": True, "dana": True, "marat": False,
            }  # fmt: skip
