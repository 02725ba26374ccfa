"""Whether what an evidence pack tells agrees with the audit entries in it: without the store that it was made from.

Who alters a decision in a pack, and the list of its files with it, would have to alter the audit entries alike; those hash over
all that they say, and over each other.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Entries = Sequence[Mapping[str, Any]]


def disagreements(case: Mapping[str, Any]) -> list[str]:
    """What the case says otherwise than its audit entries, or they otherwise than the case; empty where they agree."""
    try:
        entries: Entries = case["audit"]
        by_object: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for entry in entries:
            by_object[entry["object"]].append(entry)
        return [*_decisions(case, by_object), *_lives(case, by_object), *_proposals(case, by_object), *_head(case, entries)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Altered so that it has not even the form of a case.
        return [f"the form of the case ({error!r})"]


def _decisions(case: Mapping[str, Any], by_object: Mapping[str, Entries]) -> list[str]:
    """Every word on an advert has its entry, with the same person, reasons and details; and the other way round."""
    told: dict[str, list[Any]] = defaultdict(list)
    for item in case["decisions"]:
        if item["subject"] == "advert":
            said = _plain({"why": item["why"], **item["details"]})
            told[f"advert {item['photo_sha256']}-{item['advert']}"].append((f"advert.{item['verdict']}", item["actor"], said))
    keys = {f"advert {advert['photo']['sha256']}-{advert['number']}" for advert in case["adverts"]}
    found = []
    for name in sorted(keys | set(told)):
        noted = [
            (entry["action"], entry["actor"], _plain(json.loads(entry["details"])))
            for entry in by_object.get(name, ())
            if entry["action"].startswith("advert.")
        ]
        if sorted(told.get(name, [])) != sorted(noted):
            found.append(f"decisions on {name}")
    return found


def _lives(case: Mapping[str, Any], by_object: Mapping[str, Entries]) -> list[str]:
    """Every step of a resource after its first has its entry, in order."""
    found = []
    for item in case["resources"]:
        name = f"{item['kind']} {item['value']}"
        told = [
            (step["old"], step["new"], step["basis"], step["order_number"], step["actor"])
            for step in item["life"]
            if step["old"] is not None
        ]
        noted = []
        for entry in (entry for entry in by_object.get(name, ()) if entry["action"] == "resource.state"):
            said = json.loads(entry["details"])
            noted.append((said["from"], said["to"], said["basis"].strip(), said["order"].strip(), entry["actor"]))
        if len(told) != len(noted) or not all(map(_same_step, told, noted)):
            found.append(f"the life of {name}")
    return found


def _same_step(told: tuple[Any, ...], noted: tuple[Any, ...]) -> bool:
    # Where one person's word stays in place of another's, the step names the one, and the log who took theirs back.
    return told[:4] == noted[:4] and (told[4] == noted[4] or told[0] == told[1])


def _proposals(case: Mapping[str, Any], by_object: Mapping[str, Entries]) -> list[str]:
    """Whoever proposed and whoever decided did so by the log, and they are two where something was approved."""
    found = []
    for item in case["proposals"]:
        noted = {
            (entry["action"], entry["actor"])
            for entry in by_object.get(f"{item['kind']} {item['value']}", ())
            if json.loads(entry["details"]).get("proposal") == item["id"]
        }
        wanted = {(f"proposal.{item['action']}", item["actor"])}
        if item["state"] != "open":
            wanted.add((f"proposal.{item['state']}", item["decided_by"]))
        alone = item["state"] == "approved" and item["actor"] == item["decided_by"]
        if not wanted <= noted or alone:
            found.append(f"proposal {item['id']}")
    return found


def _head(case: Mapping[str, Any], entries: Entries) -> list[str]:
    """No entry is younger than the end of the log when the pack was made, and one that is its end has its hash."""
    head = case["audit_head"]
    wrong = [entry for entry in entries if entry["number"] > head["number"]]
    last = [entry for entry in entries if entry["number"] == head["number"] and entry["hash"] != head["hash"]]
    return ["the end of the log"] if wrong or last else []


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
