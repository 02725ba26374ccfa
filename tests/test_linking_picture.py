"""Links by the picture: what an identifier may mean, weighed, banded and explained. All shops are invented."""

from __future__ import annotations

import math
import random
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tagtrace.contract import Advert, Band, Flag, Identifier, IdentifierKind, Line, Link, LogProbs, Outcome, Reading, Resource
from tagtrace.inference.identifiers import ExtractSettings, extract_advert
from tagtrace.linking.explain import LinkSettings, meanings
from tagtrace.linking.priors import LIMIT, STEPS, PriorSource, Seen
from tagtrace.linking.shops import Shops, differ_in_digits, link, link_advert
from tagtrace.linking.waterfall import waterfall_json, waterfall_svg
from tagtrace.models.alphabet import ALPHABET
from tagtrace.models.ctc import beam_search, best_path

K = IdentifierKind
SQUARE = ((0.0, 0.0), (100.0, 0.0), (100.0, 20.0), (0.0, 20.0))
RAW = LinkSettings(calibrated=False)
ONION = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"


def picture(text: str, doubts: dict[int, dict[str, float]] | None = None) -> LogProbs:
    """Log-probabilities of a picture that shows ``text``; ``doubts`` are other characters at a place."""
    table = np.full((2 * len(text) + 1, len(ALPHABET) + 1), 1e-6)
    table[0::2, 0] = 1.0
    for place, char in enumerate(text):
        others = (doubts or {}).get(place, {})
        table[2 * place + 1, ALPHABET.index(char) + 1] = 0.98 - sum(others.values())
        for other, probability in others.items():
            table[2 * place + 1, (ALPHABET.index(other) + 1) if other else 0] = probability
    return np.log(np.maximum(table, 1e-9) / table.sum(1, keepdims=True)).astype(np.float32)


def advert(text: str, doubts: dict[int, dict[str, float]] | None = None) -> Advert:
    table = picture(text, doubts)
    hypotheses, chars = beam_search(table, ALPHABET), best_path(table, ALPHABET)
    sure = math.exp(sum(math.log(char.confidence) for char in chars) / len(chars))
    lines = (Line(SQUARE, 0.9, Reading(hypotheses[0].text, sure, hypotheses, chars, table, ALPHABET)),)
    return Advert(SQUARE, lines, identifiers=extract_advert(lines, settings=ExtractSettings(unsure_from=0.2)))


def shops(*rows: tuple[str, str], kind: K = K.TELEGRAM) -> Shops:
    strangers = [Resource(K.TELEGRAM, f"{word}_kz", f"Z{word}") for word in ("berkut", "samruk", "zhuldyz", "altyn", "dombra")]
    return Shops([*strangers, *(Resource(kind, value, shop) for shop, value in rows)])


def linked(shown: Advert, known: Shops, chosen: LinkSettings | None = None, prior: PriorSource | None = None) -> Link:
    (found,) = link_advert(shown, known, chosen, prior)
    return found


TULPAR = shops(("A", "tulpar_kz1"), ("A", "tulpar_kz2"))


def test_a_clear_reading_of_a_listed_name_links_without_a_person() -> None:
    found = linked(advert("@tulpar_kz1"), TULPAR)
    assert (found.outcome, found.shop_id, found.band) == (Outcome.SAME, "A", Band.AUTOMATIC)


def test_a_doubtful_letter_is_a_misread_for_a_person() -> None:
    known = shops(("A", "qarashanyraq"))
    lines = advert("@qarashanvraq", {9: {"y": 0.2}}).lines
    read = Identifier(K.TELEGRAM, "qarashanvraq", "@qarashanvraq", 0.75, lines=(0,))
    found = linked(Advert(SQUARE, lines, identifiers=(read,)), known)
    assert (found.outcome, found.shop_id, found.band) == (Outcome.MISREAD, "A", Band.REVIEW)
    assert found.resource is not None and found.resource.value == "qarashanyraq"


def test_a_lost_letter_that_no_alternative_lists_is_found_by_the_picture() -> None:
    """The alternatives know nothing of the right value; only its likelihood does."""
    shown = advert("@qarashanyraq", {7: {"": 0.9785}})
    (item,) = shown.identifiers
    known = shops(("A", "qarashanyraq"))
    assert item.value == "qarashnyraq" and "qarashanyraq" not in dict(item.alternatives)
    assert link(item, known).outcome is Outcome.NEW
    found = linked(shown, known)
    assert (found.outcome, found.shop_id) == (Outcome.MISREAD, "A")


