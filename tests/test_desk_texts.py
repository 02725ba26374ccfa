"""The words of the desk: the same keys and names in all languages, and every key that a page or a module asks for."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagtrace.contract import Flag, IdentifierKind, Outcome
from tagtrace.linking.ledger import EventKind
from tagtrace.linking.life import ResourceState
from tagtrace.linking.priors import LIMIT, STEPS
from tagtrace.linking.sentences import SENTENCES, say
from tagtrace.linking.shelf import PaintState
from tagtrace.linking.store.proposals import Action
from tagtrace.linking.store.queue import Chosen
from tagtrace.linking.store.reviews import Word
from tagtrace.service.access import Role, Scope
from tagtrace.service.desk.people import Act
from tagtrace.service.desk.sentences import translate
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
    "done": set(Word) - {Word.WAITED},
    "match": ("same_photo", "same_advert", "same_stencil", "none"),
    "step": (
        *(name.replace(" ", "_") for name in STEPS),
        LIMIT,
        "listed",
        "reading",
        "rivals",
        "calibration",
        "beside",
        "contact",
    ),
    "reason": SENTENCES,
    "role": Role,
    "role_does": Role,
    "scope": [scope.replace(":", "_").replace("-", "_") for scope in Scope],
    "people": [f"done_{act}" for act in Act],
}
# Modules whose errors are shown on pages, and errors of theirs that no page leads to.
TOLD = (
    "service/desk/*.py", "service/access/[!_k]*.py", "service/joining.py", "linking/life.py", "linking/store/reviews.py",
    "linking/store/approvals.py", "linking/store/proposals.py", "linking/store/resources.py", "linking/store/people.py",
    "linking/store/keys.py",
)  # fmt: skip
NOT_SHOWN = ("send an API key", "Login or password is wrong", "Too many wrong passwords", "This first password has run out")
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
    for language in LANGUAGES:
        assert set(names[language]) == set(names["en"])
        for key, wanted in names["en"].items():
            # An error in English may name more, a command for example.
            same = set(names[language][key]) <= set(wanted) if key.startswith("fault.") else names[language][key] == wanted
            assert same, f"{language}: {key}"
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


def raised(path: Path) -> Iterator[tuple[int, str]]:
    """Line and template of every error that a module raises: names in braces for what is filled in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        call = node.exc if isinstance(node, ast.Raise) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("TagtraceError", "ProblemError"):
            said = call.args[call.func.id == "ProblemError"]
            if isinstance(said, ast.Constant):
                yield node.lineno, str(said.value)
            elif isinstance(said, ast.JoinedStr):
                yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in said.values)


@pytest.mark.parametrize("path", TOLD)
def test_errors_that_the_desk_can_show_are_in_the_catalogues(root: Path, path: str) -> None:
    files = sorted(root.glob(path))
    assert files
    for file in files:
        for line, text in raised(file):
            if not any(words in text for words in NOT_SHOWN):
                translated = translate(text, catalogue("kk"))
                assert translated != text, f"{file.name}:{line}: {text!r} has no text in the section `fault`"


@pytest.mark.parametrize("language", ["kk", "ru"])
@pytest.mark.parametrize("code", list(SENTENCES))
def test_every_sentence_of_linking_is_said_in_the_language(language: str, code: str) -> None:
    values = {
        "kind": "telegram", "value": "v_1", "other": "v_2", "name": "N", "shop": "S", "common": "c", "share": "0.25",
        "nats": "+1.5", "count": "2", "times": "9", "days": "3.5", "metres": "4", "match": "same_stencil", "step": "same cluster",
    }  # fmt: skip
    nested = {name: say("equal", resource=say("resource_named", **values)) for name in ("text", "reason")}
    text = say(code, **values, **nested, resource=say("resource_named", **values))
    found = translate(text, catalogue(language))
    allowed = {"telegram", "telegram_invite", "v", "n", "c", "s"}
    assert not set(re.findall("[a-z]+", found.lower())) - allowed, found


def test_sentences_of_several_and_of_people() -> None:
    words = catalogue("ru")
    kin = say("kin", common="c", resource="telegram v_1 of S", nats="4.4")
    both = translate(f"{kin}; {say('same_code')}", words)
    assert both == "имя «c» как у Telegram v_1, S; неожиданность 4,4 ната; раньше замечено с тем же кодом"
    step = translate("contact: both may be misread telegram v_1 (-3.4 nats) (+8.0); place: 36 m apart (+1.0)", words)
    misread = "контакт: оба могли быть неверно прочитаны вместо Telegram v_1 (-3,4 ната) (+8,0)"
    assert step == f"{misread}; место: между ними 36 м (+1,0)"
    assert translate("art. 41-1; see the file", words) == "art. 41-1; see the file"
    assert translate(say("listed"), catalogue("en")) == say("listed")
    step = translate("telegram v_1: is identified and cannot become sent; from there it can become rejected, verified", words)
    assert step == "Telegram v_1: сейчас «выявлен», перейти в «отправлен на блокировку» нельзя; можно в: отклонён, проверен"


def test_english_catalogue_says_what_the_program_says() -> None:
    english = catalogue("en")
    assert {code: english[f"reason.{code}"] for code in SENTENCES} == dict(SENTENCES)


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
