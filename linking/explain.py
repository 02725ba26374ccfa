"""What a reading may mean, each meaning with its weight: a listed resource, another one of a listed shop, or something new.

The meanings of one identifier exclude each other and share all the probability. The weight of each is a product, and its
logarithm a sum of steps (``Evidence``): that sum is the waterfall behind a link. Weights are relative to one particular unlisted
name on the wall, read for certain, which weighs 1.

* A listed resource weighs its prior odds times how well the picture fits it.
* A new name of a listed shop weighs the share of the readings with that shop's name, times the odds that this shop made it up
  rather than somebody else (Bayes: ``sibling_prior``, spread over all listed shops, against the chance that a stranger's name is
  made of the same words).
* Whatever is read and not listed weighs its share of the readings, and so does what was not read at all.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

from ..contract import Evidence, Flag, Identifier, IdentifierKind, Outcome, Resource
from ..inference.identifiers.protected import is_protected
from .priors import PriorSettings, PriorSource, prior_share, prior_steps
from .register import Shops, differ_in_digits
from .sentences import say
from .stems import has_stem, shortened, stem, template

_CHECKED = frozenset({IdentifierKind.ONION, IdentifierKind.BTC, IdentifierKind.TRON, IdentifierKind.TON, IdentifierKind.TOX})
_Words = Callable[..., str]
"""A sentence that still wants its resource."""
_EQUAL: _Words = partial(say, "equal")
_ALIKE: _Words = partial(say, "alike")
_LEAST = 1e-12
"""Shares are not taken below this: a logarithm needs more than nothing."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Prior odds of linking, and what may be done with a link. Probabilities lie in 0..1, odds are ratios, evidence in nats."""

    known_odds: float = 20.0
    """How much more probable a listed resource is on a wall than one particular unlisted value."""
    known_sibling_odds: float = 4.0
    """How much more probable a listed resource is than one particular new name of its shop, when that is what was read."""
    lookalike_share: float = 0.1
    """Least probability of a listed value that differs from the reading by look-alike characters only."""
    least_digit_share: float = 0.05
    """A listed value whose digits differ from those read is no misread below this probability, compared with the value read."""
    reading_weight: float = 0.35
    """What a nat of the recogniser's likelihood counts: less than 1, because it is too sure of itself."""
    candidates: int = 100
    """Listed resources near the reading that are compared with the picture, at most."""
    sibling_prior: float = 0.3
    """Share of unlisted names on walls that are new names of a listed shop."""
    same_template_odds: float = 4.0
    """How much more often a rotated name keeps its form and changes its numbers only, against a chance equality."""
    added_word_odds: float = 0.2
    """The same for a name that got or lost one generic word at its end: that is also how clones and other shops are named."""
    beside_share: float = 0.9
    """Probability that another contact in the advert of a shop is that shop's."""
    siblings_of_codes: bool = True
    """Whether a value from a code, which is never a misread, may be a new contact of a shop by its name."""
    priors: PriorSettings = field(default_factory=PriorSettings)
    """How much earlier sightings weigh."""
    automatic_above: float = 0.95
    """Probability from which on the same resource may be linked without a person."""
    review_above: float = 0.5
    """Probability from which on a link is proposed to a person; below, nothing is linked."""
    calibrated: bool = True
    """Whether probabilities are put through the fitted calibration (``linking.calibration``)."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing that an identifier may mean. ``steps`` add up to the logarithm of its weight; ``reason`` is a sentence.

    ``prior_share`` is what earlier sightings of its resource count for it (``priors.prior_share``)."""

    outcome: Outcome
    shop_id: str | None
    resource: Resource | None
    steps: tuple[Evidence, ...]
    reason: str
    prior_share: float = 0.0

    @property
    def nats(self) -> float:
        return math.fsum(step.nats for step in self.steps)


@dataclass(frozen=True, slots=True)
class Kin:
    """A listed shop that may have made up one of the names read: the best odds for that, and the steps that they come from."""

    share: float
    odds: float
    resource: Resource
    steps: tuple[Evidence, ...]
    reason: str


def links_exactly(identifier: Identifier) -> bool:
    """Whether the value is certain by itself: of a kind with a checksum, or from a code."""
    kind, value = identifier.kind, identifier.value
    return bool(identifier.codes) or kind in _CHECKED or (kind is IdentifierKind.I2P and value.endswith(".b32.i2p"))


def may_link(identifier: Identifier) -> bool:
    """Whether the identifier may be linked at all: a protected one never is."""
    return Flag.PROTECTED not in identifier.flags and not _is_protected(identifier.kind, identifier.value)


def readings(identifier: Identifier) -> dict[str, float]:
    """The values that may have been read with their probabilities, the value itself first; they sum to 1 at most."""
    shares = {identifier.value: identifier.confidence}
    if not links_exactly(identifier):
        for value, share in identifier.alternatives:
            shares.setdefault(value, share)
    total = math.fsum(shares.values())
    return {value: share / max(total, 1.0) for value, share in shares.items()}


