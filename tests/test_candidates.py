"""The candidate index: against comparing with every listed value, and that growing it changes nothing."""

from __future__ import annotations

import random
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from tagtrace.contract import BrokenInstallationError, IdentifierKind, Resource, TagtraceError
from tagtrace.datasets.world.register import make_register
from tagtrace.inference.identifiers.fold import skeleton
from tagtrace.linking.candidates import CandidateIndex, IndexSettings
from tagtrace.linking.confusions import CODES, Confusions, bundled, costs, encode, read_confusions, toml_text
from tagtrace.linking.opticals import Packed, deletion_hashes, far_hashes, gram_hashes, near_hashes, optical, pack, whole_hashes
from tagtrace.linking.postings import MOST_ROWS, Postings
from tagtrace.linking.ranking import RankSettings, bundled_costs, edit_costs
from tagtrace.linking.register import Shops

TG = IdentifierKind.TELEGRAM
names = st.text(alphabet="abclnmdrwv017_oist", min_size=3, max_size=14)
KEEP_ALL = IndexSettings(rank=RankSettings(farthest_edits=99))


def shapes_of(value: str) -> bytes:
    return optical(pack([value])).data.tobytes()


def row(data: bytes) -> Packed:
    return Packed(np.frombuffer(data, np.uint8), np.array([0, len(data)]))


def index_of(values: list[str], settings: IndexSettings | None = None) -> CandidateIndex:
    return CandidateIndex.build([TG] * len(values), values, settings)


# --- skeletons and hashes ---------------------------------------------------------------------------------------------------


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_looks_alike_has_one_optical_skeleton(a: str, b: str) -> None:
    if skeleton(a) == skeleton(b):
        assert shapes_of(a) == shapes_of(b)


@pytest.mark.parametrize(
    ("painted", "read"),
    [
        ("tulpar_kz1", "TU1PAR-KZl"),
        ("rnodern", "modem"),
        ("vvolna", "wolna"),
        ("cloud", "doud"),
        ("b0t5", "8ots"),
        ("zima2", "2imaz"),
    ],
)
def test_confusions_of_strokes_and_shapes_leave_the_skeleton_as_it_is(painted: str, read: str) -> None:
    assert shapes_of(painted) == shapes_of(read)


@given(st.lists(st.text(max_size=12), max_size=6))
def test_packing_many_equals_packing_each(values: list[str]) -> None:
    many = pack(values)
    assert [many.piece(i).tobytes() for i in range(len(values))] == [encode(value).tobytes() for value in values]


@given(st.binary(min_size=1, max_size=12).map(lambda b: bytes(1 + x % 17 for x in b)))
def test_hashes_of_changed_skeletons_are_those_of_the_changed_text(data: bytes) -> None:
    def plain(changed: bytes) -> int:
        return int(whole_hashes(row(changed))[0])

    one_out = {data[:i] + data[i + 1 :] for i in range(len(data))}
    assert {int(h) for h in near_hashes(np.frombuffer(data, np.uint8))} == {plain(data)} | {plain(t) for t in one_out}
    assert {int(h) for h in deletion_hashes(row(data), 99)[0]} == {plain(t) for t in one_out}
    some = bytes([1, 9, 17])
    changed = {t[:i] + bytes([s]) + t[i + 1 :] for t in (data, *one_out) for i in range(len(t)) for s in some}
    added = {data[:i] + bytes([s]) + data[i:] for i in range(len(data) + 1) for s in some}
    twice = {t[:i] + t[i + 1 :] for t in one_out for i in range(len(t))}
    assert {plain(t) for t in changed | added | twice} <= {int(h) for h in far_hashes(np.frombuffer(data, np.uint8))}


def test_grams_are_the_runs_of_each_sequence_and_never_cross_into_the_next() -> None:
    two = optical(pack(["tulpar", "kzbot"]))
    hashes, rows = gram_hashes(two, 4)
    expected = [
        (int(whole_hashes(row(text[i : i + 4]))[0]), number)
        for number, text in enumerate(two.piece(i).tobytes() for i in range(2))
        for i in range(len(text) - 3)
    ]
    assert list(zip(hashes.tolist(), rows.tolist(), strict=True)) == expected


# --- look-up against comparing with everything ------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(names, min_size=1, max_size=40, unique=True), names)
def test_everything_within_two_edits_of_the_skeleton_is_found(values: list[str], read: str) -> None:
    found = index_of(values, KEEP_ALL).find(TG, [read], limit=1000)
    near = {
        i
        for i, value in enumerate(values)
        if Levenshtein.distance(shapes_of(value), shapes_of(read)) <= 2 and len(shapes_of(read)) <= KEEP_ALL.far_up_to
    }
    assert near <= set(found)


