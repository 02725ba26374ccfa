"""Who calls: systems with API keys and their scopes, people with roles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person who signed in may do. A person has one or more; none contains another."""

    INTAKE = "intake"
    """Takes reports in and follows them."""
    ANALYST = "analyst"
    """Reads everything but reporter data, makes statistics and exports."""
    EXPERT = "expert"
    """Decides about adverts and resources."""
    ADMINISTRATOR = "administrator"
    """Manages people, keys and settings; decides nothing about resources."""


class Scope(StrEnum):
    """What a system with an API key may do."""

    REPORTS_WRITE = "reports:write"
    REPORTS_READ = "reports:read"
    """Reports that were sent with a key of the same owner."""
    REPORTS_READ_ALL = "reports:read-all"
    ANALYSE = "analyse"
    TRACKS_WRITE = "tracks:write"
    REGISTER_READ = "register:read"
    """Clusters, adverts, shops, resources, statistics."""
    EXPORTS_READ = "exports:read"
    WEBHOOKS_READ = "webhooks:read"


class Caller(StrEnum):
    """What kind of caller it is."""

    KEY = "key"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling. ``id`` is the key's id or the person's; ``owner`` is whose reports a key sees (a person's own id else)."""

    caller: Caller
    id: str
    owner: str
    roles: frozenset[Role] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    must_change_password: bool = False
    """The password was given by somebody else: nothing but changing it is allowed."""

    @property
    def actor(self) -> str:
        """How the audit log names the caller: ``key 3f9c…`` or ``person 12``; no names, no e-mail addresses."""
        return f"{self.caller} {self.id}"
