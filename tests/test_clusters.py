"""Which sightings show the same physical advert. All contacts are invented."""

from __future__ import annotations

import itertools
import math
import random

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import Flag, Identifier, IdentifierKind
from tagtrace.linking.clusters import (
    ClusterSettings,
    Rule,
    Sighting,
    box_of,
    compare,
    distance_m,
    place,
    trace,
)

K = IdentifierKind


def identifier(value: str, confidence: float = 0.9, kind: K = K.TELEGRAM, **more: object) -> Identifier:
    return Identifier(kind, value, value, confidence, **more)


ALMATY = (43.2, 76.9)


def east(metres: float, start: tuple[float, float] = ALMATY) -> tuple[float, float]:
    return start[0], start[1] + metres / (111_195 * math.cos(math.radians(start[0])))


def sighting(photo: str, *values: str, at: tuple[float, float] | None = ALMATY, advert: int = 0, **more: object) -> Sighting:
    lat, lon = at or (None, None)
    return Sighting(photo, advert, tuple(identifier(value) for value in values), lat=lat, lon=lon, **more)


def clusters(*sightings: Sighting) -> list[str]:
    return [placement.cluster for placement in place(sightings)]


def test_same_contact_near_is_one_advert_and_far_is_one_shop() -> None:
    here, near, far = sighting("a", "umit1"), sighting("b", "umit1", at=east(40)), sighting("c", "umit1", at=east(5000))
    placements = place([here, near, far])
    assert placements[0].cluster == placements[1].cluster != placements[2].cluster
    assert len({placement.shop_cluster for placement in placements}) == 1
    assert "telegram umit1 in 2 photos" in placements[0].reasons[0] and placements[2].reasons == ()


def test_different_contacts_at_one_place_stay_apart() -> None:
    placements = place([sighting("a", "umit_kz"), sighting("b", "berkut_kz")])
    assert placements[0].cluster != placements[1].cluster and placements[0].shop_cluster != placements[1].shop_cluster


def test_two_adverts_in_one_photo_stay_two() -> None:
    both = clusters(sighting("a", "umit1", advert=0), sighting("a", "umit1", advert=1))
    assert both[0] != both[1]


def test_a_misread_at_the_same_place_joins_but_another_number_does_not() -> None:
    assert len(set(clusters(sighting("a", "umitsnow"), sighting("b", "um1tsn0w")))) == 1
    assert len(set(clusters(sighting("a", "tulpar_kz8"), sighting("b", "tulpar_kz6")))) == 2


def test_rotated_names_are_one_shop() -> None:
    a, b, c = place([sighting("a", "tulpar_kz1"), sighting("b", "tulpar_kz2", at=east(9000)), sighting("c", "shop2", "shop1")])
    assert a.shop_cluster == b.shop_cluster != c.shop_cluster and a.cluster != b.cluster


def test_listed_shop_joins_its_adverts() -> None:
    a, b = place([sighting("a", "umit_a", shop_id="A"), sighting("b", "other_b", shop_id="A")])
    assert a.shop_cluster == b.shop_cluster and a.cluster != b.cluster


def test_protected_contacts_make_no_shop() -> None:
    hotline = Identifier(K.PHONE, "+77770000000", "", 0.9, flags=(Flag.PROTECTED,))
    a, b = place([Sighting("a", 0, (hotline,), lat=43.0, lon=76.0), Sighting("b", 0, (hotline,), lat=44.0, lon=76.0)])
    assert a.shop_cluster != b.shop_cluster


def test_unknown_place_joins_only_what_is_clear() -> None:
    here, far, lost = sighting("a", "umit1"), sighting("b", "umit1", at=east(5000)), sighting("c", "umit1", at=None)
    assert len(set(clusters(here, lost))) == 1
    assert len(set(clusters(here, far, lost))) == 3
    assert len(set(clusters(lost, sighting("d", "umit1", at=None)))) == 1


