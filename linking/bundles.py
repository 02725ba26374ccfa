"""Which sightings hang together: the partition that a set of sightings and people's rules amount to. Pure, and the same in
whatever order they come.

It has two steps. **Bundles** hang together by evidence of their own: copies of a picture, a common contact near by, words or
pictures that agree, and what people said. Where a person has said that two sightings differ, the strongest edges join first and
none may unite those two. Then a bundle **without any known place** joins the one placed bundle whose placed photos show its
contacts. Where several do it tells nothing and stays alone; where none does, such bundles with common contacts are one cluster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .joining import compare, is_copy, joins_in_doubt
from .pictures import close_pairs
from .sightings import ClusterSettings, Contact, ContactEvidence, Key, Spot, Traced, areas_around, metres, related


@dataclass(frozen=True, slots=True)
class Rule:
    """What a person said of two sightings: ``same`` advert (must-link) or not (cannot-link). The later ``number`` wins."""

    a: Key
    b: Key
    same: bool
    number: int = 0


class Groups:
    """Union-find over the numbers 0 .. n-1."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, item: int) -> int:
        """The representative of the group of ``item``: its smallest number."""
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, a: int, b: int) -> None:
        """Make the groups of two items one."""
        a, b = self.find(a), self.find(b)
        # The smaller number always wins, so that the outcome does not depend on the order of the calls.
        self._parent[max(a, b)] = min(a, b)

    def parts(self) -> dict[int, list[int]]:
        """The members of every group in order, by its representative."""
        found: dict[int, list[int]] = defaultdict(list)
        for item in range(len(self._parent)):
            found[self.find(item)].append(item)
        return dict(found)


@dataclass(frozen=True, slots=True)
class Bundles:
    """``groups`` are the bundles; ``components`` are what they would be if no rule kept sightings apart."""

    groups: Groups
    components: Groups


@dataclass(frozen=True, slots=True)
class _Node:
    """Sightings at one spot with the same contacts, of several photos: they are one. Or a single sighting."""

    members: tuple[int, ...]
    evidence: ContactEvidence
    spot: Spot
    photos: frozenset[str]


def bundle(items: Sequence[Traced], rules: Sequence[Rule], settings: ClusterSettings) -> Bundles:
    """The bundles of sightings with distinct keys in ascending order. Rules on keys that are not among them count for nothing."""
    index = {item.key: i for i, item in enumerate(items)}
    known = [(index[rule.a], index[rule.b], rule) for rule in rules if rule.a in index and rule.b in index]
    must = [(a, b) for a, b, rule in sorted(known, key=lambda k: -k[2].number) if rule.same]
    apart = [(a, b) for a, b, rule in known if not rule.same]
    nodes = _nodes(items, {i for a, b, _ in known for i in (a, b)})
    alike = [(node.members[0], i) for node in nodes for i in node.members[1:]]
    cheap = {*_again_edges(nodes, settings), *_copy_edges(items, settings)}
    components = Groups(len(items))
    for a, b in (*must, *alike, *cheap):
        components.join(a, b)
    # Comparing pictures is dear, and where nobody keeps anything apart, what hangs together already tells nothing new.
    edges = sorted({*cheap, *_doubt_edges(items, None if apart else components, settings)})
    for a, b in edges:
        components.join(a, b)
    torn = {components.find(a) for a, b in apart if components.find(a) == components.find(b)}
    groups = Groups(len(items))
    for a, b in (*alike, *must, *edges):
        if components.find(a) not in torn:
            groups.join(a, b)
    if torn:
        inside = [[pair for pair in pairs if components.find(pair[0]) in torn] for pairs in (must, alike, edges, apart)]
        _join_strongest_first(items, groups, inside[0], inside[1], inside[2], inside[3], settings)
    return Bundles(groups, components)


