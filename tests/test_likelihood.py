"""Spellings of known contacts, and how well a picture fits them. All names are invented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import Advert, Identifier, IdentifierKind, Line, LogProbs, Reading, Resource
from tagtrace.inference.identifiers import ExtractSettings, extract_advert, extract_text
from tagtrace.linking.likelihood import log_ratios, score, slots
from tagtrace.linking.spellings import MOST_SPELLINGS, rewritten, spellings
from tagtrace.models.alphabet import ALPHABET
from tagtrace.models.ctc import beam_search, best_path, log_likelihood

K = IdentifierKind
UNSURE = ExtractSettings(unsure_from=0.2, usual_weight=0.0)
"""Names as the picture alone shows them."""
SQUARE = ((0.0, 0.0), (100.0, 0.0), (100.0, 20.0), (0.0, 20.0))


def picture(text: str, doubts: dict[int, dict[str, float]] | None = None, sure: float = 0.97) -> LogProbs:
    """Log-probabilities of a picture that shows ``text``, two steps per character; ``doubts`` are others at a place."""
    table = np.full((2 * len(text) + 1, len(ALPHABET) + 1), 1e-6)
    table[0::2, 0] = 1.0
    for place, char in enumerate(text):
        row = table[2 * place + 1]
        others = (doubts or {}).get(place, {})
        row[ALPHABET.index(char) + 1] = sure - sum(others.values())
        for other, probability in others.items():
            row[(ALPHABET.index(other) + 1) if other else 0] = probability
    return np.log(table / table.sum(1, keepdims=True)).astype(np.float32)


def read(table: LogProbs) -> Reading:
    hypotheses = beam_search(table, ALPHABET)
    chars = best_path(table, ALPHABET)
    confidence = float(np.exp(np.mean([np.log(c.confidence) for c in chars])))
    return Reading(hypotheses[0].text, confidence, hypotheses, chars, table, ALPHABET)


def advert(*tables: LogProbs) -> Advert:
    lines = tuple(
        Line(tuple((x, y + 30.0 * n) for x, y in SQUARE), 0.9, read(table))  # type: ignore[arg-type]
        for n, table in enumerate(tables)
    )
    return Advert(SQUARE, lines, identifiers=extract_advert(lines, settings=UNSURE))


def ratios(shown: Advert, *values: str) -> list[float]:
    (identifier,) = shown.identifiers
    places = slots(shown, identifier)
    assert places
    return log_ratios(places, identifier, values).tolist()


@pytest.mark.parametrize(
    ("kind", "value", "some"),
    [
        (
            K.TELEGRAM,
            "tulpar_kz1",
            {"@tulpar_kz1", "t.me/tulpar_kz1", "https://t.me/tulpar_kz1", "@TULPAR_KZ1", "ТГ: @tulpar_kz1"},
        ),
        (K.TELEGRAM_INVITE, "+AbCdEf0123456789", {"t.me/+AbCdEf0123456789", "t.me/joinchat/AbCdEf0123456789"}),
        (K.PHONE, "+77491234567", {"8 (749) 123-45-67", "+77491234567", "8-749-123-45-67"}),
        (K.WHATSAPP, "+77491234567", {"wa.me/77491234567"}),
        (K.URL, "umit-snow.top", {"https://umit-snow.top", "UMIT-SNOW.TOP", "www.umit-snow.top"}),
        (K.URL, "xn--80ak6aa92e.kz", {"аррӏе.kz"}),
        (K.INSTAGRAM, "umit.snow", {"instagram.com/umit.snow", "@umit.snow"}),
    ],
)
def test_usual_spellings(kind: K, value: str, some: set[str]) -> None:
    found = spellings(Resource(kind, value, "A"))
    assert {text for text in some if set(text) <= set(ALPHABET)} <= set(found)
    assert len(found) == len(set(found)) <= MOST_SPELLINGS and all(set(text) <= set(ALPHABET) for text in found)


HANDLE = st.from_regex(r"[a-z][a-z0-9]{2,8}(_[a-z0-9]{2,6})?", fullmatch=True)


@given(HANDLE)
def test_every_spelling_of_a_name_with_an_anchor_means_it(value: str) -> None:
    """The grammar that reads walls is the oracle: what is written for a value is read as that value."""
    from tagtrace.inference.identifiers.telegram import STOP_WORDS

    if value in STOP_WORDS or value.startswith(("s_", "joinchat")):
        return
    for text in spellings(Resource(K.TELEGRAM, value, "A")):
        if "@" in text and " " not in text:
            found = {item.value for item in extract_text(text) if item.kind is K.TELEGRAM}
            assert not found or {v.replace("0", "o") for v in found} == {value.replace("0", "o")}, text


@pytest.mark.parametrize(
    ("raw", "kind", "old", "new", "expected"),
    [
        ("t.me/tulpar_kz1", K.TELEGRAM, "tulpar_kz1", "tulpar_kz2", "t.me/tulpar_kz2"),
        ("@TULPAR_KZ1", K.TELEGRAM, "tulpar_kz1", "tulpar_bz12", "@TULPAR_BZ12"),
        ("ТГ: @ТULРАR", K.TELEGRAM, "tulpar", "tulpan", "ТГ: @ТULРАN"),
        ("@t u l p a r", K.TELEGRAM, "tulpar", "tulpan", "@t u l p a n"),
        ("@tul.par", K.TELEGRAM, "tulpar", "tulkar", "@tul.kar"),
        ("@tulparr_kz", K.TELEGRAM, "tulparr_kz", "tulpar_kz", "@tulpar_kz"),
        ("8 (749) 123-45-67", K.PHONE, "+77491234567", "+77491234568", "8 (749) 123-45-68"),
        ("t.me/+AbCdEf0123456789", K.TELEGRAM_INVITE, "+AbCdEf0123456789", "+AbCdEF0123456789", "t.me/+AbCdEF0123456789"),
        ("www.umit-snow.top/kz", K.URL, "umit-snow.top", "umit-show.top", "www.umit-show.top/kz"),
        ("@tulpar\n_kz1", K.TELEGRAM, "tulpar_kz1", "tulpar_kz7", "@tulpar\n_kz7"),
    ],
)
def test_a_value_is_rewritten_in_the_manner_of_the_wall(raw: str, kind: K, old: str, new: str, expected: str) -> None:
    assert expected in rewritten(raw, kind, old, new)


@given(HANDLE, HANDLE, st.sampled_from(["@{}", "t.me/{}", "tg: {}"]), st.booleans())
def test_rewriting_there_and_back_gives_the_text(old: str, new: str, form: str, upper: bool) -> None:
    raw = form.format(old.upper() if upper else old)
    there = rewritten(raw, K.TELEGRAM, old, new)
    assert there and there[0].lower() == form.format(new).lower()
    assert raw.lower() in [text.lower() for text in rewritten(there[0], K.TELEGRAM, new, old)]


def test_what_is_not_there_cannot_be_rewritten() -> None:
    assert rewritten("@berkut", K.TELEGRAM, "tulpar", "tulpan") == ()


def test_the_value_read_costs_nothing_and_a_sure_other_digit_much() -> None:
    shown = advert(picture("@tulpar_kz1"))
    same, other, stranger = ratios(shown, "tulpar_kz1", "tulpar_kz2", "berkut_zone")
    assert same == pytest.approx(0.0, abs=1e-6)
    assert other < -8 and stranger < 3 * other


def test_a_doubtful_character_costs_what_its_doubt_is() -> None:
    shown = advert(picture("@tulpar_kz1", {10: {"7": 0.3}}))
    (found,) = ratios(shown, "tulpar_kz7")
    assert found == pytest.approx(np.log(0.3 / 0.67), abs=0.01)


def test_a_lost_character_can_be_put_back() -> None:
    shown = advert(picture("@tulpaar_kz1", {6: {"": 0.45}}))
    (identifier,) = shown.identifiers
    assert identifier.value == "tulpaar_kz1"
    assert ratios(shown, "tulpar_kz1")[0] > -1.0


def test_a_name_over_two_lines_is_scored_in_both() -> None:
    shown = advert(picture("@tulpar_", {4: {"b": 0.2}}), picture("kz1", {2: {"7": 0.1}}))
    (identifier,) = shown.identifiers
    assert identifier.value == "tulpar_kz1" and identifier.lines == (0, 1)
    first, second, both = ratios(shown, "tulbar_kz1", "tulpar_kz7", "tulbar_kz7")
    assert both == pytest.approx(first + second, abs=0.01)
    assert first == pytest.approx(np.log(0.2 / 0.77), abs=0.01)


def test_nothing_to_compare_without_log_probabilities() -> None:
    line = Line(SQUARE, 0.9, Reading("@tulpar_kz1", 0.9))
    item = Identifier(K.TELEGRAM, "tulpar_kz1", "@tulpar_kz1", 0.9, lines=(0,))
    assert slots(Advert(SQUARE, (line,)), item) == ()
    assert slots(Advert(SQUARE), item) == ()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.text(st.sampled_from("ab_12"), min_size=0, max_size=7), min_size=1, max_size=12))
def test_all_at_once_is_one_by_one(seed: int, texts: list[str]) -> None:
    """The batch against each text alone, and against the sum over all texts where that can be counted."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (8, len(ALPHABET) + 1))
    table = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)
    together = log_likelihood(table, texts, ALPHABET)
    alone = [float(log_likelihood(table, [text], ALPHABET)[0]) for text in texts]
    assert together == pytest.approx(alone, rel=1e-9, abs=1e-9)
    reading = Reading(texts[0], 0.5, beam_search(table, ALPHABET), (), table, ALPHABET)
    free = max(hypothesis.log_prob for hypothesis in reading.hypotheses)
    assert score(reading, texts) == pytest.approx([value - free for value in alone], abs=1e-6)
