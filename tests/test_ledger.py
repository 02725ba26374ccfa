"""The log of clusters: what it amounts to, and that a damaged one is noticed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tagtrace.contract import TagtraceError
from tagtrace.linking.ledger import Event, EventKind, LedgerState, replay

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
A, B, C, D = ("a", 0), ("b", 0), ("c", 0), ("d", 1)
E = EventKind


def event(number: int, kind: EventKind, cluster: str = "", other: str = "", *keys: tuple[str, int]) -> Event:
    return Event(number, NOON, "test", kind, cluster, other, keys)


LOG = [
    event(1, E.CREATED, "c1", "", A, B),
    event(2, E.CREATED, "c2", "", C),
    event(3, E.JOINED, "c2", "", D),
    event(4, E.SPLIT, "c1", "c3", B),
    event(5, E.LEFT, "c2", "c1", C),
    event(6, E.STATE, "c2", "painted_over"),
    event(7, E.MERGED, "c3", "c2"),
    event(8, E.CANNOT_LINK, "", "", B, A),
    event(9, E.MUST_LINK, "", "", A, B),
    event(10, E.STATE, "c3", "back_again"),
    event(11, E.MERGED, "c1", "c3"),
]


def test_what_a_log_amounts_to() -> None:
    state = replay(LOG[:8])
    assert state.clusters == {"c1": {A, C}, "c3": {B, D}}
    assert state.into == {"c2": "c3"} and state.resolve("c2") == "c3" and state.states == {}
    assert state.rules == {(A, B): False}
    state = replay(LOG[8:], state)
    assert state == LedgerState({"c1": {A, B, C, D}}, {"c2": "c3", "c3": "c1"}, {(A, B): True}, {}, 11)
    assert state.resolve("c2") == "c1"
    assert replay([event(1, E.CREATED, "c", "", A), event(2, E.STATE, "c", "painted_over")]).states == {"c": "painted_over"}


@pytest.mark.parametrize(
    ("added", "words"),
    [
        (event(13, E.CREATED, "c9", "", A), "event 13 .* follows event 11"),
        (event(12, E.CREATED, "c1", "", A), "creates the cluster 'c1' a second time"),
        (event(12, E.SPLIT, "c1", "c2", A), "creates the cluster 'c2' a second time"),
        (event(12, E.JOINED, "c2", "", A), "'c2', which does not exist then"),
        (event(12, E.LEFT, "c1", "c1", ("z", 0)), "takes sightings from c1 that are not in it"),
        (event(12, E.MERGED, "c1", "c7"), "'c7', which does not exist then"),
        (event(12, E.STATE, "c7", "painted_over"), "'c7', which does not exist then"),
    ],
)
def test_a_damaged_log_is_named_by_its_event(added: Event, words: str) -> None:
    with pytest.raises(TagtraceError, match=words):
        replay([*LOG, added])
