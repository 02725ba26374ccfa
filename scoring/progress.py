"""How a run shows where it is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class ProgressView(Protocol):
    """What a run tells while it runs. A context manager: leaving it ends the display."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def begin(self, total: int | None, done: int) -> None:
        """``total`` photos are to be scored (None: not known yet), ``done`` of them were before."""

    def expect(self, total: int) -> None:
        """It is known now how many photos are to be scored."""

    def advance(self, *, failed: bool) -> None:
        """One more photo is done."""

    def say(self, words: str) -> None:
        """Something people should know now."""


def progress_view(console: Console, every_s: float) -> ProgressView:
    """A bar when ``console`` is a terminal, else a plain line every ``every_s`` seconds."""
    return BarView(console) if console.is_terminal else PlainView(console, every_s)


class SilentView:
    """No display."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return

    def begin(self, total: int | None, done: int) -> None:
        """See ``ProgressView``."""

    def expect(self, total: int) -> None:
        """See ``ProgressView``."""

    def advance(self, *, failed: bool) -> None:
        """See ``ProgressView``."""

    def say(self, words: str) -> None:
        """See ``ProgressView``."""


class BarView(SilentView):
    """A bar with count, rate and time left."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            _Failed(),
            console=console,
        )
        self._task = self._progress.add_task("loading", total=None, failed=0)
        self._failed = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, total: int | None, done: int) -> None:
        """See ``ProgressView``."""
        # Started anew, so that photos of an earlier run do not count in the rate.
        self._progress.reset(self._task, total=total, completed=done, description="scoring")

    def expect(self, total: int) -> None:
        """See ``ProgressView``."""
        self._progress.update(self._task, total=total)

    def advance(self, *, failed: bool) -> None:
        """See ``ProgressView``."""
        self._failed += failed
        self._progress.update(self._task, advance=1, failed=self._failed)

    def say(self, words: str) -> None:
        """See ``ProgressView``."""
        self._progress.update(self._task, description=words)


class PlainView(SilentView):
    """A line now and then: count, rate, time left, failures."""

    def __init__(self, console: Console, every_s: float) -> None:
        self._console = console
        self._every_s = every_s
        self._total: int | None = 0
        self._done = self._new = self._failed = 0
        self._begun = self._said = time.monotonic()

    def begin(self, total: int | None, done: int) -> None:
        """See ``ProgressView``."""
        self._total, self._done = total, done
        self._begun = self._said = time.monotonic()
        if total is not None:
            self.say(f"{total} photos" + (f", {done} of them done before" if done else ""))

    def expect(self, total: int) -> None:
        """See ``ProgressView``."""
        if self._total is None:
            self.say(f"{total} photos")
        self._total = total

    def advance(self, *, failed: bool) -> None:
        """See ``ProgressView``."""
        self._done += 1
        self._new += 1
        self._failed += failed
        now = time.monotonic()
        if now - self._said < self._every_s and (self._total is None or self._done < self._total):
            return
        self._said = now
        rate = self._new / max(now - self._begun, 1e-9)
        failures = f", {self._failed} failed" if self._failed else ""
        if self._total is None:
            self.say(f"{self._done} photos, {rate:.2f} photos/s{failures}")
            return
        left = (self._total - self._done) / rate
        self.say(f"{self._done}/{self._total} photos, {rate:.2f} photos/s, {_duration(left)} left{failures}")

    def say(self, words: str) -> None:
        """See ``ProgressView``."""
        self._console.print(words, markup=False, highlight=False, soft_wrap=True)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} photos/s")


class _Failed(ProgressColumn):
    def render(self, task: Task) -> Text:
        count = task.fields.get("failed", 0)
        return Text(f"{count} failed" if count else "", style="red")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
