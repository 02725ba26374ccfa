"""Contacts that reports name and no photo shows: in the queue of the experts, decided by keys like adverts, never opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import service_desk
import service_helpers as helpers
from alembic import command
from fastapi.testclient import TestClient

from tagtrace.contract import IdentifierKind, TagtraceError
from tagtrace.linking.life import ResourceState
from tagtrace.linking.store import Store, checks, queue, queue_rows, resources, reviews, schema, shops
from tagtrace.linking.store.audit import verify_audit
from tagtrace.linking.store.named_reviews import confirm_named, reviews_of_contact, undo_named
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.linking.store.queue import Chosen, next_entries
from tagtrace.linking.store.report_tables import named_as
from tagtrace.linking.store.reviews import Word
from tagtrace.scoring.build import build_engine
from tagtrace.service.access import Role, people
from tagtrace.service.desk.catalogues import catalogue
from tagtrace.service.jobs.reading import ReportReader, score_settings
from tagtrace.service.jobs.worker import Worker

T = IdentifierKind.TELEGRAM
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
HTMX = {"HX-Request": "true"}
HOSTILE = "<script>alert(1)</script> see https://evil.example/x and <a href=//evil.example>this</a>"


class City:
    """A running service: a system that sends reports, an expert at the desk, a worker."""

    def __init__(self, settings: Any, system: TestClient, store: Store) -> None:
        self.settings, self.system, self.store = settings, system, store
        self.expert = self.person("expert")

    def person(self, login: str, *roles: Role) -> TestClient:
        people.add(self.store, login, login.title(), frozenset(roles or {Role.EXPERT}), service_desk.PASSWORD, "tests")
        client = TestClient(self.system.app, raise_server_exceptions=False)
        answer = client.post("/v1/session", json={"login": login, "password": service_desk.PASSWORD})
        client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        return client

    def report(self, *web: str, photos: tuple[bytes, ...] = (), **fields: Any) -> str:
        files = [("photo", (f"{n}.png", data, "image/png")) for n, data in enumerate(photos)]
        answer = self.system.post("/v1/reports", files=files or None, data={"web": list(web), **fields})
        assert answer.status_code == 202, answer.text
        score = score_settings(self.settings)
        reader = ReportReader(build_engine(score), self.settings, self.store, PhotoFiles(self.settings.photos))
        worker = Worker(self.settings, self.store, reader)
        while worker.step():
            pass
        return str(answer.json()["id"])

    def open(self, part: Chosen = Chosen.ALL, actor: str = "person 9") -> list[queue.Entry]:
        with self.store.read() as session:
            return next_entries(session, actor, LONG_AGO, chosen=part, limit=50)

    def names(self) -> set[str]:
        return {entry.wall for entry in self.open() if entry.named}

    def state(self, value: str) -> str:
        with self.store.read() as session:
            return next((str(item.state) for item in resources.list_resources(session) if item.value == value), "")

    def words(self, value: str, kind: IdentifierKind = T) -> list[Word]:
        with self.store.read() as session:
            return [review.word for review in reviews_of_contact(session, (kind, value))]

    def decide(self, value: str, word: str, kind: IdentifierKind = T, **fields: Any) -> Any:
        data = {"advert": named_as(kind, value), "word": word, **fields}
        return self.expert.post("/desk/queue/decide", data=data, headers=HTMX)

    def sound(self) -> None:
        """The queue is what making it anew gives, and the store is as it should be."""
        with self.store.read() as session:
            before = (next_entries(session, "person 9", LONG_AGO, limit=50), queue.count_open(session, "person 9", LONG_AGO))
        self.store.write(queue_rows.fill, "tests")
        with self.store.read() as session:
            assert (
                next_entries(session, "person 9", LONG_AGO, limit=50),
                queue.count_open(session, "person 9", LONG_AGO),
            ) == before
            assert verify_audit(session) is None
        assert [finding.text for finding in checks.check_store(self.store) if not finding.sound] == []


@pytest.fixture
def city(tmp_path: Path, store_url: str) -> Iterator[City]:
    settings = helpers.make_settings(tmp_path, store_url, reader="service_helpers:light_reader", job_backoff_s=0.0)
    with helpers.client_of(settings) as system, Store.open(settings.store) as store:

        def listed(session: Any) -> None:
            shops.create(session, "S1", "Tulpar")
            resources.register(session, [(T, "tulpar_kz1")], "list")
            shops.assign(session, (T, "tulpar_kz1"), "S1", "list")

        store.write(listed, "tests")
        yield City(settings, system, store)


def current(page: str) -> str:
    found = re.search(r'data-advert="([^"]*)"', page)
    assert found is not None
    return found[1]


def test_an_address_that_many_reports_name_is_one_entry_and_decided_once(city: City) -> None:
    for n in range(3):
        city.report("https://t.me/sunkar_shop7", external_id=f"A-{n}")
    city.report("https://t.me/tulpar_kz1", "t.me", external_id="B")
    entries = {entry.wall: entry for entry in city.open(Chosen.NAMED)}
    assert set(entries) == {named_as(T, "sunkar_shop7"), named_as(T, "tulpar_kz1")}, "a shared host needs no decision"
    new = entries[named_as(T, "sunkar_shop7")]
    assert (new.seen, new.new, new.silent, new.cluster) == (3, True, False, "")
    assert [entry.wall for entry in city.open(Chosen.SEEN_OFTEN)] == [new.wall]
    assert city.open()[0].wall == new.wall, "the new shop goes before the listed one"
    assert city.decide("sunkar_shop7", "confirmed+").status_code == 200
    assert (city.state("sunkar_shop7"), city.words("sunkar_shop7")) == ("verified", [Word.CONFIRMED])
    assert city.names() == {named_as(T, "tulpar_kz1")}
    city.report("https://t.me/sunkar_shop7", external_id="C")
    assert named_as(T, "sunkar_shop7") not in city.names(), "nobody reads it again"
    city.sound()


def test_every_word_can_be_said_and_taken_back(city: City) -> None:
    """Rejecting brings the resource to its end, so that the citizen's request closes; taken back, all is as it was."""
    number = city.report("https://t.me/sunkar_shop7")
    name = named_as(T, "sunkar_shop7")
    for word, state in (
        ("confirmed", "identified"),
        ("confirmed+", "verified"),
        ("rejected", "rejected"),
        ("not_advert", "rejected"),
    ):
        assert city.decide("sunkar_shop7", word).status_code == 200
        assert (city.names(), city.state("sunkar_shop7")) == (set(), state)
        back = city.expert.post("/desk/queue/undo", data={}, headers=HTMX)
        assert back.status_code == 200 and current(back.text) == name
        assert (city.names(), city.state("sunkar_shop7")) == ({name}, "identified")
        city.sound()
    assert city.decide("sunkar_shop7", "skipped").status_code == 200
    with city.store.read() as session:
        (mine,) = [person.actor for person in [reviews_of_contact(session, (T, "sunkar_shop7"))[-1]]]
        assert next_entries(session, mine, LONG_AGO) == [] and queue.count_open(session, mine, LONG_AGO)[Chosen.NAMED] == 0
    assert city.names() == {name}, "others see it"
    for word in ("same_as", "another_photo", "undone", "waited"):
        assert city.decide("sunkar_shop7", word, seen=10**6).status_code in (409, 422), word
    assert city.system.get(f"/v1/reports/{number}").json()["contacts"][0]["value"] == "sunkar_shop7"


