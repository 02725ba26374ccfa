"""Every route: who may not call it gets 401 or 403, and nothing else of it; every list of roles is known here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import service_desk as helpers
from fastapi.routing import APIRoute

from tagtrace.service.access import Allow, Public, Role, Scope, SignIn, keys, people
from tagtrace.service.app import ROUTERS
from tagtrace.service.open311.forms import PREFIX

EXAMPLES = {
    "key": "0" * 64 + "-0",
    "sha256": "0" * 64,
    "photo": "0" * 64,
    "report_id": "0" * 28,
    "name": "csv",
    "track": "cleanup",
    "lang": "ru",
    "form": "json",
    "service_code": "drug-advert",
}


def routes() -> list[APIRoute]:
    return [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def marks(dependant: Any) -> Iterator[Any]:
    for part in dependant.dependencies:
        if isinstance(part.call, Allow | Public):
            yield part.call
        yield from marks(part)


def address(route: APIRoute) -> str:
    """The route's path with values in its braces that are of the right form."""
    return re.sub(r"\{([a-z0-9_]+)(:[a-z]+)?\}", lambda found: EXAMPLES.get(found[1], "1"), route.path)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("routes")
    with helpers.desk(str(folder / "store.db"), folder / "photos") as made:
        yield made


def test_nobody_gets_in_without_credentials(desk: Any) -> None:
    client, checked = desk.client(), 0
    for route in routes():
        mark = next(marks(route.dependant))
        for method in sorted(route.methods):
            answer = client.request(method, address(route), follow_redirects=False)
            if isinstance(mark, Public):
                assert answer.status_code not in (401, 403) or isinstance(mark, SignIn), f"{method} {route.path}"
                continue
            checked += 1
            if route.path.startswith(PREFIX):
                # The standard has 403 for a key that is missing, and its own form of errors.
                assert answer.status_code == 403, f"{method} {route.path}"
                named = answer.json() if "json" in answer.headers["content-type"] else Xml.fromstring(answer.content)
                assert (named[0]["code"] if isinstance(named, list) else int(named.findtext("error/code") or 0)) == 403
                continue
            # A page of the desk leads whoever is not signed in to the page where one signs in.
            led = answer.status_code in (302, 303, 307) and "sign" in answer.headers["location"]
            assert answer.status_code == 401 or (led and not route.path.startswith("/v1")), f"{method} {route.path}"
            if answer.status_code == 401 and route.path.startswith("/v1"):
                assert answer.headers["content-type"] == "application/problem+json"
    assert checked > 40


@pytest.mark.parametrize("role", list(Role))
def test_no_role_calls_what_is_for_others(desk: Any, role: Role) -> None:
    client = desk.person(f"p-{role}", role)
    checked = 0
    for route in routes():
        mark = next(marks(route.dependant))
        if isinstance(mark, Public):
            continue
        for method in sorted(route.methods):
            if role not in mark.roles:
                checked += 1
                answer = client.request(method, address(route), follow_redirects=False)
                assert answer.status_code == 403, f"{method} {route.path} as {role}: {answer.status_code}"
    assert checked or role is Role.EXPERT


@pytest.mark.parametrize("scope", list(Scope))
def test_no_key_calls_what_is_for_others(desk: Any, scope: Scope) -> None:
    key = keys.create(desk.store, f"k {scope}", "city", frozenset({scope}), 1).text
    client = desk.client()
    for route in routes():
        mark = next(marks(route.dependant))
        if isinstance(mark, Public) or scope in mark.scopes:
            continue
        for method in sorted(route.methods):
            answer = client.request(method, address(route), headers={"Authorization": f"Bearer {key}"}, follow_redirects=False)
            # Requests of one key are bounded: a refusal for that is a refusal, too.
            assert answer.status_code in (403, 429), f"{method} {route.path} with {scope}: {answer.status_code}"


def test_what_a_session_changes_needs_its_token_everywhere(desk: Any) -> None:
    people.add(desk.store, "everything", "", frozenset(Role), helpers.PASSWORD)
    client = desk.sign_in("everything")
    del client.headers["X-CSRF-Token"]
    checked = 0
    for route in routes():
        mark = next(marks(route.dependant))
        for method in sorted(route.methods - {"GET", "HEAD"}):
            if not isinstance(mark, Public):
                checked += 1
                answer = client.request(method, address(route), follow_redirects=False)
                assert answer.status_code == 403, f"{method} {route.path}: {answer.status_code}"
    assert checked > 15


def test_systems_never_decide_nor_see_reporters_or_originals() -> None:
    for route in routes():
        mark = next(marks(route.dependant))
        said = f"{route.path} {sorted(route.methods)}"
        if any(word in route.path for word in ("/decisions", "/proposals", "/reporter", "/original", "/people", "/steps")):
            assert isinstance(mark, Allow)
            if route.methods & {"POST", "PATCH", "DELETE"} or "/original" in route.path:
                assert not mark.scopes, said
        if route.path.startswith(PREFIX):
            # People sign in at the desk; GeoReport knows systems only.
            assert isinstance(mark, Public) or (mark.scopes and not mark.roles), said
        if "/reporter" in route.path:
            assert mark.roles == {Role.INTAKE}, said
        if re.search(r"/proposals/.*/approve", route.path):
            assert mark.roles == {Role.EXPERT}, said
