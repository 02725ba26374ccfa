"""No way leads one person alone to a resource that is sent for blocking, or to a protection that is overridden."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import service_desk
import two_people
from sqlalchemy import insert, select, update

from tagtrace import cli
from tagtrace.contract import ExitCode, IdentifierKind, TagtraceError
from tagtrace.linking.life import ResourceState
from tagtrace.linking.store import Store, checks, people, proposals, resources
from tagtrace.linking.store.approvals import Action, ProposalRow, ProposalState
from tagtrace.linking.store.protection import UnprotectedRow, load_protection
from tagtrace.linking.store.tables import ResourceEventRow, ResourceRow
from tagtrace.service.access import Role

T, VALUE = IdentifierKind.TELEGRAM, "tulpar_kz1"
ALIKE = "sko_narkohe1p_bot"
"""Looks like a protected name."""


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def verified(store: Store) -> Store:
    store.write(lambda s: resources.register(s, [(T, VALUE)], "test"), "x")
    store.write(lambda s: resources.set_state(s, T, VALUE, ResourceState.VERIFIED), "x")
    return store


def state_of(store: Store) -> str:
    with store.read() as session:
        return str(session.scalars(select(ResourceRow.state).where(ResourceRow.value == VALUE)).one())


def proposal(session: Any, action: Action = Action.SEND, value: str = VALUE, **values: Any) -> int:
    """A row as somebody might write it behind the store's back."""
    row = {"action": action, "kind": T, "value": value, "basis": "x", "at": now(), "why": ""}
    row |= {"state": ProposalState.APPROVED, "actor": "person 1", "decided_by": "person 2", "decided_at": now(), **values}
    return int(session.execute(insert(ProposalRow).values(row).returning(ProposalRow.id)).scalar_one())


def test_the_store_sends_nothing_without_a_proposal_of_two(verified: Store) -> None:
    first = two_people.person(verified, "aigul")
    two_people.person(verified, "dana")

    def sent(session: Any, number: int | None) -> None:
        resources.set_state(session, T, VALUE, ResourceState.SENT, "basis", proposal=number)

    ways: list[Callable[[Any], None]] = [
        lambda s: sent(s, None),
        lambda s: sent(s, 999),
        lambda s: sent(s, proposal(s, decided_by="person 1")),
        lambda s: sent(s, proposal(s, decided_by=None)),
        lambda s: sent(s, proposal(s, state=ProposalState.OPEN)),
        lambda s: sent(s, proposal(s, state=ProposalState.DECLINED)),
        lambda s: sent(s, proposal(s, value="tulpar_kz2")),
        lambda s: sent(s, proposal(s, Action.UNPROTECT)),
    ]
    for way in ways:
        for actor in (first, "erlan", "key 7"):
            with pytest.raises(TagtraceError, match="two people|proposal"):
                verified.write(way, actor)
    assert state_of(verified) == "verified"


@pytest.mark.parametrize("actor", ["erlan", "", "key 1", "person 0", "person 77", "person 1 ", "worker job 3", "person x"])
def test_only_people_who_may_sign_in_propose_and_approve(verified: Store, actor: str) -> None:
    first = two_people.person(verified, "aigul")
    with pytest.raises(TagtraceError, match="two people"):
        verified.write(lambda s: proposals.propose(s, Action.SEND, T, VALUE, "basis", now()), actor)
    made = verified.write(lambda s: proposals.propose(s, Action.SEND, T, VALUE, "basis", now()).id, first)
    with pytest.raises(TagtraceError, match="two people"):
        verified.write(lambda s: proposals.approve(s, made, now()), actor)
    assert state_of(verified) == "verified"


def test_who_has_left_approves_nothing(verified: Store) -> None:
    first, second = two_people.person(verified, "aigul"), two_people.person(verified, "dana")
    made = verified.write(lambda s: proposals.propose(s, Action.SEND, T, VALUE, "basis", now()).id, first)
    boss = ["administrator"]
    verified.write(lambda s: people.add_person(s, "boss", "Boss", "no password", boss, now()), "x")
    verified.write(lambda s: people.change_person(s, int(second.split()[1]), now(), active=False), "x")
    with pytest.raises(TagtraceError, match="two people"):
        verified.write(lambda s: proposals.approve(s, made, now()), second)


def test_a_proposal_is_carried_out_once(verified: Store) -> None:
    """What was withdrawn takes two people again: the old approval does not count twice."""
    first, _ = two_people.send(verified, T, VALUE, "art. 41-1")
    assert state_of(verified) == "sent"
    with verified.read() as session:
        used = session.scalars(select(ResourceEventRow.proposal_id).where(ResourceEventRow.to_state == "sent")).one()
    verified.write(lambda s: resources.set_state(s, T, VALUE, ResourceState.VERIFIED, "withdrawn"), first)
    with pytest.raises(TagtraceError, match="carried out already"):
        verified.write(lambda s: resources.set_state(s, T, VALUE, ResourceState.SENT, "again", proposal=used), first)
    two_people.send(verified, T, VALUE, "art. 41-1, again")
    assert state_of(verified) == "sent"
    assert all(finding.sound for finding in checks.check_store(verified)), "two people stand behind it"


