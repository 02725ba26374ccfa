"""What follows from an expert's keys: words written down, clusters joined and parted, reporters asked for another photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...contract import Flag, IdentifierKind, Link, TagtraceError
from ...inference.identifiers import extract_text
from ...linking.canonical import canonical_value
from ...linking.sightings import Key
from ...linking.store import Store
from ...linking.store.named_reviews import SAYABLE, confirm_named, correct_named, refuse_named, skip_named
from ...linking.store.reviews import Review, Word, confirm, correct, last_by, record
from ..deciding import follow_contacts, links_of, take_back, tell_reports
from ..joining import join_adverts
from ..register import Register

Session = Any
Contact = tuple[IdentifierKind, str]


@dataclass(frozen=True, slots=True)
class Said:
    """What an expert says of an advert. ``texts`` are the corrected lines, ``other`` the advert that it is the same as."""

    key: Key
    word: Word
    verify: bool = False
    why: str = ""
    texts: tuple[str, ...] = ()
    other: Key | None = None
    named: Contact | None = None
    """A contact that reports name; then there is no advert."""


def contacts_in(texts: Sequence[str]) -> list[Contact]:
    """The contacts in typed lines; a line that is nothing but a link, a name or a number counts as one, too."""
    found = [
        (item.kind, item.value)
        for item in extract_text("\n".join(texts))
        if not {Flag.UNSURE, Flag.PROTECTED, Flag.OBSOLETE} & set(item.flags)
    ]
    for text in texts:
        word = text.strip()
        if word.startswith("@") and (value := canonical_value(IdentifierKind.TELEGRAM, word)) is not None:
            found.append((IdentifierKind.TELEGRAM, value))
    return list(dict.fromkeys(found))


def decide(store: Store, register: Register, actor: str, said: Said) -> Review:
    """Do what an expert says. Raises ``TagtraceError`` where it cannot be done."""
    links = links_of(register, contacts_in(said.texts)) if said.word is Word.CORRECTED else {}

    def change(session: Session) -> Review:
        now = datetime.now(UTC)
        review = _write_down(session, said, links, now)
        follow_contacts(session, review, now)
        return review

    return store.write(change, actor)


def take_back_last(store: Store, actor: str) -> Review:
    """Undo the last word of a person. Raises ``TagtraceError`` where there is none, or it cannot be taken back any more."""

    def change(session: Session) -> Review:
        last = last_by(session, actor)
        if last is None:
            raise TagtraceError("there is nothing to take back")
        return take_back(session, last.id, datetime.now(UTC))

    return store.write(change, actor)


def _write_down(session: Session, said: Said, links: dict[Contact, Link], now: datetime) -> Review:
    if said.named is not None:
        return _write_named(session, said, said.named)
    if said.word is Word.CONFIRMED:
        return confirm(session, said.key, verify=said.verify, why=said.why)
    if said.word is Word.CORRECTED:
        return correct(session, said.key, said.texts, contacts_in(said.texts), verify=said.verify, why=said.why, links=links)
    details: dict[str, Any] = {}
    if said.word is Word.SAME_AS:
        if said.other is None or said.other == said.key:
            raise TagtraceError("choose the advert that it is the same as")
        details = join_adverts(session, said.other, said.key, said.why, now)
    if said.word is Word.ANOTHER_PHOTO:
        tell_reports(session, said.key, "another_photo", now)
    return record(session, said.key, said.word, said.why, details)


def _write_named(session: Session, said: Said, contact: Contact) -> Review:
    if said.word not in SAYABLE:
        raise TagtraceError("that cannot be said of a contact without a picture")
    if said.word is Word.CONFIRMED:
        return confirm_named(session, contact, verify=said.verify, why=said.why)
    if said.word is Word.CORRECTED:
        text = "\n".join(said.texts)
        return correct_named(session, contact, contacts_in(said.texts), text, verify=said.verify, why=said.why)
    if said.word is Word.SKIPPED:
        return skip_named(session, contact)
    return refuse_named(session, contact, said.word, said.why)
