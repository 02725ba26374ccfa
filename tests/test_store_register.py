"""Shops and resources in the store: the life of a resource, merging and splitting, what protection forbids."""

from __future__ import annotations

import io

import pytest
import two_people
from hypothesis import given
from hypothesis import strategies as st

from tagtrace.contract import IdentifierKind, TagtraceError
from tagtrace.linking.life import BLOCKING, STEPS, ResourceState, check_step
from tagtrace.linking.store import Store, audit, protection, resources, shops
from tagtrace.linking.store.decisions import LinkDecision, Verdict, confirmed_siblings, decide_link
from tagtrace.linking.store.tables import ResourceRow

K, S = IdentifierKind, ResourceState
TULPAR = [(K.TELEGRAM, "tulpar_kz1"), (K.TELEGRAM, "tulpar_kz2"), (K.PHONE, "+77495550001")]


def fill(store: Store) -> None:
    with store.begin("aigul") as session:
        shops.create(session, "A", "Tulpar")
        shops.create(session, "B", "Berkut")
        resources.register(session, [*TULPAR, (K.TELEGRAM, "berkut_zone")], "test")
        for contact in TULPAR:
            shops.assign(session, contact, "A", "seen together")
        shops.assign(session, (K.TELEGRAM, "berkut_zone"), "B", "listed")


@given(steps=st.lists(st.sampled_from(list(S)), max_size=12), protected=st.booleans())
def test_no_life_leads_a_protected_value_to_a_block_nor_any_there_unverified(steps: list[ResourceState], protected: bool) -> None:
    lived = [S.IDENTIFIED]
    for step in steps:
        try:
            check_step("x", lived[-1], step, basis="b", order_number="1", protected=protected)
        except TagtraceError:
            continue
        assert step in STEPS[lived[-1]]
        lived.append(step)
    assert not (protected and BLOCKING & set(lived))
    if S.BLOCKED in lived:
        before = lived[: lived.index(S.BLOCKED)]
        assert S.VERIFIED in before and S.SENT in before


def test_the_life_of_a_resource_is_kept_with_who_and_why(store: Store) -> None:
    fill(store)
    steps = [(S.VERIFIED, "", ""), (S.SENT, "art. 41-1", ""), (S.BLOCKED, "art. 41-1", "12/3"), (S.RESTORED, "removed", "")]
    for state, basis, order in steps:
        if state is S.SENT:
            people = two_people.send(store, K.TELEGRAM, "tulpar_kz1", basis)
            continue
        with store.begin("erlan") as session:
            resources.set_state(session, K.TELEGRAM, "tulpar_kz1", state, basis, order)
    with store.read() as session:
        life = resources.events(session, K.TELEGRAM, "tulpar_kz1")
        assert [event.new for event in life] == [S.IDENTIFIED, S.VERIFIED, S.SENT, S.BLOCKED, S.RESTORED]
        assert [event.old for event in life[1:]] == [event.new for event in life[:-1]] and life[0].old is None
        assert [event.actor for event in life[1:]] == ["erlan", people[1], "erlan", "erlan"] and life[3].order_number == "12/3"
        assert resources.count_by_state(session) == {"identified": 3, "restored": 1}
        assert audit.verify_audit(session) is None


@pytest.mark.parametrize(
    ("state", "basis", "order", "message"),
    [(S.BLOCKED, "b", "1", "cannot become blocked"), (S.IDENTIFIED, "", "", "cannot become"), (S.REJECTED, " ", "", "basis")],
)
def test_a_step_that_is_not_allowed_changes_nothing(store: Store, state: S, basis: str, order: str, message: str) -> None:
    fill(store)
    with pytest.raises(TagtraceError, match=message), store.begin() as session:
        resources.set_state(session, K.TELEGRAM, "tulpar_kz1", state, basis, order)
    with store.read() as session:
        assert [event.new for event in resources.events(session, K.TELEGRAM, "tulpar_kz1")] == [S.IDENTIFIED]


