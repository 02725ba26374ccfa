"""What linking says in words can be found again in its texts, and nothing is said that has no code."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagtrace.contract import IdentifierKind
from tagtrace.linking.sentences import SENTENCES, parts, recognise, say

VALUES = {
    "kind": "telegram",
    "value": "tulpar_kz1",
    "other": "tulpar_kz2",
    "name": "Тұлпар (the first)",
    "shop": "S-1",
    "common": "tulpar",
    "share": "0.25",
    "nats": "-3.4",
    "count": "12",
    "times": "81",
    "days": "30",
    "metres": "41",
    "match": "same_advert",
    "step": "same cluster",
}
SAYING = {"explain.py", "shops.py", "priors.py", "joining.py", "book.py", "settling.py"}


def names(template: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(template) if name]


def filled(code: str) -> tuple[str, dict[str, str]]:
    whole = {
        **VALUES,
        "resource": say("resource_named", **VALUES),
        "text": say("metres", metres="41"),
        "reason": say("alike", resource=say("resource", **VALUES)),
    }
    return say(code, **whole), {name: whole[name] for name in names(SENTENCES[code])}


@pytest.mark.parametrize("code", list(SENTENCES))
def test_every_sentence_is_found_again_with_its_values(code: str) -> None:
    text, values = filled(code)
    found = recognise(text)
    assert found is not None and (found.code, dict(found.values)) == (code, values)


@pytest.mark.parametrize("text", ["", "read off a wall", "Қабырғадан көрінеді", "two words", "somebody wrote; this here"])
def test_what_people_write_is_no_sentence_of_ours(text: str) -> None:
    assert recognise(text) is None
    assert "; ".join(parts(text)) == text


def test_a_text_of_several_sentences_falls_into_them() -> None:
    kin = say("kin", common="tulpar", resource=say("resource", **VALUES), nats="4.4")
    said = [kin, say("beside", resource=say("resource_named", **VALUES)), say("same_code"), "by hand"]
    assert list(parts("; ".join(said))) == said


@given(st.sampled_from(sorted(IdentifierKind)), st.text("abcxyz019_./+-:", min_size=1), st.text(min_size=1))
def test_any_contact_and_any_name_are_found_again(kind: str, value: str, name: str) -> None:
    resource = say("resource_named", kind=kind, value=value, name=name, shop="S1")
    found = recognise(say("equal", resource=resource))
    assert found is not None and found.values["resource"] == resource


def test_linking_says_nothing_without_a_code(root: Path) -> None:
    """Texts of evidence and reasons are made by ``say``: no string of several words stands in a call that makes them."""
    for path in (root / "linking").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
        if path.name in SAYING:
            assert any(call.func.id in ("say", "partial") for call in calls), path.name  # type: ignore[attr-defined]
        for call in calls:
            if call.func.id in ("Evidence", "Link", "Meaning", "Kin"):  # type: ignore[attr-defined]
                for given_ in (*call.args, *(word.value for word in call.keywords)):
                    plain = [given_, *getattr(given_, "elts", ())]
                    words = [item.value for item in plain if isinstance(item, ast.Constant) and isinstance(item.value, str)]
                    assert not [word for word in words if word.count(" ") > 1], f"{path.name}:{call.lineno}"
                    assert not any(isinstance(item, ast.JoinedStr) for item in plain), f"{path.name}:{call.lineno}"
        for call in calls:
            code = call.args[0] if call.func.id == "say" and call.args else None  # type: ignore[attr-defined]
            if isinstance(code, ast.Constant):
                assert code.value in SENTENCES, f"{path.name}:{call.lineno}"
