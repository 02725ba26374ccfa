"""`tagtrace explain`: why a link has its probability, from a store and from a results.jsonl. All contacts are invented."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tagtrace import cli
from tagtrace.contract import Advert, Analysis, ExitCode, Identifier, IdentifierKind, ModelInfo, Placement, Resource
from tagtrace.linking.asked import parse
from tagtrace.linking.shops import LinkSettings, Shops, link, link_advert
from tagtrace.linking.store import Store
from tagtrace.linking.store.analyses import put_analysis
from tagtrace.linking.store.importing import import_shop_list
from tagtrace.linking.waterfall import waterfall_bars, waterfall_json
from tagtrace.scoring.records import AdvertResult, PhotoResult, dump, link_from_json, link_to_json, result_to_json
from tagtrace.scoring.storing import register_of

K = IdentifierKind
QUAD = ((0.0, 0.0), (90.0, 0.0), (90.0, 20.0), (0.0, 20.0))
LIST = "shop_id,kind,value,shop_name\nA,telegram,tulpar_kz1,Tulpar\nA,telegram,tulpar_kz2,\nB,telegram,umitsnow,Umit\n"
DIGESTS = ("ab12cd" + "0" * 58, "ab12ce" + "0" * 58, "fe" * 32)


def analyses() -> list[Analysis]:
    walls = [("walls/one.jpg", "tulpar_kz1", 0.95), ("walls/two.jpg", "um1tsn0w", 0.9), ("three.jpg", "qyran_line", 0.9)]
    made = []
    for (name, value, sure), digest in zip(walls, DIGESTS, strict=True):
        advert = Advert(QUAD, identifiers=(Identifier(K.TELEGRAM, value, f"@{value}", sure),))
        taken = datetime(2026, 3, 1, tzinfo=UTC)
        made.append(Analysis(name, digest, 100, 50, (advert,), None, (ModelInfo("read", "r", "0" * 64),), taken))
    return made


@pytest.fixture
def sources(tmp_path: Path, store_url: str) -> dict[str, list[str]]:
    """The same three photos in a store and in a results.jsonl: the options that name each."""
    path = tmp_path / "shops.csv"
    path.write_text(LIST, "utf-8")
    lines = []
    with Store.open(store_url, upgrade=True) as store:
        import_shop_list(store, path)
        shops = register_of(store)
        for analysis in analyses():
            links = [link_advert(advert, shops) for advert in analysis.adverts]
            with store.begin() as session:
                put_analysis(session, analysis, links)
            adverts = tuple(AdvertResult(a, n, Placement("c", "s")) for a, n in zip(analysis.adverts, links, strict=True))
            lines.append(dump(result_to_json(PhotoResult(analysis, None, adverts), {})))
    (tmp_path / "results.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return {"store": ["--store", store_url], "file": ["--results", str(tmp_path / "results.jsonl")]}


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = ExitCode.OK) -> str:
    assert cli.run(["explain", *arguments]) == code
    streams = capsys.readouterr()
    return streams.out if code == ExitCode.OK else streams.err


@pytest.mark.parametrize("source", ["store", "file"])
def test_a_link_is_explained(
    source: str, sources: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = sources[source]
    (found,) = json.loads(said(capsys, "walls/one.jpg", *where, "--json"))
    assert (found["photo"], found["file"], found["identifier"]["value"]) == (DIGESTS[0], "walls/one.jpg", "tulpar_kz1")
    made = found["link"]
    assert made["outcome"] == "same" and made["resource"]["value"] == "tulpar_kz1" and made["steps"][-1]["name"] == "calibration"
    odds = math.log(made["probability"] / (1 - made["probability"]))
    assert math.fsum(step["nats"] for step in made["steps"]) == pytest.approx(odds, abs=0.01)
    # By the end of its path, by a digest, by what is read and by what it was taken for: the same link.
    for what in ("one.jpg", DIGESTS[0][:6], "@Tulpar_KZ1", "https://t.me/tulpar_kz1", "telegram:tulpar_kz1"):
        assert json.loads(said(capsys, what, *where, "--json")) == [found], what
    (misread,) = json.loads(said(capsys, "@umitsnow", *where, "--json"))
    assert misread["identifier"]["value"] == "um1tsn0w" and misread["link"]["outcome"] == "misread"
    shown = said(capsys, "one.jpg", *where, "--svg", str(tmp_path / "why.svg"))
    assert "telegram tulpar_kz1 in advert 0 of walls/one.jpg" in shown and "calibration" in shown and "█" in shown
    assert f"probability {made['probability']:.3f}, band automatic" in shown
    picture = ElementTree.parse(tmp_path / "why.svg").getroot()
    assert len(picture.findall("{*}svg/{*}g")) == len(made["steps"])


@pytest.mark.parametrize("source", ["store", "file"])
def test_what_is_not_there_is_told(source: str, sources: dict[str, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    where = sources[source]
    assert "KIND:VALUE" in said(capsys, "nowhere.jpg", *where, code=ExitCode.USAGE)
    assert "qyran_line" in said(capsys, "three.jpg", *where)


def test_the_beginning_of_several_digests_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twins = ["abcdef1" + "0" * 57, "abcdef2" + "0" * 57]
    lines = []
    with Store.open(str(tmp_path / "s.db")) as store, store.begin() as session:
        for digest, analysis in zip(twins, analyses(), strict=False):
            changed = Analysis("p.jpg", digest, 100, 50, analysis.adverts, models=analysis.models)
            new = link(changed.adverts[0].identifiers[0], Shops())
            put_analysis(session, changed, [[new]])
            adverts = (AdvertResult(changed.adverts[0], (new,), Placement("c", "s")),)
            lines.append(dump(result_to_json(PhotoResult(changed, None, adverts), {})))
    (tmp_path / "results.jsonl").write_text("\n".join(lines), "utf-8")
    for where in (["--store", str(tmp_path / "s.db")], ["--results", str(tmp_path / "results.jsonl")]):
        assert "give more of it" in said(capsys, "abcdef", *where, code=ExitCode.USAGE)
        assert "no shop is listed" in said(capsys, "abcdef1", *where)
        # Two photos of one name are both shown.
        assert len(json.loads(said(capsys, "p.jpg", *where, "--json"))) == 2


def test_bad_sources_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.jsonl"
    assert "results.jsonl: cannot be read" in said(capsys, "a.jpg", "--results", str(path), code=ExitCode.USAGE)
    path.write_text('{"adverts": []}\n{"no": 1}\n')
    assert "results.jsonl:2: no line of results.jsonl" in said(capsys, "a.jpg", "--results", str(path), code=ExitCode.USAGE)
    assert "no such store" in said(capsys, "a.jpg", "--store", str(tmp_path / "none.db"), code=ExitCode.USAGE)
    assert not (tmp_path / "none.db").exists()


def test_what_a_wall_says_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "x\x1b[31m[bold]y"
    found = link(Identifier(K.QR, name, name, 1.0, codes=(0,)), Shops())
    advert = Advert(QUAD, identifiers=(Identifier(K.QR, name, name, 1.0, codes=(0,)),))
    result = PhotoResult(
        Analysis("q.jpg", "0" * 64, 9, 9, (advert,)), None, (AdvertResult(advert, (found,), Placement("c", "s")),)
    )
    (tmp_path / "r.jsonl").write_text(dump(result_to_json(result, {})), "utf-8")
    shown = said(capsys, "q.jpg", "--results", str(tmp_path / "r.jsonl"))
    assert "\x1b" not in shown and "[bold]" in shown


def test_records_keep_links() -> None:
    found = link(Identifier(K.TELEGRAM, "um1tsn0w", "", 0.9), _shops(), LinkSettings())
    again = link_from_json(json.loads(dump(link_to_json(found))))
    assert link_to_json(again) == link_to_json(found)
    bars = waterfall_bars(found, 20)
    steps = waterfall_json(found)["steps"]
    assert isinstance(steps, list) and len(bars) == len(steps) and max(map(len, bars)) == 20
    assert all(("█" in bar) == (step["nats"] >= 0) for bar, step in zip(bars, steps, strict=True))


def _shops() -> Shops:
    return Shops([Resource(K.TELEGRAM, "umitsnow", "B", "Umit"), Resource(K.TELEGRAM, "tulpar_kz1", "A", "Tulpar")])


def test_a_word_is_all_that_it_may_mean() -> None:
    assert parse("telegram:@Tulpar_KZ1").contacts == ((K.TELEGRAM, "tulpar_kz1"),)
    assert (K.PHONE, "+77015550001") in parse("8 701 555 00 01").contacts
    assert parse("abcdef12").sha256 == "abcdef12" and parse("abc").sha256 == "" and parse("wall.jpg").name == "wall.jpg"
