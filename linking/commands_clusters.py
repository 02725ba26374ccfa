"""The commands ``tagtrace clusters …``: see the clusters of a store, merge and split them, and check their log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ..contract import ExitCode, TagtraceError

if TYPE_CHECKING:
    from .ledger import Event
    from .shelf import Cluster, PaintState
    from .sightings import Key, Sighting
    from .store.clusters import Decision

StoreOption = Annotated[
    str, typer.Option("--store", envvar="TAGTRACE_STORE", help="The store: a path (SQLite) or postgresql://user@host/database.")
]
ByOption = Annotated[str, typer.Option("--by", help="Who decides this; it is written down.", show_default=False)]
WhyOption = Annotated[str, typer.Option("--why", help="Why; it is written down.", show_default=False)]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
_DEFAULT = "tagtrace.db"


def list_clusters(
    store: StoreOption = _DEFAULT,
    state: Annotated[str, typer.Option(help="Only those that are fresh, painted_over or back_again.")] = "",
    least: Annotated[int, typer.Option(min=1, help="Only clusters of so many sightings or more.")] = 1,
    limit: Annotated[int, typer.Option(min=0, help="Only the first so many; 0 for all.")] = 50,
) -> None:
    """List the clusters of a store, the largest first.

    Example:

        tagtrace clusters list --store city.db --state painted_over
    """
    from .store import Store
    from .store.clusters import list_clusters as find

    wanted = _state(state)
    with Store.open(store) as opened, opened.read() as session:
        found = find(session, least=least, state=wanted, limit=limit or None)
    if not found:
        typer.echo("no clusters")
    for cluster in found:
        typer.echo(_line(cluster))


def show(
    cluster: Annotated[str, typer.Argument(help="The id of a cluster, living or merged.", show_default=False)],
    store: StoreOption = _DEFAULT,
) -> None:
    """Show one cluster: when it was seen, its sightings, where its stencil was used elsewhere, and what happened to it.

    Example:

        tagtrace clusters show c0a1b2c3d4e5f-0 --store city.db
    """
    from .store import Store
    from .store.clusters import cluster_events, read_book
    from .store.stencils import stencils_of

    with Store.open(store) as opened, opened.read() as session:
        book = read_book(session)
        found = book.cluster(cluster)
        stencils = stencils_of(session, {found.id}).get(found.id, [])
        sightings = book.sightings(found.id)
        events = list(cluster_events(session, found.id))
        if found.id != cluster:
            typer.echo(f"{cluster} was merged into {found.id}")
    typer.echo(_line(found))
    for sighting in sightings:
        typer.echo("  " + _sighting(sighting))
    for stencil in stencils:
        others = ", ".join(name for name in stencil.clusters if name != found.id)
        typer.echo(f"stencil {stencil.id}, sprayed elsewhere too: {others}")
    typer.echo("log:")
    for event in events:
        typer.echo("  " + _event(event))


def merge(
    into: Annotated[str, typer.Argument(help="A cluster.", show_default=False)],
    other: Annotated[str, typer.Argument(help="Another one that shows the same advert.", show_default=False)],
    by: ByOption,
    why: WhyOption,
    store: StoreOption = _DEFAULT,
    dry_run: DryRunOption = False,
) -> None:
    """Make two clusters one, for good: the older id stays, and the machine does not part them again.

    Example:

        tagtrace clusters merge c0a1b2c3d4e5f-0 c9f8e7d6c5b4a-1 --by Aida --why "same gate, photographed from both sides"
    """
    from .store import Store
    from .store.clusters import merge_clusters

    with Store.open(store) as opened:
        _told(merge_clusters(opened, into, other, _decision(by, why), dry_run=dry_run), dry_run)


def split(
    cluster: Annotated[str, typer.Argument(help="The cluster to take them out of.", show_default=False)],
    sightings: Annotated[
        list[str],
        typer.Argument(help="Sightings as PHOTO/ADVERT; the beginning of the photo's SHA-256 will do.", show_default=False),
    ],
    by: ByOption,
    why: WhyOption,
    store: StoreOption = _DEFAULT,
    dry_run: DryRunOption = False,
) -> None:
    """Take sightings out of a cluster, for good: they become one of their own, and the machine does not join them again.

    Example:

        tagtrace clusters split c0a1b2c3d4e5f-0 9f8e7d6c/0 --by Aida --why "another wall of the same yard"
    """
    from .store import Store
    from .store.clusters import read_book, split_cluster

    with Store.open(store) as opened:
        with opened.read() as session:
            known = [sighting.key for sighting in read_book(session).sightings(cluster)]
        keys = [_named(text, known, cluster) for text in sightings]
        _told(split_cluster(opened, cluster, keys, _decision(by, why), dry_run=dry_run), dry_run)


def stencils(
    store: StoreOption = _DEFAULT,
    again: Annotated[
        bool,
        typer.Option("--again", help="Compare all pictures of the store first, as for a store from before stencils were kept."),
    ] = False,
) -> None:
    """List the stencils: the same lettering in several clusters. One hand holds it; the adverts stay different ones.

    Example:

        tagtrace clusters stencils --store city.db
    """
    from .store import Store
    from .store.stencils import keep_stencils, list_stencils, pictured_keys

    with Store.open(store) as opened:
        if again:
            with opened.read() as session:
                keys = pictured_keys(session)
            typer.echo(f"{len(keys)} pictures compared, {keep_stencils(opened, keys)} matches")
        with opened.read() as session:
            found = list_stencils(session)
    for stencil in found:
        typer.echo(f"{stencil.id}  {len(stencil.clusters)} clusters  {', '.join(stencil.clusters)}")
    if not found:
        typer.echo("no stencils")


def replay(store: StoreOption = _DEFAULT) -> int:
    """Replay the log of clusters from its start and check that it gives what the tables say; nothing is changed.

    Example:

        tagtrace clusters replay --store city.db
    """
    from .store import Store
    from .store.clusters import check_log, last_event

    with Store.open(store) as opened, opened.read() as session:
        count, found = last_event(session), check_log(session)
    for line in found:
        typer.echo(line)
    typer.echo(f"{count} events; " + (f"{len(found)} differences" if found else "the tables are what the log gives"))
    return ExitCode.SOME_FAILED if found else ExitCode.OK


def _decision(by: str, why: str) -> Decision:
    from datetime import UTC, datetime

    from .store.clusters import Decision

    return Decision(datetime.now(UTC), by, why)


def _state(text: str) -> PaintState | None:
    from .shelf import PaintState

    if not text:
        return None
    try:
        return PaintState(text)
    except ValueError:
        raise TagtraceError(f"unknown state {text!r}; known are {', '.join(PaintState)}") from None


def _named(text: str, known: Sequence[Key], cluster: str) -> Key:
    """The sighting of the cluster that ``PHOTO/ADVERT`` means."""
    photo, slash, advert = text.partition("/")
    found = [key for key in known if slash and key[0].startswith(photo.lower()) and str(key[1]) == advert]
    if not slash or not photo or len(found) != 1:
        what = "names several sightings" if len(found) > 1 else "is no sighting"
        raise TagtraceError(f"{text!r} {what} of {cluster}; write PHOTO/ADVERT as `tagtrace clusters show {cluster}` does")
    return found[0]


def _line(cluster: Cluster) -> str:
    facts = cluster.facts
    seen = (
        f"{facts.first_seen:%Y-%m-%d} to {facts.last_seen:%Y-%m-%d}" if facts.first_seen and facts.last_seen else "time unknown"
    )
    return f"{cluster.id}  {cluster.size} sightings  {cluster.state}  {seen}"


def _sighting(sighting: Sighting) -> str:
    place = "place unknown" if sighting.lat is None or sighting.lon is None else f"{sighting.lat:.5f},{sighting.lon:.5f}"
    taken = f"{sighting.taken_at:%Y-%m-%d %H:%M}" if sighting.taken_at else "time unknown"
    contacts = ", ".join(f"{i.kind} {i.value} ({i.confidence:.2f})" for i in sighting.identifiers) or "no contact read"
    return f"{sighting.photo}/{sighting.advert}  {taken}  {place}  {contacts}"


def _event(event: Event) -> str:
    names = " ".join(name for name in (event.cluster, event.other) if name)
    keys = ", ".join(f"{photo[:12]}/{advert}" for photo, advert in event.sightings)
    why = f" because {'; '.join(event.why)}" if event.why else ""
    return f"{event.number}  {event.at:%Y-%m-%d %H:%M}  {event.actor}  {event.kind} {names}" + (f": {keys}" if keys else "") + why


def _told(events: Iterable[Event], dry_run: bool) -> None:
    for event in events:
        typer.echo(_event(event))
    if dry_run:
        typer.echo("nothing was changed (--dry-run)")
