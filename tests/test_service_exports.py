"""Exports: only what an expert verified, by its exact address, in formats that others can read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import service_desk as helpers
import stix2
import two_people
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from tagtrace.cli import run
from tagtrace.contract import IdentifierKind
from tagtrace.inference.identifiers.protected import bundled
from tagtrace.linking.life import ResourceState
from tagtrace.linking.store import resources
from tagtrace.linking.store.tables import ResourceRow
from tagtrace.linking.targets import target_of
from tagtrace.service.access import Role

K, S = IdentifierKind, ResourceState
VERIFIED = [
    (K.TELEGRAM, "tulpar_kz1"),
    (K.TELEGRAM_INVITE, "+AbCdEfGhIjKl1234"),
    (K.URL, "telegra.ph/tulpar"),
    (K.URL, "tulpar-zone.example"),
    (K.ONION, "a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dwc6ad.onion"),
    (K.PHONE, "+77090000001"),
    (K.WHATSAPP, "+77090000001"),
    (K.INSTAGRAM, "tulpar.kz"),
    (K.EMAIL, "o'tulpar@example.org"),
    (K.BTC, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    (K.THREEMA, "ABCD1234"),
]
NEVER = [
    (K.URL, "t.me"),
    (K.URL, "t.me/"),
    (K.URL, "www.t.me"),
    (K.URL, "t.me/?x=1"),
    (K.URL, "t.me?x=1"),
    (K.URL, "telegra.ph"),
    (K.TELEGRAM, "sko_narkohelp_bot"),
    (K.TELEGRAM, "sko_narkohe1p_bot"),
    (K.QR, "geo:51.1,71.4"),
]
MISP_EVENT = {
    "type": "object",
    "required": ["Event"],
    "properties": {
        "Event": {
            "type": "object",
            "required": ["info", "date", "threat_level_id", "analysis", "distribution", "Attribute", "uuid"],
            "properties": {
                "threat_level_id": {"enum": ["1", "2", "3", "4"]},
                "analysis": {"enum": ["0", "1", "2"]},
                "date": {"pattern": r"^\d{4}-\d\d-\d\d$"},
                "Attribute": {
                    "type": "array",
                    "items": {
                        "required": ["type", "category", "value", "to_ids", "uuid"],
                        "oneOf": [
                            {"properties": {"category": {"const": category}, "type": {"enum": types}}}
                            for category, types in {
                                "Network activity": ["url", "domain", "onion-address", "email"],
                                "Other": ["phone-number", "text"],
                                "Financial fraud": ["btc"],
                                "Social network": ["jabber-id"],
                            }.items()
                        ],
                    },
                },
            },
        }
    },
}
GEOJSON = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "items": {
                "required": ["type", "geometry", "properties"],
                "properties": {
                    "type": {"const": "Feature"},
                    "geometry": {
                        "properties": {
                            "type": {"const": "Point"},
                            "coordinates": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}},
                        }
                    },
                },
            }
        },
    },
}


@pytest.fixture
def desk(store_url: str, tmp_path: Path) -> Iterator[Any]:
    with helpers.desk(store_url, tmp_path / "photos") as made:
        helpers.see(made, "tulpar_kz1", report_id="1" * 28)
        with made.store.begin("person 9") as session:
            resources.register(session, [*VERIFIED, *NEVER, (K.TELEGRAM, "only_read"), (K.TELEGRAM, "was_rejected")], "test")
            for kind, value in [*VERIFIED, *NEVER]:
                resources.set_state(session, kind, value, S.VERIFIED)
            resources.set_state(session, K.TELEGRAM, "was_rejected", S.REJECTED, "harmless")
            # Somebody wrote into the database past all rules.
            session.execute(update(ResourceRow).where(ResourceRow.value == "only_read").values(state="verified"))
        yield made


def export(desk: Any, name: str, **params: Any) -> str:
    analyst = desk.sign_in("marat") if getattr(desk, "known", False) else desk.person("marat", Role.ANALYST)
    desk.known = True
    answer = analyst.get(f"/v1/exports/resources.{name}", params=params)
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["content-disposition"]
    return str(answer.content.decode())


def test_every_format_has_what_is_verified_and_nothing_else(desk: Any) -> None:
    found = json.loads(export(desk, "json"))["resources"]
    assert sorted((row["kind"], row["value"]) for row in found) == sorted(VERIFIED)
    addresses = {row["value"]: row["address"] for row in found}
    assert addresses["tulpar_kz1"] == "https://t.me/tulpar_kz1" and addresses["telegra.ph/tulpar"] == "https://telegra.ph/tulpar"
    assert {row["verified_by"] for row in found} == {"person 9"}
    rows = list(csv.DictReader(io.StringIO(export(desk, "csv"))))
    assert [(row["kind"], row["value"]) for row in rows] == [(row["kind"], row["value"]) for row in found]
    for name in ("csv", "json", "stix", "misp", "geojson"):
        text = export(desk, name)
        for word in ("was_rejected", "only_read", "sko_narko", "1" * 28, "geo:", "SecretCamera"):
            assert word not in text, (name, word)


def test_stix_is_what_the_standard_says_and_names_the_exact_address(desk: Any) -> None:
    bundle = stix2.parse(export(desk, "stix"), allow_custom=False)
    indicators = {item.name: item for item in bundle.objects if item.type == "indicator"}
    assert len(indicators) == len(VERIFIED)
    for item in indicators.values():
        stix2.pattern_visitor.create_pattern_object(item.pattern)
    assert "url:value = 'https://t.me/tulpar_kz1'" in indicators["telegram tulpar_kz1"].pattern
    assert indicators["url telegra.ph/tulpar"].pattern == "[url:value = 'https://telegra.ph/tulpar']"
    assert indicators["url tulpar-zone.example"].pattern == "[domain-name:value = 'tulpar-zone.example']"
    assert "o\\'tulpar@example.org" in indicators["email o'tulpar@example.org"].pattern
    again = stix2.parse(export(desk, "stix"))
    assert {item.id for item in again.objects} == {item.id for item in bundle.objects}


def test_misp_and_geojson_are_what_they_should_be(desk: Any) -> None:
    event = json.loads(export(desk, "misp"))
    jsonschema.validate(event, MISP_EVENT)
    values = {(item["type"], item["value"]) for item in event["Event"]["Attribute"]}
    assert ("url", "https://t.me/tulpar_kz1") in values and ("domain", "tulpar-zone.example") in values
    assert not {value for _, value in values} & bundled().shared_hosts
    places = json.loads(export(desk, "geojson"))
    jsonschema.validate(places, GEOJSON)
    assert [f["geometry"]["coordinates"] for f in places["features"]] == [[71.43, 51.128]]
    assert places["features"][0]["properties"]["value"] == "tulpar_kz1"


def test_states_can_be_chosen_and_never_those_that_nobody_verified(desk: Any) -> None:
    two_people.send(desk.store, K.TELEGRAM, "tulpar_kz1", "art. 41-1")
    assert [r["value"] for r in json.loads(export(desk, "json", state="sent"))["resources"]] == ["tulpar_kz1"]
    analyst = desk.sign_in("marat")
    for state in ("identified", "rejected", "restored"):
        assert analyst.get("/v1/exports/resources.csv", params={"state": state}).status_code == 422
    assert analyst.get("/v1/exports/resources.xml").status_code == 422


def test_the_command_writes_the_same(tmp_path: Path) -> None:
    with helpers.desk(str(tmp_path / "s.db"), tmp_path / "photos") as made, made.store.begin("person 9") as session:
        resources.register(session, VERIFIED[:2], "test")
        for contact in VERIFIED[:2]:
            resources.set_state(session, *contact, S.VERIFIED)
    out = tmp_path / "out.json"
    assert run(["resources", "export", "--format", "json", "--out", str(out), "--store", str(tmp_path / "s.db")]) == 0
    assert len(json.loads(out.read_text())["resources"]) == 2
    for wrong in (["--format", "pdf"], ["--state", "identified"], ["--state", "x"], ["--out", str(tmp_path / "no" / "x")]):
        assert run(["resources", "export", "--store", str(tmp_path / "s.db"), *wrong]) == 2


@given(
    st.sampled_from(sorted(bundled().shared_hosts)),
    st.sampled_from(["", "/", "//", "/?a=b", "?a=b", "#x", "/#x", "."]),
    st.sampled_from(["", "www.", "https://", "https://www."]),
)
def test_no_spelling_of_a_shared_host_is_a_target(host: str, after: str, before: str) -> None:
    assert target_of(K.URL, f"{before}{host}{after}") is None


@given(st.text(min_size=1, max_size=40), st.sampled_from(list(K)))
def test_a_target_never_says_less_than_its_value(value: str, kind: IdentifierKind) -> None:
    found = target_of(kind, value)
    if found is not None and found.host:
        assert found.host not in bundled().shared_hosts
    if found is not None and found.address:
        rest = value.partition("://")[2] or value
        assert rest.lstrip("+").partition("/")[2] in found.address and found.address.partition("://")[2].strip("/")


def test_spreadsheets_run_nothing(desk: Any) -> None:
    two_people.send(desk.store, K.TELEGRAM, "tulpar_kz1", "=HYPERLINK(1)")
    row = next(csv.DictReader(io.StringIO(export(desk, "csv", state="sent"))))
    assert row["basis"] == "'=HYPERLINK(1)" and datetime.fromisoformat(row["state_at"]) <= datetime.now(UTC)
