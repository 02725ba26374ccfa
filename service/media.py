"""Pictures that reports name by their addresses: fetched from hosts that the operator has listed, and from nowhere else.

Only https (unless the operator says that the hosts are in the own network), never a private address, no redirects, so many bytes
and seconds at most. What was fetched is judged as an upload is.
"""

from __future__ import annotations

import http.client
import time
from urllib.parse import SplitResult

from .. import __version__
from ..contract import TagtraceError
from .problems import ProblemError
from .reports.uploads import check_photo
from .settings import ServiceSettings
from .webhooks.addresses import check_address, connected, target_of

_CHUNK = 65_536
_LATER = frozenset({404, 408, 425, 429})
"""Answers that may be another one later: pictures are often put there after they are named."""


class NotFetched(TagtraceError):
    """A picture that cannot be had; ``later``: perhaps it can in a while."""

    def __init__(self, why: str, *, later: bool = False) -> None:
        super().__init__(why)
        self.later = later


def refusal(url: str, settings: ServiceSettings) -> str:
    """Why a picture at an address is never fetched; empty where it may be."""
    try:
        _parts(url, settings)
    except NotFetched as error:
        return str(error)
    return ""


def fetch_picture(url: str, settings: ServiceSettings) -> bytes:
    """The bytes of a picture, checked as an upload is. Raises ``NotFetched``."""
    parts, end = _parts(url, settings), time.monotonic() + settings.media_timeout_s
    headers = {"Host": parts.netloc, "Accept": "image/*", "User-Agent": f"tagtrace/{__version__}", "Connection": "close"}
    try:
        private = settings.media_private_addresses
        with connected(parts, private=private, timeout_s=settings.media_timeout_s) as connection:
            connection.request("GET", target_of(parts), headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                later = answer.status in _LATER or answer.status >= 500
                raise NotFetched(f"{parts.hostname} answered {answer.status}", later=later)
            data = _body(answer, end, settings.max_photo_bytes)
    except (OSError, http.client.HTTPException) as error:
        raise NotFetched(f"{parts.hostname} cannot be reached: {error or type(error).__name__}", later=True) from error
    except NotFetched:
        raise
    except TagtraceError as error:
        # The name leads nowhere, or into a private network: that may change as little as it may help.
        raise NotFetched(str(error)) from error
    try:
        check_photo(data, "the picture", settings)
    except ProblemError as problem:
        raise NotFetched(problem.detail) from problem
    return data


def _parts(url: str, settings: ServiceSettings) -> SplitResult:
    try:
        parts = check_address(url, private=settings.media_private_addresses)
    except TagtraceError as error:
        raise NotFetched(f"the address of the picture {error}") from error
    host = (parts.hostname or "").rstrip(".")
    if host not in settings.media_hosts.split(","):
        raise NotFetched(f"pictures are not fetched from {host or 'nowhere'}; send the picture itself")
    return parts


def _body(answer: http.client.HTTPResponse, end: float, most: int) -> bytes:
    data = bytearray()
    while chunk := answer.read1(_CHUNK):
        data += chunk
        if len(data) > most:
            raise NotFetched(f"the picture is larger than {most} bytes")
        if time.monotonic() > end:
            raise NotFetched("the picture comes too slowly", later=True)
    return bytes(data)
