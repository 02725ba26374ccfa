"""The pages of the review desk over HTTP: what they show, what they allow, what they refuse."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import update

from tagtrace.contract import Advert, Line, Reading
from tagtrace.linking.store import decisions, queue_rows, resources
from tagtrace.linking.store.reviews import Word, reviews_of
from tagtrace.linking.store.tables import DecisionRow, PhotoRow
from tagtrace.service.access import Role
from tagtrace.service.desk import pictures
from tagtrace.service.desk.catalogues import catalogue

_spec = importlib.util.spec_from_file_location("tagtrace_tests_desk_samples", Path(__file__).with_name("desk_samples.py"))
assert _spec is not None and _spec.loader is not None
samples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(samples)

PAGES = (
    "/desk/queue",
    "/desk/map",
    "/desk/register",
    "/desk/shops",
    "/desk/shops/S1",
    "/desk/search?q=tulpar",
    "/desk/statistics",
)
HTMX = {"HX-Request": "true"}


class Running:
    """The desk with its sample; ``names`` are the adverts, the newest wall last."""

    def __init__(self, desk: Any, names: list[str]) -> None:
        self.desk, self.names, self.store = desk, names, desk.store
        self.expert: TestClient = desk.person("expert", Role.EXPERT)

    def decide(self, name: str, word: str, client: TestClient | None = None, **fields: Any) -> Any:
        return (client or self.expert).post("/desk/queue/decide", data={"advert": name, "word": word, **fields}, headers=HTMX)

    def words(self, name: str) -> list[Word]:
        with self.store.read() as session:
            return [review.word for review in reviews_of(session, [(name[:64], 0)])]

    def states(self) -> dict[str, str]:
        with self.store.read() as session:
            return {record.value: str(record.state) for record in resources.list_resources(session)}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with samples.filled_desk(str(tmp_path / "store.db"), tmp_path / "photos") as (desk, names):
        yield Running(desk, names)


def current(page: str) -> str:
    found = re.search(r'data-advert="([^"]*)"', page)
    assert found is not None
    return found[1]


def test_without_a_session_every_page_leads_to_signing_in(running: Running) -> None:
    nobody = running.desk.client()
    for path in (*PAGES, f"/desk/adverts/{running.names[0]}", f"/desk/photos/{running.names[0][:64]}.jpg", "/desk/map.json"):
        answer = nobody.get(path, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/desk/sign-in?next=")
    answer = nobody.post("/desk/queue/undo", headers=HTMX, follow_redirects=False)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/desk/sign-in")
    page = nobody.get("/desk/sign-in", params={"next": "//evil.example/desk"})
    assert 'name="next" value="/desk/queue"' in page.text


def test_pages_allow_no_script_but_their_own_files(running: Running) -> None:
    for path in (*PAGES, f"/desk/adverts/{running.names[0]}", f"/desk/adverts/{running.names[0]}/beside/{running.names[1]}"):
        answer = running.expert.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", answer.text), path
        for asset in re.findall(r'(?:src|href)="(/desk/static/[^"]+)"', answer.text):
            assert running.desk.client().get(asset).status_code == 200
        assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)


def test_what_walls_and_reporters_write_is_escaped(running: Running) -> None:
    page = running.expert.get(f"/desk/adverts/{running.names[3]}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    found = running.expert.get("/desk/search", params={"q": samples.HOSTILE}).text
    assert "<img src=x>" not in found


def test_static_files_stay_in_their_folder(running: Running) -> None:
    nobody = running.desk.client()
    for path in (
        "/desk/static/../pages.py",
        "/desk/static/%2e%2e/pages.py",
        "/desk/static/vendor/README.md",
        "/desk/static/none.js",
    ):
        assert nobody.get(path).status_code == 404
    answer = nobody.get("/desk/static/vendor/htmx.min.js")
    assert "immutable" in answer.headers["cache-control"]


def test_the_queue_goes_on_after_each_decision_and_can_be_undone(running: Running) -> None:
    first = current(running.expert.get("/desk/queue").text)
    assert first in running.names[:2]
    page = running.decide(first, "confirmed")
    assert page.status_code == 200
    assert current(page.text) == running.names[2]
    assert running.words(first) == [Word.CONFIRMED]
    back = running.expert.post("/desk/queue/undo", data={}, headers=HTMX)
    assert current(back.text) == first
    assert running.words(first) == [Word.CONFIRMED, Word.UNDONE]
    assert running.expert.post("/desk/queue/undo", data={}, headers=HTMX).status_code == 409


def test_each_word_closes_an_advert_or_passes_it(running: Running) -> None:
    assert running.decide(running.names[0], "confirmed+").status_code == 200
    assert running.states()["sunkar_shop7"] == "verified"
    running.decide(running.names[2], "not_advert")
    running.decide(running.names[3], "skipped")
    page = running.decide(running.names[4], "another_photo")
    assert current(page.text) == ""
    other = running.desk.person("second", Role.EXPERT)
    assert current(other.get("/desk/queue").text) == running.names[3]


def test_an_advert_that_waited_in_vain_is_in_the_queue_again_and_says_so(running: Running) -> None:
    """Not before its days are over; then in every language, and the history names the machine."""
    waits = running.names[2]
    running.decide(waits, "another_photo")
    assert current(running.expert.get("/desk/queue", params={"part": "doubtful"}).text) == ""

    def age(days: int) -> None:
        def change(session: Any) -> None:
            at = datetime.now(UTC) - timedelta(days=days)
            session.execute(update(DecisionRow).where(DecisionRow.verdict == Word.ANOTHER_PHOTO).values(at=at))
            session.execute(update(PhotoRow).values(received_at=at - timedelta(days=1)))
            queue_rows.fill(session)

        running.store.write(change, "tests")

    days = running.desk.settings.wait_for_photo_days
    age(days - 1)
    assert current(running.expert.get("/desk/queue", params={"part": "doubtful"}).text) == ""
    age(days + 1)
    for language in ("kk", "ru", "en"):
        page = running.expert.get("/desk/queue", params={"part": "doubtful"}, headers={"Accept-Language": language}).text
        assert current(page) == waits
        assert catalogue(language)["queue.back_waited"] in page
    assert running.words(waits) == [Word.ANOTHER_PHOTO, Word.WAITED]
    history = running.expert.get(f"/desk/adverts/{waits}", headers={"Accept-Language": "en"}).text
    assert re.search(r"<strong>no other photo came</strong> <span>machine</span>", history)
    assert running.decide(waits, "waited").status_code == 422, "nobody says that"
    assert running.decide(waits, "confirmed", seen=10**6).status_code == 200
    assert current(running.expert.get("/desk/queue", params={"part": "doubtful"}).text) == ""


def test_a_corrected_text_is_kept_beside_what_was_read(running: Running) -> None:
    preview = running.expert.post("/desk/queue/extract", data={"text": "@tulpar_kz1"})
    assert "tulpar_kz1" in preview.text and "S1" in preview.text
    answer = running.decide(running.names[0], "corrected", text="@tulpar_kz1")
    assert answer.status_code == 200
    with running.store.read() as session:
        (review,) = reviews_of(session, [(running.names[0][:64], 0)])
    assert review.details["texts"] == ["@tulpar_kz1"]
    assert review.details["read"] == ["@sunkar_shop7"]
    assert running.decide(running.names[2], "corrected", text="nothing here").status_code == 409


def test_the_same_advert_joins_the_cluster_and_leaves_it_again(running: Running) -> None:
    listed = running.expert.get("/desk/queue/candidates", params={"advert": running.names[3]})
    assert running.names[4] in listed.text
    assert running.decide(running.names[3], "same_as", other=running.names[4]).status_code == 200
    page = running.expert.get(f"/desk/adverts/{running.names[3]}").text
    assert f"/beside/{running.names[4]}" in page
    running.expert.post("/desk/queue/undo", data={}, headers=HTMX)
    assert running.words(running.names[3]) == [Word.SAME_AS, Word.UNDONE]
    assert running.decide(running.names[3], "same_as", other=running.names[3]).status_code == 409


def test_two_experts_do_not_get_in_each_others_way(running: Running) -> None:
    second = running.desk.person("second", Role.EXPERT)
    mine = current(running.expert.get("/desk/queue").text)
    assert current(second.get("/desk/queue").text) != mine
    running.decide(mine, "confirmed")
    late = running.decide(mine, "rejected", second, seen=0)
    assert late.status_code == 409
    assert late.headers["HX-Retarget"] == "#messages"
    assert running.words(mine) == [Word.CONFIRMED]


def test_only_experts_decide_and_only_from_our_pages(running: Running) -> None:
    analyst = running.desk.person("analyst", Role.ANALYST)
    assert analyst.get("/desk/queue").status_code == 200
    assert running.decide(running.names[0], "confirmed", analyst).status_code == 403
    intake = running.desk.person("intake", Role.INTAKE)
    assert intake.get("/desk/queue").status_code == 403
    forged = running.desk.sign_in("expert")
    del forged.headers["X-CSRF-Token"]
    assert running.decide(running.names[0], "confirmed", forged).status_code == 403
    token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', forged.get("/desk/queue").text)
    assert token is not None
    plain = forged.post(
        "/desk/queue/decide",
        data={"advert": running.names[0], "word": "confirmed", "csrf_token": token[1]},
        follow_redirects=False,
    )
    assert (plain.status_code, plain.headers["location"]) == (303, "/desk/queue?done=confirmed")


def test_wrong_addresses_are_pages_that_say_so(running: Running) -> None:
    for path in ("/desk/adverts/none", f"/desk/adverts/{'0' * 64}-0", "/desk/shops/none", "/desk/resources/telegram/none_at_all"):
        answer = running.expert.get(path)
        assert answer.status_code == 404
        assert "text/html" in answer.headers["content-type"]
    assert running.decide(running.names[0], "undone").status_code == 422
    assert running.expert.get("/desk/queue", params={"part": "nothing"}).status_code == 422


def test_pictures_are_derivatives_without_metadata(running: Running) -> None:
    name = running.names[0]
    for path in (
        f"photos/{name[:64]}.jpg",
        f"adverts/{name}/crop.jpg",
        f"adverts/{name}/small.jpg",
        f"adverts/{name}/lines/0.jpg",
    ):
        answer = running.expert.get(f"/desk/{path}")
        assert answer.status_code == 200
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.format == "JPEG" and not picture.getexif()
    assert running.expert.get(f"/desk/adverts/{name}/lines/9.jpg").status_code == 404
    side = running.expert.get(f"/desk/adverts/{name}/beside/{running.names[1]}/1.jpg")
    assert Image.open(io.BytesIO(side.content)).width > 100


@pytest.mark.parametrize("turns", range(4))
def test_an_advert_is_shown_the_way_it_is_read(turns: int) -> None:
    """A poster that is higher than wide, its lines from left to right: whichever corner its quad begins with."""
    corners = [(0.0, 0.0), (100.0, 0.0), (100.0, 300.0), (0.0, 300.0)]
    quad = tuple(corners[(turns + n) % 4] for n in range(4))
    lines = tuple(
        Line(((5.0, y), (95.0, y + 2), (95.0, y + 22), (5.0, y + 20)), 0.9, Reading("@tulpar_kz1", 0.9)) for y in (10.0, 60.0)
    )
    assert pictures.turned(Advert(quad, lines)) == tuple(corners)  # type: ignore[arg-type]
    assert pictures.turned(Advert(quad)) == quad  # type: ignore[arg-type]


def test_a_photo_that_is_not_kept_is_said_to_be_so(running: Running, tmp_path: Path) -> None:
    name = running.names[2]
    next((tmp_path / "photos").glob(f"*/*/{name[:64]}")).unlink()
    answer = running.expert.get(f"/desk/adverts/{name}/crop.jpg")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert "Это фото здесь не хранится" in answer.text


def test_the_map_has_points_cells_and_hot_spots(running: Running) -> None:
    data = running.expert.get("/desk/map.json").json()
    assert len(data["points"]) == 5
    assert {cell for point in data["points"] for cell in point["cells"]} == set(data["cells"])
    assert {len(point["cells"]) for point in data["points"]} == {3}
    of_shop = running.expert.get("/desk/map.json", params={"shop": "S1"}).json()
    assert len(of_shop["points"]) == 3
    assert "2" in re.findall(r'data-fly="[^"]+"[^>]*>(\d+)<', running.expert.get("/desk/map?days=3650").text)


def test_the_case_file_has_resources_siblings_graph_and_notes(running: Running) -> None:
    page = running.expert.get("/desk/shops/S1").text
    assert "tulpar_kz1" in page and "tulpar_kz2" in page and "Тұлпар" in page
    graph = running.expert.get("/desk/shops/S1/graph.svg")
    assert graph.headers["content-type"].startswith("image/svg+xml") and "tulpar_kz1" in graph.text
    kept = running.expert.post("/desk/shops/S1/notes", data={"note": "Көршісімен бірге <b>қарау</b>"})
    assert kept.status_code == 200
    assert "&lt;b&gt;қарау" in kept.text
    assert running.expert.post("/desk/shops/S1/notes", data={"note": "  "}).status_code == 409


def test_a_resource_goes_its_way_and_blocking_takes_two(running: Running) -> None:
    second = running.desk.person("second", Role.EXPERT)
    step = {"kind": "telegram", "value": "tulpar_kz1"}
    running.expert.post("/desk/resources/step", data={**step, "state": "verified"})
    assert running.states()["tulpar_kz1"] == "verified"
    assert running.expert.post("/desk/resources/step", data={**step, "state": "sent"}).status_code == 409
    proposed = running.expert.post("/desk/resources/step", data={**step, "state": "sent", "basis": "art. 41-1"})
    assert proposed.status_code == 200
    assert running.states()["tulpar_kz1"] == "verified"
    number = re.search(r'action="/desk/proposals/(\d+)"', proposed.text)
    assert number is not None
    assert running.expert.post(f"/desk/proposals/{number[1]}", data={"word": "approve"}).status_code == 409
    assert "tulpar_kz1" in second.get("/desk/register").text
    assert second.post(f"/desk/proposals/{number[1]}", data={"word": "approve"}).status_code == 200
    assert running.states()["tulpar_kz1"] == "sent"


def test_only_verified_resources_are_exported(running: Running) -> None:
    page = running.expert.get("/desk/register").text
    numbers = re.findall(r'name="number" value="(\d+)"', page)
    assert len(numbers) == 3
    assert running.expert.post("/desk/register/export", data={"number": numbers}).status_code == 409
    running.decide(running.names[0], "confirmed+")
    made = running.expert.post("/desk/register/export", data={"number": numbers, "form": "csv"})
    assert "attachment" in made.headers["content-disposition"]
    assert [row["value"] for row in csv.DictReader(io.StringIO(made.text))] == ["sunkar_shop7"]
    for form in ("json", "stix", "misp", "geojson"):
        made = running.expert.post("/desk/register/export", data={"number": numbers, "form": form})
        assert "sunkar_shop7" in json.dumps(made.json()) and "tulpar" not in made.text
    assert running.expert.post("/desk/register/export", data={"number": numbers, "form": "exe"}).status_code == 422


def test_every_page_on_both_databases(store_url: str, tmp_path: Path) -> None:
    """The pages ask the store much: PostgreSQL is stricter than SQLite."""
    with samples.filled_desk(store_url, tmp_path / "photos") as (desk, names):
        running = Running(desk, names)
        for part in ("all", "new", "often", "doubtful", "silent"):
            assert running.expert.get("/desk/queue", params={"part": part}).status_code == 200
        beside = f"/desk/adverts/{names[0]}/beside/{names[1]}"
        candidates = f"/desk/queue/candidates?advert={names[3]}"
        resource = "/desk/resources/telegram/tulpar_kz1"
        for path in (
            *PAGES,
            f"/desk/adverts/{names[0]}",
            beside,
            candidates,
            resource,
            "/desk/map.json?shop=S1",
            "/desk/shops?q=tul",
        ):
            assert running.expert.get(path).status_code == 200, path
        assert running.decide(names[0], "confirmed+").status_code == 200
        assert running.decide(names[3], "same_as", other=names[4]).status_code == 200
        assert running.expert.post("/desk/queue/undo", data={}, headers=HTMX).status_code == 200


@pytest.mark.parametrize("words", ["tulpar_kz1", "@TULPAR", "тulpаr_kz1", "ТULРАR", "тұлпар", "Тұлпар"])
def test_search_knows_look_alikes_and_kazakh_letters(running: Running, words: str) -> None:
    page = running.expert.get("/desk/search", params={"q": words}).text
    assert "/desk/resources/telegram/tulpar_kz1" in page or "/desk/shops/S1" in page


@pytest.mark.parametrize(("code", "words"), [("kk", "Тексеру кезегі"), ("ru", "Очередь на проверку"), ("en", "Review queue")])
def test_every_page_speaks_the_chosen_language(running: Running, code: str, words: str) -> None:
    page = running.expert.get(f"/desk/language/{code}", params={"next": "/desk/queue"})
    assert f'<html lang="{code}">' in page.text and words in page.text
    marks = {"kk": "ЖИ оқыды", "ru": "прочитано ИИ", "en": "read by AI"}
    assert marks[code] in page.text
    assert running.expert.get("/desk/language/xx").status_code == 404


def test_confirming_a_sibling_is_known_to_linking(running: Running) -> None:
    running.decide(running.names[2], "confirmed")
    with running.store.read() as session:
        pairs = list(decisions.confirmed_siblings(session))
    assert [(a[1], b[1]) for a, b in pairs] == [("tulpar_kz1", "tulpar_kz2")]
