"""The formats: each turns exported resources into text. Times are in UTC; the same resources give the same ids again."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from ...contract import IdentifierKind
from ...linking.store.exporting import Exported, Place

_K = IdentifierKind
NAMESPACE: Final = uuid.UUID("6f6c7f52-5c1e-5b1b-9a57-2f0c1d7e4a11")
"""Of the ids in STIX and MISP: the same resource has the same id in every export, so that it is updated and not doubled."""
_COLUMNS = (
    "id",
    "kind",
    "value",
    "address",
    "state",
    "shop_id",
    "verified_at",
    "verified_by",
    "state_at",
    "basis",
    "order_number",
    "adverts",
    "first_seen",
    "last_seen",
)
_NOTE = "Read off walls by tagtrace, verified by a person"


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its media type, the ending of its files, and the function that writes it."""

    media_type: str
    suffix: str
    write: Callable[[Sequence[Exported], Sequence[Place], datetime], str]


def write(name: str, rows: Sequence[Exported], places: Sequence[Place], now: datetime) -> str:
    """The export in a format of ``FORMATS``."""
    return FORMATS[name].write(rows, places, now)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _id(*parts: str) -> str:
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))


def _plain(row: Exported) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(row, name) for name in _COLUMNS if name not in ("kind", "value", "address")}
    values |= {"kind": row.target.kind.value, "value": row.target.value, "address": row.target.address}
    return {name: _time(values[name]) if isinstance(values[name], datetime) else values[name] for name in _COLUMNS}


def _csv(rows: Sequence[Exported], _: Sequence[Place], __: datetime) -> str:
    """One row per resource. Words that a spreadsheet would run as a formula get a ``'`` before them; values stay as they are."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        plain = _plain(row)
        words = {
            name: f"'{plain[name]}" for name in ("basis", "order_number", "shop_id") if str(plain[name])[:1] in tuple("=+-@\t\r")
        }
        writer.writerow(["" if value is None else value for value in (plain | words).values()])
    return out.getvalue()


def _json(rows: Sequence[Exported], _: Sequence[Place], now: datetime) -> str:
    whole = {"format": "tagtrace.resources", "version": 1, "made_at": _time(now), "resources": [_plain(row) for row in rows]}
    return _dump(whole)


def _geojson(rows: Sequence[Exported], places: Sequence[Place], _: datetime) -> str:
    """One point per resource and wall (RFC 7946)."""
    known = {row.id: row for row in rows}
    features = []
    for place in places:
        row = known[place.resource_id]
        about = {name: _plain(row)[name] for name in ("kind", "value", "address", "state", "shop_id")}
        about |= {"cluster": place.cluster, "sightings": place.sightings}
        about |= {"first_seen": _time(place.first_seen), "last_seen": _time(place.last_seen)}
        point = {"type": "Point", "coordinates": [round(place.lon, 6), round(place.lat, 6)]}
        features.append({"type": "Feature", "id": f"{row.id}/{place.cluster}", "geometry": point, "properties": about})
    return _dump({"type": "FeatureCollection", "features": features})


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def pattern(row: Exported) -> str:
    """The STIX pattern of a resource: its exact address or name; a domain only where the whole host is the resource's own."""
    target = row.target
    parts = []
    if target.host:
        parts.append(f"domain-name:value = {_quoted(target.host)}")
    elif target.address:
        parts.append(f"url:value = {_quoted(target.address)}")
    if target.kind is _K.EMAIL:
        parts.append(f"email-addr:value = {_quoted(target.value)}")
    elif target.kind not in (_K.URL, _K.ONION, _K.I2P):
        account = f"user-account:account_type = {_quoted(target.kind)} AND user-account:account_login = {_quoted(target.value)}"
        parts.append(account if not parts else f"({account})")
    return f"[{' OR '.join(parts)}]"


def _stix(rows: Sequence[Exported], _: Sequence[Place], now: datetime) -> str:
    begun = "2026-01-01T00:00:00.000Z"
    author = f"identity--{_id('identity')}"
    objects: list[dict[str, Any]] = [
        {"type": "identity", "spec_version": "2.1", "id": author, "created": begun, "modified": begun, "name": "tagtrace"}
        | {"identity_class": "system"}
    ]
    for row in rows:
        indicator = {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--{_id('indicator', row.target.kind, row.target.value)}",
            "created_by_ref": author,
            "created": _time(row.verified_at),
            "modified": _time(max(row.state_at, row.verified_at)),
            "name": f"{row.target.kind} {row.target.value}",
            "description": f"{_NOTE}; seen in {row.adverts} adverts.",
            "indicator_types": ["malicious-activity"],
            "pattern": pattern(row),
            "pattern_type": "stix",
            "valid_from": _time(row.verified_at),
            "labels": [f"tagtrace:{row.state}"],
        }
        objects.append(indicator)
    return _dump({"type": "bundle", "id": f"bundle--{_id('bundle', str(_time(now)))}", "objects": objects})


_MISP: Final = MappingProxyType(
    {_K.PHONE: "phone-number", _K.EMAIL: "email", _K.BTC: "btc", _K.JABBER: "jabber-id", _K.ONION: "onion-address"}
)


def _misp(rows: Sequence[Exported], _: Sequence[Place], now: datetime) -> str:
    attributes = []
    for row in rows:
        kind = row.target.kind
        if row.target.host and kind is not _K.ONION:
            type_, value = "domain", row.target.host
        elif kind in _MISP:
            type_, value = _MISP[kind], row.target.value
        elif row.target.address:
            type_, value = "url", row.target.address
        else:
            type_, value = "text", f"{kind}: {row.target.value}"
        network = type_ in ("url", "domain", "onion-address", "email")
        category = "Network activity" if network else "Financial fraud" if type_ == "btc" else "Other"
        if type_ == "jabber-id":
            category = "Social network"
        attribute: dict[str, Any] = {
            "uuid": _id("misp", kind, row.target.value),
            "type": type_,
            "category": category,
            "value": value,
        }
        attribute |= {"to_ids": network, "comment": f"{kind}, {row.state}, {row.adverts} adverts", "distribution": "0"}
        attributes.append(attribute | {"timestamp": str(int(row.state_at.timestamp())), "disable_correlation": False})
    event = {
        "uuid": _id("event"),
        "info": f"{_NOTE}: resources for blocking",
        "date": now.date().isoformat(),
        "timestamp": str(int(now.timestamp())),
        "threat_level_id": "4",
        "analysis": "2",
        "distribution": "0",
        "published": False,
        "Attribute": attributes,
    }
    return _dump({"Event": event})


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


FORMATS: Final = MappingProxyType(
    {
        "csv": Format("text/csv", ".csv", _csv),
        "json": Format("application/json", ".json", _json),
        "stix": Format("application/stix+json", ".stix.json", _stix),
        "misp": Format("application/json", ".misp.json", _misp),
        "geojson": Format("application/geo+json", ".geojson", _geojson),
    }
)
