"""Help for tests of the service: an application on an empty store, and people who are signed in."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from tagtrace.linking.store import Store
from tagtrace.service.access import Role, people
from tagtrace.service.app import create_app
from tagtrace.service.settings import load_settings

PASSWORD = "tulip kettle 93 harbour"
VAULT = "v1:" + base64.b64encode(bytes(range(32))).decode()


class Desk:
    """A running application: its settings, its store, and clients."""

    def __init__(self, app: Any, store: Store, settings: Any, stack: list[TestClient]) -> None:
        self.app, self.store, self.settings, self._stack = app, store, settings, stack

    def client(self) -> TestClient:
        """Somebody who is not signed in."""
        return TestClient(self.app, raise_server_exceptions=False)

    def person(self, login: str, *roles: Role) -> TestClient:
        """Somebody new who is signed in, with the CSRF token in every request."""
        people.add(self.store, login, login.title(), frozenset(roles), PASSWORD, "tests")
        return self.sign_in(login)

    def sign_in(self, login: str, password: str = PASSWORD) -> TestClient:
        """A client of somebody who is there already."""
        client = self.client()
        answer = client.post("/v1/session", json={"login": login, "password": password})
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        return client


@contextmanager
def desk(store_url: str, photos: Path, **settings: Any) -> Iterator[Desk]:
    """The application on a store, which is set up first."""
    Store.open(store_url, upgrade=True).close()
    chosen = load_settings(environment="development", store=store_url, photos=str(photos), **{"vault_keys": VAULT, **settings})
    app = create_app(chosen)
    with TestClient(app, raise_server_exceptions=False), Store.open(store_url) as store:
        yield Desk(app, store, chosen, [])
