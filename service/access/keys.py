"""API keys: ``tt_<id>_<secret>``. The store has a hash only; a secret of 256 random bits needs no slow one."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fastapi import Request

from ...contract import TagtraceError
from ...linking.store import Store
from ...linking.store import keys as rows
from ..problems import ProblemError
from ..state import ServiceState
from .roles import Caller, Principal, Scope

PREFIX = "tt"
_FORM = re.compile(r"tt_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_USED_EVERY_S = 60.0
"""The time of a key's last use is written down at most so often."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; ``text`` is shown once and never again."""

    id: str
    text: str
    expires_at: datetime


def create(store: Store, name: str, owner: str, scopes: frozenset[Scope], days: int, actor: str = "") -> NewKey:
    """Make a key. ``owner`` is the system it belongs to: keys of one owner see the same reports."""
    if not scopes:
        raise TagtraceError(f"{name}: a key needs at least one scope; choose from: {', '.join(Scope)}")
    if not name.strip() or not owner.strip() or days < 1:
        raise TagtraceError("a key needs a name, an owner, and at least one day to live")
    number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    expires = now + timedelta(days=days)
    made = rows.Key(number, name, owner, _digest(secret), tuple(sorted(scopes)), now, expires, None, None)
    store.write(lambda session: rows.add_key(session, made), actor)
    return NewKey(number, f"{PREFIX}_{number}_{secret}", expires)


def authenticate(state: ServiceState, request: Request, bearer: str | None) -> Principal | None:
    """The system whose key came with a request; None where no API key came."""
    if bearer is None or not bearer.startswith(f"{PREFIX}_"):
        return None
    form = _FORM.fullmatch(bearer)
    key = _find(state, form[1]) if form else None
    if form is None or key is None or not hmac.compare_digest(key.digest, _digest(form[2])):
        raise _refused("This API key is not known.")
    now = datetime.now(UTC)
    if key.revoked_at is not None:
        raise _refused("This API key was revoked.")
    if key.expires_at <= now:
        raise _refused("This API key has expired; ask for a new one.")
    _mark_used(state, key, now)
    state.key_rate.spend(key.id)
    known = {str(scope) for scope in Scope}
    return Principal(Caller.KEY, key.id, key.owner, scopes=frozenset(Scope(name) for name in key.scopes if name in known))


def is_known(state: ServiceState, bearer: str | None) -> bool:
    """Whether the key that came with a request can be judged without a look into the store."""
    form = _FORM.fullmatch(bearer or "")
    held = _known(state, form[1]) if form else None
    return held is not None and _used_lately(held, datetime.now(UTC))


def _mark_used(state: ServiceState, key: rows.Key, now: datetime) -> None:
    """Write down that a key was used; of many requests that come with it at once, one does."""
    if _used_lately(key, now):
        return
    with state.known_keys_lock:
        until, held = state.known_keys.get(key.id, (0.0, key))
        if _used_lately(held, now):
            return
        state.known_keys[key.id] = until, replace(held, used_at=now)
    state.store.write(lambda session: rows.mark_used(session, key.id, now), f"key {key.id}")


def _used_lately(key: rows.Key, now: datetime) -> bool:
    return key.used_at is not None and (now - key.used_at).total_seconds() <= _USED_EVERY_S


def _find(state: ServiceState, number: str) -> rows.Key | None:
    # What is known is found without the lock: whoever holds it may be waiting for the store.
    if (known := _known(state, number)) is not None:
        return known
    with state.known_keys_lock:
        # Of many requests that come with a key at once, one looks into the store.
        if (known := _known(state, number)) is not None:
            return known
        with state.store.read() as session:
            found = rows.find_key(session, number)
        if found is not None:
            state.known_keys[number] = (time.monotonic() + state.settings.key_known_s, found)
        return found


def _known(state: ServiceState, number: str) -> rows.Key | None:
    until, held = state.known_keys.get(number, (0.0, None))
    return held if time.monotonic() < until else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def _refused(detail: str) -> ProblemError:
    return ProblemError(401, detail, "bad-key", {"WWW-Authenticate": 'Bearer realm="tagtrace", error="invalid_token"'})
