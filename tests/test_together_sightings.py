"""Photos of one advert read together: evidence adds up, strangers do not poison it, and siblings stay two names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import Advert, Analysis, Code, Flag, Line, Quad, Reading, TagtraceError
from tagtrace.datasets.truth import AdvertTruth, LineTruth, PhotoTruth
from tagtrace.inference.identifiers import extract_advert
from tagtrace.linking.readings import TogetherSettings, confusion_network, disagree, read_together, scores
from tagtrace.linking.together import read_cluster, read_photos
from tagtrace.models import geometry
from tagtrace.models.ctc import beam_search, best_path, log_likelihood
from tagtrace.training.together import TogetherEvaluation, measure, sort_looks, table, write

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789_@./+ "
Doubts = dict[int, dict[str, float]]


def reading(text: str, doubts: Doubts | None = None, sure: float = 0.995) -> Reading:
    """What a CTC recogniser gives for ``text``: each character with the probability ``sure``, or as ``doubts`` say by place."""
    steps = np.full((2 * len(text) + 1, 1 + len(ALPHABET)), 1e-5)
    steps[::2, 0] = 1.0
    for place, char in enumerate(text):
        for other, probability in (doubts or {}).get(place, {char: sure}).items():
            steps[2 * place + 1, 1 + ALPHABET.index(other)] = probability
        steps[2 * place + 1, 0] = max(1e-4, 1 - steps[2 * place + 1, 1:].sum())
    log_probs = np.log(steps / steps.sum(axis=1, keepdims=True)).astype(np.float32)
    found = beam_search(log_probs, ALPHABET)
    chars = best_path(log_probs, ALPHABET)
    confidence = float(np.exp(np.mean([np.log(c.confidence) for c in chars]))) if chars else 0.0
    return Reading("".join(c.text for c in chars), confidence, found, chars, log_probs, ALPHABET)


def advert(*readings: Reading, left: float = 20.0, size: float = 30.0, codes: tuple[Code, ...] = ()) -> Advert:
    """The readings as lines under each other."""
    lines = []
    for row, one in enumerate(readings):
        top = 40.0 + 1.6 * size * row
        width = max(20.0, 0.6 * size * len(one.text))
        lines.append(Line(geometry.rectangle(left, top, left + width, top + size), 0.9, one))
    quads = [line.quad for line in lines] or [geometry.rectangle(0, 0, 10, 10)]
    return Advert(geometry.around(quads), tuple(lines), codes, extract_advert(lines, codes))


def values(found: Advert) -> set[str]:
    return {i.value for i in found.identifiers}


# --- one line ----------------------------------------------------------------------------------------------------------------


def test_doubts_at_different_letters_are_cleared_by_the_other_photos() -> None:
    photos = [
        reading("@tulpar_kz1", {2: {"v": 0.5, "u": 0.45}}),
        reading("@tulpar_kz1", {4: {"q": 0.5, "p": 0.45}}),
        reading("@tulpar_kz1", {10: {"7": 0.5, "1": 0.45}}),
    ]
    assert "@tulpar_kz1" not in [one.text for one in photos]
    together = read_together(photos)
    assert together.text == "@tulpar_kz1"
    assert together.confidence > max(one.confidence for one in photos)
    assert together.hypotheses[0].text == together.text


def test_a_text_that_no_photo_proposes_is_put_together_from_pieces() -> None:
    one = reading("@tulvvr_kz1", {4: {"v": 0.55, "p": 0.4}, 5: {"v": 0.55, "a": 0.4}})
    two = reading("@tulpar_hx1", {8: {"h": 0.55, "k": 0.4}, 9: {"x": 0.55, "z": 0.4}})
    few = [replace(r, hypotheses=r.hypotheses[:1]) for r in (one, two)]
    assert read_together(few).text == "@tulpar_kz1"


def test_the_sum_of_the_exact_likelihoods_decides() -> None:
    photos = [reading("ab1", {2: {"1": 0.6, "7": 0.39}}), reading("ab7", {2: {"7": 0.8, "1": 0.19}})]
    texts = ["ab1", "ab7"]
    whole = TogetherSettings(discount=1.0, most_against=1e6, trust=0.0)
    exact = sum(log_likelihood(p.log_probs, texts, ALPHABET) for p in photos if p.log_probs is not None)
    together = read_together(photos, settings=whole)
    shares = {h.text: h.log_prob for h in together.hypotheses}
    assert shares["ab7"] - shares["ab1"] == pytest.approx(float(exact[1] - exact[0]), abs=1e-3)
    assert float(np.exp([h.log_prob for h in together.hypotheses]).sum()) == pytest.approx(1.0, abs=0.02)


def test_further_photos_count_less_than_whole_ones_but_never_nothing() -> None:
    doubtful = reading("@umit_24", {7: {"4": 0.7, "9": 0.29}})
    sure = [read_together([doubtful] * n).chars[7].confidence for n in (1, 2, 4, 8)]
    assert sure == sorted(sure)
    assert sure[0] < sure[1] < sure[3]
    independent = read_together([doubtful] * 4, settings=TogetherSettings(discount=1.0)).chars[7].confidence
    assert sure[2] < independent


def test_a_copy_with_no_weight_adds_nothing() -> None:
    doubtful = reading("@umit_24", {7: {"4": 0.7, "9": 0.29}})
    assert read_together([doubtful, doubtful], [1.0, 0.0]) is doubtful


def test_one_photo_of_something_else_does_not_poison_the_line() -> None:
    photos = [reading("@tulpar_kz1", {3: {"i": 0.5, "l": 0.45}}) for _ in range(2)]
    stranger = reading("snow qala", sure=0.999)
    assert read_together([*photos, stranger]).text in ("@tuipar_kz1", "@tulpar_kz1")
    assert read_together([*photos, reading("@tulpar_kz1"), stranger]).text == "@tulpar_kz1"


def test_a_photo_that_shows_only_the_end_does_not_shorten_the_name() -> None:
    whole, cut = reading("shododgryum.net", sure=0.95), reading("dodgryum.net", sure=0.99)
    assert read_together([whole, cut]).text == "shododgryum.net"
    assert read_together([cut, whole]).text == "shododgryum.net"


def test_without_log_probabilities_the_listed_alternatives_count() -> None:
    bare = [
        replace(reading("@umit_24", doubts), log_probs=None, alphabet="")
        for doubts in ({1: {"v": 0.5, "u": 0.45}}, {4: {"f": 0.5, "t": 0.45}}, {})
    ]
    assert read_together(bare).text == "@umit_24"


def test_readings_kept_as_log_probabilities_alone_are_decoded_again() -> None:
    photos = [
        reading("@tulpar_kz1", {place: {other: 0.5, right: 0.45}}) for place, other, right in ((2, "v", "u"), (4, "q", "p"))
    ]
    bare = [replace(one, hypotheses=()) for one in photos]
    assert read_together(bare).hypotheses == read_together(photos).hypotheses


def test_no_reading_is_refused_and_a_single_one_returned() -> None:
    with pytest.raises(TagtraceError, match="at least one reading"):
        read_together([])
    one = reading("@umit_24")
    assert read_together([one]) is one
    assert read_together([one, Reading("", 0.0)]) is one


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 2**32 - 1))
def test_the_order_of_the_photos_does_not_matter(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    photos = []
    for _ in range(4):
        doubts = {
            int(place): {"a": float(p), "b": float(0.98 - p)} for place, p in zip((1, 3), rng.uniform(0.1, 0.9, 2), strict=True)
        }
        photos.append(reading("@a_b_1", doubts))
    first, second = read_together(photos), read_together([photos[i] for i in order])
    assert first.text == second.text
    assert first.hypotheses == second.hypotheses
    assert first.chars == second.chars


@given(st.text(ALPHABET, min_size=1, max_size=12), st.text(ALPHABET, min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_no_photo_says_more_than_its_share_against_a_text(read: str, other: str) -> None:
    limit = TogetherSettings().most_against
    found = scores(reading(read), [other, reading(read).text])
    assert (found >= -limit - 1e-3).all()
    assert found[1] == pytest.approx(0.0, abs=1e-6)


def test_the_combined_log_probabilities_say_what_the_characters_say() -> None:
    together = read_together([reading("@umit_24", {7: {"4": 0.7, "9": 0.29}}), reading("@umit_24")])
    assert together.log_probs is not None
    assert np.allclose(np.exp(together.log_probs).sum(axis=1), 1, atol=1e-4)
    assert "".join(c.text for c in best_path(together.log_probs, together.alphabet)) == "@umit_24"
    right, wrong = log_likelihood(together.log_probs, ["@umit_24", "@umit_29"], together.alphabet)
    shares = dict(together.chars[7].alternatives) | {"4": together.chars[7].confidence}
    assert right - wrong == pytest.approx(np.log(shares["4"] / shares["9"]), abs=0.05)


def test_a_network_leaves_room_for_what_is_not_listed() -> None:
    chars = reading("ab", {0: {"a": 0.5}}).chars
    row = np.exp(confusion_network(chars, ALPHABET)[1])
    assert row[0] > 0.1
    assert row[1 + ALPHABET.index("z")] > 1e-3


def test_sure_digits_disagree_and_doubtful_ones_do_not() -> None:
    one, two = reading("@umit_kz1"), reading("@umit_kz2")
    assert disagree(one, two)
    assert not disagree(one, one)
    assert not disagree(one, reading("@umit_kz2", {8: {"2": 0.6, "1": 0.39}}))
    assert not disagree(one, reading("@umit_ka1"))


# --- whole adverts -----------------------------------------------------------------------------------------------------------


def test_an_identifier_that_no_photo_shows_clearly_is_read_from_three() -> None:
    doubts: list[Doubts] = [
        {2: {"v": 0.5, "u": 0.4}, 5: {"o": 0.5, "a": 0.4}},
        {4: {"q": 0.5, "p": 0.4}, 7: {".": 0.5, "_": 0.4}},
        {3: {"i": 0.5, "l": 0.4}, 10: {"7": 0.5, "1": 0.4}},
    ]
    photos = [advert(reading("@tulpar_kz1", d)) for d in doubts]
    assert all("tulpar_kz1" not in values(photo) for photo in photos)
    together = read_cluster(photos)
    assert values(together) == {"tulpar_kz1"}


def test_lines_are_matched_by_what_they_say_in_whatever_order_they_stand() -> None:
    one = advert(reading("rabota"), reading("@tulpar_kz1", {2: {"v": 0.5, "u": 0.4}}))
    two = advert(reading("@tulpar_kz1", {4: {"q": 0.5, "p": 0.4}}), reading("rabota"), left=300.0, size=50.0)
    found = read_photos([one, two])
    assert {line.reading.text for line in found.advert.lines} == {"rabota", "@tulpar_kz1"}
    assert sorted(sorted(s) for s in found.sources) == [[(0, 0), (1, 1)], [(0, 1), (1, 0)]]


def test_a_line_too_blurred_to_compare_is_matched_by_its_place() -> None:
    one = advert(reading("rabota"), reading("@tulpar_kz1"))
    blurred = reading("mwmwmwm", {n: {"m": 0.2, "w": 0.2, "n": 0.15} for n in range(7)})
    two = advert(reading("rabota"), blurred, left=100.0)
    quad = geometry.scale(one.lines[1].quad, 1, 1, 80.0, 0.0)
    two = replace(two, lines=(two.lines[0], replace(two.lines[1], quad=quad)))
    found = read_photos([one, two])
    assert len(found.advert.lines) == 2
    assert values(found.advert) == {"tulpar_kz1"}


def test_a_line_that_only_one_photo_shows_is_kept_in_its_place() -> None:
    one = advert(reading("rabota"), reading("@tulpar_kz1"))
    two = advert(reading("@tulpar_kz1"), reading("+77091234567"), left=60.0)
    found = read_cluster([one, two])
    assert [line.reading.text for line in found.lines] == ["rabota", "@tulpar_kz1", "+77091234567"]


def test_siblings_are_both_kept_and_reported_as_disputed() -> None:
    photos = [advert(reading("@tulpar_kz1")), advert(reading("@tulpar_kz2"))]
    found = read_photos(photos)
    assert values(found.advert) == {"tulpar_kz1", "tulpar_kz2"}
    assert len(found.disputed) == 1
    a, b = (found.advert.lines[n].reading.text for n in found.disputed[0])
    assert {a, b} == {"@tulpar_kz1", "@tulpar_kz2"}
    by_value = {i.value: i for i in found.advert.identifiers}
    for value, item in by_value.items():
        assert [found.advert.lines[n].reading.text for n in item.lines] == [f"@{value}"]


def test_a_single_misread_digit_is_outvoted_by_many_photos() -> None:
    photos = [advert(reading("@tulpar_kz1")) for _ in range(4)]
    found = read_photos([*photos, advert(reading("@tulpar_kz7"))])
    assert values(found.advert) == {"tulpar_kz1"}


def test_what_one_photo_shows_surely_is_not_lost_among_blurred_ones() -> None:
    """A checksum confirms it in one photo; the others are sure of a wrong letter."""
    first, second = "zs2wk5gpchd3ucp2tgu4rvopzmxmukmy", "b5owtzf75agfw6s57spfz3ad.onion"
    wrong = first.replace("tgu4", "tge4")
    photos = [advert(reading(wrong, sure=0.999), reading(second)) for _ in range(2)]
    photos.append(advert(reading(first, sure=0.999), reading(second)))
    assert not photos[0].identifiers and photos[2].identifiers[0].confidence > 0.9
    found = read_photos(photos)
    assert values(found.advert) == {first + second}
    assert {found.advert.lines[n].reading.text for n in found.advert.identifiers[0].lines} <= {first, wrong, second}
    # A name that is sure in one photo, and sure to be another in the rest, does not come back.
    names = [advert(reading("@tulpar_kz1")) for _ in range(4)] + [advert(reading("@tulpar_kz2"))]
    assert values(read_photos(names).advert) == {"tulpar_kz1"}


def test_one_clear_photo_counts_more_than_a_mean_that_is_in_doubt() -> None:
    """The same letters are hidden by a pipe in three photos of four: their mean is wrong, reported, and not sure."""
    hidden, clear = {7: {"v": 0.8, "p": 0.15}}, {7: {"p": 0.975, "v": 0.02}}
    photos = [advert(reading("www.tulvarbot.kz", hidden)) for _ in range(3)]
    photos.append(advert(reading("www.tulparbot.kz", clear, sure=0.999)))
    assert values(read_photos(photos).advert) == {"tulparbot.kz"}
    # As sure of it as the one is of the other, the three are right.
    photos[:3] = [advert(reading("www.tulvarbot.kz", sure=0.999)) for _ in range(3)]
    assert values(read_photos(photos).advert) == {"tulvarbot.kz"}


def test_a_photo_of_another_advert_is_left_out() -> None:
    photos = [advert(reading("rabota"), reading("@tulpar_kz1")) for _ in range(2)]
    found = read_photos([*photos, advert(reading("snow 24"), reading("@qala_shop"))])
    assert values(found.advert) == {"tulpar_kz1"}
    assert found.left_out == (2,)


def test_two_photos_with_nothing_in_common_keep_what_each_says() -> None:
    found = read_photos([advert(reading("@tulpar_kz1")), advert(reading("+77012345678"))])
    assert values(found.advert) == {"tulpar_kz1", "+77012345678"}


def test_codes_are_kept_once() -> None:
    quad: Quad = geometry.rectangle(200, 40, 260, 100)
    code = Code("https://t.me/tulpar_kz1", "QRCode", quad)
    photos = [advert(reading("rabota"), codes=(code,)), advert(reading("rabota"), left=70, codes=(code,)), advert()]
    found = read_cluster(photos)
    assert len(found.codes) == 1
    assert values(found) == {"tulpar_kz1"}


def test_the_order_of_photos_changes_no_identifier() -> None:
    photos = [
        advert(reading("rabota"), reading("@tulpar_kz1", {2: {"v": 0.5, "u": 0.4}})),
        advert(reading("@tulpar_kz1", {4: {"q": 0.5, "p": 0.4}}), left=200),
        advert(reading("rabot"), reading("@tulpar_kz1", {10: {"7": 0.5, "1": 0.4}}), size=44),
    ]
    found = {tuple(sorted((i.value, i.confidence) for i in read_cluster([photos[n] for n in order]).identifiers))
             for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0))}  # fmt: skip
    assert len(found) == 1


def test_one_advert_alone_keeps_its_identifiers_and_no_advert_is_refused() -> None:
    one = advert(reading("rabota"), reading("@tulpar_kz1"))
    assert read_cluster([one]).identifiers == one.identifiers
    assert read_cluster([advert(), advert()]).identifiers == ()
    with pytest.raises(TagtraceError, match="at least one advert"):
        read_cluster([])


# --- the evaluation ----------------------------------------------------------------------------------------------------------


def truth_of(file: str) -> PhotoTruth:
    quad = geometry.rectangle(20, 40, 218, 70)
    line = LineTruth(text="@tulpar_kz1", canonical="tulpar_kz1", kind="telegram", quad=quad, legible=True, height_px=30.0)
    wall = AdvertTruth(wall_id="W1", shop_id="S1", style="spray", quad=quad, lines=(line,))
    return PhotoTruth(file=file, width=640, height=480, ads=(wall,))


def test_the_measures_tell_alone_from_any_from_together(tmp_path: Path) -> None:
    doubts: list[Doubts] = [
        {2: {"v": 0.5, "u": 0.4}, 5: {"o": 0.5, "a": 0.4}},
        {4: {"q": 0.5, "p": 0.4}, 7: {".": 0.5, "_": 0.4}},
        {},
    ]
    photos = [truth_of(f"{n}.jpg") for n in range(3)]
    analyses = {
        f"{n}.jpg": (Analysis(f"{n}.jpg", "", 640, 480, (advert(reading("@tulpar_kz1", d)),)), None) for n, d in enumerate(doubts)
    }
    walls = sort_looks(photos, analyses)
    rows = measure(walls)
    assert [row.photos for row in rows] == [1, 2, 3]
    assert [row.alone.recall for row in rows] == pytest.approx([1 / 3] * 3)
    assert [row.any.recall for row in rows] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert rows[2].together.recall == 1.0
    assert (rows[1].together.recall or 0) >= 2 / 3
    write(rows, tmp_path)
    assert len(json.loads((tmp_path / "together.json").read_text(encoding="utf-8"))) == 3
    assert table(rows) in (tmp_path / "together.md").read_text(encoding="utf-8")


def test_unsure_identifiers_and_copies_do_not_count() -> None:
    photos = [truth_of(f"{n}.jpg") for n in range(3)]
    shown = advert(reading("@tulpar_kz1"))
    unsure = replace(shown, identifiers=tuple(replace(i, flags=(Flag.UNSURE,)) for i in shown.identifiers))
    walls = sort_looks(photos, {p.file: (Analysis(p.file, "", 640, 480, (unsure,)), 5) for p in photos})
    assert all(not look.found for look in walls[0].looks)
    doubtful = advert(reading("@tulpar_kz1", {2: {"v": 0.5, "u": 0.4}, 3: {"i": 0.5, "l": 0.45}}))
    results = []
    for hashes in ((5, 5, 5), (5, 5 ^ 0xFFFF, 5 ^ 0xFFFF0000)):
        analyses = {p.file: (Analysis(p.file, "", 640, 480, (doubtful,)), h) for p, h in zip(photos, hashes, strict=True)}
        results.append(measure(sort_looks(photos, analyses))[2].together)
    assert (
        results[0]
        == measure(sort_looks(photos, {p.file: (Analysis(p.file, "", 640, 480, (doubtful,)), 5) for p in photos}))[0].together
    )


def test_a_truth_without_repeated_adverts_is_refused() -> None:
    with pytest.raises(TagtraceError, match="nothing to read together"):
        measure(sort_looks([truth_of("a.jpg")], {}, TogetherEvaluation()))
