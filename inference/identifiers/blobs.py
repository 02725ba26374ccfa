"""Long addresses on one to three lines: onion, BTC, TRON, TON and Tox, repaired by their checksum; Session and I2P by length.

Every character of such a line is a position of a lattice: what the reader read and its alternatives, and a little for the shapes
that are usually confused. ``repair`` finds the likeliest text that the checksum accepts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...contract import Char, Flag, IdentifierKind, Reading
from .base import Source, View
from .crypto import CHECKED, Checked, canonical_session
from .darknet import BASE32, CHECK_BITS, ENDINGS, I2P_LENGTH, I2P_SUFFIX, ONION_LENGTH, SUFFIX, canonical_onion, is_onion
from .evidence import Claim, char_product
from .fold import fold_char
from .repair import Lattice, Options, Repaired, repair
from .settings import ExtractSettings

MAX_LINES = 3
_SURE = 0.97
"""Probability that a character is right where the reader does not say."""
_FLOOR = 0.03
"""Share of the usual confusions, beside what the reader says."""
_INDEL = 0.01
"""Probability that a line of this length has lost a doubled character, or gained one."""
_IMPOSSIBLE = {"0": "oqd", "1": "li", "8": "b", "9": "gq", "|": "li", "!": "il", "$": "s", "@": "a", "€": "e", "&": "g"}
_CONFUSED = {
    "a": "oeqd", "b": "h6ed", "c": "eo", "d": "aoc", "e": "cao", "f": "trp", "g": "q6y", "h": "bnk", "i": "ljt", "j": "iy",
    "k": "xhr", "l": "itf", "m": "nwr", "n": "mrhu", "o": "acedq", "p": "qfr", "q": "gpao", "r": "nft", "s": "5z", "t": "fil7",
    "u": "vwn", "v": "uyw", "w": "vmu", "x": "kyz", "y": "vgxj", "z": "27s", "2": "z7", "3": "5e", "4": "a7", "5": "s36",
    "6": "bg5", "7": "z2t",
}  # fmt: skip
_CASES = "cosuvwxzkpyijfmt"
"""Letters whose capital differs from the small one by size only, or nearly."""
_BASE58_CONFUSED = {
    "0": "oDQ", "O": "oDQ", "I": "1il", "l": "1iI", "1": "iL7", "5": "S", "S": "5", "8": "B", "B": "8", "6": "bG", "2": "Z",
    "Z": "2", "9": "g", "g": "9q",
}  # fmt: skip
_BECH32_CONFUSED = {"i": "lj", "1": "l7", "o": "0", "b": "68h"}
_HEX_CONFUSED = {"O": "0", "o": "0", "I": "1", "l": "1", "S": "5"}
_LEAD = re.compile(
    r"^\W*(?:(?:tor|тор|onion|i2p|сайт|site|link|session(?:\s?id)?|btc|bitcoin|usdt|trc-?20|trx|tron|ton|tox(?:\s?id)?)\s?[:=-]?\s+|https?\W{1,3})?"
    r"(?:www\.)?"
)
_TAIL_WORD = re.compile(r"[o0][nh][il1][o0]n$")
_TOKEN = re.compile(r"[A-Za-z0-9]{54,58}(?=\W|$)")
_LONGEST, _SHORTEST_PIECE = 80, 6


@dataclass(frozen=True, slots=True)
class Piece:
    """A line, or a word of it, that may be part of a long address: its characters, where they stand, and how it ends."""

    line: int
    start: int
    end: int
    raw: str
    chars: tuple[Char, ...]
    suffix: bool
    i2p: bool = False


def _chars_of(reading: Reading, view: View, start: int, end: int) -> tuple[Char, ...]:
    """The characters of a stretch with the reader's alternatives; without them, each sure as a whole."""
    known = len(reading.chars) == len(reading.text)
    places = [i for i in range(start, end) if view.text[i].isalnum() or view.text[i] in "-_|!$"]
    return tuple(reading.chars[view.index[i]] if known else Char(view.text[i], _SURE) for i in places)


