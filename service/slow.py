"""A web server that does not wait for ever: connections that never finish the header of a request are closed."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def protocol(header_timeout_s: float) -> type[H11Protocol]:
    """The protocol class for uvicorn with this time from a connection (or the last request on it) to a whole header."""

    class Impatient(H11Protocol):
        """Closes connections that stay without a request."""

        _due: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            """Start the clock."""
            super().connection_made(transport)
            self._due = self.loop.call_later(header_timeout_s, self._look)

        def connection_lost(self, exc: Exception | None) -> None:
            """Stop it."""
            if self._due is not None:
                self._due.cancel()
            super().connection_lost(exc)

        def _look(self) -> None:
            # A request that has begun is bounded by the time for its body; an idle connection by the keep-alive.
            if self.cycle is None:
                self.transport.close()

    return Impatient
