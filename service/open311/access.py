"""Who may call the Open311 endpoint: systems with an API key, sent as their clients send it.

The key comes as ``api_key`` in the query or the form, as GeoReport has it, as password of HTTP Basic, for clients that can only
be given an address, or as bearer like everywhere else.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyQuery, HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from ..access import Allow, Principal, Scope
from ..access import keys as api_keys
from ..problems import ProblemError
from ..reports.uploads import read_form
from ..state import ServiceState, state_of

_QUERY = APIKeyQuery(name="api_key", auto_error=False, scheme_name="GeoReportKey", description="An API key: tt_…")
_BEARER = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="An API key: tt_…")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class AllowKey(Allow):
    """As ``Allow``, for systems only: people sign in at the desk."""

    def __init__(self, *permitted: Scope) -> None:
        super().__init__(*permitted)

    async def __call__(
        self,
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
        in_query: Annotated[str | None, Security(_QUERY)] = None,
    ) -> Principal:
        """The system that calls, if it may; GeoReport has 403 for both a key that is missing and one that is wrong."""
        state = state_of(request)
        try:
            return await self._judge(request, state, bearer.credentials if bearer is not None else in_query)
        except ProblemError:
            # A form that was read for its key holds files.
            await request.close()
            raise

    async def _judge(self, request: Request, state: ServiceState, given: str | None) -> Principal:
        text = given or _basic(request) or await _in_form(request, state)
        if not text:
            raise ProblemError(403, "An api_key is needed; ask the operator of this service for one.", "unauthenticated")
        principal = await run_in_threadpool(api_keys.authenticate, state, request, text)
        if principal is None:
            raise ProblemError(403, "This api_key is not known.", "bad-key")
        request.scope["tagtrace.caller"] = principal.actor
        if not self.scopes & principal.scopes:
            wanted = ", ".join(sorted(map(str, self.scopes)))
            raise ProblemError(403, f"This api_key may not do that; it needs one of: {wanted}.", "forbidden")
        return principal


def allow_key(*permitted: Scope) -> Any:
    """``sender: Annotated[Principal, allow_key(Scope.REPORTS_WRITE)]``."""
    return Depends(AllowKey(*permitted))


def _basic(request: Request) -> str | None:
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None


async def _in_form(request: Request, state: ServiceState) -> str | None:
    """The key inside the body of a request. One with files is read before it is known who sends it, so only some at a time."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method != "POST" or kind not in _FORMS:
        return None
    if kind == _FORMS[0]:
        return _text((await read_form(request, state.settings)).get("api_key"))
    if state.unknown_forms.locked():
        headers = {"Retry-After": str(state.settings.retry_after_s)}
        raise ProblemError(503, "Too many forms come in; try again later, or send the api_key in the query.", "busy", headers)
    async with state.unknown_forms:
        return _text((await read_form(request, state.settings)).get("api_key"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
