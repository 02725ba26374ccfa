"""Help for tests: two people of a store, and sending a resource for blocking as the two of them do it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tagtrace.contract import IdentifierKind
from tagtrace.linking.store import Store, people, proposals


def person(store: Store, login: str) -> str:
    """Somebody who may sign in, as the audit log calls them; the same one when asked twice."""

    def add(session: Any) -> int:
        found = people.find_person(session, login)
        if found is not None:
            return found[0].id
        return people.add_person(session, login, login.title(), "no password", ["expert"], datetime.now(UTC))

    return f"person {store.write(add, 'tests')}"


def send(store: Store, kind: IdentifierKind, value: str, basis: str) -> tuple[str, str]:
    """Send a verified resource for blocking; gives who proposed it and who approved it."""
    first, second = person(store, "two-people-1"), person(store, "two-people-2")
    now = datetime.now(UTC)
    made = store.write(lambda session: proposals.propose(session, proposals.Action.SEND, kind, value, basis, now).id, first)
    store.write(lambda session: proposals.approve(session, made, now), second)
    return first, second
