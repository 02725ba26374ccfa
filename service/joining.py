"""Making the clusters of two adverts one by an expert's word, and taking that back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..contract import TagtraceError
from ..linking.sightings import Key
from ..linking.store.audit import actor_of, note
from ..linking.store.clusters import clusters_of, open_book
from ..linking.store.reviews import Review


def join_adverts(session: Any, keep: Key, other: Key, why: str, now: datetime) -> dict[str, Any]:
    """Merge the cluster of ``other`` into that of ``keep``; gives what is needed to take it back.

    Raises ``TagtraceError`` where one is in no cluster, or both are in one already.
    """
    names = clusters_of(session, [keep, other])
    missing = [f"{photo[:12]}-{number}" for photo, number in (keep, other) if (photo, number) not in names]
    if missing:
        raise TagtraceError(f"{missing[0]}: is in no cluster yet")
    if names[keep] == names[other]:
        raise TagtraceError(f"they are together already, in {names[keep]}")
    said = (why.strip() or "an expert says that they are the same",)
    with open_book(session) as book:
        moved = [list(sighting.key) for sighting in book.sightings(names[other])]
        events = book.merge(names[keep], names[other], at=now, actor=actor_of(session), why=said)
    note(session, "clusters.merge", f"{names[other]} -> {names[keep]}", {"why": said[0], "events": [e.number for e in events]})
    return {"same_as": f"{keep[0]}-{keep[1]}", "cluster": names[keep], "merged": names[other], "moved": moved}


def part_adverts(session: Any, review: Review, now: datetime) -> None:
    """Take the sightings that a decision brought into a cluster out of it again; those that left meanwhile stay away."""
    moved = [(str(photo), int(number)) for photo, number in review.details.get("moved", ())]
    names = clusters_of(session, moved)
    cluster = names.get(review.key)
    together = [key for key in moved if names.get(key) == cluster]
    if cluster is None or not together:
        return
    with open_book(session) as book:
        if len(together) == len(book.sightings(cluster)):
            return
        events = book.split(cluster, together, at=now, actor=actor_of(session), why=("a decision was taken back",))
    note(session, "clusters.split", cluster, {"undoes": review.id, "events": [event.number for event in events]})
