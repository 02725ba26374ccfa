"""Sends the messages that wait: signed, to the address that was checked, never further.

A message is JSON. ``Tagtrace-Signature: t=<unix seconds>,v1=<hex>`` is HMAC-SHA256 over ``<t>.<body>`` with the webhook secret;
``Tagtrace-Id`` stays the same when a message is sent again. Any 2xx says that it was received; redirects are not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Mapping
from datetime import timedelta

import structlog

from ... import __version__
from ...contract import TagtraceError
from ...linking.store import Store
from ...linking.store import webhooks as rows
from ...linking.store.jobs import RetryRule
from ...linking.store.reports import now_utc
from ..settings import ServiceSettings
from .addresses import check_address, connected, target_of

_MOST_ANSWER = 64_000
"""Bytes of an answer that are read; nothing is done with them."""
_PURPOSE = b"tagtrace webhook"
_log = structlog.get_logger(__name__)


def signing_key(settings: ServiceSettings) -> bytes:
    """The secret that receivers check signatures with: ``webhook_secret``, or one derived from ``secret``."""
    if settings.webhook_secret is not None:
        return settings.webhook_secret.get_secret_value().encode("utf-8")
    return hmac.new(settings.secret.get_secret_value().encode("utf-8"), _PURPOSE, hashlib.sha256).hexdigest().encode("ascii")


def signature(key: bytes, at: int, body: bytes) -> str:
    """The header ``Tagtrace-Signature`` of a body sent at a time (seconds since 1970)."""
    return f"t={at},v1={hmac.new(key, str(at).encode('ascii') + b'.' + body, hashlib.sha256).hexdigest()}"


class Deliverer:
    """A thread that sends messages while the block runs."""

    def __init__(self, settings: ServiceSettings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._key = signing_key(settings)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        first, most = timedelta(seconds=settings.webhook_backoff_s), timedelta(seconds=settings.webhook_backoff_most_s)
        self._rule = RetryRule(settings.webhook_attempts, first, most)

    def __enter__(self) -> Deliverer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self.step():
                    continue
            except TagtraceError as error:
                _log.warning("no webhook could be taken", why=str(error))
            self._stop.wait(self._settings.poll_s)

    def step(self) -> bool:
        """Send one message; False when none waits."""
        now = now_utc()
        with self._store.read() as session:
            if not rows.has_message(session, now):
                return False
        lease = timedelta(seconds=self._settings.webhook_timeout_s * 6)
        message = self._store.write(lambda session: rows.take(session, now, lease), "webhooks")
        if message is None:
            return False
        status, error = self._send(message)
        if error == "":
            assert status is not None
            self._store.write(lambda session: rows.delivered(session, message, status, now_utc()), "webhooks")
        else:
            self._store.write(
                lambda session: rows.not_delivered(session, message, status, error, now_utc(), self._rule), "webhooks"
            )
            _log.warning("webhook not received", number=message.number, attempts=message.attempts, status=status, why=error)
        return True

    def _send(self, message: rows.Message) -> tuple[int | None, str]:
        """The status of the answer, and what went wrong (empty: nothing)."""
        link = f"{self._settings.public_url}/v1/reports/{message.event.get('report_id', '')}"
        content = {"id": message.message, "number": message.number, "status_url": link, **message.event}
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        at = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"tagtrace/{__version__}",
            "Tagtrace-Id": message.message,
            "Tagtrace-Signature": signature(self._key, at, body),
        }
        try:
            status = post(message.url, body, headers, self._settings)
        except (TagtraceError, OSError, http.client.HTTPException) as error:
            return None, f"{type(error).__name__}: {error}"
        return status, "" if 200 <= status < 300 else f"the answer was {status}"


def post(url: str, body: bytes, headers: Mapping[str, str], settings: ServiceSettings) -> int:
    """POST to an address after checking where it leads; gives the status. Redirects are answers like any other."""
    private = settings.webhook_private_addresses
    parts = check_address(url, private=private)
    with connected(parts, private=private, timeout_s=settings.webhook_timeout_s) as connection:
        connection.request("POST", target_of(parts), body, {**headers, "Host": parts.netloc, "Connection": "close"})
        answer = connection.getresponse()
        answer.read(_MOST_ANSWER)
        return answer.status