def test_a_sure_digit_is_never_a_misread_and_a_doubtful_one_may_be() -> None:
    sure = linked(advert("@tulpar_kz7"), TULPAR)
    assert (sure.outcome, sure.shop_id, sure.band) == (Outcome.SIBLING, "A", Band.REVIEW)
    doubtful = linked(advert("@tulpar_kz7", {10: {"1": 0.4}}), TULPAR)
    assert doubtful.outcome is Outcome.MISREAD and doubtful.resource is not None and doubtful.resource.value == "tulpar_kz1"


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 0.04), st.sampled_from("0123456789"), st.sampled_from("0123456789"), st.integers(0, 40))
def test_digit_rule(doubt: float, shown: str, listed: str, seen: int) -> None:
    """Whatever else speaks for it: a digit that was read surely is not another one."""
    assume(shown != listed)

    class Everywhere:
        def seen(self, resource: Resource) -> Seen:
            return Seen(seen, seen, seen, True, True)

    known = shops(("A", f"tulpar_kz{listed}"))
    found = linked(advert(f"@tulpar_kz{shown}", {10: {listed: doubt}}), known, prior=Everywhere())
    assert found.outcome in (Outcome.SIBLING, Outcome.NEW)
    assert differ_in_digits(f"tulpar_kz{shown}", f"tulpar_kz{listed}")


def test_checksums_and_codes_link_exactly() -> None:
    other = "p" + "h" + ONION[2:]
    known = shops(("A", ONION), kind=K.ONION)
    onion = Identifier(K.ONION, other, other, 0.9, alternatives=((ONION, 0.09),))
    assert link(onion, known).outcome is Outcome.NEW
    assert link(Identifier(K.ONION, ONION, ONION, 0.9), known).outcome is Outcome.SAME
    code = Identifier(K.TELEGRAM, "tulpar_kz7", "https://t.me/tulpar_kz7", 1.0, codes=(0,))
    assert link(code, TULPAR).outcome is Outcome.SIBLING
    assert link(code, TULPAR, LinkSettings(siblings_of_codes=False)).outcome is Outcome.NEW


def test_a_protected_resource_is_never_proposed() -> None:
    """Neither as it is listed by mistake, nor for a reading near it."""
    known = shops(("A", "sko_narkohelp_bot"))
    for text in ("@sko_narkohelp_bot", "@sko_narkohelb_bot"):
        item = Identifier(K.TELEGRAM, text[1:], text, 0.6, alternatives=(("sko_narkohelp_bot", 0.3),))
        found = link(item, known)
        assert (found.outcome, found.shop_id, found.band) == (Outcome.NEW, None, Band.NONE)
    flagged = Identifier(K.TELEGRAM, "tulpar_kz1", "", 0.9, flags=(Flag.PROTECTED,))
    assert link(flagged, TULPAR).outcome is Outcome.NEW


def test_earlier_sightings_count_and_have_a_limit() -> None:
    class Counted:
        def __init__(self, **counts: int) -> None:
            self.counts = counts

        def seen(self, resource: Resource) -> Seen:
            return Seen(**self.counts)  # type: ignore[arg-type]

    item = Identifier(K.TELEGRAM, "um1tsn0w", "@um1tsn0w", 0.95)
    known = shops(("B", "umitsnow"))
    plain, often, always = (
        link(item, known, LinkSettings(calibrated=False), prior)
        for prior in (None, Counted(total=3, near=3), Counted(total=10**9, near=10**9, lately=10**9))
    )
    assert plain.probability < often.probability < always.probability
    steps = [step for step in always.evidence if step.name in (*STEPS, LIMIT)]
    # What looks like the reading is not what was read: it counts less than the whole.
    assert 0 < math.fsum(step.nats for step in steps) < LinkSettings().priors.most_nats
    assert [step.name for step in steps] == ["seen", "nearby", "lately", LIMIT] and "nearby" in steps[1].text


def test_contacts_beside_each_other_support_each_other() -> None:
    listed = Identifier(K.TELEGRAM, "tulpar_kz1", "@tulpar_kz1", 0.95)
    doubtful = Identifier(K.PHONE, "+77491234567", "8 749 123 45 67", 0.6, alternatives=(("+77491234561", 0.02),))
    known = Shops([*TULPAR.resources, Resource(K.PHONE, "+77491234561", "A")])
    beside = link_advert(Advert(SQUARE, identifiers=(listed, doubtful)), known)[1]
    assert link(doubtful, known).outcome is Outcome.NEW
    assert (beside.outcome, beside.shop_id) == (Outcome.SIBLING, "A")
    assert any(step.name == "beside" for step in beside.evidence)


NAMES = st.sampled_from(
    ["tulpar_kz1", "tulpar_kz2", "tulpan_kz1", "tulpar_kz", "umitsnow", "um1tsnow", "shop1", "qara_tas", "qaratas"]
)
LISTED = st.lists(st.tuples(st.sampled_from("ABC"), NAMES), max_size=6, unique=True)


