"""The same value read on different walls: two people, or two photos, rarely misread another name as the very same one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ..contract import Identifier, IdentifierKind


@dataclass(frozen=True, slots=True)
class AgreementSettings:
    """How much agreement is worth."""

    same_misreading: float = 0.2
    """Probability that a second wrong reading of one name gives the same wrong value: shapes of a stencil repeat themselves."""
    least_share: float = 0.2
    """Readings less certain than this neither lend nor get support."""


DEFAULT = AgreementSettings()


def agree(
    walls: Sequence[Sequence[Identifier]], settings: AgreementSettings = DEFAULT
) -> dict[tuple[IdentifierKind, str], float]:
    """The confidence in each value when all walls are taken together; only for values that at least two of them show.

    ``walls`` are the identifiers of different physical adverts. With confidences c, the odds that the value is right are the
    product of c / (1 - c), divided by ``same_misreading`` for every reading after the first. Agreement never lowers the best of
    the confidences.
    """
    shares: dict[tuple[IdentifierKind, str], list[float]] = defaultdict(list)
    for identifiers in walls:
        for key, share in best_shares(identifiers, settings).items():
            shares[key].append(share)
    return {key: together(found, settings) for key, found in shares.items() if len(found) > 1}


def best_shares(
    identifiers: Sequence[Identifier], settings: AgreementSettings = DEFAULT
) -> dict[tuple[IdentifierKind, str], float]:
    """How sure one physical advert shows each value: the best of its readings, where that is enough to lend support."""
    best: dict[tuple[IdentifierKind, str], float] = {}
    for item in identifiers:
        key = item.kind, item.value
        best[key] = max(best.get(key, 0.0), item.confidence)
    return {key: share for key, share in best.items() if share >= settings.least_share}


def together(shares: Sequence[float], settings: AgreementSettings = DEFAULT) -> float:
    """The confidence in a value that several physical adverts show with these confidences."""
    odds = settings.same_misreading
    for share in sorted(shares):
        odds *= share / max(1.0 - share, 1e-6) / settings.same_misreading
    return max(odds / (1.0 + odds), *shares)
