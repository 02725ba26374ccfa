"""The words of the desk: the same keys and names in all languages, and every key that a page or a module asks for."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from tagtrace.contract import Flag, IdentifierKind, Outcome
from tagtrace.linking.ledger import EventKind
from tagtrace.linking.life import ResourceState
from tagtrace.linking.shelf import PaintState
from tagtrace.linking.store.proposals import Action
from tagtrace.linking.store.queue import Chosen
from tagtrace.linking.store.reviews import Word
from tagtrace.service.desk.texts import LANGUAGES, catalogue, choose

# A key that is put together from a word of the store has to be there for each of those words.
FAMILIES = {
    "kind": IdentifierKind,
    "flag": Flag,
    "outcome": Outcome,
    "cluster": EventKind,
    "state": ResourceState,
    "step_to": ResourceState,
    "paint": PaintState,
    "action": Action,
    "part": Chosen,
    "word": Word,
    "done": Word,
    "match": ("same_photo", "same_advert", "same_stencil", "none"),
}
KEY = re.compile(r"""\b(?:t|texts)(?:\.either)?\(\s*["']([a-z_]+\.[a-z_0-9]+)["'](?! ~)""")
OPEN_KEY = re.compile(r"""\bt(?:\.either)?\(\s*["']([a-z_]+)\.([a-z]*)["'] ~""")
TEXT = re.compile(r">\s*([^<>{}%\s][^<>{}%]*)<")
PLAIN = {"tagtrace", "· tagtrace", "SHA-256", "CSV", "JSON", "ZIP", "#}", "Enter", "Shift+Enter", "Esc", "&nbsp;"}


def test_all_languages_have_the_same_keys_and_names() -> None:
    names = {
        language: {
            key: sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)
            for key, text in catalogue(language).items()
        }
        for language in LANGUAGES
    }
    assert names["kk"] == names["ru"] == names["en"]
    assert all(text.strip() for language in LANGUAGES for text in catalogue(language).values())


def test_every_key_that_is_asked_for_is_there(root: Path) -> None:
    desk = root / "service/desk"
    sources = [*desk.glob("templates/*.html"), *desk.glob("*.py")]
    asked = {key for path in sources for key in KEY.findall(path.read_text(encoding="utf-8"))}
    assert len(asked) > 100
    assert asked <= set(catalogue("en"))
    families = {name for path in sources for name, _ in OPEN_KEY.findall(path.read_text(encoding="utf-8"))}
    known = {key.partition(".")[0] for key in catalogue("en")}
    assert families <= known
    for family, words in FAMILIES.items():
        missing = {f"{family}.{word}" for word in words} - set(catalogue("en"))
        assert not missing


def test_no_template_has_words_of_its_own(root: Path) -> None:
    """What people read comes from the catalogues."""
    for path in (root / "service/desk/templates").glob("*.html"):
        page = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        words = {text.strip() for text in TEXT.findall(page)}
        assert not {word for word in words if re.search(r"[A-Za-zА-Яа-я]{2}", word)} - PLAIN, path.name


def test_kazakh_is_kazakh() -> None:
    """Most Kazakh texts differ from the Russian ones, and they use Kazakh letters."""
    kazakh, russian = catalogue("kk"), catalogue("ru")
    same = [key for key in kazakh if kazakh[key] == russian[key] and not key.startswith("kind.")]
    assert len(same) < 0.06 * len(kazakh), same
    assert set("әғқңөұүі") <= set("".join(kazakh.values()).lower())


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [
        (None, "kk-KZ,kk;q=0.9,ru;q=0.8", "kk"),
        (None, "de,en;q=0.5,ru;q=0.8", "ru"),
        ("en", "kk", "en"),
        ("xx", "", "ru"),
        (None, "kk;q=zero,en;q=0.1", "en"),
        (None, "kk;q=0", "ru"),
    ],
)
def test_the_language_is_that_of_the_person(cookie: str | None, accept: str, language: str) -> None:
    assert choose(cookie, accept) == language