@settings(max_examples=40, deadline=None)
@given(st.lists(names, min_size=1, max_size=30, unique=True), st.lists(names, min_size=1, max_size=4, unique=True))
def test_everything_within_one_edit_of_any_value_read_is_found(values: list[str], read: list[str]) -> None:
    found = index_of(values, KEEP_ALL).find(TG, read, limit=1000)
    near = {
        i
        for i, v in enumerate(values)
        if any(Levenshtein.distance(shapes_of(v), shapes_of(r), score_cutoff=1) <= 1 for r in read)
    }
    assert near <= set(found)


def test_the_equal_value_comes_first_and_the_likelier_confusion_before_the_other() -> None:
    values = ["tulpar_kz2", "tulpar_kz1", "tulpar_kzl", "tulpar_kzx"]
    assert index_of(values).find(TG, ["tulpar_kzl"])[:2] == [2, 1]
    assert index_of(values).find(TG, ["tulpar_kz1"])[0] == 1


def test_kinds_do_not_mix_but_a_number_is_one_for_calls_and_whatsapp() -> None:
    kinds = [IdentifierKind.TELEGRAM, IdentifierKind.THREEMA, IdentifierKind.PHONE, IdentifierKind.WHATSAPP]
    index = CandidateIndex.build(kinds, ["abcdefgh", "ABCDEFGH", "+77031234567", "+77031234568"])
    assert index.find(IdentifierKind.THREEMA, ["ABCDEF6H"]) == [1]
    assert set(index.find(IdentifierKind.PHONE, ["+77037234567"])) == {2, 3}


def test_long_values_are_found_after_many_misreads() -> None:
    register = make_register(20_000, 3)
    onions = [v for k, v in zip(register.kinds, register.values, strict=True) if k is IdentifierKind.ONION]
    index = CandidateIndex.build([IdentifierKind.ONION] * len(onions), onions)
    draw = random.Random(1)
    for number in range(40):
        chars = list(onions[number])
        for at in draw.sample(range(56), 5):
            chars[at] = draw.choice(string.ascii_lowercase)
        assert number in index.find(IdentifierKind.ONION, ["".join(chars)])[:3]


def test_siblings_are_among_the_candidates_whatever_their_ending() -> None:
    values = ["burkit_sapar_kz_1", "burkit_sapar_kz_almaty_reserve_bot", "burkit-sapar-kz.store"]
    index = CandidateIndex.build([TG, TG, IdentifierKind.URL], values)
    assert set(index.find(TG, ["burkit_sapar_kz77"])) == {0, 1, 2}
    assert index.find(TG, ["burkit_sapar_kz77"])[0] == 0


def test_thousands_of_one_generic_stem_do_not_crowd_out_what_is_nearer() -> None:
    values = [f"shop_kz_{n}" for n in range(4000)] + ["sh0p_kx_2345"]
    found = index_of(values).find(TG, ["shop_kx_2345"], limit=20)
    assert len(found) == 20
    assert found[0] == 4000
    assert 2345 in found[:3]


def test_siblings_never_take_the_places_of_nearer_ones_when_few_are_asked_for() -> None:
    values = [
        f"burkit_sapar_{ending}"
        for ending in ("1", "almaty_new_reserve", "shym_official_bot", "astana_77777", "reserve_info_bot")
    ]
    for limit in range(1, 6):
        found = index_of(values).find(TG, ["burkit_sapar_7"], limit=limit)
        assert len(found) == limit
        assert found[0] == 0


def test_limit_and_empty_registers() -> None:
    assert CandidateIndex.build([], []).find(TG, ["tulpar"]) == []
    index = index_of(["tulpar_kz1", "tulpar_kz2", "tulpar_kz3"])
    assert len(index.find(TG, ["tulpar_kz"], limit=2)) == 2
    assert index.find(TG, []) == []
    assert index.find(TG, ["tulpar_kz"], limit=0) == []
    with pytest.raises(TagtraceError, match="one kind per value"):
        CandidateIndex.build([TG], ["a", "b"])


# --- growing ------------------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(names, min_size=2, max_size=40, unique=True), st.data())
def test_the_order_of_building_does_not_change_what_is_found(values: list[str], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(values))))
    read = data.draw(names)
    found = [values[i] for i in index_of(values).find(TG, [read])]
    again = [values[order[i]] for i in index_of([values[i] for i in order]).find(TG, [read])]
    assert found == again