def test_unknown_places_never_bridge_two_known_ones() -> None:
    chain = [
        sighting("a", "first"),
        sighting("b", "second", at=east(5000)),
        sighting("c", "first", "third", at=None),
        sighting("d", "third", "second", at=None),
    ]
    found = clusters(*chain)
    assert found[0] == found[2] and found[1] == found[3] and found[0] != found[1]


def test_copies_of_a_picture_join_at_the_same_spot_without_any_contact() -> None:
    box = (0.1, 0.1, 0.5, 0.5)
    a = sighting("a", at=None, picture_hash=0b1011, box=box)
    b = sighting("b", at=ALMATY, picture_hash=0b0011, box=box)
    other_spot = sighting("b", at=ALMATY, picture_hash=0b0011, box=(0.6, 0.6, 0.9, 0.9), advert=1)
    stranger = sighting("c", at=None, picture_hash=(1 << 40) - 1, box=box)
    found = clusters(a, b, other_spot, stranger)
    assert found[0] == found[1] and len(set(found)) == 3
    different = sighting("d", "umit_kz", picture_hash=0b1011, box=box), sighting("e", "berkut_kz", picture_hash=0b1011, box=box)
    assert len(set(clusters(*different))) == 2


def test_across_the_date_line() -> None:
    assert len(set(clusters(sighting("a", "umit1", at=(0.0, 179.9999)), sighting("b", "umit1", at=(0.0, -179.9999))))) == 1


WORLD = st.lists(
    st.builds(
        lambda photo, advert, values, spot: sighting(photo, *values, at=spot, advert=advert),
        st.sampled_from("abcdefghij"),
        st.integers(0, 1),
        st.lists(st.sampled_from(["umit1", "umit2", "berkut", "tulpar_kz"]), max_size=2, unique=True),
        st.sampled_from([None, ALMATY, east(30), east(55), east(100), east(5000), east(5050)]),
    ),
    max_size=14,
    unique_by=lambda s: s.key,
)


@settings(max_examples=150, deadline=None)
@given(WORLD, st.randoms(use_true_random=False))
def test_order_does_not_matter(world: list[Sighting], rng: random.Random) -> None:
    expected = {s.key: p for s, p in zip(world, place(world), strict=True)}
    shuffled = rng.sample(world, len(world)) + world[:2]
    assert {s.key: p for s, p in zip(shuffled, place(shuffled), strict=True)} == expected


@settings(max_examples=150, deadline=None)
@given(WORLD)
def test_clusters_are_the_connected_components(world: list[Sighting]) -> None:
    """Against networkx, with the rules written down pair by pair."""
    found = {s.key: p.cluster for s, p in zip(world, place(world), strict=True)}
    assert {frozenset(k for k in found if found[k] == c) for c in found.values()} == _components(world)


def _components(world: list[Sighting], rules: tuple[Rule, ...] = ()) -> set[frozenset[tuple[str, int]]]:
    """The partition by its definition, pair by pair; cannot-links are not among what it knows."""

    def shares(a: Sighting, b: Sighting) -> bool:
        return bool({i.value for i in a.identifiers} & {i.value for i in b.identifiers})

    graph = nx.Graph()
    graph.add_nodes_from(s.key for s in world)
    for a, b in itertools.combinations(world, 2):
        metres = distance_m(a, b)
        if metres is not None and metres <= ClusterSettings().near_m and shares(a, b) and a.photo != b.photo:
            graph.add_edge(a.key, b.key)
    graph.add_edges_from((rule.a, rule.b) for rule in rules)
    by_key = {s.key: s for s in world}
    parts = [[by_key[key] for key in part] for part in nx.connected_components(graph)]
    walls = [part for part in parts if any(s.lat is not None for s in part)]
    floating: list[Sighting] = []
    for part in (part for part in parts if part not in walls):
        targets = [w for w in walls if any(shares(s, o) for s in part for o in w if o.lat is not None)]
        if len(targets) == 1:
            graph.add_edge(part[0].key, targets[0][0].key)
        elif not targets:
            floating += part
    graph.add_edges_from((a.key, b.key) for a, b in itertools.combinations(floating, 2) if shares(a, b) and a.photo != b.photo)
    return {frozenset(part) for part in nx.connected_components(graph)}


