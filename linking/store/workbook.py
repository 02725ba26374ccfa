"""The work file of placing an archive: its photos, the trial of the book, and what was worked out of each photo so far.

An SQLite file that one process has for itself. Every method with a ``session`` is part of the transaction that it is given, so
that what was worked out and how far that went are kept together: a process that is killed goes on where its last transaction
ended.
"""

from __future__ import annotations

import json
import zlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from ...contract import Band, Evidence, Identifier, IdentifierKind, Link, Outcome, Resource
from ..sightings import Contact, Key
from .cluster_rows import identifier_from, identifier_row
from .database import Store
from .upserts import in_parts

_BYTES = 32
"""Length of a SHA-256."""
_META = MetaData()
_WORK = Table("work", _META, Column("name", String(32), primary_key=True), Column("value", Text, nullable=False))
_PHOTOS = Table(
    "spooled",
    _META,
    Column("sha256", String(64), primary_key=True),
    Column("record", LargeBinary, nullable=False),
    Column("facts", Text),
    Column("wanted", Boolean, nullable=False, index=True),
)
_READS = Table(
    "reads",
    _META,
    Column("photo", String(64), primary_key=True),
    Column("advert", Integer, primary_key=True),
    Column("identifiers", Text, nullable=False),
)
_SHARES = Table(
    "shares",
    _META,
    Column("kind", String(24), primary_key=True),
    Column("value", Text, primary_key=True),
    Column("wall", String(48), primary_key=True),
    Column("share", Float, nullable=False),
)
_FOUND = Table("found", _META, Column("photo", String(64), primary_key=True), Column("adverts", Text, nullable=False))

Found = tuple[tuple[Identifier, ...], tuple[Link, ...]]
"""What is reported of one advert: identifiers, and one link for each."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A photo of the archive: the record of its analysis, and what is said of it besides (``facts``), both as JSON has them."""

    sha256: str
    record: Mapping[str, Any]
    facts: Mapping[str, Any] | None = None