def test_a_typed_address_is_followed_in_place_of_what_was_sent(city: City) -> None:
    city.report("https://t.me/sunkar_shop77")
    assert city.decide("sunkar_shop77", "corrected", text="nothing").status_code == 409
    assert city.decide("sunkar_shop77", "corrected+", text="@sunkar_shop7").status_code == 200
    assert (city.state("sunkar_shop7"), city.state("sunkar_shop77"), city.names()) == ("verified", "identified", set())
    with city.store.read() as session:
        said = reviews_of_contact(session, (T, "sunkar_shop77"))[-1]
    assert said.details["contacts"] == [["telegram", "sunkar_shop7"]]
    number = city.system.get("/v1/decisions").status_code
    assert number in (200, 403)
    taken = city.expert.post(f"/v1/decisions/{said.id}/undo")
    assert (taken.status_code, taken.json()["verdict"]) == (201, "undone")
    assert (city.state("sunkar_shop7"), city.names()) == ("identified", {named_as(T, "sunkar_shop77")})
    assert city.expert.post(f"/v1/decisions/{said.id}/undo").status_code == 409


def test_what_was_decided_elsewhere_needs_no_second_decision(city: City) -> None:
    """On a wall that shows it, or on the page of the resource; taken back, it is open again."""
    name = helpers.picture(0x0A0B0C)
    value = f"sample_{0x0A0B0C:06d}x"
    city.report(f"https://t.me/{value}")
    city.report(photos=(name,))
    wall = next(entry for entry in city.open() if not entry.named)
    assert city.names() == {named_as(T, value)}
    made = city.store.write(lambda session: reviews.confirm(session, wall.key), "person 7")
    assert city.names() == set()
    city.sound()
    city.store.write(lambda session: reviews.undo(session, made.id), "person 7")
    assert city.names() == {named_as(T, value)}
    city.store.write(lambda session: resources.set_state(session, T, value, ResourceState.VERIFIED), "person 7")
    assert city.names() == set()
    city.sound()


