"""Taking shop lists in: every bad row named, good rows kept, all or nothing. All shops are invented."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagtrace.contract import IdentifierKind, TagtraceError
from tagtrace.linking.canonical import canonical_value
from tagtrace.linking.life import ResourceState
from tagtrace.linking.shoplist import BadRow, ListReport, detect_encoding, read_shop_list
from tagtrace.linking.shops import load_shops
from tagtrace.linking.store import Store, audit, importing, protection, resources, shops
from tagtrace.linking.store.importing import import_shop_list

K = IdentifierKind
HEAD = "shop_id,kind,value,shop_name,first_seen,status\n"


def read(path: Path) -> tuple[list[tuple[int, str, str]], dict[int, str]]:
    bad: list[BadRow] = []
    rows = [(row.line, row.shop_id, row.value) for row in read_shop_list(path, bad.append)]
    return rows, {row.line: row.reason for row in bad}


def test_bad_rows_are_named_with_line_and_reason_and_good_ones_kept(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rows = [
        "A,telegram,@Tulpar_KZ1,Тұлпар,2026-01-02,active",
        "A,pigeon,coo,,,",
        "A,phone,not a phone,,,",
        ",telegram,berkut_zone,,,",
        'A,telegram,"berkut_zone,,,',
        "A,telegram",
        "",
        "A,telegram,berkut_zone,a,b,c,d",
        "A,telegram,berkut_zone,,next week,",
        "B,phone,8 749 555-00-01,,02.03.2026,",
        "A,onion,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.onion,,,",
        "B,url,https://t.me/tulpar_kz1,,,",
        "B,telegram,https://t.me/Berkut_Zone,,,",
    ]
    path.write_text(HEAD + "\n".join(rows), encoding="utf-8")
    good, bad = read(path)
    assert good == [(2, "A", "tulpar_kz1"), (11, "B", "+77495550001"), (14, "B", "berkut_zone")]
    assert sorted(bad) == [3, 4, 5, 6, 7, 9, 10, 12, 13]
    for line, word in [(3, "pigeon"), (4, "phone"), (5, "shop_id"), (6, "cells"), (7, "fewer"), (9, "more"), (10, "first_seen")]:
        assert word in bad[line]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators_of_office_programs(encoding: str, separator: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rows = [
        ["Shop_ID", "Kind", "Value", "Shop_name"],
        ["А1", "telegram", "tulpar_kz1", "Тулпар, и сын"],
        ["A2", "vk", "club12", ""],
    ]
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    report = ListReport()
    found = list(read_shop_list(path, report.reject))
    assert [(row.shop_id, row.value, row.shop_name) for row in found] == [
        ("А1", "tulpar_kz1", "Тулпар, и сын"),
        ("A2", "club12", ""),
    ]
    assert report.bad == 0


def test_rows_in_another_encoding_are_understood_or_named(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    utf8 = [f"A,telegram,name_{i}_kz,Қыран\n".encode() for i in range(3)]
    cp1251 = [f"A,telegram,name_{i}_ru,Коршун\n".encode("cp1251") for i in range(3)]
    path.write_bytes(b"shop_id,kind,value,shop_name\n" + b"".join([*utf8, cp1251[0]]))
    assert detect_encoding(path) == "utf-8"
    good, bad = read(path)
    assert len(good) == 3 and list(bad) == [5] and "encoding" in bad[5]
    path.write_bytes(b"shop_id,kind,value,shop_name\n" + b"".join([*cp1251, utf8[0]]))
    assert detect_encoding(path) == "cp1251"
    good, bad = read(path)
    assert len(good) == 4 and not bad


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "missing: shop_id"),
        ("shop,kind,value\nA,vk,club1\n", "missing: shop_id"),
        ("kind,value,shop_id,kind\n", "twice: kind"),
    ],
)
def test_wrong_columns_are_told(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(content)
    with pytest.raises(TagtraceError, match=message):
        read(path)
    with pytest.raises(TagtraceError, match="no such shop list"):
        read(tmp_path / "none.csv")


@given(st.binary(max_size=300))
def test_any_bytes_give_rows_or_a_sentence(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.csv"
        path.write_bytes(b"shop_id,kind,value\n" + data)
        rows, bad = read(path)
        assert len(rows) + len(bad) <= data.count(b"\n") + 1


@given(kind=st.sampled_from(list(K)), text=st.text(max_size=60) | st.from_regex(r"\A@?[a-zA-Z0-9_.+/:-]{1,70}\Z"))
def test_canonical_values_stay_as_they_are(kind: IdentifierKind, text: str) -> None:
    value = canonical_value(kind, text)
    assert value is None or canonical_value(kind, value) == value


def test_the_sample_list_is_canonical_already(root: Path) -> None:
    path = root / "datasets" / "sample" / "registry.csv"
    good, bad = read(path)
    assert not bad and {value for _, _, value in good} == {r.value for r in load_shops(path).resources}


def test_a_list_goes_in_with_its_rejects(store: Store, tmp_path: Path) -> None:
    path, rejects = tmp_path / "list.csv", tmp_path / "rejects.csv"
    with store.begin() as session:
        resources.register(session, [(K.TELEGRAM, "tulpar_kz2")], "read off a wall")
        protection.protect(session, K.TELEGRAM, "city_bot_kz", "letter")
    rows = [
        "A,telegram,tulpar_kz1,Tulpar,2026-01-02,active",
        "A,telegram,tulpar_kz2,,,",
        "B,telegram,tulpar_kz1,Berkut,,",
        "B,telegram,berkut_zone,,,blocked",
        "B,telegram,berkut_zone,,,blocked",
        "B,telegram,sko_narkohelp_bot,,,",
        "B,telegram,city_b0t_kz,,,",
        "B,pigeon,coo,,,",
    ]
    path.write_text(HEAD + "\n".join(rows))
    report = import_shop_list(store, path, rejects, "aigul")
    assert (report.new, report.adopted, report.unchanged, report.new_shops) == (2, 1, 1, 2)
    assert (report.rows.good, report.rows.bad) == (4, 4)
    with rejects.open() as file:
        named = {int(row["line"]): row["reason"] for row in csv.DictReader(file)}
    assert sorted(named) == [4, 7, 8, 9] and "shop 'A'" in named[4] and "protected" in named[7] and "protected" in named[8]
    with store.read() as session:
        found = {record.value: record for record in resources.list_resources(session)}
        assert {value: record.shop_id for value, record in found.items()} == {
            "tulpar_kz1": "A",
            "tulpar_kz2": "A",
            "berkut_zone": "B",
        }
        assert found["berkut_zone"].state is ResourceState.IDENTIFIED and found["berkut_zone"].status == "blocked"
        assert [len(resources.events(session, K.TELEGRAM, value)) for value in found] == [1, 1, 1]
        assert audit.verify_audit(session) is None
    again = import_shop_list(store, path, rejects)
    assert (again.new, again.adopted, again.unchanged, again.new_shops) == (0, 0, 4, 0)


def test_a_crash_half_way_leaves_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, rejects = tmp_path / "list.csv", tmp_path / "rejects.csv"
    path.write_text(HEAD + "".join(f"S{i},telegram,name_{i}_kz,,,\n" for i in range(100)) + "A,pigeon,coo,,,\n")
    monkeypatch.setattr(importing, "_BATCH", 10)
    take, calls = importing._take_batch, []

    def break_down(*args: object) -> None:
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        take(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(importing, "_take_batch", break_down)
    with pytest.raises(KeyboardInterrupt):
        import_shop_list(store, path, rejects)
    with store.read() as session:
        assert not list(resources.list_resources(session)) and not list(shops.list_shops(session))
    assert [name.name for name in tmp_path.glob("rejects*")] == []
    monkeypatch.setattr(importing, "_take_batch", take)
    assert import_shop_list(store, path, rejects).new == 100


def test_what_is_exported_is_imported_again(store: Store, root: Path, tmp_path: Path) -> None:
    source = root / "datasets" / "sample" / "registry.csv"
    report = import_shop_list(store, source)
    assert report.rows.bad == 0 and report.new == len(load_shops(source).resources)
    out = io.StringIO()
    with store.read() as session:
        assert shops.export_shops(session, out) == report.new
    path = tmp_path / "out.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    assert import_shop_list(store, path).unchanged == report.new
    assert {(r.shop_id, r.kind, r.value) for r in load_shops(path).resources} == {
        (r.shop_id, r.kind, r.value) for r in load_shops(source).resources
    }


def test_a_merged_shop_takes_what_is_listed_under_its_old_id(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(HEAD + "A,telegram,tulpar_kz1,,,\nB,telegram,tulpar_kz2,,,\n")
    import_shop_list(store, path)
    with store.begin() as session:
        shops.merge(session, "A", "B", "same stencil")
    path.write_text(HEAD + "B,telegram,tulpar_kz3,,,\nB,telegram,tulpar_kz1,,,\n")
    report = import_shop_list(store, path)
    assert (report.new, report.unchanged, report.rows.bad) == (1, 1, 0)
    with store.read() as session:
        assert {record.shop_id for record in resources.list_resources(session)} == {"A"}