class Workbook:
    """The work file; see the module. ``trial`` is the store in it, whose book is tried on."""

    def __init__(self, trial: Store) -> None:
        self.trial = trial
        _META.create_all(trial.engine)

    @staticmethod
    @contextmanager
    def opened(path: Path) -> Iterator[Workbook]:
        """The work file at ``path``, which is made where there is none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with Store.open(str(path), upgrade=True) as trial:
            yield Workbook(trial)

    # --- how far it went ---

    def get(self, name: str) -> str:
        """What was noted under a name; nothing where nothing was."""
        with self.trial.read() as session:
            return session.scalar(select(_WORK.c.value).where(_WORK.c.name == name)) or ""

    def note(self, session: Session, name: str, value: str) -> None:
        """Note something under a name."""
        made = insert(_WORK).values(name=name, value=value)
        session.execute(made.on_conflict_do_update(index_elements=["name"], set_={"value": value}))

    # --- the photos ---

    def spool(self, photos: Sequence[Spooled], *, wanted: bool = True) -> None:
        """Keep photos, one by SHA-256: of several the last counts. One transaction."""
        rows = {
            photo.sha256: {
                "sha256": photo.sha256,
                "record": zlib.compress(_dump(photo.record).encode(), 1),
                "facts": None if photo.facts is None else _dump(photo.facts),
                "wanted": wanted,
            }
            for photo in photos
        }
        if rows:
            made = insert(_PHOTOS)
            columns = {name: made.excluded[name] for name in ("record", "facts", "wanted")}
            with self.trial.begin() as session:
                session.execute(made.on_conflict_do_update(index_elements=["sha256"], set_=columns), list(rows.values()))

    def tell(self, facts: Mapping[str, Mapping[str, Any]]) -> None:
        """Say what else is known of photos that are here, by SHA-256; they are wanted from now on. One transaction."""
        with self.trial.begin() as session:
            for sha256, said in facts.items():
                told = update(_PHOTOS).where(_PHOTOS.c.sha256 == sha256)
                session.execute(told.values(facts=_dump(said), wanted=True))

    def records(self, photos: Collection[str]) -> dict[str, Spooled]:
        """Those of these photos that are here."""
        with self.trial.read() as session:
            rows = [row for part in in_parts(sorted(photos)) for row in session.execute(_of(part))]
        return {row.sha256: _spooled(row) for row in rows}

    def drop_unwanted(self) -> None:
        """Forget photos that nobody asked for."""
        with self.trial.begin() as session:
            session.execute(delete(_PHOTOS).where(~_PHOTOS.c.wanted))

    def count(self, until: str | None = None) -> int:
        """The number of photos, or of those up to a SHA-256 in the order of ``page``."""
        wanted = select(func.count()).select_from(_PHOTOS)
        if until is not None:
            wanted = wanted.where(_PHOTOS.c.sha256 <= until)
        with self.trial.read() as session:
            return session.scalar(wanted) or 0

    def page(self, after: str, size: int) -> list[Spooled]:
        """The next photos by SHA-256, so that their order is the same wherever they came from."""
        wanted = select(_PHOTOS).where(_PHOTOS.c.sha256 > after).order_by(_PHOTOS.c.sha256).limit(size)
        with self.trial.read() as session:
            return [_spooled(row) for row in session.execute(wanted)]

    def known(self) -> KnownPhotos:
        """All photos as a set that takes 32 bytes for each."""
        with self.trial.read() as session:
            found = session.scalars(select(_PHOTOS.c.sha256).order_by(_PHOTOS.c.sha256).execution_options(yield_per=10_000))
            packed = b"".join(map(bytes.fromhex, found))
        return KnownPhotos(packed)

    # --- what was read, wall by wall ---

    def put_reads(
        self, session: Session, wall: str, reads: Mapping[Key, Sequence[Identifier]], shares: Mapping[Contact, float]
    ) -> None:
        """Keep what the adverts of one physical advert show when they are read together, and how sure each contact is there."""
        rows = [
            {"photo": photo, "advert": advert, "identifiers": _dump([identifier_row(item) for item in items])}
            for (photo, advert), items in reads.items()
        ]
        if rows:
            session.execute(insert(_READS).on_conflict_do_nothing(), rows)
        if shares:
            said = [{"kind": str(kind), "value": value, "wall": wall, "share": share} for (kind, value), share in shares.items()]
            session.execute(insert(_SHARES).on_conflict_do_nothing(), said)

    def reads(self, session: Session, photos: Collection[str]) -> dict[Key, tuple[Identifier, ...]]:
        """What was read of the adverts of some photos."""
        found = {}
        for part in in_parts(sorted(photos)):
            for row in session.execute(select(_READS).where(_READS.c.photo.in_(part))):
                found[row.photo, row.advert] = tuple(map(identifier_from, json.loads(row.identifiers)))
        return found

    def shares(self, session: Session, contacts: Collection[Contact]) -> dict[Contact, list[float]]:
        """How sure some contacts are, on each physical advert that shows them."""
        found: dict[Contact, list[float]] = defaultdict(list)
        for part in in_parts(sorted(contacts)):
            pairs = [(str(kind), value) for kind, value in part]
            for row in session.execute(select(_SHARES).where(tuple_(_SHARES.c.kind, _SHARES.c.value).in_(pairs))):
                found[IdentifierKind(row.kind), row.value].append(row.share)
        return dict(found)

    # --- what is reported ---

    def put_found(self, session: Session, found: Mapping[str, Sequence[Found]]) -> None:
        """Keep what is reported of photos, advert by advert."""
        rows = [
            {
                "photo": photo,
                "adverts": _dump(
                    [[[identifier_row(i) for i in items], [_link_row(k) for k in links]] for items, links in adverts]
                ),
            }
            for photo, adverts in found.items()
        ]
        if not rows:
            return
        made = insert(_FOUND)
        session.execute(made.on_conflict_do_update(index_elements=["photo"], set_={"adverts": made.excluded.adverts}), rows)

    def found(self, photos: Collection[str]) -> dict[str, list[Found]]:
        """What is reported of some photos."""
        told = {}
        with self.trial.read() as session:
            for part in in_parts(sorted(photos)):
                for row in session.execute(select(_FOUND).where(_FOUND.c.photo.in_(part))):
                    told[row.photo] = [
                        (tuple(map(identifier_from, items)), tuple(map(_link_from, links)))
                        for items, links in json.loads(row.adverts)
                    ]
        return told


class KnownPhotos:
    """A set of photos by SHA-256, 32 bytes each; ``in`` is a search by halves."""

    def __init__(self, packed: bytes) -> None:
        """``packed`` are their bytes in order, one behind the other."""
        self._packed = packed

    def __contains__(self, sha256: object) -> bool:
        wanted = bytes.fromhex(str(sha256))
        place = bisect_left(range(len(self)), wanted, key=self._at)
        return place < len(self) and self._at(place) == wanted

    def __len__(self) -> int:
        return len(self._packed) // _BYTES

    def _at(self, place: int) -> bytes:
        return self._packed[_BYTES * place : _BYTES * (place + 1)]


def _of(photos: Sequence[str]) -> Any:
    return select(_PHOTOS).where(_PHOTOS.c.sha256.in_(photos))


def _spooled(row: Any) -> Spooled:
    facts = None if row.facts is None else json.loads(row.facts)
    return Spooled(row.sha256, json.loads(zlib.decompress(row.record)), facts)


def _link_row(link: Link) -> list[Any]:
    known = link.resource
    resource = None if known is None else [str(known.kind), known.value, known.shop_id, known.shop_name, known.status]
    steps = [[step.name, float(step.nats), step.text] for step in link.evidence]
    return [str(link.outcome), float(link.probability), link.shop_id, resource, list(link.reasons), steps, str(link.band)]


def _link_from(data: Sequence[Any]) -> Link:
    outcome, probability, shop, known, reasons, steps, band = data
    resource = None if known is None else Resource(IdentifierKind(known[0]), *known[1:])
    return Link(
        Outcome(outcome), probability, shop, resource, tuple(reasons), tuple(Evidence(*step) for step in steps), Band(band)
    )


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
