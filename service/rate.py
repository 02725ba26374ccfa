"""Rate limits: so many requests a minute of one caller, and so many at once. Each process counts for itself."""

from __future__ import annotations

import math
import threading
import time

from .problems import ProblemError

_MOST_CALLERS = 10_000


class RateLimit:
    """A bucket of tokens for each caller."""

    def __init__(self, per_minute: float, burst: int) -> None:
        self._per_second = per_minute / 60.0
        self._burst = float(burst)
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def spend(self, caller: str) -> None:
        """One request; ``ProblemError`` 429 with Retry-After when the caller has none left."""
        now = time.monotonic()
        with self._lock:
            tokens, last = self._buckets.pop(caller, (self._burst, now))
            tokens = min(self._burst, tokens + (now - last) * self._per_second)
            self._buckets[caller] = (tokens - 1.0 if tokens >= 1.0 else tokens, now)
            if len(self._buckets) > _MOST_CALLERS:
                # The one that was heard of longest ago; its bucket is the fullest.
                del self._buckets[next(iter(self._buckets))]
        if tokens < 1.0:
            wait = math.ceil((1.0 - tokens) / self._per_second)
            raise ProblemError(429, f"Too many requests; come back in {wait} s.", "too-many-requests", {"Retry-After": str(wait)})
