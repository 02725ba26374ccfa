"""Reporters' names and phones: encrypted with AES-256-GCM before they reach the store, opened for those who say why.

The report's id is bound into the ciphertext, so that one reporter's data cannot be put beside another report. The first key of
``vault_keys`` encrypts; the others open what was encrypted earlier, until ``tagtrace vault rotate`` has brought all to the first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..contract import TagtraceError
from ..linking.store import Store
from ..linking.store import vault as rows
from .settings_data import DataSettings, read_keys

FIELDS = ("name", "phone", "email")
_NONCE_BYTES = 12
_log = structlog.get_logger(__name__)


class Vault:
    """Encrypts and opens reporters' data with the keys of the settings."""

    def __init__(self, settings: DataSettings) -> None:
        """Raises ``TagtraceError`` where the settings name no key."""
        keys = read_keys(settings.vault_keys.get_secret_value())
        if not keys:
            raise TagtraceError("reporters' data is not kept: TAGTRACE_VAULT_KEYS names no key (name:base64 of 32 bytes)")
        self._current = keys[0][0]
        self._keys = {name: AESGCM(key) for name, key in keys}

    def seal(self, report_id: str, values: Mapping[str, str]) -> rows.Sealed:
        """Encrypt what is known of a reporter."""
        said = json.dumps({name: values[name] for name in FIELDS if values.get(name)}, ensure_ascii=False)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._keys[self._current].encrypt(nonce, said.encode("utf-8"), _bound(report_id, self._current))
        return rows.Sealed(report_id, self._current, nonce + sealed)

    def open(self, item: rows.Sealed) -> dict[str, str]:
        """What was encrypted. Raises ``TagtraceError`` where the key is missing or the data is not what was kept."""
        key = self._keys.get(item.key_name)
        if key is None:
            raise TagtraceError(f"report {item.report_id}: needs the vault key {item.key_name!r}; add it to TAGTRACE_VAULT_KEYS")
        nonce, sealed = item.data[:_NONCE_BYTES], item.data[_NONCE_BYTES:]
        try:
            found = json.loads(key.decrypt(nonce, sealed, _bound(item.report_id, item.key_name)))
        except InvalidTag:
            raise TagtraceError(f"report {item.report_id}: the reporter's data was altered; restore it from a backup") from None
        return {name: str(found[name]) for name in FIELDS if name in found}

    def rotate(self, store: Store) -> int:
        """Encrypt with the first key what is under another one; gives how many reports that were."""
        with store.read() as session:
            old = [item.report_id for item in rows.under_other_keys(session, self._current)]
        for report_id in old:
            store.write(lambda session, name=report_id: self._rekey(session, name))  # type: ignore[misc]
        return len(old)

    def _rekey(self, session: Any, report_id: str) -> None:
        item = rows.take(session, report_id, "new key")
        if item is not None:
            rows.put(session, self.seal(report_id, self.open(item)), datetime.now(UTC))


def keeper(settings: DataSettings) -> Callable[[Any, str, Mapping[str, str]], None] | None:
    """What takes a new report's reporter into the vault, in the transaction that takes the report in; None without a key."""
    if not settings.vault_keys.get_secret_value().strip():
        _log.warning("reporters' data is not kept", reason="TAGTRACE_VAULT_KEYS names no key")
        return None
    vault = Vault(settings)

    def keep(session: Any, report_id: str, values: Mapping[str, str]) -> None:
        if any(values.get(name) for name in FIELDS):
            rows.put(session, vault.seal(report_id, values), datetime.now(UTC))

    return keep


def read(store: Store, settings: DataSettings, report_id: str, why: str, actor: str) -> dict[str, str] | None:
    """A report's reporter, or None; logged before anything is shown. Raises ``TagtraceError`` without a reason."""
    if not why.strip():
        raise TagtraceError("say why the reporter's data is needed; it is logged")
    item = store.write(lambda session: rows.take(session, report_id, why.strip()), actor)
    return None if item is None else Vault(settings).open(item)


def _bound(report_id: str, key_name: str) -> bytes:
    return f"tagtrace reporter {report_id} {key_name}".encode()