def _join_strongest_first(
    items: Sequence[Traced],
    groups: Groups,
    must: Sequence[tuple[int, int]],
    alike: Sequence[tuple[int, int]],
    edges: Sequence[tuple[int, int]],
    apart: Sequence[tuple[int, int]],
    settings: ClusterSettings,
) -> None:
    """Kruskal's order under cannot-links: people's word, the newest first; then edges by falling log-odds, ties by key."""

    def may(a: int, b: int) -> bool:
        ends = {groups.find(a), groups.find(b)}
        return len(ends) == 1 or all({groups.find(x), groups.find(y)} != ends for x, y in apart)

    weighed = sorted((-round(compare(items[a], items[b], settings).log_odds, 9), a, b) for a, b in edges)
    # Alike sightings are under no rule, so joining them first can unite nothing that people keep apart.
    for a, b in (*alike, *must, *((a, b) for _, a, b in weighed)):
        if may(a, b):
            groups.join(a, b)


def _nodes(items: Sequence[Traced], ruled: set[int]) -> list[_Node]:
    """Placed sightings that show something, those that are alike in one node unless a rule names them."""
    classes: dict[tuple[int, ContactEvidence, int], list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        if item.spot is not None and item.evidence.looks:
            classes[item.spot.cell, item.evidence, i if i in ruled else -1].append(i)
    nodes: list[_Node] = []
    for members in classes.values():
        photos = frozenset(items[i].sighting.photo for i in members)
        # Adverts with one contact in one photo are different adverts, so they are one only through another photo.
        for part in [members] if len(photos) > 1 else [[i] for i in members]:
            first = items[part[0]]
            assert first.spot is not None
            nodes.append(_Node(tuple(part), first.evidence, first.spot, photos))
    return nodes


def _again_edges(nodes: Sequence[_Node], settings: ClusterSettings) -> Iterator[tuple[int, int]]:
    """Pairs of first members of nodes that are near each other and share a contact, of different photos."""
    shown: dict[tuple[Contact, int], list[int]] = defaultdict(list)
    for n, node in enumerate(nodes):
        for look in node.evidence.looks:
            shown[look, node.spot.area].append(n)
    for n, node in enumerate(nodes):
        around = areas_around(node.spot)
        for m in {m for look in node.evidence.looks for area in around for m in shown.get((look, area), ()) if m > n}:
            other = nodes[m]
            apart = metres(node.spot, other.spot)
            if apart is None or apart > settings.near_m or len(node.photos | other.photos) < 2:
                continue
            if related(node.evidence, other.evidence):
                yield _pair(node.members[0], other.members[0])


def _copy_edges(items: Sequence[Traced], settings: ClusterSettings) -> Iterator[tuple[int, int]]:
    """Pairs of sightings at the same spot of two copies of one picture."""
    by_photo: dict[str, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        if item.sighting.picture_hash is not None:
            by_photo[item.sighting.photo].append(i)
    photos = sorted(by_photo)
    hashes = [items[by_photo[photo][0]].sighting.picture_hash or 0 for photo in photos]
    for p, q in close_pairs(hashes, settings.picture_bits):
        for i in by_photo[photos[p]]:
            for j in by_photo[photos[q]]:
                if is_copy(items[i], items[j], settings):
                    yield _pair(i, j)


def _doubt_edges(items: Sequence[Traced], known: Groups | None, settings: ClusterSettings) -> Iterator[tuple[int, int]]:
    """Pairs of adverts whose words or pictures agree where contacts do not tell.

    Pairs in one group of ``known`` are left out, and its groups are joined as pairs are found.
    """
    for i, j in _doubtful(items):
        if known is not None and known.find(i) == known.find(j):
            continue
        if joins_in_doubt(items[i], items[j], settings):
            if known is not None:
                known.join(i, j)
            yield i, j


def _doubtful(items: Sequence[Traced]) -> Iterator[tuple[int, int]]:
    """Pairs that may be worth comparing: those near each other of which one shows no clear contact, and those with a common hint
    that are near each other or of which one has no place."""
    areas: dict[int, list[int]] = defaultdict(list)
    hinted: dict[Contact, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        if item.spot is not None and item.comparable:
            areas[item.spot.area].append(i)
        for hint in item.hints:
            hinted[hint].append(i)
    for i, item in enumerate(items):
        around = set(areas_around(item.spot)) if item.spot is not None else set()
        found = {j for area in around for j in areas.get(area, ())} if item.comparable and not item.clear else set()
        for j in (j for hint in item.hints for j in hinted[hint]):
            spot = items[j].spot
            if spot is None or item.spot is None or spot.area in around:
                found.add(j)
        # A pair may come up from both of its ends; looking once is enough.
        yield from (_pair(i, j) for j in sorted(found) if j > i or (j < i and items[j].clear and not item.clear))


def _pair(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def partition(items: Sequence[Traced], rules: Sequence[Rule], settings: ClusterSettings) -> Groups:
    """The clusters of sightings with distinct keys in ascending order: bundles, and those without a place where they belong."""
    bundles = bundle(items, rules, settings).groups
    clusters = Groups(len(items))
    for root, members in bundles.parts().items():
        for i in members:
            clusters.join(root, i)
    for a, b in _loose_joins(items, bundles, rules):
        clusters.join(a, b)
    return clusters


def _loose_joins(items: Sequence[Traced], bundles: Groups, rules: Sequence[Rule]) -> Iterator[tuple[int, int]]:
    parts = bundles.parts()
    placed = {root for root, members in parts.items() if any(items[i].spot is not None for i in members)}
    enemies = _enemies(items, bundles, rules)
    shown: dict[Contact, dict[ContactEvidence, set[int]]] = defaultdict(lambda: defaultdict(set))
    for i, item in enumerate(items):
        if item.spot is not None:
            for look in item.evidence.looks:
                shown[look][item.evidence].add(bundles.find(i))
    walls: dict[ContactEvidence, set[int]] = {}
    floating: list[int] = []
    for root, members in parts.items():
        if root in placed or enemies.get(root, set()) - placed:
            # People have told it from another that has no place either: only they can say where it belongs.
            continue
        targets = set().union(*(_walls_showing(items[i].evidence, shown, walls) for i in members)) - enemies.get(root, set())
        if len(targets) == 1:
            yield root, targets.pop()
        elif not targets:
            floating += members
    yield from loose_pairs(items, floating)


def _walls_showing(
    evidence: ContactEvidence,
    shown: dict[Contact, dict[ContactEvidence, set[int]]],
    known: dict[ContactEvidence, set[int]],
) -> set[int]:
    if evidence not in known:
        found = (roots for look in evidence.looks for other, roots in shown.get(look, {}).items() if related(evidence, other))
        known[evidence] = set().union(*found)
    return known[evidence]


def _enemies(items: Sequence[Traced], bundles: Groups, rules: Sequence[Rule]) -> dict[int, set[int]]:
    """The bundles that people have told apart from each bundle."""
    index = {item.key: i for i, item in enumerate(items)}
    found: dict[int, set[int]] = defaultdict(set)
    for rule in rules:
        if not rule.same and rule.a in index and rule.b in index:
            a, b = bundles.find(index[rule.a]), bundles.find(index[rule.b])
            found[a].add(b)
            found[b].add(a)
    return found


def loose_pairs(items: Sequence[Traced], loose: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Enough pairs to hang together the sightings of different photos that share a contact, wherever they are.

    Sightings with the same contacts behave alike, so whole groups of them are compared: a handle that a thousand photos
    show costs a thousand steps and not a million.
    """
    alike: dict[ContactEvidence, list[int]] = defaultdict(list)
    for i in loose:
        alike[items[i].evidence].append(i)
    by_look: dict[Contact, list[ContactEvidence]] = defaultdict(list)
    for evidence in alike:
        for look in evidence.looks:
            by_look[look].append(evidence)
    for group in by_look.values():
        for position, evidence in enumerate(group):
            for other in group[position:]:
                if evidence is other or related(evidence, other):
                    members = [*alike[evidence], *(() if evidence is other else alike[other])]
                    # All of one photo are different adverts.
                    if len({items[i].sighting.photo for i in members}) > 1:
                        yield from ((members[0], i) for i in members[1:])
