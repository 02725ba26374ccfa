"""Settings of the extraction: how many alternatives are looked at, how they are weighed, what is sure enough to report."""

from __future__ import annotations

from dataclasses import dataclass

from ...contract import IdentifierKind


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """Confidences and probabilities lie in 0..1; odds are ratios."""

    max_hypotheses: int = 16
    """Texts of one reading that are looked at, best first."""
    min_hypothesis: float = 0.002
    """Texts with a smaller share of the reading are left out."""
    grammar_odds: float = 4.0
    """How much more probable a text with a well-formed identifier is than one without, before looking at the picture."""
    repeat_odds: float = 15.0
    """How much more probable the value of a code beside a line is than another value of that line's kind."""
    usual_weight: float = 0.3
    """What a nat of the model of names counts beside a nat of the reading; 0: names are weighed by the picture alone."""
    usual_length: float = 2.4
    """Nats added per letter of a name: the longer of two names is always the less probable one, which says nothing."""
    joined_hypotheses: int = 3
    """Texts per line that are tried when two lines are joined."""
    checksum_tries: int = 3000
    """Texts tried to repair one address by its checksum."""
    max_alternatives: int = 5
    min_alternative: float = 0.005
    """Other values listed with an identifier: how many at most, and from which probability on."""
    same_place: float = 0.6
    """Two lines whose boxes share this part of the smaller one are two readings of one line."""
    unsure_from: float = 1.0
    """Less certain identifiers are kept from this confidence on, with the flag ``unsure``; 1: none are."""
    min_confidence: float = 0.5
    """Identifiers below are not reported; the fields below raise or lower it for a kind."""
    min_telegram: float = 0.7
    min_invite: float = 0.75
    min_url: float = 0.55
    min_phone: float = 0.7
    min_onion: float = 0.6
    min_payment: float = 0.8
    """BTC, TRON, TON and Tox: checked by a checksum, and costly when wrong."""

    def least(self, kind: IdentifierKind) -> float:
        """The confidence from which on identifiers of a kind are reported."""
        return {
            IdentifierKind.TELEGRAM: self.min_telegram,
            IdentifierKind.TELEGRAM_INVITE: self.min_invite,
            IdentifierKind.URL: self.min_url,
            IdentifierKind.PHONE: self.min_phone,
            IdentifierKind.ONION: self.min_onion,
            IdentifierKind.BTC: self.min_payment,
            IdentifierKind.TRON: self.min_payment,
            IdentifierKind.TON: self.min_payment,
            IdentifierKind.TOX: self.min_payment,
        }.get(kind, self.min_confidence)


TYPED = ExtractSettings(min_confidence=0.4, min_telegram=0.4, min_invite=0.4, min_url=0.4, min_phone=0.4, usual_weight=0.0)
"""For texts that nobody had to read off a wall."""
