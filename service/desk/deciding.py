"""What follows from an expert's keys: words written down, clusters joined and parted, reporters asked for another photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...contract import Flag, IdentifierKind, TagtraceError
from ...inference.identifiers import extract_text
from ...linking.canonical import canonical_value
from ...linking.sightings import Key
from ...linking.store import Store, reports
from ...linking.store.reviews import Review, Word, confirm, correct, last_by, record, undo
from ...linking.store.tracks import follow, follow_resource
from ..joining import join_adverts, part_adverts

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


def decide(store: Store, actor: str, said: Said) -> Review:
    """Do what an expert says. Raises ``TagtraceError`` where it cannot be done."""

    def change(session: Session) -> Review:
        now = datetime.now(UTC)
        review = _write_down(session, said, now)
        _follow(session, review, now)
        return review

    return store.write(change, actor)


def take_back(store: Store, actor: str) -> Review:
    """Undo the last word of a person. Raises ``TagtraceError`` where there is none, or it cannot be taken back any more."""

    def change(session: Session) -> Review:
        last = last_by(session, actor)
        if last is None:
            raise TagtraceError("there is nothing to take back")
        now = datetime.now(UTC)
        review = undo(session, last.id)
        if review.word is Word.SAME_AS:
            part_adverts(session, review, now)
        if review.word is Word.ANOTHER_PHOTO:
            _tell_reports(session, review.key, "another_photo_not_needed", now)
        _follow(session, review, now)
        return review

    return store.write(change, actor)


def _write_down(session: Session, said: Said, now: datetime) -> Review:
    if said.word is Word.CONFIRMED:
        return confirm(session, said.key, verify=said.verify, why=said.why)
    if said.word is Word.CORRECTED:
        return correct(session, said.key, said.texts, contacts_in(said.texts), verify=said.verify, why=said.why)
    details: dict[str, Any] = {}
    if said.word is Word.SAME_AS:
        if said.other is None or said.other == said.key:
            raise TagtraceError("choose the advert that it is the same as")
        details = join_adverts(session, said.other, said.key, said.why, now)
    if said.word is Word.ANOTHER_PHOTO:
        _tell_reports(session, said.key, "another_photo", now)
    return record(session, said.key, said.word, said.why, details)


def _follow(session: Session, review: Review, now: datetime) -> None:
    follow(session, [review.key], now)
    for kind, value in review.details.get("contacts", ()):
        follow_resource(session, IdentifierKind(kind), value, now)


def _tell_reports(session: Session, key: Key, event: str, now: datetime) -> None:
    for report in reports.reports_showing(session, key[0]):
        reports.add_event(session, report.id, event, {"advert": key[1]}, now)
        reports.announce(session, report, {"event": f"report.{event}", "photo": key[0], "advert": key[1]}, now)