@settings(max_examples=40, deadline=None)
@given(st.lists(names, min_size=1, max_size=60, unique=True), st.lists(st.integers(1, 20), max_size=6), names)
def test_adding_equals_building_of_all(values: list[str], steps: list[int], read: str) -> None:
    index, done = CandidateIndex.build([], []), 0
    for step in [*steps, len(values)]:
        more = values[done : done + step]
        index, done = index.with_added([TG] * len(more), more), done + len(more)
    assert len(index) == len(values)
    assert index.find(TG, [read]) == index_of(values).find(TG, [read])


def test_parts_stay_few_and_the_first_index_unchanged() -> None:
    index = first = index_of(["tulpar_kz0"])
    for number in range(1, 300):
        index = index.with_added([TG], [f"tulpar_kz{number}"])
    assert len(index.parts) <= 4
    assert len(first) == 1
    assert index.find(TG, ["tulpar_kz257"])[0] == 257
    assert first.find(TG, ["tulpar_kz257"]) == [0]


def test_removed_rows_are_found_no_more_also_after_adding() -> None:
    index = index_of(["tulpar_kz1", "tulpar_kz2", "tulpar_kz3"]).without([1])
    assert set(index.find(TG, ["tulpar_kz2"])) == {0, 2}
    grown = index.with_added([TG], ["tulpar_kz4"])
    assert set(grown.find(TG, ["tulpar_kz2"])) == {0, 2, 3}
    assert set(grown.without([3]).find(TG, ["tulpar_kz2"])) == {0, 2}


def test_more_rows_than_fit_are_refused() -> None:
    with pytest.raises(TagtraceError, match="one index per kind"):
        Postings.build([(np.zeros(1, np.uint64), np.array([MOST_ROWS]))], bucketed=True)


def test_shops_give_the_resources_near_a_reading() -> None:
    resources = [Resource(TG, "tulpar_kz1", "A"), Resource(TG, "tulpar_kz2", "A"), Resource(TG, "oasis38_bot", "B")]
    found = Shops(resources).candidates(TG, ("tulpat_kz1",))
    assert [r.value for r in found] == ["tulpar_kz1", "tulpar_kz2"]


# --- costs --------------------------------------------------------------------------------------------------------------------


def plain_cost(painted: str, read: str) -> float:
    table = bundled_costs()
    a, b = encode(painted), encode(read)
    best = np.zeros((len(a) + 1, len(b) + 1))
    for i in range(len(a) + 1):
        for j in range(len(b) + 1):
            if i or j:
                best[i, j] = min(
                    *([best[i - 1, j] + table.delete[a[i - 1]]] if i else []),
                    *([best[i, j - 1] + table.insert[b[j - 1]]] if j else []),
                    *([best[i - 1, j - 1] + table.substitute[a[i - 1], b[j - 1]]] if i and j else []),
                    np.inf,
                    np.inf,
                )
    return float(best[-1, -1])


@settings(max_examples=60, deadline=None)
@given(st.lists(names, min_size=1, max_size=5), st.lists(names, min_size=1, max_size=3), st.data())
def test_costs_of_many_equal_those_of_the_plain_table(painted: list[str], read: list[str], data: st.DataObject) -> None:
    which = np.array([data.draw(st.integers(0, len(read) - 1)) for _ in painted])
    listed = pack(painted)
    width = int(listed.lengths.max())
    found = edit_costs(pack(read), which, listed.matrix(np.arange(len(painted)), width), listed.lengths)
    assert found == pytest.approx([plain_cost(p, read[w]) for p, w in zip(painted, which, strict=True)], abs=1e-3)


def test_counted_confusions_cost_less_and_nothing_costs_less_than_nothing() -> None:
    table = costs(bundled())
    assert table.substitute.shape == (CODES, CODES)
    assert min(array.min() for array in (table.substitute, table.delete, table.insert)) >= 0
    o, zero, x = encode("o0x")
    assert table.substitute[zero, o] < table.substitute[x, o]


def test_the_table_of_confusions_can_be_read_back_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "confusions.toml"
    table = Confusions(
        {"a": 7, "@": 2}, {("a", "o"): 3}, {"a": 1}, {".": 2}, {("rn", "m"): 1}, {("m", "rn"): 1}, (0.1, 0.25), 9, "ab"
    )
    path.write_text(toml_text(table), encoding="utf-8")
    again = read_confusions(path)
    assert toml_text(again) == toml_text(table)
    assert again.substituted == table.substituted
    path.write_text("lines = 3", encoding="utf-8")
    with pytest.raises(BrokenInstallationError, match="train confusions"):
        read_confusions(path)