def test_protected_values_are_never_sent_linked_or_exported(store: Store) -> None:
    fill(store)
    hidden = [(K.TELEGRAM, "sko_narkohelp_bot"), (K.TELEGRAM, "sko_narkohe1p_b0t"), (K.PHONE, "112"), (K.TELEGRAM, "tulpar_kz1")]
    with store.begin() as session:
        resources.register(session, hidden, "read off a wall")
        for kind, value in hidden[:3]:
            resources.set_state(session, kind, value, S.VERIFIED)
        # As if a list of an older version had brought them in: behind the back of what refuses them.
        for row in session.query(ResourceRow).all():
            row.shop_id = row.shop_id or "A"
        protection.protect(session, K.TELEGRAM, "tulpar_kz1", "letter of the city")
    for kind, value in hidden[:3]:
        with pytest.raises(TagtraceError, match="protected"), store.begin() as session:
            resources.set_state(session, kind, value, S.SENT, "basis")
        with pytest.raises(TagtraceError, match="protected"), store.begin() as session:
            shops.assign(session, (kind, value), "B", "wrong")
    with store.read() as session:
        out = io.StringIO()
        assert shops.export_shops(session, out) == 3
        known = {(r.kind, r.value) for r in resources.load_register(session).resources}
    assert not known & set(hidden) and not any(value in out.getvalue() for _, value in hidden)
    assert "tulpar_kz2" in out.getvalue()


def test_merged_shops_lead_on_and_ids_are_never_given_again(store: Store) -> None:
    fill(store)
    with store.begin() as session:
        shops.create(session, "C")
    with store.begin("erlan") as session:
        assert shops.merge(session, "B", "C", "same stencil") == "B"
        assert shops.merge(session, "A", "C", "same phone") == "A"
    with store.read() as session:
        assert [shops.resolve(session, name) for name in "ABC"] == ["A", "A", "A"]
        assert [(shop.id, shop.resources) for shop in shops.list_shops(session)] == [("A", 4)]
        assert shops.get_shop(session, "C").former_ids == ("B", "C")
        assert {r.shop_id for r in resources.load_register(session).resources} == {"A"}
    for change in (
        lambda s: shops.merge(s, "A", "B", ""),
        lambda s: shops.create(s, "B"),
        lambda s: shops.merge(s, "A", "X", ""),
    ):
        with pytest.raises(TagtraceError), store.begin() as session:
            change(session)


def test_a_split_takes_some_and_leaves_some(store: Store) -> None:
    fill(store)
    for contacts, message in [(TULPAR, "leaves some"), ([], "leaves some"), ([(K.PHONE, "+77490000000")], "has no phone")]:
        with pytest.raises(TagtraceError, match=message), store.begin() as session:
            shops.split(session, "A", contacts, "D", "Dala", "two sellers")
    with store.begin("erlan") as session:
        shops.split(session, "A", TULPAR[:1], "D", "Dala", "two sellers")
    with store.read() as session:
        found = {record.value: record.shop_id for record in resources.list_resources(session)}
        assert found == {"tulpar_kz1": "D", "tulpar_kz2": "A", "+77495550001": "A", "berkut_zone": "B"}
        assert shops.get_shop(session, "D").name == "Dala"


def test_registering_twice_is_registering_once(store: Store) -> None:
    fill(store)
    with store.begin() as session:
        first = resources.register(session, TULPAR, "again")
    with store.begin() as session:
        assert resources.register(session, [*TULPAR, (K.ONION, "x.onion")], "again").items() >= first.items()
    with store.read() as session:
        assert len(list(resources.list_resources(session))) == 5
        assert len(resources.events(session, *TULPAR[0])) == 1


def test_a_confirmed_sibling_goes_to_the_shop_and_the_last_word_counts(store: Store) -> None:
    fill(store)
    wall = ("a" * 64, 0)
    fresh, known = (K.TELEGRAM, "tulpar_kz9"), TULPAR[0]
    with store.begin("erlan") as session:
        decide_link(session, LinkDecision(*wall, fresh, Verdict.SIBLING, known, "same stencil"))
        decide_link(session, LinkDecision(*wall, (K.TELEGRAM, "berkut_zone"), Verdict.SIBLING, known))
        decide_link(session, LinkDecision(*wall, (K.TELEGRAM, "berkut_zone"), Verdict.UNRELATED, known))
    for wrong in (LinkDecision(*wall, fresh, Verdict.SAME, known), LinkDecision(*wall, fresh, Verdict.SAME, (K.ONION, "x"))):
        with pytest.raises(TagtraceError), store.begin() as session:
            decide_link(session, wrong)
    with store.read() as session:
        assert list(confirmed_siblings(session)) == [(known, fresh)]
        owners = {record.value: record.shop_id for record in resources.list_resources(session)}
        assert owners["tulpar_kz9"] == "A" and owners["berkut_zone"] == "B"
        assert audit.verify_audit(session) is None
