"""schemathesis on the whole OpenAPI description: no server error and no undocumented answer, whoever calls.

A real server on a store with something in it. Ids in paths are often those of things that are there, so that not only 404 is
seen.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import hypothesis
import pytest
import service_desk as desks
import service_helpers as helpers
import uvicorn
from hypothesis import HealthCheck, Phase, given
from hypothesis.errors import Unsatisfiable
from hypothesis.stateful import run_state_machine_as_test

schemathesis = pytest.importorskip("schemathesis")
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.checks import load_all_checks  # noqa: E402

from tagtrace.contract import IdentifierKind  # noqa: E402
from tagtrace.linking.store import Store, resources, shops  # noqa: E402
from tagtrace.linking.store import tracks as track_rows  # noqa: E402
from tagtrace.service.access import Role, Scope, keys, people  # noqa: E402
from tagtrace.service.run import server_config  # noqa: E402

CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
"""What the description promises. That wrong values are refused, and by whom, other tests see to: a description cannot say that a
cursor is one of this list, or that bytes are a photo."""
PATIENCE_S = 120.0
"""A busy machine is no fault of the service."""
OTHERS = 3
"""People whom requests may change, so that those who call stay as they are."""


class Server:
    """A running service, its description, and who may call it."""

    def __init__(self, url: str, store: Store) -> None:
        self.url, self.store = url, store
        self.schema = schemathesis.openapi.from_dict(httpx.get(f"{url}/openapi.json", timeout=PATIENCE_S).json())
        self.call = {"base_url": url, "timeout": PATIENCE_S}
        self.known: dict[str, list[Any]] = {}

    def nobody(self) -> dict[str, str]:
        return {}

    def key(self, *scopes: Scope) -> Callable[[], dict[str, str]]:
        text = keys.create(self.store, "schema", "city", frozenset(scopes), 1).text
        return lambda: {"Authorization": f"Bearer {text}"}

    def person(self, login: str, *roles: Role) -> Callable[[], dict[str, str]]:
        people.add(self.store, login, "", frozenset(roles), desks.PASSWORD)
        held: dict[str, str] = {}

        def headers() -> dict[str, str]:
            # A request may have ended the session.
            if not held or httpx.get(f"{self.url}/v1/session", headers=held, timeout=PATIENCE_S).status_code != 200:
                answer = httpx.post(
                    f"{self.url}/v1/session", json={"login": login, "password": desks.PASSWORD}, timeout=PATIENCE_S
                )
                assert answer.status_code == 200, answer.text
                name, value = next(iter(answer.cookies.items()))
                held.update({"Cookie": f"{name}={value}", "X-CSRF-Token": answer.json()["csrf_token"]})
            return held

        return headers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    load_all_checks()
    folder = tmp_path_factory.mktemp("schema")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = helpers.make_settings(
        folder,
        port=port,
        reader="service_helpers:light_reader",
        vault_keys=desks.VAULT,
        sign_in_attempts=10**6,
        log_level="CRITICAL",
    )
    Store.open(settings.store, upgrade=True).close()
    running = uvicorn.Server(server_config(settings))
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            time.sleep(0.05)
        with Store.open(settings.store) as store:
            made = Server(f"http://127.0.0.1:{port}", store)
            made.known = fill(made, settings)
            yield made
    finally:
        running.should_exit = True
        thread.join()


def fill(server: Server, settings: Any) -> dict[str, list[Any]]:
    """Put something of everything into the store, and give the ids by the names of path parameters."""
    store = server.store
    for n in range(OTHERS):
        people.add(store, f"other{n}", "", frozenset({Role.INTAKE}), desks.PASSWORD)
    headers = server.key(*Scope)()
    sent = httpx.post(
        f"{server.url}/v1/reports",
        headers=headers,
        files={"photo": helpers.picture(1)},
        data={"text": "a wall"},
        timeout=PATIENCE_S,
    )
    report = sent.json()["id"]
    desk = desks.Desk(None, store, settings, [])
    photo, number = desks.see(desk, "sample_000001x", report_id=report)
    contacts = [(IdentifierKind.TELEGRAM, "sample_000001x"), (IdentifierKind.TELEGRAM, "sample_000002x")]

    def more(session: Any) -> list[int]:
        shops.create(session, "SS001", "First")
        found = resources.register(session, contacts, "test")
        shops.assign(session, contacts[0], "SS001", "listed")
        from datetime import UTC, datetime

        track_rows.begin(session, (photo, number), datetime.now(UTC))
        return sorted(found.values())

    numbers = store.write(more, "tests")
    key = f"{photo}-{number}"
    cluster = httpx.get(f"{server.url}/v1/clusters", headers=headers, timeout=PATIENCE_S).json()["items"][0]["id"]
    return {
        "key": [key],
        "advert": [key],
        "photo": [photo],
        "sha256": [photo],
        "report_id": [report],
        "cluster": [cluster],
        "shop": ["SS001"],
        "resource": numbers,
        "service_code": ["drug-advert", "drug-site"],
        "person_id": list(range(1, OTHERS + 1)),
        "job": [1],
    }


Headers = Callable[[], dict[str, str]]


def check(server: Server, operation: Any, mode: GenerationMode, callers: list[dict[str, str]], examples: int) -> int:
    """Call one operation as each caller; gives how many answers were checked. Raises for one that is not as described."""
    checks, count = schemathesis.checks.CHECKS.get_by_names(list(CHECKED)), 0

    @hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode), pick=hypothesis.strategies.integers(0, 2))
    def one(case: Any, pick: int) -> None:
        nonlocal count
        for name in set(case.path_parameters or {}) & set(server.known):
            if pick or name == "person_id":
                options = server.known[name]
                case.path_parameters[name] = options[pick % len(options)]
        own = dict(case.headers or {})
        for headers in callers:
            case.headers = {name: value for name, value in own.items() if name not in headers}
            case.call_and_validate(headers=headers, checks=checks, **server.call)
            count += 1

    try:
        one()
    except Unsatisfiable:
        # An operation without parameters can only be called rightly.
        assert mode is GenerationMode.NEGATIVE, operation.label
    return count


def run(server: Server, callers: list[Headers], examples: int) -> int:
    """Call every operation with values that fit its description, and with others; gives how many answers were checked."""
    wrong: list[str] = []
    count = 0
    for result in server.schema.get_all_operations():
        operation = result.ok()
        for mode in GenerationMode:
            try:
                count += check(server, operation, mode, [headers() for headers in callers], examples)
            except (Exception, schemathesis.core.failures.FailureGroup) as error:  # noqa: BLE001 (all are named at once)
                wrong.append(f"{operation.label} ({mode}): {error}")
    assert not wrong, "\n\n".join(wrong)
    return count


def test_what_is_answered_is_described(server: Server) -> None:
    callers = [server.nobody, server.key(*Scope), server.person("everything", *Role)]
    assert run(server, callers, 1) > 300


@pytest.mark.slow
@pytest.mark.parametrize("who", ["nobody", "all-roles", "all-scopes", *Role, *Scope])
def test_what_is_answered_is_described_whoever_calls(server: Server, who: str) -> None:
    if who == "nobody":
        caller: Headers = server.nobody
    elif who == "all-roles":
        caller = server.person("all-roles", *Role)
    elif who in set(Role):
        caller = server.person(f"role-{who}", Role(who))
    else:
        caller = server.key(*([Scope(who)] if who in set(Scope) else Scope))
    assert run(server, [caller], 30 if who.startswith("all-") else 8) > 300


def test_one_request_after_the_other(server: Server) -> None:
    """Sequences along the links between operations: what one answer names, a later request asks for, and it is there."""
    headers, checks = server.key(*Scope)(), schemathesis.checks.CHECKS.get_by_names(list(CHECKED))
    found: set[str] = set()

    class Workflow(server.schema.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": headers, **server.call}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            case.validate_response(response, checks=checks)
            if response.status_code < 300:
                found.add(case.operation.label)

    run_state_machine_as_test(
        Workflow,
        settings=hypothesis.settings(
            max_examples=60,
            stateful_step_count=8,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
    # Which of them is chance: names are new in every run, and so are the sequences.
    followed = {label for label in found if label.startswith("GET ") and label.endswith("}")}
    assert len(followed) >= 2, found
