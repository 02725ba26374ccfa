"""All hostile uploads at once against a service that runs, and slow clients beside them: what it answers, its memory, and whether
honest clients are served meanwhile."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .benchmark_copies import numbered
from .benchmark_service import LIGHT, Json, Server, multipart, serving
from .hostile import Attack, attacks, photo

_ATTACKERS = 8
_HONEST = 4
_HONEST_PAUSE_S = 0.2
_SLOW = 100
"""Clients of each slow kind: those that never end their header, and those that never end their body."""
_SLOW_BYTES = 900_000
"""What a slow client has sent of its photo when it stops."""
_ANSWER_S = 120.0
_BUSY = 503
"""The right answer to whoever comes while memory is held by others."""


def hostile(folder: Path, seconds: float) -> Json:
    """Attack a service for ``seconds``: peak of its memory, wrong answers by attack, and how honest clients fared."""
    found = attacks()
    # Slow clients are to be sent away while the trial runs.
    settings = {"HEADER_TIMEOUT_S": max(2.0, seconds / 4), "BODY_TIMEOUT_S": max(4.0, seconds / 2), "CHECK_WAIT_S": 10}
    with serving(folder, 0, LIGHT, {name: str(value) for name, value in settings.items()}) as server:
        begin = _peak_mb(server)
        end = time.monotonic() + seconds
        slow = [connection for kind in (_never_a_header, _never_a_body) for connection in [kind(server) for _ in range(_SLOW)]]
        answers: dict[str, Counter[int]] = defaultdict(Counter)
        honest: list[tuple[float, int]] = []
        threads = [threading.Thread(target=_be_honest, args=(server, n, end, honest)) for n in range(_HONEST)]
        for thread in threads:
            thread.start()
        _attack(server, found, end, answers)
        for thread in threads:
            thread.join()
        cut = sum(_is_cut(connection) for connection in slow)
        peak = _peak_mb(server)
    wrong = {
        name: {str(status): count for status, count in counted.items() if status not in found[name].right | {_BUSY}}
        for name, counted in answers.items()
    }
    served = [spent for spent, status in honest if status == 202]
    return {
        "seconds": seconds,
        "attacks": sum(sum(counted.values()) for counted in answers.values()),
        "kinds": len(found),
        "busy": sum(counted[_BUSY] for counted in answers.values()),
        "wrong": {name: counted for name, counted in wrong.items() if counted},
        "slow_clients": len(slow),
        "slow_clients_sent_away": cut,
        "honest": len(honest),
        "honest_refused": len(honest) - len(served),
        **{f"honest_p{share}_ms": round(1000 * float(np.percentile(served, share)), 1) for share in (50, 99) if served},
        "memory_before_mb": begin,
        "memory_peak_mb": peak,
    }


def _attack(server: Server, found: dict[str, Attack], end: float, answers: dict[str, Counter[int]]) -> None:
    """All attacks in turn, from several clients, each at least once."""
    names = list(found)

    def one(client: int) -> None:
        turn = client * len(names) // _ATTACKERS
        tried = 0
        while time.monotonic() < end or tried < -(-len(names) // _ATTACKERS):
            name = names[(turn + tried) % len(names)]
            answers[name][_send(server, found[name])] += 1
            tried += 1

    with ThreadPoolExecutor(_ATTACKERS) as pool:
        list(pool.map(one, range(_ATTACKERS)))


def _send(server: Server, attack: Attack) -> int:
    """The status of the answer; 400 where the service closes the connection on a body that is too much."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_ANSWER_S)
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": attack.kind, **(attack.headers or {})}
    try:
        try:
            connection.request("POST", attack.path, attack.body, headers)
        except (BrokenPipeError, ConnectionResetError):
            # It has heard enough; the answer may be there all the same.
            if connection.sock is None:
                return 400
        return connection.getresponse().status
    except (ConnectionError, http.client.HTTPException):
        return 400
    finally:
        connection.close()


def _be_honest(server: Server, client: int, end: float, spent: list[tuple[float, int]]) -> None:
    picture, number = photo(), 0
    while time.monotonic() < end:
        number += 1
        body, kind = multipart(numbered(picture, client * 1_000_000 + number), {"external_id": f"{client}-{number}"})
        begin = time.perf_counter()
        try:
            status = server.request("POST", "/v1/reports", body, {"Content-Type": kind})[0]
        except OSError:
            status = 0
        spent.append((time.perf_counter() - begin, status))
        time.sleep(_HONEST_PAUSE_S)


def _never_a_header(server: Server) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", server.port), _ANSWER_S)
    made.sendall(b"POST /v1/reports HTTP/1.1\r\nHost: a\r\n")
    return made


def _never_a_body(server: Server) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", server.port), _ANSWER_S)
    header = f"POST /v1/reports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.key}\r\nContent-Length: 5000000\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n\xff\xd8'
    made.sendall(header.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + part + bytes(_SLOW_BYTES))
    return made


def _is_cut(connection: socket.socket) -> bool:
    """Whether the service has ended a connection, with an answer or without; it is closed here then."""
    connection.settimeout(1.0)
    try:
        while connection.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    finally:
        connection.close()
    return True


def _peak_mb(server: Server) -> float:
    """The most memory (MiB) that the service, without workers, has had in use."""
    assert server.process is not None
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0