def test_nothing_but_a_proposal_of_two_overrides_a_protection(store: Store) -> None:
    first, second = two_people.person(store, "aigul"), two_people.person(store, "dana")
    store.write(lambda s: resources.register(s, [(T, ALIKE)], "test"), "x")

    def protected() -> bool:
        with store.read() as session:
            return load_protection(session).covers(T, ALIKE)

    for values in (
        {"decided_by": first, "actor": first},
        {"decided_by": None},
        {"state": ProposalState.DECLINED},
        {"action": Action.SEND},
        {"value": VALUE},
    ):

        def behind(session: Any, values: Any = values) -> None:
            given = {"action": Action.UNPROTECT, "value": ALIKE, **values}
            number = proposal(session, given.pop("action"), given.pop("value"), **given)
            session.execute(insert(UnprotectedRow).values(kind=T, value=ALIKE, proposal_id=number, at=now()))

        store.write(behind, first)
        assert protected(), values
        store.write(lambda s: proposals.protect_again(s, T, ALIKE, "test"), first)
    made = store.write(lambda s: proposals.propose(s, Action.UNPROTECT, T, ALIKE, "a copy that sells", now()).id, first)
    with pytest.raises(TagtraceError, match="another person"):
        store.write(lambda s: proposals.approve(s, made, now()), first)
    assert protected()
    store.write(lambda s: proposals.approve(s, made, now()), second)
    assert not protected()


def test_the_command_line_sends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name is no proof: whatever ``--by`` says, one person could give two."""
    url = str(tmp_path / "city.db")
    with Store.open(url, upgrade=True) as store:
        store.write(lambda s: resources.register(s, [(T, VALUE)], "test"), "x")
        store.write(lambda s: resources.set_state(s, T, VALUE, ResourceState.VERIFIED), "x")
        people_ = [two_people.person(store, "aigul"), two_people.person(store, "dana")]
    for by in (*people_, "aigul", "dana", ""):
        words = [
            "resources",
            "set",
            "telegram",
            VALUE,
            "sent",
            "--basis",
            "art. 41-1",
            "--store",
            url,
            *(("--by", by) if by else ()),
        ]
        assert cli.run(words) == ExitCode.USAGE
        assert "two people" in capsys.readouterr().err
    listed = tmp_path / "list.csv"
    listed.write_text(f"shop_id,kind,value,status\nA,telegram,{VALUE},sent\nA,telegram,tulpar_kz9,sent\n")
    assert cli.run(["shops", "import", str(listed), "--store", url]) == ExitCode.OK
    with Store.open(url) as store, store.read() as session:
        assert resources.count_by_state(session) == {"identified": 1, "verified": 1}


def test_api_and_desk_send_nothing_for_one_person(tmp_path: Path, store_url: str) -> None:
    with service_desk.desk(store_url, tmp_path / "photos") as desk:
        first = desk.person("aigul", Role.EXPERT, Role.ADMINISTRATOR)
        desk.store.write(lambda s: resources.register(s, [(T, VALUE)], "test"), "x")
        desk.store.write(lambda s: resources.set_state(s, T, VALUE, ResourceState.VERIFIED), "x")
        with desk.store.read() as session:
            number = resources.find(session, [(T, VALUE)])[T, VALUE]
        step = {"state": "sent", "basis": "art. 41-1"}
        assert first.post(f"/v1/resources/{number}/steps", json=step).status_code == 409
        form = {"kind": "telegram", "value": VALUE, **step}
        assert first.post("/desk/resources/step", data=form, follow_redirects=False).status_code == 303
        waiting = first.get("/v1/proposals", params={"state": "open"}).json()["items"]
        assert [item["value"] for item in waiting] == [VALUE]
        place = waiting[0]["id"]
        assert first.post(f"/v1/proposals/{place}/approve").status_code == 409
        assert first.post(f"/desk/proposals/{place}", data={"word": "approve"}).status_code == 409
        assert state_of(desk.store) == "verified"
        second = desk.person("dana", Role.EXPERT)
        assert second.post(f"/v1/proposals/{place}/approve").status_code == 200
        assert state_of(desk.store) == "sent"


def test_a_check_finds_what_one_person_sent(verified: Store) -> None:
    """Somebody with the file in their hands can write anything into it; then it shows."""

    def behind(session: Any) -> None:
        number = session.scalars(select(ResourceRow.id).where(ResourceRow.value == VALUE)).one()
        session.execute(update(ResourceRow).values(state="sent"))
        row = {"resource_id": number, "from_state": "verified", "to_state": "sent", "at": now(), "actor": "person 1"}
        session.execute(insert(ResourceEventRow).values({**row, "basis": "x", "order_number": ""}))

    verified.write(behind, "x")
    wrong = [finding.text for finding in checks.check_store(verified) if not finding.sound]
    assert len(wrong) == 1 and "two people" in wrong[0] and VALUE in wrong[0]