def meanings(
    identifier: Identifier,
    shops: Shops,
    settings: LinkSettings,
    ratios: Mapping[str, float] | None = None,
) -> list[Meaning]:
    """Everything that the identifier may mean, the unlisted last; never empty.

    ``ratios`` are the log-likelihood ratios of listed values against the value read (nats); None where there is no picture.
    """
    shares = readings(identifier)
    exact = links_exactly(identifier)
    kin = (
        {} if exact and not (identifier.codes and settings.siblings_of_codes) else _kin(identifier.kind, shares, shops, settings)
    )
    listed = _listed(identifier, shops, shares, ratios, settings)
    found = [
        Meaning(
            Outcome.SAME if resource.value == identifier.value else Outcome.MISREAD,
            resource.shop_id,
            resource,
            (_known(resource, kin.get(resource.shop_id), settings), step),
            step.text,
            _prior_share(identifier.value, resource.value, step.nats, shares, ratios, settings),
        )
        for resource, step in listed.items()
    ]
    free = {value: share for value, share in shares.items() if not _offered(shops.exact(identifier.kind, value))}
    found += _siblings(kin)
    rest = max(0.0, 1.0 - math.fsum(shares.values()))
    unlisted = math.fsum(free.values()) + rest
    return [*found, _new(unlisted)]


def with_priors(found: Sequence[Meaning], prior: PriorSource, settings: LinkSettings) -> list[Meaning]:
    """The same meanings, each listed resource with what its earlier sightings add to its weight."""
    return [
        replace(m, steps=(*m.steps, *prior_steps(prior.seen(m.resource), m.prior_share, settings.priors)))
        if m.resource is not None and m.prior_share > 0
        else m
        for m in found
    ]


def beside(found: Sequence[Meaning], anchor: Resource, probability: float, settings: LinkSettings) -> list[Meaning]:
    """The same meanings in an advert that shows ``anchor`` with this probability: shops paint their contacts together."""
    share = settings.beside_share * probability
    odds = share / max(1.0 - share, _LEAST)
    text = say("beside", resource=words_of(anchor))
    step = Evidence("beside", math.log1p(odds), text)
    out = [
        replace(m, steps=(*m.steps, step), reason=f"{m.reason}; {text}") if m.shop_id == anchor.shop_id else m for m in found[:-1]
    ]
    if not any(m.outcome is Outcome.SIBLING and m.shop_id == anchor.shop_id for m in out):
        steps = (*found[-1].steps, Evidence("beside", math.log(max(odds, _LEAST)), text))
        out.append(Meaning(Outcome.SIBLING, anchor.shop_id, anchor, steps, text))
    return [*out, found[-1]]


def words_of(resource: Resource) -> str:
    """A resource for people: its kind, its value, and whose it is."""
    if resource.shop_name:
        return say("resource_named", kind=resource.kind, value=resource.value, name=resource.shop_name, shop=resource.shop_id)
    return say("resource", kind=resource.kind, value=resource.value, shop=resource.shop_id)


def _listed(
    identifier: Identifier,
    shops: Shops,
    shares: Mapping[str, float],
    ratios: Mapping[str, float] | None,
    settings: LinkSettings,
) -> dict[Resource, Evidence]:
    """The listed resources that the wall may show, each with the evidence of the reading: the best that is found for it."""
    kind, read = identifier.kind, identifier.value
    offers = [(resource, shares[read], _EQUAL) for resource in _offered(shops.exact(kind, read))]
    if not links_exactly(identifier):
        alike = _offered(shops.alike(kind, read))
        offers += [(resource, settings.lookalike_share, _ALIKE) for resource in alike]
        misreads = _by_alternatives(read, shares, settings) if ratios is None else _by_picture(read, shares, ratios, settings)
        for value, (share, words) in misreads.items():
            offers += [(resource, share, words) for resource in _offered(shops.exact(kind, value))]
    found: dict[Resource, Evidence] = {}
    for resource, share, words in offers:
        nats = math.log(max(share, _LEAST))
        if resource not in found or nats > found[resource].nats:
            found[resource] = Evidence("reading", nats, words(resource=words_of(resource)))
    return found


def _by_alternatives(read: str, shares: Mapping[str, float], settings: LinkSettings) -> dict[str, tuple[float, _Words]]:
    """Other values than the one read with their probabilities and reasons, by the alternatives of the reading."""
    return {
        value: (share, partial(say, "alternative", share=f"{share:.2f}"))
        for value, share in shares.items()
        if value != read and (share >= settings.least_digit_share * shares[read] or not differ_in_digits(value, read))
    }


