"""How shops are proposed: by what is painted together and confirmed, never through a hub. All shops are invented."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tagtrace.contract import IdentifierKind
from tagtrace.linking.graph import SeenAdvert, build_graph, to_svg
from tagtrace.linking.growth import Contact, GrowthSettings, propose_shops

K = IdentifierKind


def handle(name: str) -> Contact:
    return (K.TELEGRAM, name)


def phone(number: int) -> Contact:
    return (K.PHONE, f"+7749555{number:04d}")


def test_contacts_painted_together_are_a_shop() -> None:
    found = propose_shops([[handle("dala"), phone(1)], [phone(1), handle("dala2")], [handle("alone")]], {})
    (proposal,) = found.proposals
    assert set(proposal.contacts) == {handle("dala"), handle("dala2"), phone(1)} and proposal.shop_id is None
    assert len(proposal.reasons) == 2 and not found.hubs


def test_an_unlisted_contact_goes_to_the_one_shop_beside_it() -> None:
    found = propose_shops([[handle("tulpar1"), phone(1)], [phone(1), handle("tulpar9")]], {handle("tulpar1"): "A"})
    assert [(set(p.contacts), p.shop_id) for p in found.proposals] == [({phone(1), handle("tulpar9")}, "A")]


def test_a_contact_beside_two_shops_is_a_hub_and_joins_nothing() -> None:
    owners = {handle("tulpar1"): "A", handle("berkut1"): "B"}
    painter = phone(7)
    walls = [[handle("tulpar1"), painter], [handle("berkut1"), painter], [handle("new"), painter]]
    found = propose_shops(walls, owners)
    assert found.hubs == (painter,) and not found.proposals


def test_a_phone_beside_many_strangers_is_a_hub_but_not_one_beside_a_rotating_name() -> None:
    names = "altai berkut corsar dala ertis favorit granit".split()
    found = propose_shops([[handle(name), phone(1)] for name in names], {})
    assert found.hubs == (phone(1),) and not found.proposals
    found = propose_shops([[handle(f"tulpar_kz{i}"), phone(1)] for i in range(12)], {})
    assert not found.hubs and len(found.proposals[0].contacts) == 13


def test_listed_shops_are_never_joined() -> None:
    owners = {handle("tulpar1"): "A", handle("berkut1"): "B"}
    walls = [[handle("tulpar1"), handle("berkut1")], [handle("tulpar1"), handle("x1")], [handle("x1"), handle("x2")]]
    found = propose_shops([*walls, [handle("x2"), handle("berkut1")]], owners)
    assert not found.proposals, "between two shops people have to tell"
    assert found.shops_together == (("A", "B", 1),)


def test_protected_contacts_are_left_out() -> None:
    bot = handle("sko_narkohelp_bot")
    found = propose_shops([[handle("dala"), bot], [handle("berkut"), bot]], {}, [(bot, handle("x"))])
    assert not found.proposals and not found.hubs


def test_confirmed_siblings_are_proposed() -> None:
    found = propose_shops([], {}, [(handle("dala1"), handle("dala2"))])
    assert found.proposals[0].contacts == (handle("dala1"), handle("dala2"))
    assert "confirmed" in found.proposals[0].reasons[0]


CONTACTS = st.integers(0, 9).map(lambda i: handle(f"name{'abcdefghij'[i]}"))
WALLS = st.lists(st.lists(CONTACTS, max_size=4), max_size=12)
OWNERS = st.dictionaries(CONTACTS, st.sampled_from("AB"), max_size=4)


@given(walls=WALLS, owners=OWNERS, seed=st.integers(0, 99))
def test_order_does_not_matter_and_no_proposal_touches_two_shops_or_a_hub(
    walls: list[list[Contact]], owners: dict[Contact, str], seed: int
) -> None:
    found = propose_shops(walls, owners)
    rng = random.Random(seed)
    shuffled = [rng.sample(wall, len(wall)) for wall in rng.sample(walls, len(walls))]
    assert propose_shops(shuffled, owners) == found
    for proposal in found.proposals:
        assert not set(proposal.contacts) & set(owners)
        beside = [wall for wall in walls if set(wall) & set(proposal.contacts)]
        shops = {owners[c] for wall in beside for c in wall if c in owners and c not in found.hubs}
        assert shops <= {proposal.shop_id} or set(found.hubs) & set(proposal.contacts)
    contacts = [contact for proposal in found.proposals for contact in proposal.contacts]
    assert len(contacts) == len(set(contacts))


def test_more_than_one_shop_can_have_is_not_proposed() -> None:
    wall = [handle(f"name{i}") for i in range(6)]
    assert propose_shops([wall], {}).proposals
    assert not propose_shops([wall], {}, settings=GrowthSettings(largest=5)).proposals


def test_the_picture_escapes_what_walls_say() -> None:
    graph = build_graph({"<b>": "<script>"}, {(K.QR, "<x>&"): "<b>"}, [SeenAdvert("p", "", ((K.QR, "<x>&"),), "s")])
    picture = to_svg(graph)
    assert "<script>" not in picture and "<x>" not in picture and "&lt;x&gt;&amp;" in picture
    assert picture == to_svg(graph) and graph.number_of_nodes() == 4
