"""A contact that reports name, decided by keys in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_desk_browser import CHROMIUM, LOCALES, Browsing, browsing, chromium

from tagtrace.contract import IdentifierKind
from tagtrace.linking.store import Store, reports
from tagtrace.linking.store.named_reviews import reviews_of_contact
from tagtrace.linking.store.report_tables import named_as
from tagtrace.linking.store.reviews import Word
from tagtrace.service.desk.catalogues import catalogue

__all__ = ["browsing", "chromium"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; `make test` installs it on Debian as root")
T = IdentifierKind.TELEGRAM


def name_in_report(store: Store, value: str, text: str) -> str:
    """A report that names a contact, as a worker leaves it; its name in the queue."""
    content = {"kind": "telegram", "value": value, "raw": f"https://t.me/{value}", "confidence": 1.0, "alternatives": []}
    link = {"outcome": "new", "probability": 0.9, "band": "none", "shop_id": None, "shop_name": "", "kind": None, "value": None}
    whole = {**content, "flags": [], "link": {**link, "reasons": [], "evidence": []}}

    def write(session: Any) -> None:
        now = datetime.now(UTC)
        made = reports.NewReport("city", "api", web=(f"https://t.me/{value}",), text=text)
        number = reports.accept(session, made, now, timedelta(days=1)).id
        reports.put_contacts(session, number, [("telegram", value, whole)])

    store.write(write, "tests")
    return named_as("telegram", value)


@pytest.mark.parametrize(("language", "width", "scheme"), [("kk", 360, "dark"), ("ru", 1366, "light"), ("en", 3840, "light")])
def test_an_address_is_corrected_taken_back_and_confirmed_by_keys(
    browsing: Callable[..., Browsing],
    language: str,
    width: int,
    scheme: str,
) -> None:
    desk = browsing(language, width=width, scheme=scheme)
    assert language in LOCALES
    name = name_in_report(desk.store, "some_sample_kz", "<b>a wall of words</b> " * 40)
    desk.open("/desk/queue?part=named")
    assert desk.current() == name and desk.page.locator("#item img").count() == 0
    assert catalogue(language)["named.mark"] in desk.page.inner_text(".marks")
    assert "<b>a wall of words</b>" in desk.page.inner_text(".see")
    desk.check()

    def words() -> list[Word]:
        with desk.store.read() as session:
            return [review.word for review in reviews_of_contact(session, (T, "some_sample_kz"))]

    desk.page.keyboard.press("e")
    desk.page.locator("input.edit").fill("@some_sample_kz2")
    desk.page.wait_for_selector("#extracted code:text('some_sample_kz2')")
    desk.check()
    desk.press("Enter")
    assert (desk.current(), words()) == ("", [Word.CORRECTED])
    desk.press("z")
    assert (desk.current(), words()) == (name, [Word.CORRECTED, Word.UNDONE])
    desk.press("v")
    assert (desk.current(), words()[-1]) == ("", Word.CONFIRMED)
    desk.open("/desk/resources/telegram/some_sample_kz")
    assert "<b>a wall of words</b>" in desk.page.inner_text("main")
    desk.check()
    assert not desk.wrong
