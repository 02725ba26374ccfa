"""Signing in without scripts, one's password, and the pages where administrators manage people and keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import service_desk as helpers
from fastapi.testclient import TestClient
from sqlalchemy import select

from tagtrace.linking.store.tables import AuditRow
from tagtrace.service.access import Role, people

PASSWORD = helpers.PASSWORD
NEW = "three green kettles"


@pytest.fixture
def desk(store_url: str, tmp_path: Path) -> Iterator[Any]:
    with helpers.desk(store_url, tmp_path / "photos", sign_in_attempts=3, lock_s=60.0) as made:
        yield made


class Browser:
    """A person in a browser without scripts: forms are filled in as they stand in the page and sent as forms."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.page = ""

    def open(self, path: str) -> str:
        self.page = self.client.get(path).text
        return self.page

    def send(self, action: str, status: int = 200, **values: Any) -> str:
        """Send the form of the page whose action this is; hidden fields are taken from it."""
        form = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', self.page, re.DOTALL)
        assert form is not None, f"no form for {action}"
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[1]))
        answer = self.client.post(action, data={**hidden, **values})
        assert answer.status_code == status, answer.text
        self.page = answer.text
        return self.page

    def sign_in(self, login: str, password: str, path: str = "/desk/queue", status: int = 200) -> str:
        self.open(path)
        return self.send("/desk/sign-in", status, login=login, password=password)


def browser(desk: Any, login: str = "", password: str = PASSWORD) -> Browser:
    made = Browser(desk.client())
    if login:
        made.sign_in(login, password)
    return made


def secret(page: str) -> str:
    found = re.search(r'<code class="secret">([^<]+)</code>', page)
    assert found is not None
    return found[1]


def actions(desk: Any) -> list[str]:
    with desk.store.read() as session:
        return [row.action for row in session.scalars(select(AuditRow).order_by(AuditRow.number))]


def test_signing_in_and_out_needs_no_script(desk: Any) -> None:
    people.add(desk.store, "aigul", "", frozenset({Role.EXPERT}), PASSWORD)
    guest = browser(desk)
    assert "Неверное имя или пароль" in guest.sign_in("aigul", "wrong", "/desk/shops", 401)
    assert 'value="aigul"' in guest.page and "wrong" not in re.sub(r'class="[^"]*"', "", guest.page)
    page = guest.send("/desk/sign-in", login="aigul", password=PASSWORD)
    assert "Магазины" in page, "the page that was asked for at first"
    guest.send("/desk/sign-out")
    assert guest.client.get("/desk/shops", follow_redirects=False).status_code == 303
    for _ in range(3):
        guest.open("/desk/sign-in")
        guest.send("/desk/sign-in", 401, login="aigul", password="wrong")
    assert "Слишком много" in guest.send("/desk/sign-in", 429, login="aigul", password=PASSWORD)


def test_no_other_site_signs_somebody_in_or_out(desk: Any) -> None:
    people.add(desk.store, "aigul", "", frozenset({Role.EXPERT}), PASSWORD)
    given = {"login": "aigul", "password": PASSWORD}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = desk.client().post("/desk/sign-in", data=given, headers=headers)
        assert answer.status_code == 403 and "set-cookie" not in answer.headers
    client = desk.sign_in("aigul")
    del client.headers["X-CSRF-Token"]
    assert client.post("/desk/sign-out", data={}).status_code == 403
    assert client.get("/v1/session").status_code == 200


def test_a_first_password_is_changed_before_any_page_is_seen(desk: Any) -> None:
    people.add(desk.store, "dana", "", frozenset({Role.EXPERT}), PASSWORD, must_change=True)
    dana = browser(desk)
    page = dana.sign_in("dana", PASSWORD, "/desk/statistics")
    assert "Смена пароля" in page and "выдал администратор" in page
    for path in ("/desk/queue", "/desk/shops", "/desk/map.json"):
        assert dana.client.get(path, follow_redirects=False).headers["location"].startswith("/desk/password?next=")
    answer = dana.client.post("/desk/queue/undo", data={}, headers={"HX-Request": "true"}, follow_redirects=False)
    assert answer.status_code == 403, "no token"
    fields = {"old": PASSWORD, "new": NEW, "again": NEW}
    assert "не совпадают" in dana.send("/desk/password", 422, **{**fields, "again": NEW + "!"})
    assert "Прежний пароль неверен" in dana.send("/desk/password", 401, **{**fields, "old": "no"})
    dana.send("/desk/password", 409, **{**fields, "new": "short", "again": "short"})
    dana.send("/desk/password", 409, **{**fields, "new": PASSWORD, "again": PASSWORD})
    assert "<h1>Статистика</h1>" in dana.send("/desk/password", **fields)
    assert dana.client.get("/v1/session").json()["must_change_password"] is False
    assert "person.password.change" in actions(desk)


