"""From an identifier to a shop: the same resource, a misread of it, a sibling of it, or something new.

An edit distance cannot tell a misread from a sibling (``tulpar_kz1`` and ``tulpar_kz2`` are one character apart). What can is how
well the picture fits each known resource (``likelihood``), the name behind rotated numbers and endings, weighed by how rare it is
(``stems``), and what else is known. ``explain`` weighs all that an identifier may mean against each other; here the most probable
meaning becomes the link, with its calibrated probability. Everything here is pure apart from ``load_shops``.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..contract import Advert, Band, Evidence, Identifier, IdentifierKind, Link, Outcome, Resource, TagtraceError
from .calibration import bundled
from .explain import LinkSettings, Meaning, beside, links_exactly, may_link, meanings, with_priors
from .likelihood import log_ratios, slots
from .priors import STEPS, PriorSource, Seen
from .register import Shops, differ_in_digits
from .sentences import say

_REQUIRED = ("shop_id", "kind", "value")
_MOST_ERRORS = 10
_MOST_NATS = 14.0
"""Log-odds are kept within this: nothing is more certain than one in a million."""


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


def link(
    identifier: Identifier,
    shops: Shops,
    settings: LinkSettings | None = None,
    prior: PriorSource | None = None,
    advert: Advert | None = None,
) -> Link:
    """How one identifier stands to the known shops: ``same``, ``misread`` (to be confirmed), ``sibling`` or ``new``.

    With the ``advert`` that it was read from, listed resources are compared with the picture; without it, or without
    log-probabilities, only with the alternatives of the reading. ``prior`` knows earlier sightings.
    """
    settings = settings or LinkSettings()
    if not may_link(identifier):
        return _protected()
    if not len(shops):
        return _unlisted()
    found = _meanings(identifier, shops, settings, advert)
    return _decide(with_priors(found, prior, settings) if prior is not None else found, settings)


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """The meanings of every identifier of an advert (None for a protected one, nothing where no shop is listed)."""

    advert: Advert
    found: tuple[list[Meaning] | None, ...] = ()

    def asked(self) -> Iterator[Resource]:
        """The resources for which earlier sightings may count."""
        for meaning in (m for found in self.found for m in found or ()):
            if meaning.resource is not None and meaning.prior_share > 0:
                yield meaning.resource


def link_advert(
    advert: Advert, shops: Shops, settings: LinkSettings | None = None, prior: PriorSource | None = None
) -> tuple[Link, ...]:
    """One link per identifier of the advert, in order: ``weigh`` and ``decide`` in one."""
    settings = settings or LinkSettings()
    return decide(weigh(advert, shops, settings), settings, prior)


def weigh(advert: Advert, shops: Shops, settings: LinkSettings) -> Weighed:
    """All that the identifiers of an advert may mean, before earlier sightings are asked about (many adverts at once)."""
    if not len(shops):
        return Weighed(advert)
    return Weighed(advert, tuple(_meanings(i, shops, settings, advert) if may_link(i) else None for i in advert.identifiers))


def decide(weighed: Weighed, settings: LinkSettings, prior: PriorSource | None = None) -> tuple[Link, ...]:
    """One link per identifier of the advert, in order.

    An unlisted contact beside a listed one of exactly one shop becomes a sibling: shops paint their contacts together.
    """
    if not weighed.found:
        return tuple(_unlisted() if may_link(identifier) else _protected() for identifier in weighed.advert.identifiers)
    meant = [with_priors(f, prior, settings) if f is not None and prior is not None else f for f in weighed.found]
    links = [_protected() if found is None else _decide(found, settings) for found in meant]
    anchors = [found for found in links if found.outcome is Outcome.SAME]
    if len({anchor.shop_id for anchor in anchors}) != 1:
        return tuple(links)
    anchor = max(anchors, key=lambda found: found.probability)
    assert anchor.resource is not None
    for index, found in enumerate(meant):
        if found is not None and links[index].outcome is not Outcome.SAME:
            links[index] = _decide(beside(found, anchor.resource, anchor.probability, settings), settings)
    return tuple(links)


def advert_shop(links: Sequence[Link]) -> str | None:
    """The shop of an advert: that of its most probable link, or None."""
    linked = [found for found in links if found.shop_id is not None]
    return min(linked, key=lambda found: (-found.probability, found.shop_id or "")).shop_id if linked else None


def _protected() -> Link:
    return Link(Outcome.NEW, 1.0, reasons=(say("protected"),))


def _unlisted() -> Link:
    return Link(Outcome.NEW, 1.0, reasons=(say("no_shops"),))


def _meanings(identifier: Identifier, shops: Shops, settings: LinkSettings, advert: Advert | None) -> list[Meaning]:
    ratios = None
    if advert is not None and not links_exactly(identifier):
        ratios = _ratios(advert, identifier, shops, settings)
    return meanings(identifier, shops, settings, ratios)


def _ratios(advert: Advert, identifier: Identifier, shops: Shops, settings: LinkSettings) -> dict[str, float] | None:
    """Per listed value near the reading, its log-likelihood ratio against the value read; None without log-probabilities."""
    places = slots(advert, identifier)
    if not places:
        return None
    read = (identifier.value, *(value for value, _ in identifier.alternatives))
    near = shops.candidates(identifier.kind, read, settings.candidates)
    listed = [value for value in read[1:] if shops.exact(identifier.kind, value)]
    values = list(dict.fromkeys((identifier.value, *listed, *(resource.value for resource in near))))
    found = log_ratios(places, identifier, values)
    if not math.isfinite(found[0]):
        return None
    return {value: float(ratio) for value, ratio in zip(values, found - found[0], strict=True)}


def _decide(found: Sequence[Meaning], settings: LinkSettings) -> Link:
    """The most probable meaning as a link. The probability of a value listed for several shops is shared among them."""
    best = min(found, key=_rank)
    new = found[-1]
    share = _probability(_owners(best, found), found)
    if best is not new and share < settings.review_above:
        reason = say("too_weak", share=f"{share:.2f}", reason=best.reason)
        return _link(new, found, settings, (reason,))
    return _link(best, found, settings, _reasons(best, found))


def _link(meaning: Meaning, found: Sequence[Meaning], settings: LinkSettings, reasons: tuple[str, ...]) -> Link:
    owners = _owners(meaning, found)
    others = [other.nats for other in found if other not in owners]
    against = -_log_sum(others) if others else _MOST_NATS - meaning.nats
    steps = (*meaning.steps, Evidence("rivals", against, say("rivals", count=len(others))))
    raw = math.fsum(step.nats for step in steps)
    odds = min(max(raw, -_MOST_NATS), _MOST_NATS)
    fitted = bundled().apply(meaning.outcome, odds) if settings.calibrated else odds
    probability = 1.0 / (1.0 + math.exp(-fitted)) / len(owners)
    final = math.log(probability) - math.log1p(-probability)
    calibration = Evidence("calibration", final - raw, say("calibration"))
    return Link(
        meaning.outcome,
        probability,
        meaning.shop_id,
        meaning.resource,
        reasons,
        (*steps, calibration),
        _band(meaning.outcome, probability, settings),
    )


def _owners(meaning: Meaning, found: Sequence[Meaning]) -> list[Meaning]:
    """The meanings that say the same resource of several shops: it is one contact, and only its shop is in doubt."""
    if meaning.outcome not in (Outcome.SAME, Outcome.MISREAD):
        return [meaning]
    assert meaning.resource is not None
    same = (meaning.resource.kind, meaning.resource.value, meaning.outcome)
    return [m for m in found if m.resource is not None and (m.resource.kind, m.resource.value, m.outcome) == same]


def _probability(owners: Sequence[Meaning], found: Sequence[Meaning]) -> float:
    return math.exp(_log_sum([owner.nats for owner in owners]) - _log_sum([other.nats for other in found]))


def _reasons(meaning: Meaning, found: Sequence[Meaning]) -> tuple[str, ...]:
    owners = sorted({owner.shop_id or "" for owner in _owners(meaning, found)})
    further = [step.text for step in meaning.steps if step.name in STEPS]
    shared = [f"listed for {len(owners)} shops: {', '.join(owners)}"] if len(owners) > 1 else []
    return (meaning.reason, *shared, *further)


def _band(outcome: Outcome, probability: float, settings: LinkSettings) -> Band:
    if outcome is Outcome.NEW or probability < settings.review_above:
        return Band.NONE
    automatic = outcome is Outcome.SAME and probability >= settings.automatic_above
    return Band.AUTOMATIC if automatic else Band.REVIEW


def _rank(meaning: Meaning) -> tuple[float, bool, str, str]:
    # Equal weights: a living resource before a dead one, then any fixed order.
    resource = meaning.resource
    dead = resource is not None and resource.status.lower() in ("dead", "blocked")
    return (-round(meaning.nats, 9), dead, meaning.shop_id or "", resource.value if resource else "")


def _log_sum(nats: Sequence[float]) -> float:
    top = max(nats)
    return top + math.log(math.fsum(math.exp(value - top) for value in nats))


__all__ = [
    "LinkSettings",
    "PriorSource",
    "Seen",
    "Shops",
    "Weighed",
    "advert_shop",
    "decide",
    "differ_in_digits",
    "link",
    "link_advert",
    "load_shops",
    "weigh",
]
