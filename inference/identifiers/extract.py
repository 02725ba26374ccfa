"""The identifiers of an advert: the claims of its lines, joined lines, long addresses and codes, weighed against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ...contract import Code, Flag, Identifier, IdentifierKind, Line, Quad, Reading
from .base import Source
from .blobs import blob_claims, neighbours
from .evidence import Claim, line_claims
from .joins import joined_claims
from .payload import parse_payload
from .protected import is_protected
from .settings import TYPED, ExtractSettings
from .usual import name_model

DEFAULT = ExtractSettings()
_NAMED = (IdentifierKind.TELEGRAM, IdentifierKind.URL, IdentifierKind.INSTAGRAM)
"""Kinds whose values are names that somebody chose, of which some are more usual than others."""


def extract_text(text: str, settings: ExtractSettings = TYPED) -> list[Identifier]:
    """The identifiers of a typed text of any number of lines, in order of appearance; ``lines`` are indices of its lines."""
    readings = [Reading(line, 1.0) for line in text.splitlines()]
    return list(_extract(readings, (), [None] * len(readings), Source.TYPED, settings))


def extract_payload(payload: str) -> list[Identifier]:
    """The identifiers of a code's payload, else the payload itself as kind ``qr`` (see ``payload.parse_payload``)."""
    return parse_payload(payload)


def extract_advert(
    lines: Sequence[Line], codes: Sequence[Code] = (), settings: ExtractSettings = DEFAULT
) -> tuple[Identifier, ...]:
    """The identifiers of one advert: ``lines`` in reading order, and its decoded codes.

    Each value is listed once, with the indices of all lines and codes that show it. Pure; the same input gives the same output.
    """
    quads: list[Quad | None] = [line.quad for line in lines]
    return _extract([line.reading for line in lines], codes, quads, Source.PAINTED, settings)


def _extract(
    readings: Sequence[Reading], codes: Sequence[Code], quads: Sequence[Quad | None], source: Source, settings: ExtractSettings
) -> tuple[Identifier, ...]:
    from_codes = [(i, item) for i, code in enumerate(codes) for item in parse_payload(code.payload)]
    certain = {(item.kind, item.value) for _, item in from_codes}
    fixed = blob_claims(readings, source, settings)
    singles = [c for i, r in enumerate(readings) for c in line_claims(r, i, source, settings)]
    pairs = [c for i, j in neighbours(len(readings)) for c in joined_claims(readings[i], readings[j], (i, j), source, settings)]
    winners: list[tuple[Claim, tuple[tuple[str, float], ...]]] = []
    for group in _rounds(fixed, pairs, singles):
        for spot in _spots(group):
            if not any(claim.overlaps(taken) for taken, _ in winners for claim in spot):
                winners.append(_winner(spot, certain, settings))
    kept = [w for w in winners if w[0].confidence >= min(settings.least(w[0].kind), settings.unsure_from)]
    found = _merge(_one_per_place(kept, quads, settings), from_codes)
    return tuple(_doubted(item, settings) for item in found)


def _doubted(item: Identifier, settings: ExtractSettings) -> Identifier:
    """The identifier, with the flag ``unsure`` where it is not certain enough for a report; codes are certain."""
    if item.codes or item.confidence >= settings.least(item.kind):
        return item
    return replace(item, flags=tuple(flag for flag in Flag if flag in {*item.flags, Flag.UNSURE}))


def _rounds(fixed: list[Claim], pairs: list[Claim], singles: list[Claim]) -> list[list[Claim]]:
    """Who chooses first: checksums, then joined lines (if at least half as sure as what either says alone), then lines."""

    def better(claim: Claim) -> bool:
        rivals = [s.confidence for s in singles if s.overlaps(claim) and s.value != claim.value]
        return claim.confidence >= 0.5 * max(rivals, default=0.0)

    return [fixed, [c for c in pairs if better(c)], singles]


def _spots(claims: list[Claim]) -> list[list[Claim]]:
    """Claims that compete for one place, together."""
    spots: list[list[Claim]] = []
    for claim in claims:
        touching = [s for s in spots if any(claim.overlaps(other) for other in s)]
        merged = [claim, *(c for s in touching for c in s)]
        spots = [*(s for s in spots if s not in touching), merged]
    return spots


def _winner(
    spot: list[Claim], certain: set[tuple[IdentifierKind, str]], settings: ExtractSettings
) -> tuple[Claim, tuple[tuple[str, float], ...]]:
    """The most probable claim of a spot and the other values of its kind.

    A value that a code shows too has better odds, and so has the more usual of several names that the line may spell.
    """
    usual = _usual_odds(spot, settings)
    odds = {id(c): usual.get(id(c), 1.0) * (settings.repeat_odds if (c.kind, c.value) in certain else 1.0) for c in spot}
    if any(o != 1.0 for o in odds.values()):
        before = sum(c.mass for c in spot)
        after = sum(c.mass * odds[id(c)] for c in spot)
        for claim in spot:
            claim.mass *= odds[id(claim)] * before / after
    ranked = sorted(spot, key=lambda c: (-c.confidence, c.kind.value, c.value))
    best = ranked[0]
    others = [(c.value, round(c.confidence, 4)) for c in ranked[1:] if c.kind is best.kind and c.value != best.value]
    kept = [o for o in others if o[1] >= settings.min_alternative][: settings.max_alternatives]
    return best, tuple(kept)


