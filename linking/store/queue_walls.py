"""What an expert decides about: a physical advert, all its sightings together, as the tables say it now, and what it matters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from ...contract import Band, Flag, Outcome
from ...inference.identifiers.fold import skeleton
from ..sightings import Key
from .cluster_tables import BundleRow, SightingRow
from .tables import AdvertRow, AnalysisRow, DecisionRow, IdentifierRow, LinkRow, PhotoRow, ResourceRow
from .upserts import in_parts
from .verdicts import CLOSING, DECIDING, Word

Contact = tuple[str, str]
_UNCOUNTED: Final = frozenset({Flag.PROTECTED.value, Flag.UNSURE.value, Flag.OBSOLETE.value})
ALONE: Final = "-"
"""Begins the name of an advert that is in no cluster; no cluster's id begins so."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What matters how much; the order is by the sum. The rows hold it: after a change here ``fill`` makes them anew."""

    new_weight: float = 4.0
    """For a contact that no listed shop has."""
    seen_weight: float = 2.0
    """For an advert that is seen ``seen_most`` times; in proportion for fewer."""
    seen_most: int = 10
    doubt_weight: float = 1.5
    """For a contact that was read with no confidence at all, or a link that a person has to look at."""
    silent_weight: float = -2.0
    """For an advert without any contact: there is little to decide."""
    known_weight: float = -1.0
    """For one whose every link is automatic."""
    doubtful_from: float = 0.2
    """Doubt (0..1) from which on an advert is in the part ``doubtful``."""
    often_from: int = 2
    """Photos from which on it is in the part ``often``."""
    news_from: float = 0.8
    """Confidence from which on a contact that nobody knew brings a decided advert back."""


SETTINGS: Final = QueueSettings()


class Chosen(StrEnum):
    """A part of the queue."""

    ALL = "all"
    NEW = "new"
    SEEN_OFTEN = "often"
    DOUBTFUL = "doubtful"
    SILENT = "silent"
    NAMED = "named"
    """Contacts that reports name, without a picture."""


class Back(StrEnum):
    """Why an advert that nobody has decided about is open again."""

    NO = ""
    PHOTO = "photo"
    """It waited for another photo, and there is one."""
    WAITED = "waited"
    """It waited for another photo, and none came in time."""


def wall_of(key: Key, cluster: str) -> str:
    """The name under which the queue knows a cluster, or an advert that is in none."""
    return cluster or f"{ALONE}{key[0]}-{key[1]}"


@dataclass(slots=True)
class _Contact:
    """A contact of an advert: as it was read and as what it is meant to be."""

    own: Contact
    meant: Contact
    confidence: float
    counts: bool