def _piece(reading: Reading, line: int) -> Piece | None:
    """The line as a part of a long address, or None when it is no unbroken run of letters and digits."""
    view = View.of(reading.text)
    lead = _LEAD.match(view.lower)
    start = lead.end() if lead else 0
    end = len(view.text.rstrip(" -_.,/"))
    i2p = I2P_SUFFIX.search(view.latin[start:end])
    suffix = i2p or SUFFIX.search(view.latin[start:end])
    if suffix:
        end = start + suffix.start()
    core = view.text[start:end]
    solid = re.sub(r"\s", "", core)
    if not _SHORTEST_PIECE <= len(solid) <= _LONGEST or not re.fullmatch(r"[^\W_][\w|!$-]*", solid):
        return None
    if " " in core.strip() and len(solid) < 16:
        return None
    folded = re.sub(r"\s", "", view.latin[start:end])
    if not (any(c.isdigit() for c in folded) or len(folded) >= 12) or not folded.isascii():
        return None
    return Piece(line, start, end, view.raw(start, len(view.text)), _chars_of(reading, view, start, end), bool(suffix), bool(i2p))


def _spread(probabilities: dict[str, float], usual: str, share: float) -> None:
    for char in usual:
        probabilities[char] = probabilities.get(char, 0.0) + share / len(usual)


def _onion_options(char: Char) -> Options:
    """What one character of an onion address may be: base32 letters and digits by probability."""
    weights: dict[str, float] = {}
    for text, probability in ((char.text, max(char.confidence, 1e-6)), *char.alternatives):
        folded = fold_char(text) if len(text) == 1 else None
        letter = folded[0] if folded else text
        if letter in BASE32:
            weights[letter] = weights.get(letter, 0.0) + probability
        elif letter in _IMPOSSIBLE:
            for rank, other in enumerate(_IMPOSSIBLE[letter]):
                weights[other] = weights.get(other, 0.0) + probability * 0.6**rank
    if weights:
        _spread(weights, _CONFUSED.get(max(weights, key=lambda c: weights[c]), ""), _FLOOR)
    return _normal(weights)


def _exact_options(char: Char, spec: Checked) -> Options:
    """What one character of a payment address or Tox identity may be; case matters, except where the kind folds it."""
    weights: dict[str, float] = {}
    for text, probability in ((char.text, max(char.confidence, 1e-6)), *char.alternatives):
        folded = fold_char(text) if len(text) == 1 and not text.isascii() else None
        letter = folded[0].upper() if folded and text.isupper() else folded[0] if folded else text
        letter = letter.lower() if spec.folds_case else letter
        weights[letter] = weights.get(letter, 0.0) + probability
    best = max(weights, key=lambda c: weights[c])
    if best.lower() in _CASES and not spec.folds_case and spec.kind is not IdentifierKind.TOX:
        _spread(weights, best.swapcase(), _FLOOR)
    if spec.folds_case:
        usual = _BECH32_CONFUSED.get(best) or _CONFUSED.get(best, "")
    else:
        usual = (_HEX_CONFUSED if spec.kind is IdentifierKind.TOX else _BASE58_CONFUSED).get(best, "")
    _spread(weights, usual, _FLOOR)
    return _normal(weights)


def _normal(weights: dict[str, float]) -> Options:
    total = sum(weights.values())
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return tuple((c, p / total) for c, p in ranked if p / total > 1e-4) if total > 0 else ()


def _with_ending(lattice: list[Options]) -> list[Options]:
    """The lattice with its last two positions held to what the version allows; what is cut off stays missing."""
    out = lattice.copy()
    for at, allowed in ((-2, ENDINGS[0]), (-1, ENDINGS[1])):
        kept = tuple((c, p) for c, p in lattice[at] if c in allowed)
        out[at] = kept or tuple((c, _FLOOR / 2 / len(allowed)) for c in allowed)
    return out


def _resized(lattice: Lattice) -> list[Lattice]:
    """Lattices of the right length for one that is a character too long, or has lost one of a pair of equal neighbours."""
    if len(lattice) == ONION_LENGTH + 1:
        return [[*lattice[:i], *lattice[i + 1 :]] for i in range(len(lattice))]
    if len(lattice) == ONION_LENGTH - 1:
        return [[*lattice[: i + 1], *lattice[i:]] for i in range(len(lattice))]
    return []


def repair_onion(chars: Sequence[Char], tries: int) -> Repaired | None:
    """The likeliest valid version 3 address (56 characters) behind 55–57 read characters, or None."""
    lattice = [_onion_options(char) for char in chars if char.text not in "-_"]
    if not all(lattice):
        return None
    if len(lattice) == ONION_LENGTH:
        return repair(_with_ending(lattice), is_onion, CHECK_BITS, tries)
    for other in _resized(lattice):
        found = repair(other, is_onion, CHECK_BITS, 1)
        if found:
            prior = _INDEL / len(lattice)
            odds = prior * found.probability / max(1e-12, 1.0 - found.probability)
            return Repaired(found.text, odds / (1.0 + odds), found.changes + 1)
    return None