def rules_of(world: list[Sighting], rng: random.Random, count: int, same: bool | None = None) -> tuple[Rule, ...]:
    pairs = [rng.sample(world, 2) for _ in range(count)] if len(world) > 1 else []
    return tuple(Rule(a.key, b.key, rng.random() < 0.5 if same is None else same, number) for number, (a, b) in enumerate(pairs))


@settings(max_examples=60, deadline=None)
@given(WORLD, st.randoms(use_true_random=False))
def test_must_links_are_edges(world: list[Sighting], rng: random.Random) -> None:
    rules = rules_of(world, rng, 3, same=True)
    found = {s.key: p.cluster for s, p in zip(world, place(world, rules=rules), strict=True)}
    assert {frozenset(k for k in found if found[k] == c) for c in found.values()} == _components(world, rules)


@settings(max_examples=60, deadline=None)
@given(WORLD, st.randoms(use_true_random=False))
def test_what_people_keep_apart_is_apart(world: list[Sighting], rng: random.Random) -> None:
    rules = rules_of(world, rng, 4)
    found = {s.key: p.cluster for s, p in zip(world, place(world, rules=rules), strict=True)}
    apart = [rule for rule in rules if not rule.same]
    must = nx.Graph([(rule.a, rule.b) for rule in rules if rule.same])
    must.add_nodes_from(found)
    for rule in apart:
        if not nx.has_path(must, rule.a, rule.b):
            assert found[rule.a] != found[rule.b]
    # Nothing is put apart for no reason: without the cannot-links only whole clusters become one.
    free = {s.key: p.cluster for s, p in zip(world, place(world, rules=[rule for rule in rules if rule.same]), strict=True)}
    torn = {free[key] for rule in apart for key in (rule.a, rule.b)}
    for key, other in itertools.combinations(found, 2):
        if free[key] == free[other] and free[key] not in torn:
            assert found[key] == found[other]


def test_the_nearer_stays_when_two_are_told_apart() -> None:
    a, b, c = sighting("a", "umit1"), sighting("b", "umit1", at=east(20)), sighting("c", "umit1", at=east(55))
    assert len({p.cluster for p in place([a, b, c])}) == 1
    found = place([a, b, c], rules=[Rule(a.key, c.key, same=False)])
    assert found[0].cluster == found[1].cluster != found[2].cluster


def test_evidence_of_a_pair_is_symmetric_and_adds_up() -> None:
    known = ClusterSettings()
    a, b = trace(sighting("a", "umit_kz"), known), trace(sighting("b", "umit_kz", at=east(20)), known)
    far = trace(sighting("c", "umit_kz", at=east(300)), known)
    other = trace(sighting("d", "berkut_kz", at=east(20)), known)
    generic, same_generic = (trace(sighting(photo, "shop_kz"), known) for photo in "ef")
    assert compare(a, b, known) == compare(b, a, known)
    assert compare(a, b, known).log_odds == math.fsum(step.nats for step in compare(a, b, known).steps)
    assert compare(a, b, known).log_odds > 5 > 0 > compare(a, other, known).log_odds
    assert compare(a, far, known).log_odds < 0
    assert compare(generic, same_generic, known).steps[0].nats < compare(a, b, known).steps[0].nats


def test_box_of_is_cut_at_the_edges() -> None:
    assert box_of(((-10.0, 5.0), (50.0, 5.0), (50.0, 20.0), (-10.0, 20.0)), 100, 40) == (0.0, 0.125, 0.5, 0.5)