@dataclass(slots=True)
class Wall:
    """All that the tables say of one physical advert."""

    name: str
    photo: str | None = None
    adverts: dict[int, Key] = field(default_factory=dict)
    contacts: dict[int, list[_Contact]] = field(default_factory=lambda: defaultdict(list))
    said: dict[int, tuple[str, datetime, dict[str, Any]]] = field(default_factory=dict)
    newest: datetime | None = None
    new: bool = False
    doubt: float = 0.0
    unknown: bool = False

    @property
    def silent(self) -> bool:
        """Whether nobody read a contact on it."""
        return not any(self.contacts.values())

    def known(self) -> set[Contact]:
        """The contacts that it shows, as they were read and as what they mean."""
        return {contact for items in self.contacts.values() for item in items for contact in (item.own, item.meant)}

    def news(self) -> list[Key]:
        """Its adverts with a contact that nobody who decided about it knew of; none where nobody decided."""
        known: set[Contact] = set()
        decided = [number for number, (word, _, _) in self.said.items() if word in DECIDING]
        for number in decided:
            details = self.said[number][2]
            known |= {(str(kind), str(value)) for kind, value in details.get("known", details.get("contacts", ()))}
            known |= {contact for item in self.contacts[number] for contact in (item.own, item.meant)}
        looks = {(kind, skeleton(value)) for kind, value in known}

        def is_news(item: _Contact) -> bool:
            sure = item.counts and item.confidence >= SETTINGS.news_from
            return sure and not {item.own, item.meant} & known and (item.own[0], skeleton(item.own[1])) not in looks

        if not decided:
            return []
        return [key for number, key in self.adverts.items() if any(map(is_news, self.contacts[number]))]

    def is_decided(self) -> bool:
        """Whether somebody has decided about it."""
        return any(word in DECIDING for word, _, _ in self.said.values())

    def is_open(self) -> bool:
        """Whether somebody has to decide about it now."""
        return bool(self.news()) if self.is_decided() else self.asked() is None

    def is_left(self) -> bool:
        """Whether there is something to decide about it, now or once there is another photo."""
        return self.is_open() or self.asked() is not None

    def asked(self) -> datetime | None:
        """Since when it waits for another photo; None where it does not."""
        word, at, _ = self._last()
        return at if word == Word.ANOTHER_PHOTO and not self._photo_came() else None

    def back(self) -> Back:
        """Why it is open again though nobody has decided about it."""
        word = self._last()[0]
        if word and self._photo_came():
            return Back.PHOTO
        return Back.WAITED if word == Word.WAITED else Back.NO

    def _last(self) -> tuple[str, datetime | None, dict[str, Any]]:
        """The last word where nobody has decided."""
        return ("", None, {}) if self.is_decided() else max(self.said.values(), key=lambda said: said[1], default=("", None, {}))

    def _photo_came(self) -> bool:
        """Whether there is a photo that who said the last word had not. One that was received before may have been read after."""
        _, at, details = self._last()
        later = at is not None and self.newest is not None and self.newest > at
        return later or len(self.adverts) > details.get("sightings", len(self.adverts))

    def score(self) -> float:
        """How much it matters."""
        return weight(len(self.adverts), new=self.new, doubt=self.doubt, silent=self.silent, unknown=self.unknown)

    def parts(self) -> list[Chosen]:
        """The parts of the queue that it is in."""
        return parts(len(self.adverts), new=self.new, doubt=self.doubt, silent=self.silent)

    def row(self) -> dict[str, Any]:
        """Its columns in the table of the queue."""
        seen = {"first": min(self.adverts), "seen": len(self.adverts)}
        told = {"new": self.new, "doubt": self.doubt, "silent": self.silent}
        stands = {"again": bool(self.news()), "back": str(self.back()), "asked": self.asked()}
        return {"wall": self.name, "photo": self.photo, "score": self.score(), **stands, **seen, **told}


def weight(seen: int, *, new: bool, doubt: float, silent: bool, unknown: bool) -> float:
    """How much an entry of the queue matters."""
    return (
        SETTINGS.new_weight * new
        + SETTINGS.seen_weight * min(seen, SETTINGS.seen_most) / SETTINGS.seen_most
        + SETTINGS.doubt_weight * doubt
        + SETTINGS.silent_weight * silent
        + SETTINGS.known_weight * (not unknown)
    )


def parts(seen: int, *, new: bool, doubt: float, silent: bool = False) -> list[Chosen]:
    """The parts of the queue that an entry is in."""
    doubtful, often = not silent and doubt >= SETTINGS.doubtful_from, seen >= SETTINGS.often_from
    held = {Chosen.NEW: new, Chosen.SEEN_OFTEN: often, Chosen.DOUBTFUL: doubtful, Chosen.SILENT: silent}
    return [Chosen.ALL, *(part for part, inside in held.items() if inside)]


def wall_at(session: Session, key: Key) -> Wall | None:
    """The physical advert that an advert is a sighting of, as the tables have it now."""
    inside = select(BundleRow.cluster).join(SightingRow, SightingRow.bundle == BundleRow.id)
    cluster = session.scalar(inside.where(SightingRow.photo == key[0], SightingRow.advert == key[1]))
    alone = and_(PhotoRow.sha256 == key[0], AdvertRow.number == key[1])
    found = load_walls(session, in_clusters([cluster]) if cluster is not None else alone)
    return next(iter(found), None)


