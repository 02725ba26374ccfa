"""How many uploads are unpacked and written at a time: memory is bounded, and honest photos do not wait for monstrous ones."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from .problems import ProblemError
from .settings import ServiceSettings


class Budget:
    """An amount that many share: whoever holds a part of it gives it back; the smallest wish goes first. Of one event loop."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._turn = itertools.count()

    @asynccontextmanager
    async def hold(self, amount: int, wait_s: float) -> AsyncIterator[None]:
        """Hold an amount, at most ``total``, while the block runs. Raises ``TimeoutError`` after ``wait_s`` in vain."""
        if amount > self._free:
            granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (amount, next(self._turn), granted))
            try:
                async with asyncio.timeout(wait_s):
                    await granted
            except BaseException:
                if granted.done() and not granted.cancelled():
                    # Granted in the same moment: somebody else can have it.
                    self._give_back(amount)
                raise
        else:
            self._free -= amount
        try:
            yield
        finally:
            self._give_back(amount)

    def _give_back(self, amount: int) -> None:
        self._free += amount
        while self._waiting and (self._waiting[0][2].cancelled() or self._waiting[0][0] <= self._free):
            wish, _, granted = heapq.heappop(self._waiting)
            if not granted.cancelled():
                self._free -= wish
                granted.set_result(None)


@dataclass(frozen=True, slots=True)
class Gate:
    """What uploads have to pass."""

    cheap: ThreadPoolExecutor
    """Threads for photos that are cheap to unpack: they take them in the order in which they came."""
    dear: Budget
    """Bytes of memory, for all others and for videos."""
    wait_s: float
    retry_after_s: int

    @classmethod
    def make(cls, settings: ServiceSettings) -> Gate:
        """A gate by the settings."""
        cheap = ThreadPoolExecutor(settings.uploads_at_once, "upload")
        return cls(cheap, Budget(settings.check_bytes), settings.check_wait_s, settings.retry_after_s)

    def close(self) -> None:
        """End its threads."""
        self.cheap.shutdown()

    @asynccontextmanager
    async def memory(self, amount: int) -> AsyncIterator[None]:
        """So many bytes to unpack something in; ``ProblemError`` 503 when they do not become free."""
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(self.dear.hold(min(amount, self.dear.total), self.wait_s))
            except TimeoutError:
                headers = {"Retry-After": str(self.retry_after_s)}
                raise ProblemError(503, "Too many large files come in at once; come back later.", "busy", headers) from None
            yield
