"""Against forged requests: whatever a browser changes has to carry a token that only our own pages know.

The token is made from the session and the service's secret, so nothing is kept. It comes in the header ``X-CSRF-Token`` or, from
plain forms, in the field ``csrf_token``. API keys need none: no browser sends them by itself.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from fastapi import Request

from ..problems import ProblemError
from ..settings import ServiceSettings
from .sessions import SESSION_DIGEST

HEADER = "X-CSRF-Token"
FIELD = "csrf_token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM = "application/x-www-form-urlencoded"


def token_for(settings: ServiceSettings, digest: str) -> str:
    """The token of a session, by the digest of the session's own token."""
    key = settings.secret.get_secret_value().encode("utf-8")
    return hmac.new(key, b"csrf:" + digest.encode("ascii"), hashlib.sha256).hexdigest()


def token_of(request: Request, settings: ServiceSettings) -> str:
    """The token for the pages of the session that a request came with; empty where it came without one."""
    digest = request.scope.get(SESSION_DIGEST)
    return "" if digest is None else token_for(settings, str(digest))


async def check(request: Request, settings: ServiceSettings) -> None:
    """Raise ``ProblemError`` 403 for a request of a session that changes something and does not carry the session's token."""
    if request.method in _SAFE or SESSION_DIGEST not in request.scope:
        return
    check_origin(request, settings)
    given = request.headers.get(HEADER, "")
    if not given and request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        field = (await request.form()).get(FIELD)
        given = field if isinstance(field, str) else ""
    if not hmac.compare_digest(given.encode("utf-8"), token_of(request, settings).encode("ascii")):
        raise ProblemError(403, f"The page is too old; load it again. (Programs send {HEADER}: see GET /v1/session.)", "csrf")


def check_origin(request: Request, settings: ServiceSettings) -> None:
    """Raise ``ProblemError`` 403 for a request that a browser sent from a page of another site."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    ours = {urlsplit(settings.public_url).netloc, request.headers.get("host", "")}
    if site not in ("same-origin", "none") or (origin is not None and urlsplit(origin).netloc not in ours):
        raise ProblemError(403, "This comes from a page of another site.", "csrf")