def _claim(kind: IdentifierKind, value: str, pieces: Sequence[Piece], found: Repaired, read: str) -> Claim:
    places = tuple((p.line, p.start, p.end) for p in pieces)
    flags = [Flag.REPAIRED] if found.text.lower() != read.lower() else []
    flags += [Flag.JOINED] if len(pieces) > 1 else []
    raw = "\n".join(p.raw for p in pieces)
    return Claim(kind, value, places, raw, tuple(flags), mass=found.probability, verified=True)


def _onion_claim(pieces: Sequence[Piece], settings: ExtractSettings) -> Claim | None:
    chars = [c for p in pieces for c in p.chars]
    read = "".join(c.text for c in chars)
    attempts = [chars]
    if len(chars) > ONION_LENGTH + 3 and _TAIL_WORD.search(View.of(read).latin):  # ".onion" whose dot was lost
        attempts = [chars[:-5]]
    elif not ONION_LENGTH - 1 <= len(chars) <= ONION_LENGTH + 1:
        return None
    for attempt in attempts:
        found = repair_onion(attempt, settings.checksum_tries)
        if found:
            value = canonical_onion(found.text)
            return _claim(IdentifierKind.ONION, value, pieces, found, "".join(c.text for c in attempt)) if value else None
    return None


def _checked_claim(pieces: Sequence[Piece], settings: ExtractSettings) -> Claim | None:
    chars = [c for p in pieces for c in p.chars]
    read = "".join(c.text for c in chars)
    for spec in CHECKED:
        if len(read) not in spec.lengths or not spec.shape.fullmatch(read):
            continue
        lattice = [_exact_options(char, spec) for char in chars]
        found = repair(lattice, lambda text, spec=spec: spec.canonical(text) is not None, spec.bits, settings.checksum_tries)  # type: ignore[misc]
        value = spec.canonical(found.text) if found else None
        if found and value:
            return _claim(spec.kind, value, pieces, found, read)
    return None


def _exact_claim(pieces: Sequence[Piece]) -> Claim | None:
    """A Session identity or the hash of an I2P address over several lines: no checksum, but the length is exact."""
    chars = [c for p in pieces for c in p.chars]
    read = "".join(c.text for c in chars)
    session = canonical_session(read)
    if session is None and not (pieces[-1].i2p and len(read) == I2P_LENGTH and set(read.lower()) <= BASE32):
        return None
    kind = IdentifierKind.SESSION if session else IdentifierKind.I2P
    sure = char_product(kind, chars) if any(c.alternatives for c in chars) else sum(c.confidence for c in chars) / len(chars)
    return _claim(kind, session or f"{read.lower()}.b32.i2p", pieces, Repaired(read, 0.95 * sure, 0), read)


def _tokens(reading: Reading, line: int) -> list[Piece]:
    """Words within a line that are as long as an onion address."""
    view = View.of(reading.text)
    out = []
    for match in _TOKEN.finditer(view.latin):
        start, end = match.span()
        out.append(Piece(line, start, end, view.raw(start, end), _chars_of(reading, view, start, end), False))
    return out


def blob_claims(readings: Sequence[Reading], source: Source, settings: ExtractSettings) -> list[Claim]:
    """Addresses with a checksum in an advert's lines, whole or split over neighbouring ones; each line serves once."""
    pieces = [_piece(reading, i) for i, reading in enumerate(readings)]
    runs: list[list[Piece]] = []
    for size in range(1, MAX_LINES + 1):
        for first in range(len(pieces) - size + 1):
            run = [p for p in pieces[first : first + size] if p is not None]
            if len(run) == size:
                runs.append(run if not any(p.suffix for p in run[:-1]) else sorted(run, key=lambda p: (p.suffix, p.line)))
    runs += [[token] for i, reading in enumerate(readings) for token in _tokens(reading, i)]
    out: list[Claim] = []
    for run in runs:
        if any(place[0] == p.line and place[1] < p.end and p.start < place[2] for c in out for place in c.places for p in run):
            continue
        claim = _onion_claim(run, settings) or _checked_claim(run, settings) or (_exact_claim(run) if len(run) > 1 else None)
        if claim:
            out.append(claim)
    return out


def neighbours(count: int) -> list[tuple[int, int]]:
    """The pairs of neighbouring lines of an advert."""
    return list(pairwise(range(count)))
