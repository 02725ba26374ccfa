"""One place that says who may call what: ``allow(Role.EXPERT, Scope.REPORTS_READ)`` as dependency of a route. What a
session changes needs its CSRF token, too.

Every route has one ``Allow`` or is ``PUBLIC``; a test goes through all routes and sees to it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from ..problems import ProblemError
from ..state import state_of
from . import csrf, keys, sessions
from .roles import Principal, Role, Scope

PRINCIPAL = "tagtrace.principal"
"""Key of ``request.scope``: who calls, also where they may not."""
MUST_CHANGE = "password-change-needed"
"""Kind of the error for whoever signed in with a password that somebody else gave."""
_BEARER = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="An API key: tt_…")
AUTHENTICATORS = [keys.authenticate, sessions.authenticate]
"""Ask in turn who is calling: each takes request and credentials, and gives a ``Principal``, or None when it does not know.

An authenticator raises ``ProblemError`` (401, 403, 429) for credentials that are its own and wrong. They run in a thread.
"""


class Allow:
    """The dependency: gives the ``Principal``; 401 without valid credentials, 403 with those of somebody else."""

    def __init__(self, *permitted: Role | Scope, first_password: bool = False) -> None:
        """Passes whoever has one of the roles or scopes; with ``first_password`` also before a given password was changed."""
        self.first_password = first_password
        self.roles = frozenset(item for item in permitted if isinstance(item, Role))
        self.scopes = frozenset(item for item in permitted if isinstance(item, Scope))

    async def __call__(
        self, request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None
    ) -> Principal:
        """Who calls, if they may."""
        text = bearer.credentials if bearer else None
        if keys.is_known(state_of(request), text):
            # Nothing is asked of the store: not worth a thread.
            principal = authenticate(request, text)
        else:
            principal = await run_in_threadpool(authenticate, request, text)
        if principal is None:
            headers = {"WWW-Authenticate": 'Bearer realm="tagtrace"'}
            raise ProblemError(401, "Sign in, or send an API key as `Authorization: Bearer tt_…`.", "unauthenticated", headers)
        request.scope["tagtrace.caller"] = principal.actor
        request.scope[PRINCIPAL] = principal
        if not (self.roles & principal.roles or self.scopes & principal.scopes):
            wanted = ", ".join(sorted(str(item) for item in (*self.roles, *self.scopes)))
            raise ProblemError(403, f"This needs one of: {wanted}.", "forbidden")
        await csrf.check(request, state_of(request).settings)
        if principal.must_change_password and not self.first_password:
            raise ProblemError(403, "Change the password that you were given first: POST /v1/session/password.", MUST_CHANGE)
        return principal


class Public:
    """Marks a route that anybody may call; but for ``SIGN_IN`` such a route changes nothing."""

    async def __call__(self) -> None:
        """Let everybody through."""


def allow(*permitted: Role | Scope, first_password: bool = False) -> Any:
    """``principal: Annotated[Principal, allow(Role.EXPERT, Scope.REPORTS_READ)]``, or in ``dependencies=[…]`` of a route."""
    return Depends(Allow(*permitted, first_password=first_password))


class SignIn(Public):
    """Marks the routes that begin a session."""


PUBLIC = Depends(Public())
SIGN_IN = Depends(SignIn())


def authenticate(request: Request, bearer: str | None) -> Principal | None:
    """Who is calling, or None."""
    state = state_of(request)
    for ask in AUTHENTICATORS:
        found = ask(state, request, bearer)
        if found is not None:
            return found
    return None