def test_only_who_decided_takes_back_and_nothing_that_no_report_names_is_decided(city: City) -> None:
    city.report("https://t.me/sunkar_shop7")
    made = city.store.write(lambda session: confirm_named(session, (T, "sunkar_shop7")), "person 7")
    with pytest.raises(TagtraceError, match="only who decided"):
        city.store.write(lambda session: undo_named(session, made), "person 8")
    with pytest.raises(TagtraceError, match="no report names it"):
        city.store.write(lambda session: confirm_named(session, (T, "nobody_says")), "person 7")
    assert city.decide("nobody_says", "confirmed").status_code == 404
    again = city.decide("sunkar_shop7", "rejected")
    assert again.status_code == 409, "somebody else decided meanwhile"


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_the_page_shows_words_as_plain_text_and_no_link_leads_out(city: City, language: str) -> None:
    city.report("https://t.me/sunkar_shop7", text=HOSTILE)
    words, name = catalogue(language), named_as(T, "sunkar_shop7")
    for path in (
        "/desk/queue",
        "/desk/queue?part=named",
        f"/desk/queue?advert=%3D{name[1:]}",
        "/desk/resources/telegram/sunkar_shop7",
    ):
        answer = city.expert.get(path, headers={"Accept-Language": language})
        page = answer.text
        assert answer.status_code == 200, page
        assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page
        assert not re.search(r'(?:href|src|action)="(?!/desk|/v1|#)', page), path
        assert words["named.reports"] in page
        if path.startswith("/desk/queue"):
            assert current(page) == name and "https://t.me/sunkar_shop7" in page
            assert words["named.mark"] in page and words["part.named"] in page and "crop.jpg" not in page
            assert {"KeyC", "KeyV", "KeyE", "KeyR", "KeyN", "KeyK", "KeyO"} <= set(re.findall(r'data-key="(\w+)"', page))
            assert not {"KeyS", "KeyP"} & set(re.findall(r'data-key="(\w+)"', page))
    reader = city.person("reader", Role.ANALYST)
    seen = reader.get("/desk/queue", params={"advert": name}, headers={"Accept-Language": language}).text
    assert current(seen) == name and 'data-key="KeyC"' not in seen
    assert reader.post("/desk/queue/decide", data={"advert": name, "word": "confirmed"}).status_code == 403


def test_two_experts_are_not_shown_the_same_address(city: City) -> None:
    city.report("https://t.me/sunkar_shop7")
    city.report("https://t.me/berkut_zone")
    second = city.person("second")
    shown = {current(client.get("/desk/queue").text) for client in (city.expert, second)}
    assert shown == {named_as(T, "sunkar_shop7"), named_as(T, "berkut_zone")}


def test_a_page_without_scripts_goes_on_after_a_decision(city: City) -> None:
    city.report("https://t.me/sunkar_shop7")
    data = {"advert": named_as(T, "sunkar_shop7"), "word": "confirmed"}
    answer = city.expert.post("/desk/queue/decide", data=data, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/queue?done=confirmed")
    assert current(city.expert.get("/desk/queue").text) == ""


def test_an_older_store_gets_its_contacts_into_the_queue_when_it_is_upgraded(city: City) -> None:
    """Those of reports that came in before are shown, too; decided ones are not, and an advert that waits goes on waiting."""
    city.report("https://t.me/sunkar_shop7", "https://t.me/berkut_zone", photos=(helpers.picture(7), helpers.picture(8)))
    city.decide("berkut_zone", "confirmed")
    asked = next(entry for entry in city.open() if not entry.named)
    city.store.write(lambda session: reviews.record(session, asked.key, Word.ANOTHER_PHOTO), "person 7")
    before = city.open()
    assert len(before) == 2
    with city.store.engine.begin() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0015")
    city.store.upgrade()
    assert city.open() == before
    city.sound()
