"""The register of shops in the memory of a process, loaded again once it has changed in the store."""

from __future__ import annotations

import threading
import time

from ..linking.shops import Shops
from ..linking.store import Store
from ..linking.store.audit import register_version
from ..linking.store.resources import load_register


class Register:
    """What linking looks into. Safe to share between threads: one loads, the others wait for it."""

    def __init__(self, store: Store, refresh_s: float) -> None:
        """``refresh_s``: seconds after which the store is asked again whether the register has changed; 0: each time."""
        self._store = store
        self._refresh_s = refresh_s
        self._lock = threading.Lock()
        self._shops: Shops | None = None
        self._version = 0
        self._looked = 0.0

    def shops(self) -> Shops:
        """The register as the store had it ``refresh_s`` ago or later."""
        with self._lock:
            now = time.monotonic()
            if self._shops is not None and now - self._looked < self._refresh_s:
                return self._shops
            # One transaction: the version is that of what is loaded.
            with self._store.read() as session:
                version = register_version(session)
                if self._shops is None or version != self._version:
                    self._shops, self._version = load_register(session), version
            self._looked = now
            return self._shops
