"""The commands of the store, from a list to an order and back to a list."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import networkx
import pytest
import two_people
from sqlalchemy import text

from tagtrace import cli
from tagtrace.contract import Advert, Analysis, ExitCode, Identifier, IdentifierKind, ModelInfo
from tagtrace.linking.store import Store
from tagtrace.linking.store.analyses import put_analysis

K = IdentifierKind
LIST = """shop_id,kind,value,shop_name,first_seen,status
A,telegram,tulpar_kz1,Tulpar,2026-01-02,active
A,telegram,tulpar_kz2,,,
A,phone,+77495550001,,,
B,telegram,berkut_zone,Berkut,,
"""


@pytest.fixture
def city(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A store with a list in it."""
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    url = str(tmp_path / "city.db")
    assert cli.run(["db", "upgrade", "--store", url]) == ExitCode.OK
    assert cli.run(["shops", "import", str(path), "--store", url, "--by", "aigul"]) == ExitCode.OK
    capsys.readouterr()
    return url


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = ExitCode.OK) -> str:
    assert cli.run(list(arguments)) == code, capsys.readouterr().err
    streams = capsys.readouterr()
    return streams.out if code == ExitCode.OK else streams.out + streams.err


def see(url: str, *walls: list[tuple[K, str]]) -> None:
    """Put adverts with these contacts into the store, one photo each."""
    quad = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
    with Store.open(url) as store, store.begin() as session:
        for number, wall in enumerate(walls):
            advert = Advert(quad, identifiers=tuple(Identifier(kind, value, value, 0.95) for kind, value in wall))
            put_analysis(
                session, Analysis("p.jpg", f"{number:064x}", 10, 10, (advert,), models=(ModelInfo("read", "r", "0" * 64),))
            )


