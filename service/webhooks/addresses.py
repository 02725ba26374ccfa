"""Where webhooks and fetches may go: nobody who may name an address gets to speak to machines inside our network through it."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ...contract import TagtraceError

_SCHEMES = {"http": 80, "https": 443}


def check_address(url: str, *, private: bool) -> SplitResult:
    """The parts of an address that may be called; ``private``: also in private and local networks.

    Raises ``TagtraceError`` otherwise. A host name is looked up only when the message is sent.
    """
    if any(char.isspace() or ord(char) < 33 or ord(char) > 126 for char in url):
        raise TagtraceError("is no address: it holds spaces or letters that have to be escaped")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TagtraceError(f"is no address: {error}") from error
    if parts.scheme not in _SCHEMES or not parts.hostname or port == 0:
        raise TagtraceError("must begin with https:// (or http://) and name a host")
    if parts.username is not None or parts.password is not None:
        raise TagtraceError("must not hold a user name or password; messages are signed")
    if parts.fragment:
        raise TagtraceError("must not hold a fragment (#…)")
    if not private:
        if parts.scheme != "https":
            raise TagtraceError("must begin with https://")
        if _is_literal(parts.hostname) and not is_public(parts.hostname):
            raise TagtraceError("leads into a private network; the operator can allow this")
    return parts


def resolve(parts: SplitResult, *, private: bool) -> tuple[str, int]:
    """The IP address and port to connect to; every address of the host has to be a public one unless ``private``.

    The connection goes to the address that was checked, so that a name which changes its mind meanwhile gains nothing.
    """
    host = parts.hostname or ""
    port = parts.port or _SCHEMES[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TagtraceError(f"{host}: cannot be looked up ({error})") from error
    addresses = [str(item[4][0]) for item in found]
    if not addresses:
        raise TagtraceError(f"{host}: has no address")
    if not private and not all(is_public(address) for address in addresses):
        raise TagtraceError(f"{host}: leads into a private network")
    return addresses[0], port


@contextmanager
def connected(parts: SplitResult, *, private: bool, timeout_s: float) -> Iterator[http.client.HTTPConnection]:
    """A connection to the address that was checked, closed when the block ends. Nothing is sent yet.

    Raises ``TagtraceError`` as ``resolve`` does, and ``OSError`` where nobody answers within ``timeout_s``.
    """
    address, port = resolve(parts, private=private)
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    plain = socket.create_connection((address, port), timeout_s)
    try:
        wrapped: Any = plain
        if parts.scheme == "https":
            wrapped = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        connection.sock = wrapped
        yield connection
    finally:
        connection.close()
        plain.close()


def target_of(parts: SplitResult) -> str:
    """What follows the host in an address: path and query."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def is_public(address: str) -> bool:
    """Whether an IP address lies in the public internet, also behind the ways of writing IPv4 inside IPv6."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inside is not None:
            return is_public(str(inside))
        if found in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # 127.1, 2130706433 and 0x7f.1 are addresses, too, to the resolver.
        return host.replace(".", "").replace("x", "").isalnum() and host[0].isdigit() and _reads_as_ipv4(host)
    return True


def _reads_as_ipv4(host: str) -> bool:
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True