def _usual_odds(spot: list[Claim], settings: ExtractSettings) -> dict[int, float]:
    """By the id of each claim of a name: how much more probable it is as a name than the spot's names of its kind together."""
    odds: dict[int, float] = {}
    for kind in _NAMED:
        claims = [claim for claim in spot if claim.kind is kind and claim.mass > 0]
        if len(claims) < 2 or settings.usual_weight <= 0:
            continue
        names = [_chosen_name(claim) for claim in claims]
        scores = [settings.usual_weight * (name_model().log_prob(name) + settings.usual_length * len(name)) for name in names]
        weights = [math.exp(score - max(scores)) for score in scores]
        share = sum(claim.mass for claim in claims) / sum(claim.mass * w for claim, w in zip(claims, weights, strict=True))
        odds |= {id(claim): w * share for claim, w in zip(claims, weights, strict=True)}
    return odds


def _chosen_name(claim: Claim) -> str:
    """What somebody chose as a name: of a site, the label before its last; signs that join words as the low line."""
    host = claim.value.split("/", 1)[0].split(".")
    name = host[-2] if claim.kind is IdentifierKind.URL and len(host) > 1 else claim.value
    return name.replace("-", "_").replace(".", "_")


def _box_share(a: Quad, b: Quad) -> float:
    """Share of the smaller upright box that the other covers."""

    def box(quad: Quad) -> tuple[float, float, float, float]:
        xs, ys = [p[0] for p in quad], [p[1] for p in quad]
        return min(xs), min(ys), max(xs), max(ys)

    left, right = box(a), box(b)
    width = min(left[2], right[2]) - max(left[0], right[0])
    height = min(left[3], right[3]) - max(left[1], right[1])
    smaller = min((left[2] - left[0]) * (left[3] - left[1]), (right[2] - right[0]) * (right[3] - right[1]))
    return width * height / smaller if width > 0 and height > 0 and smaller > 0 else 0.0


Winner = tuple[Claim, tuple[tuple[str, float], ...]]


def _one_per_place(winners: list[Winner], quads: Sequence[Quad | None], settings: ExtractSettings) -> list[Winner]:
    """Of two readings of one line (boxes on top of each other), the surer one of each kind."""
    kept: list[Winner] = []
    for winner in sorted(winners, key=lambda w: (-w[0].confidence, w[0].value)):
        claim = winner[0]
        double = False
        for other, _ in kept:
            lines = {p[0] for p in other.places}
            if other.kind is not claim.kind or other.value == claim.value or {p[0] for p in claim.places} & lines:
                continue
            shares = [
                _box_share(a, b)
                for p in claim.places
                for o in lines
                if (a := quads[p[0]]) is not None and (b := quads[o]) is not None
            ]
            double = double or max(shares, default=0.0) >= settings.same_place
        if not double:
            kept.append(winner)
    return kept


def _merge(winners: list[Winner], codes: list[tuple[int, Identifier]]) -> tuple[Identifier, ...]:
    """One identifier per value, with all lines and codes that show it; in order of the lines, codes last."""
    out: dict[tuple[IdentifierKind, str], Identifier] = {}
    for claim, others in sorted(winners, key=lambda w: (w[0].places, w[0].kind.value, w[0].value)):
        item = _identifier(claim, others)
        held = out.get((claim.kind, claim.value))
        out[claim.kind, claim.value] = _together(held, item) if held else item
    for index, item in codes:
        item = replace(item, codes=(index,))
        held = out.get((item.kind, item.value))
        out[item.kind, item.value] = _together(held, item) if held else item
    return tuple(out.values())


def _together(a: Identifier, b: Identifier) -> Identifier:
    """Two sightings of one value: independent evidence for it; flags of damage stay only when both have them."""
    better, worse = (a, b) if a.confidence >= b.confidence else (b, a)
    damage = {Flag.REPAIRED, Flag.JOINED, Flag.MIXED_SCRIPT}
    flags = tuple(f for f in Flag if f in better.flags or (f in worse.flags and f not in damage))
    return replace(
        better,
        confidence=round(1.0 - (1.0 - a.confidence) * (1.0 - b.confidence), 6),
        flags=flags,
        lines=tuple(sorted({*a.lines, *b.lines})),
        codes=tuple(sorted({*a.codes, *b.codes})),
    )


def _identifier(claim: Claim, others: tuple[tuple[str, float], ...]) -> Identifier:
    held = {*claim.flags, *((Flag.PROTECTED,) if is_protected(claim.kind, claim.value) else ())}
    return Identifier(
        claim.kind,
        claim.value,
        claim.raw,
        round(claim.confidence, 6),
        others,
        tuple(f for f in Flag if f in held),
        tuple(sorted({place[0] for place in claim.places})),
    )


__all__ = ["DEFAULT", "TYPED", "ExtractSettings", "extract_advert", "extract_payload", "extract_text"]