def test_a_list_goes_in_and_comes_out(city: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(said(capsys, "shops", "export", "--store", city).splitlines()[1:]) == [
        "A,phone,+77495550001,Tulpar,,",
        "A,telegram,tulpar_kz1,Tulpar,2026-01-02,active",
        "A,telegram,tulpar_kz2,Tulpar,,",
        "B,telegram,berkut_zone,Berkut,,",
    ]
    out = tmp_path / "out.csv"
    assert "4 resources" in said(capsys, "shops", "export", "--store", city, "--out", str(out))
    assert "unchanged: 4" in said(capsys, "shops", "import", str(out), "--store", city)


def test_bad_rows_are_told_with_code_1(city: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("shop_id,kind,value\nC,pigeon,coo\nC,telegram,tulpar_kz1\nC,telegram,dala_shop\n")
    told = said(capsys, "shops", "import", str(path), "--store", city, code=ExitCode.SOME_FAILED)
    assert f"{path}:2: unknown kind 'pigeon'" in told and f"{path}:3: telegram 'tulpar_kz1' is listed for shop 'A'" in told
    assert "good: 1, bad: 2, new: 1" in told
    path.write_text("shop,what\n1,2\n")
    assert "missing: shop_id" in said(capsys, "shops", "import", str(path), "--store", city, code=ExitCode.USAGE)


def test_shops_are_listed_shown_merged_and_split(city: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(said(capsys, "shops", "list", "--store", city, "--json"))
    assert [(shop["id"], shop["resources"]) for shop in listed] == [("A", 3), ("B", 1)]
    said(capsys, "shops", "merge", "A", "B", "--why", "same phone", "--by", "erlan", "--store", city)
    shown = json.loads(said(capsys, "shops", "show", "B", "--store", city, "--json"))
    assert shown["id"] == "A" and shown["former_ids"] == ["B"] and len(shown["resources"]) == 4
    said(capsys, "shops", "split", "A", "C", "telegram:@Berkut_Zone", "--name", "Berkut", "--why", "two sellers", "--store", city)
    assert "berkut_zone" in said(capsys, "shops", "show", "C", "--store", city)
    assert "reads" not in said(capsys, "shops", "list", "--store", city)


def test_the_way_of_a_resource(city: str, capsys: pytest.CaptureFixture[str]) -> None:
    def step(*words: str, code: int = ExitCode.OK) -> str:
        return said(capsys, "resources", "set", "telegram", "@Tulpar_KZ1", *words, "--by", "erlan", "--store", city, code=code)

    assert "cannot become blocked" in step("blocked", "--basis", "x", code=ExitCode.USAGE)
    step("verified")
    assert "basis" in step("sent", code=ExitCode.USAGE)
    assert "two people" in step("sent", "--basis", "art. 41-1", code=ExitCode.USAGE)
    with Store.open(city) as store:
        two_people.send(store, K.TELEGRAM, "tulpar_kz1", "art. 41-1")
    assert "blocked  by erlan (art. 41-1, order 12/3)" in step("blocked", "--basis", "art. 41-1", "--order", "12/3")
    blocked = json.loads(said(capsys, "resources", "list", "--state", "blocked", "--store", city, "--json"))
    assert [(r["value"], r["shop_id"]) for r in blocked] == [("tulpar_kz1", "A")]
    assert ",blocked" in said(capsys, "shops", "export", "--store", city)


def test_a_list_sends_and_blocks_nothing(city: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What another system sent or blocked is what the list says of it; here two people send it."""
    path = tmp_path / "more.csv"
    path.write_text(
        "shop_id,kind,value,status\nC,telegram,dala_one,sent\nC,telegram,dala_two,Blocked\nC,telegram,dala_three,verified\n"
    )
    said(capsys, "shops", "import", str(path), "--store", city)
    found = json.loads(said(capsys, "resources", "list", "--shop", "C", "--store", city, "--json"))
    assert {r["value"]: (r["state"], r["status"]) for r in found} == {
        "dala_one": ("identified", "sent"),
        "dala_two": ("identified", "Blocked"),
        "dala_three": ("verified", ""),
    }


def test_check_finds_what_is_wrong(city: str, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "resources", "set", "telegram", "tulpar_kz1", "verified", "--store", city)
    assert "WRONG" not in said(capsys, "db", "check", "--store", city)
    with Store.open(city) as store, store.engine.connect() as connection:
        connection.execute(text("UPDATE resources SET state = 'blocked' WHERE value = 'tulpar_kz1'"))
        connection.execute(text("UPDATE audit_head SET hash = 'x'"))
        connection.commit()
    found = json.loads(said(capsys, "db", "check", "--store", city, "--json", code=ExitCode.SOME_FAILED))
    wrong = [f["text"] for f in found if not f["sound"]]
    assert any("state is not that of their last step" in line for line in wrong) and any("taken away" in line for line in wrong)


@pytest.mark.parametrize("command", [("db", "check"), ("shops", "list"), ("resources", "list"), ("shops", "export")])
def test_a_mistyped_store_is_told_and_not_made(
    command: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ctiy.db"
    assert "no such store" in said(capsys, *command, "--store", str(path), code=ExitCode.USAGE)
    assert not path.exists()


def test_the_graph_of_a_shop(city: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    see(
        city,
        [(K.TELEGRAM, "tulpar_kz1"), (K.TELEGRAM, "tulpar_kz9")],
        [(K.TELEGRAM, "tulpar_kz1"), (K.PHONE, "112")],
        [(K.TELEGRAM, "berkut_zone")],
    )
    for suffix in (".svg", ".graphml", ".json"):
        said(capsys, "shops", "show", "A", "--store", city, "--graph", str(tmp_path / f"a{suffix}"))
    graph = networkx.node_link_graph(json.loads((tmp_path / "a.json").read_text()), edges="edges")
    wanted = {"shop A", "telegram tulpar_kz1", "telegram tulpar_kz2", "telegram tulpar_kz9", "phone +77495550001"}
    assert {node for node, data in graph.nodes(data=True) if data["type"] != "cluster"} == wanted
    assert sorted(graph.neighbors("shop A")) == ["phone +77495550001", "telegram tulpar_kz1", "telegram tulpar_kz2"]
    assert graph.degree("telegram tulpar_kz1") == 3 and graph.degree("telegram tulpar_kz9") == 1
    same = networkx.read_graphml(tmp_path / "a.graphml")
    assert set(map(frozenset, same.edges)) == set(map(frozenset, graph.edges))
    picture = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert len(picture.findall(".//{http://www.w3.org/2000/svg}circle")) == len(graph)
    assert "such an ending" in said(capsys, "shops", "show", "A", "--store", city, "--graph", "a.bmp", code=ExitCode.USAGE)


def test_shops_are_proposed_from_what_is_painted_together(city: str, capsys: pytest.CaptureFixture[str]) -> None:
    see(
        city,
        [(K.TELEGRAM, "tulpar_kz1"), (K.TELEGRAM, "tulpar_new")],
        [(K.TELEGRAM, "dala_one"), (K.PHONE, "+77495550009")],
        [(K.TELEGRAM, "alone_kz")],
    )
    found = json.loads(said(capsys, "shops", "propose", "--store", city, "--json"))
    assert [(p["contacts"], p["shop_id"]) for p in found["proposals"]] == [
        ([["phone", "+77495550009"], ["telegram", "dala_one"]], None),
        ([["telegram", "tulpar_new"]], "A"),
    ]
    assert "painted together" in said(capsys, "shops", "propose", "--store", city)