def _by_picture(
    read: str, shares: Mapping[str, float], ratios: Mapping[str, float], settings: LinkSettings
) -> dict[str, tuple[float, _Words]]:
    """The same by how well the picture fits each value."""
    least = math.log(settings.least_digit_share)
    return {
        value: (
            shares[read] * math.exp(settings.reading_weight * ratio),
            partial(say, "fits_better" if ratio > 0 else "fits_worse", nats=f"{abs(ratio):.1f}"),
        )
        for value, ratio in ratios.items()
        if value != read and math.isfinite(ratio) and (ratio >= least or not differ_in_digits(value, read))
    }


def _known(resource: Resource, kin: Kin | None, settings: LinkSettings) -> Evidence:
    """The prior odds of a listed resource against one particular unlisted name."""
    odds = settings.known_odds
    if kin is not None and kin.odds * settings.known_sibling_odds > odds:
        # What is written like this is the listed one or a new one of the same shop.
        return Evidence("listed", math.log(kin.odds * settings.known_sibling_odds), say("listed_kin"))
    return Evidence("listed", math.log(odds), say("listed"))


def _prior_share(
    read: str,
    value: str,
    nats: float,
    shares: Mapping[str, float],
    ratios: Mapping[str, float] | None,
    settings: LinkSettings,
) -> float:
    """What earlier sightings count for a listed value whose reading weighs ``nats``."""
    doubt = 0.0 if value == read else (ratios or {}).get(value, nats - math.log(max(shares[read], _LEAST)))
    rivals = math.fsum(share for other, share in shares.items() if other != value and differ_in_digits(other, value))
    sure = rivals < settings.least_digit_share * shares[read]
    return prior_share(doubt, sure, settings.priors)


def _kin(kind: IdentifierKind, shares: Mapping[str, float], shops: Shops, settings: LinkSettings) -> dict[str, Kin]:
    """Per listed shop the best way in which one of the readings is named like it. Readings with one stem add up."""
    if not has_stem(kind) or not len(shops):
        return {}
    together: dict[str, float] = defaultdict(float)
    templates: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for value, share in shares.items():
        text = stem(kind, value)
        # A listed value is not a new name; that its shop is named like this counts for its rivals.
        together[text] += 0.0 if _offered(shops.exact(kind, value)) else share
        templates[text].add(template(kind, value))
    best: dict[str, Kin] = {}
    for text, share in sorted(together.items()):
        for common, resources, added in (
            (text, shops.of_stem(text), False),
            (shortened(text), shops.of_stem(shortened(text)), True),
            (text, shops.of_longer_stem(text), True),
        ):
            kin = _named_alike(common, _offered(resources), share, added, templates[text], shops, settings)
            if kin is not None:
                held = best.get(kin.resource.shop_id)
                if held is None or (kin.share * kin.odds, kin.odds) > (held.share * held.odds, held.odds):
                    best[kin.resource.shop_id] = kin
    return best


def _named_alike(
    common: str,
    resources: Sequence[Resource],
    share: float,
    added: bool,
    templates: set[tuple[str, ...]],
    shops: Shops,
    settings: LinkSettings,
) -> Kin | None:
    weight = shops.stem_weight(common)
    if not resources or weight == 0:
        return None
    twins = [r for r in resources if template(r.kind, r.value) in templates]
    resource = (twins or list(resources))[0]
    reason = say("kin", common=common, resource=words_of(resource), nats=f"{weight:.1f}")
    prior = settings.sibling_prior / len(shops) / (1 - settings.sibling_prior)
    steps = [
        Evidence("prior", math.log(prior), say("shop_share", count=len(shops))),
        Evidence("name", weight, say("stranger", common=common, times=f"{math.exp(weight):.0f}")),
    ]
    if twins:
        count = len(twins)
        steps.append(Evidence("form", math.log(settings.same_template_odds * count), say("form", count=count)))
    if added:
        steps.append(Evidence("added word", math.log(settings.added_word_odds), say("added_word")))
    return Kin(share, math.exp(math.fsum(step.nats for step in steps)), resource, tuple(steps), reason)


def _siblings(kin: Mapping[str, Kin]) -> list[Meaning]:
    return [
        Meaning(
            Outcome.SIBLING,
            shop_id,
            found.resource,
            (*found.steps, Evidence("reading", math.log(found.share), say("read_so", share=f"{found.share:.2f}"))),
            found.reason,
        )
        for shop_id, found in sorted(kin.items())
        if found.share > 0
    ]


def _new(share: float) -> Meaning:
    step = Evidence("reading", math.log(max(share, _LEAST)), say("unlisted", share=f"{share:.2f}"))
    return Meaning(Outcome.NEW, None, None, (step,), say("nothing_similar"))


def _offered(resources: Sequence[Resource]) -> Sequence[Resource]:
    """Those that may be proposed: a protected one never is."""
    return [resource for resource in resources if not _is_protected(resource.kind, resource.value)]


@lru_cache(maxsize=65536)
def _is_protected(kind: IdentifierKind, value: str) -> bool:
    return is_protected(kind, value)
