"""The version of a store's schema: what it is, whether this tagtrace knows it, and bringing it up to date."""

from __future__ import annotations

import warnings
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select

from ...contract import TagtraceError

_MIGRATIONS = Path(__file__).with_name("migrations")
_UPGRADE_LOCK = 0x7461677472616365
"""Key of the advisory lock that upgrades of one PostgreSQL database wait for (``tagtrace`` in ASCII)."""


def newest() -> str:
    """The schema version that this tagtrace makes."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def current(connection: Connection) -> str | None:
    """The schema version of a store, or None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision()


def check_known(connection: Connection, name: str) -> str | None:
    """``current``, after making sure that this tagtrace knows it; raises ``TagtraceError`` for a store of a newer one."""
    version = current(connection)
    known = {script.revision for script in _scripts().walk_revisions()}
    if version is not None and version not in known:
        raise TagtraceError(
            f"{name}: made by a newer tagtrace (schema {version}, this one knows up to {newest()}); update tagtrace and try again"
        )
    return version


def upgrade(connection: Connection, name: str) -> None:
    """Bring a store to the newest schema, in the transaction that is open on the connection: all of it or nothing."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
    if check_known(connection, name) != newest():
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return ScriptDirectory.from_config(_config())
