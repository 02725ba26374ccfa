"""Clusters, adverts, shops and resources: lists with filters, and one at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from ...contract import IdentifierKind, Outcome, TagtraceError
from ...linking.life import ResourceState
from ...linking.shelf import PaintState
from ...linking.store import lists, reviews, shops
from ...linking.store import resources as resource_rows
from ...linking.store.clusters import cluster_events, read_book
from ...linking.store.tracks import follow_resource
from ...linking.store.verdicts import not_taken_back
from ..access import Principal, Role, Scope, allow
from ..problems import InvalidField, ProblemError, problems
from ..state import StateDep
from . import paging
from .views import (
    AdvertLine,
    AdvertView,
    ClusterEventView,
    ClusterLine,
    ClusterView,
    ContactView,
    ResourceLine,
    ResourceView,
    ReviewView,
    ShopLine,
    ShopView,
    Step,
    StepView,
)

router = APIRouter(prefix="/v1", tags=["register"])
Reader = Annotated[Principal, allow(Role.INTAKE, Role.ANALYST, Role.EXPERT, Scope.REGISTER_READ)]
Expert = Annotated[Principal, allow(Role.EXPERT)]
AdvertKey = Annotated[str, Path(pattern=r"^[0-9a-f]{64}-[0-9]{1,4}$", description="SHA-256 of the photo, and number in it.")]
Name = Annotated[str, Path(pattern=r"^[^\x00/]{1,64}$")]
Number = Annotated[int, Path(ge=1, lt=1 << 53)]
_Text = Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")]
_Since = Annotated[datetime | None, Query(description="From this moment on.")]
_Box = Annotated[
    str | None,
    Query(pattern=r"^-?\d{1,3}(\.\d{1,12})?(,-?\d{1,3}(\.\d{1,12})?){3}$", description="West, south, east, north in degrees."),
]


@router.get("/adverts", summary="List adverts", responses=problems(401, 403, 422, 429))
def list_adverts(
    state: StateDep,
    _: Reader,
    photo: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")] = None,
    report: Annotated[str | None, Query(pattern=r"^[0-9a-f]{28}$")] = None,
    cluster: _Text = None,
    shop: _Text = None,
    kind: IdentifierKind | None = None,
    value: Annotated[str | None, Query(max_length=2000, pattern=r"^[^\x00]*$")] = None,
    outcome: Outcome | None = None,
    reviewed: Annotated[bool | None, Query(description="Whether a decision of a person stands on it.")] = None,
    since: _Since = None,
    until: _Since = None,
    box: _Box = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> paging.Page[AdvertLine]:
    """The newest first."""
    wanted = lists.AdvertFilter(
        photo, report, cluster, shop, kind, value, outcome, reviewed, moment(since), moment(until), read_box(box)
    )
    with state.store.read() as session:
        found = lists.adverts(session, wanted, paging.number(cursor), limit + 1)
        said = last_reviews(session, found[:limit])
    following = paging.encode(found[limit - 1].id) if len(found) > limit else None
    return paging.Page[AdvertLine](items=[advert_line(item, said.get(item.key)) for item in found[:limit]], next=following)


@router.get("/adverts/{key}", summary="One advert", responses=problems(401, 403, 404, 422, 429))
def show_advert(state: StateDep, _: Reader, key: AdvertKey) -> AdvertView:
    """As the latest analysis of its photo has it."""
    with state.store.read() as session:
        found = one_advert(session, key)
        history = reviews.reviews_of(session, [found.key])
    last = _last(history)
    shown = None if last is None else review_view(last)
    return AdvertView(**_advert(found), review=shown, reviews=[review_view(item) for item in history])


@router.get("/clusters", summary="List clusters", responses=problems(401, 403, 422, 429))
def list_clusters(
    state: StateDep,
    _: Reader,
    paint: Annotated[PaintState | None, Query(alias="state")] = None,
    least: Annotated[int, Query(ge=1, le=1_000_000, description="Sightings at least.")] = 1,
    since: _Since = None,
    box: _Box = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> paging.Page[ClusterLine]:
    """By age. A cluster is all sightings of one physical advert."""
    after, place = paging.number(cursor), read_box(box)
    with state.store.read() as session:
        found = lists.clusters(session, state=paint, least=least, since=moment(since), box=place, after=after, limit=limit + 1)
    following = paging.encode(found[limit - 1].number) if len(found) > limit else None
    return paging.Page[ClusterLine](items=[_cluster(row) for row in found[:limit]], next=following)


@router.get("/clusters/{cluster}", summary="One cluster", responses=problems(401, 403, 404, 422, 429))
def show_cluster(state: StateDep, _: Reader, cluster: Name) -> ClusterView:
    """An id that was merged leads to the cluster that it became."""
    with state.store.read() as session:
        book = read_book(session)
        try:
            found = book.cluster(cluster)
        except TagtraceError as error:
            raise missing("cluster", cluster) from error
        members = [f"{sighting.photo}-{sighting.advert}" for sighting in book.sightings(found.id)]
        events = [
            ClusterEventView(number=e.number, at=e.at, actor=e.actor, kind=str(e.kind), why=list(e.why))
            for e in cluster_events(session, found.id)
        ]
    line = _cluster_values(found.id, found.size, str(found.state), found.facts.first_seen, found.facts.last_seen)
    return ClusterView(**line, redirected_from=None if found.id == cluster else cluster, adverts=members, events=events)


@router.get("/shops", summary="List shops", responses=problems(401, 403, 422, 429))
def list_shops(
    state: StateDep, _: Reader, q: _Text = None, cursor: paging.Cursor = None, limit: paging.Limit = 50
) -> paging.Page[ShopLine]:
    """By id. `q` is a part of the id, the name or a contact; Cyrillic letters that look Latin find Latin ones."""
    with state.store.read() as session:
        found = lists.shops(session, q, paging.word(cursor), limit + 1)
    following = paging.encode(found[limit - 1][0]) if len(found) > limit else None
    items = [ShopLine(id=number, name=name, resources=count) for number, name, count in found[:limit]]
    return paging.Page[ShopLine](items=items, next=following)


@router.get("/shops/{shop}", summary="One shop", responses=problems(401, 403, 404, 422, 429))
def show_shop(state: StateDep, _: Reader, shop: Name) -> ShopView:
    """With its first 1,000 contacts; an id that was merged leads to the shop that it became."""
    with state.store.read() as session:
        try:
            found = shops.get_shop(session, shop)
        except TagtraceError as error:
            raise missing("shop", shop) from error
        held = lists.resources(session, states=(), kind=None, shop=found.id, text=None, after=None, limit=1000)
    contacts = [_resource(item) for item in held]
    return ShopView(
        id=found.id,
        name=found.name,
        resources=found.resources,
        former_ids=list(found.former_ids),
        links=found.links,
        contacts=contacts,
    )


@router.get("/resources", summary="List resources", responses=problems(401, 403, 422, 429))
def list_resources(
    state: StateDep,
    _: Reader,
    life: Annotated[list[ResourceState], Query(alias="state", max_length=6)] = [],  # noqa: B006 (FastAPI copies it)
    kind: IdentifierKind | None = None,
    shop: _Text = None,
    q: _Text = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> paging.Page[ResourceLine]:
    """By number. `q` is a part of the value; Cyrillic letters that look Latin find Latin ones."""
    after = paging.number(cursor)
    with state.store.read() as session:
        found = lists.resources(session, states=life, kind=kind, shop=shop, text=q, after=after, limit=limit + 1)
    following = paging.encode(found[limit - 1].id) if len(found) > limit else None
    return paging.Page[ResourceLine](items=[_resource(item) for item in found[:limit]], next=following)


@router.get("/resources/{resource}", summary="One resource", responses=problems(401, 403, 404, 422, 429))
def show_resource(state: StateDep, _: Reader, resource: Number) -> ResourceView:
    """With its life: every step, who took it, when and on what basis."""
    with state.store.read() as session:
        return resource_view(session, resource)


@router.post(
    "/resources/{resource}/steps",
    status_code=201,
    summary="Record a step of a resource",
    responses=problems(401, 403, 404, 409, 413, 422, 429),
)
def take_step(state: StateDep, expert: Expert, resource: Number, step: Step) -> ResourceView:
    """Verified, rejected, blocked (with the order's number), restored, or reopened. 409 where a life knows no such step."""
    if step.state is ResourceState.SENT:
        detail = "One person proposes to send a resource for blocking (POST /v1/proposals), another approves."
        raise ProblemError(409, detail, "needs-two-people")

    def change(session: Any) -> ResourceView:
        row = lists.find_resource(session, resource)
        if row is None:
            raise missing("resource", str(resource))
        kind = IdentifierKind(row.kind)
        resource_rows.set_state(session, kind, row.value, step.state, step.basis, step.order_number)
        follow_resource(session, kind, row.value, datetime.now(UTC))
        session.flush()
        return resource_view(session, resource)

    return state.store.write(change, expert.actor)


def missing(what: str, name: str) -> ProblemError:
    """The error for something that is not there."""
    return ProblemError(404, f"There is no {what} {name}.", f"{what}-not-found")


def moment(value: datetime | None) -> datetime | None:
    """A time from a request in UTC; one without a zone is taken as UTC."""
    return None if value is None else (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


def read_box(text: str | None) -> lists.Box | None:
    """The part of the map that ``west,south,east,north`` names. ``ProblemError`` 422 where it is none."""
    if text is None:
        return None
    west, south, east, north = map(float, text.split(","))
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        wrong = InvalidField(field="query.box", message="has to be west,south,east,north in degrees")
        raise ProblemError(422, "These values are wrong: query.box.", "invalid-values", errors=[wrong])
    return lists.Box(south, west, north, east)


def split_key(key: str) -> tuple[str, int]:
    """Photo and number of an advert."""
    photo, _, number = key.partition("-")
    return photo, int(number)


def one_advert(session: Any, key: str) -> lists.ListedAdvert:
    """An advert of a latest analysis. ``ProblemError`` 404 where there is none."""
    photo, number = split_key(key)
    found = lists.adverts(session, lists.AdvertFilter(photo=photo), None, 10_000)
    for item in found:
        if item.key == (photo, number):
            return item
    raise missing("advert", key)


def last_reviews(session: Any, adverts: list[lists.ListedAdvert]) -> dict[tuple[str, int], reviews.Review]:
    """What was said last of adverts, of all that was not taken back."""
    said = not_taken_back(reviews.reviews_of(session, [advert.key for advert in adverts]))
    return {item.key: item for item in said}


def _last(history: list[reviews.Review]) -> reviews.Review | None:
    said = not_taken_back(history)
    return said[-1] if said else None


def review_view(item: reviews.Review) -> ReviewView:
    """A review for an answer."""
    return ReviewView(id=item.id, at=item.at, actor=item.actor, verdict=str(item.word), why=item.why)


def advert_line(item: lists.ListedAdvert, said: reviews.Review | None) -> AdvertLine:
    """An advert for a list."""
    return AdvertLine(**_advert(item), review=None if said is None else review_view(said))


def resource_view(session: Any, number: int) -> ResourceView:
    """A resource with its life. ``ProblemError`` 404 for an unknown one."""
    found = lists.resources(session, states=(), kind=None, shop=None, text=None, number=number, after=None, limit=1)
    if not found:
        raise missing("resource", str(number))
    steps = [
        StepView(
            from_state=event.old,
            to_state=event.new,
            at=event.at,
            actor=event.actor,
            basis=event.basis,
            order_number=event.order_number,
        )
        for event in resource_rows.events(session, IdentifierKind(found[0].kind), found[0].value)
    ]
    return ResourceView(**_resource(found[0]).model_dump(), steps=steps)


def _advert(item: lists.ListedAdvert) -> dict[str, Any]:
    names = ("received_at", "taken_at", "lat", "lon", "quad", "cluster", "codes")
    contacts = [ContactView(**{name: getattr(contact, name) for name in ContactView.model_fields}) for contact in item.contacts]
    shown = {name: getattr(item, name) for name in names}
    texts, confidences = [text for text, _ in item.texts], [confidence for _, confidence in item.texts]
    key = {"key": f"{item.key[0]}-{item.key[1]}", "photo": item.key[0], "number": item.key[1]}
    return {**key, **shown, "texts": texts, "confidences": confidences, "contacts": contacts}


def _cluster(row: Any) -> ClusterLine:
    return ClusterLine(**_cluster_values(row.id, row.size, row.state, row.first_seen, row.last_seen))


def _cluster_values(name: str, size: int, state: str, first_seen: datetime | None, last_seen: datetime | None) -> dict[str, Any]:
    return {"id": name, "size": size, "state": state, "first_seen": first_seen, "last_seen": last_seen}


def _resource(item: lists.ListedResource) -> ResourceLine:
    return ResourceLine(**{name: getattr(item, name) for name in ResourceLine.model_fields})