@settings(max_examples=80, deadline=None)
@given(LISTED, NAMES, st.floats(0.05, 1.0), NAMES)
def test_probabilities_of_all_meanings_sum_to_one(listed: list[tuple[str, str]], read: str, sure: float, other: str) -> None:
    item = Identifier(K.TELEGRAM, read, "@" + read, sure, alternatives=((other, 0.5 * (1 - sure)),) if other != read else ())
    found = meanings(item, shops(*listed), RAW)
    total = math.fsum(math.exp(meaning.nats) for meaning in found)
    shares = [math.exp(meaning.nats) / total for meaning in found]
    assert found[-1].outcome is Outcome.NEW and sum(m.outcome is Outcome.NEW for m in found) == 1
    assert math.fsum(shares) == pytest.approx(1.0) and all(0 <= share <= 1 for share in shares)
    keys = [(m.outcome, m.shop_id, m.resource) for m in found]
    assert len(keys) == len(set(keys))
    assert all(m.resource is None or m.resource.value != item.value for m in found if m.outcome is Outcome.MISREAD)


@settings(max_examples=60, deadline=None)
@given(LISTED, NAMES, st.randoms(use_true_random=False))
def test_the_order_of_resources_does_not_matter(listed: list[tuple[str, str]], read: str, rng: random.Random) -> None:
    shown = advert("@" + read)
    resources = list(shops(*listed).resources)
    expected = link_advert(shown, Shops(resources))
    rng.shuffle(resources)
    assert link_advert(shown, Shops(resources)) == expected


@settings(max_examples=60, deadline=None)
@given(LISTED, NAMES, st.from_regex(r"[wvxj]{4}[0-9]{3}", fullmatch=True))
def test_an_unrelated_resource_changes_no_outcome(listed: list[tuple[str, str]], read: str, stranger: str) -> None:
    shown = advert("@" + read)
    before = link_advert(shown, shops(*listed))
    after = link_advert(shown, Shops([*shops(*listed).resources, Resource(K.TELEGRAM, stranger, "W")]))
    assert [(x.outcome, x.shop_id, x.resource) for x in before] == [(x.outcome, x.shop_id, x.resource) for x in after]


@settings(max_examples=60, deadline=None)
@given(LISTED, NAMES, st.booleans())
def test_the_steps_of_a_link_add_up_to_its_probability(listed: list[tuple[str, str]], read: str, calibrated: bool) -> None:
    chosen = LinkSettings(calibrated=calibrated)
    for found in link_advert(advert("@" + read), shops(*listed), chosen):
        assert found.evidence[-1].name == "calibration"
        assert 1 / (1 + math.exp(-math.fsum(step.nats for step in found.evidence))) == pytest.approx(found.probability)
        data = waterfall_json(found)
        assert data["steps"][-1]["after"] == pytest.approx(math.log(found.probability / (1 - found.probability)), abs=1e-3)  # type: ignore[index]
        tops = ElementTree.fromstring(waterfall_svg(found)).findall("{*}g")
        assert len(tops) == len(found.evidence) == len(data["steps"])  # type: ignore[arg-type]
        if found.band is Band.AUTOMATIC:
            assert found.outcome is Outcome.SAME and found.probability >= chosen.automatic_above
        if found.outcome is Outcome.NEW:
            assert found.band is Band.NONE and found.shop_id is None


def test_the_bands_are_settings() -> None:
    shown = advert("@tulpar_kz1")
    strict = linked(shown, TULPAR, LinkSettings(automatic_above=1.0))
    assert (strict.outcome, strict.band) == (Outcome.SAME, Band.REVIEW)
    none = linked(shown, TULPAR, LinkSettings(review_above=1.0))
    assert (none.outcome, none.band) == (Outcome.NEW, Band.NONE) and "too weak" in none.reasons[0]


def test_the_picture_escapes_what_strangers_wrote() -> None:
    name = "<script>alert('x')</script>\x1b[31m"
    known = Shops([Resource(K.QR, name, "A", "<b>&")])
    found = link(Identifier(K.QR, name, name, 1.0, codes=(0,)), known)
    assert found.outcome is Outcome.SAME
    drawn = waterfall_svg(found)
    assert "<script" not in drawn and "\x1b" not in drawn and "<b>" not in drawn
    tree = ElementTree.fromstring(drawn)
    assert tree.tag.endswith("svg") and any("<script>" in (text.text or "") for text in tree.iter())
    assert waterfall_json(Link(Outcome.NEW, 1.0))["steps"] == [] and "nothing to weigh" in waterfall_svg(Link(Outcome.NEW, 1.0))
