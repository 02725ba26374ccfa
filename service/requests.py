"""What surrounds every request: its id, its log line, its numbers, and bounds on size and time of its body."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics
from .problems import ProblemError, answer
from .settings import ServiceSettings

REQUEST_ID = "X-Request-ID"
_CLEAN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
MULTIPART = "multipart/form-data"
SPOOL = "tagtrace.spool_bytes"
"""In the scope of a request with files: bytes of each file that may stay in memory while it comes in."""
_SPOOLED = 1_000_000
_log = structlog.get_logger(__name__)


class RequestFrame:
    """Gives each request an id (the client's own where it is a clean one), logs it and counts it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._log = _log.bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(REQUEST_ID.lower().encode(), b"").decode("latin-1")
        name = given if _CLEAN_ID.fullmatch(given) else uuid.uuid4().hex
        scope["tagtrace.request_id"] = name
        begin, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = name
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=name):
            try:
                await self._app(scope, receive, sending)
            finally:
                seconds = time.perf_counter() - begin
                route = getattr(scope.get("route"), "path", "none")
                self._metrics.requests.labels(scope["method"], route, str(status)).inc()
                self._metrics.request_seconds.labels(scope["method"], route).observe(seconds)
                caller = scope.get("tagtrace.caller", "")
                self._log.info(
                    "request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4), caller=caller
                )


class BodyBounds:
    """Ends requests whose body is too large (413) or takes too long (408), while it comes in."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._settings = settings
        self._spool = settings.spool_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        kind = headers.get("content-type", "").lower()
        limit = self._limit(kind)
        too_large = ProblemError(413, f"The body is larger than {limit} bytes; send less.", "too-large", {"Connection": "close"})
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            await answer(Request(scope), too_large)(scope, receive, send)
            return
        end = time.monotonic() + self._settings.body_timeout_s
        taken, complete, started = 0, False, False

        async def bounded() -> Message:
            nonlocal taken, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                detail = f"The body did not arrive within {self._settings.body_timeout_s:g} s; try again."
                raise ProblemError(408, detail, "too-slow", {"Connection": "close"}) from None
            taken += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if taken > limit:
                raise too_large
            return message

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            with self._spooled(scope, kind, int(length) if length.isdigit() else limit):
                await self._app(scope, bounded, sending)
        except ProblemError as problem:
            if started:
                raise
            await answer(Request(scope), problem)(scope, receive, send)

    def _limit(self, kind: str) -> int:
        if kind.startswith(MULTIPART):
            return self._settings.max_body_bytes
        return self._settings.max_csv_bytes if kind.startswith("text/csv") else self._settings.max_json_bytes

    @contextmanager
    def _spooled(self, scope: Scope, kind: str, length: int) -> Iterator[None]:
        """Keep memory for the files of a form while there is any; without, they go to the disk as they come in.

        So clients that send slowly, however many they are, hold little memory.
        """
        if not kind.startswith(MULTIPART):
            yield
            return
        share = min(length, _SPOOLED * (self._settings.max_photos + 1))
        held = share if share <= self._spool else 0
        self._spool -= held
        # Python takes 0 for "all of it".
        scope[SPOOL] = _SPOOLED if held else 1
        try:
            yield
        finally:
            self._spool += held
