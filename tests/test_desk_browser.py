"""The desk in a real Chromium: every task by keyboard, no error on the console, nothing serious for axe."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import desk_samples as samples
import pytest
import uvicorn

from tagtrace.linking.store import Store
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.linking.store.reviews import Word, reviews_of
from tagtrace.service.access import Role, people
from tagtrace.service.run import server_config
from tagtrace.service.settings import load_settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking"]
AXE = Path(__file__).with_name("vendor") / "axe.min.js"
LOCALES = {"kk": "kk-KZ", "ru": "ru-RU", "en": "en-GB"}
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; `make test` installs it on Debian as root")


class Browsing:
    """A signed-in page, and what went wrong on it."""

    def __init__(self, page: Any, base: str, store: Store, names: list[str]) -> None:
        self.page, self.base, self.store, self.names = page, base, store, names
        self.wrong: list[str] = []
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda asked: self.wrong.append(asked.url) if not asked.url.startswith((base, "data:")) else None)
        page.on("response", lambda told: self.wrong.append(f"{told.status} {told.url}") if told.status >= 400 else None)

    def open(self, path: str) -> None:
        self.page.goto(self.base + path)
        self.page.wait_for_load_state("networkidle")

    def current(self) -> str:
        return str(self.page.get_attribute("#item", "data-advert"))

    def press(self, key: str) -> None:
        """A key that brings the next advert."""
        before = self.current()
        self.page.keyboard.press(key)
        self.page.wait_for_function("before => document.getElementById('item').dataset.advert !== before", arg=before)
        self.page.wait_for_function("() => !document.querySelector('.is-busy, .htmx-request, .htmx-swapping')")

    def words(self, name: str) -> list[Word]:
        with self.store.read() as session:
            return [review.word for review in reviews_of(session, [(name[:64], 0)])]

    def check(self) -> None:
        """Nothing serious for a screen reader, and no sideways scrolling."""
        self.page.evaluate(AXE.read_text(encoding="utf-8") + ";0")
        found = self.page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        serious = [
            (item["id"], [node["target"] for node in item["nodes"]])
            for item in found
            if item["impact"] in ("serious", "critical")
        ]
        assert not serious, self.page.url
        width, seen = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= seen, f"{self.page.url} is {width} px wide in {seen}"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, Store, list[str]]]:
    """The application on a free port, with the sample in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = str(folder / "store.db")
    settings = load_settings(
        environment="development", store=url, photos=str(folder / "photos"), port=port, workers=0,
        public_url=f"http://127.0.0.1:{port}",
    )  # fmt: skip
    with Store.open(url, upgrade=True) as store:
        names = samples.fill(store, PhotoFiles(folder / "photos"))
        people.add(store, "expert", "Айгүл", frozenset({Role.EXPERT}), samples.service_desk.PASSWORD, "tests")
        roles = frozenset({Role.ADMINISTRATOR})
        people.add(store, "admin", "Әсем", roles, samples.service_desk.PASSWORD, "tests")
        server = uvicorn.Server(server_config(settings))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        end = time.monotonic() + 60
        while not server.started and time.monotonic() < end:
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{port}", store, names
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture
def browsing(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Browsing]]:
    """``browsing("kk", width=360)`` gives a signed-in page."""
    with serving(tmp_path) as (base, store, names), contextlib.ExitStack() as stack:

        def start(
            language: str,
            width: int = 1366,
            height: int = 850,
            scheme: str = "light",
            login: str = "expert",
            scripts: bool = True,
        ) -> Browsing:
            context = chromium.new_context(
                locale=LOCALES[language],
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                java_script_enabled=scripts,
            )
            stack.callback(context.close)
            context.set_default_timeout(60_000)
            made = Browsing(context.new_page(), base, store, names)
            made.open("/desk/queue")
            if scripts:
                made.check()
            made.page.fill("#login", login)
            made.page.fill("#password", samples.service_desk.PASSWORD)
            made.page.keyboard.press("Enter")
            made.page.wait_for_selector("#item")
            made.page.wait_for_load_state("networkidle")
            return made

        yield start


def test_an_advert_is_corrected_and_taken_back_by_keys(browsing: Callable[..., Browsing]) -> None:
    """The short one: sign in, correct a doubtful character by one key, confirm, undo."""
    desk = browsing("kk")
    first = desk.current()
    assert first in desk.names[:2]
    desk.page.keyboard.press("e")
    field = desk.page.locator("input.edit").first
    assert field.evaluate("e => e.value.slice(e.selectionStart, e.selectionEnd)") == "7"
    desk.page.keyboard.press("ArrowDown")
    assert field.input_value() == "@sunkar_shopZ"
    desk.page.wait_for_selector("#extracted code:text('sunkar_shopz')")
    desk.check()
    desk.press("Enter")
    assert desk.words(first) == [Word.CORRECTED]
    desk.press("z")
    assert desk.current() == first
    assert desk.words(first) == [Word.CORRECTED, Word.UNDONE]
    assert desk.page.inner_text("#messages").startswith("Қайтарылды")
    desk.check()
    assert not desk.wrong


