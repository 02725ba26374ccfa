"""The words of the desk in Kazakh, Russian and English: one TOML catalogue each in ``locales/``.

A key is ``section.name``. A text may hold ``{names}`` that are filled in. All catalogues have the same keys; a test sees to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from .catalogues import DEFAULT, LANGUAGES, NAMES, catalogue
from .sentences import translate

__all__ = ["DEFAULT", "LANGUAGES", "NAMES", "Texts", "catalogue", "choose"]


class Texts:
    """The texts of one language; call it with a key."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        self.language = language
        self._catalogue = catalogue(language)
        self._zone = zone

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key with its names filled in. Raises ``KeyError`` for an unknown key."""
        text = self._catalogue[key]
        return text.format_map(values) if values else text

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._catalogue

    def either(self, key: str, otherwise: str) -> str:
        """The text of a key that may not be there (a word of the store that is newer than the catalogues)."""
        return self._catalogue.get(key, otherwise)

    def said(self, text: str) -> str:
        """What a machine said, in this language where the catalogues know the sentence; as it is else."""
        return translate(text, self._catalogue)

    def actor(self, actor: str, names: Mapping[str, str]) -> str:
        """Who did something, as the audit log names them: a person by ``names``, a machine as one, others as they are."""
        kind, _, rest = actor.partition(" ")
        if actor in names:
            return names[actor]
        if kind in ("worker", "score", "desk"):
            return self("actor.machine")
        if kind in ("key", "person") and rest:
            return self(f"actor.{kind}", id=rest)
        return self("actor.intake") if actor == "intake" else actor

    def time(self, moment: datetime | None) -> str:
        """A moment in local time, to the minute; a dash for none."""
        return "–" if moment is None else moment.astimezone(self._zone).strftime("%d.%m.%Y %H:%M")

    def day(self, moment: datetime | None) -> str:
        """The local day of a moment."""
        return "–" if moment is None else moment.astimezone(self._zone).strftime("%d.%m.%Y")

    def number(self, value: float, digits: int = 0) -> str:
        """A number with the marks of the language."""
        text = f"{value:,.{digits}f}"
        return text if self.language == "en" else text.replace(",", "\N{NO-BREAK SPACE}").replace(".", ",")

    def share(self, value: float) -> str:
        """A share as per cent; never 100 for what is a little less."""
        percent = min(99.0, value * 100) if value < 1 else 100.0
        return f"{percent:.0f}\N{NO-BREAK SPACE}%" if self.language != "en" else f"{percent:.0f}%"


def choose(cookie: str | None, accept: str) -> str:
    """The language of a request: the one chosen before, else the first that the browser asks for and the desk knows."""
    if cookie in LANGUAGES:
        return str(cookie)
    wanted = []
    for place, part in enumerate(accept.split(",")):
        name, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            weight = 0.0
        wanted.append((-weight, place, name.split("-")[0].lower()))
    return next((name for weight, _, name in sorted(wanted) if weight < 0 and name in LANGUAGES), DEFAULT)
