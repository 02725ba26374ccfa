"""Who has which advert before them: two experts at work at once are not shown the same one."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

CLAIM_S = 300.0
"""So long an advert is kept for whom it is shown to."""


@dataclass(slots=True)
class Claims:
    """Held in this process; where several processes serve, a decision that comes second is refused instead."""

    _held: dict[str, tuple[str, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of_others(self, actor: str) -> list[str]:
        """What others have before them."""
        with self._lock:
            now = time.monotonic()
            self._held = {wall: held for wall, held in self._held.items() if held[1] > now}
            return [wall for wall, (who, _) in self._held.items() if who != actor]

    def take(self, wall: str, actor: str) -> None:
        """Somebody has an advert before them, and no other any more."""
        with self._lock:
            until = time.monotonic() + CLAIM_S
            self._held = {other: held for other, held in self._held.items() if held[0] != actor}
            self._held[wall] = (actor, until)


CLAIMS = Claims()
