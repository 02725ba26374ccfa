"""From an identifier to a shop: the same resource, a misread of it, a sibling of it, or something new.

An edit distance cannot tell a misread from a sibling (``tulpar_kz1`` and ``tulpar_kz2`` are one character apart), so three
different pieces of evidence are used: the canonical value, the alternatives of the reading (with look-alike characters), and
the name behind rotated numbers and endings, weighed by how rare it is. Everything here is pure apart from ``load_shops``.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from ..contract import Advert, Flag, Identifier, IdentifierKind, Link, Outcome, Resource, TagtraceError
from ..inference.identifiers.fold import skeleton
from .stems import Rarity, has_stem, shortened, stem, template

_REQUIRED = ("shop_id", "kind", "value")
_MOST_ERRORS = 10


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Prior odds and thresholds of linking; all probabilities in 0..1, odds are ratios."""

    known_odds: float = 20.0
    """How much more probable a listed resource is on a wall than one particular unlisted value."""
    known_digit_odds: float = 4.0
    """The same where the values differ in digits only: then a sibling is as good an explanation as a misread."""
    lookalike_share: float = 0.1
    """Least probability of a listed value that differs from the reading by look-alike characters only."""
    sibling_prior: float = 0.3
    """Share of unlisted names on walls that are new names of a listed shop."""
    same_template_odds: float = 4.0
    """How much more often a rotated name keeps its form and changes its numbers only, against a chance equality."""
    added_word_odds: float = 0.2
    """The same for a name that got or lost one generic word at its end: that is also how clones and other shops are named."""
    beside_share: float = 0.9
    """Probability that another contact in the advert of a shop is that shop's."""
    min_misread: float = 0.5
    min_sibling: float = 0.5
    """Links below these probabilities are not proposed."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    resource: Resource
    share: float
    odds: float
    reason: str


class Shops:
    """The known resources of shops, ready to be looked up. Immutable; the order of the resources does not matter."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self.resources: tuple[Resource, ...] = tuple(sorted(set(resources), key=_resource_order))
        self.names: dict[str, str] = {}
        self._exact: dict[tuple[IdentifierKind, str], list[Resource]] = defaultdict(list)
        self._alike: dict[tuple[IdentifierKind, str], list[Resource]] = defaultdict(list)
        self._stems: dict[str, list[Resource]] = defaultdict(list)
        self._short_stems: dict[str, list[Resource]] = defaultdict(list)
        for resource in self.resources:
            self.names[resource.shop_id] = self.names.get(resource.shop_id) or resource.shop_name
            self._exact[resource.kind, resource.value].append(resource)
            self._alike[resource.kind, skeleton(resource.value)].append(resource)
            if has_stem(resource.kind):
                text = stem(resource.kind, resource.value)
                self._stems[text].append(resource)
                if shortened(text):
                    self._short_stems[shortened(text)].append(resource)
        self._rarity = Rarity((r.shop_id, r.kind, r.value) for r in self.resources)

    def __len__(self) -> int:
        return len(self.names)

    def exact(self, kind: IdentifierKind, value: str) -> Sequence[Resource]:
        """The listed resources with this canonical value (several when shops share it), best first."""
        return self._exact.get((kind, value), ())

    def alike(self, kind: IdentifierKind, value: str) -> Sequence[Resource]:
        """The listed resources that look like the value: equal but for look-alike characters and separators.

        Two different digits are never look-alikes: numbers are what shops rotate.
        """
        found = self._alike.get((kind, skeleton(value)), ())
        return [r for r in found if r.value != value and not differ_in_digits(r.value, value)]

    def of_stem(self, text: str) -> Sequence[Resource]:
        """The listed resources whose names have this stem, if all of them are of one shop; else none."""
        return _of_one_shop(self._stems.get(text, ()))

    def of_longer_stem(self, text: str) -> Sequence[Resource]:
        """The listed resources whose names have this stem and one generic word more, if all of them are of one shop."""
        return _of_one_shop(self._short_stems.get(text, ()))

    def stem_weight(self, text: str) -> float:
        """See ``Rarity.weight``."""
        return self._rarity.weight(text)