def wall_named(session: Session, name: str) -> Wall | None:
    """The physical advert with a name that the queue knows it by (``wall_of``)."""
    if not name.startswith(ALONE):
        return next(iter(walls_of_clusters(session, [name])), None)
    photo, _, number = name[len(ALONE) :].rpartition("-")
    return wall_at(session, (photo, int(number)))


def walls_of_clusters(session: Session, clusters: Sequence[str]) -> list[Wall]:
    """Clusters as the tables have them now."""
    return [wall for part in in_parts(clusters) for wall in load_walls(session, in_clusters(part))]


def in_clusters(names: Sequence[str]) -> Any:
    """Adverts in these clusters, said so that the database begins with the clusters and not with all adverts."""
    shown = select(SightingRow.photo).join(BundleRow, BundleRow.id == SightingRow.bundle).where(BundleRow.cluster.in_(names))
    return and_(PhotoRow.sha256.in_(shown), BundleRow.cluster.in_(names))


def load_walls(session: Session, which: Any) -> list[Wall]:
    """The physical adverts that fit, each with all of its adverts in the latest analyses."""
    here = and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number)
    columns = (AdvertRow.id, AdvertRow.number, PhotoRow.sha256, PhotoRow.received_at, BundleRow.cluster, DecisionRow)
    rows = select(*columns).select_from(PhotoRow).join(AnalysisRow, and_(AnalysisRow.photo_id == PhotoRow.id, AnalysisRow.latest))
    rows = rows.join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id).outerjoin(SightingRow, here)
    rows = rows.outerjoin(BundleRow, BundleRow.id == SightingRow.bundle)
    rows = rows.outerjoin(DecisionRow, DecisionRow.id == AdvertRow.decision_id).where(which)
    walls: dict[str, Wall] = {}
    owners: dict[int, Wall] = {}
    # Sorted here: asked to, SQLite would go through all adverts in their order.
    for number, advert, sha256, received, cluster, decision in sorted(session.execute(rows), key=lambda row: row[0]):
        name = wall_of((sha256, advert), cluster or "")
        wall = walls.setdefault(name, Wall(name, None if cluster else sha256))
        wall.adverts[number], owners[number] = (sha256, advert), wall
        wall.newest = received if wall.newest is None else max(wall.newest, received)
        if decision is not None and decision.verdict in CLOSING:
            wall.said[number] = (decision.verdict, decision.at, decision.details)
    for part in in_parts(sorted(owners)):
        _add_contacts(session, part, owners)
    for wall in walls.values():
        wall.unknown = wall.unknown or wall.silent or any(not wall.contacts[number] for number in wall.adverts)
    return list(walls.values())


def _add_contacts(session: Session, adverts: Sequence[int], owners: dict[int, Wall]) -> None:
    columns = (IdentifierRow.advert_id, IdentifierRow.kind, IdentifierRow.value, IdentifierRow.confidence, IdentifierRow.flags)
    linked = (LinkRow.outcome, LinkRow.band, ResourceRow.kind.label("named_kind"), ResourceRow.value.label("named"))
    rows = select(*columns, *linked).outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
    rows = rows.outerjoin(ResourceRow, ResourceRow.id == LinkRow.resource_id).where(IdentifierRow.advert_id.in_(adverts))
    for row in session.execute(rows.order_by(IdentifierRow.advert_id, IdentifierRow.number)):
        wall = owners[row.advert_id]
        own = (row.kind, row.value)
        meant = (row.named_kind, row.named) if row.outcome == Outcome.MISREAD and row.named is not None else own
        wall.contacts[row.advert_id].append(_Contact(own, meant, row.confidence, not _UNCOUNTED & set(row.flags)))
        wall.new = wall.new or row.outcome == Outcome.NEW
        wall.doubt = max(wall.doubt, 1.0 if row.band == Band.REVIEW else 1.0 - row.confidence)
        wall.unknown = wall.unknown or row.band != Band.AUTOMATIC
