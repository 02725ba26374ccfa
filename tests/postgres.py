"""A private PostgreSQL for the tests: made in a temporary folder, reached through a socket, gone when the tests end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_INSTALLED = Path("/usr/lib/postgresql")
_START_SECONDS = 60


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl: that of the newest PostgreSQL of Debian, else the one on the path, else None."""
    folders = sorted(_INSTALLED.glob("*/bin"), key=lambda path: -float(path.parent.name)) if _INSTALLED.is_dir() else []
    found = next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)
    if found is None and (program := shutil.which("initdb")):
        found = Path(program).resolve().parent
    return found


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A running server whose files and socket lie in ``folder``; gives its URL with ``{database}`` to fill in.

    It keeps nothing safe (no fsync), which makes it fast. As root it runs as the user ``postgres``: the server refuses root.
    """
    programs = binaries()
    assert programs is not None
    as_user: dict[str, object] = {}
    if os.geteuid() == 0:
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": ()}
        shutil.chown(folder, "postgres", "postgres")
    name = pwd.getpwuid(os.geteuid()).pw_name if not as_user else "postgres"
    data, log = folder / "data", folder / "log"

    def run(*command: str) -> None:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_START_SECONDS * 2, **as_user)  # type: ignore[call-overload]
        if ended.returncode:
            said = log.read_text(errors="replace") if log.exists() else ""
            raise RuntimeError(f"{command[0]} failed: {ended.stdout}{ended.stderr}{said}")

    run(str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", name, "-E", "UTF8", "--locale=C", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c full_page_writes=off"
    options += " -c synchronous_commit=off -c max_connections=50 -c deadlock_timeout=100ms"
    run(str(programs / "pg_ctl"), "-D", str(data), "-l", str(log), "-w", "-t", str(_START_SECONDS), "-o", options, "start")
    try:
        yield f"postgresql://{name}@/{{database}}?host={folder}"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")


@contextmanager
def temporary_server() -> Iterator[str]:
    """``server`` in a new folder with a short path (a socket's path has at most about 100 bytes), removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tagtrace-pg-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        with server(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)