def load_shops(path: Path) -> Shops:
    """Read a shop list: CSV with a header and the columns shop_id, kind, value, and if known shop_name, first_seen, status.

    ``kind`` is one of ``IdentifierKind`` and ``value`` canonical (as in ``identifiers.csv``; a leading ``@`` and capitals of a
    Telegram name are forgiven). Raises ``TagtraceError`` that names the file and every bad line (the first ten).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise TagtraceError(f"{path}: no such shop list; check the path given to --shops") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TagtraceError(f"{path}: cannot be read as UTF-8 text ({error}); save the shop list as CSV in UTF-8") from error
    lines = text.splitlines(keepends=True)
    delimiter = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    reader = csv.DictReader(lines, delimiter=delimiter)
    missing = [name for name in _REQUIRED if name not in (reader.fieldnames or ())]
    if missing:
        raise TagtraceError(f"{path}: the first line must name the columns {', '.join(_REQUIRED)}; missing: {', '.join(missing)}")
    resources, errors = [], []
    for row in reader:
        parsed = _parse_row(row)
        if isinstance(parsed, Resource):
            resources.append(parsed)
        else:
            errors.append(f"{path}:{reader.line_num}: {parsed}")
    if errors:
        more = f"\n… and {len(errors) - _MOST_ERRORS} more" if len(errors) > _MOST_ERRORS else ""
        raise TagtraceError("\n".join(errors[:_MOST_ERRORS]) + more + "\nCorrect the shop list and run again.")
    return Shops(resources)


def _parse_row(row: Mapping[str | None, object]) -> Resource | str:
    """A resource, or what is wrong with the row."""
    if row.get(None):
        return "more fields than columns; put quotes around values that hold the separator"
    cells = {key: str(value or "").strip() for key, value in row.items() if key}
    for name in _REQUIRED:
        if not cells[name]:
            return f"{name} is empty"
    try:
        kind = IdentifierKind(cells["kind"].lower())
    except ValueError:
        return f"unknown kind {cells['kind']!r}; known are {', '.join(IdentifierKind)}"
    value = cells["value"]
    if kind in (IdentifierKind.TELEGRAM, IdentifierKind.INSTAGRAM, IdentifierKind.VK):
        value = value.removeprefix("@").lower()
    return Resource(kind, value, cells["shop_id"], cells.get("shop_name", ""), cells.get("status", ""))


def link(identifier: Identifier, shops: Shops, settings: LinkSettings | None = None) -> Link:
    """How one identifier stands to the known shops: ``same``, ``misread`` (to be confirmed), ``sibling`` or ``new``."""
    settings = settings or LinkSettings()
    if Flag.PROTECTED in identifier.flags:
        return Link(Outcome.NEW, 1.0, reasons=("protected: never linked to a shop",))
    exact = shops.exact(identifier.kind, identifier.value)
    if exact:
        return _same(identifier, exact, settings)
    misread = _misread(identifier, shops, settings)
    if misread is not None and misread.probability >= settings.min_misread:
        return misread
    sibling = _sibling(identifier, shops, settings)
    if sibling is not None and sibling.probability >= settings.min_sibling:
        return sibling
    rejected = [found for found in (misread, sibling) if found is not None]
    best = max((found.probability for found in rejected), default=0.0)
    reasons = tuple(f"too weak ({found.probability:.2f}): {reason}" for found in rejected for reason in found.reasons)
    return Link(Outcome.NEW, 1.0 - best, reasons=reasons or ("no listed resource has this or a similar value",))


def link_advert(advert: Advert, shops: Shops, settings: LinkSettings | None = None) -> tuple[Link, ...]:
    """One link per identifier of the advert, in order.

    An unlisted contact beside a listed one of exactly one shop becomes a sibling: shops paint their contacts together.
    """
    settings = settings or LinkSettings()
    links = [link(identifier, shops, settings) for identifier in advert.identifiers]
    anchors = [found for found in links if found.outcome is Outcome.SAME]
    if len({anchor.shop_id for anchor in anchors}) != 1:
        return tuple(links)
    anchor = max(anchors, key=lambda found: found.probability)
    probability = settings.beside_share * anchor.probability
    for index, (identifier, found) in enumerate(zip(advert.identifiers, links, strict=True)):
        if found.outcome is Outcome.NEW and Flag.PROTECTED not in identifier.flags and probability >= settings.min_sibling:
            assert anchor.resource is not None
            reason = f"painted beside {_words(anchor.resource)}"
            links[index] = Link(Outcome.SIBLING, probability, anchor.shop_id, anchor.resource, (reason,))
    return tuple(links)


def advert_shop(links: Sequence[Link]) -> str | None:
    """The shop of an advert: that of its most probable link, or None."""
    linked = [found for found in links if found.shop_id is not None]
    return min(linked, key=lambda found: (-found.probability, found.shop_id or "")).shop_id if linked else None


def _same(identifier: Identifier, resources: Sequence[Resource], settings: LinkSettings) -> Link:
    resource = resources[0]
    weight = identifier.confidence * settings.known_odds
    probability = weight / max(weight + 1.0 - identifier.confidence, 1e-9)
    reasons = [f"the value equals {_words(resource)}"]
    owners = {other.shop_id for other in resources}
    if len(owners) > 1:
        probability /= len(owners)
        reasons.append(f"listed for {len(owners)} shops: {', '.join(sorted(owners))}")
    return Link(Outcome.SAME, min(1.0, probability), resource.shop_id, resource, tuple(reasons))


def _misread(identifier: Identifier, shops: Shops, settings: LinkSettings) -> Link | None:
    """The best listed value that the wall may show instead of the value read."""
    found: dict[Resource, _Candidate] = {}

    def offer(resource: Resource, share: float, reason: str) -> None:
        digits = differ_in_digits(resource.value, identifier.value)
        odds = settings.known_digit_odds if digits else settings.known_odds
        old = found.get(resource)
        if old is None or share > old.share:
            found[resource] = _Candidate(resource, share, odds, reason)

    for resource in shops.alike(identifier.kind, identifier.value):
        offer(resource, settings.lookalike_share, f"looks like {_words(resource)}")
    for value, share in identifier.alternatives:
        for resource in shops.exact(identifier.kind, value):
            offer(resource, share, f"may also be read as {_words(resource)} (probability {share:.2f})")
    if not found:
        return None
    total = identifier.confidence + sum(candidate.share * candidate.odds for candidate in found.values())
    best = min(found.values(), key=lambda c: (-c.share * c.odds, _resource_order(c.resource)))
    probability = best.share * best.odds / max(total, 1e-9)
    return Link(Outcome.MISREAD, min(1.0, probability), best.resource.shop_id, best.resource, (best.reason,))


def _sibling(identifier: Identifier, shops: Shops, settings: LinkSettings) -> Link | None:
    """A shop whose names have the stem of this one. The stem may come from any reading; their probabilities add up.

    Bayes: a new name of this shop (``sibling_prior``, spread over all listed shops) against an unlisted shop that came upon the
    same stem by chance (the product of how common its words are).
    """
    if not has_stem(identifier.kind) or not len(shops):
        return None
    shares: dict[str, float] = defaultdict(float)
    templates: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for value, share in ((identifier.value, identifier.confidence), *identifier.alternatives):
        text = stem(identifier.kind, value)
        shares[text] += share
        templates[text].add(template(identifier.kind, value))
    best: Link | None = None
    for text, share in sorted(shares.items()):
        for common, resources, added in (
            (text, shops.of_stem(text), False),
            (shortened(text), shops.of_stem(shortened(text)), True),
            (text, shops.of_longer_stem(text), True),
        ):
            weight = shops.stem_weight(common)
            if not resources or weight == 0:
                continue
            twins = [r for r in resources if template(r.kind, r.value) in templates[text]]
            odds = settings.sibling_prior / len(shops) / ((1 - settings.sibling_prior) * math.exp(-weight))
            odds *= settings.same_template_odds * len(twins) if twins else 1.0
            odds *= settings.added_word_odds if added else 1.0
            probability = min(1.0, share) * odds / (1 + odds)
            if best is None or probability > best.probability:
                resource = (twins or list(resources))[0]
                reason = f"has the name '{common}' of {_words(resource)}; surprise {weight:.1f} nats"
                best = Link(Outcome.SIBLING, probability, resource.shop_id, resource, (reason,))
    return best


def _of_one_shop(resources: Sequence[Resource]) -> Sequence[Resource]:
    return resources if len({resource.shop_id for resource in resources}) == 1 else ()


def differ_in_digits(a: str, b: str) -> bool:
    """Whether somewhere a digit of one stands against another digit of the other, or a digit was added or lost."""
    a, b = (text.replace("_", "").replace("-", "").replace(".", "") for text in (a, b))
    for op in Levenshtein.opcodes(a, b):
        left, right = a[op.src_start : op.src_end], b[op.dest_start : op.dest_end]
        if op.tag == "replace" and any(x.isdigit() and y.isdigit() for x, y in zip(left, right, strict=True)):
            return True
        if op.tag in ("insert", "delete") and any(char.isdigit() for char in left + right):
            return True
    return False


def _resource_order(resource: Resource) -> tuple[bool, str, str, str, str]:
    # A living resource before a dead one; the rest only makes the order definite.
    dead = resource.status.lower() in ("dead", "blocked")
    return (dead, resource.shop_id, resource.kind, resource.value, resource.shop_name)


def _words(resource: Resource) -> str:
    name = f"{resource.shop_name} ({resource.shop_id})" if resource.shop_name else resource.shop_id
    return f"{resource.kind} {resource.value} of {name}"
