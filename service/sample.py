"""A store to try the service and the review desk with: the sample register, its photos as reports of citizens, and people."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from pathlib import Path

from ..contract import TagtraceError
from ..linking.store import Store, lists
from ..linking.store import people as person_rows
from ..linking.store import reports as rows
from ..linking.store.importing import import_shop_list
from ..linking.store.photos import PhotoFiles
from ..linking.store.reports import NewFile, NewReport
from ..scoring.build import build_engine
from .access import Role, people
from .jobs.reading import ReportReader, score_settings
from .jobs.worker import Worker
from .settings import ServiceSettings

OWNER = "sample"
_RETRY = timedelta(days=1)
PEOPLE: tuple[tuple[str, str, frozenset[Role]], ...] = (
    ("expert", "Сарапшы 1", frozenset({Role.EXPERT, Role.ANALYST})),
    ("expert2", "Сарапшы 2", frozenset({Role.EXPERT})),
    ("analyst", "Талдаушы", frozenset({Role.ANALYST})),
    ("admin", "Әкімші", frozenset({Role.ADMINISTRATOR})),
)
"""Login, name, roles: two experts, because blocking takes two people."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who can sign in to the sample, with the password."""

    login: str
    password: str
    roles: tuple[str, ...]


def fill(settings: ServiceSettings, tell: Callable[[int, int], None] = lambda done, total: None) -> list[Member]:
    """Fill the store that the settings name, which is made where there is none, and give who may sign in.

    ``tell`` is told how many reports are read, of how many. Raises ``TagtraceError`` for a store that has something in it.
    Broken off while it reads, it leaves a sound store: the service reads the rest.
    """
    with Store.open(settings.store, upgrade=True) as store, _folder() as folder:
        _check_empty(store, settings.store)
        import_shop_list(store, folder / "registry.csv", actor=OWNER)
        members = [_member(store, *person) for person in PEOPLE]
        photos = sorted((folder / "photos").glob("*.jpg"))
        files = PhotoFiles(settings.photos)
        reports = [_report(files, photo) for photo in photos]
        store.write(lambda session: rows.accept_all(session, reports, rows.now_utc(), _RETRY), OWNER)
        reader = ReportReader(build_engine(score_settings(settings)), settings, store, files)
        worker, done = Worker(settings, store, reader), 0
        while worker.step():
            done += 1
            tell(done, len(reports))
    return members


def _check_empty(store: Store, name: str) -> None:
    with store.read() as session:
        held = (
            lists.shops(session, None, None, 1),
            person_rows.list_people(session, limit=1),
            rows.list_reports(session, owner=None, state=None, before=None, limit=1),
        )
    if any(held):
        raise TagtraceError(f"{name}: has shops, people or reports in it already; name a new store with --store")


def _member(store: Store, login: str, name: str, roles: frozenset[Role]) -> Member:
    password = people.new_password()
    people.add(store, login, name, roles, password, OWNER)
    return Member(login, password, tuple(sorted(roles)))


def _report(files: PhotoFiles, photo: Path) -> NewReport:
    data = photo.read_bytes()
    sha256 = files.put(data)
    digest = hashlib.sha256(f"{OWNER} {sha256}".encode()).hexdigest()
    return NewReport(
        OWNER,
        OWNER,
        (NewFile(sha256, len(data)),),
        external_id=photo.stem,
        digest=digest,
        photo_place=files.url,
        actor=OWNER,
    )


@contextmanager
def _folder() -> Iterator[Path]:
    with resources.as_file(resources.files("tagtrace.datasets") / "sample") as folder:
        if not (folder / "registry.csv").is_file():
            raise TagtraceError(f"{folder}: the sample is not there; install tagtrace again, with its data files")
        yield folder
