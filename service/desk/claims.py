"""Who has which advert before them: two experts at work at once are not shown the same one, whatever process serves them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ...linking.store import Store, waiting
from ...linking.store.holds import held_by_others, hold
from ...linking.store.queue import Chosen, Entry, next_entries
from ..settings import ServiceSettings

_TRIES = 5
"""Experts who look for their next advert in the same moment may want the same one so often."""
ACTOR = "desk"
"""Who brings adverts back, in the audit log."""
_MOST_BACK = 100
"""Adverts brought back at once; the next look at the queue brings further ones."""


def bring_back(store: Store, settings: ServiceSettings) -> None:
    """Put adverts that have waited for another photo long enough into the queue again."""
    moment = datetime.now(UTC) - timedelta(days=settings.wait_for_photo_days)
    with store.read() as session:
        if not waiting.is_due(session, moment):
            return
    store.write(lambda session: waiting.bring_back(session, moment, _MOST_BACK), ACTOR)


def next_for(
    store: Store, settings: ServiceSettings, actor: str, since: datetime, part: Chosen, ahead: int, keep: bool
) -> list[Entry]:
    """The next entry for somebody and ``ahead`` others behind it, without what others have before them.

    With ``keep`` the first one is theirs for ``desk_hold_s`` seconds, and what they had before is free again.
    """
    found: list[Entry] = []
    for _ in range(_TRIES):
        now = datetime.now(UTC)
        with store.read() as session:
            taken = held_by_others(session, actor, now)
            found = next_entries(session, actor, since, chosen=part, without=taken, limit=1 + ahead)
        if not found or not keep or take(store, settings, actor, found[0].wall):
            break
    return found


def take(store: Store, settings: ServiceSettings, actor: str, wall: str) -> bool:
    """Somebody has an advert before them, and no other any more. False where another one has it: it stays theirs."""
    now = datetime.now(UTC)
    until = now + timedelta(seconds=settings.desk_hold_s)
    return store.write(lambda session: hold(session, wall, actor, now, until), actor)
