"""The graph of a shop: its resources, the clusters of adverts that show them, what is painted beside. As picture or as data."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from ..contract import IdentifierKind, TagtraceError

if TYPE_CHECKING:
    import networkx

Contact = tuple[IdentifierKind, str]
SUFFIXES = (".svg", ".graphml", ".json")


@dataclass(frozen=True, slots=True)
class SeenAdvert:
    """What the graph needs of one advert: its id for people, the cluster it is in ("" for none), its contacts, its stencil."""

    name: str
    cluster: str
    contacts: tuple[Contact, ...]
    stencil: str = ""


def build_graph(shops: Mapping[str, str], owners: Mapping[Contact, str], adverts: Iterable[SeenAdvert]) -> networkx.Graph[str]:
    """A graph of shops (id to name), resources, clusters and stencils.

    Nodes carry ``type`` and ``label``; edges ``type``: ``owns`` (shop, resource), ``shown`` (resource, cluster; ``adverts``
    counts them) and ``sprayed`` (stencil, cluster). An advert without a cluster is a cluster of its own.
    """
    import networkx

    graph: networkx.Graph[str] = networkx.Graph()
    for shop, name in sorted(shops.items()):
        graph.add_node(f"shop {shop}", type="shop", label=name or shop)
    for (kind, value), shop in sorted(owners.items()):
        _add_resource(graph, (kind, value))
        if f"shop {shop}" in graph:
            graph.add_edge(f"shop {shop}", f"{kind} {value}", type="owns", adverts=0)
    for advert in sorted(adverts, key=lambda seen: seen.name):
        cluster = f"cluster {advert.cluster or advert.name}"
        graph.add_node(cluster, type="cluster", label=advert.cluster or _short(advert.name))
        for contact in sorted(set(advert.contacts)):
            node = _add_resource(graph, contact)
            before = graph.get_edge_data(cluster, node, {"adverts": 0})["adverts"]
            graph.add_edge(cluster, node, type="shown", adverts=before + 1)
        if advert.stencil:
            graph.add_node(f"stencil {advert.stencil}", type="stencil", label=advert.stencil)
            graph.add_edge(f"stencil {advert.stencil}", cluster, type="sprayed", adverts=0)
    return graph


def _short(name: str) -> str:
    """The name of an advert (digest of its photo and number) as people can read it."""
    digest, _, number = name.partition("/")
    return f"{digest[:_SHORT_DIGITS]}/{number}" if number else name


def _add_resource(graph: networkx.Graph[str], contact: Contact) -> str:
    kind, value = contact
    node = f"{kind} {value}"
    graph.add_node(node, type="resource", label=value)
    return node


def render(graph: networkx.Graph[str], suffix: str) -> str:
    """The graph as text in the form that a file's suffix names: a picture (.svg), GraphML, or node-link JSON."""
    import networkx

    if suffix == ".svg":
        return to_svg(graph)
    if suffix == ".graphml":
        return "\n".join(networkx.generate_graphml(graph, named_key_ids=True)) + "\n"
    if suffix == ".json":
        data: dict[str, Any] = networkx.node_link_data(graph, edges="edges")
        return json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    raise TagtraceError(f"{suffix or 'no suffix'}: a graph is written as {', '.join(SUFFIXES)}; give the file such an ending")


_COLOURS = {"shop": "#b3261e", "resource": "#1f5fa8", "cluster": "#3d7a3a", "stencil": "#7a5c2e"}
_SIDE, _MARGIN, _ROW = 1000.0, 110.0, 46.0
_LONGEST_LABEL = 28
_SHORT_DIGITS = 12
_FONT = 'font-family="sans-serif" font-size="13"'


def to_svg(graph: networkx.Graph[str]) -> str:
    """A self-contained picture: shops, resources, clusters in columns, each ordered by what it hangs on. Always the same."""
    places = _places(graph)
    height = max((y for _, y in places.values()), default=0.0) + _MARGIN / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE:.0f} {height:.0f}" {_FONT}>',
        f'<rect width="{_SIDE:.0f}" height="{height:.0f}" fill="#fff"/>',
    ]
    for a, b, data in sorted(graph.edges(data=True), key=lambda edge: tuple(sorted(edge[:2]))):
        (ax, ay), (bx, by) = places[a], places[b]
        width = 1 + math.log1p(data.get("adverts", 0))
        parts.append(f'<line x1="{ax:.1f}" y1="{ay:.1f}" x2="{bx:.1f}" y2="{by:.1f}" stroke="#999" stroke-width="{width:.1f}"/>')
    for node, (x, y) in sorted(places.items()):
        data = graph.nodes[node]
        label = data["label"] if len(data["label"]) <= _LONGEST_LABEL else data["label"][: _LONGEST_LABEL - 1] + "…"
        parts.append(
            f'<g><title>{escape(node)}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="{_COLOURS[data["type"]]}"/>'
            f'<text x="{x:.1f}" y="{y + 22:.1f}" text-anchor="middle">{escape(label)}</text></g>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _places(graph: networkx.Graph[str]) -> dict[str, tuple[float, float]]:
    """Columns from shops to stencils; within a column by the mean place of the neighbours in the one before (barycentre)."""
    columns = [_of_type(graph, name) for name in _COLOURS]
    filled = [column for column in columns if column]
    places: dict[str, tuple[float, float]] = {}
    for number, column in enumerate(filled):
        x = _MARGIN + (_SIDE - 2 * _MARGIN) * number / max(1, len(filled) - 1)

        def above(node: str) -> float:
            known = [places[other][1] for other in graph.neighbors(node) if other in places]
            return sum(known) / len(known) if known else math.inf

        for row, node in enumerate(sorted(column, key=lambda node: (above(node), node))):
            places[node] = (x, _MARGIN / 2 + row * _ROW)
    return places


def _of_type(graph: networkx.Graph[str], name: str) -> Sequence[str]:
    return [node for node, data in graph.nodes(data=True) if data["type"] == name]
