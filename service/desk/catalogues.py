"""The catalogues of the desk's words: one TOML file per language in ``locales/``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

LANGUAGES = ("kk", "ru", "en")
DEFAULT = "ru"
NAMES = {"kk": "Қазақша", "ru": "Русский", "en": "English"}


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(language: str) -> Mapping[str, str]:
    """All texts of a language by their keys."""
    data = (resources.files(__package__) / "locales" / f"{language}.toml").read_text(encoding="utf-8")
    return {f"{section}.{name}": text for section, texts in tomllib.loads(data).items() for name, text in texts.items()}
