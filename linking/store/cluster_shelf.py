"""The shelf of a book in a store: brings in the few rows that a sighting may concern, and writes back what has changed.

All deciding is done in memory by ``Book``. A row that was brought in once is not read again while the shelf is in use, and one
that was changed stands for the row in the database; so a shelf lives no longer than one transaction that holds the row of
``cluster_head``. Rows are brought in for a batch of sightings at once, so that the database is asked a few times per batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, cast, delete, func, insert, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from ..bundles import Rule
from ..pictures import near_bands
from ..shelf import Record, Shelf, Target
from ..sightings import (
    ClusterSettings,
    Contact,
    ContactEvidence,
    Key,
    Sighting,
    Spot,
    Traced,
    areas_around,
    hint_places,
    told_by_place,
    trace,
    within,
)
from . import cluster_rows as rows
from .cluster_tables import (
    BundleRow,
    ClusterEventRow,
    ClusterHeadRow,
    ClusterRow,
    ClusterRuleRow,
    SightingBandRow,
    SightingFeaturesRow,
    SightingLookRow,
    SightingRow,
)
from .tables import Base
from .upserts import in_parts

_PAGE = 8
"""Placed sightings of a contact brought in at first, when it is asked where that contact is seen."""


def _table(row: type[Base]) -> Table:
    """The table of a class of rows, which SQLAlchemy types as something more general."""
    table = row.__table__
    assert isinstance(table, Table)
    return table


_SIGHTINGS, _BUNDLES, _CLUSTERS = _table(SightingRow), _table(BundleRow), _table(ClusterRow)
_LOOKS, _BANDS, _FEATURES = _table(SightingLookRow), _table(SightingBandRow), _table(SightingFeaturesRow)
_RULES = _table(ClusterRuleRow)
_COPIES = text(
    "SELECT DISTINCT own.sighting FROM unnest(CAST(:bands AS integer[]), CAST(:hashes AS bigint[])) AS wanted (band, hash) "
    "JOIN sighting_bands AS own ON own.band = wanted.band "
    "WHERE bit_count(CAST(own.hash # wanted.hash AS bit(64))) <= :bits"
)
_FIRST_PAGES = text(
    "SELECT wanted.wall, first.sighting FROM unnest(CAST(:walls AS bigint[])) AS wanted (wall), "
    "LATERAL (SELECT sighting FROM sighting_looks WHERE wall = wanted.wall ORDER BY sighting LIMIT :page) AS first"
)


class SqlShelf(Shelf):
    """A shelf over the tables of a store. Not to be used after its transaction has ended."""

    def __init__(self, session: Session, settings: ClusterSettings, *, lock: bool = True) -> None:
        """``lock`` makes other writers wait until the transaction ends; without it nothing may be saved."""
        super().__init__()
        self.session = session
        self.settings = settings
        self._postgresql = session.get_bind().dialect.name == "postgresql"
        head = select(ClusterHeadRow)
        found = session.execute(head.with_for_update() if lock else head).scalar_one()
        self._last = {name: getattr(found, name) for name in ("sighting", "bundle", "cluster", "event")}
        self.start = dict(self._last)
        self.new_rules: list[Rule] = []
        self.stored: dict[Key, tuple[object, int, bool]] = {}
        self.stored_bundles: dict[int, dict[str, Any]] = {}
        self.stored_clusters: dict[str, dict[str, Any]] = {}
        self._have: set[tuple[object, ...]] = set()
        self._pages: dict[int, tuple[int, int]] = {}
        self._around: dict[int, dict[Key, Record]] = defaultdict(dict)
        self._hinted: dict[int, list[Record]] = defaultdict(list)

    def draft(self) -> Shelf:
        """A second look at the same rows, on which changes are tried and never saved."""
        return SqlShelf(self.session, self.settings, lock=False)

    def add_rule(self, rule: Rule) -> None:
        """Write down a rule; it takes the place of an older one on the same two sightings."""
        super().add_rule(rule)
        self.new_rules.append(rule)

    # --- bringing in ---

    def prepare(self, sightings: Sequence[Sighting]) -> None:
        """Bring in what putting these sightings in will ask for, for all of them at once."""
        items = [trace(sighting, self.settings) for sighting in sightings]
        self._bring_keys([item.key for item in items])
        fresh = [item for item in items if item.key not in self.records]
        slots = {rows.slot(look, 0) for item in fresh for look in item.evidence.looks}
        hints = {rows.hint_slot(hint, area) for item in fresh for hint in item.hints for area in hint_places(item)}
        unclear: set[int] = set()
        for item in fresh:
            if item.spot is not None:
                areas = areas_around(item.spot)
                slots |= {rows.slot(look, area) for look in item.evidence.looks for area in areas}
                if item.comparable and item.clear:
                    unclear.update(areas)
        self._bring_slots(slots)
        self._bring_walls(sorted({rows.wall(look) for item in fresh if item.spot is None for look in item.evidence.looks}))
        self._bring_hints(sorted(hints))
        self._bring_comparable(unclear, 2)
        values = {item.sighting.picture_hash for item in fresh if item.sighting.picture_hash is not None}
        self._bring_copies(values, self.settings.picture_bits)
        self._bring_clusters([f"c{item.key[0][:12]}-{item.key[1]}" for item in fresh])

    def _new(self, kind: str, values: Iterable[Any]) -> list[Any]:
        """The values not asked for before; they count as asked for from now on."""
        found = [value for value in dict.fromkeys(values) if (kind, value) not in self._have]
        self._have.update((kind, value) for value in found)
        return found

    def _in(self, column: ColumnElement[Any], values: Sequence[Any]) -> Iterator[ColumnElement[bool]]:
        """Conditions that together ask for all of the values; PostgreSQL takes them as one array."""
        if self._postgresql and values:
            yield column == func.any(cast(list(values), ARRAY(column.type)))
        elif not self._postgresql:
            yield from (column.in_(part) for part in in_parts(values))

    def _bring(self, column: ColumnElement[Any], values: Sequence[Any], where: ColumnElement[bool] | None = None) -> list[Record]:
        """Bring in the sightings whose column has one of the values, with their bundles and clusters."""
        wanted = select(_SIGHTINGS) if where is None else select(_SIGHTINGS).where(where)
        return [record for part in self._in(column, values) for record in self._take(wanted.where(part))]

    def _take(self, wanted: Select[Any]) -> list[Record]:
        found = self.session.execute(wanted).all()
        self._bring_bundles(_BUNDLES.c.id, {row.bundle for row in found} - self.stored_bundles.keys())
        taken: list[Record] = []
        for row in found:
            key = rows.key_of(row)
            if key not in self.records:
                record = rows.record_from(row, self.settings)
                self.take(record)
                self.stored[key] = (record.traced, record.bundle, record.spare)
            taken.append(self.records[key])
        return taken

    def _bring_bundles(self, column: ColumnElement[Any], values: Iterable[Any]) -> None:
        for part in self._in(column, sorted(values)):
            found = self.session.execute(select(_BUNDLES).where(part)).all()
            self._bring_clusters({row.cluster for row in found})
            for row in found:
                if row.id not in self.stored_bundles:
                    bundle = rows.bundle_from(row)
                    self.stored_bundles[bundle.id] = rows.bundle_row(bundle)
                    self.take_bundle(bundle)

    def _bring_clusters(self, names: Iterable[str]) -> None:
        wanted = [name for name in self._new("cluster", names) if name not in self.clusters]
        for part in in_parts(sorted(wanted)):
            for row in self.session.execute(select(_CLUSTERS).where(_CLUSTERS.c.id.in_(part))):
                cluster = rows.cluster_from(row)
                self.stored_clusters[cluster.id] = rows.cluster_row(cluster)
                self.clusters[cluster.id] = cluster

    def _bring_keys(self, keys: Iterable[Key]) -> None:
        wanted = set(self._new("key", keys)) - self.records.keys()
        for part in in_parts(sorted(wanted)):
            self._fetch_features(self._take(select(_SIGHTINGS).where(tuple_(_SIGHTINGS.c.photo, _SIGHTINGS.c.advert).in_(part))))

    def _bring_slots(self, slots: Iterable[int]) -> None:
        numbers = self._new("slot", slots)
        for part in self._in(_LOOKS.c.slot, sorted(numbers)):
            shown = select(_LOOKS.c.sighting).where(part)
            self._take(select(_SIGHTINGS).where(_SIGHTINGS.c.id.in_(shown)))

    def _bring_hints(self, slots: Iterable[int]) -> None:
        """Bring in the sightings that stand under these numbers of hints."""
        for part in self._in(_LOOKS.c.slot, sorted(self._new("hint", slots))):
            found = self.session.execute(select(_LOOKS.c.sighting, _LOOKS.c.slot).where(part)).all()
            records = {r.number: r for r in self._bring(_SIGHTINGS.c.id, sorted({row.sighting for row in found}))}
            for row in found:
                self._hinted[row.slot].append(records[row.sighting])

    def _bring_copies(self, values: Iterable[int], bits: int) -> None:
        """Bring in the sightings whose picture hash differs from one of these in at most so many bits."""
        bands, hashes = [], []
        for value in self._new("hash", values):
            for band in near_bands(value, bits):
                bands.append(rows.band_number(*band))
                hashes.append(rows.signed(value))
        if not bands:
            return
        if self._postgresql:
            found = self.session.execute(_COPIES, {"bands": bands, "hashes": hashes, "bits": bits}).scalars()
            self._bring(_SIGHTINGS.c.id, sorted(found))
            return
        ids: set[int] = set()
        wanted = {rows.unsigned(value) for value in hashes}
        for part in in_parts(sorted(set(bands))):
            for sighting, own in self.session.execute(select(_BANDS.c.sighting, _BANDS.c.hash).where(_BANDS.c.band.in_(part))):
                if any((rows.unsigned(own) ^ value).bit_count() <= bits for value in wanted):
                    ids.add(sighting)
        self._bring(_SIGHTINGS.c.id, sorted(ids))

    def _bring_comparable(self, areas: Iterable[int], least: int) -> None:
        wanted = [a for a in self._new(f"pictured {least}", areas) if ("pictured 1", a) not in self._have or least == 1]
        inside = set(wanted)
        found = self._bring(_SIGHTINGS.c.area, sorted(wanted), _SIGHTINGS.c.pictured >= least)
        for record in found:
            if record.traced.spot is not None and record.traced.spot.area in inside:
                self._around[record.traced.spot.area][record.key] = record

    # --- the hooks of the shelf ---

    def _fetch_record(self, key: Key) -> None:
        self._bring_keys([key])

    def _fetch_bundle(self, number: int) -> None:
        if number not in self.bundles and self._new("bundle", [number]):
            self._bring_bundles(_BUNDLES.c.id, [number])

    def _fetch_cluster(self, name: str) -> None:
        if name not in self.clusters:
            self._bring_clusters([name])

    def _fetch_near(self, looks: Collection[Contact], areas: Collection[int]) -> None:
        self._bring_slots(rows.slot(look, area) for look in looks for area in areas)

    def _fetch_copies(self, value: int, bits: int) -> None:
        self._bring_copies([value], bits)

    def _fetch_comparable(self, spot: Spot, near_m: float, unclear: bool, but: Collection[int]) -> None:
        areas = areas_around(spot)
        self._bring_comparable(areas, 2 if unclear else 1)
        there = [record for area in areas for record in self._around.get(area, {}).values()]
        # Pictures are large, so only those near enough are brought in.
        self._fetch_features([r for r in there if r.bundle not in but and within(r.traced.spot, spot, near_m)])

    def _fetch_hinted(self, item: Traced, but: Collection[int]) -> None:
        slots = [rows.hint_slot(hint, area) for hint in item.hints for area in hint_places(item)]
        self._bring_hints(slots)
        found = (record for slot in slots for record in self._hinted.get(slot, ()))
        self._fetch_features([r for r in found if r.bundle not in but and not told_by_place(item, r.traced)])

    def _fetch_features(self, records: Collection[Record]) -> None:
        stored = {r.number: r for r in records if r.key in self.stored and not r.traced.comparable}
        for part in in_parts(sorted(self._new("features", stored))):
            for row in self.session.execute(select(_FEATURES).where(_FEATURES.c.sighting.in_(part))):
                record = stored[row.sighting]
                whole = rows.with_features(record.traced.sighting, row.features)
                self.change(record, traced=trace(whole, self.settings))
                _, bundle, spare = self.stored[record.key]
                self.stored[record.key] = (record.traced, bundle, spare)

    def _fetch_walls(self, look: Contact) -> bool:
        number = rows.wall(look)
        last, page = self._pages.get(number, (0, _PAGE))
        if not page:
            return False
        near = select(_LOOKS.c.sighting).where(_LOOKS.c.wall == number, _LOOKS.c.sighting > last)
        ids = list(self.session.scalars(near.order_by(_LOOKS.c.sighting).limit(page)))
        self._bring(_SIGHTINGS.c.id, ids)
        self._turn(number, ids, page)
        return bool(ids)

    def _turn(self, number: int, ids: Sequence[int], page: int) -> None:
        """Note where the next page of a look begins; pages grow, as two places tell enough mostly, and all are needed seldom."""
        self._pages[number] = (ids[-1], 4 * page) if len(ids) == page else (0, 0)

    def _bring_walls(self, numbers: Sequence[int]) -> None:
        """Bring in the first page of where each of these looks is seen."""
        if not self._postgresql or not numbers:
            return
        found: dict[int, list[int]] = {number: [] for number in numbers}
        for number, sighting in self.session.execute(_FIRST_PAGES, {"walls": list(found), "page": _PAGE}):
            found[number].append(sighting)
        self._bring(_SIGHTINGS.c.id, sorted({sighting for ids in found.values() for sighting in ids}))
        for number, ids in found.items():
            self._turn(number, sorted(ids), _PAGE)

    def _fetch_loose(self, looks: Collection[Contact], targets: Collection[Target]) -> None:
        self._bring_slots(rows.slot(look, 0) for look in looks)

    def _fetch_alike(self, evidence: ContactEvidence) -> None:
        for number in self._new("evidence", [rows.evidence_code(evidence)]):
            self._bring(_SIGHTINGS.c.evidence, [number], _SIGHTINGS.c.spot.is_(None))

    def _fetch_members(self, bundle: int) -> None:
        own = self.bundles.get(bundle)
        whole = bundle > self.start["bundle"] or (own is not None and len(self._index.members.get(bundle, ())) >= own.size)
        if not whole and self._new("members", [bundle]):
            self._bring(_SIGHTINGS.c.bundle, [bundle])

    def _fetch_component(self, component: int) -> None:
        if component <= self.start["bundle"] and self._new("component", [component]):
            self._bring_bundles(_BUNDLES.c.component, [component])

    def _fetch_bundles_of(self, cluster: str) -> None:
        if cluster in self.stored_clusters and self._new("bundles of", [cluster]):
            self._bring_bundles(_BUNDLES.c.cluster, [cluster])

    def _fetch_rules(self, keys: Collection[Key]) -> None:
        for part in in_parts(sorted(self._new("rules", keys))):
            a, b = tuple_(_RULES.c.a_photo, _RULES.c.a_advert), tuple_(_RULES.c.b_photo, _RULES.c.b_advert)
            for row in self.session.execute(select(_RULES).where(or_(a.in_(part), b.in_(part)))):
                rule = rows.rule_from(row)
                if (rule.a, rule.b) not in self._rules:
                    Shelf.add_rule(self, rule)

    # --- writing back ---

    def save(self) -> None:
        """Write everything that has changed. The shelf must not be used afterwards."""
        run = self.session.execute
        _write(run, _CLUSTERS, [rows.cluster_row(cluster) for cluster in self.clusters.values()], self.stored_clusters)
        _write(run, _BUNDLES, [rows.bundle_row(bundle) for bundle in self.bundles.values()], self.stored_bundles)
        new = [record for record in self.records.values() if record.key not in self.stored]
        if new:
            run(insert(_SIGHTINGS), [rows.sighting_row(record) for record in new])
        changed = [record for record in self.records.values() if record.key in self.stored and self._has_changed(record)]
        # What their rows of looks say depends on their words.
        self._fetch_features([record for record in changed if self.stored[record.key][2] != record.spare])
        self._save_changed(changed)
        self._save_details([record for record in new if record not in changed])
        gone = [number for number in self.stored_bundles if number not in self.bundles]
        for part in in_parts(gone):
            run(delete(_BUNDLES).where(_BUNDLES.c.id.in_(part)))
        for rule in self.new_rules:
            run(delete(_RULES).where(tuple_(*_RULES.primary_key.columns).in_([(*rule.a, *rule.b)])))
            run(insert(_RULES), rows.rule_row(rule))
        if self.events:
            run(insert(ClusterEventRow), [rows.event_row(event) for event in self.events])
        if self._last != self.start:
            run(update(ClusterHeadRow).values(**self._last))

    def _has_changed(self, record: Record) -> bool:
        return self.stored[record.key] != (record.traced, record.bundle, record.spare)

    def _save_changed(self, changed: Sequence[Record]) -> None:
        moved = [{"_id": r.number, "_bundle": r.bundle, "_spare": r.spare} for r in changed]
        if moved:
            to: dict[str, Any] = {"bundle": bindparam("_bundle"), "spare": bindparam("_spare")}
            self.session.connection().execute(update(_SIGHTINGS).where(_SIGHTINGS.c.id == bindparam("_id")).values(to), moved)
        seen_anew = [record for record in changed if self.stored[record.key][0] is not record.traced]
        for record in seen_anew:
            self.session.execute(update(_SIGHTINGS).where(_SIGHTINGS.c.id == record.number).values(rows.sighting_row(record)))
            self.session.execute(delete(_BANDS).where(_BANDS.c.sighting == record.number))
            self.session.execute(delete(_FEATURES).where(_FEATURES.c.sighting == record.number))
        respared = [r for r in changed if r in seen_anew or self.stored[r.key][2] != r.spare]
        for part in in_parts([record.number for record in respared]):
            self.session.execute(delete(_LOOKS).where(_LOOKS.c.sighting.in_(part)))
        self._save_details(respared, looks_only=[record for record in respared if record not in seen_anew])

    def _save_details(self, records: Sequence[Record], looks_only: Sequence[Record] = ()) -> None:
        whole = [record for record in records if record not in looks_only]
        found: list[tuple[Any, list[dict[str, Any]]]] = [
            (_LOOKS, [row for record in records for row in rows.look_rows(record)]),
            (_BANDS, [row for record in whole for row in rows.band_rows(record)]),
            (_FEATURES, [row for record in whole for row in rows.feature_rows(record)]),
        ]
        for table, added in found:
            if added:
                self.session.execute(insert(table), added)


def _write(run: Any, table: Any, now: Iterable[dict[str, Any]], before: Mapping[Any, dict[str, Any]]) -> None:
    """Insert the rows that are new and update those that are not as they were; ``before`` is by ``id``."""
    new, changed = [], []
    for row in now:
        if row["id"] not in before:
            new.append(row)
        elif row != before[row["id"]]:
            changed.append({f"_{name}": value for name, value in row.items()})
    if new:
        run(insert(table), new)
    if changed:
        values: dict[str, Any] = {name[1:]: bindparam(name) for name in changed[0] if name != "_id"}
        run(update(table).where(table.c.id == bindparam("_id")).values(values), changed)
