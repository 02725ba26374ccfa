"""Identifiers that must never be proposed for blocking: official bots, hotlines, emergency numbers, shared hosts.

The list is the data file ``protected.toml``. A value is protected when it is listed or looks like a listed one: one misread
character must not turn a police bot into a resource to block. Protection is a flag; nothing is dropped.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...contract import IdentifierKind, TagtraceError
from .fold import skeleton

_FILE = Path(__file__).with_name("protected.toml")
_DIGITS = frozenset({IdentifierKind.PHONE, IdentifierKind.WHATSAPP, IdentifierKind.SIGNAL})


@dataclass(frozen=True, slots=True)
class ProtectedList:
    """The protected values: exact per kind, skeletons of names, hosts with all below them, shared hosts themselves, and how
    all those hosts look: worked out once, because every value of a register is asked about."""

    names: frozenset[str]
    name_skeletons: frozenset[str]
    phones: frozenset[str]
    official_hosts: frozenset[str]
    shared_hosts: frozenset[str]
    host_skeletons: frozenset[str]

    @classmethod
    def load(cls, path: Path) -> ProtectedList:
        """Read a list; raises ``TagtraceError`` naming the file when it cannot be read or lacks a table."""
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            names = [e["value"].lower() for e in data["telegram"]]
            phones = ["".join(filter(str.isdigit, e["value"])) for e in data["phone"]]
            official = [e["value"].lower() for e in data["official_host"]]
            shared = [e["value"].lower() for e in data["shared_host"]]
        except (OSError, UnicodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise TagtraceError(f"{path}: not a list of protected identifiers ({error!r}); restore the file") from error
        return cls(
            names=frozenset(names),
            name_skeletons=frozenset(map(skeleton, names)),
            phones=frozenset(phones),
            official_hosts=frozenset(official),
            shared_hosts=frozenset(shared),
            host_skeletons=frozenset(map(skeleton, (*official, *shared))),
        )


@lru_cache(maxsize=1)
def bundled() -> ProtectedList:
    """The list that comes with tagtrace."""
    return ProtectedList.load(_FILE)


def _host_protected(value: str, known: ProtectedList) -> bool:
    host, _, path = value.partition("/")
    host = host.split("?")[0].split(":")[0].lower()
    labels = host.split(".")
    parents = {".".join(labels[i:]) for i in range(len(labels))}
    if parents & known.official_hosts:
        return True
    if host in known.shared_hosts:
        return not path
    return not path and skeleton(host) in known.host_skeletons


def is_protected(kind: IdentifierKind, value: str) -> bool:
    """Whether a canonical value is official or shared, or looks like one that is.

    A shared host (``t.me``, ``instagram.com``) is protected as a whole, a page on it is not; an official host is protected with
    everything on and below it.
    """
    known = bundled()
    if kind in _DIGITS and value.lstrip("+").isdigit():
        return value.lstrip("+") in known.phones
    if kind in (IdentifierKind.TELEGRAM, IdentifierKind.INSTAGRAM, IdentifierKind.VK):
        return value.lower() in known.names or skeleton(value) in known.name_skeletons
    if kind is IdentifierKind.URL:
        return _host_protected(value, known)
    if kind in (IdentifierKind.EMAIL, IdentifierKind.JABBER):
        return _host_protected(value.rpartition("@")[2] + "/", known)
    return False
