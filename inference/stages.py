"""Where the seconds of a photo go: each step names itself, and whoever wants to know collects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class _Clock:
    """Seconds by stage. Inside another stage the outer one does not run on, so that the stages add up to the whole."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def switch(self, name: str | None) -> None:
        """Enter the stage ``name``, or leave the innermost one (None)."""
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now
        if name is None:
            self._open.pop()
        else:
            self.seconds.setdefault(name, 0.0)
            self._open.append(name)


_clock: ContextVar[_Clock | None] = ContextVar("tagtrace_stages", default=None)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Count the seconds of this block under ``name``, if anybody collects."""
    clock = _clock.get()
    if clock is None:
        yield
        return
    clock.switch(name)
    try:
        yield
    finally:
        clock.switch(None)


@contextmanager
def collect() -> Iterator[dict[str, float]]:
    """Collect the seconds of all stages inside this block, by name, in the order in which they first began."""
    clock = _Clock()
    token = _clock.set(clock)
    try:
        yield clock.seconds
    finally:
        _clock.reset(token)