def test_the_desk_is_worked_without_scripts(browsing: Callable[..., Browsing]) -> None:
    desk = browsing("ru", scripts=False)
    page, first = desk.page, desk.current()
    assert not page.locator("[data-edit]").is_visible()
    page.locator("input.edit").first.fill("@tulpar_kz1")
    page.locator("[data-save]").click()
    assert desk.words(first) == [Word.CORRECTED]
    assert page.inner_text(".queue .message").startswith("Исправлено")
    page.locator("form[action='/desk/queue/undo'] button").click()
    assert desk.current() == first
    page.locator("button[value='confirmed']").click()
    assert desk.words(first)[-1] is Word.CONFIRMED
    second = desk.current()
    page.locator("a[data-key='KeyS']").click()
    page.locator("button[name='other']").first.click()
    assert desk.words(second) == [Word.SAME_AS]
    desk.open("/desk/people")
    assert page.inner_text("h1") == "Нет доступа"
    page.locator("#sign-out").click()
    assert page.url.endswith("/desk/sign-in")
    assert [text for text in desk.wrong if "403" not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("language", list(LOCALES))
def test_people_and_keys_are_managed_by_keyboard(browsing: Callable[..., Browsing], language: str) -> None:
    desk = browsing(language, 360, 740, "dark", login="admin")
    desk.open("/desk/people")
    page = desk.page
    page.focus("#login")
    page.keyboard.type("dana")
    page.locator(".stack input[value='expert']").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_selector("code.secret")
    desk.check()
    password = page.inner_text("code.secret")
    page.locator("#person-3 summary").focus()
    page.keyboard.press("Enter")
    page.locator("#person-3 button[value='lock']").focus()
    desk.check()
    page.keyboard.press("Enter")
    page.wait_for_selector("#person-3 .s-blocked")
    assert password not in page.content()
    desk.open("/desk/keys")
    for name in ("name", "owner"):
        page.focus(f"#{name}")
        page.keyboard.type("city")
    page.locator("input[value='reports:read']").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_selector("code.secret")
    desk.check()
    page.locator("form[action$='/revoke'] button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".list")
    assert page.locator("form[action$='/revoke']").count() == 0
    desk.open("/desk/password")
    desk.check()
    assert not desk.wrong


@pytest.mark.slow
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_no_english_of_the_program_is_on_a_page(browsing: Callable[..., Browsing], language: str) -> None:
    """What linking and the store say in English is said in the language of the page; names, contacts and numbers stay."""
    desk = browsing(language)
    for path in (
        f"adverts/{desk.names[2]}",
        f"adverts/{desk.names[1]}",
        "resources/telegram/tulpar_kz1",
        "shops/S1",
        "adverts/x",
    ):
        desk.open(f"/desk/{path}")
        shown = desk.page.inner_text("main")
        for known in ("tulpar_kz1", "tulpar_kz2", "sunkar_shop7", "tests list"):  # the last is who listed it, and why
            shown = shown.replace(known, "")
        found = re.findall(r"[A-Za-z]{3,} [A-Za-z]{2,} ?[A-Za-z]*", shown)
        assert not found, f"{path}: {found}"


@pytest.mark.slow
@pytest.mark.parametrize("language", list(LOCALES))
def test_every_task_of_the_queue_by_keyboard(browsing: Callable[..., Browsing], language: str) -> None:
    desk = browsing(language)
    assert desk.page.get_attribute("html", "lang") == language
    desk.page.keyboard.press("Shift+Slash")
    assert desk.page.locator("#help").is_visible()
    desk.check()
    desk.page.keyboard.press("Escape")
    order = []
    for key in ("v", "n"):
        order.append(desk.current())
        desk.press(key)
    assert [desk.words(name) for name in order] == [[Word.CONFIRMED], [Word.NOT_ADVERT]]
    third = desk.current()
    desk.page.keyboard.press("s")
    desk.page.wait_for_selector("#candidates button")
    desk.check()
    desk.press("1")
    assert desk.words(third) == [Word.SAME_AS]
    desk.press("z")
    assert desk.current() == third
    desk.press("k")
    last = desk.current()
    desk.press("p")
    assert desk.words(last) == [Word.ANOTHER_PHOTO]
    assert desk.current() == ""
    desk.check()
    desk.page.keyboard.press("z")
    desk.page.wait_for_function("name => document.getElementById('item').dataset.advert === name", arg=last)
    desk.press("r")
    assert desk.words(last) == [Word.ANOTHER_PHOTO, Word.UNDONE, Word.REJECTED]
    desk.page.keyboard.press("/")
    desk.page.keyboard.type("тулпар")
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_url("**/desk/search*")
    desk.page.wait_for_load_state("networkidle")
    desk.check()
    assert not desk.wrong


@pytest.mark.slow
@pytest.mark.parametrize("language", list(LOCALES))
@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(1366, 850, "light"), (1366, 850, "dark"), (360, 740, "light"), (3840, 2160, "dark")]
)
def test_every_page_at_every_size(
    browsing: Callable[..., Browsing], tmp_path: Path, language: str, width: int, height: int, scheme: str
) -> None:
    desk = browsing(language, width, height, scheme)
    name, other = desk.names[0], desk.names[1]
    for page in (
        "queue", f"adverts/{name}", f"adverts/{name}/beside/{other}", "map?days=3650", "shops", "shops/S1", "register",
        "resources/telegram/tulpar_kz1", "search?q=tulpar", "statistics",
    ):  # fmt: skip
        desk.open(f"/desk/{page}")
        desk.check()
        picture = desk.page.screenshot(path=tmp_path / "page.png")
        assert len(picture) > 5000
    assert not desk.wrong


@pytest.mark.slow
def test_the_map_follows_its_sliders(browsing: Callable[..., Browsing]) -> None:
    desk = browsing("ru")
    desk.open("/desk/map?days=3650")
    assert desk.page.inner_text("#shown").endswith(" 5")
    desk.page.focus("#to")
    desk.page.keyboard.press("Home")
    assert desk.page.inner_text("#shown").endswith(" 1")
    desk.page.locator("[data-fly]").first.click()
    desk.page.locator("#sign-out").click()
    desk.page.wait_for_url("**/desk/sign-in")
    desk.open("/desk/queue")
    assert desk.page.url.split("?")[0].endswith("/desk/sign-in")
    assert not desk.wrong
