"""Items while they are still being found: a thread lists folders and reads the manifest, ahead of the scoring."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from .inputs import Item, found_in, manifest_rows, settle
from .request import ScoreRequest

_AT_ONCE = 500
"""Items after which the thread rests: finding them takes about as long as the rest."""
_REST_S = 0.01


class Arrivals:
    """What a request asks to score, as it is found.

    Bad lines of a manifest are told when all of it has been read: soon after the start, as reading is faster than scoring.
    """

    def __init__(self, request: ScoreRequest) -> None:
        self._request = request
        self._items: list[Item] = []
        self._found = 0
        """So many of the items come from folders; the rest are rows of the manifest."""
        self._error: Exception | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._read, name="tagtrace-inputs", daemon=True)

    def start(self) -> bool:
        """Look for the first item; False when there is none. Raises what is wrong so far. The others are for ``go_on``."""
        self._thread.start()
        return next(self.items(), None) is not None

    def go_on(self) -> None:
        """Find the others: to be called when there is somebody to score them, so that nobody's start has to wait for this."""
        self._wanted.set()

    def items(self) -> Iterator[Item]:
        """All items in the order in which they are found, waiting for those that are still to come. Raises what went wrong."""
        number = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda n=number: self._ended or len(self._items) > n)  # type: ignore[misc]
                until = len(self._items)
            yield from self._items[number:until]
            number = until
            if self._ended and number == len(self._items):
                break
        if self._error is not None:
            raise self._error

    @property
    def count(self) -> int:
        """Items found so far."""
        return len(self._items)

    def settled(self) -> list[Item]:
        """All items under their final names, in their order; waits for the last one. Raises what went wrong."""
        self.go_on()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return settle(self._items[: self._found], self._items[self._found :])

    def _read(self) -> None:
        request = self._request
        try:
            for item in found_in(request.photos, request.out):
                self._add(item)
            self._found = len(self._items)
            if request.manifest is not None:
                for row in manifest_rows(request.manifest, request.settings.decode.local_utc_offset_hours):
                    self._add(row)
        except Exception as error:  # noqa: BLE001 - it is raised again where the items are wanted
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _add(self, item: Item) -> None:
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()
        self._wanted.wait()
        if len(self._items) % _AT_ONCE == 0:
            time.sleep(_REST_S)