def test_somebody_who_only_takes_in_reports_is_led_to_a_page_for_them(desk: Any) -> None:
    people.add(desk.store, "intake", "", frozenset({Role.INTAKE}), PASSWORD)
    page = browser(desk).sign_in("intake", PASSWORD, "/desk/sign-in")
    assert "Смена пароля" in page and 'href="/desk/map"' not in page


def test_an_administrator_adds_changes_locks_and_resets(desk: Any) -> None:
    people.add(desk.store, "aigul", "Айгүл", frozenset({Role.ADMINISTRATOR}), PASSWORD)
    boss = browser(desk, "aigul")
    boss.open("/desk/people")
    first = secret(boss.send("/desk/people", login="Dana", name="Дана", role=["expert", "analyst"]))
    assert first not in boss.open("/desk/people"), "shown once"
    boss.send("/desk/people", 409, login="dana", role=["expert"])
    boss.send("/desk/people", 409, login="d 2", role=["expert"])
    assert 'value="d 2"' in boss.page, "what was typed is still there"
    dana = browser(desk)
    assert "Смена пароля" in dana.sign_in("dana", first)
    boss.open("/desk/people")
    assert "первый пароль" in boss.page
    assert "Роли dana сохранены" in boss.send("/desk/people/2", act="roles", role=["expert"])
    boss.send("/desk/people/2", 409, act="roles")
    assert "Все сеансы dana завершены" in boss.send("/desk/people/2", act="sign_out")
    assert dana.client.get("/v1/session").status_code == 401
    boss.send("/desk/people/2", act="lock")
    assert "заблокирован" in boss.page
    dana.sign_in("dana", first, status=401)
    boss.send("/desk/people/2", act="unlock")
    dana.sign_in("dana", first)
    second = secret(boss.send("/desk/people/2", act="reset"))
    assert second != first
    dana.sign_in("dana", first, status=401)
    dana.sign_in("dana", second)
    assert {"person.add", "person.set", "person.password.reset", "session.end-all"} <= set(actions(desk))


def test_unlocking_also_ends_the_lock_after_wrong_passwords(desk: Any) -> None:
    people.add(desk.store, "aigul", "", frozenset({Role.ADMINISTRATOR}), PASSWORD)
    people.add(desk.store, "dana", "", frozenset({Role.EXPERT}), PASSWORD)
    dana, boss = browser(desk), browser(desk, "aigul")
    for _ in range(3):
        dana.sign_in("dana", "wrong", status=401)
    dana.sign_in("dana", PASSWORD, status=429)
    assert "заперт до" in boss.open("/desk/people")
    boss.send("/desk/people/2", act="unlock")
    assert "заперт до" not in boss.page
    dana.sign_in("dana", PASSWORD)


def test_the_last_administrator_stays_and_nobody_raises_themselves(desk: Any) -> None:
    people.add(desk.store, "aigul", "", frozenset({Role.ADMINISTRATOR}), PASSWORD)
    boss = browser(desk, "aigul")
    boss.open("/desk/people")
    for values in ({"act": "lock"}, {"act": "roles", "role": ["analyst"]}, {"act": "roles", "role": ["administrator", "expert"]}):
        boss.send("/desk/people/1", 409, **values)
    assert boss.client.get("/v1/session").json()["roles"] == ["administrator"]
    token = {"csrf_token": re.search(r'name="csrf_token" value="([0-9a-f]+)"', boss.page)[1]}  # type: ignore[index]
    assert boss.client.post("/desk/people/99", data={**token, "act": "lock"}).status_code == 404
    assert boss.client.post("/desk/people/1", data={**token, "act": "crown"}).status_code == 422


def test_keys_are_shown_once_and_revoked(desk: Any) -> None:
    people.add(desk.store, "aigul", "", frozenset({Role.ADMINISTRATOR}), PASSWORD)
    boss = browser(desk, "aigul")
    boss.open("/desk/keys")
    boss.send("/desk/keys", 409, name="intake", owner="city", days="30")
    assert 'value="intake"' in boss.page
    text = secret(boss.send("/desk/keys", name="intake", owner="city", scope=["reports:read", "register:read"], days="30"))
    assert text not in boss.open("/desk/keys")
    system = desk.client()
    system.headers["Authorization"] = f"Bearer {text}"
    assert system.get("/v1/shops").status_code == 200
    number = text.split("_")[1]
    assert "отозван" in boss.send(f"/desk/keys/{number}/revoke")
    assert system.get("/v1/shops").status_code == 401
    assert {"key.create", "key.revoke"} <= set(actions(desk))


@pytest.mark.parametrize("role", [Role.EXPERT, Role.ANALYST, Role.INTAKE])
def test_only_administrators_see_people_and_keys(desk: Any, role: Role) -> None:
    client = desk.person("somebody", role)
    for path in ("/desk/people", "/desk/keys"):
        assert client.get(path).status_code == 403
        assert client.post(path, data={"login": "x1", "role": "expert"}).status_code == 403
    assert 'href="/desk/people"' not in client.get("/desk/password").text
