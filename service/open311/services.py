"""The services that citizens can ask for, and the questions that belong to them; kept in ``services.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

Texts = Mapping[str, str]
"""A text by language: kk, ru, en."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A question to the citizen; ``datatype`` as GeoReport names it."""

    code: str
    datatype: str
    description: Texts
    required: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """One kind of request; ``place``: whether it has to say where."""

    code: str
    type: str
    keywords: str
    place: bool
    name: Texts
    description: Texts
    group: Texts
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All services, by their codes; ``changeset`` sorts by time."""

    changeset: str
    services: Mapping[str, Service]
    notice: Texts

    @property
    def default(self) -> Service:
        """The service of reports that came in another way and name none."""
        return next(iter(self.services.values()))


@cache
def catalogue() -> Catalogue:
    """The services of this tagtrace."""
    found = tomllib.loads((resources.files(__package__ or "") / "services.toml").read_text(encoding="utf-8"))
    services = [_service(item) for item in found["service"]]
    return Catalogue(found["changeset"], {item.code: item for item in services}, found["notice"])


def _service(item: dict[str, Any]) -> Service:
    attributes = tuple(Attribute(**attribute) for attribute in item.pop("attribute", ()))
    return Service(**item, attributes=attributes)
