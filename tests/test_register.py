"""The generated register: seeded, fictional, distinct, of realistic kinds and rotations; and the misreads drawn from it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import phonenumbers
import pytest
from rapidfuzz.distance import Levenshtein

from tagtrace.contract import Hypothesis, IdentifierKind, Reading, TagtraceError
from tagtrace.datasets.world.names import valid_handle
from tagtrace.datasets.world.register import KIND_SHARES, Register, RegisterSettings, make_register
from tagtrace.linking.candidates import CandidateIndex
from tagtrace.linking.confusions import Confusions, bundled
from tagtrace.linking.stems import stem
from tagtrace.training.benchmark_register import RegisterBenchmarkSettings, benchmark_register, register_report, write_register
from tagtrace.training.confusions import LineRead, contact_shares, count, folded
from tagtrace.training.misreads import DELETED, ERRORS, INSERTED, LOOKALIKE, MEASURED, SEPARATOR, STROKES, SUBSTITUTED, Misreader


@pytest.fixture(scope="module")
def register() -> Register:
    return make_register(12_000, 5)


def test_the_same_seed_gives_the_same_register_and_a_longer_one_begins_with_it(register: Register) -> None:
    again, longer, other = make_register(300, 5), make_register(400, 5), make_register(300, 6)
    assert again.values == register.values[:300] == longer.values[:300]
    assert again.shop_ids == register.shop_ids[:300]
    assert other.values != again.values


def test_values_are_distinct_and_of_the_shares_of_kinds(register: Register) -> None:
    assert len(register) == 12_000
    assert len(set(zip(register.kinds, register.values, strict=True))) == 12_000
    counts = Counter(register.kinds)
    for kind, share in KIND_SHARES.items():
        assert counts[kind] / 12_000 == pytest.approx(share, rel=0.15, abs=0.002), kind


def test_telegram_names_can_be_registered_and_phones_are_of_nobody(register: Register) -> None:
    for kind, value in zip(register.kinds, register.values, strict=True):
        if kind is IdentifierKind.TELEGRAM:
            assert valid_handle(value)
        if kind in (IdentifierKind.PHONE, IdentifierKind.WHATSAPP):
            assert not phonenumbers.is_valid_number(phonenumbers.parse("+" + value.lstrip("+")))


def test_shops_are_small_but_for_a_few_and_rotate_names_around_one_stem() -> None:
    register = make_register(4_000, 2, RegisterSettings(large_share=0.01, generic_share=0.0))
    sizes = Counter(register.shop_ids)
    assert min(sizes.values()) >= 1
    large = [shop for shop, size in sizes.items() if size >= 50]
    assert large
    assert sum(size <= 6 for size in sizes.values()) / len(sizes) > 0.95
    for shop in large:
        own = [r for r in register.resources() if r.shop_id == shop and r.kind is IdentifierKind.TELEGRAM]
        common = Counter(stem(r.kind, r.value).split("_")[0][:4] for r in own)
        assert common.most_common(1)[0][1] >= 0.8 * len(own)


def test_some_stems_are_everybodys() -> None:
    register = make_register(6_000, 4, RegisterSettings(generic_share=0.2, large_share=0.0))
    users: dict[str, set[str]] = {}
    for resource in register.resources():
        users.setdefault(stem(resource.kind, resource.value), set()).add(resource.shop_id)
    assert len(users["shop_kz"]) > 20


# --- misreads -----------------------------------------------------------------------------------------------------------------


def test_misreads_have_the_errors_that_were_asked_for() -> None:
    reader = Misreader(bundled(), random.Random(3))
    for _ in range(20):
        for value in ("tulpar_modern_kz1", "clovvn_dom_04"):
            substituted, deleted, inserted = (reader.read(value, error) for error in (SUBSTITUTED, DELETED, INSERTED))
            assert substituted is not None and deleted is not None and inserted is not None
            assert len(substituted) == len(value) and Levenshtein.distance(substituted, value) == 1
            assert len(deleted) == len(value) - 1 and Levenshtein.distance(deleted, value) == 1
            assert len(inserted) == len(value) + 1 and Levenshtein.distance(inserted, value) == 1
            separator, strokes, alike = (reader.read(value, error) for error in (SEPARATOR, STROKES, LOOKALIKE))
            assert separator is not None and separator.count("_") == value.count("_") - 1
            assert strokes is not None and abs(len(strokes) - len(value)) == 1
            assert alike is not None and Levenshtein.distance(alike, value) == 1
    assert reader.read("zyx", SEPARATOR) is None
    assert reader.read("zyx", STROKES) is None


def test_measured_misreads_follow_the_counts() -> None:
    table = Confusions({"a": 1000, "b": 1000}, {("a", "o"): 500}, {}, {}, shares=(0.1,))
    reader = Misreader(table, random.Random(1))
    reads = Counter(reader.read("aaaaabbbbb", MEASURED) for _ in range(400))
    right = sum(count for read, count in reads.items() if read is not None and read.count("o") == 1 and len(read) == 10)
    assert right > 340


def test_confusions_are_counted_in_folded_characters() -> None:
    table = count([("@Tulpar_KZ1", "@tulpаr_kz1"), ("rnoon", "moon"), ("kz10", "kz1"), ("oasis", "oosis"), ("shop", "qqqqqqq")])
    assert table.lines == 4  # the last is no misread but another text
    assert table.merged == {("rn", "m"): 1}
    assert table.deleted == {"0": 1}
    assert table.substituted == {("a", "o"): 1}
    assert table.seen["a"] == 2
    assert len(table.shares) == 3
    assert folded("@Оasis KZ, Ф1") == "@oasiskz??1"


def test_shares_are_of_contacts_as_extracted() -> None:
    def line(painted: str, read: str) -> LineRead:
        return LineRead(painted, Reading(read, 0.95, (Hypothesis(read, -0.05),)))

    lines = [line("@tulpar_kz1", "@tulpar_kz7"), line("@oasis_kz", "@oasis_kz"), line("@sapar_bot", "+7 703 123 45 67")]
    assert contact_shares(lines) == (pytest.approx(0.1),)


# --- what the index is for ------------------------------------------------------------------------------------------------------


def test_misreads_as_measured_are_found_again(register: Register) -> None:
    index = CandidateIndex.build(register.kinds, register.values)
    draw = random.Random(9)
    reader = Misreader(bundled(), draw)
    for error in ERRORS:
        hits = tried = 0
        while tried < 40:
            row = draw.randrange(len(register))
            read = reader.read(register.values[row], error)
            if read:
                hits, tried = hits + (row in index.find(register.kinds[row], [read])), tried + 1
        assert hits >= (35 if error == MEASURED else 39), error


def test_the_benchmark_measures_three_sizes_and_writes_what_it_says(tmp_path: Path) -> None:
    settings = RegisterBenchmarkSettings(size=2_000, lookups=30, lookups_per_error=5, warm_up=2)
    results = benchmark_register(settings)
    assert [result.size for result in results] == [20, 200, 2_000]
    assert all(0 < result.times.p50_ms <= result.times.p99_ms <= result.times.max_ms for result in results)
    assert results[2].index_mb > results[0].index_mb > 0
    assert {part.name: part.lookups for part in results[2].by_error} == {
        error: 30 if error == MEASURED else 5 for error in ERRORS
    }
    text = register_report(results, settings)
    write_register(results, settings, text, tmp_path)
    assert (tmp_path / "register.md").read_text(encoding="utf-8") == text
    assert "2000" in text
    with pytest.raises(TagtraceError, match="--size"):
        benchmark_register(RegisterBenchmarkSettings(size=10))
