"""Reads one report: its photos, its video, its web addresses. The way of a photo is that of ``tagtrace score --store``.

Everything but the end may be done twice without being seen twice: an analysis that is in the store is not made again, sightings
are put in once, and only who holds the job may end it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from ...contract import Advert, Analysis, Failure, FailureCode, Flag, IdentifierKind, Link, Outcome, Photo
from ...inference.decode import DecodeSettings, decode
from ...inference.identifiers import extract_text
from ...linking.clusters import Key
from ...linking.features import AdvertFeatures, extract_features
from ...linking.pictures import picture_hash
from ...linking.shops import Shops, link_advert
from ...linking.store import Store
from ...linking.store import jobs as job_rows
from ...linking.store import reports as rows
from ...linking.store.analyses import is_analysed, made_by
from ...linking.store.beside import MediaState
from ...linking.store.clusters import clusters_of, put_sightings
from ...linking.store.drift import add_seen
from ...linking.store.jobs import Lease
from ...linking.store.loading import latest_with_links
from ...linking.store.measures import observe
from ...linking.store.media import media_of
from ...linking.store.photos import PhotoFiles
from ...linking.store.report_tables import ReportPhotoRow, ReportRow
from ...linking.store.reports import FileKind, NewFile, ReportState
from ...linking.store.resources import register
from ...linking.store.tracks import begin as begin_tracks
from ...scoring.build import Engine
from ...scoring.drift import seen_in
from ...scoring.past import StorePast
from ...scoring.placing import FeaturesOf, place_all, sighting_of
from ...scoring.settings import ScoreSettings
from ...scoring.storing import keep
from ..register import Register
from ..reports.view import identifier_view
from ..settings import ServiceSettings
from .fetching import fetch_media
from .measures import of_analysis
from .video import sharpest_frames

_POINT = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
"""Web addresses lie in no photo."""
_POISON = "poison"
_PERSONAL = frozenset({IdentifierKind.PHONE, IdentifierKind.WHATSAPP, IdentifierKind.EMAIL, IdentifierKind.SIGNAL})
_UNREGISTERED = frozenset({str(Flag.PROTECTED), str(Flag.UNSURE), str(Flag.OBSOLETE)})
_log = structlog.get_logger(__name__)


class LostLease(Exception):
    """The job was withdrawn, or given to another worker: nothing more of it may be written."""


@dataclass(slots=True)
class _Read:
    """What was read of the photos of a report in this attempt."""

    analyses: list[tuple[Analysis, int | None]]
    features: dict[Key, AdvertFeatures]


class ReportReader:
    """Reads reports with one engine. Not to be shared between threads."""

    def __init__(self, engine: Engine, settings: ServiceSettings, store: Store, files: PhotoFiles) -> None:
        self._engine = engine
        self._settings = settings
        self._store = store
        self._files = files
        self._score = score_settings(settings)
        self._described = {**self._score.to_json(), "engine": dict(engine.settings)}
        self._register = Register(store, settings.register_refresh_s)

    def read(self, lease: Lease) -> None:
        """Read a report and end its job. Raises ``LostLease``, or whatever went wrong, for another attempt."""
        now = rows.now_utc()
        report = self._store.write(lambda session: self._begin(session, lease, now), _actor(lease))
        fetch_media(report.id, self._store, self._files, self._settings, _actor(lease))
        self._take_frames(report)
        with self._store.read() as session:
            files = [file for file in rows.files_of(session, report.id) if file.kind != FileKind.VIDEO]
        new = [file for file in files if not self._is_done(file)]
        found = self._analyse(report, new)
        shops = self._register.shops()
        past = StorePast(self._store, frozenset(file.sha256 for file in files), self._score.clusters)
        placing = replace(self._score.placing, extract=self._score.pipeline.extract)
        features_of = _asked(found.features)
        results = place_all(found.analyses, shops, self._score.links, self._score.clusters, placing, features_of, past)
        keep(self._store, results, self._described, self._score.clusters, features_of, now)
        self._place_missing([file for file in files if file not in new], now)
        contacts = self._contacts(report, not files, shops)
        self._store.write(lambda session: self._end(session, lease, report, files, found, contacts), _actor(lease))

    def _begin(self, session: Any, lease: Lease, now: datetime) -> ReportRow:
        report = rows.get_report(session, lease.report_id)
        if report is None:
            raise LostLease
        if report.state == ReportState.RECEIVED:
            rows.set_report_state(session, report.id, ReportState.READING, now)
        return report

    def _take_frames(self, report: ReportRow) -> None:
        """Keep the best frames of a video as photos of the report, unless that was done."""
        with self._store.read() as session:
            files = rows.files_of(session, report.id)
        if any(file.kind == FileKind.FRAME for file in files):
            return
        for video in (file for file in files if file.kind == FileKind.VIDEO):
            with self._files.opened(video.sha256) as opened:
                frames = sharpest_frames(opened, self._settings)
            made = [(NewFile(self._files.put(f.data), len(f.data), FileKind.FRAME), f.at_s) for f in frames]
            self._store.write(lambda session, made=made: rows.add_frames(session, report.id, made))  # type: ignore[misc]
            if not frames:
                why = "no frame of the video could be read; send it again"
                self._store.write(
                    lambda session, n=video.number, why=why: rows.fail_file(session, report.id, n, "unsupported", why)  # type: ignore[misc]
                )

    def _is_done(self, file: ReportPhotoRow) -> bool:
        """Whether a photo was analysed by these models with these settings: in an earlier attempt, or for another report."""
        maker = made_by(Analysis("", file.sha256, 0, 0, models=self._engine.models), self._described)
        with self._store.read() as session:
            return is_analysed(session, file.sha256, maker)

    def _analyse(self, report: ReportRow, files: Sequence[ReportPhotoRow]) -> _Read:
        read = _Read([], {})
        for file in files:
            attempts = self._store.write(lambda session, n=file.number: rows.begin_file(session, report.id, n))  # type: ignore[misc]
            name = f"{report.id}/{file.number}"
            if attempts >= self._settings.job_attempts:
                # Whoever read it died of it; the other photos of the report are not to suffer.
                failure = Failure(FailureCode.INTERNAL, f"{name}: reading it broke off {attempts - 1} times; it was set aside")
                self._fail(report, file, Failure(failure.code, failure.message), _POISON)
                analysis, shape = Analysis(name, file.sha256, 0, 0, failure=failure, models=self._engine.models), None
            else:
                analysis, shape = self._one(report, file, name, read.features)
            read.analyses.append((analysis, shape))
        return read

    def _one(
        self, report: ReportRow, file: ReportPhotoRow, name: str, features: dict[Key, AdvertFeatures]
    ) -> tuple[Analysis, int | None]:
        begin = time.perf_counter()
        photo = decode(self._files.get(file.sha256), name, self._score.decode)
        if isinstance(photo, Failure):
            self._fail(report, file, photo, str(photo.code))
            return Analysis(name, file.sha256, 0, 0, failure=photo, models=self._engine.models), None
        decoded = time.perf_counter() - begin
        found = self._engine.pipeline.analyse([photo])[0]
        if found.failure is not None:
            self._fail(report, file, found.failure, str(found.failure.code))
        features |= _features(photo, found.adverts)
        placed = report.lat is not None
        analysis = replace(
            found,
            seconds=decoded + found.seconds,
            stages=(("decode", decoded), *found.stages),
            lat=report.lat if placed else found.lat,
            lon=report.lon if placed else found.lon,
            taken_at=report.taken_at or found.taken_at,
            report_id=report.id,
        )
        return analysis, picture_hash(photo.pixels)

    def _fail(self, report: ReportRow, file: ReportPhotoRow, failure: Failure, code: str) -> None:
        self._store.write(lambda session: rows.fail_file(session, report.id, file.number, code, failure.message))

    def _place_missing(self, files: Sequence[ReportPhotoRow], now: datetime) -> None:
        """Put in the sightings of photos that were analysed before, where a worker died before it came to that."""
        for file in files:
            with self._store.read() as session:
                held = latest_with_links(session, file.sha256)
                keys = [(file.sha256, n) for n in range(len(held[0].adverts))] if held else []
                if held is None or len(clusters_of(session, keys)) == len(keys):
                    continue
            analysis, links = held
            photo = decode(self._files.get(file.sha256), analysis.name, self._score.decode)
            if isinstance(photo, Failure):
                continue
            features, shape = _features(photo, analysis.adverts), picture_hash(photo.pixels)
            sightings = [
                sighting_of(analysis, shape, n, [link for link in group if link is not None], _asked(features))
                for n, group in enumerate(links)
            ]
            put_sightings(self._store, sightings, at=now, actor="worker", settings=self._score.clusters)

    def _contacts(self, report: ReportRow, alone: bool, shops: Shops) -> list[tuple[str, str, dict[str, Any]]]:
        """The contacts of a report's web addresses, linked; where it brings nothing else (``alone``), those in its words."""
        found = {(item.kind, item.value): item for text in report.web for item in extract_text(str(text))}
        if alone and not report.web:
            # A phone or an e-mail address in somebody's words may well be the reporter's own.
            found = {(item.kind, item.value): item for item in extract_text(report.text) if item.kind not in _PERSONAL}
        advert = Advert(_POINT, identifiers=tuple(found.values()))
        links: tuple[Link, ...] = link_advert(advert, shops, self._score.links)
        return [
            (str(item.kind), item.value, identifier_view(item, link).model_dump(mode="json"))
            for item, link in zip(advert.identifiers, links, strict=True)
        ]

    def _end(
        self,
        session: Any,
        lease: Lease,
        report: ReportRow,
        files: Sequence[ReportPhotoRow],
        found: _Read,
        contacts: Sequence[tuple[str, str, dict[str, Any]]],
    ) -> None:
        """Write down what is seen from outside, all of it or nothing."""
        now = rows.now_utc()
        if not job_rows.finish(session, lease, now):
            raise LostLease
        held = {file.sha256: latest_with_links(session, file.sha256) for file in files}
        seen = {sha256: found[0] for sha256, found in held.items() if found is not None and found[0].failure is None}
        for sha256, analysis in seen.items():
            for number in range(len(analysis.adverts)):
                begin_tracks(session, (sha256, number), now)
        rows.place_photos(session, report.id, {f.sha256: (self._files.url, f.size) for f in files if f.kind == FileKind.FRAME})
        rows.put_contacts(session, report.id, contacts)
        register(session, _plain(contacts), "named in a report")
        observe(session, [item for analysis, _ in found.analyses for item in of_analysis(analysis)])
        add_seen(session, now.date(), Counter(pair for analysis, _ in found.analyses for pair in seen_in(analysis)))
        lost = [row for row in media_of(session, [report.id]) if row.state == MediaState.FAILED]
        failed = bool(files or lost) and not seen and not contacts
        why = "" if not failed else "none of its photos could be read" if files else "its picture could not be fetched"
        rows.set_report_state(session, report.id, ReportState.FAILED if failed else ReportState.READ, now, why)


def score_settings(settings: ServiceSettings) -> ScoreSettings:
    """How photos are read here: as ``tagtrace score`` reads them, within the bounds of the service."""
    return ScoreSettings(reader=settings.reader, decode=DecodeSettings(max_pixels=settings.max_pixels))


def _features(photo: Photo, adverts: Sequence[Advert]) -> dict[Key, AdvertFeatures]:
    return {(photo.sha256, n): extract_features(photo.pixels, advert.quad) for n, advert in enumerate(adverts)}


def _asked(features: Mapping[Key, AdvertFeatures]) -> FeaturesOf:
    return lambda sha256, advert: features.get((sha256, advert))


def _plain(contacts: Sequence[tuple[str, str, dict[str, Any]]]) -> list[tuple[IdentifierKind, str]]:
    """The contacts that become resources: no protected ones, none that stands for another."""
    return [
        (IdentifierKind(kind), value)
        for kind, value, content in contacts
        if not _UNREGISTERED & set(content["flags"]) and (content["link"] or {}).get("outcome") != str(Outcome.MISREAD)
    ]


def _actor(lease: Lease) -> str:
    return f"worker job {lease.job_id}"
