"""The register in the memory of a process: the same one until shops, names, resources or protected values change."""

from __future__ import annotations

from pathlib import Path

import pytest
import service_helpers as helpers

from tagtrace.contract import IdentifierKind
from tagtrace.linking.life import ResourceState
from tagtrace.linking.store import Store, protection, resources, reviews, shops
from tagtrace.linking.store.audit import register_version
from tagtrace.linking.store.importing import import_shop_list
from tagtrace.service.register import Register

ONE, TWO = (IdentifierKind.TELEGRAM, "sample_000001x"), (IdentifierKind.TELEGRAM, "sample_000002x")


def fill(store: Store) -> None:
    with store.begin("tests") as session:
        shops.create(session, "A")
        shops.create(session, "B", "Second")
        resources.register(session, [ONE, TWO], "test")
        shops.assign(session, ONE, "A", "listed")
        shops.assign(session, TWO, "B", "listed")


def names(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "shops.csv"
    path.write_text(f"shop_id,kind,value,shop_name\n{text}\n", encoding="utf-8")
    return path


def test_a_rename_a_merge_and_other_changes_are_seen(store: Store, tmp_path: Path) -> None:
    fill(store)
    register = Register(store, 0.0)
    last = register.shops()
    assert register.shops() is last, "nothing has changed: nothing is loaded"

    def changed(what: str) -> dict[str, tuple[str, str]]:
        nonlocal last
        now = register.shops()
        assert now is not last, f"{what} was not seen"
        last = now
        return {found.value: (found.shop_id, found.shop_name) for found in now.resources}

    import_shop_list(store, names(tmp_path, "A,telegram,sample_000001x,First"))
    assert changed("a shop that got a name") == {ONE[1]: ("A", "First"), TWO[1]: ("B", "Second")}
    store.write(lambda session: shops.merge(session, "A", "B", "one seller"), "tests")
    assert changed("a merge") == {ONE[1]: ("A", "First"), TWO[1]: ("A", "First")}
    store.write(lambda session: shops.split(session, "A", [TWO], "C", "Third", "two sellers"), "tests")
    assert changed("a split")[TWO[1]] == ("C", "Third")
    store.write(lambda session: resources.set_state(session, *TWO, ResourceState.REJECTED, "no shop"), "tests")
    assert set(changed("a rejected resource")) == {ONE[1]}
    store.write(lambda session: protection.protect(session, "telegram", ONE[1], "published"), "tests")
    assert changed("a protected value") == {}


def test_what_is_only_read_or_noted_loads_nothing(store: Store) -> None:
    fill(store)
    register = Register(store, 0.0)
    before = register.shops()
    store.write(lambda session: resources.register(session, [(IdentifierKind.TELEGRAM, "somebody_new")], "read"), "tests")
    store.write(lambda session: reviews.add_shop_note(session, "A", "a note"), "tests")
    assert register.shops() is before


def test_the_store_is_asked_again_only_after_a_while(store: Store) -> None:
    fill(store)
    register = Register(store, 3600.0)
    before = register.shops()
    store.write(lambda session: shops.merge(session, "A", "B", "one seller"), "tests")
    assert register.shops() is before
    with store.read() as session:
        assert register_version(session) > 0


def test_a_change_that_is_undone_is_none(store: Store) -> None:
    fill(store)
    with store.read() as session:
        before = register_version(session)
    with pytest.raises(RuntimeError), store.begin("tests") as session:
        shops.merge(session, "A", "B", "one seller")
        raise RuntimeError
    with store.read() as session:
        assert register_version(session) == before


def test_analysing_links_to_the_register_as_it_is_now(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = helpers.make_settings(tmp_path, store_url, reader="service_helpers:light_reader", register_refresh_s=0.0)
    with helpers.client_of(settings) as client, Store.open(store_url) as store:
        fill(store)
        loads: list[int] = []
        load = resources.load_register
        monkeypatch.setattr("tagtrace.service.register.load_register", lambda session: loads.append(1) or load(session))

        def shop_of(number: int) -> str:
            answer = client.post("/v1/analyse", files={"photo": ("a.png", helpers.picture(number), "image/png")})
            assert answer.status_code == 200, answer.text
            return str(answer.json()["adverts"][0]["identifiers"][0]["link"]["shop_id"])

        assert [shop_of(2), shop_of(2), shop_of(1)] == ["B", "B", "A"]
        assert len(loads) == 1
        import_shop_list(store, names(tmp_path, "A,telegram,sample_000001x,First"))
        assert (shop_of(1), len(loads)) == ("A", 2)
        store.write(lambda session: shops.merge(session, "A", "B", "one seller"), "tests")
        assert [shop_of(2), shop_of(2)] == ["A", "A"]
        assert len(loads) == 3
