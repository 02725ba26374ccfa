"""How shops grow: contacts that are painted together, and confirmed siblings, are proposed to be one shop. People decide.

A contact that many strangers show (the phone of a painter, a page of a host that everybody uses) is a hub: it says nothing about
who belongs together, and nothing is ever joined through it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ..contract import IdentifierKind
from ..inference.identifiers.protected import is_protected
from .stems import stem

Contact = tuple[IdentifierKind, str]


@dataclass(frozen=True, slots=True)
class GrowthSettings:
    """When contacts are proposed as one shop, and from when on a contact is a hub. All are counts."""

    min_adverts: int = 1
    """Adverts (on different walls) that show two contacts together for them to hang together."""
    hub_shops: int = 2
    """A contact seen beside contacts of this many different shops, none of them its own, is a hub."""
    hub_groups: int = 5
    """So is an unlisted contact seen beside more groups of contacts than this. Contacts seen with each other, or with one name
    behind them, are one group: a shop keeps its phone and rotates its names."""
    largest: int = 40
    """More unlisted contacts than this hanging together are not one shop: something unknown connects them."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Contacts that look like one shop's: ``shop_id`` is the listed shop that would get them, None for a shop of their own."""

    contacts: tuple[Contact, ...]
    shop_id: str | None
    adverts: int
    """Adverts that show at least two of them, or one of them beside a contact of the shop."""
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """What is proposed, the contacts that are hubs, and the pairs of listed shops that were painted together."""

    proposals: tuple[Proposal, ...]
    hubs: tuple[Contact, ...]
    shops_together: tuple[tuple[str, str, int], ...]
    """Two shop ids and the number of adverts that show contacts of both: for people to look at, never merged by themselves."""


def propose_shops(
    adverts: Iterable[Sequence[Contact]],
    owners: Mapping[Contact, str],
    siblings: Iterable[tuple[Contact, Contact]] = (),
    settings: GrowthSettings | None = None,
) -> Growth:
    """Propose shops from adverts (the contacts that each shows, one entry per wall), the shops of listed contacts, and siblings
    that people confirmed (pairs of contacts).

    Pure; the order of adverts and contacts does not matter. A proposal never joins two listed shops, and protected values are
    neither proposed nor hung on.
    """
    settings = settings or GrowthSettings()
    together = _together(adverts)
    hubs = _hubs(together, owners, settings)
    confirmed = {_pair(a, b) for a, b in siblings if a != b and not (is_protected(*a) or is_protected(*b))}
    edges = {pair for pair, count in together.items() if count >= settings.min_adverts and not hubs & set(pair)} | confirmed
    joined = _parts({pair for pair in edges if pair[0] not in owners and pair[1] not in owners}, edges, owners)
    proposals = [_proposal(part, edges, together, confirmed, owners) for part in joined if len(part) <= settings.largest]
    kept = [proposal for proposal in proposals if proposal is not None]
    return Growth(
        tuple(sorted(kept, key=lambda p: (-p.adverts, p.contacts))),
        tuple(sorted(hubs)),
        _shops_together(together, owners, hubs),
    )


def _pair(a: Contact, b: Contact) -> tuple[Contact, Contact]:
    return (a, b) if a < b else (b, a)


def _together(adverts: Iterable[Sequence[Contact]]) -> Counter[tuple[Contact, Contact]]:
    """How many adverts show each pair of contacts."""
    found: Counter[tuple[Contact, Contact]] = Counter()
    for contacts in adverts:
        free = sorted({contact for contact in contacts if not is_protected(*contact)})
        found.update(combinations(free, 2))
    return found


def _hubs(
    together: Mapping[tuple[Contact, Contact], int], owners: Mapping[Contact, str], settings: GrowthSettings
) -> set[Contact]:
    beside: dict[Contact, set[Contact]] = defaultdict(set)
    for a, b in together:
        beside[a].add(b)
        beside[b].add(a)
    hubs = set()
    for contact, others in beside.items():
        shops = {owners[other] for other in others if other in owners} - {owners.get(contact, "")}
        many = contact not in owners and len(others) > settings.hub_groups and _groups(others, beside) > settings.hub_groups
        if many or len(shops) >= settings.hub_shops:
            hubs.add(contact)
    return hubs


def _groups(contacts: set[Contact], beside: Mapping[Contact, set[Contact]]) -> int:
    """How many groups contacts fall into by being seen with each other or having one name behind them."""
    import networkx

    graph: networkx.Graph[object] = networkx.Graph()
    graph.add_nodes_from(contacts)
    for contact in contacts:
        graph.add_edges_from((contact, other) for other in beside[contact] & contacts)
        name = stem(*contact)
        if name:
            graph.add_edge(contact, name)
    return networkx.number_connected_components(graph)


def _parts(
    inner: set[tuple[Contact, Contact]], edges: set[tuple[Contact, Contact]], owners: Mapping[Contact, str]
) -> list[tuple[Contact, ...]]:
    """The connected unlisted contacts; single ones count when they hang on a listed one."""
    import networkx

    graph: networkx.Graph[Contact] = networkx.Graph()
    graph.add_edges_from(inner)
    graph.add_nodes_from(contact for pair in edges for contact in pair if contact not in owners)
    return sorted(tuple(sorted(part)) for part in networkx.connected_components(graph))


def _proposal(
    part: tuple[Contact, ...],
    edges: set[tuple[Contact, Contact]],
    together: Mapping[tuple[Contact, Contact], int],
    confirmed: set[tuple[Contact, Contact]],
    owners: Mapping[Contact, str],
) -> Proposal | None:
    """What a connected part amounts to; None where it hangs on two listed shops (people have to tell), or on nothing."""
    members = set(part)
    touching = sorted(pair for pair in edges if members & set(pair))
    shops = {owners[contact] for pair in touching for contact in pair if contact in owners}
    if len(shops) > 1 or (not shops and len(part) < 2):
        return None
    reasons = tuple(
        f"{_words(a)} and {_words(b)}: "
        + ("confirmed siblings" if (a, b) in confirmed else f"painted together in {together[a, b]} adverts")
        for a, b in touching
    )
    return Proposal(part, next(iter(shops), None), max((together.get(pair, 0) for pair in touching), default=0), reasons)


def _shops_together(
    together: Mapping[tuple[Contact, Contact], int], owners: Mapping[Contact, str], hubs: set[Contact]
) -> tuple[tuple[str, str, int], ...]:
    found: Counter[tuple[str, str]] = Counter()
    for (a, b), count in together.items():
        if a in owners and b in owners and owners[a] != owners[b] and not hubs & {a, b}:
            first, second = sorted((owners[a], owners[b]))
            found[first, second] += count
    return tuple(sorted((a, b, count) for (a, b), count in found.items()))


def _words(contact: Contact) -> str:
    return f"{contact[0]} {contact[1]}"
